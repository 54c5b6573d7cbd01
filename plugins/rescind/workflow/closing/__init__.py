"""Closing paths: access that remains after a plan, and the cheapest removals that end it."""
