"""Cells into tables: one bit matrix for each container.

A table has the rows and columns in which something goes. Bit ``c`` of ``need[r]`` says that the cell is to
be revoked, bit ``c`` of ``free[r]`` that a call may contain the cell; ``need`` is a subset of ``free``, and
no kept cell is free.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from rescind.errors import InputError
from rescind.model import CallShape, Cell, Mode

Column = tuple[str, tuple[str, ...]]
"""(kind, column)."""

EmptiedColumn = tuple[str, str, tuple[str, ...]]
"""(container, kind, column)."""

HELD_WITH_KEPT = "shares its cell with a grant that is kept: no call can take one without the other"


@dataclass(frozen=True, slots=True)
class Table:
    """One container's cells as bitsets over ``columns``; rows and columns in the order of their names."""

    container: str
    rows: tuple[str, ...]
    columns: tuple[Column, ...]
    need: tuple[int, ...]
    free: tuple[int, ...]


Places = dict[str, dict[str, dict[Column, None]]]


def tables(
    revoke: Iterable[tuple[Cell, str]],
    keep: Iterable[Cell],
    shape: CallShape,
    mode: Mode,
    emptied: Collection[EmptiedColumn],
) -> tuple[list[Table], dict[str, str]]:
    """Tables in the order of their containers, and the held grants (grant id -> reason).

    :raises InputError: a column kind that the shape has no limit for.
    """
    kept: Places = {}
    for container, row, kind, column in keep:
        kept.setdefault(container, {}).setdefault(row, {})[kind, column] = None
    going: Places = {}
    held: dict[str, str] = {}
    for (container, row, kind, column), grant_id in revoke:
        if (kind, column) in kept.get(container, {}).get(row, ()):
            held[grant_id] = HELD_WITH_KEPT
            continue
        if kind not in shape.max_columns:
            problem = f"has no limit for column kind {kind!r}"
            raise InputError("CallShape.max_columns", problem, "Name every kind of cell")
        going.setdefault(container, {}).setdefault(row, {})[kind, column] = None
    return list(_tables(going, kept, mode, emptied)), held


def _tables(going: Places, kept: Places, mode: Mode, emptied: Collection[EmptiedColumn]) -> Iterator[Table]:
    for container, by_row in sorted(going.items()):
        rows = tuple(sorted(by_row))
        columns = tuple(sorted({column for cells in by_row.values() for column in cells}))
        bit = {column: 1 << index for index, column in enumerate(columns)}
        stay = kept.get(container, {})
        need = tuple(sum(bit[column] for column in by_row[row]) for row in rows)
        keep = tuple(sum(bit.get(column, 0) for column in stay.get(row, ())) for row in rows)
        open_ = 0
        if mode is Mode.SPARSE:
            open_ = (1 << len(columns)) - 1
        elif mode is Mode.EMPTYING:
            open_ = sum(bit.get((kind, column), 0) for place, kind, column in set(emptied) if place == container)
            for cells in stay.values():
                for column in cells:
                    open_ &= ~bit.get(column, 0)
        yield Table(container, rows, columns, need, tuple(n | (open_ & ~k) for n, k in zip(need, keep, strict=True)))
