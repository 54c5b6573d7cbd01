"""Regrants: grants that were proven gone and reappeared, and the checks that looked for them. Append only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, field
from datetime import datetime
from typing import Any

from psycopg.rows import tuple_row
from psycopg.types.json import Jsonb

from rescind.errors import LedgerError
from rescind.ledger.population.grant_rows import GRANT_SELECT, GRANT_WIDTH, KEY_SELECT, grant_of
from rescind.ledger.store.columns import listed, names
from rescind.ledger.store.database import Connection
from rescind.ledger.store.digest import Digest
from rescind.ledger.store.repository import Repository
from rescind.model import Grant, GrantKey

_RUNS = """
SELECT r.run_id FROM rescind.run r
JOIN rescind.plan p ON p.run_no = r.number AND p.state <> 'superseded' AND p.operation = 'revoke'
WHERE r.finished_at >= %(since)s AND NOT r.dry_run ORDER BY r.number DESC
"""
# Grants that a restore granted again are not regrants.
_GONE = f"""
SELECT {GRANT_SELECT}, s.conn_id FROM rescind.verdict_latest v
JOIN rescind.grant_row g ON g.run_no = v.run_no AND g.grant_id = v.grant_id
JOIN rescind.scope s ON s.run_no = g.run_no AND s.scope_no = g.scope_no
"""
_WHERE = """
v.verdict IN ('verified_gone', 'record_gone', 'still_effective') AND v.observed_at >= %(since)s
AND NOT EXISTS (SELECT 1 FROM rescind.plan p JOIN rescind.plan_item i ON i.run_no = p.run_no
                WHERE p.source_no = v.run_no AND p.operation = 'restore' AND p.state <> 'superseded'
                  AND i.grant_id = v.grant_id AND i.state IN ('restored', 'accepted', 'sent', 'unknown'))
"""
_REGRANT = f"""
SELECT r.run_id, r.number, {KEY_SELECT}, g.principal_name, g.resource_name, s.grant_id, s.seen_at, s.first,
       s.native_id, s.entitlement, s.expires_raw, s.created_raw, s.origin, s.detail
