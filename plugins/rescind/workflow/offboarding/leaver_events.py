"""Events that say who left: read what an HR system sent, and hold what cannot be used.

An event names its people in Airflow's asset event: ``{"principals": ["person_id:P7"], "reason": ..., "ticket": ...}``.
A message queue brings the same object as the text of its message. Nothing of an event that is not used is repeated
anywhere: not its keys, not its values.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from rescind.errors import InputError
from rescind.evidence.bundle.format import moment
from rescind.ledger import OCCASION, Ledger, Run
from rescind.model import PrincipalType
from rescind.review import AdmittedRoster, RequestedTargets, Target, resolve_request
from rescind.review.text import check_text
from rescind.settings import Names, ReviewRequest
from rescind.systems import REGISTRY, id_spaces
from rescind.workflow.question.markdown import plain
from rescind.workflow.question.people_text import counted
from rescind.workflow.run_occasion import first_facts

LOOK_BACK = timedelta(days=7)
"""How old an event may be that Airflow gave to no run; an older one needs a person."""
MOST_TEXT = 65_536
"""Longest message of a queue, in characters."""
REASON = "Left the organization, by an event of the HR system"
_BY_AIRFLOW = {"from_rest_api": True}
"""What Airflow's REST interface adds to each event."""
_FROM_QUEUE = {"from_trigger", "payload"}
UNREAD = "events_unread"
"""Fact of the occasion: that the asset's own events could not be read."""
_UNREAD = (
    "events could not be read: this run has only those that Airflow gave to it. Look for others of the last "
    f"{LOOK_BACK.days} days among the events of the asset in Airflow, and start Revoke access for those who are missing"
)
_SHOWN = 10
"""Events that an approval request lists."""

Way = Literal["rest_api", "queue", "dag", "unknown"]


