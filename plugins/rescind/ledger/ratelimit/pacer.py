"""Pacing: every request of every process waits here for its instant.

Per lane, a process asks the ledger for its next sending instants when somebody waits, a quarter of a
second's worth at most, turns "in x seconds" into its own monotonic clock at once, and lets one waiter
go at each instant. Asking is one UPDATE, in a thread of its own with a connection of its own, so the
event loop never blocks and the pool of the ledger is left alone.

When the database does not answer, the process keeps to its static part of the limit (limit / number of
configured workers), never to more, and after a bounded time to nothing at all.
"""

from __future__ import annotations

import asyncio
import contextvars
import os
import secrets
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from rescind.errors import ConfigurationError
from rescind.ledger.ledger import Ledger
from rescind.ledger.ratelimit.db_thread import DatabaseThread
from rescind.ledger.ratelimit.queue import BucketPlan, BucketQueue
from rescind.ledger.ratelimit.store import BucketKey

RatedBucket = tuple[str, str, str, str, float]
"""Vendor, account, region, action, and the documented limit of the action in requests per second."""

_LONGEST_ANSWER_S = 120.0
_sent: contextvars.ContextVar[float] = contextvars.ContextVar("rescind_lane_sent_at", default=0.0)


@dataclass(frozen=True, slots=True)
class PacerSettings:
    """How fast and how patient.

    :param limits: requests per second by ``vendor:action``, ``action``, ``vendor:*`` or ``*``, first match
        in this order. An action without an entry has the limit that its bucket carries.
    :param share: part of each limit that this tool may use; the rest is left for people.
    :param workers: processes that may pace at the same time; used only while the database does not answer.
    :param reserve_s: most seconds' worth of instants to hold in reserve.
    :param retry_s: pause between two tries while the database does not answer.
    :param give_up_s: after this long without the database nothing is sent any more.
    """

    limits: Mapping[str, float] = field(default_factory=dict)
    share: float = 1.0
    workers: int = 8
    reserve_s: float = 0.25
    retry_s: float = 1.0
    give_up_s: float = 60.0

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise ConfigurationError("pacing share: a number over 0 and up to 1 is needed. Set the connection's share")
        if self.workers < 1:
            raise ConfigurationError("pacing workers: a whole number from 1 is needed. Set the number of worker slots")

    def limit(self, bucket: RatedBucket) -> float:
        """Return the requests per second for all workers on this bucket.

        :raises ConfigurationError: when a configured limit is not above 0.
        """
        vendor, _, _, action, documented = bucket
        names = (f"{vendor}:{action}", action, f"{vendor}:*", "*")
        value = next((self.limits[name] for name in names if name in self.limits), documented)
        if not value > 0:
            raise ConfigurationError(
                f"limit for {vendor} {action}: a number over 0 is needed. Set the connection's limits"
            )
        return float(value)

    def plan(self, bucket: RatedBucket) -> BucketPlan:
        """Return everything that a worker has to know about one bucket."""
        limit = self.limit(bucket)
        return BucketPlan(limit, self.share, self.workers, self.reserve_s, self.retry_s, self.give_up_s)


class LedgerPacer:
    """Paces all requests of this process together with those of all others on the same ledger.

    :param ledger: says where the lanes are; its own connections are not used.
    """

    def __init__(self, ledger: Ledger, settings: PacerSettings | None = None) -> None:
        self.settings = settings or PacerSettings()
        self.worker = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._db_thread = DatabaseThread(ledger.database)
        self._buckets: dict[BucketKey, BucketQueue] = {}

    async def slot(self, bucket: RatedBucket, *, write: bool = True) -> None:
        """Wait until one request of this lane may leave, and send it at once.

        Waiters of a lane go in the order in which they came. A waiter that is canceled loses nothing
        but its place.

        :param write: False for reads, which the kill switch does not stop.
        :raises RunStoppedError: when the kill switch is set and the request is a write.
        :raises LedgerError: when the ledger has not answered for ``give_up_s`` seconds.
        """
        queue = self._queue(bucket)
        again = False
        while True:
            instant = await queue.wait(write, again=again)
            if queue.in_time(instant):
                _sent.set(time.monotonic())
                return
            again = True

    def throttled(self, bucket: RatedBucket, retry_after: float | None) -> None:
        """The vendor refused a request of this lane because of its rate: everybody pauses and slows down.

        :param retry_after: seconds that the vendor asked to wait, or None.
        """
        now = time.monotonic()
        sent = _sent.get()
        # Without a slot of this task nobody knows when it left: a moment ago, then.
        self._queue(bucket).throttled(retry_after or 0.0, sent if now - sent < _LONGEST_ANSWER_S else now)

    def succeeded(self, bucket: RatedBucket) -> None:
        """The vendor answered a request of this lane. Call it in the task that awaited :meth:`slot`."""
        sent = _sent.get()
        if sent:
            self._queue(bucket).answered(time.monotonic() - sent)

    async def aclose(self) -> None:
        """Stop: waiting requests get a LedgerError."""
        for queue in self._buckets.values():
            queue.close()
        await asyncio.to_thread(self._db_thread.close)

    def _queue(self, bucket: RatedBucket) -> BucketQueue:
        key = (bucket[0], bucket[1], bucket[2], bucket[3])
        loop = asyncio.get_running_loop()
        queue = self._buckets.get(key)
        if queue is None or queue.loop is not loop:
            plan = self.settings.plan(bucket)
            queue = BucketQueue(key, plan, self._db_thread, self.worker, loop)
            self._buckets[key] = queue
        return queue
