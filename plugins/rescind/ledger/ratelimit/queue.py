"""The requests of one process that wait for a bucket, and the instants reserved for them."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass

from rescind.errors import LedgerError, RunStoppedError
from rescind.ledger.ratelimit import store
from rescind.ledger.ratelimit.clock_sync import BucketClock
from rescind.ledger.ratelimit.db_thread import DatabaseThread
from rescind.ledger.ratelimit.rate_controller import RESERVE_S, START_MARGIN
from rescind.ledger.ratelimit.store import BucketKey, Reservation

_LOG = logging.getLogger(__name__)

_ANNOUNCE_EVERY_S = 1.0
# Without the ledger workers cannot learn together: a throttled worker pauses for at least this long.
_STATIC_PAUSE_S = 1.0


@dataclass(frozen=True, slots=True)
class BucketPlan:
    """The settings of one bucket; see :class:`~rescind.ledger.ratelimit.pacer.PacerSettings`.

    :param limit: requests per second for all processes, before ``share``.
    :param workers: processes that share the bucket while the database does not answer.
    """

    limit: float
    share: float
    workers: int
    reserve_s: float
    retry_s: float
    give_up_s: float


class BucketQueue:
    """The requests of one event loop that wait for a bucket. All methods run in the loop."""

    def __init__(
        self,
        bucket: BucketKey,
        plan: BucketPlan,
        db_thread: DatabaseThread,
        worker: str,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.bucket, self.loop = bucket, loop
        self._plan, self._db_thread, self._worker = plan, db_thread, worker
        self._waiters: deque[tuple[asyncio.Future[float], bool]] = deque()
        self._timers: dict[float, asyncio.TimerHandle] = {}
        self._clock = BucketClock()
        self._feeder: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._workers_seen = 1
        self._announced_at = float("-inf")
        self._tolerance = 1 / START_MARGIN - 1
        self._gap = 1 / (plan.limit * plan.share)
        self._unused = 0
        self._refused = 0
        self._last = float("-inf")
        self._ahead_of_demand = 1
        self._wasted = True
        self._refused_sent = float("inf")
        self._reacted_at = float("-inf")
        self._retry_after = 0.0
        self._static_next = 0.0

    async def wait(self, write: bool, *, again: bool) -> float:
        """Join the queue and return the monotonic instant at which to send.

        :param again: join at the head, after a missed instant.
        """
        future: asyncio.Future[float] = self.loop.create_future()
        if again:
            self._waiters.appendleft((future, write))
        else:
            self._waiters.append((future, write))
        self._kick()
        return await future

    def in_time(self, instant: float) -> bool:
        """Return whether a waiter that wakes now may still use its instant; a missed instant is discarded."""
        late = time.monotonic() - instant
        self._clock.late(late)
        if late <= self._tolerance:
            return True
        self._unused += 1
        return False

    def answered(self, seconds: float) -> None:
        """Record how long the answer to a request took."""
        self._clock.answered(seconds)

    def throttled(self, retry_after: float, sent: float) -> None:
        """Discard the reserved instants after a throttled request, and report it to all processes.

        :param retry_after: seconds to wait that the vendor asked for, or 0.
        :param sent: monotonic time when the request was sent.
        """
        self._refused += 1
        self._refused_sent = min(self._refused_sent, sent)
        self._retry_after = max(self._retry_after, retry_after)
        if sent < self._reacted_at + RESERVE_S and not retry_after:
            # It was sent before the last reaction; the reserved instants are valid.
            self._kick()
            return
        self._static_next = max(self._static_next, time.monotonic() + max(retry_after, _STATIC_PAUSE_S))
        self._unused += len(self._timers)
        self._discard_reserved()
        self._kick()

    async def announce(self) -> None:
        """Create the bucket in the ledger and read how many workers share it, at most once a second."""
        if time.monotonic() - self._announced_at < _ANNOUNCE_EVERY_S:
            return
        self._workers_seen, _, self._announced_at = await self._db_thread.ask(
            store.announce, self.bucket, self._worker, self._plan.limit, self._plan.share
        )

    def close(self) -> None:
        """Fail all waiters."""
        if self._feeder is not None:
            self._feeder.cancel()
        self._discard_reserved()
        self._fail(LedgerError("pacing: the pacer was closed while requests waited"))

    def _discard_reserved(self) -> None:
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._last = float("-inf")

    def _kick(self) -> None:
        self._wake.set()
        if self._feeder is None or self._feeder.done():
            self._feeder = self.loop.create_task(self._feed(), name=f"rescind-bucket-{self.bucket[3]}")

    def _must_report(self) -> bool:
        return self._refused > 0

    def _live(self) -> int:
        """Return the number of waiters, with and without a reserved instant."""
        while self._waiters and self._waiters[0][0].done():
            self._waiters.popleft()
        return sum(not future.done() for future, _ in self._waiters)

    async def _feed(self) -> None:
        """Reserve instants while requests wait."""
        try:
            while self._must_report() or self._live() > 0:
                try:
                    await self._round()
                except LedgerError as error:
                    if not await self._without_ledger(error):
                        return
        except Exception as error:
            # After any error, no waiter may wait for a feeder that has ended.
            self._refused = 0
            self._fail(error)

    async def _round(self) -> None:
        await self.announce()
        if self._must_report():
            await self._report()
            return
        if self._live() <= len(self._timers):
            # Every waiter has a reserved instant: continue when a waiter joins or leaves.
            self._wake.clear()
            await self._wake.wait()
            return
        count = self._count()
        if count <= 0 or self._must_report():
            return
        unused, self._unused = self._unused, 0
        reservation, started, ended = await self._db_thread.ask(
            store.reserve,
            self.bucket,
            count,
            lead_s=self._clock.way_back_s,
            unused=unused,
            jitter_s=self._clock.jitter_s,
        )
        if self._must_report():
            # Throttled during the reservation: these instants belong to the old pace.
            self._unused += count
            return
        self._take(reservation, self._clock.local(reservation, started, ended))
        if reservation.stale:
            await self._db_thread.ask(store.adjust, self.bucket)
        # Reserve again only shortly before the last reserved instant.
        await self._pause(self._last - self._clock.ahead_s - time.monotonic())

    def _count(self) -> int:
        """Return how many instants to reserve.

        Few instants cost the database a write for every request; too many take them from other workers. So the number
        doubles while all instants are used, and halves after an unused one.
        """
        live = self._live()
        if live == 0:
            return 0
        most = self._most()
        self._ahead_of_demand = max(1, self._ahead_of_demand // 2) if self._wasted else self._ahead_of_demand * 2
        self._ahead_of_demand = min(self._ahead_of_demand, most)
        self._wasted = False
        return min(most, max(live - len(self._timers), self._ahead_of_demand))

    def _most(self) -> int:
        """Return the most instants to reserve: this worker's part of ``reserve_s``, at least one."""
        return max(1, int(self._plan.reserve_s / self._gap / self._workers_seen))

    def _take(self, reservation: Reservation, first: float) -> None:
        self._gap, self._tolerance = reservation.gap_s, max(reservation.tolerance_s, 0.001)
        if reservation.stopped:
            self._stop_writes()
        for number in range(reservation.count):
            self._at(first + number * reservation.gap_s)

    def _at(self, instant: float) -> None:
        while instant in self._timers:
            instant += 1e-6
        self._last = instant
        self._timers[instant] = self.loop.call_later(max(0.0, instant - time.monotonic()), self._release, instant)

    def _release(self, instant: float) -> None:
        del self._timers[instant]
        self._wake.set()
        while self._waiters:
            future, _ = self._waiters.popleft()
            if not future.done():
                future.set_result(instant)
                return
        self._unused += 1
        self._wasted = True

    async def _report(self) -> None:
        refused, retry_after, unused, sent = self._refused, self._retry_after, self._unused, self._refused_sent
        self._refused, self._retry_after, self._unused, self._refused_sent = 0, 0.0, 0, float("inf")
        reacted_at = time.monotonic()
        try:
            await self._db_thread.ask(
                store.report_throttled,
                self.bucket,
                refused=refused,
                unused=unused,
                retry_after=retry_after,
                age_s=reacted_at - sent,
            )
        except LedgerError:
            # Reported later; until then only this worker pauses (see throttled).
            self._refused += refused
            self._refused_sent = min(self._refused_sent, sent)
            self._retry_after = max(self._retry_after, retry_after)
            raise
        if sent >= self._reacted_at + RESERVE_S:
            self._reacted_at = reacted_at

    async def _without_ledger(self, error: LedgerError) -> bool:
        """Use this worker's static part of the limit until the ledger answers; return whether it does.

        After ``give_up_s`` seconds all waiters raise LedgerError.
        """
        since, last = time.monotonic(), error
        _LOG.warning(
            "the ledger does not answer; sending at %.2f requests/s without it: %s", 1 / self._static_gap(), error
        )
        self._gap, self._tolerance = self._static_gap(), self._static_gap() / 2
        self._announced_at = float("-inf")
        while time.monotonic() - since < self._plan.give_up_s:
            probe = self.loop.create_task(self._probe())
            try:
                while not probe.done():
                    await asyncio.wait({probe}, timeout=self._static_step())
                probe.result()
            except LedgerError as again:
                last = again
                continue
            finally:
                probe.cancel()
            # Static instants would add to those from the ledger.
            self._discard_reserved()
            return True
        self._fail(
            LedgerError(f"pacing: no answer from the ledger for {self._plan.give_up_s:.0f} s; nothing is sent. {last}")
        )
        self._refused = 0
        return False

    async def _probe(self) -> None:
        await asyncio.sleep(self._plan.retry_s)
        await self.announce()

    def _static_step(self) -> float:
        """Release one static instant when a request waits; return the seconds until the next step."""
        now = time.monotonic()
        instant = max(self._static_next, now)
        if self._live() > len(self._timers):
            self._at(instant)
            self._static_next = instant + self._static_gap()
        return max(0.02, instant - now)

    def _static_gap(self) -> float:
        return self._plan.workers / (self._plan.limit * self._plan.share * START_MARGIN)

    def _stop_writes(self) -> None:
        reads: deque[tuple[asyncio.Future[float], bool]] = deque()
        for future, write in self._waiters:
            if not write:
                reads.append((future, write))
            elif not future.done():
                future.set_exception(RunStoppedError("the kill switch is set: no further write is sent"))
        self._waiters = reads

    def _fail(self, error: Exception) -> None:
        while self._waiters:
            future, _ = self._waiters.popleft()
            if not future.done():
                future.set_exception(error)

    async def _pause(self, seconds: float) -> None:
        """Sleep until the time is over or a request was throttled."""
        deadline = time.monotonic() + seconds
        self._wake.clear()
        while not self._must_report() and (left := deadline - time.monotonic()) > 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), left)
            self._wake.clear()
