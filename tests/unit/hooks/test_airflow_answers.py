"""A recorded approval beside Airflow's own record: the same, another, none, or one that cannot be read.

That Airflow's own API answers like this is seen with the live stack, see ``tests/e2e``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from rescind.errors import NotApprovedError
from rescind.hooks.airflow_instance.answers import SAME, compare_answer
from tests.support.reviews.airflow_record import AirflowRecord, airflow_record

OPTION = "Approve " + "ab" * 32
VARIABLE = "AIRFLOW_CONN_RESCIND_AIRFLOW"


@pytest.fixture
def record(monkeypatch: pytest.MonkeyPatch) -> Iterator[AirflowRecord]:
    with airflow_record() as served:
        monkeypatch.setenv(VARIABLE, served.connection())
        yield served


def compared(user: str = "omar") -> str:
    return compare_answer("access_review", "manual__2026-06-01T06:00:00+00:00", "approve", option=OPTION, user=user)


def test_the_same_answer(record: AirflowRecord) -> None:
    record.answered(OPTION, "omar")
    assert compared() == SAME
    place = "/api/v2/dags/access_review/dagRuns/manual__2026-06-01T06:00:00+00:00/taskInstances/approve"
    assert record.asked == [f"{place}/-1/hitlDetails"]


def test_a_cleared_task_keeps_the_answer_of_its_earlier_try(record: AirflowRecord) -> None:
    record.answered(OPTION, "omar", 2)
    record.tries |= {3: None, 4: {"chosen_options": None, "responded_by_user": None}}
    assert compared() == SAME


@pytest.mark.parametrize(
    ("option", "user"),
    [
        (OPTION, "ada"),
        (OPTION, "Omar"),
        (OPTION[:-1] + "0", "omar"),
        (OPTION[:20], "omar"),
        ("Reject", "omar"),
        (OPTION, ""),
    ],
)
def test_another_answer_is_refused(record: AirflowRecord, option: str, user: str) -> None:
    record.answered(option, user)
    with pytest.raises(NotApprovedError, match="Airflow's record of the task 'approve' in this run has no such answer"):
        compared()


def test_an_answer_with_other_fields_is_refused(record: AirflowRecord) -> None:
    record.answered(OPTION, "omar")
    place = ("access_review", "manual__2026-06-01T06:00:00+00:00", "approve")
    asked: list[Mapping[str, Any]] = []
    assert compare_answer(*place, option=OPTION, user="omar", fields=lambda it: asked.append(it) is None) == SAME
    assert asked[0]["chosen_options"] == [OPTION]
    with pytest.raises(NotApprovedError, match="has no such answer"):
        compare_answer(*place, option=OPTION, user="omar", fields=lambda _: False)


@pytest.mark.parametrize("tries", [{}, {1: None}, {1: {"chosen_options": None, "responded_by_user": None}}])
def test_no_answer_is_refused(record: AirflowRecord, tries: dict[int, object]) -> None:
    record.tries = tries  # type: ignore[assignment]
    with pytest.raises(NotApprovedError, match="Nothing was sent"):
        compared()


@pytest.mark.parametrize("status", [401, 403, 404, 500])
def test_a_record_that_cannot_be_read_is_a_sentence(record: AirflowRecord, status: int) -> None:
    record.status = status
    said = compared()
    assert said.startswith("not compared with Airflow's own record") and said.endswith(f"(HTTP {status})")


def test_without_the_connection_or_the_server_it_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert compared() == "not compared with Airflow's own record: there is no connection 'rescind_airflow'"
    monkeypatch.setenv(VARIABLE, AirflowRecord(port=9).connection())
    assert "(ConnectError)" in compared()
