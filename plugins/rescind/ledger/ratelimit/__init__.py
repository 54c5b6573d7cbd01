"""The rate limiter that all workers share; its state is in the ledger."""
