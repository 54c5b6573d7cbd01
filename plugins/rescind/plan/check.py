"""The independent check of a plan and of every final request.

It shares no code with the planner, only the types of :mod:`rescind.model`. It is kept simple on purpose: the planner
may be complicated, the check must be obvious. A call acts on every cell of its rows x columns. Each of these cells
must be approved, or be covered by the approved effect anyway (``emptied`` columns, or the absent cells that sparse
mode permits). No cell may hold a retained grant, and no cell may be in two calls.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass

from rescind.errors import BlastRadiusExceededError, PlanError
from rescind.model import CallShape, Cell, Mode, PlannedCall

Row = tuple[str, str]
"""(container, row)."""

Column = tuple[str, tuple[str, ...]]
"""(kind, column)."""

EmptiedColumn = tuple[str, str, tuple[str, ...]]
"""(container, kind, column): a column that the approved decision empties."""

NOTHING: frozenset[Column] = frozenset()


@dataclass(frozen=True, slots=True)
class PlanCheck:
    """What a plan that passed the check does.

    :param calls: calls checked.
    :param cells: distinct cells that are revoked.
    :param absent: distinct cells inside calls that hold no grant; 0 in strict mode.
    """

    calls: int
    cells: int
    absent: int


def check_plan(
    calls: Iterable[PlannedCall],
    revoke: Mapping[str, Cell],
    keep: Iterable[Cell],
    *,
    system: str,
    account: str,
    shape: CallShape,
    mode: Mode = Mode.STRICT,
    emptied: Set[EmptiedColumn] = frozenset(),
) -> PlanCheck:
    """Return whether the calls do exactly what was approved.

    :param revoke: grant id -> cell of every grant to revoke.
    :param keep: the cells of all other known grants, protected and unsupported ones included.
    :param emptied: columns that the approved decision empties; one with a retained cell is ignored.
    :raises BlastRadiusExceededError: a call would touch a kept grant, or a cell outside the approved effect.
    :raises PlanError: a cell is missed or covered twice, a call exceeds a limit, is empty or repeated, or belongs to
        another system or account.
    """
    if mode not in shape.modes:
        raise PlanError(f"mode {mode} is not one that this call allows: {', '.join(shape.modes)}")
    approved, kept = _by_row(revoke.values()), _by_row(keep)
    for key, columns in approved.items():
        _refuse_retained(key, columns & kept.get(key, NOTHING))
    free = _free(emptied, kept) if mode is Mode.EMPTYING else frozenset()
    covered: dict[Row, set[Column]] = {}
    seen: set[tuple[str, frozenset[str], frozenset[Column]]] = set()
    for call in calls:
        if (call.system, call.account) != (system, account):
            raise PlanError(f"call {call.call_id[:12]} is for {call.system}/{call.account}, not {system}/{account}")
        content = (call.container, frozenset(call.rows), frozenset(call.columns))
        if content in seen:
            raise PlanError(f"call {call.call_id[:12]} is planned twice")
        seen.add(content)
        _check_size(call, shape)
        _check_cells(call, approved, kept, free, mode)
        _cover(call, covered)
    _refuse_missed(approved, covered)
    cells = sum(map(len, approved.values()))
    return PlanCheck(len(seen), cells, sum(map(len, covered.values())) - cells)


def check_request(
    cells: Iterable[Cell],
    approved: Set[Cell],
    emptied: Set[EmptiedColumn] = frozenset(),
    *,
    absent: Set[Cell] = frozenset(),
    kept: Set[Cell] = frozenset(),
) -> int:
    """Return whether one final request, read back from its bytes, stays inside the approved effect.

    :param cells: every cell that the request acts on, expanded from the bytes that will be signed.
    :param approved: the cells approved for revocation in this plan.
    :param emptied: columns that the approved decision empties: their cells may be in the request in
        rows that hold an approved cell.
    :param absent: cells that a re-read right before has shown to be empty (sparse mode only).
    :param kept: cells known to hold a retained grant; no other parameter permits them.
    :returns: the number of approved cells that the request revokes.
    :raises BlastRadiusExceededError: for a cell outside, a retained cell, or a request without cells
        (it may mean everything).
    :raises PlanError: when the request revokes nothing that was approved.
    """
    rows = {(cell.container, cell.row) for cell in approved} if emptied else set()
    count = going = 0
    for cell in cells:
        count += 1
        if cell in kept:
            raise BlastRadiusExceededError(f"the request would revoke a retained grant: {_shown(cell)}")
        if cell in approved:
            going += 1
        elif cell not in absent and not (
            (cell.container, cell.kind, cell.column) in emptied and (cell.container, cell.row) in rows
        ):
            raise BlastRadiusExceededError(f"the request would touch a cell that was not approved: {_shown(cell)}")
    if not count:
        raise BlastRadiusExceededError("the request names no cell; it could mean everything")
    if not going:
        raise PlanError("the request revokes nothing that was approved")
    return going


def _by_row(cells: Iterable[Cell]) -> dict[Row, set[Column]]:
    rows: dict[Row, set[Column]] = {}
    for container, row, kind, column in cells:
        columns = rows.get((container, row))
        if columns is None:
            columns = rows[container, row] = set()
        columns.add((kind, column))
    return rows


def _free(emptied: Set[EmptiedColumn], kept: Mapping[Row, set[Column]]) -> frozenset[EmptiedColumn]:
    """Return emptied columns in which nothing is kept."""
    return frozenset(emptied) - {(key[0], *column) for key, columns in kept.items() for column in columns}


def _check_size(call: PlannedCall, shape: CallShape) -> None:
    rows, columns = len(call.rows), len(call.columns)
    problem = ""
    if not rows or not columns:
        problem = "names no rows or no columns; it could mean everything"
    elif len(set(call.rows)) < rows or len(set(call.columns)) < columns:
        problem = "names a row or a column twice"
    elif rows > shape.max_rows:
        problem = f"has {rows} rows, more than {shape.max_rows}"
    elif shape.max_cells is not None and rows * columns > shape.max_cells:
        problem = f"has {rows * columns} cells, more than {shape.max_cells}"
    for kind, count in Counter(kind for kind, _ in call.columns).items():
        if count > shape.max_columns.get(kind, 0):
            problem = f"has {count} columns of kind {kind!r}, more than {shape.max_columns.get(kind, 0)}"
    if problem:
        raise PlanError(f"call {call.call_id[:12]} {problem}")


def _check_cells(
    call: PlannedCall,
    approved: Mapping[Row, set[Column]],
    kept: Mapping[Row, set[Column]],
    free: Set[EmptiedColumn],
    mode: Mode,
) -> None:
    """Refuse retained cells, cells that the mode does not permit, and rows or columns without an approved cell."""
    columns = frozenset(call.columns)
    useful: set[Column] = set()
    for row in call.rows:
        key = (call.container, row)
        _refuse_retained(key, columns & kept.get(key, NOTHING))
        going = columns & approved.get(key, NOTHING)
        if not going:
            raise BlastRadiusExceededError(f"row {row!r} of {call.container!r} has no approved cell in its call")
        useful |= going
        if mode is Mode.SPARSE:
            continue
        for kind, column in columns - going:
            if (call.container, kind, column) not in free:
                cell = Cell(call.container, row, kind, column)
                raise BlastRadiusExceededError(f"a call would touch a cell that was not approved: {_shown(cell)}")
    for kind, column in columns - useful:
        raise BlastRadiusExceededError(f"column {kind} {column} of {call.container!r} has no approved cell in its call")


def _cover(call: PlannedCall, covered: dict[Row, set[Column]]) -> None:
    columns = frozenset(call.columns)
    for row in call.rows:
        before = covered.setdefault((call.container, row), set())
        if not before.isdisjoint(columns):
            kind, column = min(before & columns)
            raise PlanError(f"a cell is covered twice: {_shown(Cell(call.container, row, kind, column))}")
        before |= columns


def _refuse_retained(key: Row, columns: Set[Column]) -> None:
    if columns:
        kind, column = min(columns)
        raise BlastRadiusExceededError(f"a cell holds a retained grant: {_shown(Cell(*key, kind, column))}")


def _refuse_missed(approved: Mapping[Row, set[Column]], covered: Mapping[Row, set[Column]]) -> None:
    for key, columns in approved.items():
        missed = columns - covered.get(key, NOTHING)
        if missed:
            kind, column = min(missed)
            raise PlanError(f"the plan misses a cell: {_shown(Cell(*key, kind, column))}")


def _shown(cell: Cell) -> str:
    """Return the cell for a message, with control characters escaped."""
    return f"container {cell.container!r}, row {cell.row!r}, column {cell.kind} {cell.column}"
