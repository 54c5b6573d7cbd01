"""The stages of a run, without Airflow."""
