"""First covers of a problem, the best of several ways."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from random import Random

from rescind.plan.solver.bitsets import bit_set, members
from rescind.plan.solver.greedy import Growth, Stop, grow
from rescind.plan.solver.line_cover import finish_columns, finish_rows
from rescind.plan.solver.problem import Clock, Problem, Rect, Residue
from rescind.plan.solver.recover_cells import fill

EFFORT = 30
_SAVED_FIRST, _SAVED_LAST = 0.2, 0.05
_FILLS = 3
_TIME_FOR_MORE = 0.4
_FINISHED_WORTH = 4

Finish = Callable[[Problem, Sequence[Rect], Clock], list[Rect]]


def first_cover(problem: Problem, rng: Random, clock: Clock) -> list[Rect]:
    """Calls that cover everything; always some, however short the budget."""
    best = _grown(problem, rng, clock)
    if not problem.strict:
        if clock.used() < _TIME_FOR_MORE:
            best = _shorter(_filled(problem, rng, clock, len(best)), best)
        if clock.used() < _TIME_FOR_MORE:
            inner = clock.share(0.5)
            best = _shorter(_grown(replace(problem, free=problem.need, free_t=problem.need_t), rng, inner), best)
            clock.take_back(inner)
    return best


def _grown(problem: Problem, rng: Random, clock: Clock) -> list[Rect]:
    """Greedy calls as long as they pay, then line by line."""
    growth = grow(problem, rng, clock, EFFORT)
    best = growth.rects if growth.complete else None
    for hope, finish, stop in sorted(_options(problem, growth), key=lambda option: option[0]):
        if best is None or (hope < len(best) and not clock.over()):
            done = growth.rects[: stop.calls]
            best = _shorter(best, [*done, *finish(problem, done, clock)])
    return best or []


def _shorter(one: list[Rect] | None, two: list[Rect]) -> list[Rect]:
    return one if one is not None and len(one) <= len(two) else two


def _options(problem: Problem, growth: Growth) -> Iterator[tuple[float, Finish, Stop]]:
    """Ways to finish, with the size to hope for: sharing saves much of the estimate at first, little at the end."""
    cells = problem.cells()
    for finish, side in ((finish_rows, 0), (finish_columns, 1)):
        for stop in {growth.stops[side], growth.origin[side]}:
            saved = _SAVED_FIRST * stop.left / cells + _SAVED_LAST
            yield stop.size * (1 - saved), finish, stop


def _filled(problem: Problem, rng: Random, clock: Clock, most: int) -> list[Rect] | None:
    """A cover that finishes columns, for tables where size limits count more than kept cells; None if too large."""
    rest = Residue(problem)
    calls: list[Rect] = []
    while rest.need:
        if len(calls) >= most or clock.over():
            return None
        clock.spent += _FILLS * (100 + 4 * len(rest.need) * problem.row_work)
        rows, columns = max((fill(rest, rng) for _ in range(_FILLS)), key=lambda rect: _worth(rest, rect))
        calls.append((tuple(rows), columns))
        rest.strike(rows, columns)
    return calls


def _worth(rest: Residue, rect: Rect) -> float:
    """Cells covered, several times as much when they finish their columns."""
    need_t, rows = rest.need_t or {}, bit_set(rect[0])
    gain = finished = 0
    columns = members(rect[1])
    for column in columns:
        left = need_t.get(column, 0)
        gain += (left & rows).bit_count()
        finished += left & rows == left
    return gain * (1 + _FINISHED_WORTH * finished / len(columns))
