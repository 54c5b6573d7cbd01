"""What a principal can still reach after a grant is gone.

A grant that is gone is not access that is gone: a group, a role, a project, a parent object or a menu
that is open to all may give the same right. :class:`RemainingAccess` follows those paths and names them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from rescind.model import Grant, Membership, PrincipalType
from rescind.systems.base import PermissionSystem

_Node = tuple[str, str]


@dataclass(frozen=True, slots=True)
class AccessPath:
    """One way in that remains.

    :param through: principals from the holder outward: empty for the principal itself, else the groups,
        roles or projects passed, nearest first, as (type, id).
    :param grant: the grant at the end of the way.
    """

    through: tuple[_Node, ...]
    grant: Grant

    def describe(self) -> str:
        """The path in words, for reports and findings."""
        key = self.grant.key
        way = " in ".join(f"{kind} {name}" for kind, name in self.through) or "the principal itself"
        return f"{way} holds {key.entitlement} on {key.resource_type} {key.resource_id}"


class RemainingAccess:
    """Effective access over the grants that remain in one system and account.

    :param remaining: every grant known to remain, direct or not.
    :param memberships: who is in what; cycles are allowed.
    """

    def __init__(
        self, system: PermissionSystem[Any], remaining: Iterable[Grant], memberships: Iterable[Membership]
    ) -> None:
        self._system = system
        self._held: dict[_Node, dict[_Node, list[Grant]]] = defaultdict(lambda: defaultdict(list))
        self._everyone: set[_Node] = set()
        for grant in remaining:
            key = grant.key
            self._held[key.resource_type, key.resource_id][key.principal_type, key.principal_id].append(grant)
            if key.principal_type == PrincipalType.EVERYONE:
                self._everyone.add((key.principal_type, key.principal_id))
        self._containers: dict[_Node, list[_Node]] = defaultdict(list)
        for edge in memberships:
            self._containers[edge.member_type, edge.member_id].append((edge.container_type, edge.container_id))

    def paths(self, grant: Grant) -> list[AccessPath]:
        """Every way in which the grant's principal still has the grant's entitlement on its resource."""
        key = grant.key
        places = [(key.resource_type, key.resource_id), *self._system.parents(grant)]
        return [
            AccessPath(through, other)
            for through, holder in self._holders((key.principal_type, key.principal_id))
            for place in places
            for other in self._at(place, holder)
            if other.key != key and self._system.includes(other.key.entitlement, key.entitlement)
        ]

    def _at(self, place: _Node, holder: _Node) -> list[Grant]:
        held = self._held.get(place)
        return held.get(holder, []) if held else []

    def _holders(self, principal: _Node) -> Iterator[tuple[tuple[_Node, ...], _Node]]:
        """The principal, everything it is in (breadth first, each once), and everyone."""
        seen = {principal}
        queue: list[tuple[tuple[_Node, ...], _Node]] = [((), principal)]
        for through, node in queue:
            yield through, node
            for container in self._containers.get(node, ()):
                if container not in seen:
                    seen.add(container)
                    queue.append(((*through, container), container))
        for everyone in self._everyone:
            if everyone not in seen:
                yield (everyone,), everyone
