"""The greedy cover: take the rectangle that covers most cells, again and again, and know when to stop.

Candidates come from climbing (best columns for rows, best rows for columns) and wait in a heap. The value of a
candidate only falls while others are chosen, so a stale value is an upper bound: the top candidate is valued again,
and taken when it still beats the next one. A pool of hundreds of candidates is then as cheap as a few.

The largest rectangle is the right choice while large ones exist. Cells that share little are covered better row by
row. After i calls, i plus what the rest takes row by row (:func:`~rescind.plan.solver.problem.calls_alone`) is the
size of a cover that could be finished now. Its minimum over the run tells where to stop; the same for columns.
:mod:`rescind.plan.solver.line_cover` covers the rest from there.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from random import Random

from rescind.plan.solver.bitsets import members, pick
from rescind.plan.solver.problem import Clock, Groups, Problem, Rect, Residue, calls_alone

_EFFORT = 30
_FIRST = 100
_FRESH = 2
_KEEP_UP = 0.97
_SLACK = 8
_PART_OF_BUDGET, _MOST_OF_BUDGET = 0.35, 0.7


@dataclass(frozen=True, slots=True, order=True)
class Stop:
    """A point of a greedy run at which it can be left.

    :param size: calls of the whole cover when each row (or column) that is left gets its own calls.
    :param calls: greedy calls up to this point.
    """

    size: int
    calls: int


@dataclass
class Growth:
    """One greedy run.

    :ivar rects: its calls, in the order of choosing.
    :ivar complete: whether they cover everything.
    :ivar stops: the best point to leave for the row by row cover, and for the column by column cover.
    """

    stops: list[Stop]
    rects: list[Rect] = field(default_factory=list)
    complete: bool = False


class _Estimate:
    """How many calls the rest takes line by line, kept up to date over one axis."""

    def __init__(self, lines: dict[int, int], groups: Groups) -> None:
        self.lines = lines
        self.alone = partial(calls_alone, groups=groups)
        self.calls = {index: self.alone(bits) for index, bits in lines.items()}
        self.total = sum(self.calls.values())

    def update(self, indexes: Sequence[int]) -> None:
        for index in indexes:
            now = self.alone(self.lines[index]) if index in self.lines else 0
            self.total += now - self.calls.get(index, 0)
            self.calls[index] = now


def grow(problem: Problem, rng: Random, clock: Clock) -> Growth:
    """Choose calls until everything is covered, or until covering the rest line by line is likely to be better."""
    rest = Residue(problem)
    left = problem.cells()
    by_rows = _Estimate(rest.need, problem.column_groups)
    by_columns = _Estimate(rest.need_t or {}, problem.row_groups)
    growth = Growth([Stop(by_rows.total, 0), Stop(by_columns.total, 0)])
    pool = _Pool(rest, rng, clock)
    pool.add(min(_FIRST, 10 + left // 20))
    gain = 0
    while left and (used := clock.used()) < _MOST_OF_BUDGET:
        gain, rows, columns = pool.best(gain, _EFFORT if used < _PART_OF_BUDGET else 0)
        chosen, best = len(growth.rects), min(growth.stops)
        likely = chosen + left / gain
        if likely >= best.size + _SLACK or (chosen > 20 + 1.25 * best.calls and likely > 0.85 * best.size):
            return growth
        left -= rest.strike(rows, columns)
        growth.rects.append((rows, columns))
        by_rows.update(rows)
        by_columns.update(members(columns))
        for side, estimate in enumerate((by_rows, by_columns)):
            growth.stops[side] = min(growth.stops[side], Stop(chosen + 1 + estimate.total, chosen + 1))
    growth.complete = not left
    return growth


class _Pool:
    """Candidate rectangles, the most promising first."""

    def __init__(self, rest: Residue, rng: Random, clock: Clock) -> None:
        self.rest = rest
        self.rng = rng
        self.clock = clock
        self.heap: list[tuple[int, int, tuple[int, ...]]] = []
        self.count = 0

    def add(self, count: int) -> None:
        """Climb from random rows."""
        for _ in range(count):
            gain, rows, columns = self.rest.climb(random_rows(self.rest, self.rng))
            self._charge(rows, columns, 3)
            if gain:
                self._push(gain, rows)

    def best(self, last: int, effort: int) -> tuple[int, tuple[int, ...], int]:
        """Return the best candidate, valued now: (cells, rows, columns).

        :param last: cells of the last choice; fresh candidates are added until one compares with it.
        :param effort: most fresh candidates for that.
        """
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
            gain = sum((self.rest.need.get(row, 0) & columns).bit_count() for row in rows)
            self._charge(rows, columns, 1)
            if gain and (not self.heap or gain >= -self.heap[0][0]):
                return gain, rows, columns
            if gain:
                self._push(gain, rows)

    def _push(self, gain: int, rows: tuple[int, ...]) -> None:
        self.count += 1
        heapq.heappush(self.heap, (-gain, self.count, rows))

    def _charge(self, rows: tuple[int, ...], columns: int, times: int) -> None:
        problem = self.rest.problem
        work = 20 + 0.3 * (len(rows) * problem.row_work + columns.bit_count() * problem.column_work)
        self.clock.spent += times * work


def random_rows(rest: Residue, rng: Random) -> list[int]:
    """Return the rows that need a random cell's column; often only those that need a second column too."""
    keys = list(rest.need)
    column = pick(rest.need[keys[int(rng.random() * len(keys))]], rng)
    rows = rest.holders(column)
    luck = rng.random()
    if luck < 0.5:
        flag = 1 << pick(rest.need[rng.choice(rows)], rng)
        rows = [row for row in rows if rest.need[row] & flag]
    elif luck > 0.8 and len(rows) > 1:
        rows = rng.sample(rows, (len(rows) + 1) // 2)
    return crop(rows, rest.problem, rng)


def crop(rows: list[int], problem: Problem, rng: Random) -> list[int]:
    """Return at most as many of the rows as a call takes, at random."""
    most = problem.row_groups[0][1]
    return rng.sample(rows, most) if len(rows) > most else rows
