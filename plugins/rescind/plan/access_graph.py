"""Effective access of some people as a graph: people, steps from member to container, and ways from holder to access.

A *walk* starts at a node of a person, takes steps, and ends with a way that the last node holds. A person has an access
exactly if a walk ends with a way to it. A removal, which is one revocable record, takes steps or ways out of the graph.

Two kinds of removal exist. An *own* removal is a record of one person: a membership, which is a step from a node of
the person, or a direct grant, which is a way of such a node. A *shared* removal is a grant of a group or of everyone;
it is in :attr:`AccessGraph.audience`. What has no removal is *fixed*. So a walk has at most two removals: one at its
beginning and one at its end.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from rescind.errors import PlanError

Node = tuple[str, str]
"""(type, id) of a principal."""


class Step(NamedTuple):
    """A member is in a container, and holds what it holds.

    :param removal: the record that ends this step; empty where nothing may end it. Of parallel steps each must end.
    """

    member: Node
    container: Node
    removal: str = ""


class Way(NamedTuple):
    """A holder has an access.

    :param access: what it gives, as text: equal texts mean the same access.
    :param removal: the record that ends this way; empty where nothing may end it.
    """

    holder: Node
    access: str
    removal: str = ""


class Demand(NamedTuple):
    """One access of one person that must end: no walk of the person may end with one of these ways."""

    person: str
    ways: frozenset[Way]


@dataclass(frozen=True)
class AccessGraph:
    """The graph, and what must end in it.

    :param people: the nodes of each person: the same person under several ids. No two people share a node.
    :param demands: what must end, by name.
    :param audience: for each shared removal that is allowed, (person, access) of what people would lose with it
        although it is to stay. The people need not be in the graph.
    :raises PlanError: when an own removal is not a record of exactly one person, a step leads to a person, or a demand
        names an unknown person or way.
    """

    people: Mapping[str, frozenset[Node]]
    steps: frozenset[Step]
    ways: frozenset[Way]
    demands: Mapping[str, Demand]
    audience: Mapping[str, frozenset[tuple[str, str]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        owner: dict[Node, str] = {}
        for person, nodes in self.people.items():
            for node in nodes:
                if owner.setdefault(node, person) != person:
                    raise _wrong(f"two people have the node {node}")
        for step in self.steps:
            if step.removal in self.audience or step.container in owner:
                raise _wrong(f"{step} ends with a shared removal, or leads to a person")
        records = [(step.member, step.removal) for step in self.steps]
        records += [(way.holder, way.removal) for way in self.ways if way.removal not in self.audience]
        _check_owners(records, owner)
        for name, demand in self.demands.items():
            if demand.person not in self.people or not demand.ways <= self.ways:
                raise _wrong(f"demand {name} names an unknown person or way")


def _check_owners(records: Iterable[tuple[Node, str]], owner: Mapping[Node, str]) -> None:
    removes: dict[str, str] = {}
    for node, removal in records:
        if removal and (node not in owner or removes.setdefault(removal, owner[node]) != owner[node]):
            raise _wrong(f"removal {removal} is no record of exactly one person")


def _wrong(what: str) -> PlanError:
    return PlanError(f"the access graph: {what}. Each person needs nodes and records of their own")


class Walk(NamedTuple):
    """One walk of the graph that a demand forbids.

    :param nodes: from a node of the person to the holder of the way.
    :param first: the removal of the first step; empty where that step is fixed, or there is none.
    """

    demand: str
    nodes: tuple[Node, ...]
    first: str
    way: Way


class Removal(NamedTuple):
    """One removal of the proposal.

    :param price: 1, and 1 for each pair of ``collateral``.
    :param collateral: (person, access) that may be lost with it although it is to stay.
    """

    ident: str
    price: int
    collateral: frozenset[tuple[str, str]]


@dataclass(frozen=True)
class Closing:
    """The cheapest set of removals after which nothing is left of what can be ended, with its certificate.

    :param lost: (person, access) that is lost with all of them together, although it is to stay.
    :param packing: the certificate: walks with amounts. No removal has walks of more than its price in total, and
        the amounts add up to the cost. Every closing set contains a removal of each walk, so none costs less.
    :param open: for each demand that no allowed removals can end, a walk without a removal.
    """

    removals: tuple[Removal, ...]
    lost: frozenset[tuple[str, str]]
    packing: tuple[tuple[Walk, int], ...]
    open: Mapping[str, Walk]

    @property
    def cost(self) -> int:
        """The sum of the prices."""
        return sum(removal.price for removal in self.removals)
