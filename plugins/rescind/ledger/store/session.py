"""Sessions on the ledger's server: how each begins, how each transaction begins, and which servers are refused.

A connection pooler may give every transaction to another session of the server. Prepared statements and settings of
one client then apply to another one, and advisory locks hold nothing. A client cannot see in which mode a pooler works,
and a pooler can change it at any time. So every pooler that shows is refused:

- PostgreSQL tells each client the process id of its session. A pooler tells an id of its own, which differs from what
  ``pg_backend_pid()`` says.
- Every transaction begins with a comparison of this id with the one of the connection.

Independently of that, nothing is prepared on the server, and each transaction sets what it relies on for itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import DictRow, dict_row

from rescind.errors import ConfigurationError
from rescind.ledger.store import digest

POOLER_REMEDY = (
    "Connect to PostgreSQL directly: host and port of the server instead of the pooler, such as port 5432 instead of"
    " 6432. Session pooling is refused too, because a client cannot tell it from transaction pooling"
)
_FACTS = """
SELECT pg_backend_pid() AS backend, pg_is_in_recovery() AS standby,
       current_setting('transaction_read_only') = 'on' AS read_only,
       current_setting('synchronous_commit') AS synchronous_commit,
       pg_size_bytes(current_setting('work_mem')) AS memory
"""
# The timeline changes when a standby is promoted or a backup is restored, the system identifier with a new cluster.
_IDENTITY = """
SELECT system_identifier || '/' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) AS server
FROM pg_control_system()
"""
BULK_MEMORY_MB = 64
"""Least memory of one sort or hash of a bulk transaction. With less, a million rows pass through files many times."""
# A commit returns before it is on disk (off), or before it is on the standby that may become the server (local).
_NOT_DURABLE = ("off", "local")


class Connection(psycopg.Connection[DictRow]):
    """A session of the ledger.

    :ivar backend: process id of the session on the server.
    :ivar server: system identifier and timeline of the server, or empty when the server does not tell them. Another
        value means another history: a standby was promoted, or a backup was restored.
    """

    backend: int
    server: str
    _begin: Mapping[bool, bytes]

    def __del__(self, *_: Any) -> None:
        """End without a warning: the driver closes a session that ends with its ledger, in whatever order both go."""

    def begin(self, *, bulk: bool, snapshot: bool, label: str) -> None:
        """Begin a transaction with its settings, in one round trip.

        :param bulk: with the longer statement timeout, and more memory for sorts.
        :param snapshot: read only, and every statement sees the same state of the database.
        :raises ConfigurationError: when a pooler moved this connection to another session.
        """
        mode = b"REPEATABLE READ, READ ONLY; " if snapshot else b"READ COMMITTED; "
        cursor = self.execute(b"BEGIN ISOLATION LEVEL " + mode + self._begin[bulk])
        while cursor.nextset():
            pass
        row = cursor.fetchone()
        if row is None or row["backend"] != self.backend:
            self.close()
            raise pooled(label)


def open_session(info: str, *, label: str, settings: Mapping[str, str], bulk_ms: int) -> Connection:
    """Open an autocommit session on a server that can hold the ledger.

    :param label: host and database for messages.
    :param settings: settings of the session; its transactions set the same ones.
    :param bulk_ms: statement timeout of bulk transactions, in milliseconds.
    :raises ConfigurationError: behind a pooler, on a standby, and on a read-only server.
    """
    connection = Connection.connect(
        info, autocommit=True, prepare_threshold=None, row_factory=dict_row, client_encoding="utf8"
    )
    try:
        digest.adapt(connection)
        facts: Mapping[str, Any] = connection.execute(_FACTS).fetchone() or {}
        if facts["backend"] != connection.info.backend_pid:
            raise pooled(label)
        if facts["standby"] or facts["read_only"]:
            what = "a standby, which may be behind" if facts["standby"] else "read-only (default_transaction_read_only)"
            raise ConfigurationError(
                f"ledger {label}: the server is {what}. Connect to the primary server; with several hosts in the"
                " connection, set target_session_attrs=read-write"
            )
        durable = "on" if facts["synchronous_commit"] in _NOT_DURABLE else str(facts["synchronous_commit"])
        wanted = {"synchronous_commit": durable, **settings}
        connection.execute(_set(wanted, "SESSION"))
        local = {name: value for name, value in wanted.items() if name != "statement_timeout"}
        bulk = {"statement_timeout": f"{bulk_ms}"}
        if facts["memory"] < BULK_MEMORY_MB << 20:
            bulk["work_mem"] = f"{BULK_MEMORY_MB}MB"
        connection._begin = {
            kind: _set({**values, **local}, "LOCAL") + b"; SELECT pg_backend_pid() AS backend"
            for kind, values in ((False, {"statement_timeout": wanted["statement_timeout"]}), (True, bulk))
        }
        connection.backend, connection.server = facts["backend"], _identity(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def pooled(label: str) -> ConfigurationError:
    """Return the error for a connection through a pooler."""
    return ConfigurationError(
        f"ledger {label}: a connection pooler (such as PgBouncer) is between this process and PostgreSQL. The"
        f" transactions of one process would run in the sessions of others. {POOLER_REMEDY}"
    )


def _identity(connection: Connection) -> str:
    """Return system identifier and timeline; empty on a managed server that has no such functions."""
    try:
        row = connection.execute(_IDENTITY).fetchone()
    except (psycopg.NotSupportedError, psycopg.errors.InsufficientPrivilege, psycopg.errors.UndefinedFunction):
        return ""
    return str(row["server"]) if row else ""


def _set(settings: Mapping[str, str], reach: str) -> bytes:
    parts = (
        sql.SQL("SET {} {} = {}").format(sql.SQL(reach), sql.Identifier(name), sql.Literal(value))
        for name, value in settings.items()
    )
    return sql.SQL("; ").join(parts).as_bytes()
