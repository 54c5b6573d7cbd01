"""Re-lists after the send until the platform has settled, gives verdicts, and looks for grants that reappeared."""
