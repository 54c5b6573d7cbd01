"""A cover for tables in which nearly every cell is free: finish columns, as many as a call can hold.

When a decision empties whole columns, retained grants hardly matter and the size limits decide. A call should then
finish its columns, so that none of them takes a further call. It starts with the rows of one column, and adds the
rows that the column which lacks least still needs, as long as the limits allow.
"""

from __future__ import annotations

from functools import reduce
from operator import and_
from random import Random

from rescind.plan.solver.bitsets import bit_set, largest, least, members, pick, tally, tally_sub, union
from rescind.plan.solver.greedy import crop
from rescind.plan.solver.problem import Clock, Problem, Rect, Residue

_CANDIDATES = 3
_LOOKS = 3
_FINISHED_WORTH = 4


def filled(problem: Problem, rng: Random, clock: Clock, most: int) -> list[Rect] | None:
    """Return a cover with fewer than ``most`` calls, or None when this run finds none."""
    rest = Residue(problem)
    calls: list[Rect] = []
    while rest.need:
        if len(calls) + 1 >= most or clock.over():
            return None
        clock.spent += _CANDIDATES * (100 + 4 * len(rest.need) * problem.row_work)
        rows, columns = max((fill(rest, rng) for _ in range(_CANDIDATES)), key=lambda rect: _worth(rest, rect))
        calls.append((tuple(rows), columns))
        rest.strike(rows, columns)
    return calls


def _worth(rest: Residue, rect: Rect) -> float:
    """Return the covered cells; several times as much when they finish their columns."""
    need_t, rows = rest.need_t or {}, bit_set(rect[0])
    gain = finished = 0
    columns = members(rect[1])
    for column in columns:
        left = need_t.get(column, 0)
        gain += (left & rows).bit_count()
        finished += left & rows == left
    return gain * (1 + _FINISHED_WORTH * finished / len(columns))


def fill(rest: Residue, rng: Random) -> Rect:
    """Return one call: rows that finish many columns."""
    problem, need, free = rest.problem, rest.need, rest.free
    missing = tally(need.values())
    pool = union(need.values())
    first = pick(least(missing, pool) if rng.random() < 0.3 else pool, rng)
    rows = crop(rest.holders(first), problem, rng)
    legal = reduce(and_, map(free.__getitem__, rows), pool)
    for row in rows:
        tally_sub(missing, need[row])
    while True:
        unfinished = union(missing) & legal
        if not unfinished or not problem.fits(legal ^ unfinished):
            break
        more = _addition(rest, rng, rows, legal, unfinished, missing)
        if not more:
            break
        for row in more:
            legal &= free[row]
            tally_sub(missing, need[row])
        rows = [*rows, *more]
    return _completed(rest, rows, legal, legal ^ (union(missing) & legal))


def _addition(
    rest: Residue, rng: Random, rows: list[int], legal: int, unfinished: int, missing: list[int]
) -> list[int]:
    """Return the rows that finish a column which lacks least, at the smallest loss of finished columns."""
    _need, free, have = rest.need, rest.free, set(rows)
    room = rest.problem.row_groups[0][1] - len(rows)
    near = least(missing, unfinished)
    done = legal ^ unfinished
    best: tuple[int, list[int]] = (1 + done.bit_count() // 5, [])
    for _ in range(_LOOKS):
        column = pick(near, rng)
        more = [row for row in rest.holders(column) if row not in have]
        if len(more) > room:
            continue
        still = reduce(and_, map(free.__getitem__, more), legal)
        if still == legal:
            return more
        lost = (done ^ (done & still)).bit_count()
        if lost < best[0] and still >> column & 1:
            best = (lost, more)
    return best[1]


def _completed(rest: Residue, rows: list[int], legal: int, done: int) -> Rect:
    """Return the call: finished columns first, then those with most needed cells; then the best rows for them."""
    need = rest.need
    planes = tally([need[row] & legal for row in rows])
    chosen = 0
    for mask, cap in rest.problem.column_groups:
        first = largest(planes, done & mask, cap)
        chosen |= first | largest(planes, (legal ^ done) & mask, cap - first.bit_count())
    best, _ = rest.best_rows(chosen)
    useful = [row for row in rows if need[row] & chosen]
    return tuple(best if set(useful) <= set(best) or len(best) < len(useful) else useful), chosen
