"""Batches: leases on them, and calls that are skipped, reopened or split.

A claim raises the epoch of the batch. The previous holder notices this at its next step and stops. Its in-flight
calls are unknown until the platform was read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from rescind.errors import LeaseLostError, LedgerError, PlanStaleError
from rescind.ledger.plans import approvals, transitions
from rescind.ledger.plans.records import Call, Canary, Lease, NewCall
from rescind.ledger.plans.rows import CALL_COLUMNS, call_of, call_rows, copy_calls, count_items
from rescind.ledger.store.database import Connection
from rescind.ledger.store.digest import Digest
from rescind.ledger.store.errors import CallSettledError, RecordConflictError, TransitionError
from rescind.ledger.store.repository import Repository
from rescind.model import ItemState, Verdict

_S = ItemState
_CANARIES = """
SELECT b.batch_id, b.system, b.account, b.label, count(i.grant_id),
       count(*) FILTER (WHERE v.verdict IN ('verified_gone', 'record_gone', 'already_absent', 'still_effective')),
       count(*) FILTER (WHERE i.state IN ('held', 'stale', 'expired')),
       count(*) FILTER (WHERE EXISTS (
           SELECT FROM rescind.attempt t WHERE t.run_no = i.run_no AND t.call_id = i.call_id))
FROM rescind.batch b
LEFT JOIN rescind.call c ON c.run_no = b.run_no AND c.batch_id = b.batch_id
LEFT JOIN rescind.plan_item i ON i.run_no = c.run_no AND i.call_id = c.call_id
LEFT JOIN rescind.verdict_latest v ON v.run_no = i.run_no AND v.grant_id = i.grant_id
WHERE b.run_no = %(run)s AND b.canary GROUP BY b.batch_id, b.system, b.account, b.label, b.ordinal ORDER BY b.ordinal
"""
_IN_FLIGHT = "the process that sent it lost its lease; read the platform first"


class Batches(Repository):
    """The batches of each run."""

    def canaries(self, run_id: str) -> list[Canary]:
        """Return the canary batches of the live plan, with what is proven of them, in order."""
        return [Canary(*row) for row in self._rows(run_id, _CANARIES, {})]

    def claim(self, run_id: str, batch_id: str, owner: str, ttl_s: float = 120.0) -> Lease:
        """Claim a batch, also from another holder. In-flight calls of an earlier holder become unknown.

        :param owner: the claimant in words: task, try and process.
        :param ttl_s: seconds until the lease expires; sending renews it.
        :raises PlanStaleError: when the live plan has no such batch.
        """
        number = self._db.write(lambda connection: self._note_start(connection, run_id, Digest(batch_id)))

        def work(connection: Connection) -> Lease:
            row = connection.execute(
                "UPDATE rescind.batch SET lease_epoch = lease_epoch + 1, lease_owner = %s, state = 'claimed',"
                " lease_until = clock_timestamp() + %s WHERE run_no = %s AND batch_id = %s"
                " RETURNING lease_epoch, lease_until",
                (owner, timedelta(seconds=ttl_s), number, Digest(batch_id)),
            ).fetchone()
            if row is None:
                raise _gone(run_id, batch_id)
            left = connection.execute(
                "UPDATE rescind.call SET state = 'unknown', reason = %s, updated_at = clock_timestamp()"
                " WHERE run_no = %s AND batch_id = %s AND state = 'sent' RETURNING call_id",
                (_IN_FLIGHT, number, Digest(batch_id)),
            ).fetchall()
            for call in left:
                lost_call = Digest(call["call_id"])
                transitions.move_call_items(connection, number, lost_call, [_S.SENT], _S.UNKNOWN, _IN_FLIGHT)
            return Lease(run_id, batch_id, owner, row["lease_epoch"], row["lease_until"])

        return self._db.write(work)

    def release(self, lease: Lease, *, done: bool = False) -> None:
        """Release a batch.

        :param done: True when nothing of it is left to send.
        :raises LeaseLostError: when another process has claimed it.
        """

        def work(connection: Connection) -> int:
            number = self._numbers.of(connection, lease.run_id)
            return connection.execute(
                "UPDATE rescind.batch SET lease_until = clock_timestamp(), state = %s"
                " WHERE run_no = %s AND batch_id = %s AND lease_epoch = %s",
                ("done" if done else "open", number, Digest(lease.batch_id), lease.epoch),
            ).rowcount

        if not self._db.write(work):
            raise lost(lease)

    def set_call(
        self,
        lease: Lease,
        call_id: str,
        state: str,
        *,
        reason: str,
        items: Mapping[str, tuple[ItemState, str]] | None = None,
    ) -> Call:
        """Settle a call that will not be sent.

        :param state: ``stale`` (the platform has changed) or ``skipped``.
        :param items: new states of its items. Without it, items that were to be sent become stale.
        :raises LeaseLostError: when another process has claimed the batch.
        :raises CallSettledError: when the call is not pending, refused or unknown.
        """
        if state not in ("stale", "skipped"):
            raise TransitionError(f"ledger: a call that was not sent becomes stale or skipped, not {state!r}")
        transitions.refuse_reserved(items or {})

        def work(connection: Connection) -> Call:
            number = self._numbers.of(connection, lease.run_id)
            hold(connection, number, lease)
            digest = Digest(call_id)
            if not transitions.move_call(connection, number, digest, ("pending", "refused", "unknown"), state, reason):
                raise _settled(connection, number, lease, call_id)
            if items is None:
                transitions.move_call_items(connection, number, digest, [_S.APPROVED, _S.REFUSED], _S.STALE, reason)
            else:
                transitions.move_items(connection, number, items, call_id=digest)
            return load_call(connection, lease.run_id, number, call_id)

        return self._db.write(work)

    def set_items(self, holder: Lease | str, moves: Mapping[str, tuple[ItemState, str]]) -> None:
        """Move single items, all or none.

        :param holder: the lease of the sender; outside of sending, the run id.
        :raises TransitionError: when a state cannot be reached; nothing is moved then.
        :raises LeaseLostError: when another process has claimed the batch.
        """
        transitions.refuse_reserved(moves)
        run_id = holder.run_id if isinstance(holder, Lease) else holder

        def work(connection: Connection) -> None:
            number = self._numbers.of(connection, run_id)
            if isinstance(holder, Lease):
                hold(connection, number, holder)
            transitions.move_items(connection, number, moves)

        self._db.write(work, bulk=True)

    def reopen(
        self,
        lease: Lease,
        call_id: str,
        *,
        present: Sequence[str],
        method: str,
        observed_at: datetime,
        reason: str,
        verdict: Verdict = Verdict.STILL_PRESENT,
    ) -> Call:
        """Make a call pending again after a read of the platform showed its items unchanged.

        :param present: ids of the grants that were seen; in a restore, of those that are certainly absent. They
            become approved again.
        :param observed_at: when they were read; must be later than the call's last attempt.
        :param verdict: recorded for these grants.
        :raises CallSettledError: when the call is not unknown, refused or accepted.
        :raises RecordConflictError: when the read is older than the last attempt, or shows no item.
        :raises LeaseLostError: when another process has claimed the batch.
        """

        def work(connection: Connection) -> Call:
            number = self._numbers.of(connection, lease.run_id)
            hold(connection, number, lease)
            digest = Digest(call_id)
            last = connection.execute(
                "SELECT max(coalesce(answered_at, sent_at, intent_at)) AS at FROM rescind.attempt"
                " WHERE run_no = %s AND call_id = %s",
                (number, digest),
            ).fetchone()
            if not present or last is None or last["at"] is None or observed_at <= last["at"]:
                raise RecordConflictError(
                    f"ledger: call {call_id} can be sent again only after a read that is later than its last attempt"
                    " and shows one of its items. Read the platform first"
                )
            if not transitions.move_call(
                connection, number, digest, ("unknown", "refused", "accepted"), "pending", reason
            ):
                raise _settled(connection, number, lease, call_id)
            transitions.move_items(connection, number, {one: (_S.APPROVED, reason) for one in present}, call_id=digest)
            connection.cursor().executemany(
                "INSERT INTO rescind.verdict (run_no, grant_id, verdict, method, observed_at)"
                " VALUES (%s, %s, %s, %s, %s)",
                [(number, Digest(one), str(verdict), method, observed_at) for one in present],
            )
            return load_call(connection, lease.run_id, number, call_id)

        return self._db.write(work)

    def split(
        self, lease: Lease, call_id: str, parts: Sequence[NewCall], item_calls: Mapping[str, str], *, reason: str
    ) -> list[Call]:
        """Replace a call that was not executed with smaller calls.

        :param parts: the new calls. Each must stay within the cells of the old call.
        :param item_calls: the new call of each item; items left out become stale.
        :raises TransitionError: when a part goes beyond the old call, or an item belongs to no part.
        :raises CallSettledError: when the call is neither pending nor refused.
        :raises LeaseLostError: when another process has claimed the batch.
        """

        def work(connection: Connection) -> list[Call]:
            number = self._numbers.of(connection, lease.run_id)
            hold(connection, number, lease, alone=True)
            old = load_call(connection, lease.run_id, number, call_id)
            _within(old, parts, item_calls)
            digest = Digest(call_id)
            if not transitions.move_call(connection, number, digest, ("pending", "refused"), "skipped", reason):
                raise _settled(connection, number, lease, call_id)
            copy_calls(
                connection, call_rows(number, old.batch_id, old.conn_id, ((old.ordinal, part) for part in parts))
            )
            connection.execute(
                "UPDATE rescind.plan_item i SET call_id = m.part, state = 'approved', reason = %s, updated_at ="
                " clock_timestamp() FROM unnest(%s::bytea[], %s::bytea[]) AS m(grant_id, part)"
                " WHERE i.run_no = %s AND i.grant_id = m.grant_id AND i.call_id = %s"
                " AND i.state IN ('approved', 'refused')",
                (
                    reason,
                    [Digest(one) for one in item_calls],
                    [Digest(part) for part in item_calls.values()],
                    number,
                    digest,
                ),
            )
            transitions.move_call_items(connection, number, digest, [_S.APPROVED, _S.REFUSED], _S.STALE, reason)
            count_items(connection, number, Digest(lease.batch_id))
            return [load_call(connection, lease.run_id, number, part.call_id) for part in parts]

        return self._db.write(work)

    def _note_start(self, connection: Connection, run_id: str, batch_id: Digest) -> int:
        """Move the plan to executing and record the use of its approval, in a transaction before the claim.

        An attempt locks its batch and then reads the plan. So a claim must not lock the plan while it waits for a
        batch.

        :returns: the run's number.
        """
        run_no = self._numbers.of(connection, run_id)
        row = connection.execute(
            "UPDATE rescind.plan SET state = 'executing' WHERE run_no = %s AND state = 'approved' RETURNING digest",
            (run_no,),
        ).fetchone()
        if row is not None:
            approvals.mark_used(connection, run_no, Digest(row["digest"]), batch_id)
        return run_no


def hold(connection: Connection, run_no: int, lease: Lease, *, alone: bool = False) -> None:
    """Ensure until the end of the transaction that the lease is current.

    :param alone: lock the batch for this transaction only, because it will update the row. Two transactions that
        share the row and then update it wait for each other.
    :raises LeaseLostError: when another process has claimed the batch.
    :raises PlanStaleError: when the live plan does not contain the batch.
    """
    row = connection.execute(
        "SELECT lease_epoch FROM rescind.batch WHERE run_no = %s AND batch_id = %s"
        f" FOR {'NO KEY UPDATE' if alone else 'SHARE'}",
        (run_no, Digest(lease.batch_id)),
    ).fetchone()
    if row is None:
        raise _gone(lease.run_id, lease.batch_id)
    if row["lease_epoch"] != lease.epoch:
        raise lost(lease)


def lost(lease: Lease) -> LeaseLostError:
    """Return the error for a holder whose batch was claimed by another process."""
    return LeaseLostError(
        f"batch {lease.batch_id[:12]} of run {lease.run_id}: {lease.owner} held epoch {lease.epoch}, and another"
        " process has claimed the batch. This one stops"
    )


def load_call(connection: Connection, run_id: str, run_no: int, call_id: str) -> Call:
    """Return one call, inside a transaction.

    :raises LedgerError: when the plan does not contain the call.
    """
    row = connection.execute(
        f"SELECT {CALL_COLUMNS} FROM rescind.call WHERE run_no = %s AND call_id = %s", (run_no, Digest(call_id))
    ).fetchone()
    if row is None:
        raise LedgerError(f"ledger: run {run_id} has no call {call_id}. Read the calls of the batch again")
    return call_of(run_id, row)


def _gone(run_id: str, batch_id: str) -> PlanStaleError:
    return PlanStaleError(
        f"the live plan of run {run_id} has no batch {batch_id[:12]}: another plan has replaced it. Nothing was sent"
    )


def _settled(connection: Connection, run_no: int, lease: Lease, call_id: str) -> CallSettledError:
    call = load_call(connection, lease.run_id, run_no, call_id)
    return CallSettledError(
        f"ledger: call {call_id[:12]} of run {lease.run_id} is {call.state} and cannot be changed", call.state
    )


def _within(old: Call, parts: Sequence[NewCall], item_calls: Mapping[str, str]) -> None:
    allowed = old.planned.cells()
    for part in parts:
        same = (part.planned.system, part.planned.account) == (old.planned.system, old.planned.account)
        if not same or not part.planned.cells() <= allowed:
            raise TransitionError(f"ledger: a part of call {old.call_id[:12]} goes beyond its cells. Split within them")
    strangers = set(item_calls.values()) - {part.call_id for part in parts}
    if strangers:
        raise TransitionError(
            f"ledger: {len(strangers)} items are assigned to calls that are not parts of {old.call_id[:12]}"
        )
