"""Cells and their conflicts as a graph: colors are calls.

A few uncovered cells, as they come up while a cover is improved (or all cells of a small problem), are
colored so that conflicting cells differ; each color class spans a free rectangle and so is a call, as long as
it keeps within the size limits. The next cell is the one with the fewest colors left (DSATUR, Brélaz 1979), its
color the one that takes the fewest possibilities from others.

Columns that look alike to the cells concerned (same needs, same free rows) get the same colors, so one
stands for all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import NamedTuple

from rescind.plan.solver.bitsets import bit_set, members, most, tally
from rescind.plan.solver.problem import Problem

Look = tuple[int, int, int]
"""What the cells concerned see of a column: rows that need it, rows in which it is free, a number if it is alone."""


class Vertex(NamedTuple):
    """A cell, with the columns that are treated like its own."""

    row: int
    columns: int


@dataclass(frozen=True, slots=True)
class Graph:
    """Vertices, and for each the bit set of vertices that it conflicts with."""

    vertices: Sequence[Vertex]
    conflicts: Sequence[int]


def conflict_graph(
    problem: Problem, need: dict[int, int], limit: int, rng: Random, *, merge: bool = True
) -> Graph | None:
    """The graph over these needs in random order, or None when it has more than ``limit`` vertices.

    :param merge: let one column stand for all that look like it. Without size limits nothing is lost by that.
    """
    if sum(bits.bit_count() for bits in need.values()) > 6 * limit:
        return None
    by_column: dict[int, int] = {}
    for row, bits in need.items():
        flag = 1 << row
        for column in members(bits):
            by_column[column] = by_column.get(column, 0) | flag
    here = bit_set(need)
    alike: dict[Look, int] = {}
    for column, rows in by_column.items():
        look = (rows, problem.free_t[column] & here, 0 if merge else column)
        alike[look] = alike.get(look, 0) | 1 << column
    if sum(look[0].bit_count() for look in alike) > limit:
        return None
    if not all(problem.fits(1, columns) for columns in alike.values()):
        return None
    cells = [(row, look, columns) for look, columns in alike.items() for row in members(look[0])]
    rng.shuffle(cells)
    return _graph(cells)


def _graph(cells: Sequence[tuple[int, Look, int]]) -> Graph:
    """Compatible with (r, c): cells whose column is free in r and whose row is free in c."""
    in_row: dict[int, int] = {}
    in_look: dict[Look, int] = {}
    for index, (row, look, _) in enumerate(cells):
        in_row[row] = in_row.get(row, 0) | 1 << index
        in_look[look] = in_look.get(look, 0) | 1 << index
    row_sees = dict.fromkeys(in_row, 0)
    look_sees = dict.fromkeys(in_look, 0)
    flags = [(row, 1 << row, cells_) for row, cells_ in in_row.items()]
    for look, cells_here in in_look.items():
        free, sees = look[1], 0
        for row, flag, cells_there in flags:
            if free & flag:
                row_sees[row] |= cells_here
                sees |= cells_there
        look_sees[look] = sees
    everything = (1 << len(cells)) - 1
    conflicts = [everything ^ (row_sees[row] & look_sees[look]) for row, look, _ in cells]
    return Graph([Vertex(row, columns) for row, _, columns in cells], conflicts)


def color(problem: Problem, graph: Graph, colors: int) -> list[tuple[int, int]] | None:
    """At most so many calls as (set of rows, set of columns) that cover all vertices, or None when greed fails."""
    vertices, conflicts = graph.vertices, graph.conflicts
    left = (1 << len(vertices)) - 1
    blocked: list[int] = []
    spans: list[tuple[int, int]] = []
    while left:
        pool = most(tally([bits & left for bits in blocked]), left)
        flag = pool & -pool
        vertex = flag.bit_length() - 1
        own = conflicts[vertex] & left
        costs = [((own ^ (own & bits)).bit_count(), index) for index, bits in enumerate(blocked) if not bits & flag]
        for _, index in sorted(costs):
            span = joined(problem, spans[index], vertices[vertex])
            if span is not None:
                blocked[index] |= conflicts[vertex]
                spans[index] = span
                break
        else:
            if len(spans) == colors:
                return None
            blocked.append(conflicts[vertex])
            spans.append((1 << vertices[vertex].row, vertices[vertex].columns))
        left ^= flag
    return spans


def joined(problem: Problem, span: tuple[int, int], vertex: Vertex) -> tuple[int, int] | None:
    """The call with the vertex added, or None when that is too large."""
    rows, columns = span[0] | 1 << vertex.row, span[1] | vertex.columns
    height = rows.bit_count()
    if height > problem.row_groups[0][1] or not problem.fits(height, columns):
        return None
    return rows, columns
