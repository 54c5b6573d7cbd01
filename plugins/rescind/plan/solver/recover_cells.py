"""Covering a few uncovered cells again with few calls, in several ways.

Each way chooses one call for a :class:`~rescind.plan.solver.problem.Residue` that is kept by rows. None of them is best
everywhere: the largest rectangle suits tables with large blocks, finishing a row or a column suits tables where
little is shared, and filling up finished columns suits tables where nearly everything is free and only the
size limits count.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from operator import and_, or_
from random import Random

from rescind.plan.solver.bitsets import largest, least, members, pick, tally, tally_sub, union
from rescind.plan.solver.coloring import color, conflict_graph
from rescind.plan.solver.greedy import crop
from rescind.plan.solver.line_cover import call_for, slack_size
from rescind.plan.solver.problem import Clock, Rect, Residue

VERTICES = 150
_CLIMBS = 4
_LOOKS = 3

Way = Callable[[Residue, Random], Rect]


def recover(rest: Residue, most: int, rng: Random, clock: Clock) -> list[Rect] | None:
    """At most ``most`` calls that cover all needs of ``rest`` (which is used up), or None."""
    problem = rest.problem
    if problem.overlap:
        cells = sum(bits.bit_count() for bits in rest.need.values())
        graph = conflict_graph(problem, rest.need, VERTICES, rng)
        clock.spent += 10 + 0.6 * min(cells, 6 * VERTICES)
        if graph is not None:
            clock.spent += len(graph.vertices) * (5 + 0.05 * len(rest.need))
            spans = color(problem, graph, most)
            return None if spans is None else [(tuple(members(rows)), columns) for rows, columns in spans]
    way = WAYS[int(rng.random() * len(WAYS))]
    calls: list[Rect] = []
    while rest.need:
        if len(calls) == most - 1:
            last = _last(rest)
            return None if last is None else [*calls, last]
        clock.spent += 30 + 3 * len(rest.need) * problem.row_work
        rows, columns = way(rest, rng)
        calls.append((rows, columns))
        rest.strike(rows, columns)
    return calls


def _last(rest: Residue) -> Rect | None:
    """Everything in one call, if that may be."""
    columns = union(rest.need.values())
    if len(rest.need) > rest.problem.row_groups[0][1] or not rest.problem.fits(len(rest.need), columns):
        return None
    if any(columns & rest.free[row] != columns for row in rest.need):
        return None
    return tuple(rest.need), columns


def _largest(rest: Residue, rng: Random) -> Rect:
    """The best of a few climbs."""
    need, keys = rest.need, list(rest.need)
    best: tuple[int, tuple[int, ...], int] = (0, (), 0)
    for _ in range(_CLIMBS):
        luck = rng.random()
        rows = [rng.choice(keys)]
        if luck > 0.15:
            rows = _holders(need, 1 << pick(need[rows[0]], rng))
            if luck > 0.8:
                rows = rng.sample(rows, (len(rows) + 1) // 2)
            elif luck > 0.5:
                flag = 1 << pick(need[rng.choice(rows)], rng)
                rows = [row for row in rows if need[row] & flag]
        best = max(best, rest.climb(crop(rows, rest.problem, rng)))
    return best[1], best[2]


def _row(rest: Residue, rng: Random) -> Rect:
    """A call for a row with little slack."""
    luck = rng.random
    ranked = sorted((slack_size(bits, rest.problem) * (0.8 + 0.4 * luck()), row) for row, bits in rest.need.items())
    return call_for(rest, ranked[0][1], [row for _, row in ranked[1:41]])


def _column(rest: Residue, rng: Random) -> Rect:
    """A call that finishes a column with few needs."""
    planes = tally(rest.need.values())
    column = pick(least(planes, union(rest.need.values())), rng)
    rows = crop(_holders(rest.need, 1 << column), rest.problem, rng)
    columns = rest.best_columns(rows)
    wider, _ = rest.best_rows(columns)
    return tuple(wider if set(rows) <= set(wider) else rows), columns


def fill(rest: Residue, rng: Random) -> Rect:
    """Rows that finish many columns: start with one column, add what the nearest unfinished ones miss."""
    problem, need, free = rest.problem, rest.need, rest.free
    missing = tally(need.values())
    pool = union(need.values())
    start = pick(least(missing, pool) if rng.random() < 0.3 else pool, rng)
    rows = crop(_holders(need, 1 << start), problem, rng)
    legal = reduce(and_, map(free.__getitem__, rows), pool)
    for row in rows:
        tally_sub(missing, need[row])
    while True:
        unfinished = reduce(or_, missing, 0) & legal
        if not unfinished or not problem.fits(len(rows), legal ^ unfinished):
            break
        more = _addition(rest, rng, rows, legal, unfinished, missing)
        if not more:
            break
        for row in more:
            legal &= free[row]
            tally_sub(missing, need[row])
        rows = [*rows, *more]
    return _filled(rest, rows, legal, legal ^ (reduce(or_, missing, 0) & legal))


def _addition(
    rest: Residue, rng: Random, rows: list[int], legal: int, unfinished: int, missing: list[int]
) -> list[int]:
    """Rows that finish a column that misses least, at the smallest cost for the finished ones."""
    need, free, have = rest.need, rest.free, set(rows)
    room = rest.problem.row_groups[0][1] - len(rows)
    if rest.problem.max_cells is not None:
        room = min(room, rest.problem.max_cells // max(1, (legal ^ unfinished).bit_count()) - len(rows))
    near = least(missing, unfinished)
    done = legal ^ unfinished
    best: tuple[int, list[int]] = (1 + done.bit_count() // 5, [])
    for _ in range(_LOOKS):
        flag = 1 << pick(near, rng)
        more = [row for row, bits in need.items() if bits & flag and row not in have]
        if len(more) > room:
            continue
        still = reduce(and_, map(free.__getitem__, more), legal)
        if still == legal:
            return more
        lost = (done ^ (done & still)).bit_count()
        if lost < best[0] and still & flag:
            best = (lost, more)
    return best[1]


def _filled(rest: Residue, rows: list[int], legal: int, done: int) -> Rect:
    """Finished columns first, then those that get most; then the best rows for them."""
    problem, need = rest.problem, rest.need
    planes = tally([need[row] & legal for row in rows])
    chosen = 0
    for mask, cap in problem.column_groups:
        first = largest(planes, done & mask, cap)
        chosen |= first | largest(planes, (legal ^ done) & mask, cap - first.bit_count())
    if problem.max_cells is not None:
        chosen = largest(planes, chosen, problem.max_cells // len(rows))
    best, _ = rest.best_rows(chosen)
    kept = [row for row in rows if need[row] & chosen]
    return tuple(best if set(kept) <= set(best) or len(best) < len(kept) else kept), chosen


def _holders(need: dict[int, int], flag: int) -> list[int]:
    """Rows that need the column."""
    return [row for row, bits in need.items() if bits & flag]


WAYS: tuple[Way, ...] = (_largest, _row, _column, fill)
