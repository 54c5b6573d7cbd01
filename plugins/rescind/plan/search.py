"""One container's cover by search: a first cover, then improvement while the budget lasts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from random import Random

from rescind.model import CallShape
from rescind.plan.bits import members
from rescind.plan.improve import Search
from rescind.plan.problem import Clock, Problem, Rect, make_problem
from rescind.plan.starts import first_cover
from rescind.plan.state import State
from rescind.plan.table import Column, Table

Block = tuple[tuple[str, ...], tuple[Column, ...]]
"""Rows and columns of one call."""


def searched(table: Table, shape: CallShape, *, bound: int, budget_s: float, seed: int) -> list[Block] | None:
    """Calls for this table, or None when the search's own result does not hold.

    :param bound: a lower bound at which to stop.
    :param budget_s: seconds; mostly counted as work, so that equal inputs give equal plans.
    """
    need = list(table.need)
    free = need if table.free == table.need else list(table.free)
    kinds = {kind: cap for kind, cap in shape.max_columns.items() if any(column[0] == kind for column in table.columns)}
    masks = tuple(
        (sum(1 << index for index, column in enumerate(table.columns) if column[0] == kind), cap)
        for kind, cap in sorted(kinds.items())
    )
    rows = (((1 << len(table.rows)) - 1, shape.max_rows),)
    problem = make_problem(need, free, rows, masks, shape.max_cells, shape.overlap)
    rng, clock = Random(seed), Clock(budget_s)
    state = State(problem, first_cover(problem, rng, clock))
    Search(state, rng, clock).run(bound)
    rects = list(state.calls.values())
    if not holds(problem, rects):
        return None
    return [
        (tuple(table.rows[row] for row in sorted(some)), tuple(table.columns[index] for index in members(columns)))
        for some, columns in rects
    ]


def holds(problem: Problem, rects: Iterable[Rect]) -> bool:
    """Whether the calls cover every needed cell, stay within free cells and sizes, and overlap only where they may."""
    covered = [0] * len(problem.need)
    for rows, columns in rects:
        if not _fits(problem, rows, columns):
            return False
        for row in rows:
            if columns & ~problem.free[row] or (not problem.overlap and covered[row] & columns):
                return False
            covered[row] |= columns
    return all(need & ~got == 0 for need, got in zip(problem.need, covered, strict=True))


def _fits(problem: Problem, rows: Sequence[int], columns: int) -> bool:
    chosen = sum(1 << row for row in set(rows))
    tall = all((chosen & mask).bit_count() <= cap for mask, cap in problem.row_groups)
    return bool(rows) and columns != 0 and tall and problem.fits(len(rows), columns)
