"""Sends the calls of one batch: each checked again, paced, journaled before and after, and classified.

Order for every call, and why no step may move:

1. protections, and the blast set of the final bytes against the approved items: nothing else may be touched;
2. a place under the rate limit;
3. the intent, committed: lease, kill switch, plan age and approval are checked in the same transaction;
4. signed and sent, once;
5. the outcome, committed.

Sent and not answered is *unknown*: the platform is read before anything is sent again.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, ParamSpec, TypeVar

from rescind.cloud.answers.outcomes import UnknownResultsError
from rescind.cloud.base import Answer, Pacer, Prepared
from rescind.cloud.client import CloudClient
from rescind.errors import (
    CloudError,
    NotFoundError,
    PlanError,
    RefusedError,
    RunInterruptedError,
    ThrottledError,
    TransientError,
    UnauthorizedError,
    UnknownOutcomeError,
)
from rescind.ledger import Attempt, Call, Lease, Ledger
from rescind.model import Cell, Grant, GrantKey, ItemState, Mode
from rescind.plan.approved import Approved, read_approved
from rescind.plan.check import check_request
from rescind.systems.base import PermissionSystem, account_of
from rescind.workflow.execute.kill_switch_monitor import KillSwitchMonitor
from rescind.workflow.execute.progress_meter import Meter
from rescind.workflow.execute.read_back import read_back
from rescind.workflow.execute.split_call import halves

P = ParamSpec("P")
T = TypeVar("T")

MAX_TRIES = 4
"""Attempts at one call inside one task: enough for a throttle burst, too few for a storm."""
SIGNED_ANEW_SECONDS = 1.0
"""Before a call goes again: Tencent's signatures are by the second, and two equal ones are a replay."""
INTENT_SECONDS = 0.06
"""From a place under the limit to the send: time for the intent to be committed. Always the same, because the
limit is kept by even distances, and a commit now takes 3 ms and now 40."""

Protected = Callable[[Grant], str]
"""The reason why a grant is protected, or an empty text."""


@dataclass(slots=True)
class BatchReport:
    """What happened to the calls of one batch; counts only."""

    calls: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    throttled: int = 0
    seconds: float = 0.0
    in_flight: int = 0

    @contextmanager
    def in_the_air(self) -> Iterator[None]:
        """Count a request for as long as its answer is waited for."""
        self.in_flight += 1
        try:
            yield
        finally:
            self.in_flight -= 1

    def as_dict(self) -> dict[str, int | float]:
        """JSON for XCom and logs."""
        return {
            "calls": self.calls,
            **dict(sorted(self.outcomes.items())),
            "throttled": self.throttled,
            "seconds": round(self.seconds, 1),
        }


