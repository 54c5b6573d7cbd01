"""Cells as covering problems.

The cells of a container form a bit matrix over the rows and columns in which something is revoked. In strict mode,
rows that no chain of shared columns connects never share a call, so each connected part is a problem of its own. In
the other modes absent cells connect everything.
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

HELD_WITH_RETAINED = "shares its cell with a grant that is kept: no call can revoke one without the other"

_MATRIX_BITS = 1 << 30


@dataclass(frozen=True, slots=True, eq=False)
class Subproblem:
    """A covering problem, and the names of its rows and columns."""

    container: str
    rows: Sequence[str]
    columns: Sequence[Column]
    problem: Problem


@dataclass(slots=True)
class _Table:
    """The cells of one container. Rows and columns are numbered in the order of arrival.

    :ivar going: for each row the columns to revoke; ``grants`` holds the grant ids in the same order.
    :ivar retained: for each row the columns that hold a retained grant.
    :ivar not_emptied: columns to be emptied that hold a retained grant after all.
    """

    rows: dict[str, int] = field(default_factory=dict)
    columns: dict[Column, int] = field(default_factory=dict)
    going: list[list[int]] = field(default_factory=list)
    grants: list[list[str]] = field(default_factory=list)
    retained: dict[int, set[int]] = field(default_factory=dict)
    not_emptied: set[Column] = field(default_factory=set)


class Tables:
    """All cells of a plan, by container.

    :ivar held: grant id -> reason, for grants that share their cell with a retained grant.
    """

    def __init__(
        self,
        revoke: Iterable[tuple[Cell, str]],
        keep: Iterable[Cell],
        shape: CallShape,
        emptied: Collection[EmptiedColumn] = frozenset(),
    ) -> None:
        """Read the cells, once.

        :raises InputError: a column kind that the shape has no limit for.
        """
        self.shape = shape
        self._tables = _read(revoke, shape)
        self._emptied: dict[str, set[Column]] = {}
        for container, kind, column in emptied:
            self._emptied.setdefault(container, set()).add((kind, column))
        self._retain(keep)
        self.held: dict[str, str] = {}
        for table in self._tables.values():
            self.held |= _hold(table)

    def _retain(self, keep: Iterable[Cell]) -> None:
        """Note the retained cells in rows and columns of the tables."""
        nothing: set[Column] = set()
        for container, row, kind, column in keep:
            table = self._tables.get(container)
            number = table.columns.get((kind, column)) if table else None
            if table is None or number is None:
                continue
            if (kind, column) in self._emptied.get(container, nothing):
                table.not_emptied.add((kind, column))
            line = table.rows.get(row)
            if line is not None:
                table.retained.setdefault(line, set()).add(number)

    def subproblems(self, mode: Mode) -> Iterator[Subproblem]:
        """Return the problems of a mode, in the order of their containers."""
        for container in sorted(self._tables):
            table = self._tables[container]
            names = list(table.rows)
            rows = sorted((row for row in range(len(names)) if table.going[row]), key=names.__getitem__)
            groups = (
                _connected(rows, table.going, len(table.columns)) if mode is Mode.STRICT else [rows] if rows else []
            )
            for group in groups:
                for part in _parts(group, table.going):
                    yield self._subproblem(container, table, part, mode)

    def _subproblem(self, container: str, table: _Table, rows: Sequence[int], mode: Mode) -> Subproblem:
        names, columns = list(table.rows), list(table.columns)
        used = sorted({number for row in rows for number in table.going[row]}, key=columns.__getitem__)
        bit = dict(zip(used, range(len(used)), strict=True))
        need = [_bits(map(bit.__getitem__, table.going[row]), len(used)) for row in rows]
        free = need
        if mode is not Mode.STRICT:
            wide = (1 << len(used)) - 1
            if mode is Mode.EMPTYING:
                emptied = self._emptied.get(container, set()) - table.not_emptied
                wide = _bits([bit[number] for number in used if columns[number] in emptied], len(used))
            shut = [_bits([bit[n] for n in table.retained.get(row, ()) if n in bit], len(used)) for row in rows]
            free = [own | (wide ^ (wide & retained)) for own, retained in zip(need, shut, strict=True)]
        free = need if free == need else free
        chosen = [columns[number] for number in used]
        row_groups = (((1 << len(rows)) - 1, self.shape.max_rows),)
        problem = make_problem(need, free, row_groups, _column_groups(chosen, self.shape), self.shape.max_cells)
        return Subproblem(container, [names[row] for row in rows], chosen, problem)


def _read(revoke: Iterable[tuple[Cell, str]], shape: CallShape) -> dict[str, _Table]:
    tables: dict[str, _Table] = {}
    for (container, row, kind, column), grant_id in revoke:
        table = tables.get(container)
        if table is None:
            table = tables[container] = _Table()
        key = (kind, column)
        number = table.columns.get(key)
        if number is None:
            if kind not in shape.max_columns:
                problem = f"has no limit for kind {kind!r}, only {', '.join(sorted(shape.max_columns))}"
                raise InputError(
                    "CallShape.max_columns", problem, "Declare a limit for each kind of the system's cells"
                )
            number = table.columns[key] = len(table.columns)
        line = table.rows.get(row)
        if line is None:
            line = table.rows[row] = len(table.rows)
            table.going.append([])
            table.grants.append([])
        table.going[line].append(number)
        table.grants[line].append(grant_id)
    return tables


def _hold(table: _Table) -> dict[str, str]:
    """Take out the cells that hold both a grant to revoke and a retained one; return grant id -> reason."""
    held: dict[str, str] = {}
    for row, retained in table.retained.items():
        both = retained.intersection(table.going[row])
        if both:
            pairs = list(zip(table.going[row], table.grants[row], strict=True))
            held |= {grant_id: HELD_WITH_RETAINED for number, grant_id in pairs if number in both}
            table.going[row] = [number for number, _ in pairs if number not in both]
    table.grants.clear()
    return held


def _connected(rows: Sequence[int], going: Sequence[Sequence[int]], width: int) -> list[list[int]]:
    """Return the connected parts of the rows (union-find over shared columns), in the given order."""
    leader = list(range(len(going)))
    owner = [-1] * width

    def find(row: int) -> int:
        while leader[row] != row:
            leader[row] = row = leader[leader[row]]
        return row

    for row in rows:
        for other in set(map(owner.__getitem__, going[row])):
            if other >= 0:
                leader[find(other)] = find(row)
        for number in going[row]:
            owner[number] = row
    groups: dict[int, list[int]] = {}
    for row in rows:
        groups.setdefault(find(row), []).append(row)
    return list(groups.values())


def _parts(group: Sequence[int], going: Sequence[Sequence[int]]) -> Iterator[Sequence[int]]:
    """Return the rows, split where their matrix would not fit into memory."""
    width = len({number for row in group for number in going[row]})
    most = max(1, _MATRIX_BITS // width)
    for start in range(0, len(group), most):
        yield group[start : start + most]


def _column_groups(columns: Sequence[Column], shape: CallShape) -> Groups:
    """Return one group for each kind; in sorted columns the members of a kind are adjacent."""
    masks: dict[str, int] = {}
    for index, (kind, _) in enumerate(columns):
        masks[kind] = masks.get(kind, 0) | 1 << index
    most = shape.max_cells
    return tuple(
        (mask, shape.max_columns[kind] if most is None else min(shape.max_columns[kind], most))
        for kind, mask in masks.items()
    )


def _bits(numbers: Iterable[int], width: int) -> int:
    """Return a set from its members, in time proportional to its width."""
    text = bytearray(b"0") * width
    for number in numbers:
        text[-1 - number] = 49
    return int(text, 2)
