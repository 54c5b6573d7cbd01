"""Sends the calls of a batch, reads back, and verifies."""
