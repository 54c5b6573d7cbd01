"""What has to hold at the moment before a request leaves, read inside the transaction that records the intent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from psycopg.rows import DictRow

from rescind.errors import LedgerError, NotApprovedError, PlanStaleError, RetainedGrantLostError
from rescind.ledger.plans import approvals, transitions
from rescind.ledger.plans.records import Lease
from rescind.ledger.store.database import Connection
from rescind.ledger.store.digest import Digest
from rescind.ledger.store.errors import CallSettledError, ScopeLockedError

_FACTS = """
SELECT clock_timestamp() AS now, r.dry_run, p.state AS plan_state, p.valid_until, l.run_no AS locked_by,
       (SELECT count(*) FROM rescind.attempt t WHERE t.run_no = r.number AND t.call_id = %(call)s) AS attempts,
       (SELECT count(*) FROM rescind.attempt t WHERE t.run_no = r.number AND t.call_id = %(call)s
           AND t.outcome IS DISTINCT FROM 'throttled') AS tries,
       (SELECT count(*) FROM rescind.plan_item i WHERE i.run_no = r.number AND i.call_id = %(call)s
           AND i.state = 'approved') AS approved,
       (SELECT count(*) FROM rescind.plan_item i WHERE i.run_no = r.number AND i.call_id = %(call)s
           AND i.state = ANY(%(blocking)s)) AS blocked,
       (SELECT coalesce(sum(jsonb_array_length(k.lost)), 0) FROM (
           SELECT DISTINCT ON (c.system, c.account) c.lost FROM rescind.kept_check c WHERE c.run_no = r.number
           ORDER BY c.system, c.account, c.kept_no DESC) k) AS kept_lost
FROM rescind.run r
LEFT JOIN rescind.plan p ON p.run_no = r.number AND p.digest = %(digest)s
LEFT JOIN rescind.scope_lock l ON l.system = %(system)s AND l.account = %(account)s
WHERE r.number = %(run)s
"""


def lock_call(connection: Connection, run_no: int, lease: Lease, call_id: str) -> DictRow:
    """The call's row, locked until the transaction ends.

    :raises LedgerError: when the batch has no such call.
    """
    row = connection.execute(
        "SELECT state, system, account, reason FROM rescind.call"
        " WHERE run_no = %s AND call_id = %s AND batch_id = %s FOR UPDATE",
        (run_no, Digest(call_id), Digest(lease.batch_id)),
    ).fetchone()
    if row is None:
        raise LedgerError(
            f"ledger: batch {lease.batch_id[:12]} of run {lease.run_id} has no call {call_id}. Read its calls anew"
        )
    return row


def gather(
    connection: Connection, run_no: int, call_id: Digest, plan_digest: str, call: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Everything that the checks below look at, as of now."""
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
        raise LedgerError("ledger: the run of this call cannot be read; nothing was sent")
    return row


def no_retained_grant_is_lost(lease: Lease, facts: Mapping[str, Any]) -> None:
    """Look at the latest comparison of the grants that were to be kept, on every system of the run.

    :raises RetainedGrantLostError: when one of them is missing. The run goes on after a later comparison
        that finds all of them.
    """
    if facts["kept_lost"]:
        raise RetainedGrantLostError(
            f"run {lease.run_id}: {facts['kept_lost']} grants that were to be kept are gone, so nothing more of it is"
            " sent. Find out what took them away; the run's report says how to give them back. If they are there"
            " again, clear the task that compared them"
        )


def call_may_be_sent(
    lease: Lease, call_id: str, call: Mapping[str, Any], facts: Mapping[str, Any], max_attempts: int
) -> None:
    """Look at the call and its items.

    :raises CallSettledError: when the call is not pending, was tried too often, or has nothing left to take away.
    :raises PlanStaleError: when one of its items is held, stale or expired: the request would take it away too.
    """
    where = f"call {call_id[:12]} of run {lease.run_id}"
    if call["state"] != "pending":
        raise CallSettledError(f"ledger: {where} is {call['state']}; it is not sent now", call["state"])
    if facts["tries"] >= max_attempts:
        raise CallSettledError(f"ledger: {where} was tried {facts['tries']} times; it needs a person", "exhausted")
    if facts["dry_run"]:
        return
    if facts["plan_state"] not in ("approved", "executing"):
        # The plan's own check explains this better than its items, which are still planned.
        return
    if facts["blocked"]:
        raise PlanStaleError(
            f"{where}: {facts['blocked']} of its items may not be sent (held, stale or expired). Split the call"
        )
    if not facts["approved"]:
        raise CallSettledError(f"ledger: {where} has no approved item left", call["state"])


def plan_may_be_sent(
    connection: Connection, lease: Lease, run_no: int, plan_digest: str, facts: Mapping[str, Any]
) -> None:
    """Look at run, plan, approval and scope lock.

    :raises NotApprovedError: for a dry run, and without a valid approval of exactly this plan.
    :raises PlanStaleError: when the plan is not the live one, is done, or has run out.
    :raises ScopeLockedError: when the scope's lock is not this run's.
    """
    where = f"plan {plan_digest[:12]} of run {lease.run_id}"
    if facts["dry_run"]:
        raise NotApprovedError(f"run {lease.run_id} is a dry run: nothing may be sent")
    if facts["plan_state"] is None or facts["plan_state"] in ("superseded", "done"):
        what = "unknown" if facts["plan_state"] is None else facts["plan_state"]
        raise PlanStaleError(f"{where} is {what}; nothing was sent. Plan again")
    if facts["valid_until"] <= facts["now"]:
        raise PlanStaleError(
            f"{where} ran out at {facts['valid_until']:%Y-%m-%d %H:%M:%S %Z}; nothing was sent. Plan again"
        )
    approval = approvals.load(connection, lease.run_id, run_no, plan_digest)
    approvals.granted(approval, lease.run_id, plan_digest, facts["now"])
    if facts["locked_by"] != run_no:
        raise ScopeLockedError(
            f"ledger: {where} no longer holds the lock of its scope; another run may be acting there. Nothing was sent"
        )
    if facts["plan_state"] == "frozen":
        raise NotApprovedError(f"{where} was approved in an earlier form and frozen anew: ask again. Nothing was sent")
