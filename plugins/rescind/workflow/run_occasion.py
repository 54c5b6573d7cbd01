"""The occasion of a run: what started it, when it was due, and the evidence settings of the deployment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from rescind.evidence.bundle.format import encode, moment
from rescind.ledger import OCCASION, Ledger, NewInput, Run
from rescind.review import resolve_request
from rescind.settings import Settings
from rescind.systems import id_spaces
from rescind.users import user_key
from rescind.workflow.inputs import ReviewInputs

ENDS = "employment"
"""Fact of the occasion: when the employment of the people of a request ends."""
_SCHEDULED = "scheduled"
_STARTED_BY = {
    "backfill": "a backfill",
    "operator_triggered": "another DAG",
    "asset_triggered": "an asset",
    "asset_materialization": "an asset",
}


@dataclass(frozen=True, slots=True)
class Start:
    """What started a DAG run. The type of the run decides, never a name: a user may be called ``scheduler``.

    :param person: user name of the person who started the run, the backfill, or the first DAG of a chain of DAGs;
        empty if there is none.
    :param run_type: Airflow's type of the run, or empty. Airflow 3.2 says ``manual`` for a run of another DAG.
    """

    person: str
    run_type: str

    @classmethod
    def of(cls, dag_run: Any) -> Start:
        """Return what started this DAG run.

        :raises InputError: when the person's name may be taken for that of another user.
        """
        text = cls.type_of(dag_run)
        person = str(getattr(dag_run, "triggering_user_name", None) or "")
        if person:
            user_key(person, where="requester")
        return cls(person, text)

    @staticmethod
    def type_of(dag_run: Any) -> str:
        """Return Airflow's type of a DAG run, or an empty text."""
        run_type = getattr(dag_run, "run_type", None)
        return str(getattr(run_type, "value", run_type) or "")

    @property
    def scheduled(self) -> bool:
        """Whether the DAG's own schedule started the run."""
        return self.run_type == _SCHEDULED

    @property
    def kind(self) -> str:
        """Kind of a review in the ledger: ``scheduled``, ``manual``, or ``triggered`` (backfill, DAG, asset)."""
        return _SCHEDULED if self.scheduled else "triggered" if self.run_type in _STARTED_BY else "manual"

    @property
    def words(self) -> str:
        """What started a run that is not scheduled, for people."""
        return _STARTED_BY.get(self.run_type) or ("a person" if self.person else "an unnamed user")

    def sends_nothing(self, *, dry_run: bool, conf: Mapping[str, Any] | None, enforce_scheduled: bool) -> bool:
        """Return whether the run is a dry run.

        :param dry_run: the value of the form, which is True by default.
        :param conf: what the run was started with. A dry run that is requested there stays one.
        :param enforce_scheduled: the setting. It applies to runs of the DAG's own schedule only.
        """
        enforced = enforce_scheduled and self.scheduled and "dry_run" not in (conf or {})
        return dry_run and not enforced


def occasion(
    context: Mapping[str, Any],
    settings: Settings,
    ledger_role: str = "",
    unverified: str = "",
    more: Mapping[str, Any] | None = None,
) -> NewInput:
    """Return the occasion to record when a run begins; a cleared run keeps its first one.

    :param ledger_role: which rights the tasks have in the ledger, see :meth:`rescind.ledger.Ledger.role`.
    :param unverified: a sentence if the requester may not have signed in to Airflow.
    :param more: further facts, such as the events that started the run.
    """
    dag_run, schedule = context["dag_run"], schedule_of(context.get("dag"))
    start = Start.of(dag_run)
    due = start.scheduled
    beside = f", in addition to the schedule {schedule}" if schedule else "; no schedule"
    facts = {
        "run_type": start.run_type,
        "schedule": schedule if due else f"started by {start.words}{beside}",
        "due_at": moment(getattr(dag_run, "run_after", None)) if due else None,
        "period_start": moment(getattr(dag_run, "data_interval_start", None)) if due else None,
        "period_end": moment(getattr(dag_run, "data_interval_end", None)) if due else None,
        "retention": settings.evidence_retention,
        "time_source": settings.time_source,
        "ledger_role": ledger_role,
        "unverified_requester": unverified,
        **(more or {}),
    }
    return _recorded(facts)


def _recorded(facts: Mapping[str, Any]) -> NewInput:
    return NewInput(OCCASION, "Airflow and the settings of the deployment", encode(facts), facts)


def with_ends(found: list[NewInput], inputs: ReviewInputs) -> list[NewInput]:
    """Return the inputs of a run that begins; the occasion of one about people also says when their employment ends.

    The times are those of the roster, one for each person who has one; ``people`` is the number of people it knows.
    """
    if inputs.request is None or not inputs.request.principals:
        return found
    named = resolve_request(inputs.request, inputs.roster, id_spaces()).people
    people = [one for one in inputs.roster.roster.people if one.person_id in named]
    ends = {"people": len(people), "ends": sorted(str(moment(at)) for one in people if (at := one.terminated_at))}
    return [_recorded({**new.facts, ENDS: ends}) if new.name == OCCASION else new for new in found]


def first_facts(ledger: Ledger, run: Run) -> Mapping[str, Any]:
    """Return the occasion of a run, or of the run that it completes: what started both."""
    first = ledger.runs.named(str(run.follows)) if run.follows else None
    return ledger.inputs.facts((first or run).run_id, OCCASION)


def unverified_lines(ledger: Ledger, run: Run) -> list[str]:
    """Return the lines of an approval request about a requester who may not have signed in (Markdown)."""
    said = ledger.inputs.facts(run.run_id, OCCASION).get("unverified_requester", "")
    return ["", f"**Requester**: {said}"] if said else []


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
