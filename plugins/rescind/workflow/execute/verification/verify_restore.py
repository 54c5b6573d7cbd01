"""Verification of a restore: what was restored is present as in the snapshot, and nothing else changed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from rescind.cloud.client import CloudClient
from rescind.ledger import Ledger, RetainedCheck, VerdictRecord
from rescind.model import TO_VERIFY, Grant, ItemState, Verdict
from rescind.systems.base import ListingScope, PermissionSystem
from rescind.workflow.execute.listings import ListingsRead, answers, match_regranted, read_listings, removed_by
from rescind.workflow.execute.restoration import PRESENT, item_states, items_by_slot
from rescind.workflow.execute.verification.settle_reads import CLEAN_READS

_EXAMPLES = 50


@dataclass(slots=True)
class RestoreReport:
    """The counts of the verification of one system and account.

    :ivar appeared: grants in the affected listing scopes that are new and are not items.
    :ivar beyond: those of them in the slot of an item: a second record, or a grant with other terms.
    """

    items: int = 0
    restored: int = 0
    list_calls: int = 0
    retained_checked: int = 0
    retained_missing: int = 0
    appeared: int = 0
    beyond: int = 0
    problem: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return the counts as JSON for XCom and logs."""
        return {
            "items": self.items,
            "restored": self.restored,
            "list_calls": self.list_calls,
            "kept_compared": self.retained_checked,
            "kept_lost": self.retained_missing,
            "appeared": self.appeared,
            "beyond": self.beyond,
            **({"problem": self.problem} if self.problem else {}),
        }


@dataclass(slots=True)
class RestoreVerifier:
    """Verifies that restored grants are present as in the snapshot, and that nothing else changed.

    :param client: reads the platform.
    :param account: the account to verify, as grants name it.
    :param settle_seconds: first pause between reads; each further pause is 1.5 times as long.
    :param settle_limit_seconds: how long to wait for a platform that does not show an item yet.
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
        """Mark restored items, record a verdict for the others, and compare the affected listing scopes."""
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
        self._states = item_states(self.ledger, self.run_id)
        slots = items_by_slot(self.ledger, self.system, self.run_id, self._source, self.account)
        peers = [grant for grants in slots.values() for grant in grants]
        return sorted(peers, key=lambda grant: (self._states[grant.grant_id] not in PRESENT, grant.grant_id))

    async def _read_until_settled(self, peers: list[Grant], waiting: list[Grant]) -> dict[str, int]:
        """Return how many reads in a row showed each item; read until twice for all, or until the time limit."""
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
            same, _ = match_regranted(self.system, peers, self._shown(), self._in_source())
            for grant in open_:
                there = grant.grant_id in same and self.system.listing_scope(grant) in seen.shown
                times[grant.grant_id] = times[grant.grant_id] + 1 if there else 0
            if time.monotonic() + pause > deadline:
                return times
            await asyncio.sleep(pause)
            pause *= 1.5

    def _shown(self) -> Iterable[Grant]:
        return ListingsRead(shown=self._now).grants()

    def _in_source(self) -> set[str]:
        """Return the ids of shown grants that are in the snapshot of the source run."""
        ids = [grant.grant_id for grant in self._shown()]
        return set(self.ledger.snapshot.grants_by_id(self._source, ids))

    def _record(self, waiting: list[Grant], there: set[str], peers: list[Grant]) -> None:
        now = datetime.now(UTC)
        self.report.restored = len(there)
        self.ledger.batches.set_items(
            self.run_id, dict.fromkeys(there, (ItemState.RESTORED, "present in complete listings"))
        )
        detail = {"problem": self.report.problem[:300] or "not present as in the snapshot"}
        missing = [grant.grant_id for grant in waiting if grant.grant_id not in there]
        self.ledger.verdicts.record(
            self.run_id, [VerdictRecord(i, Verdict.UNVERIFIED, "listed again", now, detail=detail) for i in missing]
        )
        self._record_retained(peers, now)

    def _record_retained(self, peers: list[Grant], now: datetime) -> None:
        """Compare the affected listing scopes with the snapshot: missing grants, and new grants beside the items."""
        known = self.ledger.snapshot.grants(self.run_id, system=self.system.name, account=self.account)
        before = {grant.grant_id: grant for grant in known if self.system.listing_scope(grant) in self._now}
        after = {grant.grant_id: grant for grant in self._shown()}
        same, otherwise = match_regranted(self.system, peers, after.values(), self._in_source())
        ours = {grant.grant_id for grant in same.values()}
        others = {grant.grant_id for item, grant in otherwise.items() if self._states[item] is ItemState.HELD}
        slots = {self.system.slot(grant.key) for grant in peers}
        lost = sorted(before.keys() - after.keys())
        elsewhere = self.ledger.scope_locks.removed_since(self.run_id, self.system.name, self.account, lost)
        lost = [grant_id for grant_id in lost if grant_id not in elsewhere]
        appeared = sorted(after.keys() - before.keys() - ours)
        beyond = [one for one in appeared if one not in others and self.system.slot(after[one].key) in slots]
        self.report.retained_checked, self.report.retained_missing = len(before), len(lost)
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
                    **removed_by(elsewhere),
                    "appeared": [list(after[one].key) for one in appeared[:_EXAMPLES]],
                    "appeared_count": len(appeared),
                    "beyond": [list(after[one].key) for one in beyond[:_EXAMPLES]],
                    "beyond_count": len(beyond),
                },
            ),
        )
