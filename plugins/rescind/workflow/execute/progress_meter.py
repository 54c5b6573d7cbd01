"""The progress of a task and its forecast, reported periodically."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

log = logging.getLogger(__name__)
_WINDOW_S = 60.0


@dataclass(frozen=True, slots=True)
class Reading:
    """The progress of a task at one moment.

    :param of: total number of units, or 0 when it is not known.
    :param per_second: rate of the last minute.
    :param seconds_left: forecast at that rate; None without a total or a rate.
    """

    done: int
    of: int
    per_second: float
    seconds_left: float | None

    def sentence(self, noun: str) -> str:
        """Return the progress as text, for example ``2,310 of 9,000 calls, 20/s, 6 min left``."""
        count = f"{self.done:,} of {self.of:,} {noun}" if self.of else f"{self.done:,} {noun}"
        pace = f"{self.per_second:.0f}/s" if self.per_second >= 9.5 else f"{self.per_second:.1f}/s"
        return f"{count}, {pace}" + (f", {_duration(self.seconds_left)} left" if self.seconds_left is not None else "")


@dataclass(slots=True)
class Meter:
    """Counts units of work, and reports them every few seconds and at the end.

    :param tell: reports a reading to people. It may block or fail without an effect on the task.
    :param of: total number of units, when it is known.
    :param every_s: pause between two reports, in seconds.
    """

    tell: Callable[[Reading], None] = lambda _reading: None
    of: int = 0
    done: int = 0
    every_s: float = 5.0
    _past: deque[tuple[float, int]] = field(default_factory=deque)

    def add(self, count: int = 1) -> None:
        """Count finished units."""
        self.done += count

    def reading(self) -> Reading:
        """Return the current progress. A total that is too small grows with the finished units."""
        now = time.monotonic()
        while len(self._past) > 1 and now - self._past[0][0] > _WINDOW_S:
            self._past.popleft()
        since, before = self._past[0] if self._past else (now, self.done)
        pace = (self.done - before) / (now - since) if now > since else 0.0
        self._past.append((now, self.done))
        of = max(self.of, self.done) if self.of else 0
        left = (of - self.done) / pace if of and pace > 0 else None
        return Reading(self.done, of, pace, left)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Report the progress while the block runs."""
        self.reading()
        teller = asyncio.create_task(self._steadily())
        try:
            yield
        finally:
            teller.cancel()
            with suppress(asyncio.CancelledError):
                await teller
            await self._once()

    async def _steadily(self) -> None:
        while True:
            await asyncio.sleep(self.every_s)
            await self._once()

    async def _once(self) -> None:
        try:
            await asyncio.to_thread(self.tell, self.reading())
        except Exception as error:  # only the display is affected
            log.warning("progress cannot be reported (%s)", type(error).__name__)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
