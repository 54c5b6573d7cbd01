"""Re-lists every affected resource and gives each item a verdict.

An item is gone when it is absent from two complete listings in a row, some time apart, by resource and by principal
where the vendor lists by both. A listing that failed or may be incomplete proves nothing: the item is *unverified*.
Access may remain after a grant is gone; the remaining paths are named.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain
from typing import Any

from rescind.cloud.client import CloudClient
from rescind.errors import CloudError, ListingIncompleteError
from rescind.ledger import Ledger, RetainedCheck, VerdictRecord
from rescind.model import NOT_EXECUTED, TO_VERIFY, Choice, Grant, GrantKey, ItemState, Membership, Verdict
from rescind.systems import system_named
from rescind.systems.base import ListingScope, PermissionSystem
from rescind.systems.effective import EffectiveAccess, Near, RemainingAccess, access_around
from rescind.systems.surfaces import Gap, PlatformAnswer, unasked
from rescind.workflow.execute.listings import answers, at_once, removed_by
from rescind.workflow.execute.progress_meter import Meter
from rescind.workflow.execute.verification.settle_reads import CLEAN_READS, Item, Settling

_NOT_KNOWN = "not known"
_NAMED_PATHS = 5
Question = Callable[[Any, Collection[Grant]], Awaitable[PlatformAnswer]]
"""A question to the platform about some grants that are gone, through a client."""
Holder = tuple[str, str]
"""Type and id of a principal."""


@dataclass(slots=True)
class ScopeReport:
    """The counts of the verification of one system and account.

    :ivar lagging: items that complete listings still showed at the time limit.
    """

    items: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    list_calls: int = 0
    retained_checked: int = 0
    retained_missing: int = 0
    lagging: int = 0
    problem: str = ""

    @property
    def worth_waiting(self) -> bool:
        """Whether a later read may settle more items. False after the loss of retained grants."""
        return self.lagging > 0 and self.retained_missing == 0

    def as_dict(self) -> dict[str, Any]:
        """Return the counts as JSON for XCom and logs."""
        return {
            "items": self.items,
            **dict(sorted(self.verdicts.items())),
            "list_calls": self.list_calls,
            "kept_compared": self.retained_checked,
            "kept_lost": self.retained_missing,
            **({"lagging": self.lagging} if self.lagging else {}),
            **({"problem": self.problem} if self.problem else {}),
        }


@dataclass(slots=True)
class ScopeVerifier:
    """Verifies every planned item of one system and account.

    :param settle_seconds: first pause between reads; each further pause is 1.5 times as long.
    :param settle_limit_seconds: how long to wait for a platform that still shows an item.
    :param batch_id: verify the items of this batch only.
    :param same_people: edges from the ids of people in grants to their other ids in memberships.
    :param meter: counts listings.
    """

    ledger: Ledger
    system: PermissionSystem[Any]
    client: CloudClient
    run_id: str
    account: str
    settle_seconds: float
    settle_limit_seconds: float
    batch_id: str | None = None
    same_people: Sequence[Membership] = ()
    meter: Meter = field(default_factory=Meter)
    report: ScopeReport = field(default_factory=ScopeReport)

    async def run(self) -> ScopeReport:
        """Record a verdict for every item, and check the retained grants."""
        states = await asyncio.to_thread(self._states)
        self.report.items = len(states)
        if not states:
            return self.report
        settling = Settling(self.system, self.client, self.settle_seconds, self.settle_limit_seconds)
        unsent = {ident for ident, (_, state) in states.items() if state in NOT_EXECUTED}
        self.meter.of = settling.add({ident: grant for ident, (grant, _) in states.items()}, unsent)
        asking = _Asking(self, settling)
        await at_once(settling.run, asking.early)
        self.report.list_calls += settling.calls
        self.report.problem = settling.problem() or self.report.problem
        self.report.lagging = settling.lagging()
        gone = [settling.items[ident].grant for ident in settling.gone()]
        answer = await asking.rest(gone)
        remaining = await asyncio.to_thread(self._remaining, settling)
        await self._confirm_paths(remaining, gone)
        await self._confirm_ends(remaining, gone)
        access = await asyncio.to_thread(self._access, remaining, answer)
        await asyncio.to_thread(self._record, settling, {ident: state for ident, (_, state) in states.items()}, access)
        return self.report

    async def _confirm_paths(self, remaining: RemainingAccess, gone: list[Grant]) -> None:
        """Leave out memberships that have ended since discovery. If they cannot be read, every path stays as it was."""
        asked: frozenset[Membership] = frozenset()
        while memberships := remaining.memberships(gone) - asked:
            asked |= memberships
            try:
                ended = await self.system.ended_memberships(self.client, memberships)
            except (CloudError, ListingIncompleteError):
                return
            self.report.list_calls += ended.calls
            remaining.end(ended.memberships)

    async def _confirm_ends(self, remaining: RemainingAccess, gone: list[Grant]) -> None:
        """Leave out what this run ended in another system of the product, such as the account of a proxy.

        It is listed again here, as its own verification does it. If it cannot be listed, every path stays as it was. So
        does a path that a new record there gives again.
        """
        ends = remaining.ends(gone)
        if not ends:
            return
        known = await asyncio.to_thread(self._known_elsewhere, ends.keys())
        for name in sorted({record.key.system for records in known.values() for record in records}):
            records = {r.grant_id: r for found in known.values() for r in found if r.key.system == name}
            system = system_named(name)
            settling = Settling(system, self.client, self.settle_seconds, self.settle_limit_seconds)
            settling.add(records, set())
            try:
                await settling.run()
            except (CloudError, ListingIncompleteError):
                continue
            self.report.list_calls += settling.calls
            again = {system.slot(grant.key) for grant in settling.grants()}
            ended = {i for i in settling.gone() if system.slot(records[i].key) not in again}
            remaining.leave_out(
                key for key, found in known.items() if all(r.key.system == name and r.grant_id in ended for r in found)
            )

    def _known_elsewhere(self, keys: Collection[GrantKey]) -> dict[GrantKey, list[Grant]]:
        """Return, by key of a grant in this system, the sent items of this run that are the same access elsewhere.

        A key of which another record stays is left out.
        """
        sent = {i.grant_id for i in self.ledger.plans.items(self.run_id) if i.call_id and i.state in TO_VERIFY}
        others = [
            scope.system
            for scope in self.ledger.scopes.all(self.run_id)
            if scope.account == self.account and scope.system != self.system.name
            and system_named(scope.system).hook == self.system.hook
        ]  # fmt: skip
        found: dict[GrantKey, list[Grant]] = {}
        for name in others if sent else ():
            system = system_named(name)
            if type(system).same_access is PermissionSystem.same_access:
                continue
            for grant in self.ledger.snapshot.grants(self.run_id, system=name, account=self.account):
                for key in system.same_access(grant):
                    if key in keys:
                        found.setdefault(key, []).append(grant)
        return {key: grants for key, grants in found.items() if all(one.grant_id in sent for one in grants)}

    async def ask(self, question: Question, gone: list[Grant]) -> PlatformAnswer:
        """The platform's own answer; a question that fails leaves its surfaces unanswered for every grant."""
        try:
            answer = await question(self.client, gone) if gone else PlatformAnswer()
        except (CloudError, ListingIncompleteError) as error:
            why = f"{type(error).__name__}: {error}"[:300]
            self.report.problem = self.report.problem or why
            names = [s.name for s in self.system.surfaces if s.asked_in == "verification"] or ["the platform's answer"]
            return PlatformAnswer(unknown={grant.grant_id: dict.fromkeys(names, why) for grant in gone})
        self.report.list_calls += answer.calls
        return answer

    def _states(self) -> dict[str, tuple[Grant, ItemState]]:
        """Return the items to verify with their states, by grant id."""
        self.ledger.attempts.settle_open(self.run_id)
        mine = {call.call_id for call in self.ledger.plans.calls(self.run_id, self.batch_id)} if self.batch_id else None
        states = {
            i.grant_id: i.state
            for i in self.ledger.plans.items(self.run_id)
            if i.call_id and i.state in TO_VERIFY and (mine is None or i.call_id in mine)
        }
        grants = self.ledger.snapshot.grants_by_id(self.run_id, list(states))
        return {
            ident: (grant, states[ident])
            for ident, grant in grants.items()
            if grant.key.system == self.system.name and grant.key.account == self.account
        }

    def _record(self, settling: Settling, states: dict[str, ItemState], access: EffectiveAccess) -> None:
        now = datetime.now(UTC)
        records = [
            self._verdict(ident, settling, item, states[ident], access, now) for ident, item in settling.items.items()
        ]
        self.ledger.verdicts.record(self.run_id, records)
        self.report.verdicts.update(str(record.verdict) for record in records)
        self._record_retained(settling, now)

    def _verdict(
        self, ident: str, settling: Settling, item: Item, state: ItemState, access: EffectiveAccess, now: datetime
    ) -> VerdictRecord:
        """Return the verdict on one item, with the statements by resource, by principal and in effect."""
        said: dict[str, Any] = dict(settling.absent(item))
        path = ""
        detail: dict[str, Any] = {"state": str(state)}
        if item.clean < CLEAN_READS:
            shown = settling.shows(item)
            verdict = Verdict.STILL_PRESENT if shown else Verdict.UNVERIFIED
            detail |= {"problem": self.report.problem[:300]}
            said["effective"] = False if shown else _NOT_KNOWN
        else:
            found = access.of(item.grant)
            said["effective"] = found.absent
            if found.paths:
                verdict, path = Verdict.STILL_EFFECTIVE, found.paths[0]
                detail |= {"paths": len(found.paths)}
                said["paths"] = list(found.paths[:_NAMED_PATHS])
            elif found.unanswered:
                verdict, path = Verdict.RECORD_GONE, found.reason()
                said["not_asked"] = dict(found.unanswered)
            else:
                verdict = Verdict.ALREADY_ABSENT if state in NOT_EXECUTED else Verdict.VERIFIED_GONE
        return VerdictRecord(ident, verdict, "listed again", now, path=path, detail={**detail, "absent": said})

    def _access(self, remaining: RemainingAccess, answer: PlatformAnswer) -> EffectiveAccess:
        """Return effective access with the surfaces that discovery did not ask completely, and the gaps it noted."""
        notes = self._notes()
        asked: dict[str, str] = {}
        for name, why in chain.from_iterable(noted.get("surfaces", {}).items() for noted in notes):
            asked[name] = asked.get(name) or why
        gaps = [Gap.of(gap) for noted in notes for gap in noted.get("gaps", ())]
        return EffectiveAccess(remaining, answer, unasked(self.system.surfaces, asked), gaps)

    def _notes(self) -> list[Mapping[str, Any]]:
        """What discovery noted of the scopes of this system and account: which surfaces it asked, and gaps."""
        mine = (self.system.name, self.account)
        return [s.notes for s in self.ledger.scopes.all(self.run_id) if (s.system, s.account) == mine]

    def _remaining(self, settling: Settling) -> RemainingAccess:
        """Return the access that remains: the snapshot without the grants that are gone, plus new grants."""
        name, account = self.system.name, self.account
        fresh = {grant.key: grant for grant in settling.grants()}
        gone = settling.gone()

        def remaining(near: Near) -> Iterator[Grant]:
            known = self.ledger.snapshot.grants_on(self.run_id, name, account, *near)
            held = (g for g in known if g.grant_id not in gone and g.key not in fresh and not self._ended(g, settling))
            return chain(held, fresh.values())

        items = [item.grant for item in settling.items.values()]
        memberships = self.ledger.snapshot.memberships(self.run_id, system=name, account=account)
        names = self.ledger.snapshot.container_names(self.run_id, name, account)
        return access_around(self.system, items, remaining, memberships, self.same_people, names)

    def _ended(self, grant: Grant, settling: Settling) -> bool:
        """Return whether an inherited grant is in its listing no more, which was read completely."""
        told = self.system.relists_inherited and grant.inherited_from
        return bool(told) and self.system.listing_scope(grant) in settling.seen

    def _record_retained(self, settling: Settling, now: datetime) -> None:
        """Compare the retained grants in every listing that was read with the current grants.

        A grant that another run of this ledger revoked since the snapshot is not missing, nor one that ended during
        this run. One whose end had passed before, and that was still listed then, is missed like any other.
        """
        began = self.ledger.runs.get(self.run_id).started_at
        compared, lost = 0, []
        for grant in self._retained(settling.seen):
            shown = [settling.seen[p] for p in self._listings(grant) if p in settling.seen]
            if grant.inherited_from or not shown:
                continue
            compared += 1
            ended = grant.expires_at is not None and began < grant.expires_at <= now
            if not ended and not all(grant.key in listing for listing in shown):
                lost.append(grant.grant_id)
        elsewhere = self.ledger.scope_locks.removed_since(self.run_id, self.system.name, self.account, lost)
        lost = [grant_id for grant_id in lost if grant_id not in elsewhere]
        self.report.retained_checked, self.report.retained_missing = compared, len(lost)
        self.ledger.verdicts.record_retained(
            self.run_id,
            RetainedCheck(
                system=self.system.name,
                account=self.account,
                compared=compared,
                lost=lost,
                complete=not self.report.problem,
                observed_at=now,
                detail={**answers(settling.pages), **removed_by(elsewhere)},
            ),
        )

    def _retained(self, listings: Collection[ListingScope]) -> Iterator[Grant]:
        """Yield every retained grant of these listings, and perhaps others; first those that the plan does not send."""
        decisions, place = self.ledger.decisions, {"system": self.system.name, "account": self.account}
        held = self.ledger.plans.items(self.run_id, state=ItemState.HELD)
        stay = self.ledger.snapshot.grants_by_id(self.run_id, (one.grant_id for one in held if one.call_id is None))
        yield from (one for one in stay.values() if one.key[:2] == (self.system.name, self.account))
        values = self.system.listed_by(listings)
        if values is None:
            yield from (grant for grant, _ in decisions.each(self.run_id, choice=Choice.KEEP, **place))
        else:
            yield from decisions.retained(self.run_id, values, **place)

    def _listings(self, grant: Grant) -> tuple[ListingScope, ...]:
        own = self.system.principal_listing_scope(grant)
        return (self.system.listing_scope(grant),) if own is None else (self.system.listing_scope(grant), own)


