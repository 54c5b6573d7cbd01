"""Connections to PostgreSQL, migrations, bulk copy, and the base class of all repositories."""
