"""A stack with Celery workers to break: what is killed comes back as it was, and each run is judged afterwards.

The judges read records that do not know of each other: the run's items, plan and ledger, and the emulator's journal
and truth.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from local.api import Json
from local.config import load
from local.demo.journal import problems
from local.demo.review import READING_SECONDS
from local.demo.truth import judge
from local.errors import ApiError
from local.migrations import ledger_dsn
from local.processes import Record, Registry
from local.stack import Stack
from tests.support.servers.emulator import ROOT
from tests.support.servers.live import LiveStack, _free_port, _outside_airflow, _passwords

DAG = "revoke_access"
SYSTEMS = ("wedata_privileges", "dms_permissions")
RUN_SECONDS = 600.0
PROVEN = {"verified_gone", "record_gone", "already_absent", "still_effective"}
QUICK_RETRIES = """

from datetime import timedelta as _timedelta

for _task in dag.tasks:
    if _task.retries:
        _task.retry_delay, _task.retries = _timedelta(seconds=2), 10
"""
"""Added to each DAG file: a task that was lost is tried again soon, and as often as the ordinary pauses would last."""


@dataclass(frozen=True)
class Part:
    """A process of the stack, with everything that is needed to start it again as it was."""

    record: Record
    environ: dict[str, str]
    folder: Path
    user: tuple[int, int] | None

    @classmethod
    def of(cls, record: Record) -> Part:
        process = psutil.Process(record.pid)
        uid, gid = process.uids().effective, process.gids().effective
        user = (uid, gid) if uid != os.geteuid() else None
        return cls(record, process.environ(), Path(process.cwd()), user)


@dataclass
class Cluster(LiveStack):
    """The running stack with its two workers.

    :param lost: parts that do not come back before the run has ended.
    """

    parts: dict[str, Part] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)

    @property
    def registry(self) -> Registry:
        if not hasattr(self, "_registry"):
            self._registry = Registry(self.config.state / "processes.json")
        return self._registry

    def close(self) -> None:
        """Stop everything, and collect what was started from here."""
        super().close()
        self.registry.stop(self.registry.records())
        for child in self.registry._children.values():
            child.wait(30)

    def note_parts(self) -> None:
        """Remember how each process was started."""
        self.parts = {record.name: Part.of(record) for record in self.registry.records()}

    def process(self, name: str) -> psutil.Process:
        """The running process of this name."""
        record = self.registry.find(name)
        assert record is not None, f"{name} does not run"
        return psutil.Process(record.pid)

    def kill(self, name: str) -> None:
        """End a process and everything below it at once, as when its machine loses power."""
        process = self.process(name)
        slay([process, *process.children(recursive=True)])

    def stop(self, name: str, number: int = signal.SIGTERM) -> None:
        """Ask a process to end, and wait until it has."""
        process = self.process(name)
        process.send_signal(number)
        psutil.wait_procs([process], timeout=60)
        assert self.registry.find(name) is None, f"{name} did not end"

    def empty_broker(self) -> None:
        """Everything that waits in the broker is gone."""
        import redis

        address = self.parts["scheduler"].environ["AIRFLOW__CELERY__BROKER_URL"]
        with redis.Redis.from_url(address.replace("redis+socket://", "unix://")) as client:
            client.flushall()

    def revive(self, name: str) -> None:
        """Start a process again as it was started first."""
        part = self.parts[name]
        record = part.record
        self.registry.start(
            name,
            record.command,
            env=part.environ,
            log=Path(record.log),
            cwd=part.folder,
            stop_signal=signal.Signals(record.stop_signal),
            grace=record.grace,
            user=part.user,
        )

    def watch_over(self) -> None:
        """Bring back what has ended, as the operator of a cluster does; what is lost for good stays away."""
        alive = {record.name for record in self.registry.records()}
        for name in self.parts.keys() - alive - self.lost:
            self.revive(name)

    def recover(self) -> None:
        """Bring back everything."""
        self.lost.clear()
        self.watch_over()
        self.until(lambda: bool(self.api("rita").dag(DAG)), "the API server answers")

    def until(self, holds: Callable[[], bool], what: str, seconds: float = 300.0) -> None:
        """Wait for a state; the API server may be away meanwhile."""
        end = time.monotonic() + seconds
        while True:
            with suppress(ApiError):
                if holds():
                    return
            assert time.monotonic() < end, f"not within {seconds:.0f} s: {what}"
            time.sleep(0.1)

    def tasks(self, run: str, task_id: str, *states: str) -> list[Json]:
        """Task instances of a run, of one task and in these states."""
        rows = self.api("rita").tasks(DAG, run)
        return [row for row in rows if row["task_id"] == task_id and (not states or row["state"] in states)]

    def writes(self) -> list[Json]:
        """Every request to change something that has reached the emulator."""
        entries = self.control.get("journal?kind=request")["entries"]
        return [entry for entry in entries if entry["write"]]

    def staff(self, grants: int) -> list[str]:
        """People who work here, are not protected, and hold about this many grants in both systems."""
        truth = self.control.get("truth")
        held = Counter(row["user_id"] for row in truth["dms_permissions"])
        held += Counter(row["subject_value"] for row in truth["wedata_privileges"] if row["subject_type"] == "User")
        chosen: list[str] = []
        for person in self.control.get("org")["people"]:
            if person["status"] == "active" and person["kind"] == "human" and not person["protected"] and grants > 0:
                grants -= held[person["dms_user_id"]] + held[person["wedata_user_id"]]
                chosen.append(person["person_id"])
        return chosen


@dataclass
class Held:
    """One run of ``revoke_access`` and what is needed to judge it."""

    cluster: Cluster
    run: str
    before: Json
    answered: set[int] = field(default_factory=set)

    @classmethod
    def begin(cls, cluster: Cluster, grants: int = 190) -> Held:
        """Set the organization back to its beginning and ask for a revocation."""
        cluster.control.post("reset")
        before = cluster.control.get("truth")
        conf = {"principals": cluster.staff(grants), "systems": list(SYSTEMS), "reason": "a case", "dry_run": False}
        return cls(cluster, cluster.api("rita").trigger(DAG, conf), before)

    def until_writing(self, writes: int = 15) -> list[Json]:
        """Answer the question, wait until that many requests were sent; the revoking tasks that run then."""
        running: list[Json] = []

        def writing() -> bool:
            self._answer()
            running[:] = self.cluster.tasks(self.run, "revoke", "running")
            return bool(running) and len(self.cluster.writes()) >= writes

        self.cluster.until(writing, "the revoke stage is at work")
        return running

    def until_gone(self, running: list[Json]) -> None:
        """Wait until the processes of these tasks have ended."""
        processes = [psutil.Process(task["pid"]) for task in running if psutil.pid_exists(task["pid"])]
        _, left = psutil.wait_procs(processes, timeout=300)
        assert not left, "tasks go on"

    def until_running(self, task_id: str) -> list[Json]:
        """Wait until a task runs; answer the question when it comes before."""
        running: list[Json] = []

        def found() -> bool:
            self._answer()
            running[:] = self.cluster.tasks(self.run, task_id, "running")
            return bool(running)

        self.cluster.until(found, f"{task_id} runs")
        return running

    def until_asked(self) -> None:
        """Wait for the question."""
        self.cluster.until(lambda: bool(self.cluster.tasks(self.run, "approve", "awaiting_input")), "a question")

    def finish(self) -> str:
        """Wait for the end of the run; its state."""
        state = ""

        def ended() -> bool:
            nonlocal state
            self.cluster.watch_over()
            self._answer()
            state = str(self.cluster.api("rita").run(DAG, self.run)["state"])
            return state in ("success", "failed")

        self.cluster.until(ended, f"the run {self.run} ends", RUN_SECONDS)
        return state

    def _answer(self) -> None:
        for task in self.cluster.tasks(self.run, "approve", "awaiting_input"):
            if task["try_number"] not in self.answered:
                time.sleep(READING_SECONDS)
                approver = self.cluster.api("omar")
                approver.answer(task, [approver.question(task)["options"][0]])
                self.answered.add(task["try_number"])

    def why(self) -> str:
        """The ends of the logs of what failed, for the message of a check."""
        api = self.cluster.api("rita")
        failed = [task for task in api.tasks(DAG, self.run) if task["state"] == "failed"]
        return "\n\n".join(f"{t['task_id']}[{t['map_index']}]\n{api.log(t)[-1500:]}" for t in failed[:3])

    def check(self) -> None:
        """What must be true after every run, whatever has happened in it."""
        summary = json.loads(Path(self.cluster.api("rita").xcom(DAG, self.run, "report")["summary"]).read_text())
        items = [json.loads(line) for line in Path(summary["items_file"]).read_text().splitlines()]
        self._check_items(items)
        after = self.cluster.control.get("truth")
        for judged in judge(self.before, after, Path(summary["items_file"])):
            assert judged.holds and judged.removed == judged.planned and not judged.added, judged
        dsn = ledger_dsn(Stack(self.cluster.config).airflow_environment())
        assert problems(dsn, summary["run"], self.cluster.control.get("journal")["entries"]) == []
        for bucket in self.cluster.control.get("stats")["buckets"]:
            if bucket["action"].startswith("Revoke"):
                assert bucket["max_sliding_accepted"] <= bucket["limit"]
                assert bucket["throttled"] <= max(5, 0.1 * bucket["requests"]), bucket

    def _check_items(self, items: list[Json]) -> None:
        """Each item is there once, sent, and in one proven final state."""
        names = Counter((i["system"], i["resource_id"], i["native_id"], i["entitlement"], *i["column"]) for i in items)
        assert len(names) == len(items) > 100, names.most_common(3)
        assert {item["state"] for item in items} <= {"accepted", "unknown", "stale"}
        assert {item["verdict"] for item in items} <= PROVEN, Counter(item["verdict"] for item in items)


def slay(processes: list[psutil.Process]) -> None:
    """SIGKILL, all at once: first stopped, so that none sees another one die."""
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)
    psutil.wait_procs(processes, timeout=20)


def quick_dags(folder: Path) -> Path:
    """The project's DAG files, with short pauses between tries."""
    for source in (ROOT / "dags").glob("*.py"):
        (folder / source.name).write_text(source.read_text(encoding="utf-8") + QUICK_RETRIES, encoding="utf-8")
    return folder