@dataclass(slots=True)
class _Asking:
    """The platform's own answer, asked while listings are still read: it has rate limits of its own.

    A holder is asked about once the first read of all of the holder's items is over. An answer that still shows access
    may be older than the removal, so it is asked again at the end, where the platform can deny access. So is one about
    an item that a listing showed: that item's absence was proven later than the answer.
    """

    verifier: ScopeVerifier
    settling: Settling
    asked: set[str] = field(default_factory=set)
    answer: PlatformAnswer = field(default_factory=PlatformAnswer)
    _over: bool = False

    async def early(self) -> None:
        """Ask about the items that the first read lacked, a few holders at a time and then all that became ready."""
        items = self.settling.items.values()
        unread = Counter(_holder(item.grant) for item in items)
        while ready := await self._ready(unread):
            absent = [item.grant for item in items if item.clean and _holder(item.grant) in ready]
            self.asked.update(grant.grant_id for grant in absent)
            self.answer.add(await self.verifier.ask(self.verifier.system.ask_platform, absent))

    async def _ready(self, unread: Counter[Holder]) -> set[Holder]:
        """Wait for holders whose items were all read once, and return them; empty after the last ones."""
        ready: set[Holder] = set()
        while not self._over and not (ready and self.settling.read_once.empty()):
            read = await self.settling.read_once.get()
            self._over = read is None
            for ident in read or ():
                holder = _holder(self.settling.items[ident].grant)
                unread[holder] -= 1
                ready.update({holder} if not unread[holder] else ())
        return ready

    async def rest(self, gone: Sequence[Grant]) -> PlatformAnswer:
        """Ask about the other items that are gone, and what the objects of all tell; return all answers."""
        early, system = self.answer, self.verifier.system
        again = system.platform_denies
        self.asked -= {ident for ident, item in self.settling.items.items() if item.shown}
        open_ = [one for one in gone if one.grant_id not in self.asked or (again and one.grant_id in early.reaches)]
        later = await self.verifier.ask(system.ask_platform, open_)
        still = {ident: path for ident, path in early.reaches.items() if ident not in later.denies}
        denies = (early.denies & self.asked) | later.denies
        answer = PlatformAnswer(still | later.reaches, denies, early.unknown | later.unknown)
        answer.join(await self.verifier.ask(system.ask_objects, list(gone)))
        return answer


def _holder(grant: Grant) -> Holder:
    return (grant.key.principal_type, grant.key.principal_id)
