"""Who can close a path that no removal of a run closes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from rescind.ledger import Ledger, Run
from rescind.model import Grant, Membership, PrincipalType
from rescind.plan.access_graph import Node, Walk
from rescind.systems import REGISTRY
from rescind.workflow.closing.part import ClosingPart
from rescind.workflow.closing.surroundings import owners_of


@dataclass
class Closers:
    """Says who can close a path, in words.

    :param listed: names of the completely listed systems of the product and account.
    :param why_not: returns why a grant may not be removed; empty when it may.
    """

    ledger: Ledger
    run: Run
    listed: Collection[str]
    why_not: Callable[[Grant], str]
    _owners: Mapping[Node, str] | None = field(default=None, init=False)

    def of(
        self,
        part: ClosingPart,
        walk: Walk,
        blocked: Mapping[tuple[Node, Node], str],
        kept: Mapping[str, str],
    ) -> str:
        """Return who can close a path that this run cannot close, in words."""
        others = [
            system for system in REGISTRY.values() if system.hook == part.product and system.name not in self.listed
        ]
        if len(walk.nodes) > 1 and walk.nodes[1][0] != PrincipalType.EVERYONE:
            member, container = walk.nodes[0], walk.nodes[1]
            shown = _principal(container, part.names)
            if why := blocked.get((member, container)):
                return f"the membership in {shown} stays: {why}"
            edge = Membership("", part.account, *member, *container)
            for system in (system for system in others if system.could_end(edge)):
                return f"enable the system {system.name} and include it, or ask an administrator of {shown}"
            owner = self._owner(part, container)
            return f"the owner of {shown} ({owner})" if owner else f"an administrator of {shown}"
        if walk.way.holder[0] == PrincipalType.EVERYONE:
            return "who administers the resource: it is open to all users"
        end = part.ends[walk.way]
        for system in (system for system in others if system.could_end_access(end.key)):
            return f"enable the system {system.name} and include it, or ask who administers the resource"
        why = kept.get(end.grant_id) or self.why_not(end)
        return f"who administers the resource: {why}" if why else "name this grant itself: it was decided to stay"

    def _owner(self, part: ClosingPart, container: Node) -> str:
        if self._owners is None:
            self._owners = owners_of(self.ledger, self.run, self.listed, part.account)
        return self._owners.get(container, "")


def _principal(node: Node, names: Mapping[Node, str]) -> str:
    name = names.get(node, "")
    return f'{node[0]} {node[1]} "{name}"' if name and name != node[1] else f"{node[0]} {node[1]}"