@dataclass(slots=True)
class BatchRunner:
    """Sends what is still to be sent of one batch.

    :param plan_digest: the plan that the approval is for; the ledger compares it at every intent.
    :param protected: looked up again for every grant right before sending.
    :param stop: asked before every call, beside the ledger's own kill switch.
    :param in_flight: requests in the air at once; rate x latency is what reaches the limit.
    """

    ledger: Ledger
    system: PermissionSystem[Any]
    client: CloudClient
    pacer: Pacer
    lease: Lease
    plan_digest: str
    protected: Protected
    meter: Meter = field(default_factory=Meter)
    stop: KillSwitchMonitor = field(default_factory=KillSwitchMonitor)
    in_flight: int = 16
    report: BatchReport = field(default_factory=BatchReport)
    _approved: Approved | None = None
    _workers: list[asyncio.Task[None]] = field(default_factory=list)
    _in_flight: set[asyncio.Task[None]] = field(default_factory=set)
    _ended: list[Exception] = field(default_factory=list)

    async def run(self) -> BatchReport:
        """Send every open call.

        :raises RunStoppedError: a kill switch is set.
        :raises LeaseLostError: another process took over.
        :raises RunInterruptedError: the process is to end, or whether to stop cannot be known; open calls stay open.
        :raises PlanError: plan, approval or blast set do not allow a call; nothing of it was sent.
        :raises UnauthorizedError: the key may not do this; the rest of the batch was not tried.
        :raises ThrottledError, Transient: some calls are still open after all tries here; worth a later try.
        """
        started = time.monotonic()
        calls = [c for c in await self._db(self._open_calls) if c.state in ("pending", "sent", "unknown")]
        self.report.calls = self.meter.of = len(calls)
        if calls:
            self._approved = await self._db(self._read_approved)
        queue: asyncio.Queue[Call] = asyncio.Queue()
        for call in calls:
            queue.put_nowait(call)
        await self.stop.start()
        await self.client.warm(connections=min(self.in_flight, len(calls) or 1))
        try:
            async with self.meter.running(), asyncio.TaskGroup() as group:
                watcher = group.create_task(self.stop.watch())
                self._workers = [group.create_task(self._work(queue)) for _ in range(min(self.in_flight, len(calls)))]
                await asyncio.gather(*self._workers, return_exceptions=True)
                watcher.cancel()
                if self._ended:
                    raise ExceptionGroup("the batch ended early", self._ended)
        except BaseExceptionGroup as errors:
            raise _most_telling(errors) from errors
        finally:
            self.report.seconds = time.monotonic() - started
        return self.report

    def _open_calls(self) -> list[Call]:
        return list(self.ledger.plans.calls(self.lease.run_id, self.lease.batch_id))

    def _read_approved(self) -> Approved:
        """What the approved digest covers; calls and items only say what is to be sent."""
        run_id, account = self.lease.run_id, account_of(self.client)
        pieces = self.ledger.plans.effects(run_id, self.plan_digest)
        asked = frozenset(self.ledger.plans.batch_keys(run_id, self.lease.batch_id))
        approved = read_approved(pieces, self.system.name, account, asked)
        self._refuse_beyond(approved, asked)
        return approved

    def _refuse_beyond(self, approved: Approved | None, grants: frozenset[GrantKey]) -> None:
        """Judge by effects: whoever changed the stored plan after the approval gets nothing sent."""
        if approved is None or not grants <= approved.grants:
            raise PlanError(
                f"batch {self.lease.batch_id[:12]} holds a grant that the approved plan {self.plan_digest[:12]} does "
                "not: the stored plan was changed after the approval. Nothing of it was sent; start a new run"
            )

    async def _work(self, queue: asyncio.Queue[Call]) -> None:
        while not self._ended:
            try:
                call = queue.get_nowait()
            except asyncio.QueueEmpty:
                return
            try:
                parts = await self._settle(call)
            except Exception as error:
                self._end(error)
                return
            self.meter.of += len(parts)
            self.meter.add()
            for part in parts:
                queue.put_nowait(part)

    def _end(self, error: Exception) -> None:
        """End the batch: who has a request in the air takes its answer down first, all others stop where they are."""
        self._ended.append(error)
        for worker in self._workers:
            if worker not in self._in_flight and worker is not asyncio.current_task():
                worker.cancel()

    @contextmanager
    def _in_the_air(self) -> Iterator[None]:
        """From the intent to the outcome, a worker is not to be disturbed."""
        worker = asyncio.current_task()
        if worker is not None:
            self._in_flight.add(worker)
        try:
            yield
        finally:
            if worker is not None:
                self._in_flight.discard(worker)

    async def _settle(self, call: Call) -> list[Call]:
        """Bring one call to an outcome; returns smaller calls when the vendor refused it as a whole."""
        if call.state in ("sent", "unknown") and not await self._read_back(call):
            self.report.outcomes["unknown"] += 1
            return []
        for number in range(1, MAX_TRIES + 1):
            pairs = [(i, g) for i, g in await self._db(self.ledger.plans.item_grants, call.run_id, call.call_id)]
            grants = await self._sendable(call, [grant for item, grant in pairs if item.state is ItemState.APPROVED])
            if grants is None:
                return []
            try:
                absent = await self._absent(call, grants, {grant.cell for _, grant in pairs})
                if absent is None:
                    return await self._split(call, "a part of it is settled, or holds another grant by now")
                state = await self._attempt(call, grants, absent)
            except (ThrottledError, TransientError) as error:
                if number == MAX_TRIES or self._ended:
                    raise
                await asyncio.sleep(min(error.retry_after or 2 ** (number - 1), 30))
                continue
            if state == "refused" and len(call.planned.cells()) > 1:
                return await self._split(call, "the vendor refused the whole call")
            if state != "unknown" or not await self._read_back(call):
                self.report.outcomes[state] += 1
                return []
            await asyncio.sleep(SIGNED_ANEW_SECONDS)
        self.report.outcomes["unknown"] += 1
        return []

    async def _sendable(self, call: Call, grants: list[Grant]) -> list[Grant] | None:
        """Hold a call back (None) when one of its grants is protected by now; the rest is reported, not sent."""
        reasons = {grant.grant_id: reason for grant in grants if (reason := self.protected(grant))}
        if not reasons:
            return grants
        text = f"protected at send: {next(iter(reasons.values()))}"
        items = {
            g.grant_id: (ItemState.HELD, reasons.get(g.grant_id, "shares a call with a protected grant"))
            for g in grants
        }
        await self._db(self.ledger.batches.set_call, self.lease, call.call_id, "skipped", reason=text, items=items)
        self.report.outcomes["held"] += 1
        return None

    async def _absent(self, call: Call, grants: list[Grant], own: set[Cell]) -> frozenset[Cell] | None:
        """The cells without a grant that this call may contain beyond emptied columns; None: cut it in two first.

        In sparse mode such cells are read once more right before the send: who was given access meanwhile keeps it.

        :param grants: those of its items that are still to go. :param own: the cells of all its items.
        """
        approved = self._approved
        going = {grant.cell for grant in grants}
        others = call.planned.cells() - going
        if approved is None or not going or not others:
            return frozenset()
        if approved.mode is Mode.SPARSE:
            reading = await self.system.reread(self.client, {self.system.listing_scope(grant) for grant in grants})
            return None if others & {grant.cell for grant in reading.grants} else others
        strange = {c for c in others if (c.container, c.kind, c.column) not in approved.emptied}
        if not strange <= own:
            return frozenset()  # no part of this plan: the check of the final request says so, and stops
        rows = {cell.row for cell in going}
        return None if strange or any(cell.row not in rows for cell in others) else frozenset()

    async def _attempt(self, call: Call, grants: list[Grant], absent: frozenset[Cell]) -> str:
        """One checked, paced, journaled send; returns accepted, refused or unknown."""
        self._refuse_beyond(self._approved, frozenset(grant.key for grant in grants))
        prepared = self._prepared(call, grants, absent)
        await self.pacer.slot(prepared.bucket, write=True)
        self.stop.check()
        if self._ended:
            raise RunInterruptedError("another call ended the batch")
        leaves_at = time.monotonic() + INTENT_SECONDS
        with self._in_the_air():
            attempt = await self._db(
                self.ledger.attempts.begin,
                self.lease,
                call.call_id,
                plan_digest=self.plan_digest,
                request_digest=prepared.fingerprint,
                action=prepared.action,
                version=prepared.version,
            )
            await asyncio.sleep(leaves_at - time.monotonic())
            return await self._send(call, attempt, prepared, grants)

    def _prepared(self, call: Call, grants: list[Grant], absent: frozenset[Cell]) -> Prepared[Any]:
        """The final request, after its blast set was held against what was approved."""
        emptied = self._approved.emptied if self._approved else frozenset()
        prepared = self.client.prepare(self.system.request(call.planned, grants))
        going = frozenset(self.system.cell(grant.key) for grant in grants)
        check_request(self.system.blast_radius(prepared), going, emptied, absent=absent)
        return prepared

    async def _send(self, call: Call, attempt: Attempt, prepared: Prepared[Any], grants: list[Grant]) -> str:
        sent_at = datetime.now(UTC)
        try:
            with self.report.in_the_air():
                answer = await self.client.dispatch(prepared)
        except ThrottledError as error:
            self.report.throttled += 1
            await self._finish(attempt, "throttled", sent_at, error)
            raise
        except TransientError as error:
            await self._finish(attempt, "not_sent", sent_at, error)
            raise
        except (RefusedError, NotFoundError) as error:
            await self._finish(attempt, "refused", sent_at, error)
            return "refused"
        except UnauthorizedError as error:
            await self._finish(attempt, "refused", sent_at, error)
            raise
        except UnknownResultsError as error:
            said = {(o.resource_uri): (ItemState(o.said.value), o.detail) for o in error.outcomes}
            items = {g.grant_id: said[g.key.resource_id] for g in grants if g.key.resource_id in said}
            await self._finish(attempt, "unknown", sent_at, error, items)
            return "unknown"
        except UnknownOutcomeError as error:
            await self._finish(attempt, "unknown", sent_at, error)
            return "unknown"
        return await self._accepted(call, attempt, answer, grants)

    async def _accepted(self, call: Call, attempt: Attempt, answer: Answer[Any], grants: list[Grant]) -> str:
        items: dict[str, tuple[ItemState, str]] = {}
        for part in self.system.outcome(call.planned, answer):
            items |= {g.grant_id: (part.state, part.detail) for g in grants if g.cell in part.cells}
        states = {state for state, _ in items.values()}
        outcome = (
            "unknown" if ItemState.UNKNOWN in states else "refused" if states == {ItemState.REFUSED} else "accepted"
        )
        await self._db(
            self.ledger.attempts.finish,
            attempt.attempt_id,
            outcome,
            sent_at=answer.sent_at,
            answered_at=answer.answered_at,
            http_status=answer.http_status,
            request_id=answer.request_id,
            items=items,
        )
        return outcome

    async def _finish(
        self,
        attempt: Attempt,
        outcome: str,
        sent_at: datetime,
        error: CloudError,
        items: Mapping[str, tuple[ItemState, str]] | None = None,
    ) -> None:
        await self._db(
            self.ledger.attempts.finish,
            attempt.attempt_id,
            outcome,
            sent_at=sent_at,
            answered_at=datetime.now(UTC) if error.http_status is not None else None,
            code=error.code,
            http_status=error.http_status,
            request_id=error.request_id,
            detail={"error": type(error).__name__},
            items=dict(items or {}),
        )

    async def _read_back(self, call: Call) -> bool:
        return await read_back(self.ledger, self.system, self.client, self.lease, call)

    async def _split(self, call: Call, reason: str) -> list[Call]:
        """Halve a call that cannot go as a whole, so that one bad item delays no other."""
        pairs = await self._db(self.ledger.plans.item_grants, call.run_id, call.call_id)
        open_ = [grant for item, grant in pairs if item.state in (ItemState.APPROVED, ItemState.REFUSED)]
        parts, item_calls = halves(call.planned, call.inverse, open_)
        return await self._db(self.ledger.batches.split, self.lease, call.call_id, parts, item_calls, reason=reason)

    async def _db(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Ledger calls block; they run beside the event loop."""
        return await asyncio.to_thread(function, *args, **kwargs)


def _most_telling(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """One exception out of a group: the one that no retry can mend, if there is one."""
    flat: list[BaseException] = []
    queue: list[BaseException] = [errors]
    while queue:
        error = queue.pop()
        if isinstance(error, BaseExceptionGroup):
            queue.extend(error.exceptions)
        else:
            flat.append(error)
    return min(flat, key=lambda error: isinstance(error, (ThrottledError, TransientError, RunInterruptedError)))
