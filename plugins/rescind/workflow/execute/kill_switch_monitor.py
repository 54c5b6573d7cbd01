"""Decides before every call whether sending may continue, without a query.

Three things stop a batch between two calls:

- The kill switch in the ledger, the authority. It is read in the transaction of every intent.
- A kill switch in Airflow, for people without access to the ledger. This module reads it periodically.
- The end of the process.

In-flight requests may still arrive. Everything else stays as it is, and a retry continues from there.
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
    """Holds the last state of the kill switch in Airflow, and its age.

    :param read: returns the reason to stop, or an empty text. It runs in a thread and may block or fail. None when
        there is no such switch.
    :param every_s: pause between two reads, in seconds: how long a stop takes to be noticed.
    :param patience_s: how long sending continues while the switch cannot be read, in seconds. A worker that cannot
        read the kill switch stops after this time; the task may be retried.
    """

    read: Callable[[], str] | None = None
    every_s: float = 1.0
    patience_s: float = 30.0
    _reason: str = ""
    _ending: str = ""
    _known_at: float = 0.0

    async def start(self) -> None:
        """Read the switch for the first time. Nothing may be sent before its state is known.

        :raises RunStoppedError: when it is set.
        :raises RunInterruptedError: when it cannot be read for ``patience_s`` seconds.
        """
        began = time.monotonic()
        while self.read is not None and not self._known_at:
            await self._read_once()
            if not self._known_at:
                if time.monotonic() - began >= self.patience_s:
                    raise RunInterruptedError(
                        f"the kill switch in Airflow could not be read for {self.patience_s:.0f} s: nothing is sent"
                    )
                await asyncio.sleep(self.every_s)
        self.check()

    async def watch(self) -> None:
        """Read the switch periodically until canceled."""
        while self.read is not None:
            await asyncio.sleep(self.every_s)
            await self._read_once()

    def end(self, why: str) -> None:
        """Stop between two calls because the process ends. Safe in a signal handler.

        :param why: the reason, for the error message.
        """
        self._ending = why

    def check(self) -> None:
        """Raise an error when sending must stop.

        :raises RunStoppedError: when the switch is set; non-retryable.
        :raises RunInterruptedError: when the process ends, or the switch could not be read for ``patience_s`` seconds.
        """
        if self._reason:
            raise RunStoppedError(f"the kill switch in Airflow is set: {self._reason}")
        if self._ending:
            raise RunInterruptedError(f"{self._ending}: open calls stay open and are sent by a retry")
        if self.read is not None and time.monotonic() - self._known_at > self.patience_s:
            raise RunInterruptedError(
                f"the kill switch in Airflow could not be read for {self.patience_s:.0f} s: nothing more is sent"
            )

    async def _read_once(self) -> None:
        if self.read is None:
            return
        asked_at = time.monotonic()
        try:
            self._reason = await asyncio.to_thread(self.read)
        except Exception as error:  # any failure: the age of the last state decides
            log.warning("the kill switch in Airflow cannot be read (%s)", type(error).__name__)
            return
        self._known_at = asked_at
