"""The roster: who works here, under which ids in which id space, and since when no longer.

A roster must be admitted (:func:`admit_roster`) before it may take part in a decision: an empty, short, stale or
altered roster decides nothing.
"""

from __future__ import annotations

import hmac
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cached_property
from itertools import groupby
from typing import Literal, Protocol

from rescind.errors import GuardTrippedError, InputError
from rescind.review.roster.aside import SetAside, SetAsideRows, folded
from rescind.review.roster.presets import Preset
from rescind.review.text import WHOLE_DAY

PERSON_SPACE = "person_id"
"""The roster's own id space."""

DEFAULT_ID_COLUMNS: Mapping[str, str] = {
    "wedata_user_id": "wedata_user_id",
    "alibaba_uid": "alibaba_uid",
    "dms_user_id": "dms_user_id",
    "quickbi_user_id": "quickbi_user_id",
}
"""Roster column -> id space."""
OPTIONAL_ID_COLUMNS: Mapping[str, str] = {"wedata_uin": "wedata_uin"}
"""Roster column -> id space, for ids that only some permission systems use. A roster may lack these columns."""

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
    :param held: why nothing is concluded from the row's status and date, or empty; see :meth:`Roster.held`.
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
    held: str = ""


class MoreIds(Protocol):
    """Further ids of people; see :class:`rescind.review.roster.id_map.IdMap`."""

    @property
    def spaces(self) -> tuple[str, ...]:
        """The id spaces that it has a column for."""

    def join(self, people: Iterable[Person]) -> tuple[list[Person], list[SetAside]]:
        """Return the people with their ids, and the rows that name nobody for certain."""


@dataclass(frozen=True, slots=True)
class RosterOptions:
    """How to read a roster.

    :param id_columns: column -> id space. Every one of them must be in the file (cells may be blank): a column that
        an export has lost must not pass for one that nobody needs.
    :param optional_id_columns: likewise, but the file may lack them: then nobody is recognized by such an id.
    :param zone: for dates and times without a UTC offset.
    :param end_of_day: time of day in ``zone`` at which a leaving date without a time ends: a bare date, or an exact
        midnight.
    :param delimiter: between the cells of a CSV file; empty for the one that separates the names of the first line.
    :param columns: our name of a column -> its name in the file.
    :param values: ``status`` and ``kind`` -> word of the file, in any case -> our word.
    :param encoding: of a CSV file; empty for UTF-8, or UTF-16 with its byte order mark.
    :param date_format: further form of dates, of ``DD``, ``MM`` and ``YYYY``, such as ``DD.MM.YYYY``.
    :param preset: names and words of a known export; ``columns`` and ``values`` come before it.
    :param id_map: further ids of people in the platforms.
    :param max_bad_rows_percent: a file with a larger share of rows that cannot be read is refused, in whole percent; 0
        sets no row aside.
    """

    id_columns: Mapping[str, str] = field(default_factory=lambda: dict(DEFAULT_ID_COLUMNS))
    optional_id_columns: Mapping[str, str] = field(default_factory=lambda: dict(OPTIONAL_ID_COLUMNS))
    zone: tzinfo = UTC
    end_of_day: timedelta = WHOLE_DAY
    delimiter: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    encoding: str = ""
    date_format: str = ""
    max_bad_rows_percent: int = 10
    preset: Preset | None = None
    id_map: MoreIds | None = None

    def found_in(self, header: Collection[str]) -> RosterOptions:
        """Return these options with the columns that the roster has: optional ids, and those of the preset."""
        known = {*self.id_columns.values()}
        given = {name: to for name, to in self.optional_id_columns.items() if name in header and to not in known}
        options = replace(self, id_columns={**given, **self.id_columns}, optional_id_columns={})
        if self.preset is None or not self.preset.columns:
            return options
        values = {name: {**words, **self.values.get(name, {})} for name, words in self.preset.values.items()}
        columns = {**self.preset.found_in(header), **self.columns}
        return replace(options, columns=columns, values={**self.values, **values})


