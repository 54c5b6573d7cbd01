"""Tables where everything goes except one cell per column: covered with as few calls as there are code words for.

Give each row that is some column's exception a word of k bits with k/2 ones, all different. Call i takes the rows
with bit i set and the columns whose exception has bit i clear. Two different words of equal weight never
contain each other, so every other row meets every column in some call. C(k, k/2) words are enough for that many
rows: with :func:`~rescind.plan.solver.lower_bounds.set_pairs_bound` that is optimal for the crown (all but a diagonal;
de Caen, Gregory, Pullman 1981), which the general search misses by a few calls.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, islice

from rescind.plan.solver.bitsets import bit_set, lowest, union
from rescind.plan.solver.line_cover import plain
from rescind.plan.solver.lower_bounds import set_pairs_bound
from rescind.plan.solver.problem import Problem, Rect


def code_cover(problem: Problem) -> list[Rect] | None:
    """A cover by code words, or None when some column has more than one exception (or calls a limit of cells)."""
    everything = (1 << len(problem.need)) - 1
    exceptions = [everything ^ free for free in problem.free_t]
    if any(rows & (rows - 1) for rows in exceptions) or not problem.overlap or problem.max_cells is not None:
        return None
    marked = sorted({rows.bit_length() - 1 for rows in exceptions if rows})
    size = set_pairs_bound(len(marked))
    words = dict(zip(marked, islice(combinations(range(size), size // 2), len(marked)), strict=True))
    rest = dict(enumerate(problem.need))
    calls: list[Rect] = []
    for place in range(size):
        rows = [row for row in range(len(problem.need)) if row not in words or place in words[row]]
        shut = bit_set(row for row, word in words.items() if place in word)
        columns = bit_set(column for column, bits in enumerate(exceptions) if not bits & shut)
        for rect in _pieces(problem, rows, columns):
            calls.append(rect)
            for row in rect[0]:
                rest[row] ^= rest[row] & rect[1]
    return [*calls, *plain({row: bits for row, bits in rest.items() if bits}, problem)]


def _pieces(problem: Problem, rows: list[int], columns: int) -> Iterator[Rect]:
    """The call, cut at the size limits."""
    most = problem.row_groups[0][1]
    for start in range(0, len(rows), most):
        left = columns
        while left:
            part = union(
                lowest(left & mask, min(cap, (left & mask).bit_count())) for mask, cap in problem.column_groups
            )
            left ^= part
            yield tuple(rows[start : start + most]), part
