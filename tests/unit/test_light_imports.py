"""Tasks start fast: an operator and the parts of DAGs import no message models and no heavy libraries."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PLUGINS = ROOT / "plugins"
SINGLE_CALLS = {
    f"rescind.operators.{name}" for name in ("wedata", "dms", "quickbi", "bases.single_write", "bases.vendor_call")
}
"""Modules of operators for single calls: they are about messages and need them."""
OPERATORS = sorted(
    ".".join(path.relative_to(PLUGINS).with_suffix("").parts)
    for path in (PLUGINS / "rescind/operators").rglob("[!_]*.py")
)
MODULES = [*OPERATORS, "rescind.dag_parts.trigger_forms"]
MESSAGES = {f"rescind.cloud.{vendor}" for vendor in ("wedata", "dms", "quickbi")}
HEAVY = {
    "fastapi",
    "networkx",
    "numpy",
    "pandas",
    "polars",
    "rustworkx",
    "scipy",
    "sqlalchemy",
    "starlette",
    "weasyprint",
}
# Airflow takes most of the time, so it is imported once, and each module in a fork of that process.
CODE = """
import importlib, json, os, sys
import airflow.sdk.execution_time.task_runner
before = set(sys.modules)
for module in sys.argv[1:]:
    if os.fork() == 0:
        importlib.import_module(module)
        print(json.dumps([module, sorted(set(sys.modules) - before)]), flush=True)
        os._exit(0)
    os.wait()
"""


@pytest.fixture(scope="module")
def loaded() -> dict[str, set[str]]:
    """What importing each module loads beyond Airflow's task runner."""
    environment = {**os.environ, "PYTHONPATH": str(PLUGINS), "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR"}
    command = [sys.executable, "-c", CODE, *MODULES]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]
    return {module: set(names) for module, names in rows}


@pytest.mark.parametrize("module", MODULES)
def test_an_import_stays_light(loaded: dict[str, set[str]], module: str) -> None:
    names = loaded[module]
    assert module in names
    assert {name for name in names if name.split(".")[0] in HEAVY} == set()
    if module not in SINGLE_CALLS:
        assert {name for name in names if ".".join(name.split(".")[:3]) in MESSAGES} == set()
