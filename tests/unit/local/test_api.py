"""The small client of Airflow's REST interface, against scripted answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from local.api import AirflowApi
from local.errors import ApiError

Reply = Callable[[httpx.Request], httpx.Response]


def client(*replies: httpx.Response | Exception, user: str | None = None) -> tuple[AirflowApi, list[httpx.Request]]:
    """A client that gets these answers, one after the other, and the requests that it sent."""
    seen: list[httpx.Request] = []
    left = list(replies)

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        reply = left.pop(0)
        if isinstance(reply, Exception):
            raise reply
        return reply

    return AirflowApi("http://127.0.0.1:1", user, "pw", transport=httpx.MockTransport(answer)), seen


def ok(body: Any) -> httpx.Response:
    return httpx.Response(200, json=body)


def test_a_user_signs_in_once_and_sends_the_token() -> None:
    api, seen = client(httpx.Response(201, json={"access_token": "t0ken"}), ok({"state": "success"}), user="rita")
    api.run("d", "r")
    assert json.loads(seen[0].content) == {"username": "rita", "password": "pw"}
    assert seen[1].headers["authorization"] == "Bearer t0ken"


def test_a_wrong_password_names_the_user_and_not_the_password() -> None:
    with pytest.raises(ApiError) as caught:
        client(httpx.Response(401, text="Invalid credentials"), user="rita")
    assert caught.value.status == 401
    assert "rita" in str(caught.value) and "pw" not in str(caught.value)


def test_no_answer_says_so() -> None:
    api, _ = client(httpx.ConnectError("refused"))
    with pytest.raises(ApiError, match="does not answer") as caught:
        api.health()
    assert caught.value.status is None and caught.value.remedy == "Is the stack up?"


def test_ids_are_quoted_in_paths() -> None:
    api, seen = client(ok({"state": "running"}))
    api.run("a/b", "manual__2026-01-01T00:00:00+00:00")
    assert seen[0].url.raw_path == b"/api/v2/dags/a%2Fb/dagRuns/manual__2026-01-01T00%3A00%3A00%2B00%3A00"


def test_a_run_is_started_with_conf_and_note_and_no_logical_date() -> None:
    api, seen = client(ok({"dag_run_id": "r1"}))
    assert api.trigger("d", {"dry_run": True}, "T-1") == "r1"
    assert json.loads(seen[0].content) == {"logical_date": None, "conf": {"dry_run": True}, "note": "T-1"}


def test_every_page_of_a_list_is_read() -> None:
    pages = [{"task_instances": [{"n": i} for i in part], "total_entries": 250} for part in
             (range(100), range(100, 200), range(200, 250))]  # fmt: skip
    api, seen = client(*map(ok, pages))
    assert [row["n"] for row in api.tasks("d", "r")] == list(range(250))
    assert [request.url.params["offset"] for request in seen] == ["0", "100", "200"]


def test_a_list_that_ends_early_ends() -> None:
    api, _ = client(ok({"task_instances": [], "total_entries": 5}))
    assert api.tasks("d", "r") == []


def test_watching_ends_with_the_end_and_yields_it() -> None:
    tasks = ok({"task_instances": [], "total_entries": 0})
    api, _ = client(ok({"state": "running"}), tasks, ok({"state": "failed"}), tasks)
    assert [run["state"] for run, _ in api.watch("d", "r", 30, interval=0)] == ["running", "failed"]


def test_watching_names_what_is_open_when_time_is_up() -> None:
    row = {"task_id": "revoke", "state": "running"}
    api, _ = client(ok({"state": "running"}), ok({"task_instances": [row], "total_entries": 1}))
    with pytest.raises(ApiError, match="still running after 0 s; open: revoke running"):
        list(api.watch("d", "r", 0, interval=0))


def test_waiting_for_the_end_of_a_run_is_bounded() -> None:
    api, _ = client(ok({"state": "queued"}))
    with pytest.raises(ApiError, match="still queued"):
        api.wait("d", "r", -1)


def test_a_dag_that_fails_to_load_is_told_at_once_with_its_trace() -> None:
    broken = {"filename": "dags/access_review.py", "stack_trace": "ModuleNotFoundError: rescind"}
    api, _ = client(httpx.Response(404), ok({"import_errors": [broken]}))
    with pytest.raises(ApiError, match="ModuleNotFoundError: rescind"):
        api.wait_for_dag("access_review", 60)


def test_a_dag_that_appears_is_returned() -> None:
    api, _ = client(httpx.Response(404), ok({"import_errors": []}), ok({"dag_id": "d"}))
    assert api.wait_for_dag("d", 60) == {"dag_id": "d"}


def test_a_refusal_carries_its_status() -> None:
    api, seen = client(httpx.Response(403, text="not a respondent"))
    task = {"dag_id": "d", "dag_run_id": "r", "task_id": "approve", "map_index": -1}
    with pytest.raises(ApiError) as caught:
        api.answer(task, ["Approve"])
    assert caught.value.status == 403
    assert seen[0].method == "PATCH"
    assert seen[0].url.path == "/api/v2/dags/d/dagRuns/r/taskInstances/approve/-1/hitlDetails"
    assert json.loads(seen[0].content) == {"chosen_options": ["Approve"], "params_input": {}}


def test_a_missing_result_is_none_and_other_failures_are_not() -> None:
    api, _ = client(httpx.Response(404), httpx.Response(500, text="boom"), ok({"value": {"a": 1}}))
    assert api.xcom("d", "r", "t") is None
    with pytest.raises(ApiError, match="500"):
        api.xcom("d", "r", "t")
    assert api.xcom("d", "r", "t") == {"a": 1}


def test_logs_come_as_text_in_both_forms() -> None:
    task = {"dag_id": "d", "dag_run_id": "r", "task_id": "t", "map_index": -1, "try_number": 0}
    lines = [{"event": "first"}, {"event": "second"}]
    api, seen = client(ok({"content": lines}), ok({"content": "plain"}))
    assert api.log(task) == "first\nsecond"
    assert seen[0].url.path.endswith("/logs/1")
    assert api.log(task) == "plain"
