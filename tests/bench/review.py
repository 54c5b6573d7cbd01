"""Whole reviews on real Airflow: how close the revoke stage comes to its floor, and what it costs.

    python -m tests.bench.review [--grants 80000] [--executor local celery] [--json FILE] [--quick]

The floor of a stage is what its slowest bucket needs: requests / limit. Beside it, in the same run: one mapped
Airflow task for each grant, as a DAG of single calls would do it, and its time for as many grants.
Memory is the largest resident size of a task's processes, seen twice a second.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil

from tests.bench.aims import Aim, show
from tests.support.servers.emulator import ROOT

sys.path.insert(0, str(ROOT / "include"))
from local import emulated
from local.api import AirflowApi, Json
from local.config import Config, load
from local.demo.review import READING_SECONDS
from local.demo.truth import judge
from local.stack import Stack
from local.state import load_secrets
from tests.support.servers.live import _free_port

DAG = "access_review"
LONGEST_S = 3600.0
WRITES = {
    "wedata_privileges": "RevokePrivileges",
    "wedata_data_sources": "RevokeDataSourceAuthorization",
    "dms_permissions": "RevokeUserPermission",
    "quickbi_menus": "CancelAuthorizationMenu",
}
QUESTIONS = ("ask", "approve", "approve_part")
SETTINGS = {"max_revocations": 1_000_000, "max_percent": 90, "batch_seconds": 60, "settle_seconds": 1.0}
SINGLE_CALLS = '''
"""One mapped task for each grant: what a DAG of single calls does."""

from airflow.sdk import DAG, task

from rescind.hooks.wedata import WeDataHook

with DAG("single_calls", schedule=None, params={"calls": 100}) as dag:

    @task
    def grants(params=None):
        return list(range(params["calls"]))

    @task
    def revoke(number):
        WeDataHook("wedata_default").test_connection()

    revoke.expand(number=grants())
'''
"""The call is the cheapest one that there is, so that the figure shows Airflow's part."""


STAGES = ("preflight", "discover", "seal", "decide", "plan", "canary", "verify_canary", "revoke", "verify", "report")


@dataclass(frozen=True)
class Stage:
    """One stage: its busiest bucket, and seconds.

    :param floor: requests of that bucket / its limit.
    :param wall: from the start of its first task to the end of its last one.
    """

    name: str
    bucket: str
    floor: float
    wall: float


@dataclass(frozen=True)
class Figures:
    """One row: seconds, megabytes, counts.

    :param stages: in the order of the run. What one stage sends while another runs counts for both.
    :param asked_s: seconds in which a question waited for its answer.
    :param timeline: each task with its label, its begin and its end in seconds since the run's first task, and the
        largest of its processes in megabytes.
    """

    executor: str
    grants: int
    planned: int
    calls: int
    tasks: int
    floor_s: float
    revoke_s: float
    ratio: float
    throttled: int
    run_s: float
    task_mb: float
    silence_s: float
    exact: bool
    single_per_s: float
    asked_s: float
    stages: list[Stage]
    timeline: list[tuple[str, str, float, float, float]]


class Watcher(threading.Thread):
    """Looks twice a second: the largest task process, and how long scheduler or triggerer were silent."""

    def __init__(self, api: AirflowApi) -> None:
        super().__init__(daemon=True)
        self.api, self.silence, self.done = api, 0.0, threading.Event()
        self.sizes: dict[str, int] = {}

    def run(self) -> None:
        """Until :attr:`done`."""
        while not self.done.wait(0.5):
            for process in psutil.process_iter(["name", "cmdline", "memory_info"]):
                words = " ".join(process.info["cmdline"] or ())
                if process.info["memory_info"] and ("airflow worker" in words or "airflow task" in words):
                    words = words.strip()
                    self.sizes[words] = max(self.sizes.get(words, 0), process.info["memory_info"].rss)
            with suppress(Exception):
                health = self.api.health()
                for part in ("scheduler", "triggerer"):
                    beat = datetime.fromisoformat(health[part][f"latest_{part}_heartbeat"])
                    self.silence = max(self.silence, time.time() - beat.timestamp())


