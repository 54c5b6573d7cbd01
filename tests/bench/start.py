"""What it costs to start a task, and to have the one-machine stack waiting: processor time beside the aims.

Imports: processor seconds that a fresh process needs for an operator, beyond those of Airflow's task runner; the least
of several. Rest: the whole stack without a run, a minute after its start; share of one processor, by component.

    python -m tests.bench.start [--quick] [--only imports|rest] [--seconds N] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from tests.bench.aims import Aim, show
from tests.support.servers.emulator import ROOT

sys.path.insert(0, str(ROOT / "include"))
from local.config import load
from local.stack import Stack
from tests.support.servers.live import _free_port

RUNNER = "airflow.sdk.execution_time.task_runner"
OPERATORS = ("preflight", "discover", "decide", "canary", "revoke", "verify", "report")
_IMPORT = "import time, {runner}; began = time.process_time(); import {module}; print(time.process_time() - began)"
AT_REST = 5.0
"""Most percent of one processor that a stack may use while nothing happens."""
IMPORT_S = 0.5
SETTLED_S = 60.0
"""After its start a stack still imports and compiles for a while."""


def import_seconds(module: str, times: int) -> float:
    """Processor seconds for a module beyond Airflow's task runner, with compiled bytecode."""
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    path = os.pathsep.join(str(ROOT / name) for name in ("plugins", "include"))
    with tempfile.TemporaryDirectory(prefix="rescind-bench-") as home:
        environ |= {"PYTHONPATH": path, "AIRFLOW_HOME": home}
        command = [sys.executable, "-c", _IMPORT.format(runner=RUNNER, module=module)]
        runs = [subprocess.run(command, env=environ, capture_output=True, check=True) for _ in range(times + 1)]
    return min(float(run.stdout.split()[-1]) for run in runs[1:])


def imports(times: int) -> Iterator[tuple[str, float]]:
    """Each operator with its seconds."""
    print("| operator | processor s beyond Airflow's task runner |\n| --- | ---: |")
    for name in OPERATORS:
        seconds = import_seconds(f"rescind.operators.{name}", times)
        print(f"| {name} | {seconds:.2f} |", flush=True)
        yield name, seconds


def rest(seconds: float, settled: float, *, emulator: bool) -> dict[str, float]:
    """Percent of one processor that each component of a stack uses while nothing happens.

    :param emulator: the stack of the demonstration; else that of ``make up``.
    """
    with tempfile.TemporaryDirectory(prefix="rsc-bench-") as folder:
        own = {"RESCIND_STATE_DIR": f"{folder}/s", "RESCIND_START_TIMEOUT": "400"}
        own |= {name: str(_free_port()) for name in ("RESCIND_UI_PORT", "RESCIND_EMULATOR_PORT")}
        stack = Stack(load(environ={**os.environ, **own}), say=lambda _: None)
        try:
            stack.up(emulator=emulator, reset=emulator)
            time.sleep(settled)
            before, began = _spent(stack), time.monotonic()
            time.sleep(seconds)
            after, wall = _spent(stack), time.monotonic() - began
        finally:
            stack.clean()
    return {name: 100 * (after[name] - before.get(name, 0.0)) / wall for name in after}


def _spent(stack: Stack) -> dict[str, float]:
    """Processor seconds of each component, of its children, and of those that have ended."""
    found: dict[str, float] = {}
    for record in stack.registry.records():
        process = psutil.Process(record.pid)
        tree = [process, *process.children(recursive=True)]
        found[record.name] = sum(sum(one.cpu_times()[:4]) for one in tree)
    return found


def main(arguments: list[str] | None = None) -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="two imports each, and 15 seconds of rest")
    parser.add_argument("--only", choices=("imports", "rest"), default="")
    parser.add_argument("--seconds", type=float, default=0, help="how long the stack is watched (default: 60)")
    parser.add_argument("--json", default="", help="write the figures to this file as well")
    options = parser.parse_args(arguments)
    figures: dict[str, dict[str, float]] = {}
    aims: list[Aim] = []
    if options.only in ("", "imports"):
        figures["imports"] = dict(imports(2 if options.quick else 7))
        most = max(figures["imports"].values())
        aims.append(Aim("import of an operator beyond Airflow's, the slowest", most, IMPORT_S, "processor s"))
    if options.only in ("", "rest"):
        seconds = options.seconds or (15.0 if options.quick else 60.0)
        settled = 15.0 if options.quick else SETTLED_S
        for name, emulator in (("make up", False), ("the demonstration", True)):
            figures[name] = rest(seconds, settled, emulator=emulator)
            print(f"\n| component of the stack of {name}, at rest | percent of one processor |\n| --- | ---: |")
            for component, percent in figures[name].items():
                print(f"| {component} | {percent:.1f} |")
            what = f"the stack of {name} at rest, all processes"
            aims.append(Aim(what, sum(figures[name].values()), AT_REST, "% of one processor"))
    show(aims)
    if options.json:
        Path(options.json).write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
