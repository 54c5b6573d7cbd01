"""The cheapest set of removals that ends some access, by a minimum cut.

Let D be the demands that removals can end at all: those without a walk of fixed steps and a fixed way. A walk of a
demand has one or two removals: its own one x, its shared one y, or both (see :mod:`rescind.plan.access_graph`). A set
of removals closes D exactly if it contains x or y of every walk. That is a weighted vertex cover of the bipartite graph
of own and shared removals with an edge x-y for every walk, and so a minimum cut::

    source --price(x)--> x --infinite--> y --price(y)--> sink

A walk with x alone leads from x straight to the sink, one with y alone from the source straight to y. The maximum flow
equals the minimum cut. Its amounts on the edges x-y, each with a walk, are the certificate.

The price of a removal is 1 and what is lost with it:

* an own one: each access that is to stay, that a walk of the person reaches through it, and that no walk of the person
  reaches without a candidate, while all shared grants stay or while none does. A candidate is an own removal on a walk
  of one of the person's demands. An access behind two memberships counts for both, so a price is never too low;
* a shared one: each pair of its audience.

The graph may hold any number of people. The solution is exact for all of them together, also where their demands
differ, because containers are never merged across people: only shared removals are.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping

from rescind.plan.access_graph import AccessGraph, Closing, Demand, Node, Removal, Step, Walk, Way

_SOURCE, _SINK = "source", "sink"
_Vertex = tuple[str, str]
_Tree = dict[Node, Node | None]
"""By reached node, the node before it; None at the beginning."""


def close_paths(graph: AccessGraph) -> Closing:
    """Return the cheapest closing set, what is lost with it, and its certificate.

    :param graph: the access of some people, and what of it must end.
    """
    outward, held = _outward(graph.steps), _held(graph.ways)
    reach = {person: _Reach(nodes, outward, held) for person, nodes in graph.people.items()}
    for demand in graph.demands.values():
        reach[demand.person].to_end.update(way.access for way in demand.ways)
    walks = {name: list(_walks(name, demand, reach[demand.person])) for name, demand in graph.demands.items()}
    left = {name: walk for name, found in walks.items() for walk in found if not _removals(walk)}
    candidates: dict[str, set[str]] = defaultdict(set)
    for name, found in walks.items():
        own = (removal for walk in found for removal in _removals(walk) if removal not in graph.audience)
        candidates[graph.demands[name].person].update(own)
    closing = [walk for name, found in walks.items() if name not in left for walk in found]
    collateral = _collateral(graph, reach, candidates)
    flow, cut = _cut(graph, closing, {ident: 1 + len(lost) for ident, lost in collateral.items()})
    removals = tuple(Removal(ident, 1 + len(collateral[ident]), collateral[ident]) for ident in sorted(cut))
    return Closing(removals, _lost(graph, reach, cut, collateral), flow, left)


class _Reach:
    """What one person reaches: by fixed steps alone, and through each of the person's own memberships."""

    def __init__(
        self, nodes: frozenset[Node], outward: Mapping[Node, list[Step]], held: Mapping[Node, list[Way]]
    ) -> None:
        self.nodes, self.held, self.to_end = nodes, held, set[str]()
        self.fixed = _tree(dict.fromkeys(sorted(nodes)), outward)
        first: dict[str, _Tree] = defaultdict(dict)
        for step in (step for node in sorted(nodes) for step in outward.get(node, ()) if step.removal):
            first[step.removal][step.container] = step.member
        self.through = {removal: _tree(begin, outward) for removal, begin in sorted(first.items())}

    def reached(self) -> Iterable[tuple[str, _Tree]]:
        """Yield (own membership or nothing, the nodes reached with it)."""
        yield "", self.fixed
        yield from self.through.items()

    def accesses(self, without: Iterable[str]) -> set[str]:
        """Return what the person has without these removals, the shared ones among them included."""
        gone = set(without)
        trees = [tree for removal, tree in self.reached() if removal not in gone]
        ways = (way for tree in trees for node in tree for way in self.held.get(node, ()))
        return {way.access for way in ways if not way.removal or way.removal not in gone}


def _outward(steps: Iterable[Step]) -> dict[Node, list[Step]]:
    outward: dict[Node, list[Step]] = defaultdict(list)
    for step in sorted(steps):
        outward[step.member].append(step)
    return outward


def _held(ways: Iterable[Way]) -> dict[Node, list[Way]]:
    held: dict[Node, list[Way]] = defaultdict(list)
    for way in sorted(ways):
        held[way.holder].append(way)
    return held


def _tree(tree: _Tree, outward: Mapping[Node, list[Step]]) -> _Tree:
    """Return these nodes and all that fixed steps lead to, each with the node before it on a shortest walk."""
    waiting = deque(tree)
    while waiting:
        for step in outward.get(waiting.popleft(), ()):
            if not step.removal and step.container not in tree:
                tree[step.container] = step.member
                waiting.append(step.container)
    return tree


