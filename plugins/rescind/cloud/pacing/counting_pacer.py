"""A pacer that counts requests, waits and throttled answers."""

from __future__ import annotations

import time
from collections.abc import Callable

from rescind.cloud.base import Bucket, Pacer


class CountingPacer:
    """Pass everything on to another pacer, and count.

    :ivar reads: read requests that may be sent.
    :ivar writes: write requests that may be sent.
    :ivar answers: answers that were not throttled.
    :ivar throttles: throttled answers.
    :ivar waited_s: seconds that all requests together waited for their sending time.
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
        """Return all figures by metric name."""
        return {
            "requests.read": self.reads,
            "requests.write": self.writes,
            "throttles": self.throttles,
            "wait_s": round(self.waited_s, 3),
        }