class Roster:
    """All people, indexed by ``person_id`` and by id in every id space.

    Somebody who left and came back has two rows. Where the mail of a row that says "left" stands in an active row too,
    the row that says "left" is held: its status and date are not known to any rule. An id that the two rows share
    belongs to neither of them.

    Rows that cannot be read are set aside; see :mod:`rescind.review.roster.aside`.

    :param spaces: the id spaces that the roster has a column for, whether filled or not.
    :param digest: SHA-256 (hex) of the bytes that the roster was read from.
    :param notes: what the file itself leaves open, in sentences.
    :param mixed: people are named in two ways, so that no manager is certainly missing.
    :raises InputError: for an empty roster, for a ``person_id`` that two people share, and for an id that two people
        share of whom not exactly one has left.
    """

    def __init__(
        self,
        people: Iterable[Person],
        *,
        spaces: Iterable[str],
        source: str,
        digest: str,
        aside: Iterable[SetAside] = (),
        mixed: bool = False,
        notes: Iterable[str] = (),
    ) -> None:
        self._mixed = mixed
        self.notes = tuple(notes)
        self.aside = SetAsideRows(aside)
        given = tuple(people)
        self._dated = any(person.terminated_at is not None for person in given)
        self.people = _with_held(given, self.aside)
        self.spaces = frozenset(spaces)
        self.source = source
        self.digest = digest
        self._index: dict[str, dict[str, Person]] = {PERSON_SPACE: {}, **{space: {} for space in self.spaces}}
        self._shared: set[tuple[str, str]] = set()
        self._doubtful: set[str] = set()
        if not self.people:
            raise InputError(source, "the roster holds no people", "Export it again; an empty roster is not used.")
        for person in self.people:
            self._add(person)

    def _add(self, person: Person) -> None:
        for space, value in ((PERSON_SPACE, person.person_id), *person.ids.items()):
            index = self._index.setdefault(space, {})
            other = index.setdefault(value, person)
            if other is person:
                continue
            if space != PERSON_SPACE and _came_back(other, person):
                self._shared.add((space, value))
                if not person.email or person.email.casefold() != other.email.casefold():
                    self._doubtful.add(space)  # one of the two may have another id, which is lost
            else:
                problem = f"lines {other.line} and {person.line} have the same {space} ({len(value)} characters)"
                raise InputError(f"{self.source}, column {space}", problem, "Give each person an id of their own.")

    def by_id(self, space: str, value: str) -> Person | None:
        """Return the person with this exact id in this id space."""
        return self._index.get(space, {}).get(value)

    def may_list(self, manager: str) -> bool:
        """Return whether a manager who is nobody's ``person_id`` may still be somebody here, written in another way.

        Somebody's mail, another id or name of theirs, an id without its leading zeros, or a text of a shape that no
        ``person_id`` has says nothing about whether the manager is listed. Neither does a row that was set aside.
        """
        if self._mixed or folded(manager) in self._names or _letters(manager) not in self._shapes:
            return True
        return self.aside.may_have(PERSON_SPACE) or self.aside.row_with((manager,)) is not None

    def may_have(self, space: str, value: str) -> bool:
        """Return whether an id that nobody has may still be somebody's, written in another way or in a bad row."""
        if space in self._doubtful or self.aside.may_have(space):
            return True
        return folded(value) in self._spellings.get(space, ())

    @cached_property
    def _spellings(self) -> Mapping[str, frozenset[str]]:
        return {space: frozenset(map(folded, index)) for space, index in self._index.items()}

    @cached_property
    def _names(self) -> frozenset[str]:
        names = (
            (p.person_id, p.email, p.email.partition("@")[0], p.name, *p.ids.values(), *p.attributes.values())
            for p in self.people
        )
        return frozenset(folded(name) for of_one in names for name in of_one if name)

    @cached_property
    def _shapes(self) -> frozenset[str]:
        return frozenset(_letters(person.person_id) for person in self.people)

    def shared(self, space: str, value: str) -> bool:
        """Return whether this id stands in the rows of somebody who left and of somebody active."""
        return (space, value) in self._shared

    def holders(self, space: str, value: str) -> list[Person]:
        """Return everyone with this exact id in this id space: two where somebody left and somebody is active."""
        if self.shared(space, value):
            return [person for person in self.people if person.ids.get(space) == value]
        person = self.by_id(space, value)
        return [] if person is None else [person]

    def possible_ids(self, people: Collection[str]) -> frozenset[tuple[str, str]]:
        """Return all (id space, id) pairs that the people with these ``person_id`` may have: in rows set aside too."""
        found = {pair for person in map(self.by_person_id, people) if person is not None for pair in person.ids.items()}
        for row in self.aside.rows:
            if any(space == PERSON_SPACE and value in people for space, value in row.ids):
                found |= row.ids
        return frozenset(found)

    def called(self, text: str) -> Sequence[Person]:
        """Return everyone whose mail or name this is, without case, width, and order of combining marks."""
        return self._called.get(_spoken(text), ())

    @cached_property
    def _called(self) -> Mapping[str, Sequence[Person]]:
        found: dict[str, list[Person]] = {}
        for person in self.people:
            texts = {_spoken(text) for text in (person.name, person.email if "@" in person.email else "")}
            for text in texts - {""}:
                found.setdefault(text, []).append(person)
        return found

    @property
    def held(self) -> tuple[Person, ...]:
        """The people from whose status and date nothing is concluded."""
        return tuple(person for person in self.people if person.held)

    @cached_property
    def tells_managers(self) -> bool:
        """Whether the roster names managers at all: in an export without them, nobody is without a manager."""
        return any(person.manager for person in self.people)

    @cached_property
    def tells_dates(self) -> bool:
        """Whether the roster has a leaving date of anybody: then a leaver without one may have lost it."""
        return self._dated or any(row.dated for row in self.aside.rows)

    def by_person_id(self, person_id: str) -> Person | None:
        """Return the person with this ``person_id``."""
        return self._index[PERSON_SPACE].get(person_id)


