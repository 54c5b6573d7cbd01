"""A pacer for use without a ledger: hooks and single-call operators."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from rescind.cloud.base import Bucket

PACE = 0.95
"""Part of a limit that is used; the rest covers network jitter."""
_NARROW, _WIDEN, _LEAST = 0.7, 1.05, 0.05
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0


@dataclass
class _State:
    next_at: float
    factor: float = 1.0
    pause: float = _FIRST_PAUSE


class LocalPacer:
    """Space the requests of one process evenly, bucket by bucket.

    A throttled answer pauses the bucket (at least as long as the vendor asks, else a growing pause) and lowers its
    pace. Later answers raise it again step by step. Other processes are not seen: with several workers give each
    its share of the limit.

    :param limits: requests per second by action, ``*`` for all others; default: the bucket's documented rate.
    :param share: part of each limit that this process may use, over 0 and up to 1.
    """

    def __init__(
        self, limits: Mapping[str, float], share: float = 1.0, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        if not 0 < share <= 1:
            raise ValueError("share: must be over 0 and at most 1")
        if any(rate <= 0 for rate in limits.values()):
            raise ValueError("limits: must be over 0 requests per second")
        self._limits = dict(limits)
        self._share = share
        self._clock = clock
        self._buckets: dict[Bucket, _State] = {}

    async def slot(self, bucket: Bucket, *, write: bool) -> None:
        """Wait for the bucket's next sending time; waiting callers are served in order."""
        state = self._state(bucket)
        now = self._clock()
        at = max(now, state.next_at)
        limit = self._limits.get(bucket.action, self._limits.get("*", bucket.rate))
        rate = limit * self._share * PACE * state.factor
        state.next_at = at + 1.0 / rate
        if at > now:
            await asyncio.sleep(at - now)

    def throttled(self, bucket: Bucket, retry_after: float | None) -> None:
        """Pause the bucket and lower its pace."""
        state = self._state(bucket)
        wait = max(retry_after or 0.0, state.pause)
        state.next_at = max(state.next_at, self._clock() + wait)
        state.pause = min(state.pause * 2, _LONGEST_PAUSE)
        state.factor = max(state.factor * _NARROW, _LEAST)

    def succeeded(self, bucket: Bucket) -> None:
        """Raise the bucket's pace a little, up to its limit."""
        state = self._state(bucket)
        state.factor = min(state.factor * _WIDEN, 1.0)
        state.pause = _FIRST_PAUSE

    def _state(self, bucket: Bucket) -> _State:
        if bucket not in self._buckets:
            self._buckets[bucket] = _State(next_at=self._clock())
        return self._buckets[bucket]
