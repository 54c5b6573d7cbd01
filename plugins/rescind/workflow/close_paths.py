"""What else would have to be removed so that no path is left to the access that a plan ends.

For every person whose planned grants stay reachable, the cheapest removals are computed from the snapshot and checked
(see :mod:`rescind.plan.close_paths`). A path that no enabled system can close is named, with who can close it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import groupby

from rescind.ledger import Ledger, Run
from rescind.model import Choice, Decision, Grant, Membership, PrincipalType
from rescind.plan.access_graph import AccessGraph, Closing, Demand, Node, Step, Walk, Way
from rescind.plan.close_paths import close_paths
from rescind.plan.close_paths_check import check_closing
from rescind.review.decide import EXCEPTION, PROTECTED, UNREADABLE, unsupported
from rescind.systems import REGISTRY, system_named
from rescind.systems.effective import AccessPath, access_around, access_text
from rescind.systems.surfaces import UNCERTAIN
from rescind.workflow.inputs import same_people
from rescind.workflow.surroundings import Surroundings, complete_systems, is_membership, owners_of, product

CLOSES_PATH = "closes_path"
"""Rule of the decisions that close a path."""
MOST_PATHS = 20_000
"""Planned grants with a path for which removals are computed; with more, none are."""
CHUNK = 50_000
_FIXED_RULES = {PROTECTED: "protected", EXCEPTION: "has an exception", UNREADABLE: "its decision could not be answered"}

Account = tuple[str, str]
"""(system, account)."""


@dataclass(frozen=True)
class PersonClosing:
    """What closes the paths of one person in one account of a product.

    :param demands: the planned grants with a path, by id.
    :param records: the grants that the removals are, by id.
    :param blocked: why a membership of the person may not be ended, by (member, container).
    :param ends: the grants at the ends of paths.
    :param names: names of groups and the like, for people.
    :param who: for each demand that stays open, who can close its path.
    """

    person: str
    product: str
    account: str
    closing: Closing
    demands: Mapping[str, Grant]
    records: Mapping[str, Grant]
    blocked: Mapping[tuple[Node, Node], str]
    ends: Mapping[Way, Grant]
    names: Mapping[Node, str]
    who: Mapping[str, str] = field(default_factory=dict)

    def path(self, walk: Walk) -> str:
        """Return a walk in words."""
        through = walk.nodes[1:]
        return AccessPath(through, self.ends[walk.way], self.names).describe()


@dataclass
class ClosingPlanner:
    """Computes the removals that close the paths of a plan.

    :param own: only memberships may be removed, as a run with ``close_paths: own`` does it.
    :param barred: ids of grants that may not be removed, with the reason.
    """

    ledger: Ledger
    run: Run
    own: bool = False
    barred: Mapping[str, str] = field(default_factory=dict)
    _owners: dict[tuple[str, str], Mapping[Node, str]] = field(default_factory=dict)
    _systems: Mapping[tuple[str, str], list[str]] = field(init=False)
    _decisions: dict[str, Decision] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._systems = complete_systems(self.ledger, self.run)

    def people(self, planned: Collection[str], reachable: Collection[str] | None = None) -> list[PersonClosing] | None:
        """Return what closes the paths of each person with a path.

        :param planned: ids of the grants that the plan ends.
        :param reachable: those of them that have a path, where that is known.
        :returns: None when more than :data:`MOST_PATHS` planned grants have a path.
        """
        gone = frozenset(planned)
        found: list[PersonClosing] = []
        if reachable is not None and len(reachable) > MOST_PATHS:
            return None
        ends = self._ends(gone if reachable is None else reachable, gone)
        if sum(map(len, ends.values())) > MOST_PATHS:
            return None
        for (name, account), demands in sorted(ends.items()):
            people = sorted({grant.key.principal_id for grant, _ in demands})
            around = Surroundings(self.ledger, self.run, account, self._systems[name, account], people, gone)
            self._read_decisions(around, demands)
            by_person: dict[str, list[tuple[Grant, list[Grant]]]] = defaultdict(list)
            for grant, ways in demands:
                by_person[grant.key.principal_id].append((grant, ways))
            found += [self._one(name, around, person, by_person[person]) for person in people]
        return found

    def _ends(
        self, planned: Collection[str], gone: frozenset[str]
    ) -> dict[tuple[str, str], list[tuple[Grant, list[Grant]]]]:
        """Return the planned grants of people with a path, each with the grants at its end, by product and account."""
        snapshot, run_id = self.ledger.snapshot, self.run.run_id
        found: dict[tuple[str, str], list[tuple[Grant, list[Grant]]]] = defaultdict(list)
        ids = sorted(planned)
        ending = self._ending(sorted(gone)) if ids else {}
        for start in range(0, len(ids), CHUNK):
            grants = snapshot.grants_by_id(run_id, ids[start : start + CHUNK]).values()
            users = [grant for grant in grants if grant.key.principal_type == PrincipalType.USER]
            for (name, account), part in groupby(sorted(users, key=_account), key=_account):
                system, mine = system_named(name), list(part)
                staying = (g for g in snapshot.grants(run_id, system=name, account=account) if g.grant_id not in gone)
                edges = snapshot.memberships(run_id, system=name, account=account)
                access = access_around(system, mine, staying, edges, same_people(self.ledger, self.run, name, account))
                access.end(ending.get((product(name), account), ()))
                for grant in mine:
                    ways = {way.grant.grant_id: way.grant for way in access.paths(grant)}
                    if certain := [one for one in ways.values() if UNCERTAIN not in one.attributes]:
                        found[product(name), account].append((grant, certain))
        return found

    def _ending(self, ids: list[str]) -> Mapping[tuple[str, str], list[Membership]]:
        ending: dict[tuple[str, str], list[Membership]] = defaultdict(list)
        for start in range(0, len(ids), CHUNK):
            for grant in self.ledger.snapshot.grants_by_id(self.run.run_id, ids[start : start + CHUNK]).values():
                system = system_named(grant.key.system)
                ending[product(grant.key.system), grant.key.account].extend(system.memberships(grant))
        return ending

    def _read_decisions(self, around: Surroundings, demands: Iterable[tuple[Grant, list[Grant]]]) -> None:
        """Read the decisions on everything that could be removed."""
        ids = {grant.grant_id for grants in around.records.values() for grant in grants}
        ids.update(one.grant_id for _, ways in demands for one in ways)
        self._decisions.update(self.ledger.decisions.by_id(self.run.run_id, sorted(ids)))

    def _one(
        self, name: str, around: Surroundings, person: str, demands: list[tuple[Grant, list[Grant]]]
    ) -> PersonClosing:
        """Return the checked proposal for one person."""
        records: dict[str, Grant] = {}
        blocked: dict[tuple[Node, Node], str] = {}
        steps: set[Step] = set()
        nodes = around.nodes[person]
        for member, container in around.steps(person):
            found = around.records.get((member, container), []) if member in nodes else []
            reasons = [why for grant in found if (why := self._why_not(grant))]
            if reasons:
                blocked[member, container] = reasons[0]
            usable = {grant.grant_id: grant for grant in found} if not reasons else {}
            records |= usable
            steps.update(Step(member, container, removal) for removal in usable or ("",))
        ends: dict[Way, Grant] = {}
        wanted: dict[str, Demand] = {}
        for grant, found in demands:
            mine = {self._way(one, grant, nodes, records): one for one in found}
            wanted[grant.grant_id] = Demand(person, frozenset(mine))
            ends |= mine
        holders = nodes | {step.container for step in steps}
        beside = self._beside(around, holders, ends)
        graph = AccessGraph({person: nodes}, frozenset(steps), frozenset({*beside, *ends}), wanted)
        closing = close_paths(graph)
        check_closing(graph, closing)
        going = {grant.grant_id: grant for grant, _ in demands}
        one = PersonClosing(person, name, around.account, closing, going, records, blocked, ends, around.names)
        return replace(one, who={demand: self._who_can_close(one, walk) for demand, walk in closing.open.items()})

    def _way(self, grant: Grant, wanted: Grant, nodes: Collection[Node], records: dict[str, Grant]) -> Way:
        """Return a way at the end of a path. The person's own record may be removed, except in an ``own`` run.

        A grant on another object, such as the portal of a menu, is a way to the menu here; what else it gives counts
        as an access of its own.
        """
        holder = (str(grant.key.principal_type), grant.key.principal_id)
        same = grant.key[2:4] == wanted.key[2:4]
        access = access_text(grant if same else wanted)
        if self.own or holder not in nodes or self._why_not(grant):
            return Way(holder, access)
        records[grant.grant_id] = grant
        return Way(holder, access, grant.grant_id)

    def _beside(self, around: Surroundings, holders: Iterable[Node], ends: Mapping[Way, Grant]) -> Iterator[Way]:
        """Yield what the holders have beside the ends of paths; memberships themselves are no access."""
        removal_of = {grant.grant_id: way.removal for way, grant in ends.items()}
        whole = {(way.holder, way.access) for way in ends}
        for holder in holders:
            for grant in around.held.get(holder, ()):
                access = access_text(grant)
                if (holder, access) not in whole and not is_membership(grant):
                    yield Way(holder, access, removal_of.get(grant.grant_id, ""))

    def _why_not(self, grant: Grant) -> str:
        """Return why a grant may not be removed; empty when it may."""
        if grant.grant_id in self.barred:
            return self.barred[grant.grant_id]
        if why := unsupported(grant):
            return why
        decision = self._decisions.get(grant.grant_id)
        if decision is None or (decision.choice is Choice.REVOKE and decision.rule != CLOSES_PATH):
            return "a guard holds it"
        if "review" in decision.facts:
            return "its owner was asked and keeps it"
        return f"{_FIXED_RULES[decision.rule]}: {decision.reason}" if decision.rule in _FIXED_RULES else ""

    def _who_can_close(self, one: PersonClosing, walk: Walk) -> str:
        """Return who can close a path that this run cannot close, in words."""
        if len(walk.nodes) > 1 and walk.nodes[1][0] != PrincipalType.EVERYONE:
            member, container = walk.nodes[0], walk.nodes[1]
            shown = _principal(container, one.names)
            if why := one.blocked.get((member, container)):
                return f"the membership in {shown} stays: {why}"
            edge = Membership("", one.account, *member, *container)
            for system in REGISTRY.values():
                listed = system.name in self._systems[one.product, one.account]
                if system.hook == one.product and not listed and system.could_end(edge):
                    return f"enable the system {system.name} and include it, or ask an administrator of {shown}"
            owner = self._owner(one, container)
            return f"the owner of {shown} ({owner})" if owner else f"an administrator of {shown}"
        if walk.way.holder[0] == PrincipalType.EVERYONE:
            return "who administers the resource: it is open to all users"
        why = self._why_not(one.ends[walk.way])
        return f"who administers the resource: {why}" if why else "name this grant itself: it was decided to stay"

    def _owner(self, one: PersonClosing, container: Node) -> str:
        place = (one.product, one.account)
        if place not in self._owners:
            self._owners[place] = owners_of(self.ledger, self.run, self._systems[place], one.account)
        return self._owners[place].get(container, "")


def _account(grant: Grant) -> Account:
    return grant.key.system, grant.key.account


def _principal(node: Node, names: Mapping[Node, str]) -> str:
    name = names.get(node, "")
    return f'{node[0]} {node[1]} "{name}"' if name and name != node[1] else f"{node[0]} {node[1]}"
