"""Sends the calls of one batch. Each call is checked, paced, recorded before and after the send, and classified.

The steps of one call, in this order:

1. Check the final bytes: protections, and the blast radius against the approved items.
2. Wait for a slot of the rate limiter.
3. Commit the intent. The same transaction checks lease, kill switch, plan age and approval.
4. Sign and send, once.
5. Commit the outcome.

A request without an answer is *unknown*: the platform is read before anything is sent again.
Whether a batch revokes or restores its grants is its direction, see :mod:`rescind.workflow.execute.direction`.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from rescind.cloud.answers.outcomes import UnknownResultsError
from rescind.cloud.base import Answer, Pacer, Prepared
from rescind.errors import (
    CloudError,
    ExpiredSignatureError,
    NotFoundError,
    PlanError,
    RefusedError,
    RunInterruptedError,
    ThrottledError,
    TransientError,
    UnauthorizedError,
    UnknownOutcomeError,
)
from rescind.ledger import Attempt, Call
from rescind.model import NOT_ALLOWED, Cell, Grant, GrantKey, ItemState
from rescind.plan.approved import Approved
from rescind.workflow.execute.direction import ClaimedBatch, Direction, Moves
from rescind.workflow.execute.kill_switch_monitor import KillSwitchMonitor
from rescind.workflow.execute.progress_meter import Meter
from rescind.workflow.execute.split_call import halves

MAX_TRIES = 4
"""Attempts at one call inside one task: enough for a throttle burst, too few for a storm."""
RESIGN_SECONDS = 1.0
"""Pause before a call is sent again. Tencent's signatures have a resolution of one second; two equal ones are a
replay."""
INTENT_SECONDS = 0.06
"""Time from the slot of the rate limiter to the send, in which the intent is committed. It is constant because the
limiter relies on even spacing, while a commit takes between 3 and 40 ms."""


@dataclass(slots=True)
class BatchReport:
    """Counts of the calls of one batch, by outcome."""

    calls: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    throttled: int = 0
    seconds: float = 0.0
    in_flight: int = 0

    @contextmanager
    def request_in_flight(self) -> Iterator[None]:
        """Count a request while its answer is awaited."""
        self.in_flight += 1
        try:
            yield
        finally:
            self.in_flight -= 1

    def as_dict(self) -> dict[str, int | float]:
        """Return the counts as JSON for XCom and logs."""
        return {
            "calls": self.calls,
            **dict(sorted(self.outcomes.items())),
            "throttled": self.throttled,
            "seconds": round(self.seconds, 1),
        }


@dataclass(slots=True)
class BatchSender:
    """Sends the open calls of one batch.

    :param stop: asked before every call, in addition to the kill switch in the ledger.
    :param in_flight: most requests in flight. Rate times latency is what reaches the limit.
    """

    batch: ClaimedBatch
    direction: Direction
    pacer: Pacer
    meter: Meter = field(default_factory=Meter)
    stop: KillSwitchMonitor = field(default_factory=KillSwitchMonitor)
    in_flight: int = 16
    report: BatchReport = field(default_factory=BatchReport)
    _approved: Approved | None = None
    _workers: list[asyncio.Task[None]] = field(default_factory=list)
    _sending: set[asyncio.Task[None]] = field(default_factory=set)
    _ended: list[Exception] = field(default_factory=list)

    async def run(self) -> BatchReport:
        """Send every open call.

        :raises RunStoppedError: when a kill switch is set.
        :raises LeaseLostError: when another process has claimed the batch.
        :raises RunInterruptedError: when the process ends or the kill switch cannot be read; open calls stay open.
        :raises PlanError: when plan, approval or blast radius forbid a call; nothing of it was sent.
        :raises UnauthorizedError: when the key lacks a permission; the rest of the batch was not tried.
        :raises ThrottledError: when calls are still open after all attempts; retry later.
        :raises TransientError: when calls are still open after all attempts; retry later.
        """
        started = time.monotonic()
        calls = await asyncio.to_thread(self._open_calls)
        self.report.calls = self.meter.of = len(calls)
        if calls:
            self._approved = await asyncio.to_thread(self._read_approved)
        queue: asyncio.Queue[Call] = asyncio.Queue()
        for call in calls:
            queue.put_nowait(call)
        await self.stop.start()
        await self.batch.client.warm(connections=min(self.in_flight, len(calls) or 1))
        try:
            async with self.meter.running(), asyncio.TaskGroup() as group:
                watcher = group.create_task(self.stop.watch())
                self._workers = [group.create_task(self._work(queue)) for _ in range(min(self.in_flight, len(calls)))]
                await asyncio.gather(*self._workers, return_exceptions=True)
                watcher.cancel()
                if self._ended:
                    raise ExceptionGroup("the batch ended early", self._ended)
        except BaseExceptionGroup as errors:
            raise _non_retryable_first(errors) from errors
        finally:
            self.report.seconds = time.monotonic() - started
        return self.report

    def _open_calls(self) -> list[Call]:
        """Return the calls with something left to do.

        Among them are refused ones: those that were refused as a whole and not split yet, and those whose key was not
        allowed to send them. Any other refusal is final.
        """
        calls = self.batch.ledger.plans.calls(self.batch.run_id, self.batch.lease.batch_id)
        return [
            c for c in calls if c.state in ("pending", "sent", "unknown") or self._to_be_split(c) or _not_allowed(c)
        ]

    def _read_approved(self) -> Approved:
        """Return what the approved digest covers; calls and items only say what is to be sent."""
        asked = frozenset(self.batch.ledger.plans.batch_keys(self.batch.run_id, self.batch.lease.batch_id))
        approved = self.direction.read_approved(asked)
        self._refuse_unapproved(approved, asked)
        return approved

    def _refuse_unapproved(self, approved: Approved | None, grants: frozenset[GrantKey]) -> None:
        """Compare effects, so that a stored plan that was changed after the approval sends nothing."""
        if approved is None or not grants <= approved.grants:
            raise PlanError(
                f"batch {self.batch.lease.batch_id[:12]} holds a grant that is not in the approved plan "
                f"{self.batch.plan_digest[:12]}: the stored plan was changed after the approval. Nothing of it was "
                "sent; start a new run"
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
        """End the batch. Workers with an in-flight request record its outcome first; all others are canceled."""
        self._ended.append(error)
        for worker in self._workers:
            if worker not in self._sending and worker is not asyncio.current_task():
                worker.cancel()

    @contextmanager
    def _until_recorded(self) -> Iterator[None]:
        """Keep :meth:`_end` from canceling this worker between the intent and the outcome."""
        worker = asyncio.current_task()
        if worker is not None:
            self._sending.add(worker)
        try:
            yield
        finally:
            if worker is not None:
                self._sending.discard(worker)

    async def _settle(self, call: Call) -> list[Call]:
        """Bring one call to an outcome; return its parts when it was split."""
        if (call.state in ("sent", "unknown") or _not_allowed(call)) and not await self._reopened(call):
            self.report.outcomes["refused" if _not_allowed(call) else "unknown"] += 1
            return []
        if self._to_be_split(call):
            return await self._split(call, "the vendor refused the whole call in an earlier task")
        for number in range(1, MAX_TRIES + 1):
            pairs = await asyncio.to_thread(self.batch.ledger.plans.item_grants, call.run_id, call.call_id)
            try:
                open_ = [grant for item, grant in pairs if item.state is ItemState.APPROVED]
                grants = await self._screened(call, open_)
                if grants is None:
                    return []
                absent = await self.direction.absent_cells(call, grants, {grant.cell for _, grant in pairs})
                if absent is None:
                    return await self._split(call, "a part of it is settled, or holds another grant now")
                state = await self._attempt(call, grants, absent)
            except (ThrottledError, TransientError) as error:
                if number == MAX_TRIES or self._ended:
                    raise
                await asyncio.sleep(min(error.retry_after or 2 ** (number - 1), 30))
                continue
            if state == "refused" and self.batch.system.divisible(call.planned):
                return await self._split(call, "the vendor refused the whole call")
            if state != "unknown" or not await self._reopened(call):
                self.report.outcomes[state] += 1
                return []
        self.report.outcomes["unknown"] += 1
        return []

    async def _reopened(self, call: Call) -> bool:
        """Read the grants of a call; return whether they are as planned, so that it may be sent again now."""
        if not await self.direction.read_back(call):
            return False
        await asyncio.sleep(RESIGN_SECONDS)
        return True

    async def _screened(self, call: Call, grants: list[Grant]) -> list[Grant] | None:
        """Return the grants that may still be sent, or None when the call was skipped."""
        batches, lease = self.batch.ledger.batches, self.batch.lease
        screening = await self.direction.screen(grants)
        moves = screening.moves
        if screening.reason and not screening.send:
            await asyncio.to_thread(
                batches.set_call, lease, call.call_id, "skipped", reason=screening.reason, items=moves
            )
            self.report.outcomes[screening.outcome] += 1
            return None
        if moves:
            await asyncio.to_thread(batches.set_items, lease, moves)
        return screening.send

    async def _attempt(self, call: Call, grants: list[Grant], absent: frozenset[Cell]) -> str:
        """Check, pace, record and send a call once; return accepted, refused or unknown."""
        self._refuse_unapproved(self._approved, frozenset(grant.key for grant in grants))
        prepared = self.direction.prepare(call, grants, absent)
        await self.pacer.slot(prepared.bucket, write=True)
        self.stop.check()
        if self._ended:
            raise RunInterruptedError("another call ended the batch")
        leaves_at = time.monotonic() + INTENT_SECONDS
        with self._until_recorded():
            attempt = await asyncio.to_thread(
                self.batch.ledger.attempts.begin,
                self.batch.lease,
                call.call_id,
                plan_digest=self.batch.plan_digest,
                request_digest=prepared.fingerprint,
                action=prepared.action,
                version=prepared.version,
            )
            await asyncio.sleep(leaves_at - time.monotonic())
            return await self._send(call, attempt, prepared, grants)

    async def _send(self, call: Call, attempt: Attempt, prepared: Prepared[Any], grants: list[Grant]) -> str:
        sent_at = datetime.now(UTC)
        try:
            with self.report.request_in_flight():
                answer = await self.batch.client.dispatch(prepared)
        except ThrottledError as error:
            self.report.throttled += 1
            await self._failed(attempt, "throttled", sent_at, error)
            raise
        except TransientError as error:
            await self._failed(attempt, "not_sent", sent_at, error)
            raise
        except (RefusedError, NotFoundError) as error:
            await self._failed(attempt, "refused", sent_at, error)
            return "refused"
        except ExpiredSignatureError as error:
            await self._failed(attempt, "not_sent", sent_at, error)
            raise
        except UnauthorizedError as error:
            await self._failed(attempt, "refused", sent_at, error, reason=NOT_ALLOWED)
            raise
        except UnknownResultsError as error:
            said = {(o.resource_uri): (ItemState(o.said.value), o.detail) for o in error.outcomes}
            items = {g.grant_id: said[g.key.resource_id] for g in grants if g.key.resource_id in said}
            await self._failed(attempt, "unknown", sent_at, error, items)
            return "unknown"
        except UnknownOutcomeError as error:
            await self._failed(attempt, "unknown", sent_at, error)
            return "unknown"
        return await self._answered(call, attempt, answer, grants)

    async def _answered(self, call: Call, attempt: Attempt, answer: Answer[Any], grants: list[Grant]) -> str:
        items: dict[str, tuple[ItemState, str]] = {}
        for part in self.batch.system.outcome(call.planned, answer):
            items |= {g.grant_id: (part.state, part.detail) for g in grants if g.cell in part.cells}
        states = {state for state, _ in items.values()}
        outcome = (
            "unknown" if ItemState.UNKNOWN in states else "refused" if states == {ItemState.REFUSED} else "accepted"
        )
        await asyncio.to_thread(
            self.batch.ledger.attempts.finish,
            attempt.attempt_id,
            outcome,
            sent_at=answer.sent_at,
            answered_at=answer.answered_at,
            http_status=answer.http_status,
            request_id=answer.request_id,
            items=items,
        )
        return outcome

    async def _failed(
        self,
        attempt: Attempt,
        outcome: str,
        sent_at: datetime,
        error: CloudError,
        items: Moves | None = None,
        reason: str = "",
    ) -> None:
        await asyncio.to_thread(
            self.batch.ledger.attempts.finish,
            attempt.attempt_id,
            outcome,
            sent_at=sent_at,
            answered_at=datetime.now(UTC) if error.http_status is not None else None,
            code=error.code,
            http_status=error.http_status,
            request_id=error.request_id,
            detail={"error": type(error).__name__},
            items=dict(items or {}),
            reason=reason,
        )

    def _to_be_split(self, call: Call) -> bool:
        """Return whether the call was refused as a whole: a smaller call may be accepted."""
        return call.state == "refused" and self.batch.system.divisible(call.planned) and not _not_allowed(call)

    async def _split(self, call: Call, reason: str) -> list[Call]:
        """Halve a call that cannot be sent as a whole, so that one bad item does not delay the others."""
        ledger = self.batch.ledger
        pairs = await asyncio.to_thread(ledger.plans.item_grants, call.run_id, call.call_id)
        open_ = [grant for item, grant in pairs if item.state in (ItemState.APPROVED, ItemState.REFUSED)]
        parts, item_calls = halves(call.planned, call.inverse, open_)
        return await asyncio.to_thread(
            ledger.batches.split, self.batch.lease, call.call_id, parts, item_calls, reason=reason
        )


def _not_allowed(call: Call) -> bool:
    """Return whether the call was refused because of the key: nothing of it was executed."""
    return call.state == "refused" and call.reason == NOT_ALLOWED


def _non_retryable_first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return one exception of a group: a non-retryable one if there is any."""
    flat: list[BaseException] = []
    queue: list[BaseException] = [errors]
    while queue:
        error = queue.pop()
        if isinstance(error, BaseExceptionGroup):
            queue.extend(error.exceptions)
        else:
            flat.append(error)
    return min(flat, key=lambda error: isinstance(error, (ThrottledError, TransientError, RunInterruptedError)))