FROM rescind.sighting s JOIN rescind.watch_check c USING (check_no) JOIN rescind.run r ON r.number = s.run_no
JOIN rescind.grant_row g ON g.run_no = s.run_no AND g.grant_id = s.grant_id
"""


@dataclass(frozen=True, slots=True)
class Watched:
    """A grant that a run proved gone.

    :param conn_id: the connection with which the run listed it.
    """

    run_id: str
    conn_id: str
    grant: Grant


@dataclass(frozen=True, slots=True)
class NewRegrant:
    """A grant that reappeared.

    :param run_id: the run that proved it gone.
    :param grant_id: the item of that run.
    :param seen: the grant that the platform shows now; record id, level and expiry may differ.
    :param detail: further vendor facts.
    """

    run_id: str
    grant_id: str
    seen_at: datetime
    seen: Grant
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WatchCheck:
    """The result of one watching run in one system and account; counts of grants.

    :param not_checked: grants whose listing scope could not be read completely. Nothing is known about them.
    """

    system: str
    account: str
    watched: int
    still_gone: int
    returned: int
    not_checked: int
    list_calls: int = 0
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Regrant:
    """A recorded regrant.

    :param key: the grant that was revoked; fields with the prefix ``seen_`` describe the grant that reappeared.
    :param first: True when no earlier watching run saw it.
    """

    run_id: str
    run_number: int
    key: GrantKey
    principal_name: str
    resource_name: str
    grant_id: str
    seen_at: datetime
    first: bool
    seen_native_id: str
    seen_entitlement: str
    seen_expires: str
    seen_created: str
    seen_origin: str
    detail: Mapping[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """Return the regrant with the fields of its key beside its own."""
        own = {name: getattr(self, name) for name in names(Regrant, without=("key",))}
        return {**self.key._asdict(), **own}


_CHECK = listed(names(WatchCheck))
_KEY_END = 2 + len(GrantKey._fields)


class Regrants(Repository):
    """The regrants and watch checks of this ledger."""

    def due(self, since: datetime) -> Iterator[Watched]:
        """Yield the grants that runs finished since then proved gone and that no restore granted again.

        A grant that several runs proved gone is watched for the newest run.
        """
        runs = self._db.read(lambda connection: connection.execute(_RUNS, {"since": since}).fetchall())
        seen: set[str] = set()
        for run in runs:
            for row in self._pages(run["run_id"], _GONE, _WHERE, {"since": since}, key="v"):
                grant = grant_of(row[:GRANT_WIDTH])
                if grant.grant_id not in seen:
                    seen.add(grant.grant_id)
                    yield Watched(run["run_id"], row[GRANT_WIDTH], grant)

    def record(
        self, dag_id: str, airflow_run_id: str, check: WatchCheck, regrants: Sequence[NewRegrant]
    ) -> tuple[int, int]:
        """Add the result of one system and account, in one transaction.

        :returns: how many regrants are seen for the first time, and how many again.
        :raises LedgerError: when the count of the check differs from the number of regrants.
        """
        if check.returned != len(regrants):
            raise LedgerError(f"ledger: the check counts {check.returned} regrants but contains {len(regrants)}")

        def work(connection: Connection) -> int:
            number = _insert_check(connection, dag_id, airflow_run_id, check)
            first = 0
            for one in regrants:
                run_no = self._numbers.of(connection, one.run_id)
                first += _insert_regrant(connection, number, run_no, one)
            return first

        first = self._db.write(work)
        return first, len(regrants) - first

    def checks(self, dag_id: str, airflow_run_id: str) -> list[WatchCheck]:
        """Return the latest check of each system and account in one watching run."""
        query = (
            f"SELECT DISTINCT ON (system, account) {_CHECK} FROM rescind.watch_check"
            " WHERE dag_id = %s AND airflow_run_id = %s"
            " ORDER BY system, account, check_no DESC"
        )
        return [WatchCheck(*row) for row in self._tuples(query, (dag_id, airflow_run_id))]

    def seen(self, dag_id: str, airflow_run_id: str) -> list[Regrant]:
        """Return the regrants of a watching run, from its latest check of each system and account."""
        query = (
            f"{_REGRANT} WHERE s.check_no IN (SELECT max(check_no) FROM rescind.watch_check"
            " WHERE dag_id = %s AND airflow_run_id = %s GROUP BY system, account) ORDER BY s.sighting_no"
        )
        rows = self._tuples(query, (dag_id, airflow_run_id))
        return [Regrant(row[0], row[1], GrantKey(*row[2:_KEY_END]), *row[_KEY_END:]) for row in rows]

    def _tuples(self, query: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        def work(connection: Connection) -> list[tuple[Any, ...]]:
            with connection.cursor(row_factory=tuple_row) as cursor:
                return cursor.execute(query, values).fetchall()

        return self._db.read(work)


def _insert_check(connection: Connection, dag_id: str, airflow_run_id: str, check: WatchCheck) -> int:
    row = connection.execute(
        f"INSERT INTO rescind.watch_check (dag_id, airflow_run_id, {_CHECK})"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING check_no",
        (dag_id, airflow_run_id, *astuple(check)),
    ).fetchone()
    if row is None:
        raise LedgerError("ledger: the check cannot be read after it was written")
    return int(row["check_no"])


def _insert_regrant(connection: Connection, check_no: int, run_no: int, one: NewRegrant) -> bool:
    """Write a regrant; return whether no other watching run has seen it before."""
    row = connection.execute(
        "INSERT INTO rescind.sighting (check_no, run_no, grant_id, seen_at, first, native_id, entitlement, expires_raw,"
        " created_raw, origin, detail) SELECT %(check)s, %(run)s, %(id)s, %(at)s, NOT EXISTS (SELECT 1 FROM"
        " rescind.sighting s JOIN rescind.watch_check c USING (check_no) JOIN rescind.watch_check mine ON"
        " mine.check_no = %(check)s WHERE s.run_no = %(run)s AND s.grant_id = %(id)s AND (c.dag_id, c.airflow_run_id)"
        " <> (mine.dag_id, mine.airflow_run_id)), %(native)s, %(entitlement)s, %(expires)s,"
        " %(created)s, %(origin)s, %(detail)s RETURNING first",
        {
            "check": check_no,
            "run": run_no,
            "id": Digest(one.grant_id),
            "at": one.seen_at,
            "native": one.seen.key.native_id,
            "entitlement": one.seen.key.entitlement,
            "expires": one.seen.expires_raw,
            "created": one.seen.created_raw,
            "origin": one.seen.origin,
            "detail": Jsonb(dict(one.detail)),
        },
    ).fetchone()
    return bool(row and row["first"])
