"""How far a task is and when it will be done, told at a steady pace."""

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
    """A moment of a task.

    :param of: how many there are in all, or 0 when nobody can know.
    :param per_second: pace of the last minute.
    :param seconds_left: forecast at that pace, or None without a total or a pace.
    """

    done: int
    of: int
    per_second: float
    seconds_left: float | None

    def sentence(self, noun: str) -> str:
        """For example ``2,310 of 9,000 calls, 20/s, 6 min left``."""
        count = f"{self.done:,} of {self.of:,} {noun}" if self.of else f"{self.done:,} {noun}"
        pace = f"{self.per_second:.0f}/s" if self.per_second >= 9.5 else f"{self.per_second:.1f}/s"
        return f"{count}, {pace}" + (f", {_duration(self.seconds_left)} left" if self.seconds_left is not None else "")


@dataclass(slots=True)
class Meter:
    """Counts what is done, and tells it every few seconds and at the end.

    :param tell: writes a reading down, for people; it may block and may fail, which harms nothing.
    :param of: how many there are in all, as soon as that is known.
    :param every_s: pause between two readings, in seconds.
    """

    tell: Callable[[Reading], None] = lambda _reading: None
    of: int = 0
    done: int = 0
    every_s: float = 5.0
    _past: deque[tuple[float, int]] = field(default_factory=deque)

    def add(self, count: int = 1) -> None:
        """So many more are done."""
        self.done += count

    def reading(self) -> Reading:
        """Where this is now; a total that turns out too small grows with what is done."""
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
        """Tell the progress of what happens inside."""
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
        except Exception as error:  # people see less, the work goes on
            log.warning("progress cannot be shown (%s)", type(error).__name__)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
