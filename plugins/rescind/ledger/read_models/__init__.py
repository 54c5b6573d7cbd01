"""Read-only queries for the web pages, and their rows."""
