"""Exceptions (waivers): grants that stay although a rule would take them away, each with owner, reason and end."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from pydantic import Field

from rescind.errors import InputError
from rescind.model import Grant, GrantKey
from rescind.review.files import Line, Strict, load
from rescind.review.patterns import check_pattern, matches
from rescind.review.text import check_id, check_text, parse_moment

_NARROWING = ("principal_id", "resource_id", "native_id")
_IDS = ("principal_id", "native_id")


class MatchFile(Strict):
    """Which grants an exception covers, by fields of the grant's key; fields left out fit everything."""

    system: Line | None = None
    account: Line | None = None
    resource_type: Line | None = None
    resource_id: Line | None = None
    principal_type: Line | None = None
    principal_id: Line | None = None
    entitlement: Line | None = None
    native_id: Line | None = None


class WaiverFile(Strict):
    """One exception as written."""

    id: Line
    owner: Line
    reason: Line
    end: Line
    match: MatchFile
    glob: bool = False
    compensating_control: Line | None = None


class ExceptionsFile(Strict):
    """The file of exceptions as written."""

    format: Literal[1]
    exceptions: list[WaiverFile] = Field(max_length=100_000)


@dataclass(frozen=True, slots=True)
class Waiver:
    """One exception.

    :param end: the moment from which it no longer applies, in UTC.
    :param match: (field of :class:`~rescind.model.GrantKey`, value or pattern) pairs that must all fit.
    :param compensating_control: what guards against the risk while the grant stays; empty when the file says nothing.
    """

    id: str
    owner: str
    reason: str
    end: datetime
    match: tuple[tuple[str, str], ...]
    glob: bool
    compensating_control: str = ""

    def covers(self, key: GrantKey) -> bool:
        """Return whether the exception covers this grant (whatever the date)."""
        return all(matches(value, getattr(key, name), glob=self.glob) for name, value in self.match)

    def covers_resource(self, key: GrantKey) -> bool:
        """Return whether the exception covers grants on this resource, as far as its type and id say."""
        mine = (pair for pair in self.match if pair[0] in ("resource_type", "resource_id"))
        return all(matches(value, getattr(key, name), glob=self.glob) for name, value in mine)


class ActiveExceptions:
    """The exceptions that apply at one moment, indexed by exact ids."""

    def __init__(self, waivers: Iterable[Waiver]) -> None:
        self._exact: dict[str, dict[str, list[Waiver]]] = {name: {} for name in _NARROWING}
        self._others: list[Waiver] = []
        for waiver in waivers:
            name = next((n for n in _NARROWING if n in dict(waiver.match)), "")
            if waiver.glob or not name:
                self._others.append(waiver)
            else:
                self._exact[name].setdefault(dict(waiver.match)[name], []).append(waiver)
        self._fields = [name for name in _NARROWING if self._exact[name]]
        self.empty = not self._fields and not self._others

    def find(self, grant: Grant) -> Waiver | None:
        """Return an exception that covers the grant, or None."""
        for name in self._fields:
            for waiver in self._exact[name].get(getattr(grant.key, name), ()):
                if waiver.covers(grant.key):
                    return waiver
        return next((waiver for waiver in self._others if waiver.covers(grant.key)), None)


@dataclass(frozen=True)
class Exceptions:
    """All exceptions of a file. ``Exceptions.none()`` says that no file is configured."""

    waivers: tuple[Waiver, ...]

    @classmethod
    def none(cls) -> Exceptions:
        """No exceptions."""
        return cls(())

    def at(self, now: datetime) -> ActiveExceptions:
        """Return the exceptions that have not ended."""
        return ActiveExceptions(waiver for waiver in self.waivers if now < waiver.end)


def load_exceptions(text: bytes | str, *, source: str) -> Exceptions:
    """Return the exceptions in a YAML text.

    :raises InputError: naming file, line and field.
    """
    model, file = load(ExceptionsFile, text, source=source)
    waivers: dict[str, Waiver] = {}
    for number, entry in enumerate(model.exceptions):
        where = f"{source}, line {file.line(('exceptions', number))}, exception {entry.id}"
        if entry.id in waivers:
            raise InputError(where, "a second exception with this id", "Give every exception an id of its own.")
        waivers[entry.id] = _waiver(entry, where)
    return Exceptions(tuple(waivers.values()))


def _waiver(entry: WaiverFile, where: str) -> Waiver:
    fields = {name: value for name, value in entry.match.model_dump().items() if value is not None}
    if not any(name in fields for name in _NARROWING):
        remedy = f"Name at least one of {', '.join(_NARROWING)}."
        raise InputError(f"{where}, match", "the exception would cover a whole system", remedy)
    for name, value in fields.items():
        place = f"{where}, match.{name}"
        check_pattern(value, where=place, glob=entry.glob)
        _ = check_id(value, where=place) if name in _IDS else check_text(value, where=place)
    end = parse_moment(entry.end, where=f"{where}, end")
    match, control = tuple(sorted(fields.items())), entry.compensating_control or ""
    return Waiver(entry.id, entry.owner, entry.reason, end, match, entry.glob, control)
