"""Deadlines for reviews that wait too long: kept by Airflow, and told through a notifier."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.http.notifications.http import HttpNotifier
from airflow.sdk import DAG
from airflow.sdk.definitions.callback import SyncCallback

from rescind.dag_parts.review_dag import overdue, review_chain
from tests.support.servers.emulator import ROOT

CHAT = {"http_conn_id": "chat", "endpoint": "/hook", "json": {"text": "a review has been waiting for a day"}}


def _dag(*after: timedelta) -> DAG:
    """A deployment's own DAG file, as it would be written."""
    with DAG(
        dag_id="our_review",
        schedule=None,
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        deadline=overdue(*after, tell=SyncCallback(HttpNotifier, kwargs=dict(CHAT))),
    ) as dag:
        review_chain(kind="policy")
    return dag


def test_reminders_are_stored_with_the_dag_in_their_order() -> None:
    from airflow.serialization.serialized_objects import DagSerialization

    stored = DagSerialization.to_dict(_dag(timedelta(days=3), timedelta(days=1), timedelta(days=1)))
    alerts = json.loads(json.dumps(stored))["dag"]["deadline"]
    facts = [alert.get("__var", alert) for alert in alerts]
    assert [fact["reference"]["reference_type"] for fact in facts] == ["DagRunQueuedAtDeadline"] * 2
    assert [fact["interval"]["__data__"] for fact in facts] == [86_400.0, 3 * 86_400.0]


@pytest.mark.parametrize("after", [(), (timedelta(0),), (timedelta(days=1), timedelta(days=-1))])
def test_a_deadline_without_a_time_is_refused(after: tuple[timedelta, ...]) -> None:
    with pytest.raises(ValueError, match="at least one positive time"):
        overdue(*after, tell=SyncCallback(HttpNotifier, kwargs=dict(CHAT)))


def test_the_shipped_dags_have_none() -> None:
    from airflow.dag_processing.dagbag import DagBag

    dags = DagBag(dag_folder=str(ROOT / "dags")).dags
    assert dags and [dag_id for dag_id, dag in dags.items() if dag.deadline] == []


@pytest.mark.airflow
def test_a_missed_deadline_reaches_the_notifier(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run with two deadlines in Airflow's database misses the first; Airflow's own runner tells a real server."""
    import structlog
    from airflow.sdk.execution_time.callback_supervisor import execute_callback

    kept = _missed(tmp_path)
    assert kept["deadlines"] == 2 and kept["missed"] == 1 and kept["state"] == "pending"
    assert kept["kwargs"]["context"]["dag_run"]["dag_run_id"] == "waiting"
    told: list[bytes] = []

    class Chat(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Chat)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    chat = {"conn_type": "http", "host": "127.0.0.1", "port": server.server_address[1]}
    monkeypatch.setenv("AIRFLOW_CONN_CHAT", json.dumps(chat))
    try:
        done, error = execute_callback(kept["path"], kept["kwargs"], Path("x.py"), None, structlog.get_logger())
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert done, error
    assert [json.loads(body) for body in told] == [CHAT["json"]]


PROBE = """
import json, sys
from datetime import UTC, datetime

from airflow.models.dagbundle import DagBundleModel
from airflow.models.deadline import Deadline
from airflow.models.serialized_dag import SerializedDagModel
from airflow.serialization.definitions.dag import SerializedDAG
from airflow.serialization.serialized_objects import LazyDeserializedDAG
from airflow.utils.db import initdb
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState
from airflow.utils.types import DagRunTriggeredByType, DagRunType
from datetime import timedelta
from tests.dags.test_deadlines import _dag

initdb()
dag = _dag(timedelta(days=1), timedelta(days=3))
with create_session() as session:
    session.add(DagBundleModel(name="here"))
    session.flush()
    SerializedDAG.bulk_write_to_db("here", None, [dag], session=session)
    SerializedDagModel.write_dag(LazyDeserializedDAG.from_dag(dag), "here", session=session)
with create_session() as session:
    stored = SerializedDagModel.get_dag(dag.dag_id, session=session)
    stored.create_dagrun(
        run_id="waiting", run_type=DagRunType.MANUAL, triggered_by=DagRunTriggeredByType.TEST,
        state=DagRunState.QUEUED, run_after=datetime.now(UTC), session=session,
    )
    session.flush()
    alerts = sorted(session.query(Deadline).all(), key=lambda alert: alert.deadline_time)
    alerts[0].handle_miss(session)
    session.flush()
    callback = alerts[0].callback
    facts = {"deadlines": len(alerts), "missed": sum(a.missed for a in alerts), "state": str(callback.state),
             "path": callback.data["path"], "kwargs": callback.data["kwargs"]}
    print("PROBE " + json.dumps(facts, default=str))
"""


def _missed(home: Path) -> dict[str, Any]:
    """What Airflow holds after a run's first deadline has passed, from a process with a database of its own."""
    env = {name: text for name, text in os.environ.items() if not name.startswith("AIRFLOW")}
    env |= {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "plugins")]),
    }
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROBE],
        env=env,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("PROBE ")]
    assert lines, f"the probe did not finish:\n{done.stdout[-1500:]}\n{done.stderr[-3000:]}"
    facts: dict[str, Any] = json.loads(lines[-1].removeprefix("PROBE "))
    return facts
