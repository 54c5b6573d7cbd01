"""A run that a person triggers: the form names principals and resources by exact id, and only they are revoked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rescind.errors import InputError
from rescind.model import PrincipalType
from rescind.review.knowledge import PrincipalKey
from rescind.review.roster.admit import PERSON_SPACE, AdmittedRoster, Person, Roster
from rescind.review.roster.lookup import find_person, quoted, suggestions
from rescind.review.text import check_id, check_text, printable

MAX_TARGETS = 10_000


@dataclass(frozen=True, slots=True)
class Target:
    """One principal that a form names.

    :param value: the exact id.
    :param space: an id space, ``person_id``, or a system (then the value is a principal's id in that system).
        Empty: ``value`` may begin with a space (``dms_user_id:51001``, ``dms_permissions:group:7``). Otherwise the
        roster is searched in every space, then for a mail and a name, and must know it for exactly one person.
    :param principal_type: with a system as space, what the id is one of (user, group, role, project ...).
    """

    value: str
    space: str = ""
    principal_type: str = ""


@dataclass(frozen=True, slots=True)
class RequestedTargets:
    """What an explicit request names. Everything of these people, or these resources, or both together.

    :param principals: whose access goes; empty means every principal of the named resources.
    :param systems: where; must be given.
    :param resources: exact resource ids; empty means every resource of the named principals.
    :param reason: why, in the words of the requester.
    :param allow_unknown_kind: take principals of unknown kind that the roster does not know as well.
    """

    principals: tuple[Target, ...]
    systems: tuple[str, ...]
    resources: tuple[str, ...] = ()
    reason: str = ""
    allow_unknown_kind: bool = False


@dataclass(frozen=True, slots=True)
class ResolvedRequest:
    """A request joined with the roster.

    :param people: ``person_id`` of the people named.
    :param ids: further exact (id space, id) pairs.
    :param raw: (system, principal type, id) of principals that are named within their system.
    :param notes: how targets were read, in sentences for people.
    :param theirs: every (id space, id) pair that the roster gives these people, in whatever row.
    """

    people: frozenset[str]
    ids: frozenset[tuple[str, str]]
    raw: frozenset[tuple[str, str, str]]
    systems: frozenset[str]
    resources: frozenset[str]
    reason: str
    allow_unknown_kind: bool
    notes: tuple[str, ...] = ()
    theirs: frozenset[tuple[str, str]] = frozenset()

    def may_name(self, ids: Iterable[tuple[str, str]]) -> bool:
        """Return whether a principal with these ids may belong to a person whom the request names."""
        return not self.theirs.isdisjoint(ids)

    def names(self, key: PrincipalKey, person: Person | None, ids: Iterable[tuple[str, str]]) -> bool:
        """Return whether the request names this principal."""
        if not (self.people or self.ids or self.raw):
            return True
        if (key.system, key.principal_type, key.principal_id) in self.raw:
            return True
        return (person is not None and person.person_id in self.people) or any(pair in self.ids for pair in ids)


def resolve_request(
    request: RequestedTargets, roster: AdmittedRoster | None, spaces: Mapping[str, tuple[str, ...]]
) -> ResolvedRequest:
    """Return the request with every name looked up.

    :raises InputError: nothing named, unknown systems or spaces, ids that nobody or several people have.
    """
    if not request.principals and not request.resources:
        raise InputError("principals", "the request names neither principals nor resources", "Name what to revoke.")
    if not request.systems:
        raise InputError("systems", "the request names no system", "Name each system.")
    for system in request.systems:
        if system not in spaces:
            raise InputError("systems", f"an unknown system ({system!r})", f"Use one of {', '.join(sorted(spaces))}.")
    if len(request.principals) + len(request.resources) > MAX_TARGETS:
        raise InputError("principals", f"more than {MAX_TARGETS} names", "Split the request.")
    people: set[str] = set()
    ids: set[tuple[str, str]] = set()
    raw: set[tuple[str, str, str]] = set()
    notes: list[str] = []
    for number, target in enumerate(request.principals, 1):
        where = f"principals, entry {number}"
        person, meant = _person(target, roster, spaces, where)
        if person is not None:
            people.add(person.person_id)
        if meant.space in spaces:
            raw.add((meant.space, meant.principal_type, meant.value))
        else:
            ids.add((meant.space, meant.value))
        notes += _notes(target, meant, person, roster)
    resources = frozenset(_resource(value, f"resources, entry {n}") for n, value in enumerate(request.resources, 1))
    return ResolvedRequest(
        people=frozenset(people),
        ids=frozenset(ids),
        raw=frozenset(raw),
        systems=frozenset(request.systems),
        resources=resources,
        reason=request.reason,
        allow_unknown_kind=request.allow_unknown_kind,
        notes=tuple(notes),
        theirs=roster.roster.possible_ids(people) if roster else frozenset(),
    )


def _notes(target: Target, meant: Target, person: Person | None, roster: AdmittedRoster | None) -> list[str]:
    """Return how a target was read, where its reader may expect something else."""
    if person is not None:
        return [] if meant.value == target.value else [f"{quoted(target.value)} is person {person.person_id}"]
    if roster is None:
        return []
    near = "; ".join(suggestions(meant.value, roster.roster))
    if roster.roster.by_id(meant.space, meant.value) is not None:
        who = f"the roster does not say for certain whose {meant.space}:{printable(meant.value)} is"
        return [f"{who}, so only this account is named"]
    text = f"the roster has nobody with {meant.space}:{printable(meant.value)}, so only this account is named"
    return [f"{text}. Near: {near}" if near else text]


def _resource(value: str, where: str) -> str:
    text = check_text(value, where=where)
    if not text:
        raise InputError(where, "an empty resource id", "Remove the entry.")
    return text


def _person(
    target: Target, roster: AdmittedRoster | None, spaces: Mapping[str, tuple[str, ...]], where: str
) -> tuple[Person | None, Target]:
    """Return the person that a target means (None when only its own system knows the id), and the target as it is read.

    The id itself always counts as named, whatever the roster says of it.
    """
    if bool(target.principal_type) != (target.space in spaces):
        problem = "a principal type is needed with a system as space, and only there"
        raise InputError(where, problem, "Say whether the id is one of a user, group, role, project ...")
    if not target.value or target.value != target.value.strip():
        raise InputError(where, "an empty id, or one with blanks around it", "Write the exact id.")
    people = roster.roster if roster else None
    target = target if target.space else _with_space(target.value, people, spaces, where)
    if not target.space:
        if people is None:
            problem = f"{quoted(target.value)} without its id space, and no roster to look it up in"
            raise InputError(where, problem, "Name the id space, such as dms_user_id:51001.")
        person, space = find_person(target.value, people, where=where)
        return person, Target(target.value if people.by_id(space, target.value) else person.person_id, space)
    if not target.value or check_id(target.value, where=where) != target.value:
        raise InputError(where, "an empty id, or one with blanks around it", "Write the exact id.")
    known = _spaces(spaces)
    if target.space not in known:
        raise InputError(where, f"an unknown id space ({target.space!r})", f"Use one of {', '.join(sorted(known))}.")
    person_ = _holder(target, people) if people else None
    if person_ is None and target.space == PERSON_SPACE:
        near = "; ".join(suggestions(target.value, people)) if people else ""
        problem = f"the roster does not know the person_id {quoted(target.value)}{f' (near: {near})' if near else ''}"
        raise InputError(where, problem, "Name an id of the systems, with its space.")
    return person_, target


def _holder(target: Target, people: Roster) -> Person | None:
    """Return whose id the target is; None for nobody, and where two people or a row that cannot be read have it."""
    holders = people.holders(target.space, target.value)
    if target.space == PERSON_SPACE:
        return holders[0] if holders else None
    return holders[0] if len(holders) == 1 and not people.aside.has(target.space, target.value) else None


def _spaces(spaces: Mapping[str, tuple[str, ...]]) -> set[str]:
    return {PERSON_SPACE, *spaces, *(space for names in spaces.values() for space in names)}


def _with_space(value: str, people: Roster | None, spaces: Mapping[str, tuple[str, ...]], where: str) -> Target:
    """Return ``space:id`` or ``system:type:id`` taken apart; any other text as it is, without a space."""
    space, colon, rest = value.partition(":")
    if not colon or space not in _spaces(spaces):
        if not ("@" in value or (people is not None and " " in value)):
            _check_looks(value, where)
        return Target(value)
    if space not in spaces:
        return Target(rest.strip(), space)
    kind, colon, ident = rest.partition(":")
    if not colon or kind not in set(PrincipalType):
        problem = f"{quoted(value)} names a system without the type of the principal"
        kinds = ", ".join(PrincipalType)
        raise InputError(where, problem, f"Write {space}:TYPE:ID, with one of {kinds}; or an id space and the id.")
    return Target(ident.strip(), space, kind)


def _check_looks(value: str, where: str) -> None:
    """Refuse what is no id; a name may hold letters of any language."""
    if value.isascii() or not value.replace("-", "").replace(".", "").isalpha():
        check_id(value, where=where)
