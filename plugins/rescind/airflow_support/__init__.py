"""Airflow features that the operators share: task links, metrics, progress, pools, errors, kill-switch Variable."""
