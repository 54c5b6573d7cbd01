"""The access of some people in one account of a product, as far as the snapshot of a run shows it.

It spans all permission systems of the product, such as Quick BI, that were listed completely: what a group holds in one
of them, its members hold, whichever system lists the members.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Container, Iterable, Iterator, Mapping

from rescind.ledger import Ledger, Run
from rescind.model import Grant, GrantKey, Membership, PrincipalType
from rescind.plan.access_graph import Node
from rescind.systems import system_named
from rescind.systems.access_path import AccessPath
from rescind.systems.surfaces import CONDITIONAL, UNCERTAIN
from rescind.workflow.same_people import same_people

CHUNK = 50_000
"""Grants that are read at once."""

FEW = 2_000
"""Principals up to which the database selects their rows; for more of them, every row is read."""


def complete_systems(ledger: Ledger, run: Run) -> dict[tuple[str, str], list[str]]:
    """Return the names of the completely listed systems, by product and account."""
    complete: dict[tuple[str, str], bool] = {}
    for scope in ledger.scopes.all(run.run_id):
        place = (scope.system, scope.account)
        complete[place] = complete.get(place, True) and scope.state == "complete"
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for system, account in sorted(place for place, whole in complete.items() if whole):
        found[product(system), account].append(system)
    return found


def product(system: str) -> str:
    """Return the product of a system; its systems share people, groups and the like, and their hook."""
    return system_named(system).hook


def is_membership(grant: Grant) -> bool:
    """Return whether a grant is a membership that a call of its system ends, and so no access by itself.

    A disabled account ends roles too, and everything else with them.
    """
    system = system_named(grant.key.system)
    return any(map(system.could_end, system.memberships(grant)))


def ended_elsewhere(
    ledger: Ledger, run: Run, planned: Collection[str]
) -> tuple[dict[tuple[str, str], list[Membership]], frozenset[str]]:
    """Return what a plan ends in other systems of a product too.

    :returns: memberships by product and account, which count in all its systems; and ids of the grants by which another
        system knows the same access.
    """
    ending: dict[tuple[str, str], list[Membership]] = defaultdict(list)
    elsewhere: set[str] = set()
    ids = sorted(planned)
    for start in range(0, len(ids), CHUNK):
        for grant in ledger.snapshot.grants_by_id(run.run_id, ids[start : start + CHUNK]).values():
            system = system_named(grant.key.system)
            ending[product(grant.key.system), grant.key.account].extend(system.memberships(grant))
            elsewhere.update(key.grant_id for key in system.same_access(grant))
    return ending, frozenset(elsewhere)


class Surroundings:
    """Memberships and grants around some people.

    :param systems: names of the systems, all of one product.
    :param people: ids of users in grants.
    :param gone: ids of grants that count as gone, and the memberships that end with them.
    :ivar nodes: by user id, the nodes of the person: also the id under which a system lists memberships.
    :ivar outward: from each member to its containers.
    :ivar held: by holder, the grants that remain. Grants to everyone under a further condition are left out.
    :ivar records: by (member, container), the grants that are this membership, remain, and can end.
    :ivar same: by the key of a grant, the remaining grants of the people that are the same access in another system.
    :ivar own: by system, every grant of the people, also those that count as gone.
    """

    def __init__(
        self, ledger: Ledger, run: Run, account: str, systems: Collection[str], people: Collection[str],
        gone: Container[str] = (),
    ) -> None:  # fmt: skip
        self.account, self.gone = account, gone
        self.nodes = self._nodes(ledger, run, systems, people)
        self.held: dict[Node, list[Grant]] = defaultdict(list)
        self.records: dict[tuple[Node, Node], list[Grant]] = defaultdict(list)
        self.same: dict[GrantKey, list[Grant]] = defaultdict(list)
        self.own: dict[str, list[Grant]] = defaultdict(list)
        self.names: dict[Node, str] = {}
        mine = frozenset[Node]().union(*self.nodes.values())
        users = mine if len(mine) <= FEW else None
        edges: dict[Node, set[Node]] = defaultdict(set)
        for name in systems:
            for edge in ledger.snapshot.memberships(run.run_id, system=name, account=account, users=users):
                if edge.member_type != PrincipalType.USER or _member(edge) in mine:
                    edges[_member(edge)].add(_container(edge))
            self.names |= ledger.snapshot.container_names(run.run_id, name, account)
        around, ended = _closure(mine, edges), set[tuple[Node, Node]]()
        holders = around if len(around) <= FEW else None
        for name in systems:
            for grant in ledger.snapshot.grants(run.run_id, system=name, account=account, holders=holders):
                self._take(grant, grant.grant_id in gone, around, mine, ended)
        self.outward: dict[Node, list[Node]] = {
            member: sorted(
                one for one in edges[member] - mine if (member, one) not in ended or self.records.get((member, one))
            )
            for member in around
            if member in edges
        }
        self._everyone = sorted(node for node in self.held if node[0] == PrincipalType.EVERYONE)

    def _nodes(
        self, ledger: Ledger, run: Run, systems: Collection[str], people: Collection[str]
    ) -> dict[str, frozenset[Node]]:
        nodes = {person: {(str(PrincipalType.USER), person)} for person in people}
        for name in systems:
            for edge in same_people(ledger, run, name, self.account):
                if edge.member_id in nodes:
                    nodes[edge.member_id].add(_container(edge))
        return {person: frozenset(found) for person, found in nodes.items()}

    def _take(
        self, grant: Grant, going: bool, around: Container[Node], mine: Container[Node], ended: set[tuple[Node, Node]]
    ) -> None:
        holder = (str(grant.key.principal_type), grant.key.principal_id)
        everyone = holder[0] == PrincipalType.EVERYONE
        if holder not in around and not everyone:
            return
        if holder in mine:
            system = system_named(grant.key.system)
            self.own[system.name].append(grant)
            for key in () if going else system.same_access(grant):
                self.same[key].append(grant)
            for edge in system.memberships(grant):
                place = (_member(edge), _container(edge))
                if going:
                    ended.add(place)
                elif system.could_end(edge):
                    self.records[place].append(grant)
        if not going and not (everyone and {CONDITIONAL, UNCERTAIN} & grant.attributes.keys()):
            self.held[holder].append(grant)

    def steps(self, person: str) -> Iterator[tuple[Node, Node]]:
        """Yield every step from a member to a container around one person, nearest first."""
        seen = set(self.nodes[person])
        queue = sorted(seen)
        for member in queue:
            containers = self.outward.get(member, []) + (self._everyone if member in self.nodes[person] else [])
            for container in containers:
                yield member, container
                if container not in seen:
                    seen.add(container)
                    queue.append(container)

    def paths(self, person: str) -> Iterator[AccessPath]:
        """Yield one path to each grant that the person holds or reaches, the shortest; memberships are no access."""
        through: dict[Node, tuple[Node, ...]] = dict.fromkeys(sorted(self.nodes[person]), ())
        for member, container in self.steps(person):
            through.setdefault(container, (*through[member], container))
        for holder, passed in through.items():
            for grant in self.held.get(holder, ()):
                if not is_membership(grant):
                    yield AccessPath(passed, grant, self.names)


def owners_of(ledger: Ledger, run: Run, systems: Collection[str], account: str) -> Mapping[Node, str]:
    """Return the ids of the owners of groups, workspaces and the like, where the platform names one."""
    found: dict[Node, str] = {}
    for name in systems:
        for one in ledger.snapshot.principals(run.run_id, system=name, account=account):
            if one.owner and one.principal_type != PrincipalType.USER:
                found[str(one.principal_type), one.principal_id] = one.owner
    return found


def _closure(nodes: Iterable[Node], edges: Mapping[Node, Iterable[Node]]) -> set[Node]:
    """Return the nodes and everything that edges lead to."""
    found, waiting = set[Node](), list(nodes)
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting.extend(edges.get(node, ()))
    return found


def _member(edge: Membership) -> Node:
    return (str(edge.member_type), edge.member_id)


def _container(edge: Membership) -> Node:
    return (str(edge.container_type), edge.container_id)
