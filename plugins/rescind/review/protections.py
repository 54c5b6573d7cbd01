"""Protections: principals and resources whose access is never revoked, whatever a policy says.

An unreadable list stops the run. Principals are named by id in an id
space (never by name); a protected person is protected under all their ids. So that a damaged roster cannot
silently end that, a protected id that the roster does not know must say ``not_in_roster: true``, and one whose
row lacks the id of a space must name that space in ``without``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from rescind.errors import InputError
from rescind.model import GrantKey
from rescind.review.files import Line, Strict, load
from rescind.review.patterns import ResourcePattern, check_pattern, matches
from rescind.review.roster.admit import OPTIONAL_ID_COLUMNS, PERSON_SPACE, AdmittedRoster, Person
from rescind.review.roster.users import USER_COLUMN, UserLinks
from rescind.review.text import check_id, check_text

OWN = "the tool's own identity"
UNKNOWN_KIND = "it is not known whether this is a person or a service"

PrincipalKind = Literal["human", "service", "system"]


class PrincipalFile(Strict):
    """A protected principal as written: ``id``, or ``pattern``, within ``space``."""

    space: Line
    id: Line | None = None
    pattern: Line | None = None
    reason: Line
    not_in_roster: bool = False
    without: list[Line] = Field(default_factory=list, max_length=100)


class ResourceFile(Strict):
    """A protected resource as written; ``account`` and ``type`` may be left out."""

    system: Line
    account: Line | None = None
    type: Line | None = None
    id: Line | None = None
    pattern: Line | None = None
    reason: Line


class ProtectionsFile(Strict):
    """The file of protections as written. Both lists must be there, even when empty."""

    format: Literal[1]
    unknown_kind: Literal["protect", "allow"] = "protect"
    kinds: tuple[PrincipalKind, ...] = Field(default=("system",), strict=False)
    principals: list[PrincipalFile] = Field(max_length=100_000)
    resources: list[ResourceFile] = Field(max_length=100_000)


@dataclass(frozen=True, slots=True)
class ProtectedPrincipal:
    """One protected principal: an exact id, or a pattern, within an id space.

    :param without: id spaces in which the person has no id.
    :param own: whether it is one of the tool's own ids, which the roster need not know.
    """

    space: str
    value: str
    reason: str
    glob: bool = False
    not_in_roster: bool = True
    where: str = ""
    without: frozenset[str] = frozenset()
    own: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtectedResource(ResourcePattern):
    """One protected resource, or a pattern of them."""

    reason: str


@dataclass(frozen=True)
class Protections:
    """What is protected, as the file and the caller say.

    :param unknown_kind: whether principals of unknown kind that the roster does not know are protected.
    """

    principals: tuple[ProtectedPrincipal, ...]
    resources: tuple[ProtectedResource, ...]
    unknown_kind: Literal["protect", "allow"] = "protect"
    kinds: frozenset[str] = frozenset({"system"})

    def bind(
        self,
        roster: AdmittedRoster | None,
        spaces: Mapping[str, tuple[str, ...]],
        systems: frozenset[str] = frozenset(),
    ) -> BoundProtections:
        """Return the protections joined with the roster.

        :param spaces: system -> its id spaces; entries may name any of these spaces or a system itself.
        :param systems: the systems whose grants are decided on, empty for all. An id that only other systems use may
            be missing from a protected person's row, where the roster need not have its column.
        :raises InputError: an unknown id space, or an id that the roster should know and does not.
        """
        known = {PERSON_SPACE, *spaces, *(space for names in spaces.values() for space in names)}
        known |= {USER_COLUMN} | (roster.roster.spaces if roster else set())
        used = {space for name in systems or spaces for space in spaces.get(name, ())}
        spared = frozenset(OPTIONAL_ID_COLUMNS.values()) - used
        bound = BoundProtections(self)
        for entry in self.principals:
            if entry.space not in known:
                problem = f"an unknown id space ({entry.space!r})"
                raise InputError(entry.where, problem, f"Use one of {', '.join(sorted(known))}.")
            bound.add(entry, _person(entry, roster, spared))
        return bound


def _person(entry: ProtectedPrincipal, roster: AdmittedRoster | None, spared: frozenset[str]) -> Person | None:
    """Return the person behind a protected id.

    :raises InputError: when the roster contradicts what the entry says about it.
    """
    if entry.space == USER_COLUMN:
        return _person_of_user(entry, roster, spared)
    if entry.glob:
        return None
    if roster is None:
        if entry.space == PERSON_SPACE:
            raise InputError(entry.where, "a person_id without a roster", "Give the roster, or ids of the systems.")
        return None
    person = roster.roster.by_id(entry.space, entry.value)
    if entry.own:
        return person
    covered = entry.space == PERSON_SPACE or entry.space in roster.roster.spaces
    if roster.roster.shared(entry.space, entry.value):
        problem = "two people of the roster, one who left and one who is active, have this protected id"
        raise InputError(entry.where, problem, "Name the person_id of the one who is protected.")
    if person is None and covered and not entry.not_in_roster:
        remedy = "Export the complete roster, or write `not_in_roster: true` for an id that is never in it."
        raise InputError(entry.where, "the roster does not know this protected id", remedy)
    if person is not None and entry.not_in_roster:
        raise InputError(entry.where, "`not_in_roster: true`, but the roster has this id", "Remove that line.")
    if person is not None:
        _check_ids(entry, person, roster.roster.spaces, spared)
    return person


def _person_of_user(entry: ProtectedPrincipal, roster: AdmittedRoster | None, spared: frozenset[str]) -> Person:
    """Return the person whom the roster links to a protected Airflow user.

    :raises InputError: for a pattern, or when the roster does not link exactly one person.
    """
    found = UserLinks(roster.roster).people(entry.value) if roster and not entry.glob else []
    if len(found) != 1:
        problem = f"the roster links {len(found)} people to this Airflow user"
        raise InputError(entry.where, problem, "Correct the roster's column airflow_user, or name the person_id.")
    _check_ids(entry, found[0], roster.roster.spaces if roster else frozenset(), spared)
    return found[0]


def _check_ids(entry: ProtectedPrincipal, person: Person, spaces: frozenset[str], spared: frozenset[str]) -> None:
    """:raises InputError: when the person's row lacks an id, or holds one, against what the entry says."""
    lacking = spaces - set(person.ids)
    if lacking - entry.without - spared:
        names = ", ".join(sorted(lacking - entry.without - spared))
        remedy = f"Add the id to the person's row, or write `without: [{names}]` if the person has no such id."
        raise InputError(entry.where, f"the roster has no {names} for this protected person", remedy)
    if entry.without - lacking:
        names = ", ".join(sorted(entry.without - lacking))
        raise InputError(
            entry.where, f"`without` names {names}, which is not an id space or has an id", "Remove it from `without`."
        )


