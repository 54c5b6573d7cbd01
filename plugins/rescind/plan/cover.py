"""The fewest calls for one account of one system: the entry point of the planner."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from random import Random

from rescind.errors import InputError
from rescind.model import CallShape, Cell, Mode, PlannedCall
from rescind.plan.solver.bitsets import members
from rescind.plan.solver.problem import Clock, Rect
from rescind.plan.solver.solve import solve
from rescind.plan.solver.tables import EmptiedColumn, Subproblem, Tables


@dataclass(frozen=True, slots=True)
class Cover:
    """Calls that revoke every cell to revoke, once, and touch no cell to keep.

    :param calls: the calls, by container.
    :param mode: how the calls treat cells that hold no grant.
    :param lower_bound: every cover in this mode has at least so many calls.
    :param proven: True when ``calls`` meets the bound.
    :param gap: calls / lower bound - 1, exactly; 0 when proven.
    :param held: grant id -> reason, for grants that cannot be separated from a kept one. They are not planned.
    :param cells: cells to revoke.
    :param absent: cells inside the calls that hold no grant; 0 in strict mode.
    """

    calls: tuple[PlannedCall, ...]
    mode: Mode
    lower_bound: int
    proven: bool
    gap: Fraction
    held: Mapping[str, str]
    cells: int
    absent: int


def plan_calls(
    system: str,
    account: str,
    shape: CallShape,
    revoke: Iterable[tuple[Cell, str]],
    keep: Iterable[Cell],
    *,
    modes: Sequence[Mode] = (Mode.STRICT,),
    emptied: Collection[EmptiedColumn] = frozenset(),
    budget_s: float = 2.0,
    seed: int = 0,
) -> Cover:
    """Return the cover with the fewest calls that is found within the budget.

    Equal input (in any order), seed and budget give equal calls, unless the machine is so slow that the time
    limit ends the search before the count of work does.

    :param revoke: (cell, grant id) of everything to revoke; read once.
    :param keep: every cell of the same containers that holds a retained grant; read once.
    :param modes: the modes to try, in this order. A later mode is chosen only if it takes fewer calls.
        Strict: calls contain nothing but cells to revoke. Emptying: also absent cells of ``emptied`` columns.
        Sparse: also any other absent cell.
    :param emptied: (container, kind, column) that the decision empties. Ignored outside mode emptying, and for a
        column in which a grant is retained.
    :param budget_s: seconds of search for each mode, after everything was read; there is a cover in any case.
    :raises InputError: a mode or column kind that the shape does not allow, a limit below 1, or no mode.
    """
    _check(shape, modes, budget_s)
    tables = Tables(revoke, keep, shape, emptied)
    best: Cover | None = None
    for mode in modes:
        # One call a container cannot be improved.
        if best is None or len(best.calls) > len({call.container for call in best.calls}):
            cover = _cover(system, account, tables, mode, budget_s, seed)
            best = cover if best is None or len(cover.calls) < len(best.calls) else best
    assert best is not None
    return best


def _cover(system: str, account: str, tables: Tables, mode: Mode, budget_s: float, seed: int) -> Cover:
    clock = Clock(budget_s)
    calls: list[PlannedCall] = []
    bounds: dict[str, list[int]] = {}
    cells = covered = 0
    for part, share in _in_turn(list(tables.subproblems(mode))):
        inner = clock.share(share)
        rects, bound = solve(part.problem, Random(f"{seed}/{part.container}/{part.rows[0]}"), inner)
        clock.take_back(inner)
        bounds.setdefault(part.container, []).append(bound)
        cells += part.problem.cells()
        covered += sum(len(rows) * columns.bit_count() for rows, columns in rects)
        calls.extend(_named(system, account, part, rects))
    calls.sort(key=lambda call: (call.container, -len(call.rows) * len(call.columns), call.rows, call.columns))
    # Connected parts share no call in strict mode. In other modes parts of a container could.
    bound = sum(sum(parts) if mode is Mode.STRICT else max(parts) for parts in bounds.values())
    gap = Fraction(len(calls), bound) - 1 if bound else Fraction(0)
    return Cover(tuple(calls), mode, bound, not gap, gap, tables.held, cells, covered - cells)


def _check(shape: CallShape, modes: Sequence[Mode], budget_s: float) -> None:
    for mode in modes:
        if mode not in shape.modes:
            problem = f"{mode} is not one of {', '.join(shape.modes)}"
            raise InputError("mode", problem, "Choose a mode that the call allows")
    if not modes:
        raise InputError("modes", "is empty", "Give at least one mode")
    limits = {"max_rows": shape.max_rows, "max_cells": shape.max_cells, **shape.max_columns}
    for name, limit in limits.items():
        if limit is not None and limit < 1:
            raise InputError(f"CallShape.{name}", f"is {limit}", "Give a limit of at least 1")
    if not budget_s > 0:
        raise InputError("budget_s", f"is {budget_s}", "Give a positive number of seconds, for example 2")


def _in_turn(found: Sequence[Subproblem]) -> Iterator[tuple[Subproblem, float]]:
    """Return small problems first, each with its share of the budget that is left; unused budget passes on."""
    ordered = sorted(found, key=lambda part: part.problem.cells())
    left = sum(part.problem.cells() for part in ordered)
    for part in ordered:
        cells = part.problem.cells()
        yield part, cells / left
        left -= cells


def _named(system: str, account: str, part: Subproblem, rects: Iterable[Rect]) -> Iterator[PlannedCall]:
    for rows, columns in rects:
        yield PlannedCall(
            system,
            account,
            part.container,
            tuple(part.rows[row] for row in sorted(rows)),
            tuple(part.columns[column] for column in members(columns)),
        )
