"""Cutting a refused call in two."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rescind.ledger import NewCall
from rescind.model import Grant, PlannedCall


def halves(
    call: PlannedCall, inverse: Mapping[str, Any], grants: Sequence[Grant]
) -> tuple[list[NewCall], dict[str, str]]:
    """Two calls that together cover the same cells, and which grant belongs to which.

    Cuts the longer side. ``inverse`` maps grant ids to what giving back needs; each half keeps its own.

    :returns: the two calls, and a call id for every grant id.
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
        part = PlannedCall(call.system, call.account, call.container, rows, columns)
        cells = part.cells()
        mine = [grant.grant_id for grant in grants if grant.cell in cells]
        owner |= dict.fromkeys(mine, part.call_id)
        parts.append(NewCall(part, {ident: inverse[ident] for ident in mine if ident in inverse}))
    return parts, owner
