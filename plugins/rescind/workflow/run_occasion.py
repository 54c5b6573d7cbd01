"""The occasion of a run: what started it and when it was due, and what the deployment says of how evidence is kept."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from rescind.evidence.bundle.format import encode, moment
from rescind.ledger import OCCASION, NewInput
from rescind.settings import Settings


def occasion(context: Mapping[str, Any], settings: Settings, requester: str) -> NewInput:
    """What is recorded with the run when it begins; a cleared run keeps what it began with.

    :param requester: the person who started it, or ``scheduler``.
    """
    dag_run, schedule = context["dag_run"], schedule_of(context.get("dag"))
    due = requester == "scheduler"
    by_hand = f"started by a person, beside the schedule {schedule}" if schedule else "started by a person; no schedule"
    run_type = getattr(dag_run, "run_type", None)
    facts = {
        "run_type": str(getattr(run_type, "value", run_type) or ""),
        "schedule": schedule if due else by_hand,
        "due_at": moment(getattr(dag_run, "run_after", None)) if due else None,
        "period_start": moment(getattr(dag_run, "data_interval_start", None)) if due else None,
        "period_end": moment(getattr(dag_run, "data_interval_end", None)) if due else None,
        "retention": settings.evidence_retention,
        "time_source": settings.time_source,
    }
    return NewInput(OCCASION, "Airflow and the settings of the deployment", encode(facts), facts)


def schedule_of(dag: Any) -> str:
    """The schedule of a DAG in words: as it was written where that is text, else what its timetable says; or empty."""
    schedule, timetable = getattr(dag, "schedule", None), getattr(dag, "timetable", None)
    if schedule is None:
        return ""
    if isinstance(schedule, timedelta):
        return f"every {schedule}"
    said = schedule if isinstance(schedule, str) else getattr(timetable, "description", None)
    said = said or getattr(timetable, "expression", None) or type(timetable).__name__
    zone = getattr(timetable, "timezone", None)
    return f"{said} ({getattr(zone, 'name', zone)})" if zone else str(said)
