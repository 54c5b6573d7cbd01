"""One system and account of a revocation's plan, while it is made."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from rescind.model import Cell, Decision, Grant, GrantKey, Mode, PlannedCall, PrincipalType
from rescind.plan import Cover
from rescind.plan.check import EmptiedColumn
from rescind.plan.guards import PrincipalPlace
from rescind.review.emptying import Emptying

LOST_BESIDE = "lost_beside"
"""Fact of a decision that closes a path: how much else its principal loses."""
LOSING = "losing"
"""Fact of a decision that closes a path: ids of the people who lose what the grant of a group gives."""
Account = tuple[str, str]
"""(system, account)."""


@dataclass(slots=True)
class PlanPart:
    """One system and account of the plan.

    A population may be a thousand times larger than the planned grants. So of the retained grants, only cells are
    stored that a call could contain.

    :ivar keep: cells of retained grants that a call could contain.
    :ivar beside: by principal, what is lost with the removals that close paths.
    :ivar named: the note about the named people, where nobody else is listed completely.
    :ivar emptied: columns from which the decisions revoke every grant, as (container, kind, column).
    """

    conn_id: str
    identity: str
    revoke: dict[str, Grant] = field(default_factory=dict)
    keep: list[Cell] = field(default_factory=list)
    held: dict[str, str] = field(default_factory=dict)
    beside: Counter[PrincipalPlace] = field(default_factory=Counter)
    emptied: set[EmptiedColumn] = field(default_factory=set)
    mode: Mode = Mode.STRICT
    cover: Cover | None = None
    named: Mapping[str, Any] | None = None
    by_cell: dict[Cell, list[Grant]] = field(default_factory=dict)

    def take(self, grants: Iterable[tuple[Grant, Decision]], emptying: Emptying | None) -> None:
        """Add the grants to revoke."""
        for grant, decision in grants:
            lean = _lean(grant)
            self.revoke[lean.grant_id] = lean
            place = lean.key[:2]
            if lost := decision.facts.get(LOST_BESIDE):
                self.beside[*place, lean.key.principal_type, lean.key.principal_id] += lost
            self.beside.update((*place, str(PrincipalType.USER), one) for one in decision.facts.get(LOSING, ()))
            if emptying is not None and emptying.empties(lean.key, decision.rule):
                self.emptied.add(_column(lean.cell))

    def columns(self) -> set[EmptiedColumn]:
        """Return the columns of the grants to revoke. Whatever mode it has, a call contains cells of these only."""
        return {_column(grant.cell) for grant in self.revoke.values()}

    def leave(self, grants: Iterable[Grant], *, sparse: bool) -> None:
        """Add the retained grants that a call could contain, after all grants to revoke were added.

        A call contains cells to revoke, cells of emptied columns and, if it may be ``sparse``, any cell of its rows
        and columns.

        :param grants: the retained grants in :meth:`columns`.
        """
        going = {grant.cell for grant in self.revoke.values()}
        columns = self.columns() if sparse else self.emptied
        rows = {(cell.container, cell.row) for cell in going} if sparse else set()
        for grant in grants:
            cell = grant.cell
            column = _column(cell)
            if cell in going or (column in columns and ((cell.container, cell.row) in rows or column in self.emptied)):
                self.keep.append(_lean_cell(cell))

    def hold(self, grant_id: str, reason: str) -> None:
        """Hold a grant: no call may contain its cell."""
        grant = self.revoke.pop(grant_id)
        self.keep.append(grant.cell)
        self.held[grant_id] = reason

    def going(self) -> Iterator[tuple[Cell, str]]:
        """Yield (cell, grant id) of every grant to revoke."""
        return ((grant.cell, grant_id) for grant_id, grant in self.revoke.items())

    def grants_of(self, call: PlannedCall) -> Iterator[Grant]:
        """Yield the grants that a call revokes, by cell."""
        if not self.by_cell:
            for grant in self.revoke.values():
                self.by_cell.setdefault(grant.cell, []).append(grant)
        return (grant for cell in sorted(call.cells()) for grant in self.by_cell.get(cell, ()))

    def reached(self, cover: Cover) -> set[EmptiedColumn]:
        """Return the columns in which a call contains a cell without a grant to revoke."""
        going = {cell for cell, _ in self.going()}
        return {_column(cell) for call in cover.calls for cell in call.cells() if cell not in going}


def _column(cell: Cell) -> EmptiedColumn:
    return cell.container, cell.kind, cell.column


def _lean(grant: Grant) -> Grant:
    """Return the same grant with interned texts."""
    return replace(
        grant,
        key=GrantKey(*map(sys.intern, grant.key)),
        cell=_lean_cell(grant.cell),
        origin=sys.intern(grant.origin),
        principal_name=sys.intern(grant.principal_name),
        resource_name=sys.intern(grant.resource_name),
    )


def _lean_cell(cell: Cell) -> Cell:
    container, row, kind, column = cell
    return Cell(sys.intern(container), sys.intern(row), sys.intern(kind), tuple(map(sys.intern, column)))