def _walks(name: str, demand: Demand, reach: _Reach) -> Iterable[Walk]:
    """Yield one walk for each way of the demand and each beginning that leads to it.

    Where fixed steps lead to the holder, no membership matters.
    """
    for way in sorted(demand.ways):
        for removal, tree in [("", reach.fixed)] if way.holder in reach.fixed else reach.through.items():
            if way.holder in tree:
                nodes = [way.holder]
                while nodes[-1] not in reach.nodes and (before := tree[nodes[-1]]):
                    nodes.append(before)
                yield Walk(name, tuple(reversed(nodes)), removal, way)


def _removals(walk: Walk) -> list[str]:
    return [removal for removal in (walk.first, walk.way.removal) if removal]


def _collateral(
    graph: AccessGraph, reach: Mapping[str, _Reach], candidates: Mapping[str, set[str]]
) -> dict[str, frozenset[tuple[str, str]]]:
    """Return, by removal, what may be lost with it."""
    lost: dict[str, frozenset[tuple[str, str]]] = dict(graph.audience)
    for person, mine in candidates.items():
        one = reach[person]
        for removal in mine:
            found: set[str] = set()
            for gone in (frozenset[str](), frozenset(graph.audience)):
                found |= _behind(one, removal, gone) - one.accesses(mine | gone)
            lost[removal] = frozenset((person, access) for access in found - one.to_end)
    return lost


def _behind(reach: _Reach, removal: str, gone: frozenset[str]) -> set[str]:
    """Return what the person reaches through one own removal, without shared ones that are gone."""
    direct = {way.access for node in reach.fixed for way in reach.held.get(node, ()) if way.removal == removal}
    through = (way for node in reach.through.get(removal, ()) for way in reach.held.get(node, ()))
    return direct | {way.access for way in through if way.removal not in gone}


def _lost(
    graph: AccessGraph,
    reach: Mapping[str, _Reach],
    cut: Iterable[str],
    collateral: Mapping[str, frozenset[tuple[str, str]]],
) -> frozenset[tuple[str, str]]:
    """Return what is lost with all removals of the cut together, although it is to stay."""
    gone = set(cut)
    shared = {pair for removal in gone & set(graph.audience) for pair in collateral[removal]}
    mine = {(p, one) for p, r in reach.items() for one in r.accesses(()) - r.accesses(gone) - r.to_end}
    return frozenset(shared | mine)


def _cut(
    graph: AccessGraph, walks: Iterable[Walk], prices: Mapping[str, int]
) -> tuple[tuple[tuple[Walk, int], ...], frozenset[str]]:
    """Return the maximum flow as walks with amounts, and the removals of a minimum cut."""
    edges: dict[tuple[str, str], Walk] = {}
    for walk in walks:
        own = [removal for removal in _removals(walk) if removal not in graph.audience]
        shared = [removal for removal in _removals(walk) if removal in graph.audience]
        edges.setdefault((own[0] if own else "", shared[0] if shared else ""), walk)
    flow = _Flow(1 + sum(prices.values()))
    for own_one, shared_one in edges:
        flow.add(("own", own_one), ("shared", shared_one), flow.most)
        flow.add((_SOURCE, ""), ("own", own_one), prices[own_one] if own_one else flow.most)
        flow.add(("shared", shared_one), (_SINK, ""), prices[shared_one] if shared_one else flow.most)
    near = flow.run((_SOURCE, ""), (_SINK, ""))
    amounts = ((walk, flow.amount(("own", own), ("shared", shared))) for (own, shared), walk in edges.items())
    cut = {own for own, _ in edges if own and ("own", own) not in near}
    cut |= {shared for _, shared in edges if shared and ("shared", shared) in near}
    return tuple((walk, amount) for walk, amount in amounts if amount), frozenset(cut)


class _Flow:
    """Maximum flow by shortest augmenting paths (Edmonds and Karp, 1972).

    :ivar most: a capacity that no flow fills.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._room: dict[_Vertex, dict[_Vertex, int]] = defaultdict(dict)
        self._capacity: dict[tuple[_Vertex, _Vertex], int] = {}

    def add(self, tail: _Vertex, head: _Vertex, capacity: int) -> None:
        """Add an edge; the same edge counts once."""
        if (tail, head) not in self._capacity:
            self._capacity[tail, head] = self._room[tail][head] = capacity
            self._room[head].setdefault(tail, 0)

    def amount(self, tail: _Vertex, head: _Vertex) -> int:
        """Return the flow of an edge."""
        return self._capacity[tail, head] - self._room[tail][head]

    def run(self, source: _Vertex, sink: _Vertex) -> set[_Vertex]:
        """Fill the network; return the vertices on the source's side of a minimum cut."""
        while sink in (before := self._search(source, sink)):
            path, vertex = [], sink
            while vertex != source:
                path.append((before[vertex], vertex))
                vertex = before[vertex]
            room = min(self._room[tail][head] for tail, head in path)
            for tail, head in path:
                self._room[tail][head] -= room
                self._room[head][tail] += room
        return set(before)

    def _search(self, source: _Vertex, sink: _Vertex) -> dict[_Vertex, _Vertex]:
        before, waiting = {source: source}, deque([source])
        while waiting and sink not in before:
            tail = waiting.popleft()
            for head, room in self._room[tail].items():
                if room and head not in before:
                    before[head] = tail
                    waiting.append(head)
        return before
