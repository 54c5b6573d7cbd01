"""Covering what is left line by line, sharing calls wherever that is free.

A row with needs n takes at least k = ceil(n / limit) calls however it is covered. A call *saves* the row one
of them when it takes at least the row's *slack*, n - (k - 1) limit: the part that keeps k from being smaller.
Rows with the least slack come first. A call for a row holds at least its slack; the columns beyond are given
up where that lets other rows join that save one of their calls too. Rows that can hold all the columns of
the call join anyway. So each call saves at least one row a call, and the result is never larger than the sum of k.

With slack = all needs (rows below the limit) this is the star greedy of role mining: finish the row with the
fewest uncovered cells, together with everybody who may have the same columns (Ene, Horne, Milosavljevic, Rao,
Schreiber, Tarjan: Fast exact and heuristic methods for role minimization problems, SACMAT 2008).
Columns are finished by turning the problem.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence

from rescind.plan.solver.bitsets import bit_set, largest, lowest, members, tally, union
from rescind.plan.solver.problem import Clock, Groups, Problem, Rect, Residue, calls_alone, choose

_NEIGHBOURS = 40

Slack = tuple[tuple[int, int], ...]
"""(mask, at least so many of its members) for each limit that matters."""


def finish_rows(problem: Problem, done: Sequence[Rect], clock: Clock) -> list[Rect]:
    """Calls for everything that ``done`` leaves uncovered, row by row."""
    rest = Residue(problem)
    for rows, columns in done:
        rest.strike(rows, columns)
    return list(_finish(rest, clock))


def finish_columns(problem: Problem, done: Sequence[Rect], clock: Clock) -> list[Rect]:
    """Calls for everything that ``done`` leaves uncovered, column by column."""
    flipped = [(tuple(members(columns)), bit_set(rows)) for rows, columns in done]
    turned = finish_rows(problem.turned(), flipped, clock)
    return [(tuple(members(rows)), bit_set(columns)) for columns, rows in turned]


def _finish(rest: Residue, clock: Clock) -> Iterator[Rect]:
    problem = rest.problem
    heap = [(slack_size(bits, problem), row) for row, bits in rest.need.items()]
    heapq.heapify(heap)
    while rest.need:
        if clock.over():
            yield from plain(rest.need, problem)
            return
        size, row = heapq.heappop(heap)
        if row not in rest.need:
            continue
        now = slack_size(rest.need[row], problem)
        if now > size:
            heapq.heappush(heap, (now, row))
            continue
        rows, columns = call_for(rest, row, [other for _, other in heap[:_NEIGHBOURS]])
        clock.spent += 120 + 0.6 * _NEIGHBOURS * problem.row_work + 0.6 * columns.bit_count() * problem.column_work
        rest.strike(rows, columns)
        for other in rows:
            if other in rest.need:
                heapq.heappush(heap, (slack_size(rest.need[other], problem), other))
        yield rows, columns


def plain(need: dict[int, int], problem: Problem) -> Iterator[Rect]:
    """Rows with equal needs together, cut at the limits: the cover that is always there."""
    alike: dict[int, list[int]] = {}
    for row, bits in need.items():
        alike.setdefault(bits, []).append(row)
    for bits, rows in alike.items():
        while rows:
            some = within(rows, problem.row_groups)
            some = some if problem.max_cells is None else some[: problem.max_cells]
            room = None if problem.max_cells is None else problem.max_cells // len(some)
            left = bits
            while left:
                part = choose(left, [left], problem.column_groups, room)
                left ^= part
                yield tuple(some), part
            rows = rows[len(some) :] if rows[: len(some)] == some else [row for row in rows if row not in set(some)]


def within(rows: Sequence[int], groups: Groups) -> list[int]:
    """The rows, in order, that the groups have room for."""
    room = [cap for _, cap in groups]
    kept = []
    for row in rows:
        mine = [index for index, (mask, _) in enumerate(groups) if mask >> row & 1]
        if all(room[index] for index in mine):
            kept.append(row)
            for index in mine:
                room[index] -= 1
    return kept


def _slack(bits: int, problem: Problem) -> Slack:
    """What a call must take of a row to save it a call, for each limit that matters."""
    calls = calls_alone(bits, problem.column_groups, problem.max_cells)
    limits = problem.column_groups
    if problem.max_cells is not None:
        limits = (*limits, (bits, problem.max_cells))
    wanted = ((mask, (bits & mask).bit_count() - (calls - 1) * cap) for mask, cap in limits)
    return tuple((mask, least) for mask, least in wanted if least > 0)


def _size(slack: Slack) -> int:
    return max(least for _, least in slack)


def slack_size(bits: int, problem: Problem) -> int:
    """The slack of a row with these needs, as one number."""
    return _size(_slack(bits, problem))


def _saves(part: int, slack: Slack) -> bool:
    return all((part & mask).bit_count() >= least for mask, least in slack)


def call_for(rest: Residue, row: int, ahead: Sequence[int]) -> Rect:
    """A call that saves ``row`` a call, and as many of the rows ahead as can be had with it."""
    need, free, problem = rest.need, rest.free, rest.problem
    columns = need[row]
    slacks = {row: _slack(columns, problem)}
    if columns.bit_count() > _size(slacks[row]):
        others = [(-(columns & need[other]).bit_count(), other) for other in set(ahead) if other in need]
        for _, other in sorted(others):
            fewer = columns & free[other]
            slack = _slack(need[other], problem)
            wide = max(_size(slack), *map(_size, slacks.values())) * (len(slacks) + 1)
            if other == row or (problem.max_cells is not None and wide > problem.max_cells):
                continue
            if _saves(fewer & need[other], slack) and all(_saves(fewer & need[r], s) for r, s in slacks.items()):
                columns, slacks[other] = fewer, slack
    columns = _cut(rest, within(list(slacks), problem.row_groups), columns, slacks[row])
    found, _ = rest.best_rows(columns)
    if row not in found:
        found = within([row, *found], problem.row_groups)[: len(found)]
    wider = rest.best_columns(found)
    return tuple(found), wider if wider & columns == columns else columns


def _cut(rest: Residue, rows: Sequence[int], columns: int, slack: Slack) -> int:
    """As many of the columns as a call takes, the slack of the first row among them."""
    problem = rest.problem
    parts = [rest.need[row] & columns for row in rows]
    room = None if problem.max_cells is None else problem.max_cells // len(rows)
    chosen = choose(columns, parts, problem.column_groups, room)
    if _saves(chosen, slack):
        return chosen
    planes = tally(parts)
    firm = union(largest(planes, columns & mask, least) for mask, least in slack)
    return firm if room is None or firm.bit_count() <= room else lowest(firm, room)