class BoundProtections:
    """Protections ready to be asked."""

    def __init__(self, protections: Protections) -> None:
        self._kinds = protections.kinds
        self._unknown_kind = protections.unknown_kind
        self._ids: dict[tuple[str, str], str] = {}
        self._patterns: list[ProtectedPrincipal] = []
        self._resources: dict[tuple[str, str], list[ProtectedResource]] = {}
        self._resource_patterns: list[ProtectedResource] = []
        for entry in protections.resources:
            if entry.glob:
                self._resource_patterns.append(entry)
            else:
                self._resources.setdefault((entry.system, entry.value), []).append(entry)

    def add(self, entry: ProtectedPrincipal, person: Person | None) -> None:
        """One protected principal, with all ids of the person."""
        if entry.glob:
            self._patterns.append(entry)
            return
        ids = {(entry.space, entry.value)}
        if person is not None:
            ids |= {(PERSON_SPACE, person.person_id), *person.ids.items()}
        for pair in ids:
            self._ids.setdefault(pair, entry.reason)

    def principal(self, ids: Iterable[tuple[str, str]]) -> str:
        """Return why a principal with these (space, id) pairs is protected, or an empty text."""
        for pair in ids:
            if pair in self._ids:
                return self._ids[pair]
            for entry in self._patterns:
                if entry.space == pair[0] and matches(entry.value, pair[1], glob=True):
                    return entry.reason
        return ""

    def kind(self, platform: str, roster: str, *, in_roster: bool, allow_unknown: bool = False) -> str:
        """Return why a user of this kind (as platform and roster say) is protected, or an empty text.

        Where people or services are protected, the roster has to say which of them a user is: a row that has lost
        its kind must not end the protection that it gave before, whatever the platform says.
        """
        said = {platform, roster} - {"unknown"}
        for kind in sorted(said & self._kinds):
            return f"principals of kind {kind} are protected"
        by_roster = bool(self._kinds & {"human", "service"})
        silent = (roster == "unknown") if by_roster else (not said and not in_roster)
        if silent and self._unknown_kind == "protect" and not allow_unknown:
            return UNKNOWN_KIND
        return ""

    def resource(self, key: GrantKey) -> str:
        """Return why the resource of a grant is protected, or an empty text."""
        exact = self._resources.get((key.system, key.resource_id), [])
        return next((entry.reason for entry in exact + self._resource_patterns if entry.covers(key)), "")


