"""Reads the platforms again and says, item by item, what is true now.

An item is gone when complete listings lack it twice in a row, some time apart. A listing that failed or
may be short is no proof of anything: the item is *unverified*. And a grant that is gone is not access
that is gone: the paths that remain are named.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from rescind.cloud.client import CloudClient
from rescind.errors import CloudError, ListingIncomplete
from rescind.execution.progress import Meter
from rescind.ledger import KeptCheck, Ledger, VerdictRecord
from rescind.model import Choice, Grant, GrantKey, ItemState, Verdict
from rescind.systems.base import PermissionSystem, Place
from rescind.systems.effective import RemainingAccess

CLEAN_READS = 2
"""Complete listings in a row that must lack an item."""
_TO_VERIFY = (ItemState.APPROVED, ItemState.SENT, ItemState.ACCEPTED, ItemState.UNKNOWN, ItemState.REFUSED)


@dataclass(slots=True)
class ScopeReport:
    """What verification of one system and account found; counts only."""

    items: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    list_calls: int = 0
    kept_compared: int = 0
    kept_lost: int = 0
    problem: str = ""

    def as_dict(self) -> dict[str, Any]:
        """JSON for XCom and logs."""
        return {
            "items": self.items,
            **dict(sorted(self.verdicts.items())),
            "list_calls": self.list_calls,
            "kept_compared": self.kept_compared,
            "kept_lost": self.kept_lost,
            **({"problem": self.problem} if self.problem else {}),
        }


@dataclass(slots=True)
class ScopeVerifier:
    """Verifies every planned item of one system and account.

    :param batch_id: verify the items of this batch only.
    :param meter: told how many places there are; a place is a list call for each read, or a few when it is large.
    :param settle_seconds: first pause between reads; each further one is half as long again.
    :param settle_limit_seconds: how long to wait for a platform that still shows an item.
    """

    ledger: Ledger
    system: PermissionSystem[Any]
    client: CloudClient
    run_id: str
    account: str
    settle_seconds: float
    settle_limit_seconds: float
    batch_id: str | None = None
    meter: Meter = field(default_factory=Meter)
    report: ScopeReport = field(default_factory=ScopeReport)
    _seen: dict[Place, dict[GrantKey, Grant]] = field(default_factory=dict)

    async def run(self) -> ScopeReport:
        """Record a verdict for every item, and what became of the grants that were to be kept."""
        items = await asyncio.to_thread(self._items)
        self.report.items = len(items)
        if not items:
            return self.report
        absent: dict[str, int] = dict.fromkeys(items, 0)
        self.meter.of = CLEAN_READS * len({self.system.place(grant) for grant, _ in items.values()})
        try:
            await self._read_until_settled({ident: grant for ident, (grant, _) in items.items()}, absent)
        except (CloudError, ListingIncomplete) as error:
            self.report.problem = f"{type(error).__name__}: {error}"
        await asyncio.to_thread(self._record, items, absent)
        return self.report

    def _items(self) -> dict[str, tuple[Grant, ItemState]]:
        self.ledger.attempts.settle_open(self.run_id)
        mine = {call.call_id for call in self.ledger.plans.calls(self.run_id, self.batch_id)} if self.batch_id else None
        states = {
            i.grant_id: i.state
            for i in self.ledger.plans.items(self.run_id)
            if i.call_id and i.state in _TO_VERIFY and (mine is None or i.call_id in mine)
        }
        grants = self.ledger.snapshot.grants_by_id(self.run_id, list(states))
        return {
            ident: (grant, states[ident])
            for ident, grant in grants.items()
            if grant.key.system == self.system.name and grant.key.account == self.account
        }

    async def _read_until_settled(self, grants: dict[str, Grant], absent: dict[str, int]) -> None:
        """Read the touched places until every item was missing twice in a row, or time is up."""
        deadline = asyncio.get_running_loop().time() + self.settle_limit_seconds
        pause = self.settle_seconds
        while open_items := {i: g for i, g in grants.items() if absent[i] < CLEAN_READS}:
            reading = await self.system.reread(self.client, {self.system.place(g) for g in open_items.values()})
            self.report.list_calls += reading.calls
            for place in reading.places:
                self._seen[place] = {}
            for grant in reading.grants:
                self._seen.setdefault(self.system.place(grant), {})[grant.key] = grant
            for ident, grant in open_items.items():
                gone = grant.key not in self._seen[self.system.place(grant)]
                absent[ident] = absent[ident] + 1 if gone else 0
            if asyncio.get_running_loop().time() + pause > deadline:
                return
            if any(absent[ident] < CLEAN_READS for ident in open_items):
                await asyncio.sleep(pause)
            pause *= 1.5

    def _record(self, items: dict[str, tuple[Grant, ItemState]], absent: dict[str, int]) -> None:
        now = datetime.now(UTC)
        gone = {ident for ident, times in absent.items() if times >= CLEAN_READS}
        remaining = self._remaining(gone)
        records = [
            self._verdict(ident, grant, state, ident in gone, remaining, now) for ident, (grant, state) in items.items()
        ]
        self.ledger.verdicts.record(self.run_id, records)
        self.report.verdicts.update(str(record.verdict) for record in records)
        self._record_kept(now)

    def _verdict(
        self, ident: str, grant: Grant, state: ItemState, gone: bool, remaining: RemainingAccess, now: datetime
    ) -> VerdictRecord:
        place = self._seen.get(self.system.place(grant))
        if not gone:
            shown = place is not None and grant.key in place
            verdict = Verdict.STILL_PRESENT if shown and not self.report.problem else Verdict.UNVERIFIED
            return VerdictRecord(ident, verdict, "listed again", now, detail={"problem": self.report.problem[:300]})
        paths = remaining.paths(grant)
        if paths:
            facts = {"paths": len(paths), "state": str(state)}
            return VerdictRecord(
                ident, Verdict.STILL_EFFECTIVE, "listed again", now, path=paths[0].describe(), detail=facts
            )
        sent = state is not ItemState.REFUSED and state is not ItemState.APPROVED
        verdict = Verdict.VERIFIED_GONE if sent else Verdict.ALREADY_ABSENT
        return VerdictRecord(ident, verdict, "listed again", now, detail={"state": str(state)})

    def _remaining(self, gone: set[str]) -> RemainingAccess:
        """Everything in the snapshot that is not gone, as far as it was read again, plus what is new."""
        known = self.ledger.snapshot.grants(self.run_id, system=self.system.name, account=self.account)
        held = {grant.key: grant for grant in known if grant.grant_id not in gone and not grant.inherited_from}
        fresh = {key: grant for shown in self._seen.values() for key, grant in shown.items()}
        memberships = self.ledger.snapshot.memberships(self.run_id, system=self.system.name, account=self.account)
        return RemainingAccess(self.system, {**held, **fresh}.values(), memberships)

    def _record_kept(self, now: datetime) -> None:
        """Compare the grants that were to be kept, in every place that was read, with what is there now."""
        expected: Callable[[Grant], bool] = lambda g: not g.inherited_from and self.system.place(g) in self._seen  # noqa: E731
        kept = [
            grant
            for grant, _ in self.ledger.decisions.each(
                self.run_id, choice=Choice.KEEP, system=self.system.name, account=self.account
            )
            if expected(grant)
        ]
        lost = [grant.grant_id for grant in kept if grant.key not in self._seen[self.system.place(grant)]]
        self.report.kept_compared, self.report.kept_lost = len(kept), len(lost)
        self.ledger.verdicts.record_kept(
            self.run_id,
            KeptCheck(
                system=self.system.name,
                account=self.account,
                compared=len(kept),
                lost=lost,
                complete=not self.report.problem,
                observed_at=now,
            ),
        )
