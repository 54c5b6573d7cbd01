"""Checks a proposal to close paths, without code of its solver.

Everything is computed again from the graph, by other means: access by a search for each set of removals, prices from
the definition. The certificate bounds the cost from below: a closing set contains a removal of every walk that it
names, and no removal carries more than its price.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from itertools import pairwise

from rescind.errors import PlanError
from rescind.plan.access_graph import AccessGraph, Closing, Node, Step, Walk

_REMEDY = "Nothing may be removed because of it; report this as a fault"


def check_closing(graph: AccessGraph, closing: Closing) -> None:
    """Check that a proposal closes everything it can, as cheaply as possible, and says exactly what is lost.

    :raises PlanError: when any statement of the proposal is not true; the message says which one.
    """
    check = _Check(graph)
    gone = {removal.ident for removal in closing.removals}
    if len(gone) != len(closing.removals) or "" in gone:
        raise _wrong("it names a removal twice, or one without an id")
    for removal in closing.removals:
        if removal.collateral != check.collateral(removal.ident) or removal.price != 1 + len(removal.collateral):
            raise _wrong(f"price or collateral of removal {removal.ident}")
    for name, demand in graph.demands.items():
        holders = {way.holder for way in demand.ways if way.removal not in gone}
        if name not in closing.open and holders & check.reached(demand.person, gone):
            raise _wrong(f"demand {name} stays reachable")
    if closing.lost != check.lost(gone):
        raise _wrong("what is lost with all removals together")
    for name, walk in closing.open.items():
        if walk.demand != name or check.removals(walk):
            raise _wrong(f"demand {name} is open, and its walk does not show why")
    if unnamed := gone - _load(check, closing).keys():
        raise _wrong(f"removal {min(unnamed)} closes nothing")


def _load(check: _Check, closing: Closing) -> Counter[str]:
    """Return the amount of the certificate's walks at each removal, and compare it with prices and cost."""
    load: Counter[str] = Counter()
    for walk, amount in closing.packing:
        removals = check.removals(walk)
        if amount < 1 or walk.demand in closing.open or not removals:
            raise _wrong(f"a walk of the certificate for demand {walk.demand}")
        load.update(dict.fromkeys(removals, amount))
    for removal, amount in load.items():
        if amount > 1 + len(check.collateral(removal)):
            raise _wrong(f"the certificate uses removal {removal} for more than its price")
    if sum(amount for _, amount in closing.packing) != sum(removal.price for removal in closing.removals):
        raise _wrong("the certificate does not prove the cost")
    return load


class _Check:
    """What the graph says."""

    def __init__(self, graph: AccessGraph) -> None:
        self.graph = graph
        self._steps: dict[Node, set[Step]] = defaultdict(set)
        for step in graph.steps:
            self._steps[step.member].add(step)
        self._candidates = {person: self._candidates_of(person) for person in graph.people}

    def reached(self, person: str, gone: Iterable[str]) -> set[Node]:
        """Return every principal that a person is or is in, without these removals."""
        without = set(gone)
        found: set[Node] = set()
        waiting = list(self.graph.people.get(person, ()))
        while waiting:
            node = waiting.pop()
            if node not in found:
                found.add(node)
                waiting += [step.container for step in self._steps[node] if step.removal not in without]
        return found

    def has(self, person: str, gone: Iterable[str]) -> set[str]:
        """Return what a person has without these removals, but not what is to end for the person."""
        without = set(gone)
        reached = self.reached(person, without)
        ending = {way.access for one in self.graph.demands.values() if one.person == person for way in one.ways}
        held = {way.access for way in self.graph.ways if way.holder in reached and way.removal not in without}
        return held - ending

    def removals(self, walk: Walk) -> set[str]:
        """Return the removals of a walk.

        :raises PlanError: when it is no walk of its demand.
        """
        demand = self.graph.demands.get(walk.demand)
        if demand is None or walk.way not in demand.ways or not walk.nodes or walk.nodes[-1] != walk.way.holder:
            raise _wrong(f"a walk ends with no way of demand {walk.demand}")
        if walk.nodes[0] not in self.graph.people[demand.person]:
            raise _wrong(f"a walk for demand {walk.demand} does not begin at its person")
        steps = [Step(*pair, walk.first if place == 0 else "") for place, pair in enumerate(pairwise(walk.nodes))]
        if not self.graph.steps.issuperset(steps) or (walk.first and not steps):
            raise _wrong(f"a walk for demand {walk.demand} takes a step that is not in the graph")
        return {walk.first, walk.way.removal} - {""}

    def collateral(self, removal: str) -> frozenset[tuple[str, str]]:
        """Return what may be lost with a removal although it is to stay.

        :raises PlanError: when nothing allows the removal.
        """
        shared = set(self.graph.audience)
        if removal in shared:
            return self.graph.audience[removal]
        starts = {way.holder for way in self.graph.ways if way.removal == removal}
        starts |= {one.member for one in self.graph.steps if one.removal == removal}
        for person, nodes in self.graph.people.items():
            if starts and starts <= nodes:
                behind: set[str] = set()
                for others in (self._candidates[person] - {removal}, (self._candidates[person] | shared) - {removal}):
                    behind |= self.has(person, others) - self.has(person, others | {removal})
                return frozenset((person, access) for access in behind)
        raise _wrong(f"removal {removal} is not in the graph")

    def lost(self, gone: set[str]) -> frozenset[tuple[str, str]]:
        """Return what is lost with all these removals together although it is to stay."""
        shared = gone & self.graph.audience.keys()
        found = {pair for removal in shared for pair in self.collateral(removal)}
        for person in self.graph.people:
            found |= {(person, access) for access in self.has(person, ()) - self.has(person, gone)}
        return frozenset(found)

    def _candidates_of(self, person: str) -> set[str]:
        """Return the own removals on a walk of one of the person's demands: what reaches with it, and not without."""
        nodes = self.graph.people[person]
        own = {step.removal for node in nodes for step in self._steps[node]}
        own = (own | {way.removal for way in self.graph.ways if way.holder in nodes}) - {""}
        fixed = self.reached(person, own)
        ways = {way for demand in self.graph.demands.values() if demand.person == person for way in demand.ways}
        direct = {way.removal for way in ways if way.holder in fixed} & own
        behind = {way.holder for way in ways} - fixed
        return direct | {one for one in own if behind & self.reached(person, own - {one})}


def _wrong(what: str) -> PlanError:
    return PlanError(f"the proposal to close paths is not correct: {what}. {_REMEDY}")
