"""Pacers without a ledger: one that spaces the requests of a process, and one that counts."""
