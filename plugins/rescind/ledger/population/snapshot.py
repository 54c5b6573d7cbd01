"""The snapshot of a run: grants, principals, memberships. Written scope by scope, read in a fixed order."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.rows import tuple_row

from rescind.errors import LedgerError
from rescind.ledger.population.grant_rows import (
    GRANT_COLUMNS,
    GRANT_SELECT,
    LISTING_COLUMNS,
    MEMBERSHIP_COLUMNS,
    PRINCIPAL_COLUMNS,
    grant_of,
    grant_rows,
    listing_of,
    listing_row,
    membership_of,
    membership_rows,
    principal_of,
    principal_rows,
    stored_grant,
)
from rescind.ledger.runs import scopes
from rescind.ledger.runs.records import Certificate, Listing, PopulationCount, Scope
from rescind.ledger.store.copy_spool import RowFile
from rescind.ledger.store.database import Connection, Database
from rescind.ledger.store.digest import Digest
from rescind.ledger.store.errors import RecordConflictError
from rescind.ledger.store.repository import PAGE, Repository, chunks
from rescind.model import Grant, Membership, Principal


class ScopeSpool:
    """The rows of one scope while it is listed. They are on disk; no transaction is open.

    :meth:`commit` replaces the former rows of the scope.
    """

    def __init__(self, database: Database, run_id: str, run_no: int, scope_id: str, scope_no: int) -> None:
        self._db = database
        self._run_id, self._run_no = run_id, run_no
        self._scope_id, self._scope_no = scope_id, scope_no
        self._grants = RowFile("rescind.grant_row", GRANT_COLUMNS)
        self._principals = RowFile("rescind.principal", PRINCIPAL_COLUMNS)
        self._memberships = RowFile("rescind.membership", MEMBERSHIP_COLUMNS)
        self._listings = RowFile("rescind.listing", LISTING_COLUMNS)

    def add_grants(self, grants: Iterable[Grant]) -> None:
        """Append grants. :meth:`commit` refuses a duplicate grant."""
        self._grants.add(grant_rows(self._run_no, self._scope_no, grants))

    def add_principals(self, principals: Iterable[Principal]) -> None:
        """Append principals. Of duplicates the first one is stored."""
        self._principals.add(principal_rows(self._run_no, self._scope_no, principals))

    def add_memberships(self, memberships: Iterable[Membership]) -> None:
        """Append memberships. Of duplicates one is stored."""
        self._memberships.add(membership_rows(self._run_no, self._scope_no, memberships))

    def add_listing(self, listing: Listing) -> None:
        """Append the record of one complete listing."""
        self._listings.add([listing_row(self._run_no, self._scope_no, listing)])

    def commit(self, certificate: Certificate) -> Scope:
        """Replace the rows of the scope and write its certificate, in one transaction.

        :raises LedgerError: when the count of a complete listing differs from the number of added grants.
        :raises RecordConflictError: when a grant was added twice or belongs to another scope of the run.
        :raises SnapshotClosedError: when requests of this run were sent already.
        """
        if certificate.complete and certificate.counted != self._grants.rows:
            raise LedgerError(
                f"ledger: scope {self._scope_id} of run {self._run_id} counted {certificate.counted} grants and added"
                f" {self._grants.rows}. A complete listing must add every grant that it counts"
            )

        def work(connection: Connection) -> Scope:
            scopes.clear(connection, self._run_no, self._run_id, self._scope_id)
            try:
                self._grants.copy_into(connection)
            except psycopg.errors.UniqueViolation:
                raise RecordConflictError(
                    f"ledger: scope {self._scope_id} of run {self._run_id} contains a grant twice, or a grant of"
                    " another scope of the run. Add each grant once; scopes of one run must not overlap"
                ) from None
            for rows, table in ((self._principals, "principal"), (self._memberships, "membership")):
                _copy_distinct(connection, rows, table)
            self._listings.copy_into(connection)
            scopes.certify(connection, self._run_no, self._scope_id, certificate)
            return scopes.load(connection, self._run_id, self._run_no, self._scope_id)

        return self._db.write(work, bulk=True)

    def close(self) -> None:
        """Remove the files."""
        for rows in (self._grants, self._principals, self._memberships, self._listings):
            rows.close()


class Snapshot(Repository):
    """Grants, principals and memberships of each run."""

    @contextmanager
    def spool(self, run_id: str, scope_id: str) -> Iterator[ScopeSpool]:
        """Collect the rows of one scope while it is listed. Nothing is stored before ``commit``."""
        number, scope_no = self._db.read(lambda connection: self._scope_number(connection, run_id, scope_id))
        spool = ScopeSpool(self._db, run_id, number, scope_id, scope_no)
        try:
            yield spool
        finally:
            spool.close()

    def replace_scope(
        self,
        run_id: str,
        scope_id: str,
        grants: Iterable[Grant],
        principals: Iterable[Principal],
        memberships: Iterable[Membership],
        certificate: Certificate,
    ) -> Scope:
        """Write a scope in one call; for the errors see :meth:`ScopeSpool.commit`."""
        with self.spool(run_id, scope_id) as spool:
            spool.add_grants(grants)
            spool.add_principals(principals)
            spool.add_memberships(memberships)
            return spool.commit(certificate)

    def grants(
        self,
        run_id: str,
        *,
        system: str | None = None,
        account: str | None = None,
        complete_only: bool = False,
        revocable: bool | None = None,
        holders: Iterable[tuple[str, str]] | None = None,
        entitlements: Collection[str] | None = None,
    ) -> Iterator[Grant]:
        """Yield every grant, ordered by grant id. All of a system and account come a page at a time.

        :param holders: only what these principals, as (type, id), or everyone hold.
        :param entitlements: only grants of these; None for all.
        """
        where = (
            "(%(system)s::text IS NULL OR g.system = %(system)s) AND (%(account)s::text IS NULL OR g.account ="
            " %(account)s) AND (%(revocable)s::boolean IS NULL OR g.revocable = %(revocable)s)"
            " AND (%(entitlements)s::text[] IS NULL OR g.entitlement = ANY(%(entitlements)s))"
        )
        if complete_only:
            where += (
                " AND g.scope_no IN (SELECT scope_no FROM rescind.scope WHERE run_no = %(run)s AND state = 'complete')"
            )
        values: dict[str, Any] = {"system": system, "account": account, "revocable": revocable}
        values["entitlements"] = None if entitlements is None else list(entitlements)
        if holders is not None:
            where += f" AND {_HELD}"
            values |= _columns(holders)
        select = f"SELECT {GRANT_SELECT} FROM rescind.grant_row g"
        if holders is None and entitlements is None:
            rows = self._pages(run_id, select, where, values, key="g")
        else:  # few of all rows: pages would go through all of them by grant id, which is no order of the table
            rows = self._spooled(run_id, f"{select} WHERE g.run_no = %(run)s AND {where} ORDER BY g.grant_id", values)
        yield from map(grant_of, rows)

    def grants_of_users(self, run_id: str, system: str, account: str, users: Iterable[str]) -> Iterator[Grant]:
        """Yield the grants of some users in one system and account, ordered by grant id, a page at a time."""
        where = (
            "g.system = %(system)s AND g.account = %(account)s AND g.principal_type = 'user'"
            " AND g.principal_id = ANY(%(users)s)"
        )
        values = {"system": system, "account": account, "users": sorted(users)}
        for row in self._pages(run_id, f"SELECT {GRANT_SELECT} FROM rescind.grant_row g", where, values, key="g"):
            yield grant_of(row)

    def grants_on(
        self,
        run_id: str,
        system: str,
        account: str,
        resources: Iterable[tuple[str, str]],
        holders: Iterable[tuple[str, str]],
        kinds: Iterable[str] = (),
    ) -> Iterator[Grant]:
        """Yield the grants on some resources in one system and account, ordered by grant id.

        :param resources: (type, id) of the resources.
        :param holders: only what these principals, as (type, id), or everyone hold.
        :param kinds: also what principals of these kinds hold, and principals without an id.
        """
        place = "hashtextextended({0}.resource_id, hashtextextended({0}.resource_type, 0))"
        # The statistics do not know the rows of a new run. This form leaves one way: each resource by its index.
        query = (
            f"SELECT {GRANT_SELECT} FROM unnest(%(resource_types)s::text[], %(resource_ids)s::text[])"
            " AS r(resource_type, resource_id) CROSS JOIN LATERAL (SELECT * FROM rescind.grant_row g"
            f" WHERE g.run_no = %(run)s AND {place.format('g')} = {place.format('r')}"
            " AND g.resource_type = r.resource_type AND g.resource_id = r.resource_id"
            " AND g.system = %(system)s AND g.account = %(account)s AND (g.principal_type = 'everyone'"
            " OR g.principal_type = ANY(%(open)s) OR g.principal_id = ''"
            f" OR {_AMONG.format('g.principal_type', 'g.principal_id')}) OFFSET 0) g ORDER BY g.grant_id"
        )
        found = sorted(set(resources))
        values = {
            "resource_types": [str(kind) for kind, _ in found],
            "resource_ids": [ident for _, ident in found],
            "open": sorted(map(str, kinds)),
            "system": system,
            "account": account,
            **_columns(holders),
        }
        return map(grant_of, self._spooled(run_id, query, values))

    def stored_grants(self, run_id: str, holders: Iterable[tuple[str, str]] | None = None) -> Iterator[dict[str, Any]]:
        """Yield every grant by the names of :data:`STORED`, with its scope, ordered by grant id, a page at a time.

        For readers that need all of a population and no :class:`Grant`.

        :param holders: only what these principals, as (type, id), or everyone hold.
        """
        # Joined with the scopes, PostgreSQL would sort all rows for each page.
        scopes = dict(self._rows(run_id, "SELECT scope_no, scope_id FROM rescind.scope WHERE run_no = %(run)s", {}))
        select = f"SELECT {GRANT_SELECT}, g.scope_no FROM rescind.grant_row g"
        if holders is None:
            rows = self._pages(run_id, select, "true", {}, key="g")
        else:
            rows = self._spooled(
                run_id, f"{select} WHERE g.run_no = %(run)s AND {_HELD} ORDER BY g.grant_id", _columns(holders)
            )
        for row in rows:
            grant = stored_grant(row)
            grant["scope"] = scopes[row[-1]]
            yield grant

    def grants_by_id(self, run_id: str, grant_ids: Iterable[str]) -> dict[str, Grant]:
        """Return the grants with these ids by id; ids that are not in the snapshot are left out."""
        found: dict[str, Grant] = {}
        for piece in chunks(grant_ids, PAGE):
            ids = [Digest(grant_id) for grant_id in piece]
            query = (
                f"SELECT {GRANT_SELECT} FROM rescind.grant_row g WHERE g.run_no = %(run)s AND g.grant_id = ANY(%(ids)s)"
            )
            for row in self._rows(run_id, query, {"ids": ids}):
                found[row[0]] = grant_of(row)
        return found

    def principals(self, run_id: str, system: str | None = None, account: str | None = None) -> Iterator[Principal]:
        """Yield every principal by scope, type and id; one in several scopes comes once for each scope."""
        for row in self._small(
            run_id, "principal", PRINCIPAL_COLUMNS, ("principal_type", "principal_id"), system, account
        ):
            yield principal_of(row)

    def users_known_as(self, run_id: str, idents: Sequence[str]) -> list[Principal]:
        """Return the users with one of these ids, in any id space, by scope and id."""
        columns = ", ".join(PRINCIPAL_COLUMNS[2:])
        query = (
            f"SELECT {columns} FROM rescind.principal WHERE run_no = %(run)s AND principal_type = 'user'"
            " AND (principal_id = ANY(%(ids)s) OR EXISTS (SELECT FROM jsonb_array_elements(CASE WHEN"
            " jsonb_typeof(other_ids) = 'array' THEN other_ids ELSE '[]' END) AS one WHERE one ->> 1 = ANY(%(ids)s)))"
            " ORDER BY scope_no, principal_id"
        )
        return [principal_of(row) for row in self._rows(run_id, query, {"ids": list(idents)})]

    def container_names(self, run_id: str, system: str, account: str) -> dict[tuple[str, str], str]:
        """Return the names of groups, roles, projects and the like by (type, id); those without a name are left out."""
        query = (
            "SELECT principal_type, principal_id, name FROM rescind.principal WHERE run_no = %(run)s AND"
            " system = %(system)s AND account = %(account)s AND principal_type <> 'user' AND name <> ''"
        )
        rows = self._spooled(run_id, query, {"system": system, "account": account})
        return {(kind, ident): name for kind, ident, name in rows}

    def last_seen(self, system: str, account: str, principals: Iterable[tuple[str, str]]) -> list[Principal]:
        """Return principals, by (type, id), as the latest run that listed them saw them; others are left out."""
        columns = ", ".join(f"p.{name}" for name in PRINCIPAL_COLUMNS[2:])
        query = (
            f"SELECT {columns} FROM rescind.scope s JOIN rescind.principal p USING (run_no, scope_no)"
            " WHERE s.system = %s AND s.account = %s AND p.principal_type = %s AND p.principal_id = %s"
            " ORDER BY s.run_no DESC LIMIT 1"
        )

        def work(connection: Connection) -> list[Principal]:
            with connection.cursor(row_factory=tuple_row) as cursor:
                rows = [cursor.execute(query, (system, account, *one)).fetchone() for one in sorted(set(principals))]
            return [principal_of(row) for row in rows if row is not None]

        return self._db.read(work)

    def memberships(
        self,
        run_id: str,
        system: str | None = None,
        account: str | None = None,
        *,
        users: Iterable[tuple[str, str]] | None = None,
    ) -> Iterator[Membership]:
        """Yield every membership by scope, member and container.

        :param users: of users, only the memberships of these, as (type, id).
        """
        order = ("member_type", "member_id", "container_type", "container_id")
        where, values = "", dict[str, Any]()
        if users is not None:
            where = f" AND (member_type <> 'user' OR {_AMONG.format('member_type', 'member_id')})"
            values = _columns(users)
        for row in self._small(run_id, "membership", MEMBERSHIP_COLUMNS, order, system, account, where, values):
            yield membership_of(row)

    def listings(self, run_id: str, scope_id: str) -> list[Listing]:
        """Return the record of every listing of one scope, by action and parameters."""
        columns = ", ".join(f"l.{name}" for name in LISTING_COLUMNS[2:])
        query = (
            f"SELECT {columns} FROM rescind.listing l JOIN rescind.scope s"
            " USING (run_no, scope_no) WHERE l.run_no = %(run)s AND s.scope_id = %(scope)s"
            ' ORDER BY l.action COLLATE "C", l.parameters_digest COLLATE "C"'
        )
        return [listing_of(row) for row in self._rows(run_id, query, {"scope": scope_id})]

    def counts(self, run_id: str) -> list[PopulationCount]:
        """Return the population counts of each permission system and account."""
        query = (
            "SELECT s.system, s.account, coalesce(g.n, 0), coalesce(g.revocable, 0), coalesce(p.n, 0), s.n, s.complete"
            " FROM (SELECT system, account, count(*) AS n, bool_and(state = 'complete') AS complete"
            "       FROM rescind.scope WHERE run_no = %(run)s GROUP BY 1, 2) s"
            " LEFT JOIN (SELECT system, account, count(*) AS n, count(*) FILTER (WHERE revocable) AS revocable"
            "       FROM rescind.grant_row WHERE run_no = %(run)s GROUP BY 1, 2) g USING (system, account)"
            " LEFT JOIN (SELECT system, account, count(DISTINCT (principal_type, principal_id)) AS n"
            "       FROM rescind.principal WHERE run_no = %(run)s GROUP BY 1, 2) p USING (system, account)"
            " ORDER BY 1, 2"
        )
        return [PopulationCount(*row) for row in self._rows(run_id, query, {})]

    def _scope_number(self, connection: Connection, run_id: str, scope_id: str) -> tuple[int, int]:
        number = self._numbers.of(connection, run_id)
        row = connection.execute(
            "SELECT scope_no FROM rescind.scope WHERE run_no = %s AND scope_id = %s", (number, scope_id)
        ).fetchone()
        if row is None:
            raise LedgerError(f"ledger: run {run_id} has no scope {scope_id!r}. Open it with scopes.open()")
        return number, int(row["scope_no"])

    def _small(
        self,
        run_id: str,
        table: str,
        columns: Sequence[str],
        order: Sequence[str],
        system: str | None,
        account: str | None,
        where: str = "",
        values: Mapping[str, Any] | None = None,
    ) -> Iterator[tuple[Any, ...]]:
        ordered = ", ".join(f'{name} COLLATE "C"' for name in order)
        query = (
            f"SELECT {', '.join(columns[2:])} FROM rescind.{table} WHERE run_no = %(run)s AND (%(system)s::text IS NULL"
            " OR system = %(system)s) AND (%(account)s::text IS NULL OR account = %(account)s)"
            f"{where} ORDER BY scope_no, {ordered}"
        )
        return self._spooled(run_id, query, {"system": system, "account": account, **(values or {})})


# A subquery that names no column of its row: PostgreSQL hashes it once.
_AMONG = "({}, {}) IN (SELECT kind, ident FROM unnest(%(kinds)s::text[], %(idents)s::text[]) AS one(kind, ident))"
_HELD = f"(g.principal_type = 'everyone' OR {_AMONG.format('g.principal_type', 'g.principal_id')})"
"""Condition: everyone holds the grant, or one of the principals of :func:`_columns`."""


def _columns(principals: Iterable[tuple[str, str]]) -> dict[str, Any]:
    found = sorted(set(principals))
    return {"kinds": [str(kind) for kind, _ in found], "idents": [ident for _, ident in found]}


def _copy_distinct(connection: Connection, rows: RowFile, table: str) -> None:
    """COPY rows with duplicates through a temporary table; of each key the first row is stored."""
    if not rows.rows:
        return
    connection.execute(f"CREATE TEMP TABLE incoming (LIKE rescind.{table}) ON COMMIT DROP")
    rows.copy_into(connection, "incoming")
    connection.execute(f"INSERT INTO rescind.{table} SELECT * FROM incoming ON CONFLICT DO NOTHING")
    connection.execute("DROP TABLE incoming")
