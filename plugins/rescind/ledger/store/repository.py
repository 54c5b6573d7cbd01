"""What the repositories share: the database, and run numbers for run ids."""

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

# Rows fetched at a time. Each page is a transaction of its own and continues after the last key, so a
# slow reader holds no snapshot open (see copytext) and a broken connection costs one page.
PAGE = 5_000
# Above this many rows the planner's statistics matter, so a bulk write ends with ANALYZE.
ANALYZE_FROM = 5_000


class RunNumbers:
    """The number of each run id. It never changes, so it is looked up once."""

    def __init__(self) -> None:
        self._known: dict[str, int] = {}

    def of(self, connection: Connection, run_id: str) -> int:
        """The run's number.

        :raises LedgerError: when there is no such run.
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
    """One part of the ledger. Methods are one transaction each unless they say otherwise."""

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

    def _spooled(self, run_id: str, query: str, values: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
        """The rows of a query about one run that may be many: to disk in one transaction, handed out from there.

        For orders that no index gives; memory stays constant and no transaction is open while the caller works.
        """

        def work(connection: Connection) -> None:
            number = self._numbers.of(connection, run_id)
            file.seek(0)
            file.truncate()
            longest = f"{int(self._db.timeouts.bulk * 1000)}"
            connection.execute("SELECT set_config('statement_timeout', %s, true)", (longest,))
            with connection.cursor(row_factory=tuple_row) as cursor:
                for piece in chunks(cursor.stream(query, {**values, "run": number}), PAGE):
                    pickle.dump(piece, file)

        with tempfile.SpooledTemporaryFile(max_size=1 << 20, prefix="rescind-") as file:
            self._db.read(work)
            end = file.tell()
            file.seek(0)
            while file.tell() < end:
                yield from pickle.load(file)  # our own rows, from a file without a name

    def _pages(
        self, run_id: str, select: str, where: str, values: Mapping[str, Any], *, key: str
    ) -> Iterator[tuple[Any, ...]]:
        """The rows of a large table by grant id, a page at a time.

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
    """Make room for another snapshot, other decisions or another plan of this run.

    Deleting the batches waits for every attempt that is just being recorded (they hold a shared lock on
    their batch), so afterwards the count of attempts is final.

    :raises SnapshotClosedError: when a request of this run has been sent, or may have been.
    """
    live = connection.execute(
        "UPDATE rescind.plan SET state = 'superseded' WHERE run_no = %s AND state <> 'superseded' RETURNING digest",
        (run_no,),
    ).fetchone()
    if live is None:
        return
    connection.execute("DELETE FROM rescind.batch WHERE run_no = %s", (run_no,))
    row = connection.execute("SELECT count(*) AS n FROM rescind.attempt WHERE run_no = %s", (run_no,)).fetchone()
    if row is not None and row["n"]:
        raise SnapshotClosedError(
            f"run {run_id} has {row['n']} recorded attempts: its snapshot, decisions and plan stay as they are."
            " Start a new run"
        )
    connection.execute("DELETE FROM rescind.call WHERE run_no = %s", (run_no,))
    connection.execute("DELETE FROM rescind.plan_item WHERE run_no = %s", (run_no,))
    connection.execute("DELETE FROM rescind.scope_lock WHERE run_no = %s", (run_no,))


def chunks(values: Iterable[T], size: int) -> Iterator[list[T]]:
    """The values in lists of at most ``size``."""
    iterator = iter(values)
    while piece := list(islice(iterator, size)):
        yield piece
