"""Airflow operators: the stages of a run, and single vendor calls."""
