"""One covering problem from start to end: a first cover, a lower bound, and improvement until they meet."""

from __future__ import annotations

from random import Random

from rescind.plan.solver.bitsets import union
from rescind.plan.solver.column_fill import filled
from rescind.plan.solver.greedy import grow
from rescind.plan.solver.line_cover import finish_columns, finish_rows
from rescind.plan.solver.local_search import improved
from rescind.plan.solver.lower_bounds import lower_bound, quick_bound
from rescind.plan.solver.problem import Clock, Problem, Rect
from rescind.plan.solver.trivial import trivial_cover

_RESTARTS = 100
_PART_FOR_RESTARTS = 0.5


def solve(problem: Problem, rng: Random, clock: Clock) -> tuple[list[Rect], int]:
    """Return calls that cover the problem, and a number of calls that no cover goes below.

    There is always a cover, however short the budget. The budget that a first cover leaves is spent on further
    covers with other random choices, then on making the best of them smaller.
    """
    cover = trivial_cover(problem)
    if cover is not None:
        return cover, len(cover) if problem.max_cells is None else quick_bound(problem)
    cover = _grown(problem, [], rng, clock)
    bound = lower_bound(problem, len(cover), rng, clock)
    inner = clock.share(_PART_FOR_RESTARTS)
    for turn in range(_RESTARTS):
        if len(cover) <= bound or inner.over():
            break
        cover = _again(problem, cover, turn, rng, inner)
    clock.take_back(inner)
    return [_trimmed(problem, rect) for rect in improved(problem, cover, bound, rng, clock)], bound


def _trimmed(problem: Problem, rect: Rect) -> Rect:
    """Return the call without rows and columns in which it covers no needed cell."""
    parts = [(row, part) for row in rect[0] if (part := problem.need[row] & rect[1])]
    return tuple(row for row, _ in parts), union(part for _, part in parts)


def _again(problem: Problem, best: list[Rect], turn: int, rng: Random, clock: Clock) -> list[Rect]:
    """Return the shorter of the best cover and another one, in turn one that finishes columns and a greedy one."""
    inner = clock.share(1.0)
    if not problem.strict and turn % 2 == 0:
        found = filled(problem, rng, inner, len(best)) or best
    else:
        found = _grown(problem, best, rng, inner)
    clock.take_back(inner)
    return found


def _grown(problem: Problem, best: list[Rect], rng: Random, clock: Clock) -> list[Rect]:
    """Return the shortest of: the best cover so far; greedy calls as long as they pay, then line by line.

    Without a best cover, also line by line from the beginning.
    """
    growth = grow(problem, rng, clock)
    covers: list[list[Rect]] = [best] if best else []
    if growth.complete:
        covers.append(growth.rects)
    stops = sorted(zip(growth.stops, (0, 1), (finish_rows, finish_columns), strict=True))
    ways = [(finish, stop.calls) for stop, _, finish in stops]
    if not best:
        ways += [(finish_rows, 0), (finish_columns, 0)]
    for finish, count in dict.fromkeys(ways):
        if not covers or not clock.over():
            done = growth.rects[:count]
            covers.append([*done, *finish(problem, done, clock)])
    return min(covers, key=len)