def load_protections(
    text: bytes | str, *, source: str, own_ids: Iterable[tuple[str, str]], allow_no_own_ids: bool = False
) -> Protections:
    """Return the protections in a YAML text, with the tool's own identities.

    :param own_ids: (space, id) pairs of the identities that send our calls; space is an id space or a system.
    :raises InputError: naming file, line and field; for missing own ids.
    """
    model, file = load(ProtectionsFile, text, source=source)
    own = [
        ProtectedPrincipal(space, check_id(value, where=f"own_ids, {space}"), OWN, where=f"own_ids, {space}", own=True)
        for space, value in own_ids
    ]
    if (not own and not allow_no_own_ids) or any(not entry.value for entry in own):
        remedy = "Set own_ids on the connection, so that a run cannot revoke the tool's own access."
        raise InputError("own_ids", "the ids of the tool's own identity are not known", remedy)
    principals = [
        _principal(entry, f"{source}, line {file.line(('principals', number))}, principals[{number}]")
        for number, entry in enumerate(model.principals)
    ]
    resources = [
        _resource(entry, f"{source}, line {file.line(('resources', number))}, resources[{number}]")
        for number, entry in enumerate(model.resources)
    ]
    return Protections((*own, *principals), tuple(resources), model.unknown_kind, frozenset(model.kinds))


def _value(exact: str | None, pattern: str | None, where: str) -> tuple[str, bool]:
    if (exact is None) == (pattern is None):
        raise InputError(where, "needs either id or pattern", "Write exactly one of the two.")
    text = exact if exact is not None else pattern or ""
    return check_pattern(text, where=where, glob=exact is None), exact is None


def _principal(entry: PrincipalFile, where: str) -> ProtectedPrincipal:
    value, glob = _value(entry.id, entry.pattern, where)
    return ProtectedPrincipal(
        space=entry.space,
        value=check_id(value, where=where),
        reason=entry.reason,
        glob=glob,
        not_in_roster=entry.not_in_roster,
        where=where,
        without=frozenset(entry.without),
    )


def _resource(entry: ResourceFile, where: str) -> ProtectedResource:
    value, glob = _value(entry.id, entry.pattern, where)
    return ProtectedResource(
        reason=entry.reason,
        system=entry.system,
        account=entry.account,
        type=entry.type,
        value=check_text(value, where=where),
        glob=glob,
    )
