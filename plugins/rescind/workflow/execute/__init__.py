"""Sends the calls of a batch, reads back unknown outcomes, verifies, and watches for regrants."""
