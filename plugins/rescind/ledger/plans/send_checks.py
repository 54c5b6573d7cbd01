"""The checks right before a send. They run inside the transaction that records the intent."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from psycopg.rows import DictRow

from rescind.errors import LedgerError, NotApprovedError, PlanStaleError, RetainedGrantLostError
from rescind.ledger.plans import transitions
from rescind.ledger.plans.approvals import Approvals
from rescind.ledger.plans.records import Lease
from rescind.ledger.store.database import Connection
from rescind.ledger.store.digest import Digest
from rescind.ledger.store.errors import CallSettledError, ScopeLockedError

_FACTS = """
SELECT clock_timestamp() AS now, r.dry_run, r.state AS run_state, r.finished_at, r.server, p.state AS plan_state,
       p.valid_until, l.run_no AS locked_by,
       (SELECT count(*) FROM rescind.attempt t WHERE t.run_no = r.number AND t.call_id = %(call)s) AS attempts,
       (SELECT count(*) FROM rescind.attempt t WHERE t.run_no = r.number AND t.call_id = %(call)s
           AND t.outcome IS DISTINCT FROM 'throttled') AS tries,
       (SELECT count(*) FROM rescind.plan_item i WHERE i.run_no = r.number AND i.call_id = %(call)s
           AND i.state = 'approved') AS approved,
       (SELECT count(*) FROM rescind.plan_item i WHERE i.run_no = r.number AND i.call_id = %(call)s
           AND i.state = ANY(%(blocking)s)) AS blocked,
       (SELECT coalesce(sum(jsonb_array_length(k.lost)), 0) FROM (
           SELECT DISTINCT ON (c.system, c.account) c.lost FROM rescind.kept_check c WHERE c.run_no = r.number
           ORDER BY c.system, c.account, c.kept_no DESC) k) AS retained_lost
FROM rescind.run r
LEFT JOIN rescind.plan p ON p.run_no = r.number AND p.digest = %(digest)s
LEFT JOIN rescind.scope_lock l ON l.system = %(system)s AND l.account = %(account)s
WHERE r.number = %(run)s
"""


def lock_call(connection: Connection, run_no: int, lease: Lease, call_id: str) -> DictRow:
    """Return the row of a call, locked until the transaction ends.

    :raises LedgerError: when the batch does not contain the call.
    """
    row = connection.execute(
        "SELECT state, system, account, reason FROM rescind.call"
        " WHERE run_no = %s AND call_id = %s AND batch_id = %s FOR UPDATE",
        (run_no, Digest(call_id), Digest(lease.batch_id)),
    ).fetchone()
    if row is None:
        raise LedgerError(
            f"ledger: batch {lease.batch_id[:12]} of run {lease.run_id} has no call {call_id}. Read its calls again"
        )
    return row


def gather(
    connection: Connection, run_no: int, call_id: Digest, plan_digest: str, call: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Return the current facts for the checks below."""
    row = connection.execute(
        _FACTS,
        {
            "run": run_no,
            "call": call_id,
            "digest": Digest(plan_digest),
            "system": call["system"],
            "account": call["account"],
            "blocking": [str(state) for state in transitions.BLOCKING],
        },
    ).fetchone()
    if row is None:
        raise LedgerError("ledger: the run of this call cannot be read. Nothing was sent")
    return row


def no_retained_grant_is_lost(lease: Lease, facts: Mapping[str, Any]) -> None:
    """Check the latest retained checks of every system of the run.

    :raises RetainedGrantLostError: when a retained grant is missing. The run can continue after a later check that
        finds all of them.
    """
    if facts["retained_lost"]:
        raise RetainedGrantLostError(
            f"run {lease.run_id}: {facts['retained_lost']} retained grants are missing, so nothing more of it is sent."
            " Find out what removed them; the run's report says how to restore them. When they are present again, clear"
            " the task that checked them"
        )


