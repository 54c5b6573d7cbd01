"""Deadlines for reviews that wait too long: kept by Airflow, and told through a notifier."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.http.notifications.http import HttpNotifier
from airflow.sdk import DAG
from airflow.sdk.definitions.callback import SyncCallback

from rescind.operators.chain import overdue, review_chain

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

    from tests.support.emulator import ROOT

    dags = DagBag(dag_folder=str(ROOT / "dags")).dags
    assert dags and [dag_id for dag_id, dag in dags.items() if dag.deadline] == []


def test_a_missed_deadline_reaches_the_notifier(monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow's own runner of callbacks, with what it stored, against a real server."""
    import structlog
    from airflow.sdk.execution_time.callback_supervisor import execute_callback

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
    (alert,) = overdue(timedelta(days=1), tell=SyncCallback(HttpNotifier, kwargs=dict(CHAT)))
    kept = json.loads(json.dumps(alert.callback.serialize()))
    context = {"dag_run": {"dag_id": "our_review"}, "deadline": {"id": "1"}}
    try:
        done, error = execute_callback(
            kept["path"], {**kept["kwargs"], "context": context}, Path("x.py"), None, structlog.get_logger()
        )
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert done, error
    assert [json.loads(body) for body in told] == [CHAT["json"]]
