"""Rate limits over a strict sliding second, and what was seen on every bucket."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from emulator.clock import Clock


class BucketKey(NamedTuple):
    """What a limit is counted on: (product, account, region, action)."""

    product: str
    account: str
    region: str
    action: str


@dataclass(slots=True)
class Window:
    """Requests of the last second, with the largest number ever seen in a sliding and in a fixed second."""

    times: deque[float] = field(default_factory=deque)
    total: int = 0
    max_sliding: int = 0
    max_fixed: int = 0
    _second: int = -1
    _in_second: int = 0

    def trim(self, now: float) -> int:
        """Drop what is a second old or older; how many remain."""
        times = self.times
        while times and now - times[0] >= 1.0:
            times.popleft()
        return len(times)

    def add(self, now: float) -> None:
        """Count one request at ``now`` (steady seconds)."""
        self.trim(now)
        self.times.append(now)
        self.total += 1
        self.max_sliding = max(self.max_sliding, len(self.times))
        second = int(now)
        if second != self._second:
            self._second, self._in_second = second, 0
        self._in_second += 1
        self.max_fixed = max(self.max_fixed, self._in_second)


@dataclass(slots=True)
class BucketState:
    """One bucket: every request that came, and those that were let through."""

    every: Window = field(default_factory=Window)
    accepted: Window = field(default_factory=Window)
    throttled: int = 0
    first: float = 0.0
    last: float = 0.0


@dataclass(slots=True)
class Load:
    """Requests that others send on the same bucket: a share of the limit that is not there for us."""

    action: str
    rate: float
    until: float


class Limiter:
    """At most ``limit`` accepted requests in any sliding second on each bucket.

    A request exactly one second after another does not share a second with it. Refused requests do not
    use up the limit. ``limits`` maps a product to its limit, or ``product.Action`` to an own one; 0 means
    no limit.
    """

    def __init__(self, clock: Clock, limits: dict[str, float]) -> None:
        self._clock = clock
        self.limits = dict(limits)
        self.buckets: dict[BucketKey, BucketState] = {}
        self.loads: list[Load] = []

    def limit_for(self, bucket: BucketKey) -> float:
        """Requests per second allowed on a bucket, before the load of others."""
        return self.limits.get(f"{bucket.product}.{bucket.action}", self.limits.get(bucket.product, 0))

    def admit(self, bucket: BucketKey, reserved: float = 0.0) -> float:
        """Count a request.

        :param reserved: requests per second that a fault takes away from the limit.
        :returns: 0 when it is let through, else the seconds until the next one could be.
        """
        now = self._clock.mono()
        state = self.buckets.get(bucket)
        if state is None:
            state = self.buckets[bucket] = BucketState(first=now)
        state.last = now
        state.every.add(now)
        limit = self.limit_for(bucket)
        used = state.accepted.trim(now)
        if limit > 0 and used + reserved + self._load(bucket, now) + 1 > limit:
            state.throttled += 1
            return max(0.001, 1.0 - (now - state.accepted.times[0])) if used else 1.0
        state.accepted.add(now)
        return 0.0

    def _load(self, bucket: BucketKey, now: float) -> float:
        if not self.loads:
            return 0.0
        self.loads = [load for load in self.loads if load.until > now]
        return sum(load.rate for load in self.loads if load.action in ("*", bucket.action))

    def stats(self) -> dict[str, Any]:
        """Per bucket and summed up per action: counts and the largest number in a sliding or fixed second."""
        buckets = [
            {**bucket._asdict(), "limit": self.limit_for(bucket), **_figures(state)}
            for bucket, state in sorted(self.buckets.items())
        ]
        actions: dict[str, dict[str, Any]] = {}
        for row in buckets:
            name = f"{row['product']}.{row['action']}"
            total = actions.setdefault(name, {"accepted": 0, "throttled": 0, "requests": 0})
            for key in ("accepted", "throttled", "requests"):
                total[key] += row[key]
            for key in ("max_sliding_all", "max_sliding_accepted", "max_fixed_all", "max_fixed_accepted"):
                total[key] = max(total.get(key, 0), row[key])
        return {"buckets": buckets, "actions": actions}

    def reset_stats(self) -> None:
        """Forget all counts (and with them the current windows)."""
        self.buckets.clear()


def _figures(state: BucketState) -> dict[str, Any]:
    return {
        "requests": state.every.total,
        "accepted": state.accepted.total,
        "throttled": state.throttled,
        "max_sliding_all": state.every.max_sliding,
        "max_sliding_accepted": state.accepted.max_sliding,
        "max_fixed_all": state.every.max_fixed,
        "max_fixed_accepted": state.accepted.max_fixed,
        "seconds": round(state.last - state.first, 3),
    }
