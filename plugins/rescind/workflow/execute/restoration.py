"""Restoring: what may be granted again, and what the final request of a call may grant.

The steps of a send are those of :mod:`rescind.workflow.execute.batch_sender`. Restoring differs from revoking:

- Its listing scopes are read right before a call. Grants that somebody else gave again are skipped.
- A call names exactly the grants to restore, at the level and expiry that were captured and approved.
- After an unknown outcome the platform is read until the grant is certainly absent. Where a second attempt would add
  a second record, this takes as long as verification would wait for the platform.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from rescind.cloud.base import Prepared
from rescind.cloud.client import CloudClient
from rescind.errors import BlastRadiusExceededError
from rescind.ledger import Call, Ledger
from rescind.model import IN_DOUBT, Cell, Grant, GrantKey, ItemState, Mode, Verdict, canonical
from rescind.plan.approved import Approved
from rescind.plan.restore_effects import Inverse, read_restores
from rescind.systems.base import ListingScope, PermissionSystem
from rescind.workflow.execute.direction import ClaimedBatch, Screening
from rescind.workflow.execute.listings import ListingsRead, match_regranted, read_listings
from rescind.workflow.execute.verification.settle_reads import CLEAN_READS

FRESH_SECONDS = 30.0
"""Oldest listing on which a send may rely."""
ALREADY_REGRANTED = "already re-granted by somebody else; nothing was sent"
REGRANTED_DIFFERENTLY = "already re-granted with a different level or expiry; skipped"
PRESENT = frozenset({ItemState.ACCEPTED, ItemState.RESTORED})
"""States of items that are on the platform again, as far as is known."""


@dataclass(slots=True)
class Restoration:
    """The direction of a batch that restores; see :class:`~rescind.workflow.execute.direction.Direction`.

    :param batch: its client is the granting connection and is used for nothing else.
    :param reader: reads the platform through the connection of the review.
    :param source_run_id: the run whose snapshot holds the grants.
    """

    batch: ClaimedBatch
    reader: CloudClient
    source_run_id: str
    settle_seconds: float
    settle_limit_seconds: float
    _gifts: dict[GrantKey, Inverse] = field(default_factory=dict)
    _peers: dict[tuple[str, ...], list[Grant]] = field(default_factory=dict)
    _in_source: dict[str, bool] = field(default_factory=dict)
    _read: dict[ListingScope, tuple[float, tuple[Grant, ...]]] = field(default_factory=dict)
    _locks: dict[ListingScope, asyncio.Lock] = field(default_factory=dict)
    _asking: asyncio.Lock = field(default_factory=asyncio.Lock)
    _gone_holders: Mapping[str, str] | None = None

    def read_approved(self, asked: frozenset[GrantKey]) -> Approved:
        """Return the grants that the approved digest covers, and load the items that may share a slot with them."""
        batch, account = self.batch, self.batch.account
        effects = batch.ledger.plans.effects(batch.run_id, batch.plan_digest)
        self._gifts = read_restores(effects, batch.system.name, account)
        self._peers = items_by_slot(batch.ledger, batch.system, batch.run_id, self.source_run_id, account)
        return Approved(Mode.STRICT, frozenset(self._gifts), frozenset())

    async def screen(self, grants: list[Grant]) -> Screening:
        """Settle without a request what was granted again or cannot be granted any more."""
        if not grants:
            return Screening(grants)
        system = self.batch.system
        seen = await self._listed({system.listing_scope(grant) for grant in grants})
        for error in seen.failed.values():
            raise error
        same, otherwise = await self._matched(grants, seen)
        gone = await self._holders_gone()
        moves: dict[str, tuple[ItemState, str]] = {}
        for grant in grants:
            listing_scope = system.listing_scope(grant)
            if grant.grant_id in same:
                moves[grant.grant_id] = (ItemState.RESTORED, ALREADY_REGRANTED)
            elif grant.grant_id in otherwise:
                moves[grant.grant_id] = (ItemState.HELD, REGRANTED_DIFFERENTLY)
            elif listing_scope in seen.gone:
                moves[grant.grant_id] = (ItemState.HELD, seen.why_gone(listing_scope))
            elif grant.grant_id in gone:
                moves[grant.grant_id] = (ItemState.HELD, gone[grant.grant_id])
        left = [grant for grant in grants if grant.grant_id not in moves]
        return Screening(left, moves, "nothing left to restore: already re-granted, or gone", "left_alone")

    async def absent_cells(self, call: Call, grants: list[Grant], own: set[Cell]) -> frozenset[Cell] | None:
        """Return no cells. A call grants every cell that it names, so it must name exactly those to restore."""
        return frozenset() if call.planned.cells() == {grant.cell for grant in grants} else None

    def prepare(self, call: Call, grants: list[Grant], absent: frozenset[Cell]) -> Prepared[Any]:
        """Return the final request after comparing everything that it would grant with what was approved."""
        system = self.batch.system
        wanted = [self._gifts[grant.key] for grant in grants]
        prepared = self.batch.client.prepare(system.restore_request(wanted))
        given, approved = (Counter(map(canonical, side)) for side in (system.given(prepared), wanted))
        if given != approved:
            raise BlastRadiusExceededError(
                f"the final {prepared.action} would grant {(given - approved).total()} grants that were not approved, "
                f"or lack {(approved - given).total()}. It was not sent"
            )
        return prepared

    async def read_back(self, call: Call) -> bool:
        """Return True when a grant is certainly absent and the call is open again."""
        ledger = self.batch.ledger
        pairs = await asyncio.to_thread(ledger.plans.item_grants, call.run_id, call.call_id)
        open_ = IN_DOUBT | {ItemState.REFUSED}
        absent = await self._certainly_absent([grant for item, grant in pairs if item.state in open_])
        if not absent:
            return False
        await asyncio.to_thread(
            ledger.batches.reopen,
            self.batch.lease,
            call.call_id,
            present=sorted(absent),
            method="read-back",
            observed_at=datetime.now(UTC),
            reason="absent after " + ("a refusal" if call.state == "refused" else "an unknown outcome"),
            verdict=Verdict.UNVERIFIED,
        )
        return True

    async def _holders_gone(self) -> Mapping[str, str]:
        """Return the grants whose principal cannot hold anything any more; the platform is asked once a batch."""
        async with self._asking:
            if self._gone_holders is None:
                every = [grant for grants in self._peers.values() for grant in grants]
                self._gone_holders = await self.batch.system.gone_holders(self.reader, every)
        return self._gone_holders

    async def _certainly_absent(self, grants: list[Grant]) -> set[str]:
        """Return the ids that no complete listing showed, read after read; none when a listing fails."""
        system = self.batch.system
        listings = {system.listing_scope(grant) for grant in grants}
        patience = 0.0 if system.restore_is_idempotent else self.settle_limit_seconds
        began, pause, reads = time.monotonic(), self.settle_seconds, 0
        absent = {grant.grant_id for grant in grants}
        while absent:
            for listing_scope in listings:
                self._read.pop(listing_scope, None)
            seen = await self._listed(listings)
            if seen.failed or seen.gone:
                return set()
            same, otherwise = await self._matched(grants, seen)
            absent -= same.keys() | otherwise.keys()
            reads += 1
            if reads >= CLEAN_READS and time.monotonic() - began >= patience:
                break
            await asyncio.sleep(pause)
            pause *= 1.5
        return absent

    async def _listed(self, listings: set[ListingScope]) -> ListingsRead:
        """Return the listings, none older than :data:`FRESH_SECONDS`."""
        async with AsyncExitStack() as stack:
            # Always in the same order, so that two calls never wait for each other.
            for listing_scope in sorted(listings):
                await stack.enter_async_context(self._locks.setdefault(listing_scope, asyncio.Lock()))
            return await self._refreshed(listings)

    async def _refreshed(self, listings: set[ListingScope]) -> ListingsRead:
        now = time.monotonic()
        stale = {
            listing_scope
            for listing_scope in listings
            if now - self._read.get(listing_scope, (-FRESH_SECONDS, ()))[0] >= FRESH_SECONDS
        }
        seen = await read_listings(self.batch.system, self.reader, stale) if stale else ListingsRead()
        self._read |= {listing_scope: (now, grants) for listing_scope, grants in seen.shown.items()}
        new = [grant.grant_id for grant in seen.grants() if grant.grant_id not in self._in_source]
        if new:
            before = await asyncio.to_thread(self.batch.ledger.snapshot.grants_by_id, self.source_run_id, new)
            self._in_source |= {grant_id: grant_id in before for grant_id in new}
        seen.shown |= {listing_scope: self._read[listing_scope][1] for listing_scope in listings - stale}
        return seen

    async def _matched(self, grants: list[Grant], seen: ListingsRead) -> tuple[dict[str, Grant], dict[str, Grant]]:
        """See :func:`match_regranted`; items in the same slot that are present already choose first."""
        ledger, system = self.batch.ledger, self.batch.system
        slots = {system.slot(grant.key) for grant in grants}
        peers = [grant for slot in slots for grant in self._peers[slot]]
        if len(peers) > len(slots):
            states = await asyncio.to_thread(item_states, ledger, self.batch.run_id)
            peers.sort(key=lambda grant: (states[grant.grant_id] not in PRESENT, grant.grant_id))
        known = {grant_id for grant_id, before in self._in_source.items() if before}
        return match_regranted(system, peers, seen.grants(), known)


def item_states(ledger: Ledger, run_id: str) -> dict[str, ItemState]:
    """Return the state of each item of the live plan by grant id."""
    return {item.grant_id: item.state for item in ledger.plans.items(run_id)}


def items_by_slot(
    ledger: Ledger, system: PermissionSystem[Any], run_id: str, source_run_id: str, account: str
) -> dict[tuple[str, ...], list[Grant]]:
    """Return the grants of the live plan on one account by slot.

    A slot has several grants where a vendor allows equal records.
    """
    ids = [item.grant_id for item in ledger.plans.items(run_id)]
    slots: defaultdict[tuple[str, ...], list[Grant]] = defaultdict(list)
    for _, grant in sorted(ledger.snapshot.grants_by_id(source_run_id, ids).items()):
        if (grant.key.system, grant.key.account) == (system.name, account):
            slots[system.slot(grant.key)].append(grant)
    return dict(slots)
