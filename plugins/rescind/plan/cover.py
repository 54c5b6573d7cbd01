"""The fewest calls for one account of one system: the public face of the planner."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from random import Random

from rescind.errors import InputError
from rescind.model import CallShape, Cell, Mode, PlannedCall
from rescind.plan.solver.bitsets import members
from rescind.plan.solver.pieces import EmptiedColumn, Piece, pieces
from rescind.plan.solver.problem import Clock, Rect
from rescind.plan.solver.solve import solve, stream


@dataclass(frozen=True, slots=True)
class Cover:
    """Calls that take away every cell to revoke and no cell to keep.

    :param calls: the calls, by container.
    :param lower_bound: no set of calls with fewer members does it.
    :param proven: True when ``calls`` meets the bound.
    :param gap: calls / lower bound - 1, exactly; 0 when proven.
    :param held: grant id -> reason, for grants that cannot be separated from a kept one. Never planned.
    :param cells: cells that go.
    :param absent: cells inside the calls that hold no grant, each counted once; 0 in strict mode.
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

    def statement(self) -> str:
        """What is known about the number of calls, in words."""
        if self.proven:
            return f"{len(self.calls)} calls: optimal, proven"
        return f"{len(self.calls)} calls; at least {self.lower_bound} are needed (gap {float(self.gap):.1%})"


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
    """The fewest calls found within the budget.

    Equal input (in any order), seed and budget give equal calls, unless the machine is so slow that the time
    limit ends the search before the count of work does.

    :param revoke: (cell, grant id) of everything that is to go; read once.
    :param keep: every cell of the containers concerned that holds a grant that stays; read once.
    :param mode: what calls may contain besides: nothing (strict), absent cells of ``emptied`` columns, any absent cell.
    :param emptied: (container, kind, column) that the decision empties; ignored outside mode emptying, and for
        a column in which a grant is kept after all.
    :param budget_s: seconds for the search, after everything was read; first calls are found in any case.
    :raises InputError: a mode or column kind that the shape does not allow, or a limit below 1.
    """
    begin = time.monotonic()
    _check(shape, mode, budget_s)
    found, held = pieces(revoke, keep, shape, mode, emptied)
    clock = Clock(budget_s)
    calls: list[PlannedCall] = []
    bounds: dict[str, list[int]] = {}
    cells = absent = 0
    for piece, share in _in_turn(found):
        inner = clock.share(share)
        rects, bound = solve(piece.problem, Random(f"{seed}/{piece.container}/{piece.rows[0]}"), inner)
        clock.take_back(inner)
        bounds.setdefault(piece.container, []).append(bound)
        needed = piece.problem.cells()
        cells += needed
        absent += _covered(rects, len(piece.rows)) - needed
        calls.extend(_named(system, account, piece, rects))
    calls.sort(key=lambda call: (call.container, -len(call.rows) * len(call.columns), call.rows, call.columns))
    bound = sum(sum(parts) if mode is Mode.STRICT else max(parts) for parts in bounds.values())
    gap = Fraction(len(calls), bound) - 1 if bound else Fraction(0)
    return Cover(tuple(calls), bound, not gap, gap, held, cells, absent, time.monotonic() - begin)


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
    rate: float = 20.0,
) -> Iterator[PlannedCall]:
    """The calls of a plan one by one, each final when it comes.

    The first calls come at once, as many as a sender at ``rate`` calls per second takes until the rest is planned
    with the whole budget. The price is that these first ones are not improved any more.
    """
    _check(shape, mode, budget_s)
    found, _ = pieces(revoke, keep, shape, mode, emptied)
    clock = Clock(budget_s)
    head = int(rate * budget_s) + 1
    for piece, share in _in_turn(found):
        inner = clock.share(share)
        for rect in stream(piece.problem, Random(f"{seed}/{piece.container}/{piece.rows[0]}"), inner, head):
            yield from _named(system, account, piece, [rect])
        clock.take_back(inner)


def _check(shape: CallShape, mode: Mode, budget_s: float) -> None:
    if mode not in shape.modes:
        raise InputError("mode", f"{mode} is not one of {', '.join(shape.modes)}", "Choose a mode that the call allows")
    limits = {"max_rows": shape.max_rows, "max_cells": shape.max_cells, **shape.max_columns}
    for name, limit in limits.items():
        if limit is not None and limit < 1:
            raise InputError(f"CallShape.{name}", f"is {limit}", "Give a limit of at least 1")
    if not budget_s > 0:
        raise InputError("budget_s", f"is {budget_s}", "Give the search some time, for example 2 seconds")


def _in_turn(found: Sequence[Piece]) -> Iterator[tuple[Piece, float]]:
    """Small pieces first, each with its share of the budget that is left; what it does not use goes to the others."""
    ordered = sorted(found, key=lambda piece: piece.problem.cells())
    left = sum(piece.problem.cells() for piece in ordered)
    for piece in ordered:
        cells = piece.problem.cells()
        yield piece, cells / left
        left -= cells


def _named(system: str, account: str, piece: Piece, rects: Iterable[Rect]) -> Iterator[PlannedCall]:
    for rows, columns in rects:
        yield PlannedCall(
            system,
            account,
            piece.container,
            tuple(piece.rows[row] for row in sorted(rows)),
            tuple(piece.columns[column] for column in members(columns)),
        )


def _covered(rects: Iterable[Rect], height: int) -> int:
    """How many cells the rectangles cover."""
    lines = [0] * height
    for rows, columns in rects:
        for row in rows:
            lines[row] |= columns
    return sum(bits.bit_count() for bits in lines)
