"""What the final bytes of each write must name. Shares no code with the typed messages, on purpose."""
