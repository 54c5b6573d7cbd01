"""Ways around the approval, tried on real Airflow by somebody with every right: none of them sends a call."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from local.api import AirflowApi, Json
from local.demo.review import READING_SECONDS
from local.errors import ApiError
from tests.support.servers.live import LiveStack

pytestmark = [pytest.mark.live, pytest.mark.seconds(900)]
DAG = "revoke_access"


@pytest.fixture
def before(live: LiveStack) -> Iterator[Any]:
    """The emulator's truth, which must be the same at the end."""
    api = live.api("rita")
    api.wait_for_dag(DAG, 60)
    api.unpause(DAG)
    truth = live.control.get("truth")
    yield truth
    assert live.control.get("truth") == truth


def _asked(live: LiveStack) -> tuple[str, Json]:
    """A leaver's run that waits for its answer: the run and the waiting task."""
    api = live.api("rita")
    conf = {"principals": [live.holder()["person_id"]], "reason": "last day today", "dry_run": False}
    run = api.trigger(DAG, conf)
    for _, tasks in api.watch(DAG, run, 300):
        waiting = [task for task in tasks if task["state"] == "awaiting_input"]
        if waiting:
            time.sleep(READING_SECONDS)
            return run, waiting[0]
    raise AssertionError(f"the run ended without a question: {[(t['task_id'], t['state']) for t in tasks]}")


def _set(api: AirflowApi, task: Json, state: str) -> None:
    path = f"/dags/{DAG}/dagRuns/{task['dag_run_id']}/taskInstances/{task['task_id']}/{task['map_index']}"
    api.patch(path, {"new_state": state})


def _clear(api: AirflowApi, run: str, *tasks: str) -> None:
    body = {"dry_run": False, "dag_run_id": run, "task_ids": list(tasks), "only_failed": False}
    api.post(f"/dags/{DAG}/clearTaskInstances", {**body, "include_downstream": True})


def _logs(api: AirflowApi, run: str, task_id: str) -> str:
    """The logs of a task's instances that have run."""
    ran = [task for task in api.tasks(DAG, run) if task["task_id"] == task_id and task["start_date"]]
    return "\n".join(api.log(task) for task in ran)


def test_marking_the_approval_as_success_approves_nothing(live: LiveStack, before: Any) -> None:
    admin = live.api("ada")
    run, task = _asked(live)
    _set(admin, task, "success")
    assert admin.wait(DAG, run, 400)["state"] == "failed"
    assert "no approver has answered" in _logs(admin, run, "revoke") + _logs(admin, run, "canary")


def test_clearing_after_a_rejection_does_not_ask_again(live: LiveStack, before: Any) -> None:
    admin = live.api("ada")
    run, task = _asked(live)
    live.api("omar").answer(task, ["Reject"])
    assert admin.wait(DAG, run, 300)["state"] == "success"
    _clear(admin, run, "approve")
    time.sleep(1)
    assert admin.wait(DAG, run, 300)["state"] == "success"
    states = {t["task_id"]: t["state"] for t in admin.tasks(DAG, run)}
    assert states["approve"] == states["revoke"] == "skipped"
    assert "the ledger already holds the answer: reject by omar" in _logs(admin, run, "approve")


def test_a_second_answer_is_refused_and_there_is_no_default(live: LiveStack, before: Any) -> None:
    admin, approver = live.api("ada"), live.api("omar")
    run, task = _asked(live)
    question = approver.question(task)
    assert not question.get("defaults") and question["options"][-1] == "Reject"
    approver.answer(task, ["Reject"])
    with pytest.raises(ApiError) as caught:
        approver.answer(task, [question["options"][0]])
    assert caught.value.status in (403, 404, 409)
    assert admin.wait(DAG, run, 300)["state"] == "success"


def test_the_requester_and_outsiders_cannot_answer(live: LiveStack, before: Any) -> None:
    run, task = _asked(live)
    option = live.api("omar").question(task)["options"][0]
    for user in ("rita", "vera"):
        with pytest.raises(ApiError) as caught:
            live.api(user).answer(task, [option])
        assert caught.value.status == 403
    live.api("omar").answer(task, ["Reject"])
    live.api("rita").wait(DAG, run, 300)


def test_batches_of_another_run_in_the_xcom_are_refused(live: LiveStack, before: Any) -> None:
    admin = live.api("ada")
    foreign = admin.runs("access_review", "success")[-1]["dag_run_id"]
    theirs = admin.xcom("access_review", foreign, "proceed")
    run, task = _asked(live)
    slots = admin.pools()["rescind_revoke"]
    _slots(admin, 0)
    try:
        live.api("omar").answer(task, [live.api("omar").question(task)["options"][0]])
        _ended(admin, run, "proceed")
        ours = admin.xcom(DAG, run, "proceed")
        changed = [{**own, "batch": other["batch"]} for own, other in zip(ours, theirs, strict=False)]
        assert changed and changed != ours
        path = f"/dags/{DAG}/dagRuns/{run}/taskInstances/proceed/xcomEntries/return_value"
        admin.patch(path, {"value": [*changed, *ours[len(changed) :]][: len(ours)], "map_index": -1})
        # What is not of this plan must not be sent; what is left of it must not either, for this test.
        live.control.post("faults", {"faults": [{"id": "no", "kind": "reset_before", "action": "*", "times": 0}]})
    finally:
        _slots(admin, slots)
    try:
        _ended(admin, run, "revoke")
    finally:
        live.control.post("faults", {"faults": [], "replace": True})
    assert "not part of the current plan" in _logs(admin, run, "revoke")
    admin.wait(DAG, run, 400)


def _slots(api: AirflowApi, slots: int) -> None:
    """How many revocation tasks may run at the same time."""
    body = {"pool": "rescind_revoke", "slots": slots, "description": "", "include_deferred": False}
    api.patch("/pools/rescind_revoke", body, update_mask="slots")


def _ended(api: AirflowApi, run: str, task_id: str) -> None:
    """Wait until every instance of a task has ended."""
    for _, tasks in api.watch(DAG, run, 400):
        own = [task["state"] for task in tasks if task["task_id"] == task_id]
        if own and set(own) <= {"success", "failed", "skipped", "upstream_failed"}:
            return
