"""Make a cover smaller: take out a few calls, cover their cells again, keep the result when it is not larger.

The calls of a cover share no cell. So the cells of the calls that are taken out are a small problem of their own:
their needed cells are to be covered, and the rest of what they contained is free again, with all cells that no
call contains. Results of equal size are kept too, so that the search moves on.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from rescind.plan.solver.column_fill import fill
from rescind.plan.solver.greedy import random_rows
from rescind.plan.solver.problem import Clock, Problem, Rect, Residue

_GROUP = 6
_LOOKS = 12
_CLIMBS = 4
_PATIENCE = 10_000


def improved(problem: Problem, cover: Sequence[Rect], bound: int, rng: Random, clock: Clock) -> list[Rect]:
    """Return a cover that has no more calls. Stops at the bound, at the end of the budget, or without progress."""
    calls = list(cover)
    open_ = list(problem.free)
    for rows, columns in calls:
        for row in rows:
            open_[row] ^= columns
    idle = 0
    while len(calls) > bound and not clock.over() and idle < _PATIENCE:
        chosen = _related(calls, rng)
        fresh = _covered_again(problem, [calls[index] for index in chosen], open_, rng, clock)
        idle += 1
        if fresh is None:
            continue
        for rects in ([calls[index] for index in chosen], fresh):
            for rows, columns in rects:
                for row in rows:
                    open_[row] ^= columns
        idle = idle if len(fresh) == len(chosen) else 0
        for index in sorted(chosen, reverse=True):
            calls[index] = calls[-1]
            calls.pop()
        calls.extend(fresh)
    return calls


def _related(calls: Sequence[Rect], rng: Random) -> list[int]:
    """Return indexes of calls to take out: a random one, and those of a sample that share most rows or columns."""
    size = min(len(calls), 2 + int(rng.random() * _GROUP))
    first = int(rng.random() * len(calls))
    rows, columns = set(calls[first][0]), calls[first][1]
    looks = rng.sample(range(len(calls)), min(len(calls), _LOOKS * size))
    by_rows = rng.random() < 0.5

    def shared(index: int) -> int:
        return len(rows.intersection(calls[index][0])) if by_rows else (columns & calls[index][1]).bit_count()

    others = sorted((index for index in looks if index != first), key=shared, reverse=True)
    return [first, *others[: size - 1]]


def _covered_again(
    problem: Problem, rects: Sequence[Rect], open_: Sequence[int], rng: Random, clock: Clock
) -> list[Rect] | None:
    """Return at most as many calls that cover the same needed cells, or None when this attempt finds none."""
    need: dict[int, int] = {}
    free: dict[int, int] = {}
    for rows, columns in rects:
        for row in rows:
            free[row] = free.get(row, open_[row]) | columns
            if part := columns & problem.need[row]:
                need[row] = need.get(row, 0) | part
    rest = Residue(problem, need, free)
    by_size = rng.random() < 0.5
    calls: list[Rect] = []
    while rest.need:
        if len(calls) == len(rects):
            return None
        clock.spent += 30 + 3 * len(rest.need) * problem.row_work
        rows, columns = _largest(rest, rng) if by_size else fill(rest, rng)
        calls.append((tuple(rows), columns))
        rest.strike(rows, columns)
    return calls


def _largest(rest: Residue, rng: Random) -> Rect:
    """Return the rectangle that covers most, of a few climbs."""
    _, rows, columns = max(rest.climb(random_rows(rest, rng)) for _ in range(_CLIMBS))
    return rows, columns
