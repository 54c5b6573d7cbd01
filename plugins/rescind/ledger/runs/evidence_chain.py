"""The evidence chain: the root of every evidence bundle, numbered without gaps and linked to the previous one."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from psycopg.rows import DictRow

from rescind.ledger.store.database import Connection
from rescind.ledger.store.digest import Digest
from rescind.ledger.store.repository import Repository

# An arbitrary fixed number: the advisory lock for adding an entry. A lock on the table needs more rights.
_LOCK = 7_233_126_046
_SELECT = "SELECT s.seal_no, r.run_id, s.root, s.link FROM rescind.seal s JOIN rescind.run r ON r.number = s.run_no"


@dataclass(frozen=True, slots=True)
class ChainEntry:
    """The entry of one bundle in the evidence chain.

    :param previous: the entry before it; None for the first.
    """

    number: int
    run_id: str
    root: str
    link: str
    previous: ChainEntry | None = None


class EvidenceChain(Repository):
    """The evidence chain of this ledger."""

    def take(self, run_id: str, root: str, link: Callable[[int, ChainEntry | None], str]) -> ChainEntry:
        """Add a bundle to the chain; a bundle equal to the run's last one keeps its entry.

        :param root: the root of the bundle (hex).
        :param link: returns the link (hex) for the number of the entry and the previous entry.
        """

        def work(connection: Connection) -> ChainEntry:
            number = self._numbers.of(connection, run_id)
            # One writer at a time, so that no two entries follow the same one.
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
            own = _one(connection, "s.run_no = %s ORDER BY s.seal_no DESC LIMIT 1", number)
            if own is not None and own["root"] == root:
                return _with_previous(connection, own)
            last = _one(connection, "true ORDER BY s.seal_no DESC LIMIT 1")
            before = None if last is None else _entry(last)
            place = 1 if before is None else before.number + 1
            connection.execute(
                "INSERT INTO rescind.seal (seal_no, run_no, root, link) VALUES (%s, %s, %s, %s)",
                (place, number, Digest(root), Digest(link(place, before))),
            )
            return _with_previous(connection, _one(connection, "s.seal_no = %s", place) or {})

        return self._db.write(work)

    def runs_at(self, numbers: Collection[int]) -> dict[int, str]:
        """Return the run id of each of these entries that exists, by number."""

        def work(connection: Connection) -> dict[int, str]:
            rows = connection.execute(f"{_SELECT} WHERE s.seal_no = ANY(%s)", (list(numbers),)).fetchall()
            return {row["seal_no"]: row["run_id"] for row in rows}

        return self._db.read(work)

    def of_run(self, run_id: str) -> ChainEntry | None:
        """Return the latest entry of a run, or None."""

        def work(connection: Connection) -> ChainEntry | None:
            row = _one(connection, "r.run_id = %s ORDER BY s.seal_no DESC LIMIT 1", run_id)
            return None if row is None else _with_previous(connection, row)

        return self._db.read(work)


def _one(connection: Connection, where: str, *values: object) -> DictRow | None:
    return connection.execute(f"{_SELECT} WHERE {where}", values).fetchone()


def _with_previous(connection: Connection, row: DictRow) -> ChainEntry:
    before = _one(connection, "s.seal_no = %s", row["seal_no"] - 1)
    return _entry(row, None if before is None else _entry(before))


def _entry(row: DictRow, previous: ChainEntry | None = None) -> ChainEntry:
    return ChainEntry(row["seal_no"], row["run_id"], row["root"], row["link"], previous)
