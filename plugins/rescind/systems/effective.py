"""What a principal can still reach after a grant is gone.

A removed grant does not prove that access is removed: a group, a role, a project, a parent object or a menu that is
open to all may give the same right. :class:`RemainingAccess` finds and names those paths.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise, product
from typing import Any, NamedTuple

from rescind.model import Grant, GrantKey, Membership, PrincipalType
from rescind.systems.access_path import AccessPath, Node
from rescind.systems.base import PermissionSystem
from rescind.systems.surfaces import CERTAIN_IN, CONDITIONAL, UNCERTAIN, UNNAMED, Gap, PlatformAnswer

CONTAINERS = frozenset({PrincipalType.GROUP, PrincipalType.ROLE, PrincipalType.PROJECT})
"""Kinds of principal that people are in."""
UNKNOWN = "unknown"
DISAGREEMENT = "the platform's own answer"
"""Name of the surface that stays unanswered where graph and platform disagree."""
MEMBERSHIP = "memberships of the person"
"""Name of the surface that stays unanswered where a person cannot be found among members."""


class RemainingAccess:
    """Effective access over the grants that remain in one system and account.

    :param remaining: every grant known to remain, direct or not.
    :param memberships: who is in what; cycles are allowed.
    :param names: names of groups, roles and the like by (type, id), for people.
    """

    def __init__(
        self,
        system: PermissionSystem[Any],
        remaining: Iterable[Grant],
        memberships: Iterable[Membership],
        names: Mapping[Node, str] | None = None,
    ) -> None:
        self._system = system
        self._names = names or {}
        self._held: dict[Node, dict[Node, list[Grant]]] = defaultdict(lambda: defaultdict(list))
        self._everyone: set[Node] = set()
        for grant in remaining:
            key = grant.key
            self._held[key.resource_type, key.resource_id][key.principal_type, key.principal_id].append(grant)
            if key.principal_type == PrincipalType.EVERYONE:
                self._everyone.add((key.principal_type, key.principal_id))
        self._containers: dict[Node, list[Node]] = defaultdict(list)
        self._partly_listed: set[Node] = set()
        for edge in memberships:
            self._containers[edge.member_type, edge.member_id].append((edge.container_type, edge.container_id))
            if edge.member_type == PrincipalType.UNKNOWN:
                self._partly_listed.add((edge.container_type, edge.container_id))

    def paths(self, grant: Grant) -> list[AccessPath]:
        """Every way in which the grant's principal still has the grant's entitlement on its resource."""
        key = grant.key
        nodes = [(key.resource_type, key.resource_id), *self._system.parents(grant)]
        return [
            AccessPath(through, other, self._names)
            for through, holder in self._holders((key.principal_type, key.principal_id))
            for node in nodes
            for other in self._at(node, holder)
            if other.key != key and self._system.includes(other.key.entitlement, key.entitlement)
        ]

    def certain(self, path: AccessPath, grant: Grant) -> bool:
        """Return whether a path of a grant's principal certainly gives access."""
        attributes = path.grant.attributes
        if UNCERTAIN not in attributes:
            return True
        home = attributes.get(CERTAIN_IN, "")
        return bool(home) and (str(PrincipalType.PROJECT), home) in self._reached(grant)

    def memberships(self, grants: Iterable[Grant]) -> frozenset[Membership]:
        """Return every membership on a remaining path of these grants."""
        system = self._system.name
        found: set[Membership] = set()
        for grant in grants:
            key = grant.key
            for path in self.paths(grant):
                nodes = ((key.principal_type, key.principal_id), *path.through)
                edges = ((member, container) for member, container in pairwise(nodes))
                found.update(Membership(system, key.account, *member, *container) for member, container in edges)
        return frozenset(found)

    def ends(self, grants: Iterable[Grant]) -> dict[GrantKey, Grant]:
        """Return the grants at the ends of the remaining paths of these grants."""
        return {path.grant.key: path.grant for grant in grants for path in self.paths(grant)}

    def leave_out(self, keys: Iterable[GrantKey]) -> None:
        """Leave the grants with these keys out of all paths from now on."""
        for key in keys:
            held = self._at((key.resource_type, key.resource_id), (key.principal_type, key.principal_id))
            held[:] = [grant for grant in held if grant.key != key]

    def end(self, memberships: Iterable[Membership]) -> None:
        """Leave these memberships out of all paths from now on."""
        for edge in memberships:
            containers = self._containers.get((edge.member_type, edge.member_id), [])
            with suppress(ValueError):
                containers.remove((edge.container_type, edge.container_id))

    def untraceable(self, grant: Grant) -> dict[str, str]:
        """Surfaces that stay unanswered for the grant: somebody holds the same right, and who is in it is not known.

        :returns: by surface name, the reason.
        """
        key = grant.key
        reached = self._reached(grant)
        mine = self._containers.get((key.principal_type, key.principal_id), ())
        linked = any(kind == PrincipalType.USER for kind, _ in mine)
        found: dict[str, str] = {}
        surface, perhaps = self._system.perhaps_parents(grant)
        for node, holder in product(perhaps, reached):
            if any(self._system.includes(other.key.entitlement, key.entitlement) for other in self._at(node, holder)):
                held = f"{holder[0]} {holder[1]} holds the same right on {node[0]} {node[1]}"
                found[surface] = f"{held}; whether that reaches {key.resource_type} {key.resource_id} is not known"
        for node in [(key.resource_type, key.resource_id), *self._system.parents(grant), *perhaps]:
            for holder, grants in self._held.get(node, {}).items():
                if holder in reached or not any(
                    self._system.includes(other.key.entitlement, key.entitlement) for other in grants
                ):
                    continue
                if gap := self._system.untraceable.get(holder[0]) or (None if holder[1] else UNNAMED):
                    found[gap.surface] = f"{gap.why} ({holder[0]} {holder[1]} holds the same right)"
                elif holder in self._partly_listed:
                    found[MEMBERSHIP] = f"{holder[0]} {holder[1]} holds the same right and has members without an id"
                elif self._needs_link(holder[0]) and key.principal_type == PrincipalType.USER and not linked:
                    space = self._system.member_space
                    found[MEMBERSHIP] = f"the roster has no {space} for this person ({holder[0]} {holder[1]} holds it)"
        return found

    def gaps(self, grant: Grant, gaps: Iterable[Gap]) -> dict[str, str]:
        """The gaps that concern the grant: by surface name, the reason."""
        _, perhaps = self._system.perhaps_parents(grant)
        nodes = {(grant.key.resource_type, grant.key.resource_id), *self._system.parents(grant), *perhaps}
        reached = self._reached(grant)
        return {
            gap.surface: gap.why
            for gap in gaps
            if (not gap.resource or gap.resource in nodes) and (not gap.principal or gap.principal in reached)
        }

    def _reached(self, grant: Grant) -> set[Node]:
        """The grant's principal, and everything that it is in."""
        return {holder for _, holder in self._holders((grant.key.principal_type, grant.key.principal_id))}

    def _needs_link(self, kind: str) -> bool:
        return bool(self._system.member_space) and kind in CONTAINERS

    def _at(self, node: Node, holder: Node) -> list[Grant]:
        held = self._held.get(node)
        return held.get(holder, []) if held else []

    def _holders(self, principal: Node) -> Iterator[tuple[tuple[Node, ...], Node]]:
        """The principal, everything it is in (breadth first, each once), and everyone."""
        seen = {principal}
        queue: list[tuple[tuple[Node, ...], Node]] = [((), principal)]
        for through, node in queue:
            yield through, node
            for container in self._containers.get(node, ()):
                if container not in seen:
                    seen.add(container)
                    queue.append(((*through, container), container))
        for everyone in self._everyone:
            if everyone not in seen:
                yield (everyone,), everyone


