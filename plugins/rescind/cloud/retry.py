"""How often and when a read is retried."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping

MAX_ATTEMPTS = 6
"""Most attempts for one read."""
BASE_S, CAP_S = 0.5, 20.0
MAX_ASKED_WAIT_S = 60.0
"""Longest wait in seconds that a header can ask for; longer ones are reduced to this."""


class RetryBudget:
    """A token bucket for the retries of one client, so that an outage does not multiply the load.

    Each retry takes a token; each success returns a part of one. Without a token there is no retry.
    """

    def __init__(self, capacity: float = 50.0, refill: float = 0.2) -> None:
        self._capacity = capacity
        self._refill = refill
        self._tokens = capacity

    def spend(self) -> bool:
        """Take a token; return False when there is none."""
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True

    def succeeded(self) -> None:
        """Return a part of a token."""
        self._tokens = min(self._capacity, self._tokens + self._refill)


def backoff(attempt: int, asked: float | None, jitter: Callable[[], float] = random.random) -> float:
    """Seconds to wait before attempt ``attempt + 1``: full jitter, doubling, never less than asked for.

    :param attempt: how many attempts were made, from 1.
    :param asked: what the vendor asked for, in seconds, or None.
    """
    return max(asked or 0.0, min(CAP_S, BASE_S * 2.0 ** (attempt - 1)) * jitter())


def asked_wait(headers: Mapping[str, str]) -> float | None:
    """What ``x-acs-retry-after`` (milliseconds) or ``retry-after`` (seconds) ask for, in seconds.

    Anything but plain digits is ignored; more than :data:`MAX_ASKED_WAIT_S` is cut to that.
    """
    for name, unit in (("x-acs-retry-after", 1000.0), ("retry-after", 1.0)):
        text = headers.get(name, "").strip()
        if text.isascii() and text.isdigit():
            return min(int(text[:12]) / unit if len(text) <= 12 else MAX_ASKED_WAIT_S, MAX_ASKED_WAIT_S)
    return None
