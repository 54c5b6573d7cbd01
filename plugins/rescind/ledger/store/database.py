"""Connections to the ledger's PostgreSQL.

A task process needs a few connections for minutes, so the pool is a plain list of idle connections. It guarantees:

- A forked child starts with an empty pool and does not touch the parent's sockets.
- Every transaction has a statement timeout, a lock timeout and a durable commit. Poolers and standbys are refused, see
  :mod:`rescind.ledger.store.session`.
- An idle connection is tested before it is reused. A read is retried once on a new connection. A write on a lost
  connection is never retried here, because the effect of a broken COMMIT is not known.
- A transaction that PostgreSQL ended as the victim of a deadlock or of a serialization failure has changed nothing. It
  is repeated a few times, see :func:`repeated`.
- Every driver error becomes a :class:`~rescind.errors.LedgerError` with a remedy. The DETAIL line is dropped, because
  PostgreSQL quotes row contents in it.
"""

from __future__ import annotations

import math
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeVar

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import TransactionStatus

from rescind.errors import ConfigurationError, LedgerError
from rescind.ledger.store.errors import DatabaseError
from rescind.ledger.store.session import Connection, open_session

__all__ = ["MIGRATE_HINT", "Connection", "Database", "Phase", "Timeouts", "identifier", "repeated", "wrapped"]
T = TypeVar("T")

