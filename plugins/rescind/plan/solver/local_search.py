"""A cover made smaller: take some calls out, cover their cells again with fewer, keep what is not worse.

Each step takes out a call that few cells depend on, with up to a handful of calls related to it (in the same
rows, or over the same columns). Calls nearby take over what they can; the rest is covered again
(:mod:`rescind.plan.solver.recover_cells`) with at most as many calls as were taken out. Ties are kept, so that the
search moves on; new calls grow as far as they may, so that others become redundant.
"""

from __future__ import annotations

from functools import reduce
from itertools import islice
from operator import and_
from random import Random

from rescind.plan.solver.bitsets import largest, lowest, members, tally, union
from rescind.plan.solver.cover_state import State
from rescind.plan.solver.problem import Clock, Problem, Residue
from rescind.plan.solver.recover_cells import recover

_RIVALS = 4
_GROUP = 6
_LOOKS = 12
_HELPERS = 5
_CHECKS = 60
_PATIENCE = 30_000


class Search:
    """Improves a state in place; the number of calls never grows."""

    def __init__(self, state: State, rng: Random, clock: Clock) -> None:
        self.state = state
        self.problem: Problem = state.problem
        self.rng = rng
        self.clock = clock
        self.numbers: list[int] = []

    def run(self, bound: int) -> None:
        """Search until the bound is met, the budget is used up, or nothing has moved for long."""
        self.numbers = list(self.state.calls)
        best, idle = len(self.numbers), 0
        for number in reversed(self.numbers):
            if self.problem.overlap and self.state.redundant(number):
                self.state.take(number)
        while len(self.state.calls) > bound and not self.clock.over() and idle < _PATIENCE:
            self.step()
            idle += 1
            if len(self.state.calls) < best:
                best, idle = len(self.state.calls), 0

    def step(self) -> None:
        """One attempt."""
        state = self.state
        group = self._group()
        state.mark()
        for number in group:
            state.take(number)
        need = {row: bits for row in state.touched() if (bits := state.missing(row))}
        self.clock.spent += 100 + 5 * len(state.touched()) * self.problem.row_work
        self._hand_over(need)
        free = None if self.problem.overlap else {row: state.free(row) for row in need}
        rects = recover(Residue(self.problem, need, free), len(group), self.rng, self.clock)
        if rects is None:
            state.back()
            return
        for rows, columns in rects:
            state.put(*(self._grown(rows, columns) if self.problem.overlap else (tuple(rows), columns)))
        if self.problem.overlap:
            self._drop(state.fresh())
        self.numbers.extend(state.fresh())
        state.mark()
        if len(self.numbers) > 2 * len(state.calls) + 16:
            self.numbers = list(state.calls)

    def _any(self) -> int:
        """The number of a random call."""
        while True:
            number = self.numbers[int(self.rng.random() * len(self.numbers))]
            if number in self.state.calls:
                return number

    def _group(self) -> list[int]:
        """Calls to take out: one of those with the fewest cells of its own, and some related to it."""
        state, rng = self.state, self.rng
        seed = min({self._any() for _ in range(_RIVALS)}, key=lambda number: (state.own(number), number))
        rows, columns = state.calls[seed]
        size = min(len(state.calls), 2 + int(rng.random() * _GROUP))
        group = [seed]
        if rng.random() < 0.5:
            for _ in range(2 * size):
                near = state.by_row[rows[int(rng.random() * len(rows))]]
                number = _nth(near, int(rng.random() * len(near)))
                if number not in group and len(group) < size:
                    group.append(number)
        while len(group) < size:
            looks = {self._any() for _ in range(_LOOKS)}.difference(group)
            if not looks:
                break
            group.append(max(looks, key=lambda number: ((state.calls[number][1] & columns).bit_count(), number)))
        return group

    def _hand_over(self, need: dict[int, int]) -> None:
        """Let other calls take what they can of the needs, some of them in the same rows."""
        state, rng = self.state, self.rng
        rows = list(need)
        helpers: dict[int, None] = {}
        for _ in range(_HELPERS if rows and state.calls else 0):
            near = state.by_row[rows[int(rng.random() * len(rows))]]
            if near:
                helpers[_nth(near, int(rng.random() * len(near)))] = None
            helpers[self._any()] = None
        for number in helpers:
            if need:
                self._widen(number, need)

    def _widen(self, number: int, need: dict[int, int]) -> None:
        """More columns, then more rows, for a call; both only where they help."""
        state, problem = self.state, self.problem
        rows, columns = state.calls[number]
        self.clock.spent += 3 + 0.3 * len(rows) * problem.row_work
        mine = [row for row in rows if row in need]
        wider = self._more_columns(rows, columns, mine, need) if mine else columns
        height = problem.row_groups[0][1] - len(rows)
        more: list[int] = []
        if height > 0:
            have = set(rows)
            more = [
                row
                for row, bits in need.items()
                if bits & wider and row not in have and wider & state.free(row) == wider
            ]
            more.sort(key=lambda row: -(need[row] & wider).bit_count())
            del more[height:]
            while more and not problem.fits(len(rows) + len(more), wider):
                more.pop()
        if wider == columns and not more:
            return
        state.take(number)
        self.numbers.append(state.put((*rows, *more), wider))
        for row in (*mine, *more):
            left = need[row] ^ (need[row] & wider)
            if left:
                need[row] = left
            else:
                del need[row]

    def _more_columns(self, rows: tuple[int, ...], columns: int, mine: list[int], need: dict[int, int]) -> int:
        """Columns of the call with what else it can take, instead of columns where others cover everything."""
        state, problem = self.state, self.problem
        extra = union(need[row] for row in mine)
        for row in rows:
            extra &= state.free(row)
            if not extra:
                return columns
        extra ^= extra & columns
        if not extra or problem.fits(len(rows), columns | extra):
            return columns | extra
        planes = tally(need[row] & extra for row in mine)
        own = columns if not problem.overlap else union(state.once(row) & columns for row in rows)
        wider = columns
        for mask, cap in problem.column_groups:
            spare = (columns ^ own) & mask if problem.overlap else 0
            surplus = (extra & mask).bit_count() + (columns & mask).bit_count() - cap
            if surplus > 0 and spare:
                wider ^= lowest(spare, min(surplus, spare.bit_count()))
            room = cap - (wider & mask).bit_count()
            wider |= largest(planes, extra & mask, room) if room > 0 else 0
        return wider if problem.fits(len(rows), wider) else columns

    def _grown(self, rows: tuple[int, ...], columns: int) -> tuple[tuple[int, ...], int]:
        """A call with all the rows and columns that it may hold besides, over cells that others cover."""
        state, problem = self.state, self.problem
        height = problem.row_groups[0][1] - len(rows)
        if height > 0:
            more = [row for row in self._holders(columns) if row not in rows and problem.need[row] & columns]
            if len(more) > height:
                more.sort(key=lambda row: -(state.once(row) & columns).bit_count())
                del more[height:]
            while more and not problem.fits(len(rows) + len(more), columns):
                more.pop()
            rows = (*rows, *more)
        extra = state.widest(rows) & union(problem.need[row] for row in rows)
        extra ^= extra & columns
        if not extra or problem.fits(len(rows), columns | extra):
            return rows, columns | extra
        planes = tally(state.once(row) & extra for row in rows)
        wider = columns
        for mask, cap in problem.column_groups:
            wider |= largest(planes, extra & mask, cap - (columns & mask).bit_count())
        return rows, wider if problem.fits(len(rows), wider) else columns

    def _holders(self, columns: int) -> list[int]:
        """Rows in which all these columns are free."""
        problem = self.problem
        if columns.bit_count() < len(problem.need):
            return members(reduce(and_, map(problem.free_t.__getitem__, members(columns))))
        return [row for row, free in enumerate(problem.free) if columns & free == columns]

    def _drop(self, fresh: list[int]) -> None:
        """Take out calls near the fresh ones that nothing depends on any more."""
        state, rng = self.state, self.rng
        near: dict[int, None] = {}
        for number in fresh:
            rows = state.calls[number][0]
            for _ in range(4):
                near.update(state.by_row[rows[int(rng.random() * len(rows))]])
        some = list(near)
        for number in rng.sample(some, _CHECKS) if len(some) > _CHECKS else some:
            if state.redundant(number):
                state.take(number)


def _nth(numbers: dict[int, None], place: int) -> int:
    return next(islice(numbers, place, None))
