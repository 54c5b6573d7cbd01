"""Scopes: the parts of the population, and whether each was listed completely."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from rescind.errors import LedgerError
from rescind.ledger.runs.records import Baseline, Certificate, Scope, ScopeSpec, Sealed, WholeListing
from rescind.ledger.store.columns import listed, names
from rescind.ledger.store.database import Connection
from rescind.ledger.store.repository import Repository, analyze, supersede_live_plan
from rescind.snapshot_tree import SEALED_PEOPLE, Part, PrincipalId, join, leaf, snapshot_digest

_REMOVED = (
    "(SELECT count(*) FROM rescind.verdict_latest v"
    " JOIN rescind.grant_row g ON g.run_no = s.run_no AND g.grant_id = v.grant_id AND g.scope_no = s.scope_no"
    " WHERE v.run_no = s.run_no"
    " AND v.verdict IN ('verified_gone', 'record_gone', 'already_absent', 'still_effective')) AS removed"
)
_COLUMNS = listed(names(Scope, without=("run_id",)))
SealedPeople = Callable[[Scope, Sequence[PrincipalId]], Mapping[str, Any]]
"""Returns the note :data:`~rescind.snapshot_tree.SEALED_PEOPLE` of a scope, from it and the holders of its grants."""


class Scopes(Repository):
    """The scopes of each run."""

    def open(self, run_id: str, specs: Iterable[ScopeSpec]) -> list[Scope]:
        """Open the scopes of a run. Existing scopes do not change.

        A scope of an earlier try stays too. It counts as incomplete unless it is listed.

        :returns: all scopes of the run.
        """
        wanted = tuple(specs)

        def work(connection: Connection) -> list[Scope]:
            number = self._numbers.of(connection, run_id)
            connection.execute("SELECT 1 FROM rescind.run WHERE number = %s FOR UPDATE", (number,))
            known = {scope.scope_id: scope for scope in _all(connection, run_id, number)}
            for spec in wanted:
                if spec.scope_id in known:
                    continue
                connection.execute(
                    "INSERT INTO rescind.scope (run_no, scope_no, scope_id, system, account, part, conn_id)"
                    " SELECT %(run)s, coalesce(max(scope_no), 0) + 1, %(id)s, %(system)s, %(account)s, %(part)s,"
                    " %(conn)s"
                    " FROM rescind.scope WHERE run_no = %(run)s ON CONFLICT DO NOTHING",
                    {
                        "run": number,
                        "id": spec.scope_id,
                        "system": spec.system,
                        "account": spec.account,
                        "part": spec.part,
                        "conn": spec.conn_id,
                    },
                )
            return _all(connection, run_id, number)

        return self._db.write(work)

    def all(self, run_id: str) -> list[Scope]:
        """Return the scopes of a run in the order in which they were opened."""
        return self._db.read(
            lambda connection: _all(connection, run_id, self._numbers.of(connection, run_id)),
        )

    def get(self, run_id: str, scope_id: str) -> Scope:
        """Return one scope.

        :raises LedgerError: when the run does not have the scope.
        """
        return self._db.read(
            lambda connection: load(connection, run_id, self._numbers.of(connection, run_id), scope_id)
        )

    def own_ids(self, system: str) -> list[str]:
        """Return the ids of the tool's own identities that any run has recorded for a permission system."""
        rows = self._db.read(
            lambda connection: connection.execute(
                "SELECT DISTINCT jsonb_array_elements_text(notes -> 'own_ids') AS ident FROM rescind.scope"
                " WHERE system = %s AND jsonb_typeof(notes -> 'own_ids') = 'array' ORDER BY 1",
                (system,),
            ).fetchall()
        )
        return [row["ident"] for row in rows]

    def fail(self, run_id: str, scope_id: str, error: str, certificate: Certificate | None = None) -> Scope:
        """Mark a scope as incomplete and delete the rows of an earlier try.

        :param error: what failed, for people; no secrets.
        :raises SnapshotClosedError: when requests of this run were sent already.
        """

        def work(connection: Connection) -> Scope:
            number = self._numbers.of(connection, run_id)
            clear(connection, number, run_id, scope_id)
            if certificate is not None:
                certify(connection, number, scope_id, certificate)
            connection.execute(
                "UPDATE rescind.scope SET state = 'incomplete', error = %s WHERE run_no = %s AND scope_id = %s",
                (error, number, scope_id),
            )
            return load(connection, run_id, number, scope_id)

        return self._db.write(work, bulk=True)

    def baseline(self, run_id: str, scope_id: str) -> Baseline | None:
        """Return the last complete listing of the same system, account and part in an earlier run, or None."""
        query = (
            f"SELECT r.run_id, r.number AS run_number, s.counted, {_REMOVED}"
            " FROM rescind.scope asked JOIN rescind.scope s USING (system, account, part)"
            " JOIN rescind.run r ON r.number = s.run_no WHERE asked.run_no = %s AND asked.scope_id = %s"
            " AND s.run_no < asked.run_no AND s.state = 'complete' ORDER BY s.run_no DESC LIMIT 1"
        )

        def work(connection: Connection) -> Baseline | None:
            row = connection.execute(query, (self._numbers.of(connection, run_id), scope_id)).fetchone()
            return Baseline(**row) if row else None

        return self._db.read(work)

    def last_whole(self, system: str, account: str) -> WholeListing | None:
        """Return the last complete listing of a whole system and account, in any run; None without one."""
        query = (
            "SELECT r.run_id, r.number AS run_number, s.ended_at, (SELECT count(*) FROM rescind.grant_row g"
            f" WHERE g.run_no = s.run_no AND g.scope_no = s.scope_no AND g.revocable) AS revocable, {_REMOVED}"
            " FROM rescind.scope s JOIN rescind.run r ON r.number = s.run_no WHERE s.system = %s AND s.account = %s"
            " AND s.part = '' AND s.state = 'complete' ORDER BY s.run_no DESC LIMIT 1"
        )
        row = self._db.read(lambda connection: connection.execute(query, (system, account)).fetchone())
        return WholeListing(**row) if row else None

    def note(self, run_id: str, system: str, account: str, name: str, value: Any) -> None:
        """Add one fact (JSON) to the notes of a system and account; it is stored with their first scope."""

        def work(connection: Connection) -> None:
            connection.execute(
                "UPDATE rescind.scope SET notes = notes || %(note)s WHERE (run_no, scope_no) = (SELECT run_no,"
                " min(scope_no) FROM rescind.scope WHERE run_no = %(run)s AND system = %(system)s"
                " AND account = %(account)s GROUP BY run_no)",
                {
                    "note": Jsonb({name: value}),
                    "run": self._numbers.of(connection, run_id),
                    "system": system,
                    "account": account,
                },
            )

        self._db.write(work)

    def seal(self, run_id: str, people: SealedPeople | None = None) -> Sealed:
        """Close the snapshot and record its digest; repeatable.

        A scope that was opened and not listed counts as incomplete. For the digest see :mod:`rescind.snapshot_tree`.

        :param people: for a run about named people, returns their note for a scope and the holders of its grants.
        """

        def work(connection: Connection) -> tuple[tuple[Scope, ...], str]:
            number = self._numbers.of(connection, run_id)
            scopes = tuple(_all(connection, run_id, number))
            analyze(connection, "grant_row", sum(scope.counted for scope in scopes))
            leaves = _leaves(connection, number)
            rows = []
            for scope in scopes:
                mine = leaves.get(scope.scope_id, [])
                note = None if people is None else people(scope, [one.first for one in mine])
                _note_people(connection, number, scope.scope_id, note)
                rows.append((scope.scope_id, scope.state, join(mine), note))
            digest = snapshot_digest(rows)
            connection.execute("UPDATE rescind.run SET snapshot_digest = %s WHERE number = %s", (digest, number))
            return scopes, digest

        scopes, digest = self._db.write(work, bulk=True)
        complete: dict[tuple[str, str], bool] = {}
        for scope in scopes:
            account = (scope.system, scope.account)
            complete[account] = complete.get(account, True) and scope.state == "complete"
        return Sealed(run_id, digest, scopes, complete)

    def leaves(self, run_id: str) -> dict[str, list[Part]]:
        """Return the leaves of the snapshot in order, by scope, from its grants as they are now."""
        return self._db.read(lambda connection: _leaves(connection, self._numbers.of(connection, run_id)), bulk=True)


