"""Clocks: the emulated clouds' wall clock, which a test may shift, and a steady clock for limits."""

from __future__ import annotations

import time
from datetime import UTC, datetime


class Clock:
    """Wall clock with an offset in seconds, and an untouched monotonic clock.

    The offset moves everything that the clouds do by wall time: signature windows, token expiry, expiry
    dates of grants and the ``Date`` header. Rate limits and visibility delays use :meth:`mono`.
    """

    def __init__(self, offset: float = 0.0) -> None:
        self.offset = offset

    def now(self) -> float:
        """Seconds since the epoch as the clouds see it."""
        return time.time() + self.offset

    def mono(self) -> float:
        """Seconds on a clock that never jumps."""
        return time.monotonic()

    def utc(self) -> datetime:
        """The clouds' time as an aware datetime."""
        return datetime.fromtimestamp(self.now(), UTC)


class ManualClock(Clock):
    """A clock that stands still until it is told to move: for tests."""

    def __init__(self, start: float = 1_767_225_600.0) -> None:
        super().__init__()
        self._wall = start
        self._mono = 1000.0

    def advance(self, seconds: float) -> None:
        """Move both clocks forward."""
        self._wall += seconds
        self._mono += seconds

    def now(self) -> float:
        """The set wall time plus the offset."""
        return self._wall + self.offset

    def mono(self) -> float:
        """The set steady time."""
        return self._mono


def http_date(seconds: float) -> str:
    """An epoch time in the form of the HTTP ``Date`` header."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")


def iso_z(seconds: float) -> str:
    """An epoch time as ``yyyy-MM-ddTHH:mm:ssZ``."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
