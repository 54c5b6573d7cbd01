"""The page "Access reviews" inside Airflow: runs, live progress, items. It reads the ledger and changes nothing.

:mod:`rescind.web.gate` stands before everything else: without a user whom Airflow knows, and who may read the
runs of at least one DAG that has some, no route is even looked up. Only :mod:`rescind.web.access` imports Airflow.
"""
