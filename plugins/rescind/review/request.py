"""A run that a person triggers: the form names principals and resources by exact id, and only they are revoked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rescind.errors import InputError
from rescind.review.knowledge import PrincipalKey
from rescind.review.roster.admit import PERSON_SPACE, AdmittedRoster, Person
from rescind.review.text import check_id, check_text

MAX_TARGETS = 10_000


@dataclass(frozen=True, slots=True)
class Target:
    """One principal that a form names.

    :param value: the exact id.
    :param space: an id space, ``person_id``, or a system (then the value is a principal's id in that system).
        Empty: the roster is searched in every space, and must know the id for exactly one person.
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
    """

    people: frozenset[str]
    ids: frozenset[tuple[str, str]]
    raw: frozenset[tuple[str, str, str]]
    systems: frozenset[str]
    resources: frozenset[str]
    reason: str
    allow_unknown_kind: bool

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
    for number, target in enumerate(request.principals, 1):
        where = f"principals, entry {number}"
        person, space = _person(target, roster, spaces, where)
        if person is not None:
            people.add(person.person_id)
        if space in spaces:
            raw.add((space, target.principal_type, target.value))
        else:
            ids.add((space, target.value))
    resources = frozenset(_resource(value, f"resources, entry {n}") for n, value in enumerate(request.resources, 1))
    return ResolvedRequest(
        people=frozenset(people),
        ids=frozenset(ids),
        raw=frozenset(raw),
        systems=frozenset(request.systems),
        resources=resources,
        reason=request.reason,
        allow_unknown_kind=request.allow_unknown_kind,
    )


def _resource(value: str, where: str) -> str:
    text = check_text(value, where=where)
    if not text:
        raise InputError(where, "an empty resource id", "Remove the entry.")
    return text


def _person(
    target: Target, roster: AdmittedRoster | None, spaces: Mapping[str, tuple[str, ...]], where: str
) -> tuple[Person | None, str]:
    """Return the person that a target means (None when only its own system knows the id), and the space of the id.

    The id itself always counts as named, whatever the roster says of it.
    """
    if not check_id(target.value, where=where) or check_id(target.value, where=where) != target.value:
        raise InputError(where, "an empty id, or one with blanks around it", "Write the exact id.")
    if bool(target.principal_type) != (target.space in spaces):
        problem = "a principal type is needed with a system as space, and only there"
        raise InputError(where, problem, "Say whether the id is one of a user, group, role, project ...")
    if not target.space:
        return _anyone(target.value, roster, where)
    known = {PERSON_SPACE, *spaces, *(space for names in spaces.values() for space in names)}
    if target.space not in known:
        raise InputError(where, f"an unknown id space ({target.space!r})", f"Use one of {', '.join(sorted(known))}.")
    person = roster.roster.by_id(target.space, target.value) if roster else None
    if person is None and target.space == PERSON_SPACE:
        raise InputError(where, "the roster does not know this person_id", "Name an id of the systems, with its space.")
    return person, target.space


def _anyone(value: str, roster: AdmittedRoster | None, where: str) -> tuple[Person, str]:
    if roster is None:
        raise InputError(where, "an id without its id space, and no roster to look it up in", "Name the id space.")
    everywhere = (PERSON_SPACE, *sorted(roster.roster.spaces))
    found = {space: person for space in everywhere if (person := roster.roster.by_id(space, value)) is not None}
    if not found:
        raise InputError(where, "the roster does not know this id in any id space", "Name the id space with the id.")
    if len({person.person_id for person in found.values()}) > 1:
        problem = f"the id belongs to different people in {', '.join(found)}"
        raise InputError(where, problem, "Name the id space with the id.")
    space, person = next(iter(found.items()))
    return person, space
