"""Attempts: the intent before each request and the outcome after it. Append only.

:meth:`Attempts.begin` returns after its COMMIT. Only then may the caller sign and send, once. An attempt without an
answer has no outcome until it is closed as unknown. It is never sent again before the platform was read.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from rescind.errors import LeaseLostError, LedgerError
from rescind.ledger.plans import send_checks, transitions
from rescind.ledger.plans.approvals import Approvals
from rescind.ledger.plans.batches import hold, load_call
from rescind.ledger.plans.records import Attempt, AttemptRecord, Call, Lease
from rescind.ledger.runs import kill_switch
from rescind.ledger.store.columns import listed, names
from rescind.ledger.store.database import Connection, Database
from rescind.ledger.store.digest import Digest
from rescind.ledger.store.errors import RecordConflictError
from rescind.ledger.store.repository import PAGE, Repository, RunNumbers
from rescind.model import ItemState

_S = ItemState
_RECORD = listed(names(AttemptRecord))
# Call state and item state that follow from each outcome. Throttled and not sent: the request was not executed.
_MEANING: Mapping[str, tuple[str, ItemState]] = {
    "accepted": ("accepted", _S.ACCEPTED),
    "refused": ("refused", _S.REFUSED),
    "unknown": ("unknown", _S.UNKNOWN),
    "throttled": ("pending", _S.APPROVED),
    "not_sent": ("pending", _S.APPROVED),
}
_INTENT = """
INSERT INTO rescind.attempt (run_no, call_id, n, batch_id, lease_epoch, owner, plan_digest, request_digest, action,
                             api_version)
VALUES (%(run)s, %(call)s, %(n)s, %(batch)s, %(epoch)s, %(owner)s, %(plan)s, %(request)s, %(action)s, %(version)s)
RETURNING attempt_id, n, intent_at
"""
# A call counts with all its grants, also while its outcome is not known. Runs are narrowed down by index first.
_REVOKED = """
WITH recent AS (
    SELECT r.number FROM rescind.run r WHERE r.number <> %(run)s AND (
        EXISTS (SELECT FROM rescind.attempt t WHERE t.run_no = r.number
            AND t.closed_at > clock_timestamp() - %(period)s)
        OR EXISTS (SELECT FROM rescind.attempt t WHERE t.run_no = r.number AND t.outcome IS NULL))
)
SELECT c.system, c.account, count(*) FROM recent
JOIN rescind.plan p ON p.run_no = recent.number AND p.operation = 'revoke' AND p.state <> 'superseded'
JOIN rescind.call c ON c.run_no = p.run_no JOIN rescind.plan_item i ON i.run_no = c.run_no AND i.call_id = c.call_id
WHERE EXISTS (
    SELECT FROM rescind.attempt t WHERE t.run_no = c.run_no AND t.call_id = c.call_id
    AND t.intent_at > clock_timestamp() - %(period)s AND (t.outcome IS NULL OR t.outcome IN ('accepted', 'unknown')))
