"""Whether the requester of a run signed in to Airflow: what its API says, and what follows."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from rescind.errors import ConfigurationError
from rescind.hooks.airflow_instance.api import AIRFLOW_CONNECTION
from rescind.hooks.airflow_instance.starter import look_up_requester
from rescind.operators.preflight import check_requester
from rescind.settings import Settings
from tests.support.reviews.airflow_record import AirflowRecord, airflow_record

pytestmark = pytest.mark.airflow


@pytest.fixture
def record(monkeypatch: pytest.MonkeyPatch) -> Iterator[AirflowRecord]:
    with airflow_record() as found:
        monkeypatch.setenv(f"AIRFLOW_CONN_{AIRFLOW_CONNECTION.upper()}", found.connection())
        yield found


def checked(check: str, *, dry_run: bool = False, person: str | None = "airflow") -> str:
    dag_run = SimpleNamespace(dag_id="access_review", run_id="a b/1", run_type="manual", triggering_user_name=person)
    settings = Settings.parse({"requester_check": check}, connections={})
    return check_requester(dag_run, settings, dry_run)


@pytest.mark.parametrize("by", ["ui", "rest_api"])
@pytest.mark.parametrize("check", ["where_possible", "required", "off"])
def test_who_signed_in_is_verified(record: AirflowRecord, by: str, check: str) -> None:
    record.triggered_by = by
    assert look_up_requester("access_review", "a b/1") == ("signed_in", "")
    assert checked(check) == ""
    assert record.asked[-1] == "/api/v2/dags/access_review/dagRuns/a b/1"


@pytest.mark.parametrize("check", ["where_possible", "required"])
def test_a_run_of_the_command_line_is_refused(record: AirflowRecord, check: str) -> None:
    record.triggered_by = "cli"
    with pytest.raises(ConfigurationError, match=r"'airflow' is unverified: .*airflow dags trigger.*requester_check"):
        checked(check)
    assert checked(check, dry_run=True) == ""


def test_a_run_of_the_command_line_may_be_allowed_and_the_approver_is_told(record: AirflowRecord) -> None:
    record.triggered_by = "cli"
    assert "may be any user of Airflow" in checked("off")


@pytest.mark.parametrize(("status", "by"), [(403, "ui"), (500, "cli"), (200, "operator"), (200, None)])
def test_what_cannot_be_told_is_refused_where_the_check_is_required(
    record: AirflowRecord, caplog: pytest.LogCaptureFixture, status: int, by: Any
) -> None:
    record.status, record.triggered_by = status, by
    with pytest.raises(ConfigurationError, match="is unverified: Whether the requester signed in"):
        checked("required")
    with caplog.at_level(logging.WARNING):
        assert "is not known" in checked("where_possible")
    assert "is not known" in caplog.text


def test_without_the_connection_it_cannot_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(f"AIRFLOW_CONN_{AIRFLOW_CONNECTION.upper()}", raising=False)
    assert "there is no connection 'rescind_airflow'" in checked("where_possible")
    with pytest.raises(ConfigurationError, match="there is no connection"):
        checked("required")


def test_a_run_that_nobody_requested_has_nobody_to_verify() -> None:
    assert checked("required", person=None) == ""
