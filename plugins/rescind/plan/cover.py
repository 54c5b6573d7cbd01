"""The fewest calls for one account of one system: the public face of the planner."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

from rescind.errors import InputError
from rescind.model import CallShape, Cell, Mode, PlannedCall
from rescind.plan.table import EmptiedColumn, Table, tables


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
    """Plan; see the package. First version: grouping of equal rows or equal columns."""
    begin = time.monotonic()
    _check(shape, mode)
    found, held = tables(revoke, keep, shape, mode, emptied)
    calls = tuple(call for table in found for call in _calls(system, account, shape, table))
    bound = sum(1 for _ in found)
    cells = sum(need.bit_count() for table in found for need in table.need)
    gap = Fraction(len(calls), bound) - 1 if bound else Fraction(0)
    return Cover(calls, bound, len(calls) == bound, gap, held, cells, 0, time.monotonic() - begin)


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


def _calls(system: str, account: str, shape: CallShape, table: Table) -> Iterator[PlannedCall]:
    alike: dict[int, list[str]] = {}
    for row, need in zip(table.rows, table.need, strict=True):
        alike.setdefault(need, []).append(row)
    for need, rows in alike.items():
        columns = [column for index, column in enumerate(table.columns) if need >> index & 1]
        for kind, cap in sorted(shape.max_columns.items()):
            mine = [column for column in columns if column[0] == kind]
            wide = min(cap, shape.max_cells or cap)
            for start in range(0, len(mine), wide):
                some = tuple(mine[start : start + wide])
                tall = min(shape.max_rows, (shape.max_cells or shape.max_rows * len(some)) // len(some))
                for low in range(0, len(rows), tall):
                    yield PlannedCall(system, account, table.container, tuple(rows[low : low + tall]), some)
