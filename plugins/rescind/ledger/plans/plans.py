"""Plans: the effects to approve, frozen under one digest, and the calls that produce them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from rescind.errors import LedgerError, PlanError
from rescind.ledger.plans.records import (
    Batch,
    Call,
    Item,
    NewBatch,
    NewItem,
    NewPlan,
    Plan,
)
from rescind.ledger.plans.rows import (
    BATCH_COLUMNS,
    CALL_COLUMNS,
    ITEM_COLUMNS,
    PlanRows,
    batch_of,
    call_of,
    item_of,
)
from rescind.ledger.population.grant_rows import GRANT_SELECT, GRANT_WIDTH, KEY_SELECT, grant_of
from rescind.ledger.store.database import Connection
from rescind.ledger.store.digest import Digest
from rescind.ledger.store.repository import Repository, supersede_live_plan
from rescind.model import Grant, GrantKey, ItemState

_COLUMNS = (
    "r.run_id, p.digest, p.operation, s.run_id AS source_run_id, p.state, p.created_at, p.valid_until, p.guards,"
    " p.caps, p.lower_bound, p.calls, p.items, p.code_version, p.policy_version"
)
_FROM = "rescind.plan p JOIN rescind.run r ON r.number = p.run_no JOIN rescind.run s ON s.number = p.source_no"


class Plans(Repository):
    """The plans of each run; at most one of them is live."""

    def freeze(self, run_id: str, plan: NewPlan, batches: Iterable[NewBatch], items: Iterable[NewItem]) -> Plan:
        """Store a plan. It locks nothing: the scopes of a run are locked when it is approved.

        The same digest again returns the stored plan. A plan with another digest replaces it as long as no request
        was recorded.

        :raises PlanError: when the effects do not match the digest.
        :raises LedgerError: when an item is not a grant of a complete scope with the decision revoke (in a restore:
            with the proof that it is gone), or names a call that is not in the plan.
        :raises SnapshotClosedError: when requests of this run were sent under another plan.
        """
        known = self.find(run_id)
        if known is not None and known.digest == plan.digest:
            return known
        rows = PlanRows(self._db.read(lambda connection: self._numbers.of(connection, run_id)))
        try:
            rows.add(plan, batches, items)
            frozen = self._db.write(lambda connection: self._freeze(connection, run_id, plan, rows), bulk=True)
        finally:
            rows.close()
        if frozen is None:
            raise LedgerError("ledger: the plan cannot be read after it was written")
        return frozen

    def _freeze(self, connection: Connection, run_id: str, plan: NewPlan, rows: PlanRows) -> Plan | None:
        number = self._numbers.of(connection, run_id)
        connection.execute("SELECT 1 FROM rescind.run WHERE number = %s FOR UPDATE", (number,))
        known = _live(connection, number)
        if known is not None and known.digest == plan.digest:
            return known
        supersede_live_plan(connection, number, run_id)
        source = self._numbers.of(connection, plan.source_run_id) if plan.source_run_id else number
        _insert(connection, number, source, plan)
        calls, count = rows.write(connection)
        _check_items(connection, run_id, number, source, plan.operation)
        connection.execute(
            "UPDATE rescind.plan SET calls = %s, items = %s WHERE run_no = %s AND digest = %s",
            (calls, count, number, Digest(plan.digest)),
        )
        return _live(connection, number)

    def get(self, run_id: str, digest: str | None = None) -> Plan:
        """Return a plan; without a digest the live plan.

        :raises LedgerError: when it does not exist.
        """
        plan = self.find(run_id, digest)
        if plan is None:
            what = "no live plan" if digest is None else f"no plan with digest {digest}"
            raise LedgerError(f"ledger: run {run_id} has {what}. Freeze one with plans.freeze()")
        return plan

    def find(self, run_id: str, digest: str | None = None) -> Plan | None:
        """Return a plan or None; without a digest the live plan."""

        def work(connection: Connection) -> Plan | None:
            number = self._numbers.of(connection, run_id)
            return _live(connection, number) if digest is None else _named(connection, number, digest)

        return self._db.read(work)

    def effects(self, run_id: str, digest: str) -> Iterator[bytes]:
        """Yield the canonical bytes of the effects in pieces, after checking them against the digest.

        :raises PlanError: when they do not match the digest.
        """
        query = (
            "SELECT chunk FROM rescind.plan_effect WHERE run_no = %(run)s AND digest = %(digest)s AND ordinal = %(n)s"
        )
        total, count = hashlib.sha256(), 0
        while rows := self._rows(run_id, query, {"digest": Digest(digest), "n": count}, binary=True):
            total.update(rows[0][0])
            count += 1
        if total.hexdigest() != digest:
            raise PlanError(
                f"the stored effects of plan {digest} of run {run_id} do not match this digest: they were changed or"
                " cut. Nothing may be sent; plan again"
            )
        for ordinal in range(count):
            (piece,) = self._rows(run_id, query, {"digest": Digest(digest), "n": ordinal}, binary=True)
            yield piece[0]

    def batches(self, run_id: str) -> list[Batch]:
        """Return the batches of the live plan, in order."""
        rows = self._db.read(
            lambda connection: connection.execute(
                f"SELECT {BATCH_COLUMNS} FROM rescind.batch WHERE run_no = %s ORDER BY ordinal, batch_id",
                (self._numbers.of(connection, run_id),),
            ).fetchall()
        )
        return [batch_of(run_id, row) for row in rows]

    def calls(self, run_id: str, batch_id: str | None = None) -> Iterator[Call]:
        """Yield the calls of the live plan or of one batch, in sending order."""
        wanted = [batch_id] if batch_id is not None else [batch.batch_id for batch in self.batches(run_id)]
        for name in wanted:
            rows = self._db.read(partial(self._calls, run_id, name))
            yield from (call_of(run_id, row) for row in rows)

    def items(self, run_id: str, *, call_id: str | None = None, state: ItemState | None = None) -> Iterator[Item]:
        """Yield the items of the live plan, ordered by grant id."""
        where = "(%(state)s::text IS NULL OR i.state = %(state)s)"
        values: dict[str, Any] = {"state": state}
        if call_id is not None:
            where += " AND i.call_id = %(call)s"
            values["call"] = Digest(call_id)
        for row in self._pages(run_id, f"SELECT {ITEM_COLUMNS} FROM rescind.plan_item i", where, values, key="i"):
            yield item_of(run_id, row)

    def standing(self, run_id: str, grant_ids: Sequence[str]) -> dict[str, tuple[str, str, str, str]]:
        """Return state, verdict, its path and the reason (each or empty) of the items of the live plan, by grant id.

        :param grant_ids: those of other grants are left out.
        """
        query = (
            "SELECT i.grant_id, i.state, coalesce(v.verdict, ''), coalesce(v.path, ''), i.reason"
            " FROM rescind.plan_item i"
            " JOIN rescind.plan p ON p.run_no = i.run_no AND p.state <> 'superseded'"
            " LEFT JOIN rescind.verdict_latest v ON v.run_no = i.run_no AND v.grant_id = i.grant_id"
            " WHERE i.run_no = %(run)s AND i.grant_id = ANY(%(ids)s)"
        )
        ids = [Digest(ident) for ident in grant_ids]
        return {ident: tuple(facts) for ident, *facts in self._rows(run_id, query, {"ids": ids})}

    def item_grants(self, run_id: str, call_id: str) -> list[tuple[Item, Grant]]:
        """Return the items of one call with their grants in the snapshot, ordered by grant id."""
        query = (
            f"SELECT {GRANT_SELECT}, {ITEM_COLUMNS} FROM rescind.plan_item i JOIN rescind.plan p ON p.run_no = i.run_no"
            " AND p.state <> 'superseded' JOIN rescind.grant_row g ON g.run_no = p.source_no"
            " AND g.grant_id = i.grant_id WHERE i.run_no = %(run)s AND i.call_id = %(call)s ORDER BY i.grant_id"
        )
        rows = self._rows(run_id, query, {"call": Digest(call_id)})
        return [(item_of(run_id, row[GRANT_WIDTH:]), grant_of(row)) for row in rows]

    def batch_keys(self, run_id: str, batch_id: str) -> list[GrantKey]:
        """Return the keys of all grants in the calls of a batch."""
        query = (
            f"SELECT {KEY_SELECT} FROM rescind.call c JOIN rescind.plan_item i ON i.run_no = c.run_no AND i.call_id ="
            " c.call_id JOIN rescind.plan p ON p.run_no = i.run_no AND p.state <> 'superseded' JOIN rescind.grant_row g"
            " ON g.run_no = p.source_no AND g.grant_id = i.grant_id"
            " WHERE c.run_no = %(run)s AND c.batch_id = %(batch)s"
        )
        return [GrantKey(*row) for row in self._rows(run_id, query, {"batch": Digest(batch_id)})]

    def _calls(self, run_id: str, batch_id: str, connection: Connection) -> list[DictRow]:
        return connection.execute(
            f"SELECT {CALL_COLUMNS} FROM rescind.call WHERE run_no = %s AND batch_id = %s ORDER BY ordinal, call_id",
            (self._numbers.of(connection, run_id), Digest(batch_id)),
        ).fetchall()


def _live(connection: Connection, run_no: int) -> Plan | None:
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM {_FROM} WHERE p.run_no = %s AND p.state <> 'superseded'", (run_no,)
    ).fetchone()
    return None if row is None else _plan(row)


def _named(connection: Connection, run_no: int, digest: str) -> Plan | None:
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM {_FROM} WHERE p.run_no = %s AND p.digest = %s", (run_no, Digest(digest))
    ).fetchone()
    return None if row is None else _plan(row)


def _plan(row: DictRow) -> Plan:
    return Plan(**row)


def _insert(connection: Connection, run_no: int, source_no: int, plan: NewPlan) -> None:
    """Write the plan, without its rows. A superseded plan with the same digest is frozen again and keeps its age."""
    digest = Digest(plan.digest)
    connection.execute(
        "INSERT INTO rescind.plan AS p (run_no, digest, source_no, operation, valid_until, guards, caps, lower_bound,"
        " code_version, policy_version) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
        " ON CONFLICT (run_no, digest) DO UPDATE SET state = 'frozen', source_no = excluded.source_no, operation ="
        " excluded.operation, valid_until = excluded.valid_until, guards = excluded.guards, caps = excluded.caps,"
        " lower_bound = excluded.lower_bound, code_version = excluded.code_version, policy_version ="
        " excluded.policy_version",
        (
            run_no,
            digest,
            source_no,
            plan.operation,
            plan.valid_until,
            Jsonb(plan.guards),
            Jsonb(plan.caps),
            plan.lower_bound,
            plan.code_version,
            plan.policy_version,
        ),
    )


def _check_items(connection: Connection, run_id: str, run_no: int, source_no: int, operation: str) -> None:
    """Check that every item may be revoked, or is proven gone and may be restored, and has its call.

    :raises LedgerError: otherwise.
    """
    decided = (
        " AND EXISTS (SELECT 1 FROM rescind.decision d WHERE d.run_no = i.run_no AND d.grant_id = i.grant_id"
        " AND d.choice = 'revoke')"
        if operation == "revoke"
        else " AND (i.state <> 'planned' OR EXISTS (SELECT 1 FROM rescind.verdict_latest v WHERE v.run_no = %(source)s"
        " AND v.grant_id = i.grant_id AND v.verdict IN ('verified_gone', 'record_gone', 'still_effective'))"
        " OR EXISTS (SELECT 1 FROM rescind.kept_check k WHERE k.run_no = %(source)s"
        " AND k.lost ? encode(i.grant_id, 'hex')))"
    )
    row = connection.execute(
        "SELECT count(*) AS n FROM rescind.plan_item i WHERE i.run_no = %(run)s AND NOT EXISTS ("
        " SELECT 1 FROM rescind.grant_row g JOIN rescind.scope s ON s.run_no = g.run_no AND s.scope_no = g.scope_no"
        " WHERE g.run_no = %(source)s AND g.grant_id = i.grant_id AND (s.state = 'complete' OR i.state <> 'planned')"
        f"{decided})",
        {"run": run_no, "source": source_no},
    ).fetchone()
    if row is not None and row["n"]:
        what = "with the decision revoke" if operation == "revoke" else "that its run proved gone or found missing"
        raise LedgerError(
            f"ledger: run {run_id}: {row['n']} items of the plan are not grants of a complete scope {what}. Plan from"
            " the grants in the ledger"
        )
    _check_calls(connection, run_id, run_no)


def _check_calls(connection: Connection, run_id: str, run_no: int) -> None:
    row = connection.execute(
        "SELECT count(*) AS n FROM rescind.plan_item i LEFT JOIN rescind.call c ON c.run_no = i.run_no AND"
        " c.call_id = i.call_id WHERE i.run_no = %s AND c.call_id IS NULL"
        " AND (i.call_id IS NOT NULL OR i.state IN ('planned', 'approved'))",
        (run_no,),
    ).fetchone()
    if row is not None and row["n"]:
        raise LedgerError(f"ledger: run {run_id}: {row['n']} items have no call of the plan. Assign a call to each")
