"""The roster: who works here, under which ids in which id space, and since when no longer.

People are matched to principals by exact id within an id space, never by name. A roster must be admitted
(:func:`admit_roster`) before it may take part in a decision: an empty, short, stale or altered roster
decides nothing.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Literal, NamedTuple

from rescind.errors import GuardTrippedError, InputError
from rescind.model import Principal

PERSON_SPACE = "person_id"
"""The roster's own id space."""

DEFAULT_ID_COLUMNS: Mapping[str, str] = {
    "wedata_user_id": "wedata_user_id",
    "alibaba_uid": "alibaba_uid",
    "dms_user_id": "dms_user_id",
    "quickbi_user_id": "quickbi_user_id",
}
"""Roster column -> id space."""

Status = Literal["active", "left", "unknown"]
Kind = Literal["human", "service", "unknown"]


@dataclass(frozen=True, slots=True)
class Person:
    """One row of the roster.

    :param terminated_at: when the person leaves or left, in UTC, or None when no date is given.
    :param manager: ``person_id`` of the manager or, for a service account, of the owner; may be empty.
    :param ids: id space -> id; spaces without an id are left out.
    :param attributes: further columns that are not blank.
    :param line: line of the file, or number of the object.
    """

    person_id: str
    status: Status = "unknown"
    terminated_at: datetime | None = None
    kind: Kind = "unknown"
    manager: str = ""
    department: str = ""
    name: str = ""
    email: str = ""
    ids: Mapping[str, str] = field(default_factory=dict)
    attributes: Mapping[str, str] = field(default_factory=dict)
    line: int = 0


@dataclass(frozen=True, slots=True)
class RosterOptions:
    """How to read a roster.

    :param id_columns: column -> id space. Every one of them must be in the file (cells may be blank): a column that
        an export has lost must not pass for one that nobody needs.
    :param zone: for dates and times without a UTC offset. A bare date ends at the midnight after it.
    :param delimiter: between the cells of a CSV file.
    """

    id_columns: Mapping[str, str] = field(default_factory=lambda: dict(DEFAULT_ID_COLUMNS))
    zone: tzinfo = UTC
    delimiter: str = ","


class Roster:
    """All people, indexed by ``person_id`` and by id in every id space.

    :param spaces: the id spaces that the roster has a column for, whether filled or not.
    :param digest: SHA-256 (hex) of the bytes that the roster was read from.
    :raises InputError: for an empty roster and for a ``person_id`` or an id that two people share.
    """

    def __init__(self, people: Iterable[Person], *, spaces: Iterable[str], source: str, digest: str) -> None:
        self.people = tuple(people)
        self.spaces = frozenset(spaces)
        self.source = source
        self.digest = digest
        self._index: dict[str, dict[str, Person]] = {PERSON_SPACE: {}, **{space: {} for space in self.spaces}}
        if not self.people:
            raise InputError(source, "the roster holds no people", "Export it again; an empty roster is not used.")
        for person in self.people:
            self._add(person)

    def _add(self, person: Person) -> None:
        for space, value in ((PERSON_SPACE, person.person_id), *person.ids.items()):
            index = self._index.setdefault(space, {})
            other = index.setdefault(value, person)
            if other is not person:
                problem = f"lines {other.line} and {person.line} have the same {space} ({len(value)} characters)"
                raise InputError(f"{self.source}, column {space}", problem, "Give each person an id of their own.")

    def by_id(self, space: str, value: str) -> Person | None:
        """Return the person with this exact id in this id space."""
        return self._index.get(space, {}).get(value)

    def by_person_id(self, person_id: str) -> Person | None:
        """Return the person with this ``person_id``."""
        return self._index[PERSON_SPACE].get(person_id)


@dataclass(frozen=True, slots=True)
class RosterLimits:
    """What a roster must hold to be believed. 0 means none, never unlimited.

    :param min_people: fewest people.
    :param max_age: greatest age at the time of the review.
    :param max_leaver_percent: greatest share of people with status ``left``, in whole percent.
    :param checksum: expected SHA-256 (hex) of the file, or empty when none was sent along.
    """

    min_people: int
    max_age: timedelta
    max_leaver_percent: int
    checksum: str = ""


@dataclass(frozen=True, slots=True)
class AdmittedRoster:
    """A roster that kept its limits: the only kind that decisions accept. Made by :func:`admit_roster`."""

    roster: Roster
    limits: RosterLimits
    as_of: datetime
    admitted_at: datetime


