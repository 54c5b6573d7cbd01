"""First covers: the rectangle that covers most, again and again, and when to stop doing that.

Candidates come from climbing (best columns for rows, best rows for columns) and wait in a heap. What a
candidate covers only falls while others are chosen, so a stale value is an upper bound: the top one is valued
again, with its columns chosen anew, and taken when it still beats the next. That makes a pool of hundreds
of candidates as cheap as a few.

Taking the largest rectangle is right while large ones exist and wrong afterwards: cells that share little
are covered best line by line. ``i`` calls plus what the rest would take row by row (or column by column,
:func:`~rescind.plan.solver.problem.calls_alone`) is a cover's size that could be had right now; its minimum over the
run says where to stop, and :mod:`rescind.plan.solver.line_cover` covers the rest from there.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from random import Random

from rescind.plan.solver.bitsets import members, pick
from rescind.plan.solver.problem import Clock, Groups, Problem, Rect, Residue, calls_alone

_FIRST = 100
_FRESH = 2
_KEEP_UP = 0.97
_SLACK = 8
_PART_OF_BUDGET, _MOST_OF_BUDGET = 0.35, 0.7


@dataclass(frozen=True, slots=True, order=True)
class Stop:
    """A place to leave the greedy: what finishing from there would come to.

    :param size: calls in all, when each line that is left gets its own.
    :param calls: greedy calls before it.
    :param left: cells not covered by then.
    """

    size: int
    calls: int
    left: int


@dataclass
class Growth:
    """One greedy run.

    :ivar rects: its calls, in the order of choosing; they cover everything when ``complete``.
    :ivar origin: finishing by rows, and by columns, without any of them.
    :ivar stops: the best places to leave for finishing by rows, and by columns.
    """

    rects: list[Rect] = field(default_factory=list)
    origin: list[Stop] = field(default_factory=list)
    stops: list[Stop] = field(default_factory=list)
    complete: bool = False


class _Estimate:
    """What finishing line by line would take, kept up to date over one axis."""

    def __init__(self, lines: dict[int, int], groups: Groups, max_cells: int | None) -> None:
        self.lines = lines
        self.alone = partial(calls_alone, groups=groups, max_cells=max_cells)
        self.calls = {index: self.alone(bits) for index, bits in lines.items()}
        self.total = sum(self.calls.values())

    def update(self, indexes: Sequence[int]) -> None:
        for index in indexes:
            now = self.alone(self.lines[index]) if index in self.lines else 0
            self.total += now - self.calls.get(index, 0)
            self.calls[index] = now


def grow(problem: Problem, rng: Random, clock: Clock, effort: int) -> Growth:
    """Greedy calls until everything is covered, or until finishing line by line is likely to be better.

    :param effort: most fresh candidates before a choice; fewer are made while the pool holds good ones.
    """
    growth = Growth()
    growth.rects.extend(growing(problem, rng, clock, effort, growth))
    return growth


def growing(problem: Problem, rng: Random, clock: Clock, effort: int, growth: Growth) -> Iterator[Rect]:
    """The calls of :func:`grow` as they are chosen; ``growth`` tells where to stop."""
    rest = Residue(problem)
    left = problem.cells()
    by_rows = _Estimate(rest.need, problem.column_groups, problem.max_cells)
    by_columns = _Estimate(rest.need_t or {}, problem.row_groups, problem.max_cells)
    growth.origin = [Stop(by_rows.total, 0, left), Stop(by_columns.total, 0, left)]
    growth.stops = list(growth.origin)
    pool = _Pool(rest, rng, clock)
    pool.add(min(_FIRST, 10 + left // 20))
    chosen = gain = 0
    while left and (used := clock.used()) < _MOST_OF_BUDGET:
        gain, rows, columns = pool.best(gain, effort if used < _PART_OF_BUDGET else 0)
        best = min(growth.stops)
        likely = chosen + left / gain
        if likely >= best.size + _SLACK or (chosen > 20 + 1.25 * best.calls and likely > 0.85 * best.size):
            return
        left -= rest.strike(rows, columns)
        chosen += 1
        by_rows.update(rows)
        by_columns.update(members(columns))
        for side, estimate in enumerate((by_rows, by_columns)):
            growth.stops[side] = min(growth.stops[side], Stop(chosen + estimate.total, chosen, left))
        yield rows, columns
    growth.complete = not left


class _Pool:
    """Candidate rectangles, the most promising first."""

    def __init__(self, rest: Residue, rng: Random, clock: Clock) -> None:
        self.rest = rest
        self.rng = rng
        self.clock = clock
        self.heap: list[tuple[int, int, tuple[int, ...]]] = []
        self.count = 0

    def add(self, count: int) -> None:
        """Climb from fresh starts."""
        for _ in range(count):
            gain, rows, columns = self.rest.climb(self._start())
            self._charge(rows, columns, 3)
            if gain:
                self._push(gain, rows)

    def best(self, last: int, effort: int) -> tuple[int, tuple[int, ...], int]:
        """The best candidate, valued now, after adding fresh ones until one compares with the ``last`` choice."""
        self.add(_FRESH)
        for _ in range(effort):
            if self.heap and -self.heap[0][0] >= _KEEP_UP * last:
                break
            self.add(1)
        while True:
            if not self.heap:
                self.add(1)
                continue
            _, _, rows = heapq.heappop(self.heap)
            columns = self.rest.best_columns(rows)
            gain = self._gain(rows, columns)
            self._charge(rows, columns, 1)
            if gain and (not self.heap or gain >= -self.heap[0][0]):
                return gain, rows, columns
            if gain:
                self._push(gain, rows)

    def _push(self, gain: int, rows: tuple[int, ...]) -> None:
        self.count += 1
        heapq.heappush(self.heap, (-gain, self.count, rows))

    def _gain(self, rows: tuple[int, ...], columns: int) -> int:
        need_t = self.rest.need_t
        assert need_t is not None
        mask = sum(1 << row for row in rows)
        return sum((need_t.get(column, 0) & mask).bit_count() for column in members(columns))

    def _charge(self, rows: tuple[int, ...], columns: int, times: int) -> None:
        problem = self.rest.problem
        work = 20 + 0.3 * (len(rows) * problem.row_work + columns.bit_count() * problem.column_work)
        self.clock.spent += times * work

    def _start(self) -> list[int]:
        """Rows of a column; half of the time only those it shares with another, sometimes a random half."""
        rest, rng = self.rest, self.rng
        row = _any(rest.need, rng)
        column = pick(rest.need[row], rng)
        need_t = rest.need_t
        assert need_t is not None
        bits = need_t[column]
        luck = rng.random()
        if luck < 0.5:
            other = pick(rest.need[pick(bits, rng)], rng)
            bits &= need_t[other]
        rows = members(bits)
        if luck > 0.8 and len(rows) > 1:
            rows = rng.sample(rows, (len(rows) + 1) // 2)
        return crop(rows, rest.problem, rng)


def crop(rows: list[int], problem: Problem, rng: Random) -> list[int]:
    """At most as many rows as a call takes; fewer, at random, where the number of cells is limited."""
    most = problem.row_groups[0][1]
    if problem.max_cells is not None:
        most = min(most, 1 + int(rng.random() * min(len(rows), problem.max_cells)))
    return rng.sample(rows, most) if len(rows) > most else rows


def _any(lines: dict[int, int], rng: Random) -> int:
    """A random index."""
    keys = list(lines)
    return keys[int(rng.random() * len(keys))]