@dataclass(frozen=True, slots=True)
class Found:
    """What is known of one grant's access once its record is gone.

    :param paths: ways in that remain, in words.
    :param unanswered: surfaces that were not asked, or whose answers disagree, each with the reason.
    """

    paths: tuple[str, ...]
    unanswered: Mapping[str, str]

    @property
    def absent(self) -> bool | str:
        """True when every surface was asked and none shows a way in, False when one does, else ``unknown``."""
        return False if self.paths else UNKNOWN if self.unanswered else True

    def reason(self) -> str:
        """Why access is not proven gone, in one line."""
        return "; ".join(f"{name}: {why}" for name, why in sorted(self.unanswered.items()))


class EffectiveAccess:
    """Effective access as a question with sources: the graph of this run, and the platform's own answer.

    :param remaining: the graph over what remains.
    :param answer: what the platform itself says.
    :param unasked: surfaces that were not asked for anybody in this run, each with the reason.
    :param gaps: what surfaces did not tell about some objects or people.
    """

    def __init__(
        self,
        remaining: RemainingAccess,
        answer: PlatformAnswer,
        unasked: Mapping[str, str],
        gaps: Collection[Gap] = (),
    ) -> None:
        self._remaining = remaining
        self._answer = answer
        self._unasked = unasked
        self._gaps = gaps

    def of(self, grant: Grant) -> Found:
        """What is known of one grant whose record is gone.

        Where the graph shows a way in and the platform says that there is none, neither is believed.
        """
        ident = grant.grant_id
        denied = ident in self._answer.denies
        ways = [way for way in self._remaining.paths(grant) if not (denied and CONDITIONAL in way.grant.attributes)]
        certain = [way for way in ways if self._remaining.certain(way, grant)]
        paths = [way.describe() for way in certain]
        doubts = {way.grant.attributes[UNCERTAIN]: way.describe() for way in ways if way not in certain}
        unanswered = {
            **self._unasked,
            **doubts,
            **self._remaining.untraceable(grant),
            **self._remaining.gaps(grant, self._gaps),
            **self._answer.unknown.get(ident, {}),
        }
        if paths and denied:
            return Found((), {**unanswered, DISAGREEMENT: f"the platform shows no access, but {paths[0]}"})
        if ident in self._answer.reaches and not paths:
            paths = [self._answer.reaches[ident]]
        return Found(tuple(paths), unanswered)


