"""Cover what is left row by row, and share calls between rows wherever that costs nothing.

A row with n needed cells takes at least k = ceil(n / limit) calls in every cover. A call *saves* the row one of them
when it covers at least the row's *slack*, n - (k - 1) limit: then k - 1 calls are enough for the rest.

The row with the least slack comes first. Its call covers at least its slack. Further columns are given up where that
lets another row join whose own slack the call then covers. Rows that may have all columns of the call join as well.
So each call lowers the sum of k over all rows by at least 1, and the cover never has more calls than that sum.

For rows below the limit the slack is the whole row. The method is then the star greedy of role mining: finish the row
with the fewest needed cells, together with all rows that may have the same columns (Ene, Horne, Milosavljevic, Rao,
Schreiber, Tarjan: Fast exact and heuristic methods for role minimization problems, SACMAT 2008).
Columns are covered in the same way by exchanging the axes.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence

from rescind.plan.solver.bitsets import bit_set, largest, members, tally, union
from rescind.plan.solver.problem import Clock, Groups, Problem, Rect, Residue, calls_alone, choose

_NEIGHBORS = 40

Slack = tuple[tuple[int, int], ...]
"""(mask, fewest of its members that a call must cover) for each limit that matters."""


def finish_rows(problem: Problem, done: Sequence[Rect], clock: Clock) -> list[Rect]:
    """Return calls for everything that ``done`` leaves uncovered, row by row."""
    rest = Residue(problem)
    for rows, columns in done:
        rest.strike(rows, columns)
    return list(_finish(rest, clock))


def finish_columns(problem: Problem, done: Sequence[Rect], clock: Clock) -> list[Rect]:
    """Return calls for everything that ``done`` leaves uncovered, column by column."""
    flipped = [(tuple(members(columns)), bit_set(rows)) for rows, columns in done]
    turned = finish_rows(problem.turned(), flipped, clock)
    return [(tuple(members(rows)), bit_set(columns)) for columns, rows in turned]


def _finish(rest: Residue, clock: Clock) -> Iterator[Rect]:
    problem = rest.problem
    heap = [(_size(_slack(bits, problem)), row) for row, bits in rest.need.items()]
    heapq.heapify(heap)
    while rest.need:
        if clock.over():
            yield from _equal_rows(rest.need, problem)
            return
        size, row = heapq.heappop(heap)
        if row not in rest.need:
            continue
        now = _size(_slack(rest.need[row], problem))
        if now > size:
            heapq.heappush(heap, (now, row))
            continue
        rows, columns = _call_for(rest, row, [other for _, other in heap[:_NEIGHBORS]])
        clock.spent += 120 + 0.6 * _NEIGHBORS * problem.row_work + 0.6 * columns.bit_count() * problem.column_work
        rest.strike(rows, columns)
        for other in rows:
            if other in rest.need:
                heapq.heappush(heap, (_size(_slack(rest.need[other], problem)), other))
        yield rows, columns


def _equal_rows(need: dict[int, int], problem: Problem) -> Iterator[Rect]:
    """Return rows with equal needs together, cut at the limits: a cover that takes no search."""
    alike: dict[int, list[int]] = {}
    for row, bits in need.items():
        alike.setdefault(bits, []).append(row)
    for bits, rows in alike.items():
        while rows:
            some = within(rows, problem.row_groups)
            left = bits
            while left:
                part = choose(left, [left], problem.column_groups)
                left ^= part
                yield tuple(some), part
            taken = set(some)
            rows = [row for row in rows if row not in taken]


def within(rows: Sequence[int], groups: Groups) -> list[int]:
    """Return the first rows that fit into one call."""
    room = [cap for _, cap in groups]
    fitting = []
    for row in rows:
        mine = [index for index, (mask, _) in enumerate(groups) if mask >> row & 1]
        if all(room[index] for index in mine):
            fitting.append(row)
            for index in mine:
                room[index] -= 1
    return fitting


def _slack(bits: int, problem: Problem) -> Slack:
    """Return what a call must cover of a row to save it a call, for each limit that matters."""
    calls = calls_alone(bits, problem.column_groups)
    wanted = ((mask, (bits & mask).bit_count() - (calls - 1) * cap) for mask, cap in problem.column_groups)
    return tuple((mask, least) for mask, least in wanted if least > 0)


def _size(slack: Slack) -> int:
    return max(least for _, least in slack)


def _saves(part: int, slack: Slack) -> bool:
    return all((part & mask).bit_count() >= least for mask, least in slack)


def _call_for(rest: Residue, row: int, ahead: Sequence[int]) -> Rect:
    """Return a call that saves ``row`` a call, and as many of the rows ``ahead`` as possible with it."""
    need, free, problem = rest.need, rest.free, rest.problem
    columns = need[row]
    slacks = {row: _slack(columns, problem)}
    if columns.bit_count() > _size(slacks[row]):
        others = [(-(columns & need[other]).bit_count(), other) for other in set(ahead) if other in need]
        for _, other in sorted(others):
            if other == row:
                continue
            fewer = columns & free[other]
            slack = _slack(need[other], problem)
            if _saves(fewer & need[other], slack) and all(_saves(fewer & need[r], s) for r, s in slacks.items()):
                columns, slacks[other] = fewer, slack
    columns = _cut(rest, within(list(slacks), problem.row_groups), columns, slacks[row])
    found, _ = rest.best_rows(columns)
    if row not in found:
        found = within([row, *found], problem.row_groups)[: len(found)]
    wider = rest.best_columns(found)
    return tuple(found), wider if wider & columns == columns else columns


def _cut(rest: Residue, rows: Sequence[int], columns: int, slack: Slack) -> int:
    """Return as many of the columns as a call takes, the slack of the first row among them."""
    parts = [rest.need[row] & columns for row in rows]
    chosen = choose(columns, parts, rest.problem.column_groups)
    if _saves(chosen, slack):
        return chosen
    planes = tally(parts)
    return union(largest(planes, columns & mask, least) for mask, least in slack)
