"""Splits a call that cannot be sent as a whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rescind.ledger import NewCall
from rescind.model import Cell, Grant, PlannedCall


def halves(
    call: PlannedCall, inverse: Mapping[str, Any], grants: Sequence[Grant]
) -> tuple[list[NewCall], dict[str, str]]:
    """Split a call into at most two calls that together contain the given grants.

    The longer side is cut. A half has only the rows and columns with one of the grants, so that it contains as few
    cells without a grant as possible.

    :param inverse: by grant id, what a restore needs; each half has its own.
    :returns: the calls, and a call id for every grant id.
    """
    if len(call.rows) >= len(call.columns):
        middle = len(call.rows) // 2
        cuts = [(call.rows[:middle], call.columns), (call.rows[middle:], call.columns)]
    else:
        middle = len(call.columns) // 2
        cuts = [(call.rows, call.columns[:middle]), (call.rows, call.columns[middle:])]
    parts: list[NewCall] = []
    owner: dict[str, str] = {}
    for rows, columns in cuts:
        inside = PlannedCall(call.system, call.account, call.container, rows, columns).cells()
        mine = [grant for grant in grants if grant.cell in inside]
        if mine:
            part = _around(call, {grant.cell for grant in mine})
            owner |= dict.fromkeys((grant.grant_id for grant in mine), part.call_id)
            parts.append(NewCall(part, {g.grant_id: inverse[g.grant_id] for g in mine if g.grant_id in inverse}))
    return parts, owner


def _around(call: PlannedCall, cells: set[Cell]) -> PlannedCall:
    """Return a call with the rows and columns that contain these cells."""
    rows, columns = {cell.row for cell in cells}, {(cell.kind, cell.column) for cell in cells}
    return PlannedCall(
        call.system,
        call.account,
        call.container,
        tuple(row for row in call.rows if row in rows),
        tuple(column for column in call.columns if column in columns),
    )
