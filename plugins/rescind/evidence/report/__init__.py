"""What people read of a bundle: the HTML report and the tables. Needs Jinja2 and nothing of Airflow."""
