"""Counts requests, waits and throttles on their way through a pacer."""

from __future__ import annotations

import time
from collections.abc import Callable

from rescind.cloud.base import Bucket, Pacer


class CountingPacer:
    """A pacer that passes everything on and counts.

    :ivar reads: requests that may leave and change nothing. :ivar writes: those that take access away.
    :ivar answers: answers that were not throttled. :ivar throttles: those that were.
    :ivar waited_s: seconds spent waiting for a place, all requests together.
    """

    def __init__(self, inner: Pacer) -> None:
        self._inner = inner
        self.reads = self.writes = self.answers = self.throttles = 0
        self.waited_s = 0.0
        self.on_answer: Callable[[], None] = lambda: None

    async def slot(self, bucket: Bucket, *, write: bool) -> None:
        """See :class:`rescind.cloud.base.Pacer`."""
        started = time.monotonic()
        await self._inner.slot(bucket, write=write)
        self.waited_s += time.monotonic() - started
        if write:
            self.writes += 1
        else:
            self.reads += 1

    def throttled(self, bucket: Bucket, retry_after: float | None) -> None:
        """See :class:`rescind.cloud.base.Pacer`."""
        self.throttles += 1
        self._inner.throttled(bucket, retry_after)

    def succeeded(self, bucket: Bucket) -> None:
        """See :class:`rescind.cloud.base.Pacer`."""
        self.answers += 1
        self._inner.succeeded(bucket)
        self.on_answer()

    def counts(self) -> dict[str, int | float]:
        """All figures so far, by metric name."""
        return {
            "requests.read": self.reads,
            "requests.write": self.writes,
            "throttles": self.throttles,
            "wait_s": round(self.waited_s, 3),
        }
