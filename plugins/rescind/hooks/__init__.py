"""Airflow hooks: one per service, and helpers that read Airflow connections."""
