"""The fewest calls for one account of one system: the public face of the planner."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

from rescind.errors import InputError
from rescind.model import CallShape, Cell, Mode, PlannedCall
from rescind.plan.search import Block, searched
from rescind.plan.table import Column, EmptiedColumn, Table, tables


@dataclass(frozen=True, slots=True)
class Cover:
    """Calls that take away every cell to revoke and no cell to keep.

    :param calls: the calls, containers in order of name.
    :param lower_bound: no set of calls with fewer members does it.
    :param proven: True when ``calls`` meets the bound.
    :param gap: calls / lower bound - 1, exactly; 0 when proven.
    :param held: grant id -> reason, for grants that cannot be separated from a kept one. Never planned.
    :param cells: cells that go.
    :param absent: cells inside the calls that hold no grant (0 in strict mode), each counted once.
    :param seconds: how long planning took.
    """

    calls: tuple[PlannedCall, ...]
    lower_bound: int
    proven: bool
    gap: Fraction
    held: Mapping[str, str]
    cells: int
    absent: int
    seconds: float


def plan_calls(
    system: str,
    account: str,
    shape: CallShape,
    revoke: Iterable[tuple[Cell, str]],
    keep: Iterable[Cell],
    *,
    mode: Mode = Mode.STRICT,
    emptied: Collection[EmptiedColumn] = frozenset(),
    budget_s: float = 2.0,
    seed: int = 0,
) -> Cover:
    """Plan each container: equal rows or equal columns share calls; where that is not proven least, search.

    Optimal, and proven so by :func:`lower_bound`, wherever a call takes one column (or one cell).

    :param budget_s: seconds of search for all containers together.
    """
    begin = time.monotonic()
    _check(shape, mode)
    found, held = tables(revoke, keep, shape, mode, emptied)
    calls: list[PlannedCall] = []
    bound = 0
    for table in found:
        least = lower_bound(table, shape)
        bound += least
        best = _grouped(system, account, shape, table)
        if len(best) > least:
            blocks = searched(table, shape, bound=least, budget_s=budget_s / len(found), seed=seed)
            if blocks is not None and len(blocks) < len(best):
                best = [PlannedCall(system, account, table.container, rows, columns) for rows, columns in blocks]
        calls += best
    cells = sum(need.bit_count() for table in found for need in table.need)
    gap = Fraction(len(calls), bound) - 1 if bound else Fraction(0)
    inside = {cell for call in calls for cell in call.cells()} if mode is not Mode.STRICT else set()
    absent = max(0, len(inside) - cells)
    return Cover(tuple(calls), bound, len(calls) == bound, gap, held, cells, absent, time.monotonic() - begin)


def _grouped(system: str, account: str, shape: CallShape, table: Table) -> list[PlannedCall]:
    by_row = list(_calls(system, account, shape, table, _equal_rows(table)))
    by_column = list(_calls(system, account, shape, table, _equal_columns(table)))
    return by_column if len(by_column) < len(by_row) else by_row


def iter_calls(
    system: str,
    account: str,
    shape: CallShape,
    revoke: Iterable[tuple[Cell, str]],
    keep: Iterable[Cell],
    *,
    mode: Mode = Mode.STRICT,
    emptied: Collection[EmptiedColumn] = frozenset(),
    budget_s: float = 2.0,
    seed: int = 0,
) -> Iterator[PlannedCall]:
    """Final calls as soon as they are chosen."""
    yield from plan_calls(
        system, account, shape, revoke, keep, mode=mode, emptied=emptied, budget_s=budget_s, seed=seed
    ).calls


def _check(shape: CallShape, mode: Mode) -> None:
    if mode not in shape.modes:
        raise InputError("mode", f"{mode} is not one of {', '.join(shape.modes)}", "Choose a mode that the call allows")
    limits = {"max_rows": shape.max_rows, "max_cells": shape.max_cells, **shape.max_columns}
    for name, limit in limits.items():
        if limit is not None and limit < 1:
            raise InputError(f"CallShape.{name}", f"is {limit}", "Give a limit of at least 1")


def lower_bound(table: Table, shape: CallShape) -> int:
    """Calls that no plan for this table can do without, by counting visits.

    A column with ``n`` cells to revoke is in at least ``ceil(n / max_rows)`` calls, and a call has room for
    ``max_columns[kind]`` columns of a kind. A row needs at least as many calls as its fullest kind of column asks
    for, and a call has room for ``max_rows`` rows. A call takes at most ``max_cells`` cells.
    """
    heights = [sum(need >> index & 1 for need in table.need) for index in range(len(table.columns))]
    visits: dict[str, int] = {}
    for (kind, _), height in zip(table.columns, heights, strict=True):
        visits[kind] = visits.get(kind, 0) + _share(height, shape.max_rows)
    bounds = [_share(count, shape.max_columns[kind]) for kind, count in visits.items()]
    masks = {kind: sum(1 << i for i, column in enumerate(table.columns) if column[0] == kind) for kind in visits}
    rows = sum(
        max(_share((need & mask).bit_count(), shape.max_columns[kind]) for kind, mask in masks.items())
        for need in table.need
    )
    bounds.append(_share(rows, shape.max_rows))
    if shape.max_cells:
        bounds.append(_share(sum(heights), shape.max_cells))
    return max(bounds)


def _share(things: int, room: int) -> int:
    return -(-things // room)


def _equal_rows(table: Table) -> list[Block]:
    """Rows with the same cells to revoke, together."""
    alike: dict[int, list[str]] = {}
    for row, need in zip(table.rows, table.need, strict=True):
        alike.setdefault(need, []).append(row)
    return [
        (tuple(rows), tuple(column for index, column in enumerate(table.columns) if need >> index & 1))
        for need, rows in alike.items()
    ]


def _equal_columns(table: Table) -> list[Block]:
    """Columns with the same cells to revoke, together."""
    alike: dict[tuple[str, ...], list[Column]] = {}
    for index, column in enumerate(table.columns):
        rows = tuple(row for row, need in zip(table.rows, table.need, strict=True) if need >> index & 1)
        alike.setdefault(rows, []).append(column)
    return [(rows, tuple(columns)) for rows, columns in alike.items()]


def _calls(system: str, account: str, shape: CallShape, table: Table, blocks: Iterable[Block]) -> Iterator[PlannedCall]:
    """The blocks, cut at the sizes that one call allows."""
    for rows, columns in blocks:
        for kind, cap in sorted(shape.max_columns.items()):
            mine = [column for column in columns if column[0] == kind]
            wide = min(cap, shape.max_cells or cap)
            for start in range(0, len(mine), wide):
                some = tuple(mine[start : start + wide])
                tall = min(shape.max_rows, (shape.max_cells or shape.max_rows * len(some)) // len(some))
                for low in range(0, len(rows), tall):
                    yield PlannedCall(system, account, table.container, rows[low : low + tall], some)
