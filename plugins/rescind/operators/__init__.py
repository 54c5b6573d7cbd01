"""The Airflow face of a review, and one operator for each vendor call."""
