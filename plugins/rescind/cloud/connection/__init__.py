"""What a connection says: its settings, the hosts and consoles that follow from them, and what its key may do."""
