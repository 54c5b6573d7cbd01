"""Asset events on a real API server of Airflow: its audit log tells who sent each, as the package reads it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from rescind.hooks.airflow_instance.api import AIRFLOW_CONNECTION
from rescind.hooks.airflow_instance.event_senders import look_up_senders
from rescind.workflow.offboarding.leaver_events import Event, digest_of, read_events
from tests.support.servers.api_server import ApiServer, running_api_server
from tests.support.servers.emulator import ROOT

pytestmark = [pytest.mark.airflow, pytest.mark.seconds(300)]
USERS = {"hr_sync": "op", "anna": "admin"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    home = tmp_path_factory.mktemp("airflow")
    (home / "dags").mkdir()
    shutil.copy(ROOT / "dags" / "offboard.py", home / "dags")
    more = {"AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
    with running_api_server(home, USERS, **more) as found:
        env = {**os.environ, "AIRFLOW_HOME": str(home), "PYTHONPATH": f"{ROOT}:{ROOT / 'plugins'}", **more}
        env |= {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db"}
        command = [sys.executable, "-W", "ignore", "-m", "airflow", "dags", "reserialize"]
        subprocess.run(command, env=env, check=True, capture_output=True, timeout=150)
        yield found


def ask(server: ApiServer, user: str, method: str, path: str, **more: Any) -> Any:
    headers = {"authorization": f"Bearer {server.token(user)}"}
    answer = httpx.request(
        method,
        f"{server.base}/api/v2{path}",
        headers=headers,
        trust_env=False,
        timeout=30,
        follow_redirects=True,
        **more,
    )
    assert answer.status_code < 300, answer.text
    return answer.json()


def events(server: ApiServer) -> list[Event]:
    """Every event of the asset, as the package reads it."""
    rows = ask(server, "anna", "GET", "/assets/events", params={"order_by": "timestamp"})["asset_events"]
    return read_events(
        SimpleNamespace(
            timestamp=datetime.fromisoformat(row["timestamp"].replace("Z", "+00:00")),
            extra=row["extra"],
            source_dag_id=row["source_dag_id"],
        )
        for row in rows
    )


def test_the_audit_log_tells_who_sent_each_event(server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    (asset,) = ask(server, "hr_sync", "GET", "/assets", params={"name_pattern": "rescind_leavers"})["assets"]
    sent = [
        ("hr_sync", {"principals": ["person_id:P1"], "reason": "last day, 离职", "ticket": "HR-1"}),
        ("anna", {"principals": ["person_id:P2"]}),
        ("hr_sync", {"principals": ["person_id:P3"]}),
        ("anna", {"principals": ["person_id:P3"]}),
        ("anna", {"from_trigger": True, "payload": '{"principals": ["person_id:P4"]}', "from_rest_api": False}),
    ]
    for user, extra in sent:
        ask(server, user, "POST", "/assets/events", json={"asset_id": asset["id"], "extra": extra})
    found = events(server)
    assert [one.way for one in found] == ["rest_api"] * 5
    assert [one.said.principals if one.said else None for one in found] == [
        ("person_id:P1",), ("person_id:P2",), ("person_id:P3",), ("person_id:P3",), None,
    ]  # fmt: skip
    connection = {"conn_type": "http", "host": server.base, "login": "anna", "password": server.users["anna"]}
    monkeypatch.setenv(f"AIRFLOW_CONN_{AIRFLOW_CONNECTION.upper()}", json.dumps(connection))
    senders, unknown = look_up_senders([(one.at, one.sha256) for one in found], digest_of)
    told = [senders.get((one.at, one.sha256), "") for one in found]
    assert (told, unknown) == (["hr_sync", "anna", "", "", "anna"], ""), "P3 was sent by two users"


def test_a_run_of_the_dag_cannot_be_started_by_hand(server: ApiServer) -> None:
    headers = {"authorization": f"Bearer {server.token('anna')}"}
    body = {"logical_date": None, "conf": {"dry_run": False}}
    answer = httpx.post(f"{server.base}/api/v2/dags/offboard/dagRuns", json=body, headers=headers, trust_env=False)
    assert answer.status_code == 400 and "manual" in answer.text, answer.text
