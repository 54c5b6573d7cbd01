"""The messages about runs: what happened, in counts. They hold no names of resources, no grants and no ids.

The only name is that of the requester. States are those of :mod:`rescind.run_state.states`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import wraps
from typing import ParamSpec, TypeVar

from rescind.airflow_support.links import PAGE, airflow_base
from rescind.i18n import SOURCE, current, local_time, mark, moment, reading, tr, trn
from rescind.ledger import Approval, Ledger, OpenQuestions, Plan, Question, Regrant, Run
from rescind.ledger.runs.notices import OWNERS_REMINDED
from rescind.notifications.message import OPEN, Message, chat_name
from rescind.plan.restore_effects import OPERATION
from rescind.review import principal_key
from rescind.run_state.states import (
    BAD,
    WAITING,
    WAITS_FOR_APPROVAL,
    WARN,
    StateWords,
    answered_state,
    live_state,
    returned_state,
)
from rescind.settings import Settings, Told
from rescind.workflow.question.people_text import grants_of, people_of
from rescind.workflow.question.plan_people import plan_people
from rescind.workflow.run_summary import remains, state_of

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Notice:
    """A message about an event.

    :param key: names the event. The same event again has the same key.
    """

    told: Told
    key: str
    message: Message


def _in_language(make: Callable[P, T]) -> Callable[P, T]:
    """Write a message in the language and with the time zone of its settings."""

    @wraps(make)
    def made(*args: P.args, **kwargs: P.kwargs) -> T:
        settings = next(one for one in (*args, *kwargs.values()) if isinstance(one, Settings))
        with reading(settings.language, settings.time_zone):
            return make(*args, **kwargs)

    return made


@_in_language
def asked(ledger: Ledger, run: Run, plan: Plan, settings: Settings) -> Notice:
    """Return the message that an approval is asked for."""
    lines = (
        _wish(ledger, run, plan),
        tr("Answer by {time}. Without an answer nothing is sent.", time=_moment(plan.valid_until)),
    )
    return Notice(
        "asked", f"asked {run.run_id} {plan.digest}", _about(run, live_state(WAITS_FOR_APPROVAL), settings, lines)
    )


@_in_language
def reminder(ledger: Ledger, run: Run, request: Approval, settings: Settings, now: datetime) -> Notice | None:
    """Return the reminder that is due now for a request that waits, or None while it is younger than the interval."""
    number = _reminders(request.requested_at, settings, now)
    if number < 1:
        return None
    lines = (
        _wish(ledger, run, ledger.plans.get(run.run_id)),
        tr(
            "Waiting since {since}. Answer by {until}; after that a new run is needed.",
            since=_moment(request.requested_at),
            until=_moment(request.valid_until),
        ),
    )
    key = f"reminder {run.run_id} {request.digest} {number}"
    return Notice("reminder", key, _about(run, live_state(WAITS_FOR_APPROVAL), settings, lines))


@_in_language
def answered(run: Run, approval: Approval, settings: Settings) -> Notice:
    """Return the message that an approval was answered."""
    state = answered_state(str(approval.answer), automatic=approval.automatic)
    key = f"answered {run.run_id} {approval.digest}"
    return Notice("answered", key, _about(run, state, settings, (tr("{name} had asked.", name=_who(run)),)))


@_in_language
def asked_owner(run: Run, question: Question, settings: Settings) -> Notice:
    """Return the message that the owner of resources is asked."""
    grants = grants_of(len(question.items))
    lines = [tr("{name} asks the owner of resources about {grants}.", name=_who(run), grants=grants)]
    if question.handover:
        lines = [tr("{name} asks about {grants}. The owner has handed this over to a colleague.",
                    name=_who(run), grants=grants)]  # fmt: skip
    if question.due_at:
        lines.append(tr("An answer counts until {time}.", time=_moment(question.due_at)))
    lines.append(_unanswered([question.no_answer]))
    key = f"asked {run.run_id} {question.digest}" + (" handed" if question.handover else "")
    return Notice("asked", key, _about(run, live_state("waiting for owners"), settings, tuple(lines), "/owners"))


@_in_language
def owners_reminder(run: Run, waiting: OpenQuestions, settings: Settings, now: datetime) -> Notice | None:
    """Return the reminder of a run's questions to owners that is due now, or None while they are too young.

    It names nobody: its link leads to the list of those who are asked.
    """
    number = _reminders(waiting.asked_at, settings, now)
    if number < 1:
        return None
    asked = trn(
        "{count} question to owners of resources waits, for {people}.",
        "{count} questions to owners of resources wait, for {people}.",
        waiting.questions,
        people=people_of(waiting.people),
    )
    handed = trn(
        "{count} of them was handed over to a colleague.",
        "{count} of them were handed over to colleagues.",
        waiting.handed,
    )
    lines = (
        f"{asked} {handed}" if waiting.handed else asked,
        tr(
            "Waiting since {since}. An answer counts until {until}.",
            since=_moment(waiting.asked_at),
            until=_moment(waiting.due_at),
        ),
        _unanswered(waiting.rules),
    )
    key = f"{OWNERS_REMINDED} {run.run_id} {number}"
    return Notice("reminder", key, _about(run, live_state("waiting for owners"), settings, lines, "/owners"))


def _unanswered(rules: Sequence[str]) -> str:
    """Return what happens without an answer."""
    if len(rules) > 1:
        return tr("The page says for each of them what happens without an answer.")
    if rules == ["keep"]:
        return tr("Without an answer all of them stay.")
    return tr("Without an answer all of them go, if an approver agrees.")


@_in_language
def ended(ledger: Ledger, run: Run, settings: Settings) -> Notice | None:
    """Return the message that a run failed or ended while access remains; None if nothing is open.

    A run may end more than once, because tasks are cleared after a failure. Each end that differs from the last one
    that was told has a message of its own, also a good end after a bad one.
    """
    before = ledger.notices.told(f"ended {run.run_id}")
    state, message = _ending(run, settings)
    if state.tone not in (WARN, BAD, WAITING) and not run.summary.get("problems", ()) and not before:
        return None
    with reading(SOURCE):  # the key of the same end is the same in every language
        _, english = _ending(run, settings)
    digest = hashlib.sha256("\n".join((english.title, *english.lines)).encode()).hexdigest()[:16]
    same = before and before[-1].endswith(f" {digest}")
    key = before[-1] if same else f"ended {run.run_id} {len(before) + 1} {digest}"
    return Notice("remains", key, message)


def _ending(run: Run, settings: Settings) -> tuple[StateWords, Message]:
    summary = run.summary
    reported, problems = "systems" in summary, summary.get("problems", ())
    unreported = StateWords("failed", BAD, "✕", tr("failed, no report was written"))
    state = state_of(dict(summary)) if reported else unreported
    left = remains(dict(summary)) if reported else []
    lines = [tr("{name} had asked.", name=_who(run)), *(f"{phrase}{tr('.')}" for phrase in left)]
    if problems:
        lines.append(
            trn("{count} problem, named in the report.", "{count} problems, named in the report.", len(problems))
        )
    return state, _about(run, state, settings, tuple(lines))


@_in_language
def came_back(names: tuple[str, str], found: Sequence[Regrant], settings: Settings) -> Notice:
    """Return the message that access came back which had been proven gone.

    :param names: DAG and run of the watch.
    """
    first = sum(one.first for one in found)
    systems = len({one.key.system for one in found})
    people = len({(one.key.system, one.key.account, one.key.principal_type, one.key.principal_id) for one in found})
    lines = (
        tr(
            "{grants} of {people} in {systems}, {first} for the first time. They had been proven gone.",
            grants=grants_of(len(found)),
            people=people_of(people),
            systems=_systems(systems),
            first=first,
        ),
        tr("Nothing is revoked automatically."),
    )
    title = f"[{tr('Watch regrants')}] {returned_state(len(found)).text}"
    message = Message(title, lines, _link(settings, ""), tr(OPEN))
    return Notice("came_back", f"came back {names[0]} {names[1]}", message)


def _about(run: Run, state: StateWords, settings: Settings, lines: tuple[str, ...], place: str = "") -> Message:
    title = f"[{_kind(run)} {run.number}] {state.text}"
    return Message(title, lines, _link(settings, f"/{run.number:d}{place}"), tr(OPEN))


def _reminders(since: datetime, settings: Settings, now: datetime) -> int:
    """Return how many intervals have passed."""
    return (now - since) // timedelta(hours=settings.notifications.remind_hours if settings.notifications else 8)


def _kind(run: Run) -> str:
    if run.kind == OPERATION:
        return tr("Restore access")
    return tr("Revoke access") if run.params.get("kind") == "targets" else tr("Access review")


def _wish(ledger: Ledger, run: Run, plan: Plan) -> str:
    """Return who asks for how much: grants, people and systems."""
    systems = len({row.system for row in ledger.summary.per_system(run.run_id) if row.items})
    if plan.operation == OPERATION:
        ids = [item.grant_id for item in ledger.plans.items(run.run_id) if item.call_id is not None]
        given = ledger.snapshot.grants_by_id(str(plan.source_run_id), ids)
        grants, people = len(ids), len({principal_key(one) for one in given.values()})
        message = mark("{name} asks to restore {grants} of {people} in {systems}.")
    else:
        found = plan_people(ledger, run)
        grants, people = found.going, sum(one.going > 0 for one in found.people)
        message = mark("{name} asks to revoke {grants} of {people} in {systems}.")
    return tr(message, name=_who(run), grants=grants_of(grants), people=people_of(people), systems=_systems(systems))


def _systems(number: int) -> str:
    return trn("{count} system", "{count} systems", number)


def _who(run: Run) -> str:
    return chat_name(run.requester)


def _moment(value: datetime) -> str:
    """Return a time; in English with its day of the week."""
    if current().language != SOURCE:
        return moment(value)
    local = local_time(value)
    return f"{value:%a %d %b %H:%M} UTC" + (f" ({local})" if local else "")


def _link(settings: Settings, place: str) -> str:
    """Return the absolute address of a page, or an empty text where nobody knows the address of Airflow."""
    base = (settings.notifications.base_url if settings.notifications else "") or airflow_base()
    return f"{base.rstrip('/')}/{PAGE}{place}" if base else ""
