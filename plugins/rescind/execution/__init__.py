"""Runs a batch of approved calls, and verifies what they did."""
