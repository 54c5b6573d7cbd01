"""The page "Access reviews" in Airflow: runs, live progress, items. It is read-only.

:mod:`rescind.web.gate` handles every request first. Without a user who may read the runs of at least one known DAG, no
route is looked up. Only :mod:`rescind.web.access` imports Airflow.
"""
