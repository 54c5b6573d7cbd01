"""Local settings of the processes that fork tasks: load early what every task needs.

Airflow imports a module of this name in every process that finds it; in the one-machine stack that are the scheduler
and the Celery workers. Tasks are forked from them, so what is loaded here is not loaded again by each task. A module
that cannot be loaded is left to the task that needs it, whose log is the place for the error.
"""

from __future__ import annotations

import importlib
import logging
import os

for _name in filter(None, os.environ.get("RESCIND_PRELOAD", "").split(",")):
    try:
        importlib.import_module(_name)
    except Exception as _error:
        logging.getLogger(__name__).warning("%s is not loaded early: %r", _name, _error)

__all__: list[str] = []
