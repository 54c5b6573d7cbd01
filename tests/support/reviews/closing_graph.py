"""What closes the paths of an access graph at the least price, by trying every set of removals."""

from __future__ import annotations

from itertools import chain, combinations

from rescind.plan.access_graph import AccessGraph, Demand, Way


def useful(of: AccessGraph) -> set[str]:
    """Removals that can end something of what can be ended."""
    every, (wanted, _) = removals(of), wanted_of(of)
    if of.audience:
        return every
    alone = ((one, has(of, demand.person, every - {one}) & demand.ways) for one in every for demand in wanted)
    return {one for one, ways in alone if ways}


def cheapest_of(of: AccessGraph) -> tuple[int, set[str]]:
    """The least cost of a set of removals that ends everything that can be ended; and the demands that cannot."""
    wanted, open_ = wanted_of(of)
    prices = {ident: price_of(of, ident) for ident in sorted(useful(of))}
    tries = chain.from_iterable(combinations(prices, size) for size in range(len(prices) + 1))
    fits = (tried for tried in tries if not any(one.ways & has(of, one.person, set(tried)) for one in wanted))
    return min(sum(prices[one] for one in tried) for tried in fits), open_


def wanted_of(of: AccessGraph) -> tuple[list[Demand], set[str]]:
    """The demands that removals can end, and the names of the others."""
    every = removals(of)
    open_ = {name for name, demand in of.demands.items() if demand.ways & has(of, demand.person, every)}
    return [demand for name, demand in of.demands.items() if name not in open_], open_


def has(of: AccessGraph, person: str, gone: set[str]) -> set[Way]:
    """The plain definition: every way that a person reaches."""
    reached, size = set(of.people[person]), 0
    while size != len(reached):
        size = len(reached)
        reached |= {step.container for step in of.steps if step.member in reached and step.removal not in gone}
    return {way for way in of.ways if way.holder in reached and way.removal not in gone}


def removals(of: AccessGraph) -> set[str]:
    """All removals."""
    return ({step.removal for step in of.steps} | {way.removal for way in of.ways}) - {""}


def price_of(of: AccessGraph, removal: str) -> int:
    """1, and 1 for each access to be kept that is behind this removal and not there without all candidates."""
    if removal in of.audience:
        return 1 + len(of.audience[removal])
    ((person, own),) = ((one, mine) for one in of.people if removal in (mine := _own(of, one)))
    mine = [demand for demand in of.demands.values() if demand.person == person]
    ending = {way.access for demand in mine for way in demand.ways}
    candidates = {
        one for one in own for demand in mine if demand.ways & (has(of, person, own - {one}) - has(of, person, own))
    }
    behind = set()
    for base in (candidates - {removal}, (candidates - {removal}) | set(of.audience)):
        behind |= {w.access for w in has(of, person, base)} - {w.access for w in has(of, person, base | {removal})}
    return 1 + len(behind - ending)


def _own(of: AccessGraph, person: str) -> set[str]:
    """The removals of a person's own records."""
    held = [(step.member, step.removal) for step in of.steps] + [(way.holder, way.removal) for way in of.ways]
    return {removal for node, removal in held if node in of.people[person] and removal} - set(of.audience)