def measure(executor: str, grants: int, singles: int) -> Figures:
    """One review from an empty stack to the gate."""
    state = Path(tempfile.mkdtemp(prefix="rsc-bench-"))
    dags = state / "dags"
    shutil.copytree(ROOT / "dags", dags, ignore=shutil.ignore_patterns("__pycache__"))
    (dags / "single_calls.py").write_text(SINGLE_CALLS, encoding="utf-8")
    os.environ |= {"RESCIND_DEMO_SETTINGS": json.dumps(SETTINGS)}
    ports = {"RESCIND_UI_PORT": str(_free_port()), "RESCIND_EMULATOR_PORT": str(_free_port())}
    size = {"RESCIND_EMULATOR_GRANTS": str(grants), "RESCIND_EXECUTOR": executor, "RESCIND_START_TIMEOUT": "400"}
    config = load(
        environ={**os.environ, **ports, **size, "RESCIND_STATE_DIR": str(state / "s"), "RESCIND_DAGS_DIR": str(dags)}
    )
    stack = Stack(config)
    try:
        return _review(config, stack, executor, grants, singles)
    finally:
        stack.clean()
        shutil.rmtree(state, ignore_errors=True)


def _review(config: Config, stack: Stack, executor: str, grants: int, singles: int) -> Figures:
    running = stack.up(emulator=True, reset=True)
    control = emulated.Control(config.emulator_url, load_secrets(config.state).emulator_token)
    with ExitStack() as clients:
        rita, omar = (
            clients.enter_context(AirflowApi(config.base_url, user, running.passwords[user]))
            for user in ("rita", "omar")
        )
        before = control.get("truth")
        watcher = Watcher(rita)
        watcher.start()
        began = time.monotonic()
        run, tasks = _hold(rita, omar)
        run_s = time.monotonic() - began
        watcher.done.set()
        summary = json.loads(Path(rita.xcom(DAG, run, "report")["summary"]).read_text(encoding="utf-8"))
        limits = {bucket["action"]: bucket for bucket in control.get("stats")["buckets"]}
        floor = max(row["calls"] / limits[WRITES[row["system"]]]["limit"] for row in summary["systems"])
        revoke = sum(_seconds(tasks, stage) for stage in ("canary", "revoke"))
        for problem in summary["problems"]:
            print(f"PROBLEM: {problem}", file=sys.stderr)
        exact = all(
            one.holds and not one.added for one in judge(before, control.get("truth"), Path(summary["items_file"]))
        )
        return Figures(
            executor=executor,
            grants=sum(row["discovered"] for row in summary["systems"]),
            planned=sum(row["items"] for row in summary["systems"]),
            calls=summary["calls"],
            tasks=sum(task["task_id"] in ("canary", "revoke") for task in tasks),
            floor_s=floor,
            revoke_s=revoke,
            ratio=revoke / floor,
            throttled=sum(limits[action]["throttled"] for action in WRITES.values() if action in limits),
            run_s=run_s,
            task_mb=max(watcher.sizes.values(), default=0) / 1e6,
            silence_s=watcher.silence,
            exact=exact and not summary["problems"],
            single_per_s=_singles(rita, singles),
            asked_s=sum(_seconds(tasks, task) for task in QUESTIONS),
            stages=_stages(tasks, control.get("journal?kind=request")["entries"], limits),
            timeline=_timeline(tasks, watcher.sizes),
        )


def _hold(rita: AirflowApi, omar: AirflowApi) -> tuple[str, list[Json]]:
    rita.wait_for_dag(DAG, 120)
    rita.unpause(DAG)
    run = rita.trigger(DAG, {"dry_run": False, "reason": "Benchmark of a whole review"})
    answered: set[int] = set()
    tasks: list[Json] = []
    for _, tasks in rita.watch(DAG, run, LONGEST_S, interval=2.0):
        for task in tasks:
            if task["state"] == "awaiting_input" and task["try_number"] not in answered:
                time.sleep(READING_SECONDS)
                omar.answer(task, [omar.question(task)["options"][0]])
                answered.add(task["try_number"])
    return run, tasks


def _seconds(tasks: list[Json], stage: str) -> float:
    """From the start of a stage's first task to the end of its last one."""
    own = [task for task in tasks if task["task_id"] == stage and task["start_date"] and task["end_date"]]
    if not own:
        return 0.0
    first = min(datetime.fromisoformat(task["start_date"]) for task in own)
    return (max(datetime.fromisoformat(task["end_date"]) for task in own) - first).total_seconds()


def _stages(tasks: list[Json], entries: list[Json], limits: dict[str, Any]) -> list[Stage]:
    """Each stage that ran, with the requests that arrived in its time. Only revocation sends writes."""
    found = []
    for name in STAGES:
        ran = [task for task in tasks if task["task_id"] == name and task["start_date"] and task["end_date"]]
        if not ran:
            continue
        began, ended = (
            choose(datetime.fromisoformat(task[at]).timestamp() for task in ran)
            for choose, at in ((min, "start_date"), (max, "end_date"))
        )
        writes = name in ("canary", "revoke")
        seen = Counter(e["action"] for e in entries if began <= e["time"] <= ended and (writes or not e["write"]))
        floors = {action: n / limits[action]["limit"] for action, n in seen.items() if limits[action]["limit"]}
        busiest = max(floors, key=floors.__getitem__, default="")
        found.append(Stage(name, busiest, floors.get(busiest, 0.0), ended - began))
    return found


