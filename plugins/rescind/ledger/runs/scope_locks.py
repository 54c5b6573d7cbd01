"""Scope locks: which approved run may change a permission system of an account.

A run holds no lock while its plan waits for an answer, so an unanswered question blocks nobody. The locks of a run are
taken with its approval if they are free, otherwise by its sending tasks, all of them or none. They end with the run,
with another plan of the run, or when the plan expires.

While a plan waits, other runs may change what it covers. The queries of this module tell which runs did.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import psycopg

from rescind.ledger.store.database import Connection
from rescind.ledger.store.digest import Digest
from rescind.ledger.store.errors import ScopeLockedError
from rescind.ledger.store.repository import Repository

INCIDENT = "targets"
"""The parameter ``kind`` of a run about named people or resources. It goes before reviews that wait."""
_MINUTE = "%Y-%m-%d %H:%M %Z"

_PLAN = f"""
SELECT p.valid_until, r.params ->> 'kind' IS NOT DISTINCT FROM '{INCIDENT}' AS incident
FROM rescind.plan p JOIN rescind.run r ON r.number = p.run_no
WHERE p.run_no = %(run)s AND p.state IN ('approved', 'executing') AND NOT r.dry_run
    AND r.state <> 'abandoned' AND p.valid_until > clock_timestamp() FOR SHARE OF p
"""
_SCOPES = "SELECT DISTINCT system, account FROM rescind.batch WHERE run_no = %(run)s ORDER BY system, account"
_INCIDENT_WAITS = f"""
SELECT r.number, r.run_id, a.responded_at AS since FROM rescind.run r
JOIN rescind.plan p ON p.run_no = r.number AND p.state IN ('approved', 'executing')
JOIN rescind.approval a ON a.run_no = p.run_no AND a.digest = p.digest
JOIN rescind.batch b ON b.run_no = r.number AND b.system = %(system)s AND b.account = %(account)s
WHERE r.number <> %(run)s AND r.params ->> 'kind' = '{INCIDENT}' AND r.finished_at IS NULL AND NOT r.dry_run
    AND p.valid_until > clock_timestamp() AND NOT EXISTS (SELECT FROM rescind.scope_lock l
        WHERE l.system = b.system AND l.account = b.account AND l.run_no = %(run)s AND l.expires_at > clock_timestamp())
ORDER BY r.number LIMIT 1
"""
_TAKE = """
INSERT INTO rescind.scope_lock AS l (system, account, run_no, expires_at)
VALUES (%(system)s, %(account)s, %(run)s, %(until)s)
ON CONFLICT (system, account) DO UPDATE SET run_no = excluded.run_no, expires_at = excluded.expires_at,
    acquired_at = CASE WHEN l.run_no = excluded.run_no THEN l.acquired_at ELSE clock_timestamp() END
WHERE l.run_no = excluded.run_no OR l.expires_at <= clock_timestamp() RETURNING run_no
"""
_HOLDER = """
SELECT r.number, r.run_id, l.acquired_at AS since FROM rescind.scope_lock l JOIN rescind.run r ON r.number = l.run_no
WHERE l.system = %(system)s AND l.account = %(account)s
"""
_SENT = """
SELECT FROM rescind.attempt t JOIN rescind.call c ON c.run_no = t.run_no AND c.call_id = t.call_id
WHERE t.run_no = r.number AND c.system = %(system)s AND c.account = %(account)s AND
"""
_CHANGED = f"""
SELECT r.number FROM rescind.run r WHERE r.number <> %(run)s AND NOT r.dry_run AND (
    EXISTS ({_SENT} t.closed_at > %(since)s AND t.outcome IN ('accepted', 'unknown'))
    OR EXISTS ({_SENT} t.outcome IS NULL))
ORDER BY r.number
"""
_LISTED_FROM = """
SELECT min(coalesce(s.started_at, r.started_at)) AS since FROM rescind.run r
LEFT JOIN rescind.scope s ON s.run_no = r.number AND s.system = %(system)s AND s.account = %(account)s
WHERE r.number = %(run)s
"""
_REMOVED = """
SELECT encode(i.grant_id, 'hex') AS grant_id, max(i.run_no) AS run_no FROM rescind.plan_item i
JOIN rescind.plan p ON p.run_no = i.run_no AND p.operation = 'revoke' AND p.state <> 'superseded'
WHERE i.run_no = ANY(%(runs)s) AND i.grant_id = ANY(%(ids)s) AND EXISTS (
    SELECT FROM rescind.attempt t WHERE t.run_no = i.run_no AND t.call_id = i.call_id
        AND (t.outcome IS NULL OR t.closed_at > %(since)s AND t.outcome IN ('accepted', 'unknown')))
