"""The rate limiter that all workers share, kept in the ledger."""
