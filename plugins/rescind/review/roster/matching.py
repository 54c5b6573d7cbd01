"""Match principals to people: by exact id within an id space, never by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from rescind.model import Principal
from rescind.review.roster.admit import Person, Roster


class Match(NamedTuple):
    """How a principal was matched to a person.

    :param method: ``id:<space>`` of the id that matched; else ``none`` (looked for and not found), ``conflict`` (its
        ids belong to different people), ``unconfirmed`` (the person's row lacks an id that the platform shows, or the
        roster has the id in another spelling), ``set_aside`` (a row that cannot be read has the id, or may have it),
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
    only ever remove a match, never make one. (What a platform says of its principals belongs to the snapshot,
    which is complete or decides nothing; a roster may be damaged without anybody noticing.)
    """
    if principal_type not in _PERSONAL:
        return Match(None, "not_a_person")
    known = [(space, value) for space, value in ids if value and space in roster.spaces]
    if not known:
        return Match(None, "no_id_space")
    if any(roster.aside.has(space, value) for space, value in known):
        return Match(None, "set_aside")
    if any(roster.shared(space, value) for space, value in known):
        return Match(None, "conflict")
    found = [(space, roster.by_id(space, value)) for space, value in known]
    people = {person.person_id: person for _, person in found if person is not None}
    if not people:
        if any(roster.aside.may_have(space) for space, _ in known):
            return Match(None, "set_aside")
        return Match(None, "unconfirmed") if any(roster.may_have(*pair) for pair in known) else UNMATCHED
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
