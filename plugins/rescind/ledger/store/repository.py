"""The base of all repositories: database, run numbers, paged reads."""

from __future__ import annotations

import pickle
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, TypeVar

from psycopg.rows import tuple_row

from rescind.errors import LedgerError
from rescind.ledger.store.database import Connection, Database
from rescind.ledger.store.digest import Digest
from rescind.ledger.store.errors import SnapshotClosedError

T = TypeVar("T")

# Rows fetched at a time. Each page is its own transaction and continues after the last key, so a slow reader keeps no
# transaction open (see copy_spool) and a lost connection costs one page.
PAGE = 5_000
# From this many rows on, a bulk write ends with ANALYZE for the query planner.
ANALYZE_FROM = 5_000


class RunNumbers:
    """Caches the number of each run id, which never changes."""

    def __init__(self) -> None:
        self._known: dict[str, int] = {}

    def of(self, connection: Connection, run_id: str) -> int:
        """Return the number of a run.

        :raises LedgerError: when the run does not exist.
        """
        number = self._known.get(run_id)
        if number is None:
            row = connection.execute("SELECT number FROM rescind.run WHERE run_id = %s", (run_id,)).fetchone()
            if row is None:
                raise LedgerError(f"ledger: there is no run {run_id!r}. Take the id from runs.begin()")
            number = int(row["number"])
            self._known[run_id] = number
        return number


class Repository:
    """One part of the ledger. Each method is one transaction unless its docstring says otherwise."""

    def __init__(self, database: Database, numbers: RunNumbers) -> None:
        self._db = database
        self._numbers = numbers

    def _rows(
        self, run_id: str, query: str, values: Mapping[str, Any], *, binary: bool = False
    ) -> list[tuple[Any, ...]]:
        """Return all rows of a query about one run, as tuples; the query names the run ``%(run)s``.

        :param binary: return ``bytea`` columns as bytes instead of hex digests.
        """

        def work(connection: Connection) -> list[tuple[Any, ...]]:
            number = self._numbers.of(connection, run_id)
            with connection.cursor(row_factory=tuple_row, binary=binary) as cursor:
                return cursor.execute(query, {**values, "run": number}).fetchall()

        return self._db.read(work)

    def _spooled(
        self, run_id: str, query: str, values: Mapping[str, Any], *, whole: bool = False
    ) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of a large query about one run: written to disk in one transaction, and read from there.

        Used for orders without an index. Memory use is constant, and no transaction is open while the caller works.

        :param whole: whether it joins all rows of the run: without statistics of a new run, PostgreSQL would take each
            row through all others.
        """

        def work(connection: Connection) -> None:
            number = self._numbers.of(connection, run_id)
            file.seek(0)
            file.truncate()
            if whole:
                connection.execute("SET LOCAL enable_nestloop = off")
            with connection.cursor(row_factory=tuple_row) as cursor:
                for piece in chunks(cursor.stream(query, {**values, "run": number}), PAGE):
                    pickle.dump(piece, file)

        with tempfile.SpooledTemporaryFile(max_size=1 << 20, prefix="rescind-") as file:
            self._db.read(work, bulk=True)
            end = file.tell()
            file.seek(0)
            while file.tell() < end:
                yield from pickle.load(file)  # our own rows, from an unnamed file

    def _pages(
        self, run_id: str, select: str, where: str, values: Mapping[str, Any], *, key: str
    ) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of a large table by grant id, a page at a time.

        :param select: ``SELECT ... FROM ...``, with the grant id as its first column.
        :param key: alias of the table whose ``run_no`` and ``grant_id`` order the rows.
        """
        query = (
            f"{select} WHERE {key}.run_no = %(run)s AND {key}.grant_id > %(after)s AND {where}"
            f" ORDER BY {key}.grant_id LIMIT {PAGE}"
        )
        after: bytes | Digest = b""
        while page := self._rows(run_id, query, {**values, "after": after}):
            yield from page
            if len(page) < PAGE:
                return
            after = Digest(page[-1][0])


def supersede_live_plan(connection: Connection, run_no: int, run_id: str) -> None:
    """Supersede the live plan of a run, before its snapshot, decisions or plan are replaced.

    It waits for attempts that are being recorded.

    :raises SnapshotClosedError: when a request of this run was or may have been sent.
    """
    row = connection.execute("SELECT rescind.discard_plan(%s) AS attempts", (run_no,)).fetchone()
    if row is not None and row["attempts"]:
        raise SnapshotClosedError(
            f"run {run_id} has {row['attempts']} recorded attempts: its snapshot, decisions and plan cannot change any"
            " more. Start a new run"
        )


def analyze(connection: Connection, table: str, rows: int) -> None:
    """Update the planner's statistics of a table after a large write."""
    if rows >= ANALYZE_FROM:
        connection.execute("SELECT rescind.analyze(%s)", (table,))


def chunks(values: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield the values in lists of at most ``size``."""
    iterator = iter(values)
    while piece := list(islice(iterator, size)):
        yield piece
