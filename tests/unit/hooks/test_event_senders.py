"""Who sent an asset event, by Airflow's audit log: one user, or nobody."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from rescind.hooks.airflow_instance.api import AIRFLOW_CONNECTION
from rescind.hooks.airflow_instance.event_senders import look_up_senders
from rescind.workflow.offboarding.leaver_events import digest_of
from tests.support.reviews.airflow_record import AirflowRecord, airflow_record

pytestmark = pytest.mark.airflow
NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
SENT: dict[str, Any] = {"principals": ["P1"], "reason": "last day"}
EVENT = (NOW, digest_of({**SENT, "from_rest_api": True}))


@pytest.fixture
def record(monkeypatch: pytest.MonkeyPatch) -> Iterator[AirflowRecord]:
    with airflow_record() as found:
        monkeypatch.setenv(f"AIRFLOW_CONN_{AIRFLOW_CONNECTION.upper()}", found.connection())
        yield found


def test_the_user_who_sent_exactly_this_content(record: AirflowRecord) -> None:
    record.sent("other", {**SENT, "principals": ["P2"]})
    record.sent("hr-sync", {"reason": "last day", "principals": ["P1"]})
    record.sent("hr-sync", SENT)
    assert look_up_senders([EVENT], digest_of) == ({EVENT: "hr-sync"}, "")
    (asked,) = (path for path in record.asked if "eventLogs" in path)
    assert "after=2026-03-02T08:59:00+00:00" in asked and "before=2026-03-02T09:01:00+00:00" in asked


@pytest.mark.parametrize("others", [[], ["omar", "hr-sync"], [""]])
def test_nobody_where_it_is_not_one_user(record: AirflowRecord, others: list[str]) -> None:
    record.sent("hr-sync", {**SENT, "ticket": "HR-7"})
    for user in others:
        record.sent(user, SENT)
    assert look_up_senders([EVENT], digest_of) == ({}, "")


def test_nobody_where_there_is_more_to_read_than_one_page(record: AirflowRecord) -> None:
    for _ in range(101):
        record.sent("hr-sync", SENT)
    assert look_up_senders([EVENT], digest_of) == ({}, "")


@pytest.mark.parametrize(
    "body", [None, "not json", "[1]", '{"extra": [1]}', '{"extra": null}', '{"extra": {"a": NaN}}']
)
def test_an_odd_row_of_the_audit_log_is_nobodys(record: AirflowRecord, body: str | None) -> None:
    record.rows.append({"owner": "omar", "extra": body})
    record.sent("hr-sync", SENT)
    assert look_up_senders([EVENT], digest_of) == ({EVENT: "hr-sync"}, "")


@pytest.mark.parametrize("status", [401, 403, 500])
def test_an_api_that_refuses_is_a_reason(record: AirflowRecord, status: int) -> None:
    record.status = status
    found, why = look_up_senders([EVENT], digest_of)
    assert found == {} and why.endswith(f"audit log be read (HTTP {status})")


def test_without_the_connection_it_cannot_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(f"AIRFLOW_CONN_{AIRFLOW_CONNECTION.upper()}", raising=False)
    assert look_up_senders([EVENT], digest_of) == ({}, "there is no connection 'rescind_airflow' to ask Airflow with")