def admit_roster(roster: Roster, limits: RosterLimits, *, as_of: datetime, now: datetime) -> AdmittedRoster:
    """Return the roster, admitted to decisions.

    :param as_of: when the roster was true (its export time), timezone-aware.
    :raises InputError: wrong checksum, limits that make no sense, ``as_of`` without zone.
    :raises GuardTrippedError: too few people, too old, from the future, too many leavers.
    """
    _check_limits(roster, limits, as_of, now)
    if limits.checksum and not hmac.compare_digest(limits.checksum.strip().lower(), roster.digest):
        problem = f"the checksum of the file is {roster.digest[:12]}..., not the expected one"
        raise InputError(roster.source, problem, "Fetch the roster and its checksum again.")
    count = len(roster.people)
    if count < limits.min_people:
        remedy = "An incomplete roster is not used. Export all people, or lower the limit deliberately."
        raise GuardTrippedError("roster.min_people", str(limits.min_people), str(count), remedy)
    age = now - as_of
    if age > limits.max_age or age < -timedelta(minutes=5):
        remedy = "Export the roster again (a date in the future points to a wrong clock or time zone)."
        raise GuardTrippedError("roster.max_age", str(limits.max_age), str(age), remedy)
    left = sum(person.status == "left" for person in roster.people)
    if left * 100 > limits.max_leaver_percent * count:
        remedy = "Check the status column at its source, or raise the limit deliberately."
        measured = f"{left} of {count} people"
        raise GuardTrippedError("roster.max_leaver_percent", f"{limits.max_leaver_percent} %", measured, remedy)
    return AdmittedRoster(roster, limits, as_of, now)


def _check_limits(roster: Roster, limits: RosterLimits, as_of: datetime, now: datetime) -> None:
    if limits.min_people < 1:
        raise InputError("roster.min_people", f"{limits.min_people} is not a limit", "Set 1 or more.")
    if not 0 <= limits.max_leaver_percent <= 100:
        raise InputError("roster.max_leaver_percent", "not between 0 and 100", "Set a whole percentage.")
    if limits.max_age <= timedelta(0):
        raise InputError("roster.max_age", "not a positive duration", "Set the maximum age, for example 24 hours.")
    if as_of.tzinfo is None or now.tzinfo is None:
        raise InputError(
            f"{roster.source}, as_of", "a time without a UTC offset", "Add the UTC offset to the export time."
        )


class Match(NamedTuple):
    """How a principal was matched to a person.

    :param method: ``id:<space>`` of the id that matched; else ``none`` (looked for and not found), ``conflict`` (its
        ids belong to different people), ``unconfirmed`` (the person's row lacks an id that the platform shows),
        ``no_id_space`` (the roster has no column for its ids) or ``not_a_person`` (groups, roles, projects ...).
    """

    person: Person | None
    method: str


UNMATCHED = Match(None, "none")
_PERSONAL = frozenset({"user", "unknown"})


def match_person(
    principal_type: str,
    ids: Iterable[tuple[str, str]],
    roster: Roster,
) -> Match:
    """Return the person that all given ids agree on.

    Ids of spaces that the roster has no column for say nothing. Every other id must be the one in the same
    row: an id that the row lacks or that differs leaves the principal unmatched. So a lost row or cell can
    only ever undo a match, never make one. (What a platform says of its principals belongs to the snapshot,
    which is complete or decides nothing; a roster may be damaged without anybody noticing.)
    """
    if principal_type not in _PERSONAL:
        return Match(None, "not_a_person")
    known = [(space, value) for space, value in ids if value and space in roster.spaces]
    if not known:
        return Match(None, "no_id_space")
    found = [(space, roster.by_id(space, value)) for space, value in known]
    people = {person.person_id: person for _, person in found if person is not None}
    if not people:
        return UNMATCHED
    if len(people) > 1:
        return Match(None, "conflict")
    person = next(iter(people.values()))
    if any(space in person.ids and person.ids[space] != value for space, value in known):
        return Match(None, "conflict")
    if any(other is None for _, other in found):
        return Match(None, "unconfirmed")
    return Match(person, f"id:{next(space for space, _ in found)}")


def principal_ids(
    system: str, principal_id: str, principal: Principal | None, spaces: Mapping[str, tuple[str, ...]]
) -> tuple[tuple[str, str], ...]:
    """Return all (space, id) pairs of a principal: its own id in the system's first space, then its other ids."""
    own, *others = spaces.get(system, ("",))
    pairs = [(own, principal_id)] if own else []
    if principal is not None:
        pairs += [pair for pair in principal.other_ids if pair[0] in others or pair[0] == own]
    return tuple(dict.fromkeys(pairs))