def load(connection: Connection, run_id: str, run_no: int, scope_id: str) -> Scope:
    """Return one scope, inside a transaction.

    :raises LedgerError: when the run does not have the scope.
    """
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM rescind.scope WHERE run_no = %s AND scope_id = %s", (run_no, scope_id)
    ).fetchone()
    if row is None:
        raise LedgerError(f"ledger: run {run_id} has no scope {scope_id!r}. Open it with scopes.open()")
    return _scope(run_id, row)


def clear(connection: Connection, run_no: int, run_id: str, scope_id: str) -> tuple[int, Scope]:
    """Delete the rows of a scope so that it can be written again; return its number and its former state.

    :raises SnapshotClosedError: when requests of this run were sent already.
    """
    scope = load(connection, run_id, run_no, scope_id)
    row = connection.execute(
        "SELECT scope_no FROM rescind.scope WHERE run_no = %s AND scope_id = %s FOR UPDATE", (run_no, scope_id)
    ).fetchone()
    if row is None:
        raise LedgerError(f"ledger: scope {scope_id!r} of run {run_id} does not exist any more")
    supersede_live_plan(connection, run_no, run_id)
    connection.execute("SELECT rescind.clear_scope(%s, %s)", (run_no, row["scope_no"]))
    return int(row["scope_no"]), scope


