"""What a run says of its own occasion, and of how the deployment keeps evidence."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG, CronTriggerTimetable

from rescind.evidence.collect import Collector
from rescind.ledger import OCCASION, Ledger, NewRun
from rescind.settings import Settings
from rescind.workflow.run_occasion import occasion, schedule_of
from tests.support.ledger_runs import grant, list_scope

pytestmark = [pytest.mark.airflow, pytest.mark.postgres]
MONDAY = datetime(2026, 3, 2, 6, tzinfo=UTC)
BEGAN = NewRun("access_review", "scheduled__1", "scheduled", "scheduler")


def dag_of(schedule: Any) -> DAG:
    return DAG("access_review", schedule=schedule, start_date=datetime(2026, 1, 1, tzinfo=UTC))


def due(**more: Any) -> SimpleNamespace:
    facts = {"run_type": "scheduled", "run_after": MONDAY, "data_interval_start": MONDAY, "data_interval_end": MONDAY}
    return SimpleNamespace(**{**facts, **more})


@pytest.mark.parametrize(
    ("schedule", "words"),
    [
        (None, ""),
        ("0 6 * * 1", "0 6 * * 1 (UTC)"),
        ("@weekly", "@weekly (UTC)"),
        (CronTriggerTimetable("0 6 * * 1", timezone="Asia/Shanghai"), "0 6 * * 1 (Asia/Shanghai)"),
        (timedelta(days=7), "every 7 days, 0:00:00"),
    ],
)
def test_a_schedule_in_words(schedule: Any, words: str) -> None:
    assert schedule_of(dag_of(schedule)) == words


def test_a_due_run_names_its_schedule_and_when_it_was_due() -> None:
    settings = Settings(evidence_retention="7 years, object lock", time_source="chrony")
    facts = occasion({"dag_run": due(), "dag": dag_of("0 6 * * 1")}, settings, "scheduler").facts
    assert facts == {
        "run_type": "scheduled",
        "schedule": "0 6 * * 1 (UTC)",
        "due_at": "2026-03-02T06:00:00.000000Z",
        "period_start": "2026-03-02T06:00:00.000000Z",
        "period_end": "2026-03-02T06:00:00.000000Z",
        "retention": "7 years, object lock",
        "time_source": "chrony",
    }


def test_a_person_who_starts_a_run_is_no_schedule() -> None:
    by_hand = occasion({"dag_run": due(), "dag": dag_of("0 6 * * 1")}, Settings(), "rita").facts
    assert by_hand["schedule"] == "started by a person, in addition to the schedule 0 6 * * 1 (UTC)"
    assert by_hand["due_at"] is by_hand["period_start"] is None
    assert occasion({"dag_run": due()}, Settings(), "rita").facts["schedule"] == "started by a person; no schedule"


@pytest.mark.parametrize(
    ("interval", "basis"),
    [
        ({"data_interval_start": MONDAY - timedelta(days=7)}, "data interval of the schedule"),
        ({}, "time of the listings"),
    ],
)
def test_the_period_is_the_schedules_or_that_of_the_listings(
    ledger: Ledger, interval: dict[str, datetime], basis: str
) -> None:
    new = occasion({"dag_run": due(**interval), "dag": dag_of("0 6 * * 1")}, Settings(), "scheduler")
    run = ledger.runs.begin(BEGAN, [new])
    list_scope(ledger, run, [grant(1)])
    (review,) = Collector(ledger, run).records("review")
    (scope,) = ledger.scopes.all(run.run_id)
    assert (review["schedule"], review["due_at"]) == ("0 6 * * 1 (UTC)", "2026-03-02T06:00:00.000000Z")
    assert review["period_basis"] == basis
    assert review["period_start"][:10] == ("2026-02-23" if interval else f"{scope.ended_at:%Y-%m-%d}")


def test_what_a_run_began_with_stays(ledger: Ledger) -> None:
    context = {"dag_run": due(), "dag": dag_of("0 6 * * 1")}
    run = ledger.runs.begin(BEGAN, [occasion(context, Settings(time_source="chrony"), "scheduler")])
    ledger.runs.begin(BEGAN, [occasion(context, Settings(time_source="a clock"), "scheduler")])
    assert ledger.inputs.of(run.run_id)[OCCASION].facts["time_source"] == "chrony"
    (stored,) = [one for one in Collector(ledger, run).records("inputs") if one["name"] == OCCASION]
    assert stored["facts"]["time_source"] == "chrony"
