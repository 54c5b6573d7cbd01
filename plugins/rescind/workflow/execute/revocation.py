"""Revoking: what may go, and what the final request of a call may touch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rescind.cloud.base import Prepared
from rescind.errors import NotFoundError, RefusedError
from rescind.ledger import Call
from rescind.model import Cell, Grant, GrantKey, ItemState, Mode
from rescind.plan.approved import Approved, read_approved
from rescind.plan.check import check_request
from rescind.workflow.execute.direction import ClaimedBatch, Screening
from rescind.workflow.execute.read_back import read_back

Protected = Callable[[Grant], str]
"""Returns why a grant is protected, or an empty text."""


@dataclass(slots=True)
class Revocation:
    """The direction of a batch that revokes; see :class:`~rescind.workflow.execute.direction.Direction`.

    :param protected: called for every grant right before a send.
    """

    batch: ClaimedBatch
    protected: Protected
    _approved: Approved | None = None

    def read_approved(self, asked: frozenset[GrantKey]) -> Approved:
        """Return which grants may go, and which columns may be emptied."""
        batch = self.batch
        pieces = batch.ledger.plans.effects(batch.run_id, batch.plan_digest)
        self._approved = read_approved(pieces, batch.system.name, batch.account, asked)
        return self._approved

    async def screen(self, grants: list[Grant]) -> Screening:
        """Skip a call when one of its grants is protected now, or when it would end more than was planned, or nothing.

        What ended with an earlier call stays approved: verification finds it absent.
        """
        reasons = {grant.grant_id: reason for grant in grants if (reason := self.protected(grant))}
        if reasons:
            return _skip(grants, reasons, ItemState.HELD, "a protected grant", "protected at send")
        ended: Mapping[str, str] = {}
        try:
            if not (more := await self.batch.system.also_ended(self.batch.client, grants)):
                ended = await self.batch.system.ended_with_others(self.batch.client, grants)
        except (NotFoundError, RefusedError) as error:  # of this call's resources: other calls can still be sent
            more = {
                grant.grant_id: f"the vendor does not show what the call would end ({error.code})" for grant in grants
            }
        if more:
            return _skip(grants, more, ItemState.STALE, "a grant that changed", "changed since the plan")
        left = [grant for grant in grants if grant.grant_id not in ended]
        return Screening(left, {}, next(iter(ended.values()), ""), "gone")

    async def absent_cells(self, call: Call, grants: list[Grant], own: set[Cell]) -> frozenset[Cell] | None:
        """Return the cells without a grant that the call may contain beyond emptied columns.

        In sparse mode these cells are listed again right before the send, so that access that was given since
        the plan stays.
        """
        approved = self._approved
        going = {grant.cell for grant in grants}
        others = call.planned.cells() - going
        if approved is None or not going or not others:
            return frozenset()
        system = self.batch.system
        if approved.mode is Mode.SPARSE:
            reading = await system.reread(self.batch.client, {system.listing_scope(grant) for grant in grants})
            return None if others & {grant.cell for grant in reading.grants} else others
        beyond = {c for c in others if (c.container, c.kind, c.column) not in approved.emptied}
        if not beyond <= own:
            return frozenset()  # not part of this plan: the check of the final request refuses it
        rows = {cell.row for cell in going}
        return None if beyond or any(cell.row not in rows for cell in others) else frozenset()

    def prepare(self, call: Call, grants: list[Grant], absent: frozenset[Cell]) -> Prepared[Any]:
        """Return the final request after comparing its blast radius with what was approved."""
        system = self.batch.system
        emptied = self._approved.emptied if self._approved else frozenset()
        prepared = self.batch.client.prepare(system.request(call.planned, grants))
        going = frozenset(system.cell(grant.key) for grant in grants)
        check_request(system.blast_radius(prepared), going, emptied, absent=absent)
        return prepared

    async def read_back(self, call: Call) -> bool:
        """Return True when a grant is still there and the call is open again."""
        batch = self.batch
        return await read_back(batch.ledger, batch.system, batch.client, batch.lease, call)


def _skip(grants: list[Grant], reasons: Mapping[str, str], state: ItemState, beside: str, why: str) -> Screening:
    """Return that nothing of a call is sent.

    :param reasons: by grant id. The other grants share the call with these.
    """
    shared = f"shares a call with {beside}"
    moves = {grant.grant_id: (state, reasons.get(grant.grant_id, shared)) for grant in grants}
    return Screening([], moves, f"{why}: {next(iter(reasons.values()))}", str(state))
