"""Restores: what a run removed, from its sealed bundle, as a plan of its own."""
