"""The covering problem of one container, and what is left of it while calls are chosen.

A call is a rectangle: some rows times some columns. Every *needed* cell must lie in a rectangle, and a
rectangle may hold *free* cells only; needed cells are free, kept cells are not. Two needed cells (r, c) and
(s, d) *conflict* when (r, d) or (s, c) is not free. Cells of which no two conflict always span a free
rectangle, since each corner of the span is checked by some pair. So without size limits the fewest
rectangles are the chromatic number of the conflict graph: hard in general, and the reason for everything else
in this package. The size limits make it a packing problem as well.

Rows and columns are symmetrical here: each axis has groups (a mask of indexes and the most of them in one
call), and :meth:`Problem.turned` swaps the axes.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import and_

from rescind.plan.solver.bitsets import largest, members, tally, transpose, union

Rect = tuple[tuple[int, ...], int]
"""Row indexes, and a bit set of columns."""

Lines = Sequence[int] | dict[int, int]
"""Bit sets by index."""

Groups = tuple[tuple[int, int], ...]
"""(members, most of them in one call) for each group of an axis."""

WORK_PER_SECOND = 800_000
"""Units of work that a second of budget buys. A unit takes about a microsecond on a slow core."""


class Clock:
    """A budget of work, counted, with a limit in time beside it.

    The count decides, so that equal inputs give equal plans; the time is there for machines that are too slow
    for it. It is the thread's own: what else the machine does makes planning later, not worse.
    """

    def __init__(self, seconds: float, work: float | None = None) -> None:
        self.limit = seconds * WORK_PER_SECOND if work is None else work
        self.spent = 0.0
        self.begin = time.thread_time()
        self.seconds = seconds

    def used(self) -> float:
        """The part of the budget that is used up; more than 1 when it is overdrawn."""
        elapsed = time.thread_time() - self.begin
        return max(self.spent / max(self.limit, 1e-9), elapsed / max(self.seconds, 1e-9))

    def over(self) -> bool:
        """Whether the budget is used up."""
        return self.used() >= 1

    def share(self, part: float) -> Clock:
        """A clock for a part of what is left; :meth:`take_back` must follow."""
        seconds = max(0.0, self.seconds - (time.thread_time() - self.begin))
        return Clock(seconds * part, max(0.0, self.limit - self.spent) * part)

    def take_back(self, inner: Clock) -> None:
        """Count what an inner clock has spent."""
        self.spent += inner.spent


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """Needed and free cells of one container with the size limits of a call.

    :param need: for each row the columns that are to go; none is empty, and so for the columns.
    :param free: for each row the columns that a call may contain; a superset of ``need``.
    :param need_t: ``need`` by column.
    :param free_t: ``free`` by column.
    :param max_cells: most cells in one call, or None.
    :param overlap: whether two calls may share a cell.
    """

    need: Sequence[int]
    free: Sequence[int]
    need_t: Sequence[int]
    free_t: Sequence[int]
    row_groups: Groups
    column_groups: Groups
    max_cells: int | None
    overlap: bool

    @property
    def strict(self) -> bool:
        """Whether no cell is free without being needed."""
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
        """How many cells are needed."""
        return sum(bits.bit_count() for bits in self.need)

    def turned(self) -> Problem:
        """The same problem with rows and columns exchanged."""
        return Problem(
            self.need_t,
            self.free_t,
            self.need,
            self.free,
            self.column_groups,
            self.row_groups,
            self.max_cells,
            self.overlap,
        )

    def fits(self, height: int, columns: int) -> bool:
        """Whether a call can hold these columns beside ``height`` rows (which themselves fit)."""
        if self.max_cells is not None and height * columns.bit_count() > self.max_cells:
            return False
        return all((columns & mask).bit_count() <= cap for mask, cap in self.column_groups)


def make_problem(
    need: Sequence[int],
    free: Sequence[int],
    row_groups: Groups,
    column_groups: Groups,
    max_cells: int | None,
    overlap: bool,
) -> Problem:
    """A problem from its rows; ``free`` may be the same object as ``need`` (nothing absent is free)."""
    width = max((bits.bit_length() for bits in free), default=0)
    need_t = transpose(need, width)
    free_t = need_t if free is need else transpose(free, width)
    return Problem(need, free, need_t, free_t, row_groups, column_groups, max_cells, overlap)


def calls_alone(bits: int, groups: Groups, max_cells: int | None) -> int:
    """Calls that one line with these needs takes when it shares none: never fewer in any cover."""
    calls = max(-(-(bits & mask).bit_count() // cap) for mask, cap in groups)
    return calls if max_cells is None else max(calls, -(-bits.bit_count() // max_cells))


def choose(pool: int, parts: Sequence[int], groups: Groups, room: int | None) -> int:
    """The members of ``pool`` that occur most often in ``parts``, as many as groups and ``room`` allow."""
    if all((pool & mask).bit_count() <= cap for mask, cap in groups) and (room is None or pool.bit_count() <= room):
        return pool
    planes = tally(parts)
    chosen = union(largest(planes, pool & mask, cap) for mask, cap in groups)
    return chosen if room is None else largest(planes, chosen, room)


class Residue:
    """The needed cells that no call covers yet.

    :ivar need: row -> columns, only rows that still need some.
    :ivar need_t: column -> rows in the same way, or None when the residue is kept by rows only.
    :ivar free: what new calls may contain, by row. With ``overlap`` that never changes; without, every
        call takes its cells out.
    """

    __slots__ = ("free", "free_t", "need", "need_t", "problem")

    def __init__(self, problem: Problem, need: dict[int, int] | None = None, free: Lines | None = None) -> None:
        """Everything, kept by rows and columns; or only ``need`` (with ``free``), kept by rows."""
        self.problem = problem
        self.need_t: dict[int, int] | None = None
        self.free: Lines = problem.free
        self.free_t: Lines = problem.free_t
        if need is not None:
            self.need = need
            self.free = problem.free if free is None else free
            return
        self.need = dict(enumerate(problem.need))
        self.need_t = dict(enumerate(problem.need_t))
        if not problem.overlap:
            self.free, self.free_t = dict(enumerate(problem.free)), dict(enumerate(problem.free_t))

    def best_columns(self, rows: Sequence[int]) -> int:
        """The columns that cover most beside these rows, within the limits."""
        need, problem = self.need, self.problem
        legal = reduce(and_, map(self.free.__getitem__, rows))
        parts = [part for row in rows if (part := need.get(row, 0) & legal)]
        room = None if problem.max_cells is None else problem.max_cells // len(rows)
        return choose(union(parts), parts, problem.column_groups, room)

    def best_rows(self, columns: int) -> tuple[list[int], int]:
        """The rows that cover most beside these columns, within the limits, and how many cells that are."""
        if self.need_t is None:
            return self._scan_rows(columns)
        need_t, problem = self.need_t, self.problem
        indexes = members(columns)
        legal = reduce(and_, map(self.free_t.__getitem__, indexes))
        parts = [part for column in indexes if (part := need_t.get(column, 0) & legal)]
        room = None if problem.max_cells is None else problem.max_cells // len(indexes)
        rows = choose(union(parts), parts, problem.row_groups, room)
        return members(rows), sum((part & rows).bit_count() for part in parts)

    def _scan_rows(self, columns: int) -> tuple[list[int], int]:
        free, problem = self.free, self.problem
        found = [
            ((bits & columns).bit_count(), row)
            for row, bits in self.need.items()
            if bits & columns and columns & free[row] == columns
        ]
        most = problem.row_groups[0][1]
        if problem.max_cells is not None:
            most = min(most, problem.max_cells // columns.bit_count())
        if len(found) > most:
            found.sort(reverse=True)
            del found[most:]
        return [row for _, row in found], sum(gain for gain, _ in found)

    def climb(self, rows: Sequence[int], steps: int = 5) -> tuple[int, tuple[int, ...], int]:
        """Best columns for rows, best rows for columns, and so on while more is covered: (cells, rows, columns)."""
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
        """Take a call's cells out; how many needed ones that were."""
        need, gain, touched = self.need, 0, []
        for row in rows:
            covered = need.get(row, 0) & columns
            if covered:
                gain += covered.bit_count()
                touched.append(row)
                if covered == need[row]:
                    del need[row]
                else:
                    need[row] ^= covered
        if self.need_t is not None:
            self._strike_columns(sum(1 << row for row in touched), columns)
        if not self.problem.overlap:
            self._close(rows, columns)
        return gain

    def _strike_columns(self, rows: int, columns: int) -> None:
        need_t = self.need_t
        assert need_t is not None
        for column in members(columns):
            left = need_t.get(column, 0)
            left ^= left & rows
            if left:
                need_t[column] = left
            else:
                need_t.pop(column, None)

    def _close(self, rows: Iterable[int], columns: int) -> None:
        free, free_t, mask = self.free, self.free_t, 0
        assert isinstance(free, dict)
        for row in rows:
            free[row] ^= free[row] & columns
            mask |= 1 << row
        if self.need_t is not None:
            assert isinstance(free_t, dict)
            for column in members(columns):
                free_t[column] ^= free_t[column] & mask
