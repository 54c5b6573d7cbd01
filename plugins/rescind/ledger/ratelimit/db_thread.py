"""A thread of its own for the pacer's statements, so that neither the event loop nor the ledger's pool waits."""

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
from rescind.ledger.store.database import Connection, Database, wrapped

P = ParamSpec("P")
T = TypeVar("T")

# The server ends a statement after the first; whoever waits longer than the second has no server.
_STATEMENT_S = 3.0
_ANSWER_S = 5.0


class DatabaseThread:
    """One thread with one connection that runs the lanes' statements, first come first served."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._pid = os.getpid()
        self._line = _Line(database)

    async def ask(
        self, work: Callable[Concatenate[Connection, P], T], *arguments: P.args, **named: P.kwargs
    ) -> tuple[T, float, float]:
        """Run ``work`` in the thread; returns its result and the monotonic times around it.

        :raises LedgerError: when the database fails or does not answer in time.
        """
        if self._pid != os.getpid():
            # A fork takes neither the thread nor the right to the connection along.
            self._pid, self._line = os.getpid(), _Line(self._database)
        line = self._line
        future = asyncio.get_running_loop().run_in_executor(
            line.thread, lambda: line.run(lambda connection: work(connection, *arguments, **named))
        )
        try:
            return await asyncio.wait_for(future, _ANSWER_S)
        except TimeoutError:
            # The thread hangs in a dead connection; it ends when the operating system gives up on it.
            line.thread.shutdown(wait=False)
            if self._line is line:
                self._line = _Line(self._database)
            raise LedgerError(f"ledger {self._database.label}: no answer in {_ANSWER_S:.0f} s") from None

    def close(self) -> None:
        """End the thread and the connection; whoever asks again gets new ones."""
        line, self._line = self._line, _Line(self._database)
        line.thread.shutdown(wait=True)
        line.drop()


class _Line:
    """A thread and its connection, opened when it is first needed and after every failure."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection: Connection | None = None
        self.thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="rescind-pacer")

    def run(self, work: Callable[[Connection], T]) -> tuple[T, float, float]:
        """Run ``work`` with the connection; in the thread."""
        if self._connection is None:
            # Nothing here has to survive a crash of the server: waiting for the disk would only add jitter.
            self._connection = self._database.connect(
                autocommit=True,
                timeout_s=_STATEMENT_S,
                synchronous_commit="off",
                statement_timeout=f"{int(_STATEMENT_S * 1000)}",
                lock_timeout=f"{int(_STATEMENT_S * 1000)}",
            )
        started = time.monotonic()
        try:
            with wrapped(self._database.label):
                result = work(self._connection)
        except LedgerError:
            self.drop()
            raise
        return result, started, time.monotonic()

    def drop(self) -> None:
        """Close the connection, if there is one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(psycopg.Error):
                connection.close()
