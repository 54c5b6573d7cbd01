"""Small problems to the end: fewer calls, or the proof that there are none.

The fewest calls are a coloring question (:mod:`rescind.plan.solver.coloring`). Where size limits cannot bind, a cell
that conflicts with a subset of what a compatible cell conflicts with goes along with that cell and is left out
(dominated; Ene et al. 2008). On what is left a depth-first search asks whether one color fewer is enough: a
clique gets its colors first, then always the cell with the fewest possibilities (DSATUR).
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from rescind.plan.solver.bitsets import bit_set, members, most, tally
from rescind.plan.solver.coloring import Graph, conflict_graph, joined
from rescind.plan.solver.problem import Clock, Problem, Rect

CELLS = 1_000
_VERTICES = 400
_LEFT = 150
_NODES = 6_000

Span = tuple[int, int]


class _BudgetSpentError(Exception):
    """The search has used up its nodes."""


def settle(problem: Problem, cover: list[Rect], bound: int, rng: Random, clock: Clock) -> tuple[list[Rect], int]:
    """The cover and the bound, brought together if the problem is small enough."""
    if not problem.overlap or len(cover) <= bound or problem.cells() > CELLS:
        return cover, bound
    bounded = not _unlimited(problem)
    graph = conflict_graph(problem, dict(enumerate(problem.need)), _VERTICES, rng, merge=not bounded)
    if graph is None:
        return cover, bound
    kept, follows = (list(range(len(graph.vertices))), {}) if bounded else reduce_graph(graph)
    clock.spent += len(graph.vertices) ** 2 / 20
    if len(kept) > _LEFT:
        return cover, bound
    while bound < len(cover) and not clock.over():
        search = _Search(problem, graph, kept, len(cover) - 1, bounded)
        try:
            classes = search.run()
        except _BudgetSpentError:
            break
        finally:
            clock.spent += 12 * (_NODES - search.nodes)
        if classes is None:
            return cover, len(cover)
        cover = _calls(graph, classes, follows)
    return cover, bound


def _unlimited(problem: Problem) -> bool:
    """Whether even the whole table would fit into one call."""
    height, width = len(problem.need), (1 << len(problem.need_t)) - 1
    return height <= problem.row_groups[0][1] and problem.fits(height, width)


def reduce_graph(graph: Graph) -> tuple[list[int], dict[int, int]]:
    """Vertices that are not dominated, and for each dominated one the vertex whose color it takes."""
    alive = (1 << len(graph.vertices)) - 1
    follows: dict[int, int] = {}
    for vertex, conflicts in enumerate(graph.conflicts):
        own = conflicts & alive
        for other in members(alive ^ own ^ (1 << vertex)):
            if own & graph.conflicts[other] == own:
                follows[vertex] = other
                alive ^= 1 << vertex
                break
    return members(alive), follows


def _calls(graph: Graph, classes: Sequence[Sequence[int]], follows: dict[int, int]) -> list[Rect]:
    """The calls that the color classes span, with everything that follows their members."""
    color_of = {vertex: index for index, vertices in enumerate(classes) for vertex in vertices}
    rows: list[set[int]] = [set() for _ in classes]
    columns = [0] * len(classes)
    for vertex, cell in enumerate(graph.vertices):
        leader = vertex
        while leader in follows:
            leader = follows[leader]
        index = color_of[leader]
        rows[index].add(cell.row)
        columns[index] |= cell.columns
    return [(tuple(sorted(rows[index])), columns[index]) for index in range(len(classes))]


class _Search:
    """Whether the graph can be colored with so many colors."""

    def __init__(self, problem: Problem, graph: Graph, kept: Sequence[int], colors: int, bounded: bool) -> None:
        here = bit_set(kept)
        order = sorted(kept, key=lambda vertex: -(graph.conflicts[vertex] & here).bit_count())
        place = {vertex: index for index, vertex in enumerate(order)}
        self.problem = problem
        self.order = order
        self.cells = [graph.vertices[vertex] for vertex in order]
        self.conflicts = [bit_set(place[v] for v in members(graph.conflicts[vertex] & here)) for vertex in order]
        self.colors = colors
        self.bounded = bounded
        self.nodes = _NODES
        self.classes: list[list[int]] = [[] for _ in range(colors)]
        self.spans: list[Span] = [(0, 0)] * colors

    def run(self) -> list[list[int]] | None:
        """The color classes (vertices of the graph), or None when there are none.

        :raises _BudgetSpentError: undecided.
        """
        clique = self._clique()
        if len(clique) > self.colors:
            return None
        left = (1 << len(self.order)) - 1
        blocked = [0] * self.colors
        for index, vertex in enumerate(clique):
            self._enter(index, vertex, (1 << self.cells[vertex].row, self.cells[vertex].columns))
            blocked[index] = self.conflicts[vertex]
            left ^= 1 << vertex
        if not self._extend(left, blocked, len(clique)):
            return None
        return [[self.order[vertex] for vertex in vertices] for vertices in self.classes if vertices]

    def _clique(self) -> list[int]:
        best: list[int] = []
        for start in range(min(20, len(self.order))):
            clique, pool = [start], self.conflicts[start]
            while pool:
                vertex = max(members(pool), key=lambda v: (self.conflicts[v] & pool).bit_count())
                clique.append(vertex)
                pool &= self.conflicts[vertex]
            best = max(best, clique, key=len)
        return best

    def _enter(self, index: int, vertex: int, span: Span) -> None:
        self.classes[index].append(vertex)
        self.spans[index] = span

    def _extend(self, left: int, blocked: list[int], used: int) -> bool:
        if not left:
            return True
        self.nodes -= 1
        if self.nodes < 0:
            raise _BudgetSpentError
        pool = most(tally(bits & left for bits in blocked[:used]), left)
        flag = pool & -pool
        vertex = flag.bit_length() - 1
        for index in range(min(used + 1, self.colors)):
            if blocked[index] & flag:
                continue
            before = self.spans[index]
            span = joined(self.problem, before, self.cells[vertex]) if self.bounded else before
            if span is None:
                continue
            self._enter(index, vertex, span)
            inner = blocked.copy()
            inner[index] |= self.conflicts[vertex]
            if self._extend(left ^ flag, inner, max(used, index + 1)):
                return True
            self.classes[index].pop()
            self.spans[index] = before
        return False
