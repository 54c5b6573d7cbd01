"""Gives back what a run took away, and sees that it is there again.

The steps of sending are those of revoking (:mod:`rescind.workflow.execute.revoke_batch`). What differs:

- right before a call its places are read: what somebody gave again meanwhile is left alone;
- a call holds nothing but what is to be given back, at the level and end that were captured and approved;
- sent and not answered is read back until the grant is surely not there. Where a second try would add a second
  record, that takes as long as verification would wait for the platform.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from rescind.cloud.base import Prepared
from rescind.cloud.client import CloudClient
from rescind.errors import BlastRadiusExceededError
from rescind.ledger import Call, Ledger, RetainedCheck, VerdictRecord
from rescind.model import IN_DOUBT, TO_VERIFY, Cell, Grant, GrantKey, ItemState, Mode, Verdict, canonical
from rescind.plan.approved import Approved
from rescind.plan.restore_effects import Inverse, read_restores
from rescind.systems.base import ListingScope, PermissionSystem, account_of
from rescind.workflow.execute.listings import ListingsRead, answers, read_listings, there_again
from rescind.workflow.execute.revoke_batch import BatchRunner
from rescind.workflow.execute.settle_reads import CLEAN_READS

FRESH_SECONDS = 30.0
"""How old a reading of a place may be when something is given there."""
ALREADY = "there again already: somebody else gave it, nothing was sent"
OTHERWISE = "there again with another level or end: left alone"
_EXAMPLES = 50
_THERE = (ItemState.ACCEPTED, ItemState.RESTORED)


@dataclass(slots=True, kw_only=True)
class RestoreRunner(BatchRunner):
    """Sends what is still to be given back of one batch.

    :param client: the granting connection; it is asked for nothing but the giving.
    :param reader: reads the platform, with the connection that the review was made with.
    :param source_run_id: the run whose snapshot holds the grants.
    """

    reader: CloudClient
    source_run_id: str
    settle_seconds: float
    settle_limit_seconds: float
    _gifts: dict[GrantKey, Inverse] = field(default_factory=dict)
    _peers: dict[tuple[str, ...], list[Grant]] = field(default_factory=dict)
    _known: dict[str, bool] = field(default_factory=dict)
    _read: dict[ListingScope, tuple[float, tuple[Grant, ...]]] = field(default_factory=dict)
    _locks: dict[ListingScope, asyncio.Lock] = field(default_factory=dict)
    _asking: asyncio.Lock = field(default_factory=asyncio.Lock)
    _gone: Mapping[str, str] | None = None

    def _read_approved(self) -> Approved:
        """The gifts that the approved digest covers, and the items that may share a slot with them."""
        run_id, account = self.lease.run_id, account_of(self.client)
        self._gifts = read_restores(self.ledger.plans.effects(run_id, self.plan_digest), self.system.name, account)
        asked = frozenset(self.ledger.plans.batch_keys(run_id, self.lease.batch_id))
        approved = Approved(Mode.STRICT, frozenset(self._gifts), frozenset())
        self._refuse_beyond(approved, asked)
        self._peers = items_by_slot(self.ledger, self.system, run_id, self.source_run_id, account)
        return approved

    async def _sendable(self, call: Call, grants: list[Grant]) -> list[Grant] | None:
        """What is still to be given; what is there again or cannot be there any more is settled without a send."""
        if not grants:
            return grants
        seen = await self._reading({self.system.listing_scope(grant) for grant in grants})
        for error in seen.failed.values():
            raise error
        same, otherwise = await self._there(grants, seen)
        gone = await self._gone_holders()
        moves: dict[str, tuple[ItemState, str]] = {}
        for grant in grants:
            listing_scope = self.system.listing_scope(grant)
            if grant.grant_id in same:
                moves[grant.grant_id] = (ItemState.RESTORED, ALREADY)
            elif grant.grant_id in otherwise:
                moves[grant.grant_id] = (ItemState.HELD, OTHERWISE)
            elif listing_scope in seen.gone:
                moves[grant.grant_id] = (
                    ItemState.HELD,
                    f"its resource is not there any more ({seen.gone[listing_scope]})",
                )
            elif grant.grant_id in gone:
                moves[grant.grant_id] = (ItemState.HELD, gone[grant.grant_id])
        left = [grant for grant in grants if grant.grant_id not in moves]
        if left:
            if moves:
                await self._db(self.ledger.batches.set_items, self.lease, moves)
            return left
        settled = "nothing left to give: there again, or gone"
        await self._db(self.ledger.batches.set_call, self.lease, call.call_id, "skipped", reason=settled, items=moves)
        self.report.outcomes["left_alone"] += 1
        return None

    async def _gone_holders(self) -> Mapping[str, str]:
        """Who can hold nothing any more, asked once for each batch."""
        async with self._asking:
            if self._gone is None:
                every = [grant for grants in self._peers.values() for grant in grants]
                self._gone = await self.system.gone_holders(self.reader, every)
        return self._gone

    async def _absent(self, call: Call, grants: list[Grant], own: set[Cell]) -> frozenset[Cell] | None:
        """A call gives every cell that it names, so it must name exactly what is to be given."""
        return frozenset() if call.planned.cells() == {grant.cell for grant in grants} else None

    def _prepared(self, call: Call, grants: list[Grant], absent: frozenset[Cell]) -> Prepared[Any]:
        """The final request, after everything that it could give was held against what was approved."""
        wanted = [self._gifts[grant.key] for grant in grants]
        prepared = self.client.prepare(self.system.restore_request(wanted))
        given, approved = (Counter(map(canonical, side)) for side in (self.system.given(prepared), wanted))
        if given != approved:
            raise BlastRadiusExceededError(
                f"the final {prepared.action} would give {(given - approved).total()} grants that were not approved, "
                f"or lack {(approved - given).total()}. It was not sent"
            )
        return prepared

    async def _read_back(self, call: Call) -> bool:
        """After an unknown outcome: True when a grant is surely not there and the call is open again."""
        pairs = await self._db(self.ledger.plans.item_grants, call.run_id, call.call_id)
        absent = await self._surely_absent([grant for item, grant in pairs if item.state in IN_DOUBT])
        if not absent:
            return False
        await self._db(
            self.ledger.batches.reopen,
            self.lease,
            call.call_id,
            present=sorted(absent),
            method="read-back",
            observed_at=datetime.now(UTC),
            reason="not there after an unknown outcome",
            verdict=Verdict.UNVERIFIED,
        )
        return True

    async def _surely_absent(self, grants: list[Grant]) -> set[str]:
        """Ids of those that no complete listing showed, time after time; none when a place cannot be read."""
        listings = {self.system.listing_scope(grant) for grant in grants}
        patience = 0.0 if self.system.restore_is_idempotent else self.settle_limit_seconds
        began, pause, reads = time.monotonic(), self.settle_seconds, 0
        absent = {grant.grant_id for grant in grants}
        while absent:
            for listing_scope in listings:
                self._read.pop(listing_scope, None)
            seen = await self._reading(listings)
            if seen.failed or seen.gone:
                return set()
            same, otherwise = await self._there(grants, seen)
            absent -= same.keys() | otherwise.keys()
            reads += 1
            if reads >= CLEAN_READS and time.monotonic() - began >= patience:
                break
            await asyncio.sleep(pause)
            pause *= 1.5
        return absent

    async def _reading(self, listings: set[ListingScope]) -> ListingsRead:
        """The places as they are now, or were within :data:`FRESH_SECONDS`."""
        async with AsyncExitStack() as stack:
            # Always in the same order, so that two calls never wait for each other.
            for listing_scope in sorted(listings):
                await stack.enter_async_context(self._locks.setdefault(listing_scope, asyncio.Lock()))
            return await self._read_stale(listings)

    async def _read_stale(self, listings: set[ListingScope]) -> ListingsRead:
        now = time.monotonic()
        stale = {
            listing_scope
            for listing_scope in listings
            if now - self._read.get(listing_scope, (-FRESH_SECONDS, ()))[0] >= FRESH_SECONDS
        }
        seen = await read_listings(self.system, self.reader, stale) if stale else ListingsRead()
        self._read |= {listing_scope: (now, grants) for listing_scope, grants in seen.shown.items()}
        new = [grant.grant_id for grant in seen.grants() if grant.grant_id not in self._known]
        if new:
            before = await self._db(self.ledger.snapshot.grants_by_id, self.source_run_id, new)
            self._known |= {grant_id: grant_id in before for grant_id in new}
        seen.shown |= {listing_scope: self._read[listing_scope][1] for listing_scope in listings - stale}
        return seen

    async def _there(self, grants: list[Grant], seen: ListingsRead) -> tuple[dict[str, Grant], dict[str, Grant]]:
        """See :func:`there_again`; items in the same slot that are there already choose first."""
        slots = {self.system.slot(grant.key) for grant in grants}
        peers = [grant for slot in slots for grant in self._peers[slot]]
        if len(peers) > len(slots):
            items = await self._db(lambda: {i.grant_id: i.state for i in self.ledger.plans.items(self.lease.run_id)})
            peers.sort(key=lambda grant: (items[grant.grant_id] not in _THERE, grant.grant_id))
        known = {grant_id for grant_id, before in self._known.items() if before}
        return there_again(self.system, peers, seen.grants(), known)


def items_by_slot(
    ledger: Ledger, system: PermissionSystem[Any], run_id: str, source_run_id: str, account: str
) -> dict[tuple[str, ...], list[Grant]]:
    """The grants of the live plan on one account, by slot; a slot has several where a vendor allows equal records."""
    ids = [item.grant_id for item in ledger.plans.items(run_id)]
    slots: defaultdict[tuple[str, ...], list[Grant]] = defaultdict(list)
    for _, grant in sorted(ledger.snapshot.grants_by_id(source_run_id, ids).items()):
        if (grant.key.system, grant.key.account) == (system.name, account):
            slots[system.slot(grant.key)].append(grant)
    return dict(slots)


@dataclass(slots=True)
class RestoreReport:
    """What verification of one system and account found; counts only.

    :ivar appeared: grants in the touched places that were not there before and are no items.
    :ivar beyond: those of them that stand where something was given: one too many, or another than was meant.
    """

    items: int = 0
    restored: int = 0
    list_calls: int = 0
    kept_compared: int = 0
    kept_lost: int = 0
    appeared: int = 0
    beyond: int = 0
    problem: str = ""

    def as_dict(self) -> dict[str, Any]:
        """JSON for XCom and logs."""
        facts = {name: getattr(self, name) for name in self.__slots__ if name != "problem"}
        return {**facts, **({"problem": self.problem} if self.problem else {})}


@dataclass(slots=True)
class RestoreVerifier:
    """Sees that what was given back is there as it was in the snapshot, and that nothing else came or went.

    :param client: reads the platform.
    :param account: as grants name it; with the system, the part of the plan that is verified.
    """

    ledger: Ledger
    system: PermissionSystem[Any]
    client: CloudClient
    run_id: str
    account: str
    settle_seconds: float
    settle_limit_seconds: float
    report: RestoreReport = field(default_factory=RestoreReport)
    _source: str = ""
    _states: dict[str, ItemState] = field(default_factory=dict)
    _now: dict[ListingScope, tuple[Grant, ...]] = field(default_factory=dict)
    _pages: list[str] = field(default_factory=list)

    async def run(self) -> RestoreReport:
        """Mark what is there again, record a verdict for what is not, and compare the touched places."""
        peers = await asyncio.to_thread(self._items)
        waiting = [grant for grant in peers if self._states[grant.grant_id] in TO_VERIFY]
        self.report.items = len(waiting)
        if not waiting:
            return self.report
        seen = await self._read_until_settled(peers, waiting)
        await asyncio.to_thread(self._record, waiting, {i for i, times in seen.items() if times >= CLEAN_READS}, peers)
        return self.report

    def _items(self) -> list[Grant]:
        self.ledger.attempts.settle_open(self.run_id)
        self._source = self.ledger.plans.get(self.run_id).source_run_id
        self._states = {item.grant_id: item.state for item in self.ledger.plans.items(self.run_id)}
        slots = items_by_slot(self.ledger, self.system, self.run_id, self._source, self.account)
        peers = [grant for grants in slots.values() for grant in grants]
        return sorted(peers, key=lambda grant: (self._states[grant.grant_id] not in _THERE, grant.grant_id))

    async def _read_until_settled(self, peers: list[Grant], waiting: list[Grant]) -> dict[str, int]:
        """How often in a row each item was there, as it was; until twice for all, or time is up."""
        deadline = time.monotonic() + self.settle_limit_seconds
        pause, times = self.settle_seconds, dict.fromkeys((grant.grant_id for grant in waiting), 0)
        while True:
            open_ = [grant for grant in waiting if times[grant.grant_id] < CLEAN_READS]
            if not open_:
                return times
            seen = await read_listings(self.system, self.client, {self.system.listing_scope(grant) for grant in open_})
            self.report.list_calls += seen.calls
            self._pages += seen.pages
            self.report.problem = "; ".join(
                [*(f"{type(e).__name__}: {e}" for e in seen.failed.values()), *sorted(set(seen.gone.values()))][:3]
            )
            for listing_scope in seen.failed.keys() | seen.gone.keys():
                self._now.pop(listing_scope, None)
            self._now |= seen.shown
            same, _ = there_again(self.system, peers, self._shown(), self._before_the_act())
            for grant in open_:
                there = grant.grant_id in same and self.system.listing_scope(grant) in seen.shown
                times[grant.grant_id] = times[grant.grant_id] + 1 if there else 0
            if time.monotonic() + pause > deadline:
                return times
            await asyncio.sleep(pause)
            pause *= 1.5

    def _shown(self) -> Iterable[Grant]:
        return ListingsRead(shown=self._now).grants()

    def _before_the_act(self) -> set[str]:
        """Ids of shown grants that the source's snapshot holds."""
        ids = [grant.grant_id for grant in self._shown()]
        return set(self.ledger.snapshot.grants_by_id(self._source, ids))

    def _record(self, waiting: list[Grant], there: set[str], peers: list[Grant]) -> None:
        now = datetime.now(UTC)
        self.report.restored = len(there)
        self.ledger.batches.set_items(
            self.run_id, dict.fromkeys(there, (ItemState.RESTORED, "there again in complete listings"))
        )
        detail = {"problem": self.report.problem[:300] or "not there as it was"}
        missing = [grant.grant_id for grant in waiting if grant.grant_id not in there]
        self.ledger.verdicts.record(
            self.run_id, [VerdictRecord(i, Verdict.UNVERIFIED, "listed again", now, detail=detail) for i in missing]
        )
        self._record_retained(peers, now)

    def _record_retained(self, peers: list[Grant], now: datetime) -> None:
        """Compare the touched places with what was there before: what is lost, and what came beside the items."""
        known = self.ledger.snapshot.grants(self.run_id, system=self.system.name, account=self.account)
        before = {grant.grant_id: grant for grant in known if self.system.listing_scope(grant) in self._now}
        after = {grant.grant_id: grant for grant in self._shown()}
        same, otherwise = there_again(self.system, peers, after.values(), self._before_the_act())
        ours = {grant.grant_id for grant in same.values()}
        others = {grant.grant_id for item, grant in otherwise.items() if self._states[item] is ItemState.HELD}
        slots = {self.system.slot(grant.key) for grant in peers}
        lost = sorted(before.keys() - after.keys())
        appeared = sorted(after.keys() - before.keys() - ours)
        beyond = [one for one in appeared if one not in others and self.system.slot(after[one].key) in slots]
        self.report.kept_compared, self.report.kept_lost = len(before), len(lost)
        self.report.appeared, self.report.beyond = len(appeared), len(beyond)
        self.ledger.verdicts.record_retained(
            self.run_id,
            RetainedCheck(
                system=self.system.name,
                account=self.account,
                compared=len(before),
                lost=lost,
                complete=not self.report.problem,
                observed_at=now,
                detail={
                    **answers(self._pages),
                    "appeared": [list(after[one].key) for one in appeared[:_EXAMPLES]],
                    "appeared_count": len(appeared),
                    "beyond": [list(after[one].key) for one in beyond[:_EXAMPLES]],
                    "beyond_count": len(beyond),
                },
            ),
        )
