"""Plans, approvals, batches, attempts, send checks and verdicts."""