def call_may_be_sent(
    lease: Lease, call_id: str, call: Mapping[str, Any], facts: Mapping[str, Any], max_attempts: int
) -> None:
    """Check the call and its items.

    :raises CallSettledError: when the call is not pending, its attempts are used up, or no approved item is left.
    :raises PlanStaleError: when an item is held, stale or expired, because the request would change it too.
    """
    where = f"call {call_id[:12]} of run {lease.run_id}"
    if call["state"] != "pending":
        raise CallSettledError(f"ledger: {where} is {call['state']}; it is not sent now", call["state"])
    if facts["tries"] >= max_attempts:
        raise CallSettledError(f"ledger: {where} was tried {facts['tries']} times. Check it by hand", "exhausted")
    if facts["dry_run"]:
        return
    if facts["plan_state"] not in ("approved", "executing"):
        # The check of the plan reports this more clearly.
        return
    if facts["blocked"]:
        raise PlanStaleError(
            f"{where}: {facts['blocked']} of its items may not be sent (held, stale or expired). Split the call"
        )
    if not facts["approved"]:
        raise CallSettledError(f"ledger: {where} has no approved item left", call["state"])


def plan_may_be_sent(
    connection: Connection,
    approvals: Approvals,
    lease: Lease,
    run_no: int,
    plan_digest: str,
    facts: Mapping[str, Any],
) -> None:
    """Check run, plan, approval and scope lock.

    :raises NotApprovedError: for a dry run, and without a valid approval of exactly this plan.
    :raises PlanStaleError: when the run has ended, the plan is not the live plan, is done, or has expired, or the
        ledger moved to another server since the run began.
    :raises ScopeLockedError: when this run does not hold the lock of the scope.
    """
    where = f"plan {plan_digest[:12]} of run {lease.run_id}"
    if facts["server"] and connection.server and facts["server"] != connection.server:
        raise PlanStaleError(
            f"{where}: the ledger is on another database server than at the run's beginning: a standby was promoted or"
            " a backup restored, so attempts, answers or a set kill switch may be missing. Nothing was sent. Check the"
            " kill switch, then start a new run"
        )
    if facts["dry_run"]:
        raise NotApprovedError(f"run {lease.run_id} is a dry run. Nothing may be sent")
    if facts["plan_state"] is None or facts["plan_state"] in ("superseded", "done"):
        what = "unknown" if facts["plan_state"] is None else facts["plan_state"]
        raise PlanStaleError(f"{where} is {what}; nothing was sent. Plan again")
    if facts["valid_until"] <= facts["now"]:
        raise PlanStaleError(
            f"{where} expired at {facts['valid_until']:%Y-%m-%d %H:%M:%S %Z}; nothing was sent. Plan again"
        )
    approval = approvals.granted(connection, lease.run_id, run_no, plan_digest, facts["now"])
    refuse_ended(lease.run_id, facts["run_state"], facts["finished_at"], approval.responded_at)
    if facts["locked_by"] != run_no:
        raise ScopeLockedError(
            f"ledger: {where} does not hold the lock of its scope any more; another run may use it. Nothing was sent"
        )
    if facts["plan_state"] == "frozen":
        raise NotApprovedError(
            f"{where} was frozen again after its approval. Nothing was sent; request the approval again"
        )


def refuse_ended(run_id: str, state: str, finished_at: datetime | None, approved_at: datetime | None) -> None:
    """Refuse a run that was abandoned or has ended without an approval, whatever its locks and tasks in Airflow say.

    A cleared task may go on under an approval that was given before the run ended, while it is valid.

    :param approved_at: signed time of the approval; None when there is none.
    :raises PlanStaleError: when nothing may be sent for the run any more.
    """
    if finished_at is not None and (state == "abandoned" or approved_at is None or approved_at >= finished_at):
        raise PlanStaleError(
            f"run {run_id} has ended ({state}, {finished_at:%Y-%m-%d %H:%M:%S %Z}); nothing more of it is sent. Start a"
            " new run"
        )
