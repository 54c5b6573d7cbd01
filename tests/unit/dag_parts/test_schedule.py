"""The schedule of the DAGs leaves out what was missed; the form says what unpausing starts."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.serialization.serialized_objects import DagSerialization
from airflow.timetables.base import DataInterval, TimeRestriction
from airflow.timetables.trigger import CronTriggerTimetable
from pendulum import DateTime

from rescind.dag_parts import schedule
from rescind.dag_parts.schedule import LATEST, OnTimeCronTimetable, on_time
from rescind.dag_parts.trigger_forms import dry_run_param
from rescind.workflow.run_occasion import schedule_of
from tests.support.servers.emulator import ROOT

pytestmark = pytest.mark.airflow
BEGAN = DateTime.create(2026, 1, 1, tz="UTC")
MONDAY = DateTime.create(2026, 3, 2, 6, tz="UTC")
WEEK = timedelta(days=7)
ALWAYS = TimeRestriction(earliest=BEGAN, latest=None, catchup=False)


def due(at: DateTime, last: DateTime | None, patch: pytest.MonkeyPatch, limits: TimeRestriction = ALWAYS) -> Any:
    """When the next run is due, as Airflow asks at one time, after the last scheduled run."""
    patch.setattr(schedule, "_now", lambda: at)
    interval = None if last is None else DataInterval.exact(last)
    info = on_time("0 6 * * 1").next_dagrun_info(last_automated_data_interval=interval, restriction=limits)
    return info and info.run_after


@pytest.mark.parametrize("last", [None, MONDAY - 5 * WEEK, MONDAY - WEEK])
@pytest.mark.parametrize("late", [LATEST + timedelta(seconds=1), timedelta(days=2), WEEK - timedelta(seconds=1)])
def test_unpausing_starts_nothing_that_was_missed(
    monkeypatch: pytest.MonkeyPatch, last: DateTime | None, late: timedelta
) -> None:
    assert due(MONDAY + late, last, monkeypatch) == MONDAY + WEEK


@pytest.mark.parametrize("late", [timedelta(0), timedelta(seconds=30), LATEST])
def test_a_scheduler_that_was_away_for_a_short_time_starts_the_run(
    monkeypatch: pytest.MonkeyPatch, late: timedelta
) -> None:
    assert due(MONDAY + late, MONDAY - WEEK, monkeypatch) == MONDAY
    assert due(MONDAY + late, MONDAY, monkeypatch) == MONDAY + WEEK, "each time starts one run"


def test_start_and_end_of_the_dag_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    later = TimeRestriction(earliest=MONDAY + 3 * WEEK, latest=MONDAY + 3 * WEEK, catchup=False)
    assert due(MONDAY, None, monkeypatch, later) == MONDAY + 3 * WEEK
    assert due(MONDAY + 4 * WEEK, None, monkeypatch, later) is None


def test_a_plain_cron_schedule_would_start_a_missed_run() -> None:
    """What the class is for; when Airflow changes this, the class can go."""
    info = CronTriggerTimetable("0 6 * * 1", timezone="UTC").next_dagrun_info(
        last_automated_data_interval=None, restriction=ALWAYS
    )
    assert info is not None and info.run_after < DateTime.now("UTC")


@pytest.mark.parametrize(
    ("name", "cron"),
    [("access_review", "0 6 * * 1"), ("watch_regrants", "30 4 * * *"), ("remind_approvers", "17 * * * *")],
)
def test_the_schedule_survives_airflows_database(name: str, cron: str) -> None:
    dag = DagBag(dag_folder=str(ROOT / "dags" / f"{name}.py")).dags[name]
    stored = DagSerialization.from_dict(DagSerialization.to_dict(dag))
    assert type(stored.timetable) is OnTimeCronTimetable and stored.timetable.summary == cron


def test_the_record_of_a_run_says_when_it_was_due() -> None:
    dag = DagBag(dag_folder=str(ROOT / "dags" / "access_review.py")).dags["access_review"]
    assert schedule_of(dag) == "At 06:00, only on Monday (UTC)"


def test_the_form_says_what_unpausing_starts() -> None:
    said = dry_run_param(schedule="Mondays, 6:00 UTC")["dry_run"].schema["description_md"]
    assert said.endswith("Unpausing the DAG in this dialog also starts its schedule: Mondays, 6:00 UTC.")
    assert 'dry_run_param(schedule="Mondays, 6:00 UTC")' in (ROOT / "dags" / "access_review.py").read_text("utf-8")
    assert "schedule" not in dry_run_param()["dry_run"].schema["description_md"]
