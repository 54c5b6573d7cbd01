"""The proposal for a part of an account, and what of one person's access it is computed from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from rescind.model import Grant
from rescind.plan.access_graph import Closing, Demand, Node, Step, Walk, Way
from rescind.systems.access_path import AccessPath

Records = Mapping[str, tuple[Grant, ...]]
"""By removal, the grants that go with it: the first is the record, the others have to go with it."""


@dataclass
class PersonAccess:
    """What one person reaches around the demands, for the graph.

    :ivar records: the removals of the person's own records.
    :ivar shared: by removal, the grants of groups at the ends of paths that may go.
    :ivar ends: the grants at the ends of paths.
    :ivar blocked: why a membership of the person may not be ended, by (member, container).
    :ivar kept: why the record behind a grant at the end of a path may not be ended, by grant id.
    """

    person: str
    nodes: frozenset[Node]
    steps: set[Step] = field(default_factory=set)
    ways: set[Way] = field(default_factory=set)
    wanted: dict[str, Demand] = field(default_factory=dict)
    records: dict[str, tuple[Grant, ...]] = field(default_factory=dict)
    shared: dict[str, Grant] = field(default_factory=dict)
    ends: dict[Way, Grant] = field(default_factory=dict)
    blocked: dict[tuple[Node, Node], str] = field(default_factory=dict)
    kept: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ClosingPart:
    """What closes the paths of some people in one account of a product.

    :param demands: the planned grants with a path, by id.
    :param records: the grants that the removals are.
    :param holders: by removal, the person whose record it is; no entry for the grant of a group.
    :param ends: the grants at the ends of paths.
    :param names: names of groups and the like, for people.
    :param persons: names of people by id.
    :param who: for each demand that stays open, who can close its path.
    """

    product: str
    account: str
    closing: Closing
    demands: Mapping[str, Grant]
    records: Records
    holders: Mapping[str, str]
    ends: Mapping[Way, Grant]
    names: Mapping[Node, str]
    persons: Mapping[str, str] = field(default_factory=dict)
    who: Mapping[str, str] = field(default_factory=dict)

    def path(self, walk: Walk) -> str:
        """Return a walk in words."""
        return AccessPath(walk.nodes[1:], self.ends[walk.way], self.names).describe()

    def lost(self, removal: str) -> list[str]:
        """Return what else is lost with a removal, in words; with whom, where a group's grant goes."""
        (found,) = [one.collateral for one in self.closing.removals if one.ident == removal]
        if removal in self.holders:
            return sorted(access for _, access in found)
        return sorted(f"{self.persons.get(person) or person} ({person}): {access}" for person, access in found)

    def going(self) -> dict[str, Grant]:
        """Return every grant that the removals are, by id."""
        return {one.grant_id: one for removal in self.closing.removals for one in self.records[removal.ident]}
