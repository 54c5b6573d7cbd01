"""Pacers for places where no ledger paces: tests, hooks and single-call operators."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from rescind.cloud.base import Bucket

PACE = 0.95
"""Part of a limit that is used: what is kept back covers jitter on the way."""
_NARROW, _WIDEN, _LEAST = 0.7, 1.05, 0.05
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0


class FreePacer:
    """Never waits. For tests."""

    async def slot(self, bucket: Bucket, *, write: bool) -> None:
        """Return at once."""

    def throttled(self, bucket: Bucket, retry_after: float | None) -> None:
        """Ignore it."""

    def succeeded(self, bucket: Bucket) -> None:
        """Ignore it."""


@dataclass
class _State:
    next_at: float
    factor: float = 1.0
    pause: float = _FIRST_PAUSE


class LocalPacer:
    """Spaces the requests of one process evenly, lane by lane.

    A throttled answer holds the lane back (at least as long as the vendor asks, else a growing pause) and
    narrows its pace; answers widen it again step by step. Knows nothing of other processes: with several
    workers give each its share of the limit.

    :param rates: requests a second by action.
    :param default: requests a second for all other actions.
    """

    def __init__(
        self, rates: Mapping[str, float], default: float, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        if default <= 0 or any(rate <= 0 for rate in rates.values()):
            raise ValueError("rates must be over 0 requests a second")
        self._rates = dict(rates)
        self._default = default
        self._clock = clock
        self._buckets: dict[Bucket, _State] = {}

    async def slot(self, bucket: Bucket, *, write: bool) -> None:
        """Wait for the lane's next place; waiting callers are served in order."""
        state = self._state(bucket)
        now = self._clock()
        at = max(now, state.next_at)
        rate = self._rates.get(bucket.action, self._default) * PACE * state.factor
        state.next_at = at + 1.0 / rate
        if at > now:
            await asyncio.sleep(at - now)

    def throttled(self, bucket: Bucket, retry_after: float | None) -> None:
        """Hold the lane back and narrow it."""
        state = self._state(bucket)
        wait = max(retry_after or 0.0, state.pause)
        state.next_at = max(state.next_at, self._clock() + wait)
        state.pause = min(state.pause * 2, _LONGEST_PAUSE)
        state.factor = max(state.factor * _NARROW, _LEAST)

    def succeeded(self, bucket: Bucket) -> None:
        """Widen the lane a little, up to its rate."""
        state = self._state(bucket)
        state.factor = min(state.factor * _WIDEN, 1.0)
        state.pause = _FIRST_PAUSE

    def _state(self, bucket: Bucket) -> _State:
        if bucket not in self._buckets:
            self._buckets[bucket] = _State(next_at=self._clock())
        return self._buckets[bucket]
