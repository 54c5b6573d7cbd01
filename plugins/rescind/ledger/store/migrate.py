"""Creates and updates the ledger's schema from numbered SQL files.

Each file is applied once, in order, in its own transaction, under an advisory lock. Its SHA-256 is stored, so that a
file that was edited after it had been applied is reported.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources

import psycopg

from rescind.errors import ConfigurationError
from rescind.ledger.store import privileges
from rescind.ledger.store.database import MIGRATE_HINT, Connection, Database, Phase, identifier, repeated, wrapped
from rescind.ledger.store.errors import DatabaseError

# An arbitrary fixed number: the advisory lock of migrations.
_LOCK = 7_233_126_045
_NAME = re.compile(r"^(\d{3})_[a-z0-9_]+\.sql$")
_MAINTENANCE_DATABASE = "postgres"


@dataclass(frozen=True, slots=True)
class Migration:
    """One SQL file."""

    version: int
    name: str
    text: str

    @property
    def checksum(self) -> str:
        """SHA-256 (hex) of the file."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def migrations() -> list[Migration]:
    """Return the migrations of this version of the code, in order."""
    found = []
    for entry in resources.files("rescind.ledger").joinpath("migrations").iterdir():
        match = _NAME.match(entry.name)
        if match:
            found.append(Migration(int(match[1]), entry.name, entry.read_text(encoding="utf-8")))
    return sorted(found, key=lambda migration: migration.version)


def migrate(
    dsn: str | Database, *, create_database: bool = False, runtime_role: str | None = None, page_role: str | None = None
) -> list[str]:
    """Migrate the ledger to this version of the code. Safe to repeat and to run concurrently.

    Roles that have the rights of a runtime role get those of this version.

    :param create_database: create the database when it does not exist.
    :param runtime_role: the database role of the tasks, which gets the rights too. It must exist and own nothing.
    :param page_role: likewise the role of the page, which reads and adds selections.
    :returns: names of the files that this call applied.
    :raises ConfigurationError: when the database cannot be reached, has a newer schema, or was created from other
        files.
    """
    database = dsn if isinstance(dsn, Database) else Database(dsn)
    if create_database:
        _create_database(database)
    with _session(database) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))
        try:
            _create_history(connection)
            known = migrations()
            applied = _applied(connection)
            _compare(database, known, applied)
            todo = [migration for migration in known if migration.version not in applied]
            for migration in todo:
                _apply(connection, migration)
            if runtime_role is not None or page_role is not None or privileges.owns(connection):
                privileges.grant(connection, runtime_role, page_role)
        finally:
            connection.execute("SELECT pg_advisory_unlock(%s)", (_LOCK,))
    return [migration.name for migration in todo]


def check(database: Database) -> None:
    """Check that the ledger can be used.

    :raises ConfigurationError: when it cannot be reached, is not a UTF-8 database, or does not have exactly the
        migrations of this version of the code. The message says how to fix it.
    """
    with _session(database) as connection:
        encoding = (connection.execute("SHOW server_encoding").fetchone() or {})["server_encoding"]
        if encoding != "UTF8":
            raise ConfigurationError(
                f"ledger {database.label}: the encoding of the database is {encoding}. Create it with ENCODING 'UTF8'"
            )
        exists = (connection.execute("SELECT to_regclass('rescind.migration') AS t").fetchone() or {})["t"]
        if exists is None:
            raise ConfigurationError(
                f"ledger {database.label}: the database contains no ledger. To create it, {MIGRATE_HINT}"
            )
        known = migrations()
        applied = _applied(connection)
        _compare(database, known, applied)
        missing = [migration.name for migration in known if migration.version not in applied]
        if missing:
            raise ConfigurationError(
                f"ledger {database.label}: the schema is behind the code ({', '.join(missing)} not applied)."
                f" To update it, {MIGRATE_HINT}"
            )
        privileges.refuse_missing(connection, database.label)


@contextmanager
def _session(database: Database) -> Iterator[Connection]:
    try:
        connection = database.connect(autocommit=True, lock_timeout="120000", statement_timeout="600000")
    except DatabaseError as error:
        raise ConfigurationError(f"{error}. {_connect_remedy(error)}") from None
    try:
        with wrapped(database.label, Phase.STATEMENT):
            yield connection
    finally:
        connection.close()


def _connect_remedy(error: DatabaseError) -> str:
    if "does not exist" in str(error):
        return f"Create the database, or {MIGRATE_HINT} and --create-database"
    return "Check host, port, user and password of the connection rescind_ledger"


def _create_database(database: Database) -> None:
    name = str(database.target.get("dbname", ""))
    if not name:
        raise ConfigurationError("ledger: the connection string names no database. Append /rescind to it")
    try:
        connection = database.connect(autocommit=True, dbname=_MAINTENANCE_DATABASE)
    except DatabaseError as error:
        raise ConfigurationError(f"{error}. {_connect_remedy(error)}") from None
    try:
        with wrapped(database.label, Phase.STATEMENT):
            connection.execute(
                psycopg.sql.SQL("CREATE DATABASE {} ENCODING 'UTF8' TEMPLATE template0").format(identifier(name))
            )
    except DatabaseError as error:
        # Two processes may race: the second one gets a duplicate name or a unique violation.
        if error.sqlstate not in (psycopg.errors.DuplicateDatabase.sqlstate, psycopg.errors.UniqueViolation.sqlstate):
            raise
    finally:
        connection.close()


def _create_history(connection: Connection) -> None:
    exists = connection.execute("SELECT to_regclass('rescind.migration') AS t").fetchone()
    if exists is not None and exists["t"] is not None:
        return  # a role that may not create a schema can still find that it is up to date
    with connection.transaction():
        connection.execute("CREATE SCHEMA IF NOT EXISTS rescind")
        connection.execute(
            "CREATE TABLE IF NOT EXISTS rescind.migration (version integer PRIMARY KEY, name text NOT NULL,"
            " checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT clock_timestamp())"
        )


def _applied(connection: Connection) -> dict[int, tuple[str, str]]:
    rows = connection.execute("SELECT version, name, checksum FROM rescind.migration").fetchall()
    return {row["version"]: (row["name"], row["checksum"]) for row in rows}


def _compare(database: Database, known: list[Migration], applied: dict[int, tuple[str, str]]) -> None:
    by_version = {migration.version: migration for migration in known}
    for version, (name, checksum) in sorted(applied.items()):
        migration = by_version.get(version)
        if migration is None:
            raise ConfigurationError(
                f"ledger {database.label}: the schema is newer than this code (it has {name})."
                " Deploy the newer version of the package on all machines"
            )
        if migration.checksum != checksum:
            raise ConfigurationError(
                f"ledger {database.label}: {name} was changed after it had been applied."
                " Restore the file, and put the change into a new file"
            )


def _apply(connection: Connection, migration: Migration) -> None:
    def once() -> None:
        with connection.transaction():
            connection.execute(migration.text.encode())
            connection.execute(
                "INSERT INTO rescind.migration (version, name, checksum) VALUES (%s, %s, %s)",
                (migration.version, migration.name, migration.checksum),
            )

    repeated(once)  # running tasks hold locks on what a migration changes