GROUP BY i.grant_id
"""


class ScopeLocks(Repository):
    """The scope locks of all runs."""

    def take(self, run_id: str) -> None:
        """Take every lock that the approved plan of a run needs, or none. Locks that the run holds stay.

        A run without an approved, valid plan takes none, nor does an abandoned one; nothing of them can be sent. A run
        that has reported takes them again when one of its tasks is cleared.

        :raises ScopeLockedError: when another run holds one, or an approved run about named people waits for one.
        """
        self._db.write(lambda connection: take(connection, self._numbers.of(connection, run_id), run_id))

    def changed_since(self, run_id: str, system: str, account: str) -> list[int]:
        """Return the numbers of other runs that sent changes to a scope after this run began to list it."""

        def work(connection: Connection) -> list[int]:
            return _changed(connection, _place(self._numbers.of(connection, run_id), system, account))

        return self._db.read(work)

    def removed_since(self, run_id: str, system: str, account: str, grant_ids: Collection[str]) -> Mapping[str, int]:
        """Return which of these grants another run revoked after this run began to list the scope.

        :returns: number of the latest such run, by grant id.
        """

        def work(connection: Connection) -> dict[str, int]:
            place = _place(self._numbers.of(connection, run_id), system, account)
            runs = _changed(connection, place)
            ids = [Digest(one) for one in grant_ids]
            since = _listed_from(connection, place)
            rows = connection.execute(_REMOVED, {"runs": runs, "ids": ids, "since": since}).fetchall()
            return {row["grant_id"]: row["run_no"] for row in rows}

        return self._db.read(work) if grant_ids else {}


def take(connection: Connection, run_no: int, run_id: str) -> None:
    """Take the locks of a run inside a transaction; see :meth:`ScopeLocks.take`.

    Every transaction takes them in the same order, so two runs never deadlock.
    """
    plan = connection.execute(_PLAN, {"run": run_no}).fetchone()
    if plan is None:
        return
    for scope in connection.execute(_SCOPES, {"run": run_no}).fetchall():
        values = {**scope, "run": run_no, "until": plan["valid_until"]}
        first = None if plan["incident"] else connection.execute(_INCIDENT_WAITS, values).fetchone()
        if first is None and connection.execute(_TAKE, values).fetchone() is not None:
            continue
        holder = None if first else connection.execute(_HOLDER, values).fetchone()
        raise ScopeLockedError(_blocked(run_id, scope, first, holder))


def take_if_free(connection: Connection, run_no: int, run_id: str) -> None:
    """Take the locks of a run that was approved in this transaction, unless another run holds one."""
    try:
        with connection.transaction():
            take(connection, run_no, run_id)
    except (ScopeLockedError, psycopg.errors.LockNotAvailable):
        return  # its sending tasks wait for the locks


def release(connection: Connection, run_no: int) -> None:
    """Release the locks of a run, inside a transaction."""
    connection.execute("DELETE FROM rescind.scope_lock WHERE run_no = %s", (run_no,))


def _blocked(
    run_id: str, scope: Mapping[str, Any], first: Mapping[str, Any] | None, holder: Mapping[str, Any] | None
) -> str:
    who = "another run, which has just ended"
    if first:
        who = f"run {first['number']}, which is about named people and was approved at {first['since']:{_MINUTE}}"
    if holder:
        name = f"run {holder['number']} ({holder['run_id']})"
        who = f"{name}, which was approved and sends there since {holder['since']:{_MINUTE}}"
    return (
        f"ledger: {scope['system']} of account {scope['account']} is blocked by {who}; run {run_id} sends nothing there"
        " until then. It continues when that run has finished or its plan has expired"
    )


def _place(run_no: int, system: str, account: str) -> dict[str, Any]:
    return {"run": run_no, "system": system, "account": account}


def _listed_from(connection: Connection, place: Mapping[str, Any]) -> Any:
    row = connection.execute(_LISTED_FROM, place).fetchone()
    return row["since"] if row else None


def _changed(connection: Connection, place: Mapping[str, Any]) -> list[int]:
    rows = connection.execute(_CHANGED, {**place, "since": _listed_from(connection, place)}).fetchall()
    return [row["number"] for row in rows]