def certify(connection: Connection, run_no: int, scope_id: str, certificate: Certificate) -> None:
    """Write the certificate of a scope and the resulting state."""
    connection.execute(
        "UPDATE rescind.scope SET state = %(state)s, identity = %(identity)s, query = %(query)s, pages = %(pages)s,"
        " declared = %(declared)s, counted = %(counted)s, duplicates = %(duplicates)s, dangling = %(dangling)s,"
        " page_digests = %(page_digests)s, missing = %(missing)s, error = '', notes = %(notes)s,"
        " started_at = %(started_at)s, ended_at = coalesce(%(ended_at)s, clock_timestamp())"
        " WHERE run_no = %(run)s AND scope_id = %(scope)s",
        {
            "run": run_no,
            "scope": scope_id,
            "state": "complete" if certificate.complete else "incomplete",
            "identity": certificate.identity,
            "query": Jsonb(dict(certificate.query)),
            "pages": certificate.pages,
            "declared": certificate.declared,
            "counted": certificate.counted,
            "duplicates": certificate.duplicates,
            "dangling": certificate.dangling,
            "page_digests": list(certificate.page_digests),
            "missing": certificate.missing,
            "notes": Jsonb(dict(certificate.notes)),
            "started_at": certificate.started_at,
            "ended_at": certificate.ended_at,
        },
    )


def _all(connection: Connection, run_id: str, run_no: int) -> list[Scope]:
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM rescind.scope WHERE run_no = %s ORDER BY scope_no", (run_no,)
    ).fetchall()
    return [_scope(run_id, row) for row in rows]


def _scope(run_id: str, row: DictRow) -> Scope:
    values: dict[str, Any] = {**row, "page_digests": tuple(row["page_digests"])}
    return Scope(run_id=run_id, **values)


def _leaves(connection: Connection, run_no: int) -> dict[str, list[Part]]:
    """Return the leaves of each scope that has grants, in order of type and id."""
    rows = connection.execute(
        'SELECT s.scope_id, g.kind, g.ident, g.grants, g.ids FROM (SELECT scope_no, principal_type COLLATE "C" AS kind,'
        ' principal_id COLLATE "C" AS ident, count(*) AS grants,'
        " sha256(string_agg(grant_id, ''::bytea ORDER BY grant_id)) AS ids"
        " FROM rescind.grant_row WHERE run_no = %(run)s GROUP BY 1, 2, 3) g"
        " JOIN rescind.scope s ON s.run_no = %(run)s AND s.scope_no = g.scope_no ORDER BY g.scope_no, g.kind, g.ident",
        {"run": run_no},
    ).fetchall()
    found: dict[str, list[Part]] = {}
    for row in rows:
        found.setdefault(row["scope_id"], []).append(leaf((row["kind"], row["ident"]), row["grants"], row["ids"]))
    return found


def _note_people(connection: Connection, run_no: int, scope_id: str, note: Mapping[str, Any] | None) -> None:
    """Replace the note about the people of the run; without one it is removed."""
    change = "notes - %(name)s" if note is None else "notes || %(note)s"
    connection.execute(
        f"UPDATE rescind.scope SET notes = {change} WHERE run_no = %(run)s AND scope_id = %(scope)s"
        " AND (%(note)s::jsonb IS NOT NULL OR notes ? %(name)s)",
        {
            "name": SEALED_PEOPLE,
            "note": None if note is None else Jsonb({SEALED_PEOPLE: note}),
            "run": run_no,
            "scope": scope_id,
        },
    )
