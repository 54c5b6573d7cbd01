"""Whether sending may go on: asked before every call, answered without asking anybody.

Three things stop a batch between two calls. The ledger's kill switch is read in the transaction of every intent
and is the authority. A second switch, for whoever has Airflow's interface at hand and not the ledger, is read here
beside the calls, once in a while. And the process may be told to end. After any of them at most the calls in the
air arrive; everything else stays as it is, and a later try goes on from there.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from rescind.errors import RunInterruptedError, RunStoppedError

log = logging.getLogger(__name__)


@dataclass(slots=True)
class KillSwitchMonitor:
    """Keeps the last answer of the second switch, and how old it is.

    :param read: the reason why everything has to stop, or an empty text. It may block and may fail: it runs in a
        thread. None when there is no second switch.
    :param every_s: pause between two readings, in seconds: what a stop costs at most, beside the calls in the air.
    :param patience_s: how long sending goes on while the switch cannot be read, in seconds. Who cannot be told to
        stop must not go on for ever; a try that ends for this reason may be made again.
    """

    read: Callable[[], str] | None = None
    every_s: float = 1.0
    patience_s: float = 30.0
    _reason: str = ""
    _ending: str = ""
    _known_at: float = 0.0

    async def start(self) -> None:
        """Read the switch for the first time; nothing may be sent before it is known.

        :raises RunStoppedError: when it is set.
        :raises RunInterruptedError: when it cannot be read for ``patience_s`` seconds.
        """
        began = time.monotonic()
        while self.read is not None and not self._known_at:
            await self._look()
            if not self._known_at:
                if time.monotonic() - began >= self.patience_s:
                    raise RunInterruptedError(
                        f"the stop switch could not be read for {self.patience_s:.0f} s: nothing is sent"
                    )
                await asyncio.sleep(self.every_s)
        self.check()

    async def watch(self) -> None:
        """Keep the answer fresh, until canceled."""
        while self.read is not None:
            await asyncio.sleep(self.every_s)
            await self._look()

    def end(self, why: str) -> None:
        """Stop between two calls because the process is told to end. Safe in a signal handler."""
        self._ending = why

    def check(self) -> None:
        """Do nothing while sending may go on. Costs nothing.

        :raises RunStoppedError: the switch is set; no retry mends that.
        :raises RunInterruptedError: the process is to end, or nobody knows for too long whether the switch is set.
        """
        if self._reason:
            raise RunStoppedError(f"the stop switch is set: {self._reason}")
        if self._ending:
            raise RunInterruptedError(f"{self._ending}: what is open stays open and is sent by a later try")
        if self.read is not None and time.monotonic() - self._known_at > self.patience_s:
            raise RunInterruptedError(f"the stop switch could not be read for {self.patience_s:.0f} s: no more is sent")

    async def _look(self) -> None:
        if self.read is None:
            return
        asked_at = time.monotonic()
        try:
            self._reason = await asyncio.to_thread(self.read)
        except Exception as error:  # whatever keeps us from knowing: it is the age of the last answer that counts
            log.warning("the stop switch cannot be read (%s)", type(error).__name__)
            return
        self._known_at = asked_at
