"""The one file in this folder that Airflow's plugin loader runs; see ``.airflowignore`` beside it."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin


class RescindPlugin(AirflowPlugin):
    """What the package adds to Airflow itself."""

    name = "rescind"
