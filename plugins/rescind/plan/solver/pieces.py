"""Cells into covering problems.

The cells of a container become a bit matrix over the rows and columns in which something goes. Rows that a
strict plan cannot connect (no chain of shared cells leads from one to the other) never share a call, so
each connected part is a problem of its own; elsewhere absent cells connect everything.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from rescind.errors import InputError
from rescind.model import CallShape, Cell, Mode
from rescind.plan.solver.problem import Groups, Problem, make_problem

Column = tuple[str, tuple[str, ...]]
"""(kind, column)."""

EmptiedColumn = tuple[str, str, tuple[str, ...]]
"""(container, kind, column)."""

HELD_WITH_KEPT = "shares its cell with a grant that is kept: no call can take one without the other"

_MATRIX_BITS = 1 << 30


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """A covering problem and the names of its rows and columns."""

    container: str
    rows: Sequence[str]
    columns: Sequence[Column]
    problem: Problem


@dataclass(slots=True)
class _Table:
    """The cells of one container as they come in: rows and columns by number of arrival."""

    rows: dict[str, int] = field(default_factory=dict)
    columns: dict[Column, int] = field(default_factory=dict)
    going: list[list[int]] = field(default_factory=list)
    grants: list[list[str]] = field(default_factory=list)
    kept: dict[int, set[int]] = field(default_factory=dict)


def pieces(
    revoke: Iterable[tuple[Cell, str]],
    keep: Iterable[Cell],
    shape: CallShape,
    mode: Mode,
    emptied: Collection[EmptiedColumn],
) -> tuple[list[Piece], dict[str, str]]:
    """The problems in the order of their containers, and the held grants (grant id -> reason).

    :raises InputError: a column kind that the shape has no limit for.
    """
    tables = _read(revoke, shape)
    spoiled = _keep(tables, keep, set(emptied))
    held: dict[str, str] = {}
    found: list[Piece] = []
    for container in sorted(tables):
        table = tables.pop(container)
        held |= _hold(table)
        open_ = {(kind, column) for place, kind, column in emptied if place == container}
        open_ -= spoiled.get(container, set())
        found.extend(_pieces(container, table, shape, mode, open_))
    return found, held


def _read(revoke: Iterable[tuple[Cell, str]], shape: CallShape) -> dict[str, _Table]:
    tables: dict[str, _Table] = {}
    for (container, row, kind, column), grant_id in revoke:
        table = tables.get(container)
        if table is None:
            table = tables[container] = _Table()
        key = (kind, column)
        place = table.columns.get(key)
        if place is None:
            if kind not in shape.max_columns:
                problem = f"has no limit for kind {kind!r}, only {', '.join(sorted(shape.max_columns))}"
                raise InputError("CallShape.max_columns", problem, "Name every kind")
            place = table.columns[key] = len(table.columns)
        line = table.rows.get(row)
        if line is None:
            line = table.rows[row] = len(table.rows)
            table.going.append([])
            table.grants.append([])
        table.going[line].append(place)
        table.grants[line].append(grant_id)
    return tables


def _keep(tables: dict[str, _Table], keep: Iterable[Cell], emptied: set[EmptiedColumn]) -> dict[str, set[Column]]:
    """Note the kept cells that matter; the columns to be emptied in which one is kept after all."""
    spoiled: dict[str, set[Column]] = {}
    for container, row, kind, column in keep:
        table = tables.get(container)
        if table is None:
            continue
        place = table.columns.get((kind, column))
        if place is None:
            continue
        if emptied and (container, kind, column) in emptied:
            spoiled.setdefault(container, set()).add((kind, column))
        line = table.rows.get(row)
        if line is not None:
            table.kept.setdefault(line, set()).add(place)
    return spoiled


def _hold(table: _Table) -> dict[str, str]:
    """Take out the cells that hold both a grant to revoke and one to keep."""
    held: dict[str, str] = {}
    for line, kept in table.kept.items():
        both = kept.intersection(table.going[line])
        if both:
            pairs = list(zip(table.going[line], table.grants[line], strict=True))
            held |= {grant_id: HELD_WITH_KEPT for place, grant_id in pairs if place in both}
            table.going[line] = [place for place, _ in pairs if place not in both]
    table.grants.clear()
    return held


def _pieces(container: str, table: _Table, shape: CallShape, mode: Mode, open_: Collection[Column]) -> Iterator[Piece]:
    names = list(table.rows)
    columns = list(table.columns)
    lines = sorted((line for line in range(len(names)) if table.going[line]), key=names.__getitem__)
    groups = _connected(lines, table.going, len(columns)) if mode is Mode.STRICT else [lines] if lines else []
    for group in groups:
        for part in _parts(group, table.going):
            yield _piece(container, table, names, columns, part, shape, mode, open_)


def _connected(lines: Sequence[int], going: Sequence[Sequence[int]], width: int) -> list[list[int]]:
    """Lines in groups that share columns, each group and the groups themselves in the given order."""
    leader = list(range(len(going)))
    owner = [-1] * width

    def find(line: int) -> int:
        while leader[line] != line:
            leader[line] = line = leader[leader[line]]
        return line

    for line in lines:
        for other in set(map(owner.__getitem__, going[line])):
            if other >= 0:
                leader[find(other)] = find(line)
        for place in going[line]:
            owner[place] = line
    groups: dict[int, list[int]] = {}
    for line in lines:
        groups.setdefault(find(line), []).append(line)
    return list(groups.values())


def _parts(group: Sequence[int], going: Sequence[Sequence[int]]) -> Iterator[Sequence[int]]:
    """The group, cut where its matrix would not fit into memory."""
    width = len({place for line in group for place in going[line]})
    most = max(1, _MATRIX_BITS // width)
    for start in range(0, len(group), most):
        yield group[start : start + most]


def _piece(
    container: str,
    table: _Table,
    names: Sequence[str],
    columns: Sequence[Column],
    lines: Sequence[int],
    shape: CallShape,
    mode: Mode,
    open_: Collection[Column],
) -> Piece:
    used = sorted({place for line in lines for place in table.going[line]}, key=columns.__getitem__)
    bit = dict(zip(used, range(len(used)), strict=True))
    need = [_bits(map(bit.__getitem__, table.going[line]), len(used)) for line in lines]
    free = need
    if mode is not Mode.STRICT:
        wide = (1 << len(used)) - 1
        if mode is Mode.EMPTYING:
            wide = _bits([bit[place] for place in used if columns[place] in open_], len(used))
        kept = [_bits([bit[p] for p in table.kept.get(line, ()) if p in bit], len(used)) for line in lines]
        free = [own | (wide ^ (wide & shut)) for own, shut in zip(need, kept, strict=True)]
    free = need if free == need else free
    chosen = [columns[place] for place in used]
    row_groups = (((1 << len(lines)) - 1, shape.max_rows),)
    problem = make_problem(need, free, row_groups, _column_groups(chosen, shape), shape.max_cells, shape.overlap)
    return Piece(container, [names[line] for line in lines], chosen, problem)


def _column_groups(columns: Sequence[Column], shape: CallShape) -> Groups:
    """One group for each kind; sorted columns have their kinds side by side."""
    masks: dict[str, int] = {}
    for index, (kind, _) in enumerate(columns):
        masks[kind] = masks.get(kind, 0) | 1 << index
    most = shape.max_cells
    return tuple(
        (mask, shape.max_columns[kind] if most is None else min(shape.max_columns[kind], most))
        for kind, mask in masks.items()
    )


def _bits(places: Iterable[int], width: int) -> int:
    """A set from its members, in time proportional to its width."""
    text = bytearray(b"0") * width
    for place in places:
        text[-1 - place] = 49
    return int(text, 2)
