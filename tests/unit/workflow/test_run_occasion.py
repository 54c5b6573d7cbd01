"""What a run says of its own occasion, and of how the deployment keeps evidence."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG, CronTriggerTimetable
from airflow.sdk.api.datamodels._generated import DagRun, DagRunState, DagRunType

from rescind.evidence.collect import Collector
from rescind.ledger import OCCASION, Ledger, NewRun
from rescind.settings import Settings
from rescind.workflow.run_occasion import Start, occasion, schedule_of
from tests.support.ledger.runs import grant, list_scope

pytestmark = [pytest.mark.airflow, pytest.mark.postgres]
MONDAY = datetime(2026, 3, 2, 6, tzinfo=UTC)
BEGAN = NewRun("access_review", "scheduled__1", "scheduled", "")


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
    facts = occasion({"dag_run": due(), "dag": dag_of("0 6 * * 1")}, settings, "runtime role owns the schema").facts
    assert facts == {
        "run_type": "scheduled",
        "schedule": "0 6 * * 1 (UTC)",
        "due_at": "2026-03-02T06:00:00.000000Z",
        "period_start": "2026-03-02T06:00:00.000000Z",
        "period_end": "2026-03-02T06:00:00.000000Z",
        "retention": "7 years, object lock",
        "time_source": "chrony",
        "ledger_role": "runtime role owns the schema",
        "unverified_requester": "",
    }


@pytest.mark.parametrize("login", ["rita", "scheduler"])
def test_a_person_who_starts_a_run_is_no_schedule(login: str) -> None:
    run = due(run_type="manual", triggering_user_name=login)
    by_hand = occasion({"dag_run": run, "dag": dag_of("0 6 * * 1")}, Settings()).facts
    assert by_hand["schedule"] == "started by a person, in addition to the schedule 0 6 * * 1 (UTC)"
    assert by_hand["due_at"] is by_hand["period_start"] is None
    assert occasion({"dag_run": run}, Settings()).facts["schedule"] == "started by a person; no schedule"


def run_of_airflow(run_type: DagRunType, user: str | None, conf: dict[str, Any] | None) -> DagRun:
    """What a task gets from Airflow."""
    return DagRun(
        dag_id="access_review", run_id="r", run_type=run_type, triggering_user_name=user, conf=conf,
        logical_date=MONDAY, data_interval_start=MONDAY, data_interval_end=MONDAY, run_after=MONDAY, start_date=MONDAY,
        end_date=None, state=DagRunState.RUNNING, consumed_asset_events=[], partition_key=None,
    )  # fmt: skip


KINDS = {"scheduled": "scheduled", "manual": "manual"}


@pytest.mark.parametrize("user", [None, "rita", "scheduler"])
@pytest.mark.parametrize("run_type", list(DagRunType))
def test_only_a_scheduled_run_without_an_explicit_dry_run_is_enforced(run_type: DagRunType, user: str | None) -> None:
    def dry(conf: dict[str, Any] | None, form: bool, enforce: bool) -> bool:
        start = Start.of(run_of_airflow(run_type, user, conf))
        return start.sends_nothing(dry_run=form, conf=conf, enforce_scheduled=enforce)

    assert dry(None, True, True) is dry({}, True, True) is (run_type != "scheduled")
    assert dry({"dry_run": True}, True, True) is True
    assert dry({"dry_run": False}, False, False) is False
    assert dry(None, True, False) is True
    start = Start.of(run_of_airflow(run_type, user, None))
    assert (start.person, start.kind) == (user or "", KINDS.get(run_type.value, "triggered"))


WORDS = {"backfill": "a backfill", "operator_triggered": "another DAG", "asset_triggered": "an asset"}


@pytest.mark.parametrize(  # Airflow 3.2 has no run type for a run that another DAG started
    ("run_type", "words"),
    [(text, words) for text, words in WORDS.items() if text in [kind.value for kind in DagRunType]],
)
def test_what_neither_a_person_nor_the_schedule_started_says_so(run_type: str, words: str) -> None:
    run = run_of_airflow(DagRunType(run_type), None, {"dry_run": True})
    facts = occasion({"dag_run": run, "dag": dag_of("0 6 * * 1")}, Settings(enforce_scheduled=True)).facts
    assert (facts["run_type"], facts["due_at"]) == (run_type, None)
    assert facts["schedule"] == f"started by {words}, in addition to the schedule 0 6 * * 1 (UTC)"


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
    new = occasion({"dag_run": due(**interval), "dag": dag_of("0 6 * * 1")}, Settings())
    run = ledger.runs.begin(BEGAN, [new])
    list_scope(ledger, run, [grant(1)])
    (review,) = Collector(ledger, run).records("review")
    (scope,) = ledger.scopes.all(run.run_id)
    assert (review["schedule"], review["due_at"]) == ("0 6 * * 1 (UTC)", "2026-03-02T06:00:00.000000Z")
    assert review["period_basis"] == basis
    assert review["period_start"][:10] == ("2026-02-23" if interval else f"{scope.ended_at:%Y-%m-%d}")


def test_what_a_run_began_with_stays(ledger: Ledger) -> None:
    context = {"dag_run": due(), "dag": dag_of("0 6 * * 1")}
    run = ledger.runs.begin(BEGAN, [occasion(context, Settings(time_source="chrony"))])
    ledger.runs.begin(BEGAN, [occasion(context, Settings(time_source="a clock"))])
    assert ledger.inputs.of(run.run_id)[OCCASION].facts["time_source"] == "chrony"
    (stored,) = [one for one in Collector(ledger, run).records("inputs") if one["name"] == OCCASION]
    assert stored["facts"]["time_source"] == "chrony"
