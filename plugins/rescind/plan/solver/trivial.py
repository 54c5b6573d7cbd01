"""Shapes and tables for which the fewest calls are known at once.

* One row per call, or one row in all: rows share nothing, and a row takes exactly ``calls_alone`` calls. Dealing
  its columns in turn over that many calls gives each at most its share of every kind and of all cells.
* One column per call, or one column in all: columns share nothing; ceil(rows / most rows) calls each.
* Everything in one call.
"""

from __future__ import annotations

from rescind.plan.solver.bitsets import bit_set, members, union
from rescind.plan.solver.problem import Problem, Rect, calls_alone


def trivial_cover(problem: Problem) -> list[Rect] | None:
    """An optimal cover, or None when the problem is not trivial."""
    height, width = len(problem.need), union(problem.need)
    small = height <= problem.row_groups[0][1] and problem.fits(height, width)
    if small and all(free & width == width for free in problem.free):
        return [(tuple(range(height)), width)]
    if height == 1 or problem.row_groups[0][1] == 1:
        return _by_rows(problem)
    if len(problem.need_t) == 1 or sum(cap for _, cap in problem.column_groups) == 1:
        most = problem.row_groups[0][1]
        return _by_columns(problem, most if problem.max_cells is None else min(most, problem.max_cells))
    return None


def _by_rows(problem: Problem) -> list[Rect]:
    calls: list[Rect] = []
    for row, bits in enumerate(problem.need):
        count = calls_alone(bits, problem.column_groups, problem.max_cells)
        columns = members(bits)
        calls.extend(((row,), bit_set(columns[start::count])) for start in range(count))
    return calls


def _by_columns(problem: Problem, most: int) -> list[Rect]:
    calls: list[Rect] = []
    for column, bits in enumerate(problem.need_t):
        rows = members(bits)
        calls.extend((tuple(rows[start : start + most]), 1 << column) for start in range(0, len(rows), most))
    return calls
