"""What else would have to be removed so that no path is left to the access that a plan ends.

For every person whose planned grants stay reachable, the cheapest removals are computed from the snapshot and checked
(see :mod:`rescind.plan.close_paths`). A path that no allowed removal can close is named, with who can close it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Literal

from rescind.errors import PlanError
from rescind.ledger import Ledger, Run
from rescind.model import Grant, Membership, PrincipalType
from rescind.plan.access_graph import AccessGraph, Closing, Demand, Step, Way
from rescind.plan.close_paths import close_paths
from rescind.plan.close_paths_check import check_closing
from rescind.systems import system_named
from rescind.systems.access_path import access_text
from rescind.systems.effective import Near, access_around
from rescind.workflow.closing.group_audience import GroupAudience
from rescind.workflow.closing.part import ClosingPart, PersonAccess
from rescind.workflow.closing.removable import Removable
from rescind.workflow.closing.surroundings import (
    CHUNK,
    Surroundings,
    complete_systems,
    ended_elsewhere,
    is_membership,
    product,
)
from rescind.workflow.closing.who_closes import Closers
from rescind.workflow.same_people import same_people

MOST_PATHS = 20_000
"""Planned grants with a path for which removals are computed; with more, none are."""
MOST_LOSING = 100
"""People who may lose something with the grant of one group, so that each of them can be named."""

Account = tuple[str, str]
"""(system, account)."""
Allowed = Literal["report", "own", "all"]
_Demands = list[tuple[Grant, list[Grant]]]
"""Planned grants, each with the grants at the ends of its paths."""


@dataclass
class ClosingPlanner:
    """Computes the removals that close the paths of a plan.

    :param allowed: which removals: ``own``: what other systems hold of the person: memberships, roles, shares, proxy
        accounts. ``report``: also the person's own grants on what is above the resource. ``all``: also grants of
        groups, where everybody who loses something can be named.
    :param barred: ids of grants that may not be removed, with the reason.
    :param spared: returns why a person may not lose what a grant of a group gives; empty when they may.
    :param kept: likewise, for what a person would lose with an own record.
    """

    ledger: Ledger
    run: Run
    allowed: Allowed = "report"
    barred: Mapping[str, str] = field(default_factory=dict)
    spared: Callable[[Grant, str], str] = lambda *_: "not known"
    kept: Callable[[Grant, str], str] = lambda *_: ""
    _systems: Mapping[tuple[str, str], list[str]] = field(init=False)
    _removable: Removable = field(init=False)
    _closers: dict[tuple[str, str], Closers] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._systems = complete_systems(self.ledger, self.run)
        self._removable = Removable(self.ledger, self.run, self.barred)

    def parts(self, planned: Collection[str], reachable: Collection[str] | None = None) -> list[ClosingPart] | None:
        """Return what closes the paths of the people with a path: one part for each, with ``all`` one for each account.

        :param planned: ids of the grants that the plan ends.
        :param reachable: those of them that have a path, where that is known.
        :returns: None when more than :data:`MOST_PATHS` planned grants have a path.
        """
        found: list[ClosingPart] = []
        if reachable is not None and len(reachable) > MOST_PATHS:
            return None
        ending, elsewhere = ended_elsewhere(self.ledger, self.run, planned)
        gone = frozenset(planned) | elsewhere
        ends = self._ends(gone if reachable is None else reachable, gone, ending)
        if sum(map(len, ends.values())) > MOST_PATHS:
            return None
        for place, demands in sorted(ends.items()):
            people = sorted({grant.key.principal_id for grant, _ in demands})
            around = Surroundings(self.ledger, self.run, place[1], self._systems[place], people, gone)
            self._removable.read(around, demands)
            by_person: dict[str, _Demands] = defaultdict(list)
            for grant, ways in demands:
                by_person[grant.key.principal_id].append((grant, ways))
            if self.allowed == "all":
                found.append(self._with_shared(place, around, by_person, gone, ending.get(place, [])))
            else:
                found += [self._closed(place, around, {person: by_person[person]}) for person in people]
        return found

    def _ends(
        self,
        planned: Collection[str],
        gone: frozenset[str],
        ending: Mapping[tuple[str, str], list[Membership]],
    ) -> dict[tuple[str, str], _Demands]:
        """Return the planned grants of people with a path, each with the grants at its end, by product and account."""
        snapshot, run_id = self.ledger.snapshot, self.run.run_id
        found: dict[tuple[str, str], _Demands] = defaultdict(list)
        ids = sorted(planned)
        for start in range(0, len(ids), CHUNK):
            grants = snapshot.grants_by_id(run_id, ids[start : start + CHUNK]).values()
            users = [grant for grant in grants if grant.key.principal_type == PrincipalType.USER and grant.revocable]
            for (name, account), part in groupby(sorted(users, key=_account), key=_account):
                system, mine = system_named(name), list(part)

                def staying(near: Near, name: str = name, account: str = account) -> Iterator[Grant]:
                    return (g for g in snapshot.grants_on(run_id, name, account, *near) if g.grant_id not in gone)

                edges = snapshot.memberships(run_id, system=name, account=account)
                access = access_around(system, mine, staying, edges, same_people(self.ledger, self.run, name, account))
                access.end(ending.get((product(name), account), ()))
                for grant in mine:
                    ways = (way for way in access.paths(grant) if access.certain(way, grant))
                    if certain := {way.grant.grant_id: way.grant for way in ways}:
                        found[product(name), account].append((grant, list(certain.values())))
        return found

    def _with_shared(
        self,
        place: tuple[str, str],
        around: Surroundings,
        by_person: Mapping[str, _Demands],
        gone: frozenset[str],
        ending: list[Membership],
    ) -> ClosingPart:
        """Return the proposal for all people of an account, in which grants of groups may go too.

        What people lose depends on which grants go together. So it is computed again with those that were chosen, until
        all of them are chosen again.
        """
        audience = GroupAudience(self.ledger, self.run, place[1], self._systems[place], ending)
        shared = self._shared(audience, by_person, gone)
        while True:
            part = self._closed(place, around, by_person, shared)
            chosen = {removal.ident for removal in part.closing.removals} & shared.keys()
            if chosen == shared.keys():
                return replace(part, persons=audience.names)
            going = {ident: part.records[ident][0] for ident in sorted(chosen)}
            shared = self._losses(audience, going, by_person, gone)

    def _shared(
        self, audience: GroupAudience, by_person: Mapping[str, _Demands], gone: frozenset[str]
    ) -> dict[str, frozenset[tuple[str, str]]]:
        """Return the grants of groups that may go, each with (person, access) of what else is lost."""
        ends = {one.grant_id: one for demands in by_person.values() for _, ways in demands for one in ways}
        going: dict[str, Grant] = {}
        for ident, grant in ends.items():
            holder = (str(grant.key.principal_type), grant.key.principal_id)
            if (
                holder[0] != PrincipalType.USER
                and not self._removable.why_not(grant)
                and not audience.why_unnamed(holder)
            ):
                going[ident] = grant
        while True:
            shared = self._losses(audience, going, by_person, gone)
            refused = {ident for ident, lost in shared.items() if self._too_much(going[ident], lost)}
            if not refused:
                return shared
            going = {ident: grant for ident, grant in going.items() if ident not in refused}

    def _too_much(self, grant: Grant, lost: Collection[tuple[str, str]]) -> bool:
        """Return whether too many people lose something with a grant, or one who may not."""
        return len(lost) > MOST_LOSING or any(self.spared(grant, person) for person, _ in lost)

    def _losses(
        self,
        audience: GroupAudience,
        going: Mapping[str, Grant],
        by_person: Mapping[str, _Demands],
        gone: frozenset[str],
    ) -> dict[str, frozenset[tuple[str, str]]]:
        to_end = {
            (person, one.grant_id)
            for person, demands in by_person.items()
            for grant, ways in demands
            for one in ways
            if one.key[2:4] == grant.key[2:4]
        }
        losing = audience.losing(list(going.values()), gone)
        return {
            ident: frozenset((one, access_text(grant)) for one in losing[ident] if (one, ident) not in to_end)
            for ident, grant in going.items()
        }

    def _closed(
        self,
        place: tuple[str, str],
        around: Surroundings,
        by_person: Mapping[str, _Demands],
        shared: Mapping[str, frozenset[tuple[str, str]]] | None = None,
    ) -> ClosingPart:
        """Return the checked proposal for some people.

        :param shared: the grants of groups that may go, each with what is lost with it.
        """
        together: dict[str, tuple[Grant, ...]] = {}
        barred: dict[str, str] = {}
        while True:
            people = [
                self._person(around, person, demands, together, barred, shared or {})
                for person, demands in by_person.items()
            ]
            graph = _graph(people, shared or {})
            closing = close_paths(graph)
            check_closing(graph, closing)
            records = {ident: grants for one in people for ident, grants in one.records.items()}
            records |= {ident: (grant,) for one in people for ident, grant in one.shared.items()}
            if not self._join(around, closing, records, together, barred) and not self._spare(
                around, closing, people, barred
            ):
                break
        holders = {ident: one.person for one in people for ident in one.records}
        ends = {way: grant for one in people for way, grant in one.ends.items()}
        demands = {grant.grant_id: grant for found in by_person.values() for grant, _ in found}
        part = ClosingPart(*place, closing, demands, records, holders, ends, around.names)
        blocked = {step: why for one in people for step, why in one.blocked.items()}
        kept = {ident: why for one in people for ident, why in one.kept.items()}
        closers = self._closers.setdefault(
            place, Closers(self.ledger, self.run, self._systems[place], self._removable.why_not)
        )
        return replace(part, who={ident: closers.of(part, walk, blocked, kept) for ident, walk in closing.open.items()})

    def _join(
        self,
        around: Surroundings,
        closing: Closing,
        records: Mapping[str, tuple[Grant, ...]],
        together: dict[str, tuple[Grant, ...]],
        barred: dict[str, str],
    ) -> bool:
        """Put grants together that can go together only; return whether anything changed.

        Where one of them may not go, none of those goes that need it.
        """
        cut = {grant.grant_id: grant for removal in closing.removals for grant in records[removal.ident]}
        changed = False
        for name in sorted({grant.key.system for grant in cut.values()}):
            there = around.own.get(name, [])
            planned = [one for one in there if one.grant_id in cut or one.grant_id in around.gone]
            for ident, more in system_named(name).also_needed(planned, there).items():
                if ident not in cut:
                    continue
                changed = True
                if why := next((why for one in more if (why := self._removable.why_not(one, barred))), ""):
                    barred[ident] = f"{access_text(more[0])} would have to go with it: {why}"
                    continue
                joined = {one.grant_id: one for one in (cut[ident], *more)}
                joined |= {one.grant_id: one for each in list(joined) for one in together.get(each, ())}
                group = tuple(sorted(joined.values(), key=_record_first))
                together.update(dict.fromkeys(joined, group))
        return changed

    def _spare(
        self, around: Surroundings, closing: Closing, people: Iterable[PersonAccess], barred: dict[str, str]
    ) -> bool:
        """Bar the records with which their person would lose what may not be taken; return whether there are any."""
        before = len(barred)
        for one in people:
            mine = [removal for removal in closing.removals if removal.ident in one.records]
            lost = {pair for removal in mine for pair in removal.collateral} & closing.lost
            reasons = {
                access: why
                for holder in (one.nodes | {step.container for step in one.steps} if lost else ())
                for grant in around.held.get(holder, ())
                if (one.person, access := access_text(grant)) in lost
                for _, ident in one.nodes
                if (why := self.kept(grant, ident))
            }
            for removal in mine:
                for _, access in sorted(removal.collateral & lost):
                    if access in reasons:
                        barred.setdefault(removal.ident, f"{access} would be lost with it: {reasons[access]}")
        return len(barred) > before

    def _person(
        self,
        around: Surroundings,
        person: str,
        demands: _Demands,
        together: Mapping[str, tuple[Grant, ...]],
        barred: Mapping[str, str],
        shared: Collection[str],
    ) -> PersonAccess:
        """Return what one person reaches."""
        one = PersonAccess(person, around.nodes[person])

        def removals(found: Iterable[Grant]) -> tuple[list[str], str]:
            """Return the removals that end all of these records, or none and the reason."""
            groups = {group[0].grant_id: group for each in found for group in [together.get(each.grant_id, (each,))]}
            reasons = (self._removable.why_not(grant, barred) for group in groups.values() for grant in group)
            if why := next(filter(None, reasons), ""):
                return [], why
            one.records |= groups
            return list(groups), ""

        for member, container in around.steps(person):
            found = around.records.get((member, container), []) if member in one.nodes else []
            usable, why = removals(found)
            if why:
                one.blocked[member, container] = why
            one.steps.update(Step(member, container, ident) for ident in usable or ("",))
        for grant, found in demands:
            mine = {way: end for end in found for way in self._ways(around, one, end, grant, removals, shared)}
            one.wanted[grant.grant_id] = Demand(person, frozenset(mine))
            one.ends |= mine
        one.ways = {*one.ends, *self._beside(around, one, shared)}
        return one

    def _ways(
        self,
        around: Surroundings,
        one: PersonAccess,
        grant: Grant,
        wanted: Grant,
        removals: Callable[[Iterable[Grant]], tuple[list[str], str]],
        shared: Collection[str],
    ) -> Iterator[Way]:
        """Yield the ways that a grant at the end of a path is: one for each removal that has to happen.

        A grant on another object, such as the portal of a menu, is a way to the menu here; what else it gives counts
        as an access of its own.
        """
        holder = (str(grant.key.principal_type), grant.key.principal_id)
        access = access_text(grant if grant.key[2:4] == wanted.key[2:4] else wanted)
        usable: list[str] = []
        if holder not in one.nodes:
            usable = [grant.grant_id] if grant.grant_id in shared else []
            one.shared.update(dict.fromkeys(usable, grant))
        elif elsewhere := around.same.get(grant.key):
            usable, why = removals(elsewhere)
            one.kept |= {grant.grant_id: why} if why else {}
        elif self.allowed != "own":
            usable, _ = removals([grant])
        yield from (Way(holder, access, ident) for ident in usable or ("",))

    def _beside(self, around: Surroundings, one: PersonAccess, shared: Collection[str]) -> Iterator[Way]:
        """Yield what the person reaches beside the ends of paths; memberships count only where they must go too."""
        removal_of: dict[str, list[str]] = defaultdict(list)
        for way, grant in one.ends.items():
            removal_of[grant.grant_id].append(way.removal)
        whole = {(way.holder, way.access) for way in one.ends}
        for holder in one.nodes | {step.container for step in one.steps}:
            for grant in around.held.get(holder, ()):
                access, ident = access_text(grant), grant.grant_id
                if (holder, access) not in whole and not is_membership(grant):
                    other = [ident] if ident in shared and holder not in one.nodes else [""]
                    yield from (Way(holder, access, each) for each in removal_of.get(ident, other))
        for ident, (_, *more) in one.records.items():
            for grant in more:
                yield Way((str(grant.key.principal_type), grant.key.principal_id), access_text(grant), ident)


def _graph(people: Iterable[PersonAccess], shared: Mapping[str, frozenset[tuple[str, str]]]) -> AccessGraph:
    found = list(people)
    used = {ident for one in found for ident in one.shared}
    if lost := used - shared.keys():
        raise PlanError(f"{len(lost)} grants of groups would go, and it is not known who loses them. Report this fault")
    return AccessGraph(
        {one.person: one.nodes for one in found},
        frozenset(step for one in found for step in one.steps),
        frozenset(way for one in found for way in one.ways),
        {name: demand for one in found for name, demand in one.wanted.items()},
        {ident: shared[ident] for ident in used},
    )


def _record_first(grant: Grant) -> tuple[str, str]:
    """Order grants that go together: the membership in a project before its roles."""
    kinds = [edge.container_type for edge in system_named(grant.key.system).memberships(grant)]
    return (min(kinds, default=""), grant.grant_id)


def _account(grant: Grant) -> Account:
    return grant.key.system, grant.key.account