def _spoken(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).split()).casefold()


def _letters(text: str) -> str:
    """Return which kinds of characters a text begins with and holds, in any number: ``P07`` gives ``A0``."""
    kinds = ("0" if c.isdigit() else "A" if c.isalpha() else c for c in text)
    return "".join(kind for kind, _ in groupby(kinds))


def _came_back(one: Person, other: Person) -> bool:
    """Return whether two rows may be one person: one of them says "left" (or is held for it), the other is active."""
    return {"active"} < {_word(one), _word(other)} <= {"active", "left"}


def _word(person: Person) -> str:
    return "left" if person.held else person.status


def _with_held(people: tuple[Person, ...], aside: SetAsideRows) -> tuple[Person, ...]:
    """Return the people with those held who left and share their mail or an id with a row that does not say so.

    That is a row of somebody active, of unknown status, or set aside.
    """
    active: dict[tuple[str, str], Person] = {}
    for person in people:
        if person.status != "left":
            active |= dict.fromkeys(_strong(person), person)

    def one(person: Person) -> Person:
        if person.status != "left":
            return person
        same = next(((key, active[key]) for key in _strong(person) if key in active), None)
        row = None
        if same is None and aside.rows:
            row = aside.row_with(value for _, value in _strong(person)) or aside.row_of(PERSON_SPACE, person.person_id)
        if same is not None:
            (what, _), other = same
            state = "active" if other.status == "active" else "of unknown status"
            reason = f"left, and line {other.line} with the same {what} is {state}"
        elif row is not None:
            line = f"line {row.line}{' of the id map' if row.mapped else ''}"
            reason = f"left, and {line}, which cannot be read, may be the same person"
        else:
            return person
        return replace(person, status="unknown", terminated_at=None, held=reason)

    return tuple(map(one, people)) if active or aside.rows else people


def _strong(person: Person) -> list[tuple[str, str]]:
    mail = [("email", person.email.casefold())] if person.email else []
    return [*mail, *person.ids.items()]


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
        remedy = (
            "An incomplete roster is not used. Export all people, or lower the setting roster_min_people deliberately."
        )
        raise GuardTrippedError("roster.min_people", str(limits.min_people), str(count), remedy)
    age = now - as_of
    if age > limits.max_age or age < -timedelta(minutes=5):
        remedy = "Export the roster again (a date in the future points to a wrong clock or time zone)."
        raise GuardTrippedError("roster.max_age", str(limits.max_age), str(age), remedy)
    left = sum(person.status == "left" or bool(person.held) for person in roster.people)
    if left * 100 > limits.max_leaver_percent * count:
        remedy = "Check the status column at its source, or raise the setting roster_max_leaver_percent deliberately."
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
