"""Compare a recorded approval with Airflow's own record of the answer (human in the loop).

The record is read through the connection of :mod:`~rescind.hooks.airflow_instance.api`. Its user needs the right to
read the human-in-the-loop details and task instances of the DAG. The task interface shows a task its own record only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

import httpx
from airflow.sdk.exceptions import AirflowNotFoundException

from rescind.errors import NotApprovedError
from rescind.hooks.airflow_instance.api import AIRFLOW_CONNECTION, FAILURES, airflow_api, what_failed

SAME = "Airflow's own record has the same answer"
_NOT_COMPARED = "not compared with Airflow's own record:"


def compare_answer(
    dag_id: str,
    run_id: str,
    task_id: str,
    *,
    option: str,
    user: str,
    fields: Callable[[Mapping[str, Any]], bool] = lambda _: True,
    conn_id: str = AIRFLOW_CONNECTION,
) -> str:
    """Check that Airflow's record of a task has this answer by this user, and return a sentence for log and report.

    If the record cannot be read, the sentence says why. The signature of the approval is checked in any case.

    :param task_id: the task that asked. Its earlier tries count, because clearing it starts a new record.
    :param option: the option that was chosen.
    :param user: id of the user in Airflow's auth manager.
    :param fields: whether a record has the fields that were answered beside the option.
    :raises NotApprovedError: when Airflow's record can be read and has no such answer.
    """
    try:
        with airflow_api(conn_id) as api:
            records = _answers(api, dag_id, run_id, task_id)
            found = any(_same(record, option, user) and fields(record) for record in records)
    except AirflowNotFoundException:
        return f"{_NOT_COMPARED} there is no connection {conn_id!r}"
    except FAILURES as error:
        return f"{_NOT_COMPARED} connection {conn_id!r} does not let it be read ({what_failed(error)})"
    if not found:
        raise NotApprovedError(
            f"the ledger says that {user!r} approved, but Airflow's record of the task {task_id!r} in this run has no"
            " such answer. Nothing was sent; find out who wrote the approval, and start a new run"
        )
    return SAME


def _answers(api: httpx.Client, dag_id: str, run_id: str, task_id: str) -> Iterator[Mapping[str, Any]]:
    """Yield the records of every try of the task, the present one first; none for a try that asked nobody."""
    path = "/api/v2/dags/{}/dagRuns/{}/taskInstances/{}".format(*(quote(p, safe="") for p in (dag_id, run_id, task_id)))
    present = _record(api, f"{path}/-1/hitlDetails")
    if present is not None:
        yield present
    tries = api.get(f"{path}/tries").raise_for_status().json()["task_instances"]
    for number in sorted({int(one["try_number"]) for one in tries})[: -1 if present else None]:
        earlier = _record(api, f"{path}/-1/hitlDetails/tries/{number}")
        if earlier is not None:
            yield earlier


def _record(api: httpx.Client, path: str) -> Mapping[str, Any] | None:
    answer = api.get(path)
    if answer.status_code == httpx.codes.NOT_FOUND:
        return None
    found: Mapping[str, Any] = answer.raise_for_status().json()
    return found


def _same(record: Mapping[str, Any], option: str, user: str) -> bool:
    responder = record.get("responded_by_user") or {}
    return record.get("chosen_options") == [option] and str(responder.get("id") or "") == user