GROUP BY c.system, c.account
"""
_NO_OUTCOME = "no outcome was recorded"
_RENEWED_TO = timedelta(seconds=120)
_RENEW_EVERY_S = 30.0


class Attempts(Repository):
    """The attempts of each run.

    :param approvals: checks the approval at every intent.
    :cvar max_attempts: most attempts at one call; throttled attempts do not count.
    """

    max_attempts = 8

    def __init__(self, database: Database, numbers: RunNumbers, approvals: Approvals) -> None:
        super().__init__(database, numbers)
        self._approvals = approvals
        self._renewed: dict[tuple[str, str, int], float] = {}

    def begin(
        self, lease: Lease, call_id: str, *, plan_digest: str, request_digest: str, action: str, version: str
    ) -> Attempt:
        """Record the intent to send a call. The request may be sent when this has returned.

        One transaction checks everything that must hold now, and marks call and items as sent.

        :param plan_digest: the approved plan that the call belongs to.
        :param request_digest: digest of the final request without secrets.
        :param action: action of the vendor's API.
        :param version: version of the vendor's API.
        :raises RunStoppedError: when the kill switch is set.
        :raises RetainedGrantLostError: when verification found that a retained grant is missing.
        :raises LeaseLostError: when another process has claimed the batch.
        :raises PlanStaleError: when the run has ended, the plan was superseded or has expired, or an item of the call
            may not be sent.
        :raises NotApprovedError: for a dry run, and without a valid approval of exactly this plan.
        :raises ScopeLockedError: when another run holds the scope's lock.
        :raises CallSettledError: when the call is not pending, or its attempts are used up.
        """

        def work(connection: Connection) -> DictRow | None:
            number = self._numbers.of(connection, lease.run_id)
            digest = Digest(call_id)
            # Lock first, then read: the facts below are at least as new as the locks.
            hold(connection, number, lease)
            call = send_checks.lock_call(connection, number, lease, call_id)
            kill_switch.refuse_if_stopped(connection)
            facts = send_checks.gather(connection, number, digest, plan_digest, call)
            send_checks.no_retained_grant_is_lost(lease, facts)
            send_checks.call_may_be_sent(lease, call_id, call, facts, self.max_attempts)
            send_checks.plan_may_be_sent(connection, self._approvals, lease, number, plan_digest, facts)
            row = connection.execute(
                _INTENT,
                {
                    "run": number,
                    "call": digest,
                    "n": facts["attempts"] + 1,
                    "batch": Digest(lease.batch_id),
                    "epoch": lease.epoch,
                    "owner": lease.owner,
                    "plan": Digest(plan_digest),
                    "request": request_digest,
                    "action": action,
                    "version": version,
                },
            ).fetchone()
            transitions.move_call(connection, number, digest, ("pending",), "sent")
            transitions.move_call_items(connection, number, digest, [_S.APPROVED], _S.SENT)
            return row

        row = self._db.write(work)
        if row is None:
            raise LedgerError("ledger: the attempt cannot be read after it was written; nothing may be sent")
        self._renew(lease)
        return Attempt(row["attempt_id"], call_id, row["n"], row["intent_at"])

    def finish(
        self,
        attempt_id: int,
        outcome: str,
        *,
        sent_at: datetime | None = None,
        answered_at: datetime | None = None,
        code: str = "",
        http_status: int | None = None,
        request_id: str = "",
        detail: Mapping[str, Any] | None = None,
        items: Mapping[str, tuple[ItemState, str]] | None = None,
        reason: str = "",
    ) -> Call:
        """Record the outcome of an attempt, once, and move its call and items.

        :param outcome: ``accepted``, ``refused``, ``throttled``, ``not_sent`` or ``unknown``. After ``throttled`` and
            ``not_sent`` the request was not executed, and the call is pending again.
        :param items: items whose result differs from that of the call: (state, reason) by grant id.
        :raises RecordConflictError: when the attempt has an outcome already.
        :raises LeaseLostError: when another process has claimed the batch. The outcome is recorded; call and items
            stay unknown.
        """
        if outcome not in _MEANING:
            raise LedgerError(f"ledger: {outcome!r} is not an outcome. Use one of {', '.join(_MEANING)}")

        def work(connection: Connection) -> tuple[bool, DictRow, Call]:
            attempt = _close(
                connection,
                attempt_id,
                {
                    "outcome": outcome,
                    "sent_at": sent_at,
                    "answered_at": answered_at,
                    "code": code,
                    "http_status": http_status,
                    "request_id": request_id,
                    "detail": Jsonb(dict(detail or {})),
                },
            )
            number, digest = attempt["run_no"], Digest(attempt["call_id"])
            ours = _still_ours(connection, attempt)
            if ours:
                _settle(connection, number, digest, outcome, items or {}, reason)
            return ours, attempt, load_call(connection, attempt["run_id"], number, digest.hex)

        ours, attempt, call = self._db.write(work)
        if not ours:
            raise LeaseLostError(
                f"attempt {attempt_id} of run {attempt['run_id']}: the outcome {outcome} is recorded, but another"
                " process has claimed the batch. This one stops"
            )
        return call

    def each(self, run_id: str) -> Iterator[AttemptRecord]:
        """Yield all attempts of a run in the order of their intents."""
        query = (
            f"SELECT {_RECORD} FROM rescind.attempt WHERE run_no = %(run)s AND attempt_id > %(after)s"
            f" ORDER BY attempt_id LIMIT {PAGE}"
        )
        after = 0
        while rows := self._rows(run_id, query, {"after": after}):
            yield from (_record(row) for row in rows)
            after = rows[-1][0]

    def revoked_by_others(self, run_id: str, period: timedelta) -> dict[tuple[str, str], int]:
        """Return how many grants other runs revoked, or may have, within a period that ends now.

        :param period: measured back from now by the database's clock, from the intents of the calls.
        :returns: counts by (system, account).
        """
        rows = self._rows(run_id, _REVOKED, {"period": period})
        return {(system, account): count for system, account, count in rows}

    def settle_open(self, run_id: str) -> int:
        """Close as unknown every open attempt whose batch was released or claimed by another process.

        Calls and items that are still marked as sent become unknown too.

        :returns: how many attempts were closed.
        """

        def work(connection: Connection) -> int:
            number = self._numbers.of(connection, run_id)
            rows = connection.execute(
                "UPDATE rescind.attempt a SET outcome = 'unknown', closed_at = clock_timestamp()"
                " FROM rescind.batch b WHERE a.run_no = %s AND a.outcome IS NULL AND b.run_no = a.run_no"
                " AND b.batch_id = a.batch_id AND (b.lease_epoch <> a.lease_epoch OR b.lease_until <="
                " clock_timestamp()) RETURNING a.call_id",
                (number,),
            ).fetchall()
            for row in rows:
                digest = Digest(row["call_id"])
                if transitions.move_call(connection, number, digest, ("sent",), "unknown", _NO_OUTCOME):
                    transitions.move_call_items(connection, number, digest, [_S.SENT], _S.UNKNOWN)
            return len(rows)

        return self._db.write(work, bulk=True)

    def _renew(self, lease: Lease) -> None:
        """Extend the lease of a holder that sends, at most every 30 s."""
        key = (lease.run_id, lease.batch_id, lease.epoch)
        now = time.monotonic()
        if now - self._renewed.get(key, float("-inf")) < _RENEW_EVERY_S:
            return
        self._renewed[key] = now

        def work(connection: Connection) -> None:
            connection.execute(
                "UPDATE rescind.batch SET lease_until = greatest(lease_until, clock_timestamp() + %s)"
                " WHERE run_no = %s AND batch_id = %s AND lease_epoch = %s",
                (_RENEWED_TO, self._numbers.of(connection, lease.run_id), Digest(lease.batch_id), lease.epoch),
            )

        self._db.write(work)


def _close(connection: Connection, attempt_id: int, outcome: Mapping[str, Any]) -> DictRow:
    """Write the outcome of an attempt once.

    :raises RecordConflictError: when the attempt has an outcome already.
    :raises LedgerError: when the attempt does not exist.
    """
    row = connection.execute(
        "UPDATE rescind.attempt a SET outcome = %(outcome)s, sent_at = %(sent_at)s, answered_at = %(answered_at)s,"
        " code = %(code)s, http_status = %(http_status)s, request_id = %(request_id)s, detail = %(detail)s,"
        " closed_at = clock_timestamp() FROM rescind.run r WHERE a.attempt_id = %(id)s AND a.outcome IS NULL"
        " AND r.number = a.run_no RETURNING a.run_no, r.run_id, a.call_id, a.batch_id, a.lease_epoch",
        {**outcome, "id": attempt_id},
    ).fetchone()
    if row is not None:
        return row
    known = connection.execute("SELECT outcome FROM rescind.attempt WHERE attempt_id = %s", (attempt_id,)).fetchone()
    if known is None:
        raise LedgerError(f"ledger: there is no attempt {attempt_id}. Begin it before sending")
    raise RecordConflictError(
        f"ledger: attempt {attempt_id} has the outcome {known['outcome']!r} already, which cannot change"
    )


def _still_ours(connection: Connection, attempt: DictRow) -> bool:
    row = connection.execute(
        "SELECT lease_epoch FROM rescind.batch WHERE run_no = %s AND batch_id = %s FOR SHARE",
        (attempt["run_no"], Digest(attempt["batch_id"])),
    ).fetchone()
    return row is not None and row["lease_epoch"] == attempt["lease_epoch"]


def _settle(
    connection: Connection,
    run_no: int,
    call_id: Digest,
    outcome: str,
    items: Mapping[str, tuple[ItemState, str]],
    reason: str,
) -> None:
    call_state, item_state = _MEANING[outcome]
    transitions.move_call(connection, run_no, call_id, ("sent",), call_state, reason)
    if items:
        transitions.refuse_reserved(items)
        transitions.move_items(connection, run_no, items, call_id=call_id)
    transitions.move_call_items(connection, run_no, call_id, [_S.SENT], item_state, reason)


def _record(row: tuple[Any, ...]) -> AttemptRecord:
    return AttemptRecord(*row)
