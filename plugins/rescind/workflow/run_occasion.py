"""The occasion of a run: what started it, when it was due, and the evidence settings of the deployment."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from rescind.evidence.bundle.format import encode, moment
from rescind.ledger import OCCASION, NewInput
from rescind.settings import Settings


def occasion(context: Mapping[str, Any], settings: Settings, requester: str) -> NewInput:
    """Return the occasion to record when a run begins; a cleared run keeps its first one.

    :param requester: the person who started it, or ``scheduler``.
    """
    dag_run, schedule = context["dag_run"], schedule_of(context.get("dag"))
    due = requester == "scheduler"
    by_hand = (
        f"started by a person, in addition to the schedule {schedule}"
        if schedule
        else "started by a person; no schedule"
    )
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
    """Return the schedule of a DAG as text: as written where it is text, else from its timetable; or empty."""
    schedule, timetable = getattr(dag, "schedule", None), getattr(dag, "timetable", None)
    if schedule is None:
        return ""
    if isinstance(schedule, timedelta):
        return f"every {schedule}"
    said = schedule if isinstance(schedule, str) else getattr(timetable, "description", None)
    said = said or getattr(timetable, "expression", None) or type(timetable).__name__
    zone = getattr(timetable, "timezone", None)
    return f"{said} ({getattr(zone, 'name', zone)})" if zone else str(said)