class LeaverEvent(BaseModel):
    """What one event may say.

    :param principals: who left: the exact id of a person or account with its id space (``person_id:P7``), a mail, or a
        name that only one person has; as in the form of *Revoke access*.
    :param reason: shown to the approver and stored as evidence. No control and no invisible characters: the ledger's
        database refuses NUL, and others change what the approver sees.
    :param ticket: id of a ticket.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    principals: Names = Field(min_length=1, max_length=1000)
    reason: str = Field(default="", max_length=500)
    ticket: str = Field(default="", max_length=60, pattern=r"^[A-Za-z0-9._#/-]*$")

    @field_validator("reason", "ticket")
    @classmethod
    def _visible(cls, text: str) -> str:
        try:
            return check_text(text, where="event")
        except InputError as error:
            raise ValueError(error.problem) from None


@dataclass(frozen=True, slots=True)
class Event:
    """One event as Airflow stores it, and what was understood of it.

    :param at: when Airflow recorded it, UTC.
    :param sha256: digest (hex) of everything that was sent, with Airflow's own additions.
    :param way: how it came: Airflow's REST interface, a message queue, a task of a DAG.
    :param said: what it says; None if it cannot be used.
    :param sender: user of Airflow who sent it, as far as Airflow's audit log tells; empty if it is not known.
    :param aside: what of it is not used and why, in sentences. They repeat nothing of the event but names of people
        that were looked for.
    """

    at: datetime
    sha256: str
    way: Way
    said: LeaverEvent | None
    sender: str = ""
    aside: tuple[str, ...] = ()

    @property
    def id(self) -> tuple[str, str]:
        """What tells this event from others."""
        return str(moment(self.at)), self.sha256

    def left_out(self, why: str) -> Event:
        """Return the event with nothing of it in use."""
        return replace(self, said=None, aside=(*self.aside, why))

    def sent_by(self, sender: str) -> Event:
        """Return the event with its sender."""
        return replace(self, sender=sender)

    def record(self) -> dict[str, Any]:
        """Return the event as the ledger keeps it: no personal data but what the request of the run holds anyway."""
        people = len(self.said.principals) if self.said else 0
        return {
            "at": self.id[0],
            "sha256": self.sha256,
            "way": self.way,
            "sender": self.sender,
            "people": people,
            "aside": list(self.aside),
        }


@dataclass(frozen=True, slots=True)
class Taken:
    """The events of a run, and the request that they make together."""

    events: tuple[Event, ...]
    request: ReviewRequest


def read_events(found: Iterable[Any]) -> list[Event]:
    """Return Airflow's asset events, each once, oldest first. One that cannot be read is kept with the reason.

    :param found: asset events with ``timestamp``, ``extra`` and ``source_dag_id``.
    """
    events = [_read(one) for one in found]
    return sorted({event.id: event for event in events}.values(), key=lambda event: event.id)


def unreadable(at: datetime) -> Event:
    """Return the event of this time, which Airflow stores and its client cannot read."""
    return Event(at.astimezone(UTC), digest_of(None), "unknown", None).left_out(
        "Airflow's client cannot read it, for example because it is nested too deeply. Look at it among the events of "
        "the asset in Airflow, and start Revoke access for those whom it names"
    )


def digest_of(extra: Any) -> str:
    """Return the digest (hex) of what was sent."""
    try:
        text = json.dumps(extra, sort_keys=True, default=str)
    except (ValueError, RecursionError):
        text = ""
    return hashlib.sha256(text.encode()).hexdigest()


def _read(one: Any) -> Event:
    extra = one.extra if isinstance(one.extra, Mapping) else {}
    at = one.timestamp.astimezone(UTC)
    way = _way(one, extra)
    event = Event(at, digest_of(one.extra), way, None)
    body: Any = {name: value for name, value in extra.items() if name not in _BY_AIRFLOW}
    if way == "queue":
        if set(body) != _FROM_QUEUE:
            return event.left_out("it is not what a message queue brings")
        body = _message(body["payload"])
    if not isinstance(body, Mapping):
        return event.left_out("its message is not one JSON object with each key once")
    strangers = len(set(body) - set(LeaverEvent.model_fields))
    if strangers:
        known = ", ".join(LeaverEvent.model_fields)
        return event.left_out(f"it has {strangers} unknown keys; known are {known}")
    try:
        return replace(event, said=LeaverEvent.model_validate(dict(body)))
    except ValidationError as error:
        fields = sorted({str(problem["loc"][0]) for problem in error.errors(include_url=False) if problem["loc"]})
        return event.left_out(f"{', '.join(fields) or 'it'}: not of the documented form")


def _way(one: Any, extra: Mapping[str, Any]) -> Way:
    """Return how an event came. Airflow marks what its REST interface took, whatever the sender writes."""
    if extra.get("from_rest_api") is True:
        return "rest_api"
    if getattr(one, "source_dag_id", None):
        return "dag"
    return "queue" if extra.get("from_trigger") is True else "unknown"


def _message(payload: Any) -> Any:
    """Return the JSON of a queue's message: the payload itself, or its text in ``data``, ``Body`` or ``value``."""
    if isinstance(payload, Mapping):
        texts = [payload[name] for name in ("data", "Body", "value") if name in payload]
        if not texts:
            return payload
        payload = texts[0] if len(texts) == 1 else None
    if not isinstance(payload, str) or len(payload) > MOST_TEXT:
        return None
    try:
        return json.loads(payload, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        return None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a key is there twice")
    return made


def only_from(events: Iterable[Event], senders: Sequence[str]) -> list[Event]:
    """Return the events, with nothing in use of those whose sender is not in the setting ``event_senders``.

    :param senders: empty: anybody.
    """
    if not senders:
        return list(events)
    return [
        event
        if event.sender in senders and event.sender
        else event.left_out("its sender is not known" if not event.sender else "its sender is not in 'event_senders'")
        for event in events
    ]


def take(events: Iterable[Event], base: Mapping[str, Any], roster: AdmittedRoster | None, most: int) -> Taken:
    """Look up everybody whom the events name, and return the request for all of them together.

    A name that cannot be used is left out and named, and so is an event that alone has more than ``most``. The others
    are handled.

    :param base: the other fields of the request.
    :param most: the setting ``event_max_people``.
    :raises InputError: when nobody is left, or when all events together have more than ``most`` names.
    """
    systems = tuple(base.get("systems") or REGISTRY)
    fitting = [_fitting(event, most) for event in events]
    wanted = sum(len(event.said.principals) for event in fitting if event.said)
    taken = [_usable(event, systems, roster) for event in fitting]
    names = dict.fromkeys(name for event in taken if event.said for name in event.said.principals)
    if len(names) > most:
        raise InputError(
            "asset events",
            f"{wanted} names in {len(taken)} events, {len(names)} of them different, are more than {most}",
            "If they are right, raise the setting 'event_max_people' and clear this task, or start Revoke access for "
            "them. Nothing was sent",
        )
    if not names:
        why = "; ".join(dict.fromkeys(told(event.record()) for event in taken if event.aside))[:1500]
        raise InputError(
            "asset events", f"they name nobody who can be used: {why or 'there is no event'}", "Send them again"
        )
    used = [event.said for event in taken if event.said]
    request = ReviewRequest.parse(
        {**base, "principals": list(names), **reasons_of(used)}, kind="targets", systems=tuple(REGISTRY)
    )
    return Taken(tuple(taken), request)


def _fitting(event: Event, most: int) -> Event:
    """Return the event, with nothing in use if it alone names too many: it must not stop the others."""
    count = len(set(event.said.principals)) if event.said else 0
    if count <= most:
        return event
    return event.left_out(
        f"its {count} different names are more than the setting 'event_max_people' allows ({most}). If they are right, "
        "start Revoke access for them"
    )


def _usable(event: Event, systems: tuple[str, ...], roster: AdmittedRoster | None) -> Event:
    """Return the event with the names that can be used, and why the others cannot."""
    good: list[str] = []
    aside = list(event.aside)
    for number, name in enumerate(event.said.principals if event.said else (), 1):
        if problem := _problem(name, systems, roster):
            aside.append(f"name {number}: {problem}"[:300])
        else:
            good.append(name)
    said = event.said.model_copy(update={"principals": tuple(good)}) if event.said and good else None
    return replace(event, said=said, aside=tuple(aside))


def _problem(name: str, systems: tuple[str, ...], roster: AdmittedRoster | None) -> str:
    """Return why a name cannot be used, or an empty text."""
    try:
        ReviewRequest.parse({"principals": [name], "reason": REASON}, kind="targets", systems=tuple(REGISTRY))
        found = resolve_request(RequestedTargets((Target(name),), systems), roster, id_spaces())
    except InputError as error:
        return error.problem
    if any(kind != PrincipalType.USER for _, kind, _ in found.raw):
        return "an event can name people and their accounts only, no group, role or other principal"
    return ""


def reasons_of(said: Iterable[LeaverEvent]) -> dict[str, str]:
    """Return reason and ticket of a request: of several events, every reason with its ticket."""
    said = list(said)
    tickets = list(dict.fromkeys(one.ticket for one in said if one.ticket))
    parts = [
        " ".join(
            filter(None, [one.reason.strip(), f"(ticket {one.ticket})" if one.ticket and len(tickets) > 1 else ""])
        )
        for one in said
    ]
    reason = "; ".join(dict.fromkeys(filter(None, parts)))[:500]
    return {
        "reason": reason if len(reason) >= 5 else f"{REASON}: {reason}".rstrip(": "),
        "ticket": tickets[0] if len(tickets) == 1 else "",
    }


def told(record: Mapping[str, Any]) -> str:
    """Return what of a recorded event was left out, as a sentence; empty if nothing was."""
    return (
        f"event of {record['at'][:19].replace('T', ' ')} UTC: {'; '.join(record['aside'])}" if record["aside"] else ""
    )


def event_problems(ledger: Ledger, run: Run) -> list[str]:
    """Return why the gate must fail: what was left out of the events of the run, and whether there may be others."""
    facts = ledger.inputs.facts(run.run_id, OCCASION)
    left = [f"left out: {why}" for event in facts.get("events", ()) if (why := told(event))]
    return [*left, _UNREAD] if facts.get(UNREAD) else left


def event_lines(ledger: Ledger, run: Run) -> list[str]:
    """Return the lines of an approval request about the events that started the run (Markdown)."""
    facts = first_facts(ledger, run)
    records = facts.get("events", ())
    lines = ["", f"**Started by {counted(len(records), 'event')}**", ""] if records else []
    for record in records[:_SHOWN]:
        way = {"rest_api": "Airflow's REST interface", "queue": "a message queue", "dag": "a task of a DAG"}
        by = f", sent by {plain(record['sender'])}" if record["sender"] else ""
        left = f". Left out: {plain('; '.join(record['aside']), 300)}" if record["aside"] else ""
        lines.append(
            f"- {record['at'][:19].replace('T', ' ')} UTC, by {way.get(record['way'], 'an unknown way')}{by}: "
            f"{counted(record['people'], 'name')}{left}"
        )
    lines += [f"- and {len(records) - _SHOWN} more"] if len(records) > _SHOWN else []
    return [*lines, f"- {_UNREAD}"] if facts.get(UNREAD) else lines
