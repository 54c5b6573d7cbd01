"""Airflow triggers of the deferrable sensors."""