@contextmanager
def running_cluster() -> Iterator[Cluster]:
    """The stack after the demonstration's own program ran on it; stopped at the end whatever happened."""
    state = Path(tempfile.mkdtemp(prefix="rsc-"))
    dags = state / "dags"
    dags.mkdir()
    env = {
        **_outside_airflow(),
        "RESCIND_EXECUTOR": "celery",
        "RESCIND_IMPATIENT": "1",
        "RESCIND_STATE_DIR": str(state / "s"),
        "RESCIND_DAGS_DIR": str(quick_dags(dags)),
        "RESCIND_UI_PORT": str(_free_port()),
        "RESCIND_EMULATOR_PORT": str(_free_port()),
        "RESCIND_START_TIMEOUT": "400",
        "SPT_NOENV": "1",  # process titles leave the environment alone, from which processes are started again
        "RESCIND_DEMO_SETTINGS": '{"rows_per_call": {"wedata_privileges": 1}, "batch_seconds": 3}',
    }
    command = [sys.executable, str(ROOT / "include/local")]
    try:
        demo = subprocess.run([*command, "demo"], env=env, capture_output=True, text=True, timeout=900, check=False)
        assert demo.returncode == 0, demo.stdout[-4000:] + demo.stderr[-2000:]
        config = load(environ=env)
        cluster = Cluster(config, _passwords(config), demo)
        cluster.note_parts()
        try:
            yield cluster
        finally:
            cluster.close()
    finally:
        subprocess.run([*command, "clean"], env=env, capture_output=True, timeout=120, check=False)
        shutil.rmtree(state, ignore_errors=True)
