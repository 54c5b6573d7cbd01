"""The pacer: every request of every process waits here for its sending instant.

While requests wait, a process reserves the next sending instants of their bucket in the ledger, at most for a quarter
of a second. It converts them to its monotonic clock and releases one waiter at each instant. A reservation is one
UPDATE on a separate thread and connection, so the event loop never blocks and the pool of the ledger is not used.

When the database does not answer, a process uses its static part of the limit (limit / number of configured workers).
After a bounded time it sends nothing.
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
_sent: contextvars.ContextVar[float] = contextvars.ContextVar("rescind_bucket_sent_at", default=0.0)


@dataclass(frozen=True, slots=True)
class PacerSettings:
    """Limits and timeouts of the rate limiter.

    :param limits: requests per second by ``vendor:action``, ``action``, ``vendor:*`` or ``*``; the first match
        in this order is used. An action without an entry has the limit of its bucket.
    :param share: part of each limit that this tool may use; the rest is left for people.
    :param workers: processes that may send at the same time; used only while the database does not answer.
    :param reserve_s: longest time, in seconds, for which instants are reserved.
    :param retry_s: pause between two attempts while the database does not answer, in seconds.
    :param give_up_s: time without the database after which nothing is sent, in seconds.
    :raises ConfigurationError: when ``share`` or ``workers`` is out of range.
    """

    limits: Mapping[str, float] = field(default_factory=dict)
    share: float = 1.0
    workers: int = 8
    reserve_s: float = 0.25
    retry_s: float = 1.0
    give_up_s: float = 60.0

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise ConfigurationError("pacing share: must be above 0 and at most 1. Set the share of the connection")
        if self.workers < 1:
            raise ConfigurationError("pacing workers: must be an integer of at least 1. Set the number of worker slots")

    def limit(self, bucket: RatedBucket) -> float:
        """Return the limit of a bucket in requests per second, for all processes together.

        :raises ConfigurationError: when a configured limit is not above 0.
        """
        vendor, _, _, action, documented = bucket
        names = (f"{vendor}:{action}", action, f"{vendor}:*", "*")
        value = next((self.limits[name] for name in names if name in self.limits), documented)
        if not value > 0:
            raise ConfigurationError(f"limit for {vendor} {action}: must be above 0. Set the limits of the connection")
        return float(value)

    def plan(self, bucket: RatedBucket) -> BucketPlan:
        """Return the settings of one bucket."""
        limit = self.limit(bucket)
        return BucketPlan(limit, self.share, self.workers, self.reserve_s, self.retry_s, self.give_up_s)


class LedgerPacer:
    """Paces the requests of this process together with those of all processes on the same ledger.

    :param ledger: holds the buckets; the connections of its pool are not used.
    """

    def __init__(self, ledger: Ledger, settings: PacerSettings | None = None) -> None:
        self.settings = settings or PacerSettings()
        self.worker = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._db_thread = DatabaseThread(ledger.database)
        self._buckets: dict[BucketKey, BucketQueue] = {}

    async def slot(self, bucket: RatedBucket, *, write: bool = True) -> None:
        """Wait until one request of this bucket may be sent; send it immediately afterwards.

        Waiters of a bucket are released in order. A canceled waiter only loses its position.

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
        """Report that the vendor throttled a request of this bucket: all processes pause and slow down.

        :param retry_after: seconds to wait that the vendor asked for, or None.
        """
        now = time.monotonic()
        sent = _sent.get()
        # Without a slot of this task the sending time is not known; use the current time.
        self._queue(bucket).throttled(retry_after or 0.0, sent if now - sent < _LONGEST_ANSWER_S else now)

    def succeeded(self, bucket: RatedBucket) -> None:
        """Report an answer to a request of this bucket. Call it in the task that awaited :meth:`slot`."""
        sent = _sent.get()
        if sent:
            self._queue(bucket).answered(time.monotonic() - sent)

    async def aclose(self) -> None:
        """Close the pacer; waiting requests raise LedgerError."""
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
