"""What hooks ask Airflow itself: its API, its pools, its record of answers."""
