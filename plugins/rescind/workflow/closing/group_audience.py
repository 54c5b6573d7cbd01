"""Who is behind groups, roles and projects of an account, and what each of these people loses when their grants go."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace

from rescind.ledger import Ledger, Run
from rescind.model import Grant, Membership, PrincipalType
from rescind.plan.access_graph import Node
from rescind.systems import system_named
from rescind.systems.effective import CONTAINERS, Near, access_around
from rescind.systems.surfaces import Gap
from rescind.workflow.same_people import same_people

_STAND_IN = "?"
"""Ends the native id of a grant that stands for what a person has through a group: no real grant has it."""


class GroupAudience:
    """People behind the groups of one account of a product, by the memberships that remain.

    People are named by their id in grants where the roster joins it with the id in memberships, else by the latter.

    :param systems: names of the completely listed systems of the product.
    :param ending: memberships that end.
    """

    def __init__(
        self, ledger: Ledger, run: Run, account: str, systems: Collection[str], ending: Iterable[Membership] = ()
    ) -> None:
        self._ledger, self._run, self._account = ledger, run, account
        self._ending = [edge for edge in ending if edge.account == account]
        ended = {(_member(edge), _container(edge)) for edge in self._ending}
        self._members: dict[Node, set[Node]] = defaultdict(set)
        self._persons: dict[str, str] = {}
        self._joined = any(system_named(name).member_space for name in systems)
        self.names: dict[str, str] = {}
        for name in systems:
            for edge in ledger.snapshot.memberships(run.run_id, system=name, account=account):
                if (_member(edge), _container(edge)) not in ended:
                    self._members[_container(edge)].add(_member(edge))
            for edge in same_people(ledger, run, name, account):
                self._persons[edge.container_id] = edge.member_id
            for one in ledger.snapshot.principals(run.run_id, system=name, account=account):
                if one.principal_type == PrincipalType.USER and one.name:
                    self.names[self._persons.get(one.principal_id, one.principal_id)] = one.name
        scopes = (scope for scope in ledger.scopes.all(run.run_id) if (scope.account == account))
        noted = [gap for scope in scopes if scope.system in systems for gap in scope.notes.get("gaps", ())]
        self._gaps = [Gap.of(gap) for gap in noted]

    def why_unnamed(self, holder: Node) -> str:
        """Return why not everybody behind a holder can be named; empty when they can."""
        kind, ident = holder
        if kind not in CONTAINERS:
            return f"the platform does not list everybody behind {kind} {ident}"
        if kind == PrincipalType.ROLE and any(gap.principal[:1] == (PrincipalType.USER,) for gap in self._gaps):
            return f"the roles of a person are not told, so {kind} {ident} may have further members"
        for node in {holder, *self._inside(holder)}:
            if node[0] == PrincipalType.UNKNOWN or not node[1]:
                return f"{kind} {ident} has members without an id"
            if node[0] == PrincipalType.USER and self._joined and node[1] not in self._persons:
                return f"the roster does not join member {node[1]} of {kind} {ident} with an id in grants"
            if any(node in (gap.principal, gap.resource) for gap in self._gaps):
                return f"the members of {node[0]} {node[1]} were not listed completely"
        return ""

    def people(self, holder: Node) -> frozenset[str]:
        """Return everybody behind a holder, directly or through further groups."""
        inside = self._inside(holder)
        return frozenset(self._persons.get(ident, ident) for kind, ident in inside if kind == PrincipalType.USER)

    def containers(self, holder: Node) -> frozenset[Node]:
        """Return the groups and the like that are in a holder, directly or through further ones."""
        return frozenset(node for node in self._inside(holder) if node[0] != PrincipalType.USER)

    def losing(
        self, going: Collection[Grant], gone: Collection[str], only: Collection[str] | None = None
    ) -> Mapping[str, frozenset[str]]:
        """Return by grant id the people who lose what a grant of a group gives, when all of these go together.

        Somebody who keeps the same right in another way that is certain loses nothing.

        :param gone: ids of the grants that go anyway.
        :param only: the people to look at; None: everybody.
        """
        without = {*gone, *(grant.grant_id for grant in going)}
        found: dict[str, frozenset[str]] = {}
        by_system: dict[str, list[Grant]] = defaultdict(list)
        for grant in going:
            by_system[grant.key.system].append(grant)
        for name, grants in by_system.items():
            system, snapshot, run = system_named(name), self._ledger.snapshot, self._run.run_id
            stand_ins = {
                grant.grant_id: {one: as_own(grant, one) for one in self._behind(grant, only)} for grant in grants
            }

            def held(near: Near, system: str = name) -> Iterator[Grant]:
                known = self._ledger.snapshot.grants_on(self._run.run_id, system, self._account, *near)
                return (one for one in known if one.grant_id not in without)

            access = access_around(
                system,
                [one for each in stand_ins.values() for one in each.values()],
                held,
                snapshot.memberships(run, system=name, account=self._account),
                same_people(self._ledger, self._run, name, self._account),
            )
            access.end(self._ending)
            for ident, own in stand_ins.items():
                keep = {person for person, one in own.items() if any(access.certain(w, one) for w in access.paths(one))}
                found[ident] = frozenset(own.keys() - keep)
        return found

    def _behind(self, grant: Grant, only: Collection[str] | None) -> Iterable[str]:
        people = self.people((str(grant.key.principal_type), grant.key.principal_id))
        return people if only is None else people.intersection(only)

    def _inside(self, holder: Node) -> set[Node]:
        found: set[Node] = set()
        waiting = [holder]
        while waiting:
            new = self._members.get(waiting.pop(), set()) - found
            found |= new
            waiting.extend(new)
        return found


def as_own(grant: Grant, person: str) -> Grant:
    """Return a grant of a group as if the person held it."""
    key = grant.key._replace(
        principal_type=PrincipalType.USER, principal_id=person, native_id=f"{grant.key.native_id}{_STAND_IN}"
    )
    return replace(grant, key=key)


def _member(edge: Membership) -> Node:
    return (str(edge.member_type), edge.member_id)


def _container(edge: Membership) -> Node:
    return (str(edge.container_type), edge.container_id)
