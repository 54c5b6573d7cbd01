"""A cover that can be changed and taken back: calls with exact counts of how often each cell is covered.

For each row a tally (see :mod:`rescind.plan.solver.bitsets`) counts the calls over each of its cells, so adding or
removing a call costs a few operations per row, and "covered once", "not covered" are one operation away.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce
from operator import and_

from rescind.plan.solver.bitsets import union
from rescind.plan.solver.problem import Problem, Rect


class State:
    """Calls by number; numbers are never used twice.

    :ivar calls: number -> (rows, columns).
    :ivar by_row: for each row the numbers of the calls that hold it.
    """

    def __init__(self, problem: Problem, rects: Iterable[Rect]) -> None:
        self.problem = problem
        self.calls: dict[int, Rect] = {}
        self.by_row: list[dict[int, None]] = [{} for _ in problem.need]
        self._tallies: list[Sequence[int]] = [()] * len(problem.need)
        self._next = 0
        self._before: dict[int, Sequence[int]] = {}
        self._log: list[tuple[int, Rect | None]] = []
        for rows, columns in rects:
            self.put(rows, columns)

    def put(self, rows: tuple[int, ...], columns: int) -> int:
        """Add a call; its number."""
        number, self._next = self._next, self._next + 1
        self.calls[number] = (rows, columns)
        self._log.append((number, None))
        need, tallies, before, overlap = self.problem.need, self._tallies, self._before, self.problem.overlap
        for row in rows:
            old = tallies[row]
            before.setdefault(row, old)
            carry = columns & need[row] if overlap else columns
            planes = []
            for plane in old:
                planes.append(plane ^ carry)
                carry &= plane
            if carry:
                planes.append(carry)
            tallies[row] = planes
            self.by_row[row][number] = None
        return number

    def take(self, number: int) -> Rect:
        """Remove a call."""
        rows, columns = rect = self.calls.pop(number)
        self._log.append((number, rect))
        need, tallies, before, overlap = self.problem.need, self._tallies, self._before, self.problem.overlap
        for row in rows:
            old = tallies[row]
            before.setdefault(row, old)
            borrow = columns & need[row] if overlap else columns
            planes = []
            for plane in old:
                plane ^= borrow
                planes.append(plane)
                borrow &= plane
            while planes and not planes[-1]:
                planes.pop()
            tallies[row] = planes
            del self.by_row[row][number]
        return rect

    def mark(self) -> None:
        """From here on :meth:`back` can undo."""
        self._before = {}
        self._log = []

    def back(self) -> None:
        """Undo everything since :meth:`mark`."""
        for row, planes in self._before.items():
            self._tallies[row] = planes
        for number, rect in reversed(self._log):
            if rect is None:
                for row in self.calls.pop(number)[0]:
                    del self.by_row[row][number]
            else:
                self.calls[number] = rect
                for row in rect[0]:
                    self.by_row[row][number] = None
        self.mark()

    def touched(self) -> list[int]:
        """Rows changed since :meth:`mark`."""
        return list(self._before)

    def fresh(self) -> list[int]:
        """Calls added since :meth:`mark` that are still there."""
        return [number for number, rect in self._log if rect is None and number in self.calls]

    def covered(self, row: int) -> int:
        """Cells of the row that some call covers (absent ones only when calls must not overlap)."""
        return union(self._tallies[row])

    def missing(self, row: int) -> int:
        """Needed cells of the row that no call covers."""
        need = self.problem.need[row]
        return need ^ (need & self.covered(row))

    def once(self, row: int) -> int:
        """Cells of the row that exactly one call covers."""
        planes = self._tallies[row]
        if len(planes) < 2:
            return planes[0] if planes else 0
        first = planes[0]
        return first ^ (first & union(planes[1:]))

    def own(self, number: int) -> int:
        """How many needed cells only this call covers."""
        rows, columns = self.calls[number]
        return sum((self.once(row) & columns).bit_count() for row in rows)

    def redundant(self, number: int) -> bool:
        """Whether the others cover everything that this call covers."""
        rows, columns = self.calls[number]
        return not any(self.once(row) & columns for row in rows)

    def free(self, row: int) -> int:
        """What a new call may contain in this row."""
        free = self.problem.free[row]
        return free if self.problem.overlap else free ^ (free & self.covered(row))

    def widest(self, rows: Sequence[int]) -> int:
        """The columns that a call with these rows may contain."""
        if self.problem.overlap:
            return reduce(and_, map(self.problem.free.__getitem__, rows))
        return reduce(and_, map(self.free, rows))

    def trim(self) -> None:
        """Shrink every call to the span of the cells that only it covers; drop calls without any."""
        for number in sorted(self.calls, key=lambda n: -len(self.calls[n][0])):
            rows, columns = self.take(number)
            parts = [(row, part) for row in rows if (part := self.missing(row) & columns)]
            if parts:
                self.put(tuple(sorted(row for row, _ in parts)), union(part for _, part in parts))
        self.mark()
