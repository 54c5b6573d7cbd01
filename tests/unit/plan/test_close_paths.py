"""Closing paths: worked examples, brute force on small graphs, and a checker that refuses what is not true."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import product
from random import Random
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from rescind.errors import PlanError
from rescind.plan.access_graph import AccessGraph, Closing, Demand, Node, Step, Walk, Way
from rescind.plan.close_paths import close_paths
from rescind.plan.close_paths_check import check_closing
from tests.support.reviews.closing_graph import cheapest_of, has, price_of
from tests.support.reviews.examples import examples

ANN, BOB, ANNS_OTHER_ID = ("user", "ann"), ("user", "bob"), ("uin", "9")
TEAM, STAFF, ALL = ("group", "team"), ("group", "staff"), ("everyone", "everyone")
MENU, OTHER, THIRD = "menu", "other", "third"


def graph(
    steps: Iterable[Step],
    ways: Iterable[Way],
    wanted: str = MENU,
    audience: Mapping[str, frozenset[tuple[str, str]]] | None = None,
) -> AccessGraph:
    """Ann must lose one access."""
    everything = frozenset(ways)
    demand = Demand("ann", frozenset(way for way in everything if way.access == wanted))
    people = {"ann": frozenset({ANN, ANNS_OTHER_ID}), "bob": frozenset({BOB})}
    return AccessGraph(people, frozenset(steps), everything, {"d": demand}, audience or {})


def closed(of: AccessGraph) -> Closing:
    closing = close_paths(of)
    check_closing(of, closing)
    return closing


def names(closing: Closing) -> set[str]:
    return {removal.ident for removal in closing.removals}


def test_nothing_remains_and_nothing_is_removed() -> None:
    closing = closed(graph([], [Way(TEAM, MENU)]))
    assert closing == Closing((), frozenset(), (), {})


def test_an_own_record_costs_one() -> None:
    closing = closed(graph([], [Way(ANN, MENU, "r")]))
    assert names(closing) == {"r"} and closing.cost == 1 and closing.lost == frozenset()


def test_a_membership_costs_what_else_its_member_loses() -> None:
    ways = [Way(TEAM, MENU), Way(TEAM, OTHER), Way(STAFF, THIRD), Way(ANN, OTHER), Way(TEAM, "fourth")]
    closing = closed(graph([Step(ANN, TEAM, "m"), Step(TEAM, STAFF), Step(BOB, TEAM, "n")], ways))
    (removal,) = closing.removals
    assert removal.ident == "m" and removal.price == closing.cost == 3
    assert removal.collateral == closing.lost == {("ann", THIRD), ("ann", "fourth")}  # OTHER stays by the own record


def test_an_access_behind_two_memberships_counts_for_both_and_is_lost_once() -> None:
    steps = [Step(ANN, TEAM, "m"), Step(ANNS_OTHER_ID, STAFF, "n")]
    ways = [Way(TEAM, MENU), Way(STAFF, MENU), Way(TEAM, OTHER), Way(STAFF, OTHER)]
    closing = closed(graph(steps, ways))
    assert names(closing) == {"m", "n"} and closing.cost == 4 and closing.lost == {("ann", OTHER)}


def test_both_of_two_parallel_memberships_must_end() -> None:
    closing = closed(graph([Step(ANN, TEAM, "m"), Step(ANN, TEAM, "n")], [Way(TEAM, MENU)]))
    assert names(closing) == {"m", "n"} and closing.cost == 2


def test_one_record_may_end_two_steps() -> None:
    closing = closed(graph([Step(ANN, TEAM, "m"), Step(ANN, STAFF, "m")], [Way(TEAM, MENU), Way(STAFF, MENU)]))
    assert names(closing) == {"m"} and closing.cost == 1


@pytest.mark.parametrize(
    ("steps", "ways"),
    [
        ([Step(ANN, TEAM)], [Way(TEAM, MENU)]),
        ([Step(ANN, TEAM, "m"), Step(ANN, ALL)], [Way(TEAM, MENU), Way(ALL, MENU)]),
        ([Step(ANN, TEAM, "m"), Step(ANN, TEAM)], [Way(TEAM, MENU)]),
    ],
    ids=["no record of the membership", "open to all", "a parallel membership that nothing ends"],
)
def test_what_cannot_be_ended_is_named_and_costs_nothing(steps: list[Step], ways: list[Way]) -> None:
    closing = closed(graph(steps, ways))
    assert closing.removals == () and closing.lost == frozenset()
    walk = closing.open["d"]
    assert walk.first == "" and walk.nodes[0] == ANN and walk.way in ways


def test_the_grant_of_a_group_is_cheaper_than_many_memberships() -> None:
    """A shared removal closes the walks of several people at once; its price are those who are to keep it."""
    people = {f"p{n}": frozenset({("user", f"p{n}")}) for n in range(5)}
    steps = frozenset(Step(("user", name), TEAM, f"m-{name}") for name in people)
    way = Way(TEAM, MENU, "shared")
    demands = {name: Demand(name, frozenset({way})) for name in list(people)[:3]}
    for audience, cut in ((1, {"shared"}), (2, None), (3, {"m-p0", "m-p1", "m-p2"})):
        keep = frozenset((f"other {n}", MENU) for n in range(audience))
        closing = closed(AccessGraph(people, steps, frozenset({way}), demands, {"shared": keep}))
        assert closing.cost == min(3, 1 + audience)
        assert cut is None or names(closing) == cut


def test_a_record_of_two_people_is_refused() -> None:
    with pytest.raises(PlanError, match="no record of exactly one person"):
        graph([Step(ANN, TEAM, "m"), Step(BOB, TEAM, "m")], [Way(TEAM, MENU)])
    with pytest.raises(PlanError, match="no record of exactly one person"):
        graph([Step(ANN, TEAM), Step(TEAM, STAFF, "nested")], [Way(STAFF, MENU)])


def test_a_person_is_no_container() -> None:
    with pytest.raises(PlanError, match="leads to a person"):
        graph([Step(BOB, TEAM), Step(TEAM, ANN)], [Way(ANN, MENU, "r")])


def test_a_demand_for_somebody_unknown_is_refused() -> None:
    with pytest.raises(PlanError, match="unknown person or way"):
        AccessGraph({}, frozenset(), frozenset(), {"d": Demand("eve", frozenset())})


NODES = {"ann": (ANN, ANNS_OTHER_ID), "bob": (BOB,)}
GROUPS: tuple[Node, ...] = (TEAM, STAFF, ("role", "x"), ALL)
ACCESSES = (MENU, OTHER, THIRD)


def some(seed: Random, values: Iterable[Any], most: int) -> list[Any]:
    every = list(values)
    return seed.sample(every, min(len(every), seed.randint(0, most)))


def small(number: int) -> AccessGraph:
    """Two people, one with two ids; memberships of any kind, groups in groups and cycles; some shared removals."""
    seed = Random(number)
    steps = {Step(*pair) for pair in some(seed, product(GROUPS, GROUPS), 4)}
    ways, audience = set(), {}
    for holder, access in some(seed, product(GROUPS, ACCESSES), 5):
        removal = f"shared {holder[1]} {access}" if seed.random() < 0.3 else ""
        ways.add(Way(holder, access, removal))
        if removal:
            audience[removal] = frozenset((one, access) for one in some(seed, "xyz", 3))
    for person, nodes in NODES.items():
        records = ["", *(f"{person} {number}" for number in range(4))]
        steps.update(Step(*one) for one in some(seed, product(nodes, GROUPS, records), 5))
        ways.update(Way(*one) for one in some(seed, product(nodes, ACCESSES, records), 2))
    demands = {}
    for name in "def":
        person, wanted = seed.choice(list(NODES)), some(seed, ACCESSES, 2)
        demands[name] = Demand(person, frozenset(way for way in ways if way.access in wanted))
    people = {person: frozenset(nodes) for person, nodes in NODES.items()}
    return AccessGraph(people, frozenset(steps), frozenset(ways), demands, audience)


SMALL = st.integers(0, 2**32).map(small)


@given(SMALL)
@examples(400)
def test_no_set_of_removals_is_cheaper(of: AccessGraph) -> None:
    closing = closed(of)
    cheapest, open_ = cheapest_of(of)
    assert set(closing.open) == open_
    assert all(price_of(of, removal.ident) == removal.price for removal in closing.removals)
    assert closing.cost == cheapest


@given(SMALL)
@examples(200)
def test_exactly_what_is_lost_is_stated(of: AccessGraph) -> None:
    closing = closed(of)
    gone = names(closing)
    for person in of.people:
        ending = {way.access for demand in of.demands.values() if demand.person == person for way in demand.ways}
        before, after = ({way.access for way in has(of, person, tried)} for tried in (set(), gone))
        assert {access for who, access in closing.lost if who == person} == before - after - ending
    for removal in closing.removals:
        if removal.ident in of.audience:
            assert removal.collateral <= closing.lost


@given(SMALL, st.data())
@examples(200)
def test_what_is_not_true_is_refused(of: AccessGraph, data: Any) -> None:
    closing = closed(of)
    wrong = data.draw(st.sampled_from(list(_changes(closing, of))))
    assume(wrong != closing)
    with pytest.raises(PlanError, match="is not correct"):
        check_closing(of, wrong)


def _changes(closing: Closing, of: AccessGraph) -> Iterable[Closing]:
    """Proposals that each make one false statement."""
    yield closing
    yield replace(closing, lost=closing.lost | {("ann", "something")})
    for place, removal in enumerate(closing.removals):
        others = (*closing.removals[:place], *closing.removals[place + 1 :])
        yield replace(closing, removals=others)
        yield replace(closing, removals=(*others, removal._replace(price=removal.price + 1)))
        more = removal.collateral | {("ann", "something")}
        yield replace(closing, removals=(*others, removal._replace(collateral=more)))
        yield replace(closing, removals=(*closing.removals, removal))
        yield replace(closing, removals=(*others, removal._replace(ident="unknown")))
    for place, (walk, amount) in enumerate(closing.packing):
        rest = (*closing.packing[:place], *closing.packing[place + 1 :])
        yield replace(closing, packing=rest)
        yield replace(closing, packing=(*rest, (walk, amount + 1)))
        yield replace(closing, packing=(*rest, (walk._replace(demand="unknown"), amount)))
        yield replace(closing, packing=(*rest, (walk._replace(nodes=()), amount)))
        yield replace(closing, packing=(*rest, (walk._replace(nodes=(("user", "eve"), *walk.nodes)), amount)))
        if walk.first:
            yield replace(closing, packing=(*rest, (walk._replace(first="", way=Way(TEAM, "no such way")), amount)))
    for name in of.demands.keys() - closing.open.keys():
        way = next(iter(of.demands[name].ways), Way(ANN, MENU))
        yield replace(closing, open={**closing.open, name: Walk(name, (ANN,), "", way._replace(removal=""))})
    for name in closing.open:
        yield replace(closing, open={key: walk for key, walk in closing.open.items() if key != name})
