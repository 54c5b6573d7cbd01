"""Runs for people who left: the events that name them, and listings of these people only."""
