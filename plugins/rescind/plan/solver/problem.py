"""The covering problem of one table, and what is left of it while calls are chosen.

A call is a rectangle: some rows times some columns. The rectangles must cover every *needed* cell, must not share a
cell, and may contain *free* cells only. Needed cells are free. Cells that hold a retained grant are not.

This is the biclique partition problem (in strict mode; with free cells besides the needed ones it is a partition of
a superset). It is NP-hard, so the solver searches for few rectangles and proves a lower bound beside them.

Rows and columns are symmetrical: each axis has groups, and a call takes a limited number of each group.
:meth:`Problem.turned` exchanges the axes.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import and_

from rescind.plan.solver.bitsets import largest, members, tally, transpose, union

Rect = tuple[tuple[int, ...], int]
"""Row indexes, and a set of columns."""

Groups = tuple[tuple[int, int], ...]
"""(members, most of them in one call) for each group of an axis."""

WORK_PER_SECOND = 800_000
"""Units of work that a second of budget buys. A unit takes about a microsecond on a slow core."""


class Clock:
    """A budget of counted work, and a limit in seconds.

    The count normally decides, so that equal inputs give equal plans. The time limit is for machines that are slower
    than expected; it counts the processor time of this thread only.
    """

    def __init__(self, seconds: float, work: float | None = None) -> None:
        self.limit = seconds * WORK_PER_SECOND if work is None else work
        self.spent = 0.0
        self.begin = time.thread_time()
        self.seconds = seconds

    def used(self) -> float:
        """Return the used part of the budget; more than 1 when it is overdrawn."""
        elapsed = time.thread_time() - self.begin
        return max(self.spent / max(self.limit, 1e-9), elapsed / max(self.seconds, 1e-9))

    def over(self) -> bool:
        """Return whether the budget is used up."""
        return self.used() >= 1

    def share(self, part: float) -> Clock:
        """Return a clock for a part of what is left; call :meth:`take_back` afterwards."""
        seconds = max(0.0, self.seconds - (time.thread_time() - self.begin))
        return Clock(seconds * part, max(0.0, self.limit - self.spent) * part)

    def take_back(self, inner: Clock) -> None:
        """Count what an inner clock has spent."""
        self.spent += inner.spent


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """Needed and free cells of one table, and the limits of a call.

    :param need: for each row the columns to revoke. No row and no column is empty.
    :param free: for each row the columns that a call may contain; a superset of ``need``.
    :param need_t: ``need`` by column.
    :param free_t: ``free`` by column.
    :param row_groups: one group: all rows, and the most rows of a call. Several groups in a turned problem.
    :param column_groups: one group for each kind of column.
    :param max_cells: most cells in one call, or None.
    """

    need: Sequence[int]
    free: Sequence[int]
    need_t: Sequence[int]
    free_t: Sequence[int]
    row_groups: Groups
    column_groups: Groups
    max_cells: int | None

    @property
    def strict(self) -> bool:
        """Whether calls may contain needed cells only."""
        return self.free is self.need

    @property
    def row_work(self) -> float:
        """Units of work for a few operations on one row."""
        return 1.0 + len(self.need_t) / 4000

    @property
    def column_work(self) -> float:
        """Units of work for a few operations on one column."""
        return 1.0 + len(self.need) / 4000

    def cells(self) -> int:
        """Return the number of needed cells."""
        return sum(bits.bit_count() for bits in self.need)

    def turned(self) -> Problem:
        """Return the problem with rows and columns exchanged."""
        lines = (self.need_t, self.free_t, self.need, self.free)
        return Problem(*lines, self.column_groups, self.row_groups, self.max_cells)

    def fits(self, columns: int) -> bool:
        """Return whether one call can contain these columns."""
        return all((columns & mask).bit_count() <= cap for mask, cap in self.column_groups)


def make_problem(
    need: Sequence[int], free: Sequence[int], row_groups: Groups, column_groups: Groups, max_cells: int | None
) -> Problem:
    """Return a problem from its rows; ``free`` may be the same object as ``need``."""
    width = max((bits.bit_length() for bits in free), default=0)
    need_t = transpose(need, width)
    free_t = need_t if free is need else transpose(free, width)
    return Problem(need, free, need_t, free_t, row_groups, column_groups, max_cells)


def calls_alone(bits: int, groups: Groups, max_cells: int | None = None) -> int:
    """Return how many calls one row (or column) with these needs takes, at least, in every cover."""
    calls = max(-(-(bits & mask).bit_count() // cap) for mask, cap in groups)
    return calls if max_cells is None else max(calls, -(-bits.bit_count() // max_cells))


def choose(pool: int, parts: Sequence[int], groups: Groups) -> int:
    """Return the members of ``pool`` that occur most often in ``parts``, as many as the groups allow."""
    if all((pool & mask).bit_count() <= cap for mask, cap in groups):
        return pool
    planes = tally(parts)
    return union(largest(planes, pool & mask, cap) for mask, cap in groups)


class Residue:
    """The needed cells that no call covers yet, and the cells that further calls may contain.

    :ivar need: row -> columns; only rows that still need some.
    :ivar need_t: column -> rows in the same way, or None when the residue is stored by rows only.
    :ivar free: row -> columns that no call contains yet.
    :ivar free_t: column -> rows in the same way; empty when the residue is stored by rows only.
    """

    __slots__ = ("free", "free_t", "need", "need_t", "problem")

    def __init__(
        self, problem: Problem, need: dict[int, int] | None = None, free: dict[int, int] | None = None
    ) -> None:
        """Start with the whole problem; or with ``need`` and ``free``, stored by rows only."""
        self.problem = problem
        self.need_t: dict[int, int] | None = None
        if need is not None and free is not None:
            self.need, self.free, self.free_t = need, free, {}
            return
        self.need = dict(enumerate(problem.need))
        self.need_t = dict(enumerate(problem.need_t))
        self.free, self.free_t = dict(enumerate(problem.free)), dict(enumerate(problem.free_t))

    def holders(self, column: int) -> list[int]:
        """Return the rows that need the column."""
        if self.need_t is not None:
            return members(self.need_t.get(column, 0))
        flag = 1 << column
        return [row for row, bits in self.need.items() if bits & flag]

    def best_columns(self, rows: Sequence[int]) -> int:
        """Return the columns that cover most cells together with these rows, within the limits."""
        need = self.need
        legal = reduce(and_, map(self.free.__getitem__, rows))
        parts = [part for row in rows if (part := need.get(row, 0) & legal)]
        return choose(union(parts), parts, self.problem.column_groups)

    def best_rows(self, columns: int) -> tuple[list[int], int]:
        """Return the rows that cover most cells together with these columns, and the number of those cells."""
        if self.need_t is None:
            return self._scan_rows(columns)
        need_t = self.need_t
        indexes = members(columns)
        legal = reduce(and_, map(self.free_t.__getitem__, indexes))
        parts = [part for column in indexes if (part := need_t.get(column, 0) & legal)]
        rows = choose(union(parts), parts, self.problem.row_groups)
        return members(rows), sum((part & rows).bit_count() for part in parts)

    def _scan_rows(self, columns: int) -> tuple[list[int], int]:
        free = self.free
        found = [
            ((bits & columns).bit_count(), row)
            for row, bits in self.need.items()
            if bits & columns and columns & free[row] == columns
        ]
        most = self.problem.row_groups[0][1]
        if len(found) > most:
            found.sort(reverse=True)
            del found[most:]
        return [row for _, row in found], sum(gain for gain, _ in found)

    def climb(self, rows: Sequence[int], steps: int = 5) -> tuple[int, tuple[int, ...], int]:
        """Alternate between the best columns and the best rows while that covers more: (cells, rows, columns)."""
        best: tuple[int, tuple[int, ...], int] = (0, (), 0)
        for _ in range(steps):
            columns = self.best_columns(rows)
            if not columns:
                break
            rows, gain = self.best_rows(columns)
            if gain <= best[0]:
                break
            best = (gain, tuple(rows), columns)
        return best

    def strike(self, rows: Sequence[int], columns: int) -> int:
        """Remove the cells of a call; return how many of them were needed."""
        need, free, gain, mask = self.need, self.free, 0, 0
        for row in rows:
            mask |= 1 << row
            free[row] ^= free[row] & columns
            covered = need.get(row, 0) & columns
            gain += covered.bit_count()
            if covered and covered == need[row]:
                del need[row]
            elif covered:
                need[row] ^= covered
        if self.need_t is not None:
            self._strike_columns(mask, members(columns))
        return gain

    def _strike_columns(self, rows: int, columns: Iterable[int]) -> None:
        need_t, free_t = self.need_t, self.free_t
        assert need_t is not None
        for column in columns:
            free_t[column] ^= free_t[column] & rows
            left = need_t.get(column, 0)
            left ^= left & rows
            if left:
                need_t[column] = left
            else:
                need_t.pop(column, None)
