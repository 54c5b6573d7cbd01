"""Progress of tasks, and what is proven of the canaries."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from rescind.errors import GuardTrippedError
from rescind.ledger import Ledger, NewBatch, NewCall, NewItem, NewPlan, RetainedCheck, VerdictRecord
from rescind.model import ItemState, Verdict
from rescind.workflow.execute.canary import require_canaries
from tests.support.ledger.runs import ACCOUNT, SYSTEM, begin, call_for, decide, effects_of, grant, list_scope


def test_a_task_rewrites_its_own_row_and_begins_anew_when_it_falls_back(ledger: Ledger) -> None:
    run = begin(ledger)
    board = ledger.progress
    board.note(run.run_id, "revoke", "b1", label="one", done=3, total=9, per_second=1.5)
    board.note(run.run_id, "revoke", "b1", label="one", done=6, total=9, per_second=2.0)
    board.note(run.run_id, "verify", "s1", label="two", done=1, total=0, per_second=0.0)
    first, second = board.of_run(run.run_id)
    assert (first.stage, first.unit, first.label, first.done, first.total, first.per_second) == (
        ("revoke", "b1", "one", 6, 9, 2.0)
    )
    assert first.updated_at > first.started_at and (second.stage, second.total) == ("verify", 0)
    board.note(run.run_id, "revoke", "b1", label="one", done=0, total=9, per_second=0.0)
    assert board.of_run(run.run_id)[-1].started_at > first.updated_at
    assert board.of_run(begin(ledger, "manual__2").run_id) == []


def test_counts_below_zero_are_refused_by_the_database(ledger: Ledger) -> None:
    run = begin(ledger)
    with pytest.raises(Exception, match="check"):
        ledger.progress.note(run.run_id, "revoke", "b1", label="", done=-1, total=0, per_second=0.0)


def _with_a_canary(ledger: Ledger) -> tuple[str, list[str]]:
    """A plan whose first batch is a canary with two items; returns run id and the canary's items."""
    run = begin(ledger)
    grants = [grant(number) for number in range(6)]
    list_scope(ledger, run, grants)
    decide(ledger, run, grants, grants[:4])
    groups = [grants[:2], grants[2:4]]
    batches = [
        NewBatch(SYSTEM, ACCOUNT, "c", [NewCall(call_for(group))], canary=number == 0)
        for number, group in enumerate(groups)
    ]
    effects = effects_of(grants[:4])
    plan = NewPlan(hashlib.sha256(effects).hexdigest(), effects, datetime.now(UTC) + timedelta(hours=1), "0.1.0")
    items = [NewItem(one.grant_id, call_for(group).call_id) for group in groups for one in group]
    ledger.plans.freeze(run.run_id, plan, batches, items)
    assert [batch.canary for batch in ledger.plans.batches(run.run_id)] == [True, False]
    return run.run_id, [one.grant_id for one in groups[0]]


def _send_the_canary(ledger: Ledger, run_id: str) -> None:
    """Approve the plan and send the one call of its canary."""
    plan, canary = ledger.plans.get(run_id), next(b for b in ledger.plans.batches(run_id) if b.canary)
    asked = ledger.approvals.request(run_id, plan.digest, requested_by="rita", valid_until=plan.valid_until)
    ledger.approvals.answer(run_id, plan.digest, nonce=asked.nonce, answer="approve", responded_by="anna")
    lease = ledger.batches.claim(run_id, canary.batch_id, "w")
    (call,) = ledger.plans.calls(run_id, canary.batch_id)
    given = {"plan_digest": plan.digest, "request_digest": "d", "action": "A", "version": "1"}
    ledger.attempts.finish(ledger.attempts.begin(lease, call.call_id, **given).attempt_id, "accepted")


def _verdicts(ledger: Ledger, run_id: str, ids: list[str], verdict: Verdict) -> None:
    ledger.verdicts.record(run_id, [VerdictRecord(one, verdict, "listed again", datetime.now(UTC)) for one in ids])


def _kept(ledger: Ledger, run_id: str, *, lost: list[str], complete: bool = True) -> None:
    ledger.verdicts.record_retained(run_id, RetainedCheck(SYSTEM, ACCOUNT, 2, lost, complete, datetime.now(UTC)))


def test_a_canary_is_proven_item_by_item_and_by_what_was_kept(ledger: Ledger) -> None:
    run_id, items = _with_a_canary(ledger)
    _send_the_canary(ledger, run_id)
    with pytest.raises(GuardTrippedError, match="0 of 2 proven"):
        require_canaries(ledger, run_id)
    _verdicts(ledger, run_id, items[:1], Verdict.VERIFIED_GONE)
    with pytest.raises(GuardTrippedError, match="1 of 2 proven"):
        require_canaries(ledger, run_id)
    _verdicts(ledger, run_id, items[1:], Verdict.STILL_EFFECTIVE)
    with pytest.raises(GuardTrippedError, match="not checked"):
        require_canaries(ledger, run_id)
    _kept(ledger, run_id, lost=[items[0]])
    with pytest.raises(GuardTrippedError, match="1 of 2 missing"):
        require_canaries(ledger, run_id)
    _kept(ledger, run_id, lost=[], complete=False)
    with pytest.raises(GuardTrippedError, match="retained grant"):
        require_canaries(ledger, run_id)
    _kept(ledger, run_id, lost=[])
    assert require_canaries(ledger, run_id) == 1
    (canary,) = ledger.batches.canaries(run_id)
    assert require_canaries(ledger, run_id, canary.batch_id) == 1 and require_canaries(ledger, run_id, "other") == 0
    _verdicts(ledger, run_id, items[:1], Verdict.STILL_PRESENT)
    with pytest.raises(GuardTrippedError, match="1 of 2 proven"):
        require_canaries(ledger, run_id)


def test_a_canary_may_have_items_that_a_guard_held(ledger: Ledger, ledger_dsn: str) -> None:
    run_id, items = _with_a_canary(ledger)
    _kept(ledger, run_id, lost=[])
    ledger.batches.set_items(run_id, {items[0]: (ItemState.HELD, "protected now")})
    _verdicts(ledger, run_id, items[1:], Verdict.VERIFIED_GONE)
    with psycopg.connect(ledger_dsn) as connection:
        connection.execute(
            "INSERT INTO rescind.attempt (run_no, call_id, n, batch_id, lease_epoch, owner, plan_digest,"
            " request_digest, action, api_version) SELECT run_no, call_id, 1, batch_id, 1, 'w', '', 'd', 'A', '1'"
            " FROM rescind.call"
        )
    assert require_canaries(ledger, run_id) == 1


@pytest.mark.parametrize("state", [ItemState.HELD, ItemState.STALE])
def test_a_canary_of_which_nothing_was_tried_releases_nothing(ledger: Ledger, state: ItemState) -> None:
    run_id, items = _with_a_canary(ledger)
    ledger.batches.set_items(run_id, dict.fromkeys(items, (state, "given again since the plan")))
    _kept(ledger, run_id, lost=[])
    with pytest.raises(GuardTrippedError, match="0 of 2 proven, 2 not sent, 0 tried"):
        require_canaries(ledger, run_id)


def test_a_canary_that_somebody_else_removed_releases_nothing(ledger: Ledger) -> None:
    run_id, items = _with_a_canary(ledger)
    _kept(ledger, run_id, lost=[])
    _verdicts(ledger, run_id, items, Verdict.ALREADY_ABSENT)
    with pytest.raises(GuardTrippedError, match="2 of 2 proven, 0 not sent, 0 tried"):
        require_canaries(ledger, run_id)
