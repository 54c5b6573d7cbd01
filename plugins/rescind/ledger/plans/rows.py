"""Conversion between rows and batches, calls and items."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import psycopg
from psycopg.rows import DictRow

from rescind.errors import LedgerError, PlanError
from rescind.ledger.plans.records import (
    Batch,
    Call,
    Item,
    NewBatch,
    NewCall,
    NewItem,
    NewPlan,
)
from rescind.ledger.store.columns import listed, names
from rescind.ledger.store.copy_spool import NULL, RowFile, array, bytes_field, digest_field, document, text
from rescind.ledger.store.database import Connection
from rescind.ledger.store.digest import Digest
from rescind.ledger.store.errors import RecordConflictError
from rescind.ledger.store.repository import analyze
from rescind.model import ItemState, PlannedCall

BATCH_COLUMNS = listed(names(Batch, without=("run_id",)))
CALL_COLUMNS = (
    "call_id, batch_id, system, account, conn_id, ordinal, container, rows, columns, inverse, state, reason, updated_at"
)
ITEM_COLUMNS = "i.grant_id, i.call_id, i.state, i.reason, i.updated_at"

_CALL_WRITTEN = (
    "run_no",
    "call_id",
    "batch_id",
    "system",
    "account",
    "conn_id",
    "ordinal",
    "container",
    "rows",
    "columns",
    "inverse",
)
_INSERT_BATCH = (
    "INSERT INTO rescind.batch (run_no, batch_id, ordinal, system, account, conn_id, label, calls, canary)"
    " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)"
)
_CHUNK = 1 << 20
_ITEM_WRITTEN = ("run_no", "grant_id", "call_id", "state", "reason")


class PlanRows:
    """The rows of a new plan, on disk, so that the transaction that stores them can be repeated.

    :param run_no: number of the run.
    """

    def __init__(self, run_no: int) -> None:
        self._run_no, self._digest = run_no, ""
        self._batches: list[tuple[Any, ...]] = []
        self._effects = RowFile("rescind.plan_effect", ("run_no", "digest", "ordinal", "chunk"))
        self._calls = RowFile("rescind.call", _CALL_WRITTEN)
        self._items = RowFile("rescind.plan_item", _ITEM_WRITTEN)

    def add(self, plan: NewPlan, batches: Iterable[NewBatch], items: Iterable[NewItem]) -> None:
        """Append the effects of a plan, its batches with their calls, and its items.

        :raises PlanError: when the effects do not match the digest.
        :raises LedgerError: when a batch contains a call of another system or account.
        """
        self._digest = plan.digest
        total = hashlib.sha256()
        for ordinal, piece in enumerate(_pieces(plan.effects)):
            total.update(piece)
            self._effects.add([(str(self._run_no), digest_field(plan.digest), str(ordinal), bytes_field(piece))])
        if total.hexdigest() != plan.digest:
            raise PlanError(
                f"the effects of this plan have the digest {total.hexdigest()}, not {plan.digest}. Plan again"
            )
        for ordinal, batch in enumerate(batches):
            _one_account(ordinal, batch)
            self._batches.append(_batch_row(self._run_no, ordinal, batch))
            self._calls.add(call_rows(self._run_no, batch.batch_id, batch.conn_id, enumerate(batch.calls)))
        self._items.add(_item_rows(self._run_no, items))

    def write(self, connection: Connection) -> tuple[int, int]:
        """Write all rows, and the item counts of the batches; return the numbers of calls and items.

        :raises RecordConflictError: when the plan contains a call, a batch or a grant twice.
        """
        stored = connection.execute(
            "SELECT 1 FROM rescind.plan_effect WHERE run_no = %s AND digest = %s LIMIT 1",
            (self._run_no, Digest(self._digest)),
        ).fetchone()
        if stored is None:  # the same digest was frozen before: its effects are the same bytes
            self._effects.copy_into(connection)
        try:
            with connection.cursor() as cursor:
                cursor.executemany(_INSERT_BATCH, self._batches)
            self._calls.copy_into(connection)
        except psycopg.errors.UniqueViolation:
            raise RecordConflictError(
                "ledger: the plan contains a call or a batch twice. Plan each call once"
            ) from None
        try:
            self._items.copy_into(connection)
        except psycopg.errors.UniqueViolation:
            raise RecordConflictError("ledger: the plan contains a grant twice. Plan each grant once") from None
        analyze(connection, "plan_item", self._items.rows)
        count_items(connection, self._run_no)
        return self._calls.rows, self._items.rows

    def close(self) -> None:
        """Remove the files."""
        for rows in (self._effects, self._calls, self._items):
            rows.close()


def _pieces(effects: bytes | Iterable[bytes]) -> Iterator[bytes]:
    """Yield the same bytes in pieces of equal size."""
    buffer = bytearray()
    for part in (effects,) if isinstance(effects, bytes) else effects:
        buffer += part
        while len(buffer) >= _CHUNK:
            yield bytes(buffer[:_CHUNK])
            del buffer[:_CHUNK]
    if buffer:
        yield bytes(buffer)


def _one_account(ordinal: int, batch: NewBatch) -> None:
    """Check that a batch has calls of one system and account only.

    :raises LedgerError: otherwise.
    """
    for call in batch.calls:
        if (call.planned.system, call.planned.account) != (batch.system, batch.account):
            raise LedgerError(
                f"ledger: batch {ordinal} is for {batch.system} of {batch.account} and contains a call for"
                f" {call.planned.system} of {call.planned.account}. One batch has one system and account"
            )


def _batch_row(run_no: int, ordinal: int, batch: NewBatch) -> tuple[Any, ...]:
    return (
        run_no,
        Digest(batch.batch_id),
        ordinal,
        batch.system,
        batch.account,
        batch.conn_id,
        batch.label,
        len(batch.calls),
        batch.canary,
    )


def count_items(connection: Connection, run_no: int, batch_id: Digest | None = None) -> None:
    """Update the numbers of calls and items of each batch, or of one that the transaction has locked."""
    connection.execute(
        "UPDATE rescind.batch b SET calls = n.calls, items = n.items FROM ("
        " SELECT c.batch_id, count(DISTINCT c.call_id) AS calls, count(i.grant_id) AS items FROM rescind.call c"
        " LEFT JOIN rescind.plan_item i ON i.run_no = c.run_no AND i.call_id = c.call_id"
        " WHERE c.run_no = %(run)s AND (%(batch)s::bytea IS NULL OR c.batch_id = %(batch)s) GROUP BY c.batch_id) n"
        " WHERE b.run_no = %(run)s AND b.batch_id = n.batch_id",
        {"run": run_no, "batch": batch_id},
    )


def call_rows(
    run_no: int, batch_id: str, conn_id: str, calls: Iterable[tuple[int, NewCall]]
) -> Iterator[Sequence[str]]:
    """Yield the COPY rows of numbered calls of one batch."""
    for ordinal, call in calls:
        planned = call.planned
        yield (
            str(run_no),
            digest_field(planned.call_id),
            digest_field(batch_id),
            text(planned.system),
            text(planned.account),
            text(conn_id),
            str(ordinal),
            text(planned.container),
            array(planned.rows),
            document([[kind, list(column)] for kind, column in planned.columns]),
            document(dict(call.inverse)),
        )


def copy_calls(connection: Connection, rows: Iterable[Sequence[str]]) -> None:
    """Write a few calls from their COPY rows."""
    file = RowFile("rescind.call", _CALL_WRITTEN)
    try:
        file.add(rows)
        file.copy_into(connection)
    finally:
        file.close()


def _item_rows(run_no: int, items: Iterable[NewItem]) -> Iterator[Sequence[str]]:
    run = str(run_no)
    for item in items:
        call = NULL if item.call_id is None else digest_field(item.call_id)
        yield (run, digest_field(item.grant_id), call, text(item.state), text(item.reason))


def batch_of(run_id: str, row: DictRow) -> Batch:
    """Return a batch from the columns of :data:`BATCH_COLUMNS`."""
    return Batch(run_id=run_id, **row)


def call_of(run_id: str, row: DictRow) -> Call:
    """Return a call from the columns of :data:`CALL_COLUMNS`.

    :raises LedgerError: when the stored content does not match the call id.
    """
    planned = PlannedCall(
        row["system"],
        row["account"],
        row["container"],
        tuple(row["rows"]),
        tuple((kind, tuple(column)) for kind, column in row["columns"]),
    )
    call_id = row["call_id"]
    if planned.call_id != call_id:
        raise LedgerError(
            f"ledger: call {call_id} of run {run_id} has content that does not match its id: the row was changed."
            " Nothing of it may be sent; plan again"
        )
    return Call(
        run_id=run_id,
        call_id=call_id,
        batch_id=row["batch_id"],
        conn_id=row["conn_id"],
        ordinal=row["ordinal"],
        planned=planned,
        inverse=row["inverse"] or {},
        state=row["state"],
        reason=row["reason"],
        updated_at=row["updated_at"],
    )


def item_of(run_id: str, row: Sequence[Any]) -> Item:
    """Return an item from the columns of :data:`ITEM_COLUMNS`."""
    grant_id, call_id, state, reason, updated_at = row
    return Item(run_id, grant_id, call_id, ItemState(state), reason, updated_at)
