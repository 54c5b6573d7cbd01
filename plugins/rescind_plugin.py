"""Register the Airflow plugin where the folders were copied and no distribution is installed.

Airflow runs this file only; see ``.airflowignore`` beside it. If the installed distribution registers the plugin
already, this file registers nothing: Airflow reports a second plugin of the same name as an import error.
"""

from __future__ import annotations

from importlib.metadata import entry_points

if not any(point.value == "rescind.airflow_plugin:RescindPlugin" for point in entry_points(group="airflow.plugins")):
    from rescind.airflow_plugin import RescindPlugin as RescindPlugin
