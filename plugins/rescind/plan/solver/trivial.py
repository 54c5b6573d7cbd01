"""Tables for which the fewest calls are known without a search.

* All cells fit into one call.
* A call takes one row, or there is one row. Rows share no call, and a row takes exactly ``calls_alone`` calls:
  distributing its columns over that many calls in turn gives each call at most its share of every group.
* A call takes one column, or there is one column. Each column takes ceil(rows / most rows) calls.

A limit on the cells of a call is met by calls of one row. That is optimal for one cell a call, the only such limit
that a vendor has; for a larger limit the cover is legal, and :func:`rescind.plan.solver.lower_bounds.quick_bound`
tells how far it can be from the optimum.
"""

from __future__ import annotations

from rescind.plan.solver.bitsets import bit_set, members, union
from rescind.plan.solver.problem import Problem, Rect, calls_alone


def trivial_cover(problem: Problem) -> list[Rect] | None:
    """Return a cover without a search, or None; optimal unless a call has a limit of cells above 1."""
    height, width, most = len(problem.need), union(problem.need), problem.row_groups[0][1]
    if height == 1 or most == 1 or problem.max_cells is not None:
        return _by_rows(problem)
    if height <= most and problem.fits(width) and all(free & width == width for free in problem.free):
        return [(tuple(range(height)), width)]
    if len(problem.need_t) == 1 or sum(cap for _, cap in problem.column_groups) == 1:
        return _by_columns(problem, most)
    return None


def _by_rows(problem: Problem) -> list[Rect]:
    calls: list[Rect] = []
    for row, bits in enumerate(problem.need):
        count = calls_alone(bits, problem.column_groups, problem.max_cells)
        columns = members(bits)
        calls.extend(((row,), bit_set(columns[start::count])) for start in range(count))
    return calls


def _by_columns(problem: Problem, most: int) -> list[Rect]:
    calls: list[Rect] = []
    for column, bits in enumerate(problem.need_t):
        rows = members(bits)
        calls.extend((tuple(rows[start : start + most]), 1 << column) for start in range(0, len(rows), most))
    return calls