MIGRATE_HINT = "run `rescind ledger migrate` with the same connection string"
# Detects a dead peer within 30 s (no effect on local sockets).
_DEFAULTS: dict[str, Any] = {
    "application_name": "rescind",
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
_REPEATABLE = ("40P01", "40001")  # deadlock, serialization failure: rolled back as a whole
_TRIES = 5
_IDLE_TRUSTED_S = 1.0
_IDLE_KEPT_S = 120.0
# References to the connections of a parent process, so that a child never closes the parent's sessions.
_inherited: list[Connection] = []


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Limits in seconds. ``bulk`` replaces ``statement`` where millions of rows are written."""

    connect: float = 10.0
    statement: float = 30.0
    bulk: float = 900.0
    lock: float = 10.0
    checkout: float = 30.0


class Database:
    """A small pool of connections to one database.

    :param dsn: a PostgreSQL connection string or URI.
    :param max_connections: most connections of this process at a time.
    :ivar target: the parts of the connection string, including the password.
    :raises ConfigurationError: when the connection string cannot be parsed.
    """

    def __init__(self, dsn: str, *, max_connections: int = 4, timeouts: Timeouts | None = None) -> None:
        self.timeouts = timeouts or Timeouts()
        try:
            self.target: dict[str, Any] = dict(conninfo_to_dict(dsn))
        except psycopg.ProgrammingError:
            # The driver's message quotes the string, including the password.
            raise ConfigurationError(
                "ledger: the connection string cannot be parsed. Use a URI such as postgresql://user@host:5432/rescind"
            ) from None
        limit = {"connect_timeout": math.ceil(self.timeouts.connect)}
        self._conninfo = make_conninfo("", **{**_DEFAULTS, **limit, **self.target})
        self._max = max_connections
        self._reset()

    def __repr__(self) -> str:
        return f"Database({self.label})"

    def __del__(self) -> None:
        # An unclosed ledger leaves no sessions behind; a child does not close those of its parent.
        if getattr(self, "_pid", None) == os.getpid():
            with suppress(Exception):
                self.close()

    @property
    def label(self) -> str:
        """Host and database for messages, without user and password."""
        return f"{self.target.get('host', 'local socket')}/{self.target.get('dbname', '')}"

    def connect(
        self, *, autocommit: bool = False, dbname: str | None = None, timeout_s: float | None = None, **settings: str
    ) -> Connection:
        """Open a connection outside the pool; the caller closes it.

        :param autocommit: commit every statement by itself.
        :param dbname: another database of the same server.
        :param timeout_s: longest wait for the connection in seconds; replaces the default.
        :param settings: further session settings, such as ``statement_timeout``.
        :raises LedgerError: when the server cannot be reached.
        :raises ConfigurationError: behind a pooler, on a standby, and on a read-only server.
        """
        other: dict[str, Any] = {} if dbname is None else {"dbname": dbname}
        if timeout_s is not None:
            other["connect_timeout"] = math.ceil(timeout_s)
        info = make_conninfo(self._conninfo, **other)
        bulk_ms = int(self.timeouts.bulk * 1000)
        values = {
            "statement_timeout": f"{int(self.timeouts.statement * 1000)}",
            "lock_timeout": f"{int(self.timeouts.lock * 1000)}",
            "idle_in_transaction_session_timeout": f"{bulk_ms}",
            "TimeZone": "UTC",
            "bytea_output": "hex",
            **settings,
        }
        with wrapped(self.label, Phase.CONNECT):
            connection = open_session(info, label=self.label, settings=values, bulk_ms=bulk_ms)
            connection.autocommit = autocommit
        return connection

    @contextmanager
    def transaction(self, *, bulk: bool = False, snapshot: bool = False) -> Iterator[Connection]:
        """Run one transaction once: commit when the block ends, roll back when it raises.

        The package uses :meth:`read` and :meth:`write`, which repeat the victim of a deadlock.

        :param bulk: allow statements to take ``timeouts.bulk``.
        :param snapshot: read only, and every statement sees the same state of the database.
        :raises LedgerError: when the database fails. The message says whether something was written: a failed COMMIT
            is the only case in which that is not known.
        """
        connection = self._take()
        try:
            with wrapped(self.label):
                connection.begin(bulk=bulk, snapshot=snapshot, label=self.label)
                yield connection
                if connection.info.transaction_status != TransactionStatus.INTRANS:
                    raise LedgerError(f"ledger {self.label}: a statement failed before COMMIT. Nothing was written")
            with wrapped(self.label, Phase.COMMIT):
                connection.commit()
        except BaseException:
            with suppress(psycopg.Error):
                connection.rollback()
            raise
        finally:
            self._put_back(connection)

    def read(self, work: Callable[[Connection], T], *, bulk: bool = False, snapshot: bool = False) -> T:
        """Run a read in a transaction; retry once on a new connection when the old one is lost.

        :param work: as for :meth:`write`.
        :param bulk: allow statements to take ``timeouts.bulk``.
        :param snapshot: read only, and every statement sees the same state of the database.
        """
        try:
            return self._repeat(work, bulk=bulk, snapshot=snapshot)
        except DatabaseError as error:
            if not error.lost:
                raise
        self.close()
        return self._repeat(work, bulk=bulk, snapshot=snapshot)

    def write(self, work: Callable[[Connection], T], *, bulk: bool = False) -> T:
        """Run a write in a transaction; it is repeated as :func:`repeated` says. No other failure is.

        :param work: may run several times, so it changes nothing outside the database and uses up no iterator.
        :param bulk: allow statements to take ``timeouts.bulk``.
        :raises LedgerError: when the database fails, or every repetition ends in a deadlock.
        """
        return self._repeat(work, bulk=bulk)

    def _repeat(self, work: Callable[[Connection], T], *, bulk: bool = False, snapshot: bool = False) -> T:
        def once() -> T:
            with self.transaction(bulk=bulk, snapshot=snapshot) as connection:
                return work(connection)

        return repeated(once)

    def close(self) -> None:
        """Close the idle connections; the pool stays usable."""
        self._after_fork()
        with self._lock:
            idle = list(self._idle)
            self._idle.clear()
        for connection, _ in idle:
            connection.close()

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._slots = threading.BoundedSemaphore(self._max)
        self._idle: list[tuple[Connection, float]] = []

    def _after_fork(self) -> None:
        if self._pid != os.getpid():
            _inherited.extend(connection for connection, _ in self._idle)
            self._reset()

    def _take(self) -> Connection:
        self._after_fork()
        if not self._slots.acquire(timeout=self.timeouts.checkout):
            raise LedgerError(
                f"ledger {self.label}: all {self._max} connections of this process were busy for"
                f" {self.timeouts.checkout:.0f} s. Run fewer coroutines, or raise max_connections"
            )
        try:
            return self._idle_connection() or self.connect(autocommit=True)
        except BaseException:
            self._slots.release()
            raise

    def _idle_connection(self) -> Connection | None:
        while True:
            with self._lock:
                if not self._idle:
                    return None
                connection, since = self._idle.pop()
            idled = time.monotonic() - since
            if idled < _IDLE_TRUSTED_S or (idled < _IDLE_KEPT_S and _alive(connection)):
                return connection
            connection.close()

    def _put_back(self, connection: Connection) -> None:
        usable = not connection.closed and connection.info.transaction_status == TransactionStatus.IDLE
        if usable:
            with self._lock:
                self._idle.append((connection, time.monotonic()))
        else:
            connection.close()
        self._slots.release()


def repeated(once: Callable[[], T]) -> T:
    """Run one transaction; repeat it while PostgreSQL ends it for a deadlock or a serialization failure.

    :param once: the whole transaction. It may run several times.
    """
    tries = 0
    while True:
        tries += 1
        try:
            return once()
        except (DatabaseError, psycopg.Error) as error:
            if error.sqlstate not in _REPEATABLE or tries == _TRIES:
                raise
        time.sleep(random.uniform(0.0, 0.05 * tries))  # the others first


def _alive(connection: Connection) -> bool:
    try:
        connection.execute("SELECT 1")
    except psycopg.Error:
        return False
    return True


class Phase(Enum):
    """Where a database error happened. It decides what is known about the effect of a lost connection."""

    CONNECT = "Check that the server runs and can be reached"
    STATEMENT = "Whether the last statement took effect is not known: read before writing again"
    TRANSACTION = "The connection was lost before COMMIT. Nothing was written"
    COMMIT = (
        "The connection was lost during COMMIT: whether something was written is not known. Read before writing again"
    )


@contextmanager
def wrapped(label: str, phase: Phase = Phase.TRANSACTION) -> Iterator[None]:
    """Convert driver errors to errors of this package.

    :param phase: ``TRANSACTION`` and ``COMMIT`` for the two parts of a transaction, ``STATEMENT`` for statements that
        are committed one by one.
    :raises ConfigurationError: when the schema is missing.
    :raises LedgerError: for every other driver error.
    """
    # `from None`: a chained driver error would print DETAIL, and with it row contents, in the task log.
    try:
        yield
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName, psycopg.errors.UndefinedFunction) as error:
        raise ConfigurationError(f"ledger {label}: {_primary(error)}. To create or update it, {MIGRATE_HINT}") from None
    except psycopg.Error as error:
        lost = _lost(error)
        raise DatabaseError(
            f"ledger {label}: {_primary(error)}. {_remedy(error, phase, lost=lost)}",
            sqlstate=error.sqlstate or "",
            lost=lost,
        ) from None


def _primary(error: psycopg.Error) -> str:
    """Return the server's message without DETAIL, HINT and CONTEXT, which quote values."""
    text = error.diag.message_primary or str(error) or type(error).__name__
    return " ".join(text.split()).rstrip(".")


def _lost(error: psycopg.Error) -> bool:
    """Return whether the connection is lost; otherwise the statement was refused."""
    if error.sqlstate:
        # 08: connection exception. 57P: the server shuts down or has ended the session. FATAL: it ends the session.
        return error.sqlstate.startswith(("08", "57P")) or error.diag.severity_nonlocalized in ("FATAL", "PANIC")
    return isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)


