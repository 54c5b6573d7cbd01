"""The roster: read from CSV, JSON or pages of an HTTP service, checked against limits, and matched with principals."""
