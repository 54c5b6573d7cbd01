"""Changes made by others, through the control interface or a fault."""
