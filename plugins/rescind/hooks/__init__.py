"""Airflow hooks: one per service, each a thin way to its client."""
