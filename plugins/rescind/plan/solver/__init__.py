"""The search for the fewest calls that cover the cells to revoke."""
