"""Services that the stack runs beside Airflow: PostgreSQL and, for Celery, Redis."""