class Near(NamedTuple):
    """Where grants can lie on a path of the grants that are looked at: everything else is on none.

    :param resources: (type, id) of their resources, and of what these inherit from or perhaps do.
    :param holders: (type, id) of their principals, and of everything that these are in. Everyone counts too.
    :param kinds: kinds of principal of whom all grants on these resources count, because their members may be unknown.
        So do grants of principals without an id.
    """

    resources: Collection[Node]
    holders: Collection[Node]
    kinds: Collection[str]

    def has(self, grant: Grant) -> bool:
        """Return whether a grant can lie on a path."""
        key = grant.key
        return (key.resource_type, key.resource_id) in self.resources and (
            key.principal_type == PrincipalType.EVERYONE
            or (key.principal_type, key.principal_id) in self.holders
            or key.principal_type in self.kinds
            or not key.principal_id
        )


GrantsNear = Iterable[Grant] | Callable[[Near], Iterable[Grant]]
"""All grants, or what returns those that are near, and perhaps others, so that not all of them are read."""


def grants_near(grants: GrantsNear, near: Near) -> Iterable[Grant]:
    """Return the near grants, and perhaps others."""
    return grants(near) if callable(grants) else grants


def access_around(
    system: PermissionSystem[Any],
    looked_at: Collection[Grant],
    remaining: GrantsNear,
    memberships: Iterable[Membership],
    same_people: Collection[Membership] = (),
    names: Mapping[Node, str] | None = None,
) -> RemainingAccess:
    """What remains, as far as it can lie on a path of some grants.

    Grants and memberships are read once, as a stream, so memory grows with the grants that are looked at and not with
    the population; time too, where ``remaining`` returns the near grants.

    :param looked_at: the grants whose :meth:`RemainingAccess.paths` will be asked for, of one system and account.
    :param remaining: the grants known to remain.
    :param same_people: from the ids of people in grants to their other ids in memberships.
    :param names: names of groups, roles and the like by (type, id).
    """
    holders = {(grant.key.principal_type, grant.key.principal_id) for grant in looked_at}
    others = [edge for edge in same_people if (edge.member_type, edge.member_id) in holders]
    holders.update((edge.container_type, edge.container_id) for edge in others)
    listings = {(grant.key.resource_type, grant.key.resource_id) for grant in looked_at}
    listings.update(node for grant in looked_at for node in system.parents(grant))
    listings.update(node for grant in looked_at for node in system.perhaps_parents(grant)[1])
    edges = _edges_from(holders, memberships)
    near = Near(listings, holders, {*system.untraceable, *(CONTAINERS if system.member_space else ())})
    return RemainingAccess(system, filter(near.has, grants_near(remaining, near)), [*edges, *others], names)


def still_reachable(
    system: PermissionSystem[Any],
    revoke: Collection[Grant],
    gone: Container[str],
    grants: GrantsNear,
    memberships: Iterable[Membership],
    same_people: Collection[Membership] = (),
    ending: Collection[Membership] = (),
    names: Mapping[Node, str] | None = None,
) -> Iterator[tuple[Grant, AccessPath]]:
    """Which of these grants' holders would keep their access once the plan is carried out, each with one path.

    :param revoke: the grants to look at, all of one system and account; see :func:`access_around` for the rest.
    :param gone: ids of every grant of the plan: none of them can be the end of a path.
    :param ending: memberships that the plan ends: none of them can be on a path.
    :param names: names of groups, roles and the like by (type, id).
    """

    def staying(near: Near) -> Iterator[Grant]:
        return (grant for grant in filter(near.has, grants_near(grants, near)) if grant.grant_id not in gone)

    access = access_around(system, revoke, staying, memberships, same_people, names)
    access.end(ending)
    for grant in revoke:
        certain = (way for way in access.paths(grant) if access.certain(way, grant))
        path = next(certain, None)
        if path is not None:
            yield grant, path


def _edges_from(holders: set[Node], memberships: Iterable[Membership]) -> list[Membership]:
    """The edges that lead outward from the holders; everything that they reach is added to the holders."""
    kept = [
        edge
        for edge in memberships
        if edge.member_type != PrincipalType.USER or (edge.member_type, edge.member_id) in holders
    ]
    outward: dict[Node, list[Node]] = defaultdict(list)
    for edge in kept:
        outward[edge.member_type, edge.member_id].append((edge.container_type, edge.container_id))
    waiting = list(holders)
    while waiting:
        new = [node for node in outward.get(waiting.pop(), ()) if node not in holders]
        holders.update(new)
        waiting.extend(new)
    return kept
