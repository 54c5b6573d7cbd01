"""Reviews on a running Airflow whose users have numbers for ids, with DAGs from a Git repository.

The providers are not part of the ordinary environment, because they bring Flask and its extensions. To run this:
``uv pip install -r requirements-auth.txt apache-airflow-providers-git -c constraints.txt``, then ``pytest -m auth``.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from local.errors import ApiError
from rescind.ledger import Ledger
from tests.support.servers.fab_stack import GIT, SECOND, FabStack, fab_stack
from tests.support.servers.live import LiveStack

pytestmark = [
    pytest.mark.auth,
    pytest.mark.live,
    pytest.mark.seconds(900),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),  # clients of the stack itself
]
DAG = "revoke_access"


@pytest.fixture(scope="module")
def fab() -> Iterator[tuple[LiveStack, FabStack]]:
    pytest.importorskip("airflow.providers.fab", reason="the FAB provider is in requirements-auth.txt")
    with fab_stack() as running:
        rita = running[0].api("rita")
        rita.wait_for_dag(DAG, 120)
        rita.unpause(DAG)
        yield running


def _request(person: dict[str, Any]) -> dict[str, Any]:
    return {
        "principals": [person["person_id"]],
        "systems": ["dms_permissions"],
        "reason": "last day today",
        "dry_run": False,
    }


def _waiting(live: LiveStack, run: str) -> Any:
    """The task that waits for an answer."""
    for row, tasks in live.api("ada").watch(DAG, run, 300):
        for task in tasks:
            if task["state"] == "awaiting_input":
                return task
        failed = [live.api("ada").log(task)[-1500:] for task in tasks if task["state"] == "failed"]
        assert row["state"] != "failed", failed
    raise AssertionError("nobody was asked")


def _ledger(stack: FabStack) -> Ledger:
    fields = json.loads(stack.env["AIRFLOW_CONN_RESCIND_LEDGER"])
    names = {"host": "host", "port": "port", "login": "user", "password": "password", "schema": "dbname"}
    return Ledger(" ".join(f"{names[name]}={value}" for name, value in fields.items() if name in names))


def test_the_page_records_the_auth_manager(fab: tuple[LiveStack, FabStack]) -> None:
    live, stack = fab
    header = dict(live.api("ada")._client.headers)["authorization"]
    page = httpx.get(f"{live.config.base_url}/rescind/runs", headers={"authorization": header}, trust_env=False)
    assert page.status_code == 200
    with _ledger(stack) as ledger:
        assert ledger.deployment.auth_manager() == "FabAuthManager"


def test_the_requester_is_not_asked_and_another_approver_answers(fab: tuple[LiveStack, FabStack]) -> None:
    live, _ = fab
    run = live.api("rita").trigger(DAG, _request(live.holders()[0]))
    task = _waiting(live, run)
    question = live.api("omar").question(task)
    assert question["assigned_users"] == [{"id": "2", "name": "omar"}]
    with pytest.raises(ApiError) as refused:
        live.api("rita").answer(task, [question["options"][0]])
    assert refused.value.status == 403
    row, _, _ = live.carried_out(DAG, run)
    assert row["state"] == "success"
    if GIT:
        assert row["bundle_version"], "the run is bound to a commit of the repository"
    summary = live.summary(DAG, run)
    assert (summary["requested_by"], summary["approved_by"], summary["approved_by_name"]) == ("rita", "2", "omar")


def test_a_user_called_like_the_number_of_the_approver_is_another_one(fab: tuple[LiveStack, FabStack]) -> None:
    live, _ = fab
    run = live.api(SECOND).trigger(DAG, _request(live.holders()[1]))
    task = _waiting(live, run)
    assert [user["name"] for user in live.api("omar").question(task)["assigned_users"]] == ["rita", "omar"]
    with pytest.raises(ApiError) as refused:
        live.api(SECOND).answer(task, [live.api(SECOND).question(task)["options"][0]])
    assert refused.value.status == 403
    row, _, _ = live.carried_out(DAG, run)
    assert row["state"] == "success"
    assert live.summary(DAG, run)["requested_by"] == SECOND


def test_a_run_of_the_command_line_sends_nothing(fab: tuple[LiveStack, FabStack]) -> None:
    live, stack = fab
    command = [sys.executable, "-P", "-W", "ignore", "-m", "airflow", "dags", "trigger", DAG, "--run-id", "by-command"]
    conf = json.dumps(_request(live.holders()[2]))
    subprocess.run([*command, "--conf", conf], env=stack.env, check=True, timeout=120, capture_output=True)
    ada = live.api("ada")
    assert ada.wait(DAG, "by-command", 300)["state"] == "failed"
    (preflight,) = [task for task in ada.tasks(DAG, "by-command") if task["task_id"] == "preflight"]
    assert "is unverified" in ada.log(preflight) and "airflow dags trigger" in ada.log(preflight)
