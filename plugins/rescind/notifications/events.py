"""The messages about runs: what happened, in counts. They hold no names of resources, no grants and no ids.

The only name is that of the requester. States are those of :mod:`rescind.run_state`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from rescind.airflow_support.links import PAGE, airflow_base
from rescind.ledger import Approval, Ledger, Plan, Question, Regrant, Run
from rescind.notifications.message import Message, chat_name
from rescind.plan.restore_effects import OPERATION
from rescind.review import principal_key
from rescind.run_state import (
    BAD,
    WAITS_FOR_APPROVAL,
    WARN,
    StateWords,
    answered_state,
    live_state,
    returned_state,
)
from rescind.settings import Settings, Told
from rescind.workflow.question.people_text import counted
from rescind.workflow.question.plan_people import plan_people
from rescind.workflow.run_summary import remains, state_of


@dataclass(frozen=True, slots=True)
class Notice:
    """A message about an event.

    :param key: names the event. The same event again has the same key.
    """

    told: Told
    key: str
    message: Message


def asked(ledger: Ledger, run: Run, plan: Plan, settings: Settings) -> Notice:
    """Return the message that an approval is asked for."""
    lines = (_wish(ledger, run, plan), f"Answer until {_moment(plan.valid_until)}. Without an answer nothing is sent.")
    return Notice(
        "asked", f"asked {run.run_id} {plan.digest}", _about(run, live_state(WAITS_FOR_APPROVAL), settings, lines)
    )


def reminder(ledger: Ledger, run: Run, request: Approval, settings: Settings, now: datetime) -> Notice | None:
    """Return the reminder that is due now for a request that waits, or None while it is younger than the interval."""
    every = timedelta(hours=settings.notifications.remind_hours if settings.notifications else 8)
    number = (now - request.requested_at) // every
    if number < 1:
        return None
    lines = (
        _wish(ledger, run, ledger.plans.get(run.run_id)),
        f"Waiting since {_moment(request.requested_at)}. Answer until {_moment(request.valid_until)}; after that a new"
        " run is needed.",
    )
    key = f"reminder {run.run_id} {request.digest} {number}"
    return Notice("reminder", key, _about(run, live_state(WAITS_FOR_APPROVAL), settings, lines))


def answered(run: Run, approval: Approval, settings: Settings) -> Notice:
    """Return the message that an approval was answered."""
    state = answered_state(str(approval.answer), automatic=approval.automatic)
    key = f"answered {run.run_id} {approval.digest}"
    return Notice("answered", key, _about(run, state, settings, (f"{_who(run)} had asked.",)))


def asked_owner(run: Run, question: Question, settings: Settings) -> Notice:
    """Return the message that the owner of resources is asked."""
    lines = (f"{_who(run)} asks the owner of resources about {counted(len(question.items), 'grant')}.",)
    key = f"asked {run.run_id} {question.digest}"
    return Notice("asked", key, _about(run, live_state("waiting for owners"), settings, lines))


def ended(ledger: Ledger, run: Run, settings: Settings) -> Notice | None:
    """Return the message that a run failed or ended while access remains; None if nothing is open.

    A run may end more than once, because tasks are cleared after a failure. Each end that differs from the last one
    that was told has a message of its own, also a good end after a bad one.
    """
    summary = run.summary
    reported = "systems" in summary
    state = state_of(dict(summary)) if reported else StateWords("failed", BAD, "✕", "failed, no report was written")
    problems = summary.get("problems", ())
    before = ledger.notices.told(f"ended {run.run_id}")
    if state.tone not in (WARN, BAD) and not problems and not before:
        return None
    left = remains(dict(summary)) if reported else []
    lines = [f"{_who(run)} had asked.", *(f"{phrase}." for phrase in left)]
    lines += [f"{counted(len(problems), 'problem')}, named in the report."] if problems else []
    message = _about(run, state, settings, tuple(lines))
    digest = hashlib.sha256("\n".join((message.title, *lines)).encode()).hexdigest()[:16]
    same = before and before[-1].endswith(f" {digest}")
    key = before[-1] if same else f"ended {run.run_id} {len(before) + 1} {digest}"
    return Notice("remains", key, message)


def came_back(names: tuple[str, str], found: Sequence[Regrant], settings: Settings) -> Notice:
    """Return the message that access came back which had been proven gone.

    :param names: DAG and run of the watch.
    """
    first = sum(one.first for one in found)
    systems = len({one.key.system for one in found})
    people = len({(one.key.system, one.key.account, one.key.principal_type, one.key.principal_id) for one in found})
    lines = (
        f"{counted(len(found), 'grant')} of {_people(people)} in {counted(systems, 'system')}, {first} for the first"
        " time. They had been proven gone.",
        "Nothing is revoked automatically.",
    )
    title = f"[Watch regrants] {returned_state(len(found)).text}"
    return Notice("came_back", f"came back {names[0]} {names[1]}", Message(title, lines, _link(settings, "")))


def _about(run: Run, state: StateWords, settings: Settings, lines: tuple[str, ...]) -> Message:
    return Message(f"[{_kind(run)} {run.number}] {state.text}", lines, _link(settings, f"/{run.number:d}"))


def _kind(run: Run) -> str:
    if run.kind == OPERATION:
        return "Restore access"
    return "Revoke access" if run.params.get("kind") == "targets" else "Access review"


def _wish(ledger: Ledger, run: Run, plan: Plan) -> str:
    """Return who asks for how much: grants, people and systems."""
    systems = len({row.system for row in ledger.summary.per_system(run.run_id) if row.items})
    if plan.operation == OPERATION:
        ids = [item.grant_id for item in ledger.plans.items(run.run_id) if item.call_id is not None]
        given = ledger.snapshot.grants_by_id(str(plan.source_run_id), ids)
        grants, people, verb = len(ids), len({principal_key(one) for one in given.values()}), "restore"
    else:
        found = plan_people(ledger, run)
        grants, people, verb = found.going, sum(one.going > 0 for one in found.people), "revoke"
    return (
        f"{_who(run)} asks to {verb} {counted(grants, 'grant')} of {_people(people)} in {counted(systems, 'system')}."
    )


def _people(number: int) -> str:
    return counted(number, "person or group", "people and groups")


def _who(run: Run) -> str:
    return chat_name(run.requester)


def _moment(moment: datetime) -> str:
    return f"{moment:%a %d %b %H:%M} UTC"


def _link(settings: Settings, place: str) -> str:
    """Return the absolute address of a page, or an empty text where nobody knows the address of Airflow."""
    base = (settings.notifications.base_url if settings.notifications else "") or airflow_base()
    return f"{base.rstrip('/')}/{PAGE}{place}" if base else ""
