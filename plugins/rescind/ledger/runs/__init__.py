"""Runs, inputs, scopes, owner questions, kill switch, progress, summary and evidence chain."""
