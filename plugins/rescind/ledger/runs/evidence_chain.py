"""EvidenceChain: the root of every evidence bundle, numbered without gaps and linked to the one before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import DictRow

from rescind.ledger.store.database import Connection
from rescind.ledger.store.digest import Digest
from rescind.ledger.store.repository import Repository

_SELECT = (
    "SELECT s.seal_no, r.run_id, s.root, s.link, s.sealed_at FROM rescind.seal s"
    " JOIN rescind.run r ON r.number = s.run_no"
)


@dataclass(frozen=True, slots=True)
class ChainEntry:
    """One bundle's place in the row of all bundles. ``previous`` is None for the first."""

    number: int
    run_id: str
    root: str
    link: str
    sealed_at: datetime
    previous: ChainEntry | None = None


class EvidenceChain(Repository):
    """The seals of this ledger."""

    def take(self, run_id: str, root: str, link: Callable[[int, ChainEntry | None], str]) -> ChainEntry:
        """Seal a bundle; the same content that the run was last sealed with keeps its seal.

        :param root: the bundle's root.
        :param link: makes the link from the seal's number and the seal before.
        """
        with self._db.transaction() as connection:
            number = self._numbers.of(connection, run_id)
            # One writer at a time, or two bundles would follow the same one.
            connection.execute("LOCK TABLE rescind.seal IN SHARE ROW EXCLUSIVE MODE")
            own = _one(connection, "s.run_no = %s ORDER BY s.seal_no DESC LIMIT 1", number)
            if own is not None and own["root"] == root:
                return _with_previous(connection, own)
            last = _one(connection, "true ORDER BY s.seal_no DESC LIMIT 1")
            before = None if last is None else _seal(last)
            seal_no = 1 if before is None else before.number + 1
            connection.execute(
                "INSERT INTO rescind.seal (seal_no, run_no, root, link) VALUES (%s, %s, %s, %s)",
                (seal_no, number, Digest(root), Digest(link(seal_no, before))),
            )
            return _with_previous(connection, _one(connection, "s.seal_no = %s", seal_no) or {})

    def of_run(self, run_id: str) -> ChainEntry | None:
        """The run's latest seal, or None."""

        def work(connection: Connection) -> ChainEntry | None:
            row = _one(connection, "r.run_id = %s ORDER BY s.seal_no DESC LIMIT 1", run_id)
            return None if row is None else _with_previous(connection, row)

        return self._db.read(work)


def _one(connection: Connection, where: str, *values: object) -> DictRow | None:
    return connection.execute(f"{_SELECT} WHERE {where}", values).fetchone()


def _with_previous(connection: Connection, row: DictRow) -> ChainEntry:
    before = _one(connection, "s.seal_no = %s", row["seal_no"] - 1)
    return _seal(row, None if before is None else _seal(before))


def _seal(row: DictRow, previous: ChainEntry | None = None) -> ChainEntry:
    return ChainEntry(row["seal_no"], row["run_id"], row["root"], row["link"], row["sealed_at"], previous)
