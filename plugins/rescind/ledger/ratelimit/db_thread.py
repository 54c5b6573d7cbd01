"""A separate thread and connection for the statements of the pacer, so that the event loop never blocks."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Concatenate, ParamSpec, TypeVar

import psycopg

from rescind.errors import LedgerError
from rescind.ledger.store.database import Connection, Database, Phase, repeated, wrapped

P = ParamSpec("P")
T = TypeVar("T")

# The server ends a statement after the first; after the second the server counts as not reachable.
_STATEMENT_S = 3.0
_ANSWER_S = 5.0


class DatabaseThread:
    """One thread with one connection that runs the statements of all buckets in order."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._pid = os.getpid()
        self._worker = _Worker(database)

    async def ask(
        self, work: Callable[Concatenate[Connection, P], T], *arguments: P.args, **named: P.kwargs
    ) -> tuple[T, float, float]:
        """Run ``work`` in the thread; return its result and the monotonic times before and after it.

        :raises LedgerError: when the database fails or does not answer in time.
        """
        if self._pid != os.getpid():
            # After a fork neither the thread nor the connection can be used.
            self._pid, self._worker = os.getpid(), _Worker(self._database)
        worker = self._worker
        future = asyncio.get_running_loop().run_in_executor(
            worker.thread, lambda: worker.run(lambda connection: work(connection, *arguments, **named))
        )
        try:
            return await asyncio.wait_for(future, _ANSWER_S)
        except TimeoutError:
            # The thread waits for a dead connection; it ends when the operating system closes it.
            worker.thread.shutdown(wait=False)
            if self._worker is worker:
                self._worker = _Worker(self._database)
            raise LedgerError(f"ledger {self._database.label}: no answer in {_ANSWER_S:.0f} s") from None

    def close(self) -> None:
        """End the thread and the connection. A later :meth:`ask` opens new ones."""
        worker, self._worker = self._worker, _Worker(self._database)
        worker.thread.shutdown(wait=True)
        worker.drop()


class _Worker:
    """A thread and its connection, opened at the first use and after every failure."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection: Connection | None = None
        self.thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="rescind-pacer")

    def run(self, work: Callable[[Connection], T]) -> tuple[T, float, float]:
        """Run ``work`` with the connection, inside the thread."""
        if self._connection is None:
            # No data here must survive a server crash; waiting for the disk would only add jitter.
            self._connection = self._database.connect(
                autocommit=True,
                timeout_s=_STATEMENT_S,
                synchronous_commit="off",
                statement_timeout=f"{int(_STATEMENT_S * 1000)}",
                lock_timeout=f"{int(_STATEMENT_S * 1000)}",
            )
        connection = self._connection

        def once() -> tuple[T, float, float]:
            started = time.monotonic()
            return work(connection), started, time.monotonic()

        try:
            with wrapped(self._database.label, Phase.STATEMENT):
                return repeated(once)
        except LedgerError:
            self.drop()
            raise

    def drop(self) -> None:
        """Close the connection if it is open."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(psycopg.Error):
                connection.close()