def _timeline(tasks: list[Json], sizes: dict[str, int]) -> list[tuple[str, str, float, float, float]]:
    """When each task ran, and how large it was; its process has its id for a title."""
    ran = [task for task in tasks if task["start_date"] and task["end_date"]]
    times = {task["id"]: [datetime.fromisoformat(task[at]) for at in ("start_date", "end_date")] for task in ran}
    zero = min(begin for begin, _ in times.values())
    found = []
    for task in ran:
        begin, end = (round((at - zero).total_seconds(), 1) for at in times[task["id"]])
        size = max((size for title, size in sizes.items() if task["id"] in title), default=0)
        found.append((task["task_id"], str(task["rendered_map_index"] or ""), begin, end, round(size / 1e6, 1)))
    return sorted(found, key=lambda one: one[2:4])


def _singles(rita: AirflowApi, calls: int) -> float:
    """Mapped tasks of one call each that Airflow finishes in a second."""
    rita.wait_for_dag("single_calls", 120)
    rita.unpause("single_calls")
    run = rita.trigger("single_calls", {"calls": calls})
    for _ in rita.watch("single_calls", run, LONGEST_S, interval=1.0):
        pass
    return calls / _seconds(rita.tasks("single_calls", run), "revoke")


def aims(row: Figures) -> Iterator[Aim]:
    """The aims of one run; how long it waited for its approver is left out."""
    floor, wall = sum(stage.floor for stage in row.stages), row.run_s - row.asked_s
    what = f"{row.grants:,} grants, {row.executor} executor"
    most = 1.35 if row.grants < 10_000 else 1.15
    single = row.planned / row.single_per_s
    today = f"one mapped task per grant: {single:,.0f} s, {single / row.floor_s:.1f} times the floor of the revocations"
    yield Aim(f"{what}: whole run ({wall:.0f} s) / summed floors of its stages ({floor:.0f} s)", wall / floor, most)
    yield Aim(f"{what}: revoke stage / its floor", row.ratio, 1.15, today=today)
    yield Aim(f"{what}: memory of the largest task", row.task_mb, 300, "MB")


def main(arguments: list[str] | None = None) -> int:
    """Print one row for each executor."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="the demonstration's size, about two minutes a row")
    parser.add_argument("--grants", type=int, default=80_000, help="size of the organization")
    parser.add_argument("--executor", nargs="+", choices=("local", "celery"), default=["local", "celery"])
    parser.add_argument("--json", default="", help="write the figures to this file as well")
    options = parser.parse_args(arguments)
    grants, singles = (2_800, 30) if options.quick else (options.grants, 200)
    rows: list[Figures] = []
    print("| executor | grants | planned | calls | tasks | floor s | revoke s | ratio | throttled | run s | task MB |"
          " silence s | exact | one task a grant: per s | as long for all, s |")  # fmt: skip
    print("| --- " * 15 + "|", flush=True)
    for executor in options.executor:
        row = measure(executor, grants, singles)
        rows.append(row)
        print(f"| {row.executor} | {row.grants} | {row.planned} | {row.calls} | {row.tasks} | {row.floor_s:.1f} |"
              f" {row.revoke_s:.1f} | {row.ratio:.2f} | {row.throttled} | {row.run_s:.0f} | {row.task_mb:.0f} |"
              f" {row.silence_s:.1f} | {'yes' if row.exact else 'NO'} | {row.single_per_s:.2f} |"
              f" {row.planned / row.single_per_s:.0f} |", flush=True)  # fmt: skip
    print(
        "\n| executor | stage | busiest bucket | floor s | wall s | ratio |\n| --- | --- | --- | ---: | ---: | ---: |"
    )
    for row in rows:
        for stage in row.stages:
            ratio = f"{stage.wall / stage.floor:.2f}" if stage.floor >= 0.5 else ""
            print(
                f"| {row.executor} | {stage.name} | {stage.bucket} | {stage.floor:.1f} | {stage.wall:.1f} | {ratio} |"
            )
    show(one for row in rows for one in aims(row))
    if options.json:
        Path(options.json).write_text(json.dumps([asdict(row) for row in rows], indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