_REMEDIES: tuple[tuple[type[psycopg.Error], str], ...] = (
    (psycopg.errors.LockNotAvailable, "Another process held the row too long; retry"),
    (psycopg.errors.QueryCanceled, "The statement exceeded its timeout; retry"),
    (psycopg.errors.DeadlockDetected, "Two processes waited for each other; retry"),
    (psycopg.errors.SerializationFailure, "Two processes changed the same rows; retry"),
    (psycopg.errors.ReadOnlySqlTransaction, "The server is a standby or read-only. Use the primary server"),
    (
        psycopg.errors.InsufficientPrivilege,
        "Run `rescind ledger migrate --runtime-role NAME` as the owner of the schema, with the name of this user",
    ),
    (psycopg.errors.TooManyConnections, "Raise max_connections of the server, or run fewer tasks at a time"),
    (psycopg.errors.DiskFull, "Free disk space on the database server"),
)


def _remedy(error: psycopg.Error, phase: Phase, *, lost: bool) -> str:
    """Return how to go on, and what is known about the effect.

    An error that PostgreSQL reports ends the transaction, also as the answer to COMMIT. A lost connection ends it too,
    unless COMMIT was sent.
    """
    remedy = next((text for kind, text in _REMEDIES if isinstance(error, kind)), "")
    if lost or phase is Phase.CONNECT:
        effect = phase.value
    else:
        effect = "" if phase is Phase.STATEMENT else "Nothing was written"
    return ". ".join(filter(None, (remedy, effect)))


def identifier(name: str) -> sql.Identifier:
    """Return a quoted name for a composed statement."""
    return sql.Identifier(name)
