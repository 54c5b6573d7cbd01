"""Airflow sensors: wait until one grant is gone."""
