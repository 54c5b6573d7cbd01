"""Plans: items, batches, approvals, attempts, checks before a send, verdicts."""
