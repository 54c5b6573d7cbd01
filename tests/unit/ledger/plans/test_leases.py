from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rescind.errors import LeaseLostError, LedgerError
from rescind.ledger import Ledger, NewCall
from rescind.ledger.store.errors import CallSettledError, RecordConflictError, TransitionError
from rescind.model import Verdict
from tests.support.ledger.attempts import S, attempts, batch_now, claim, execute, send, states
from tests.support.ledger.runs import call_for, ready_run

pytestmark = pytest.mark.postgres


def test_claiming_again_takes_the_batch_away(ledger: Ledger) -> None:
    run = ready_run(ledger)
    old = claim(ledger, run, "old")
    new = claim(ledger, run, "new")
    assert (old.epoch, new.epoch) == (1, 2)
    steps = (
        lambda: send(ledger, old, run),
        lambda: ledger.batches.release(old),
        lambda: ledger.batches.set_call(old, run.call_ids[0], "skipped", reason="x"),
        lambda: ledger.batches.set_items(old, {run.grants[0].grant_id: (S.HELD, "x")}),
        lambda: ledger.batches.split(old, run.call_ids[0], [], {}, reason="x"),
    )
    for step in steps:
        with pytest.raises(LeaseLostError, match="old held epoch 1"):
            step()
    assert send(ledger, new, run).n == 1
    batch = batch_now(ledger, run)
    assert (batch.lease_owner, batch.lease_epoch, batch.state) == ("new", 2, "claimed")


def test_a_lease_sends_the_calls_of_its_own_batch_only(ledger: Ledger) -> None:
    run = ready_run(ledger, batches=2)
    lease = claim(ledger, run)
    with pytest.raises(LedgerError, match="has no call"):
        send(ledger, lease, run, call=1)
    assert (attempts(ledger, run, 1), states(ledger, run, 1)) == ([], ("pending", {"approved"}))
    assert send(ledger, lease, run).n == 1


def test_what_the_old_holder_had_under_way_is_unknown(ledger: Ledger) -> None:
    run = ready_run(ledger)
    old = claim(ledger, run, "old")
    attempt = send(ledger, old, run)
    claim(ledger, run, "new")
    assert states(ledger, run) == ("unknown", {"unknown"})
    assert states(ledger, run, 1) == ("pending", {"approved"})
    with pytest.raises(LeaseLostError, match="the outcome accepted is recorded"):
        ledger.attempts.finish(attempt.attempt_id, "accepted", request_id="late")
    (record,) = attempts(ledger, run)
    assert (record.outcome, record.request_id) == ("accepted", "late")
    # What is known of the effect did not change: the platform has to be read.
    assert states(ledger, run) == ("unknown", {"unknown"})


def test_no_intent_slips_past_a_claim(ledger: Ledger) -> None:
    run = ready_run(ledger, groups=5)
    old = claim(ledger, run, "old")
    sent: list[int] = []

    def work() -> None:
        for number in range(5):
            try:
                sent.append(send(ledger, old, run, number).attempt_id)
            except LeaseLostError:
                return

    worker = threading.Thread(target=work)
    worker.start()
    new = claim(ledger, run, "new")
    worker.join()
    epochs = [record.lease_epoch for record in ledger.attempts.each(run.run.run_id)]
    assert epochs == [1] * len(sent)
    # Everything that the old one had begun is unknown now, nothing is left as merely sent.
    found = [call.state for call in ledger.plans.calls(run.run.run_id)]
    assert found.count("unknown") == len(sent)
    assert "sent" not in found
    ledger.batches.release(new)


def test_releasing(ledger: Ledger) -> None:
    run = ready_run(ledger)
    ledger.batches.release(claim(ledger, run), done=True)
    assert batch_now(ledger, run).state == "done"


def test_sending_keeps_the_lease_alive(ledger: Ledger) -> None:
    run = ready_run(ledger)
    lease = ledger.batches.claim(run.run.run_id, run.batch_id, "w", ttl_s=1)
    send(ledger, lease, run)
    until = batch_now(ledger, run).lease_until
    assert until is not None
    assert until > lease.until + timedelta(seconds=60)


def test_open_attempts_are_closed_as_unknown_once_their_holder_is_gone(ledger: Ledger) -> None:
    run = ready_run(ledger)
    lease = claim(ledger, run)
    attempt = send(ledger, lease, run)
    assert ledger.attempts.settle_open(run.run.run_id) == 0
    ledger.batches.release(lease)
    assert ledger.attempts.settle_open(run.run.run_id) == 1
    assert ledger.attempts.settle_open(run.run.run_id) == 0
    (record,) = attempts(ledger, run)
    assert (record.outcome, record.answered_at) == ("unknown", None)
    assert states(ledger, run) == ("unknown", {"unknown"})
    with pytest.raises(RecordConflictError):
        ledger.attempts.finish(attempt.attempt_id, "accepted")


def test_what_a_superseded_lease_had_open_is_closed_while_the_new_one_runs(ledger: Ledger) -> None:
    run = ready_run(ledger, groups=3)
    old = claim(ledger, run, "old")
    send(ledger, old, run)
    done = send(ledger, old, run, call=1)
    ledger.attempts.finish(done.attempt_id, "accepted")
    new = claim(ledger, run, "new")
    mine = send(ledger, new, run, call=2)
    assert [attempts(ledger, run, call)[0].outcome for call in range(3)] == [None, "accepted", None]
    assert ledger.attempts.settle_open(run.run.run_id) == 1
    assert ledger.attempts.settle_open(run.run.run_id) == 0
    assert [attempts(ledger, run, call)[0].outcome for call in range(3)] == ["unknown", "accepted", None]
    assert [states(ledger, run, call)[0] for call in range(3)] == ["unknown", "accepted", "sent"]
    assert ledger.attempts.finish(mine.attempt_id, "accepted").state == "accepted"


def test_a_lease_that_ran_out_leaves_no_attempt_open(ledger: Ledger, ledger_dsn: str) -> None:
    run = ready_run(ledger)
    send(ledger, claim(ledger, run), run)
    assert ledger.attempts.settle_open(run.run.run_id) == 0
    execute(ledger_dsn, "UPDATE rescind.batch SET lease_until = clock_timestamp() - interval '1 second'")
    assert ledger.attempts.settle_open(run.run.run_id) == 1
    assert states(ledger, run) == ("unknown", {"unknown"})


# --- calls that are not sent, and calls that are sent again ----------------------------------------------


def test_a_stale_call_takes_its_items_along(ledger: Ledger) -> None:
    run = ready_run(ledger)
    lease = claim(ledger, run)
    ledger.batches.set_call(lease, run.call_ids[0], "stale", reason="granted again")
    assert states(ledger, run) == ("stale", {"stale"})
    with pytest.raises(CallSettledError, match="is stale"):
        send(ledger, lease, run)
    grant_ids = {one.grant_id: (S.HELD, "protected") for one in run.calls[run.call_ids[1]]}
    ledger.batches.set_call(lease, run.call_ids[1], "skipped", reason="protected", items=grant_ids)
    assert states(ledger, run, 1) == ("skipped", {"held"})


def test_a_sent_call_cannot_be_called_stale(ledger: Ledger) -> None:
    run = ready_run(ledger)
    lease = claim(ledger, run)
    ledger.attempts.finish(send(ledger, lease, run).attempt_id, "accepted")
    with pytest.raises(CallSettledError, match="is accepted and cannot be changed"):
        ledger.batches.set_call(lease, run.call_ids[0], "stale", reason="x")
    with pytest.raises(TransitionError, match="stale or skipped"):
        ledger.batches.set_call(lease, run.call_ids[1], "accepted", reason="x")


@pytest.mark.parametrize("outcome", ["unknown", "refused", "accepted"])
def test_a_call_is_sent_again_only_after_a_later_read_that_shows_its_items(ledger: Ledger, outcome: str) -> None:
    run = ready_run(ledger)
    lease = claim(ledger, run)
    attempt = send(ledger, lease, run)
    ledger.attempts.finish(attempt.attempt_id, outcome)
    here, gone = (one.grant_id for one in run.calls[run.call_ids[0]])
    again: dict[str, Any] = {"method": "listing", "reason": "still there"}
    for present, at in (([here], attempt.intent_at), ([], datetime.now(UTC) + timedelta(minutes=1))):
        with pytest.raises(RecordConflictError, match="Read the platform first"):
            ledger.batches.reopen(lease, run.call_ids[0], present=present, observed_at=at, **again)
    seen = datetime.now(UTC) + timedelta(minutes=1)
    reopened = ledger.batches.reopen(lease, run.call_ids[0], present=[here], observed_at=seen, **again)
    assert reopened.state == "pending"
    found = {i.grant_id: str(i.state) for i in ledger.plans.items(run.run.run_id, call_id=run.call_ids[0])}
    assert found == {here: "approved", gone: outcome}
    ((verdict, _),) = ledger.verdicts.every(run.run.run_id)
    assert verdict.grant_id == here
    assert (verdict.verdict, verdict.method, verdict.observed_at) == (Verdict.STILL_PRESENT, "listing", seen)
    assert send(ledger, lease, run).n == 2


def test_a_pending_call_is_not_reopened(ledger: Ledger) -> None:
    run = ready_run(ledger)
    lease = claim(ledger, run)
    ledger.attempts.finish(send(ledger, lease, run).attempt_id, "not_sent")
    with pytest.raises(CallSettledError, match="is pending"):
        ledger.batches.reopen(
            lease,
            run.call_ids[0],
            present=[run.grants[0].grant_id],
            method="m",
            observed_at=datetime.now(UTC) + timedelta(minutes=1),
            reason="x",
        )


def test_a_refused_call_is_split_into_smaller_ones(ledger: Ledger) -> None:
    run = ready_run(ledger)
    lease = claim(ledger, run)
    ledger.attempts.finish(send(ledger, lease, run).attempt_id, "refused", code="Menu.NotFound")
    first, second = run.calls[run.call_ids[0]]
    part = call_for([first])
    (child,) = ledger.batches.split(
        lease, run.call_ids[0], [NewCall(part)], {first.grant_id: part.call_id}, reason="one stale id"
    )
    assert (child.call_id, child.batch_id, child.state, child.conn_id) == (
        part.call_id,
        run.batch_id,
        "pending",
        "quickbi_default",
    )
    items = {i.grant_id: (str(i.state), i.call_id) for i in ledger.plans.items(run.run.run_id)}
    assert items[first.grant_id] == ("approved", part.call_id)
    assert items[second.grant_id] == ("stale", run.call_ids[0])
    assert {one.call_id: one.state for one in ledger.plans.calls(run.run.run_id)}[run.call_ids[0]] == "skipped"
    batch = batch_now(ledger, run)
    assert (batch.calls, batch.items) == (3, 4)
    assert (
        ledger.attempts.begin(
            lease, part.call_id, plan_digest=run.plan.digest, request_digest="d", action="A", version="1"
        ).n
        == 1
    )


def test_a_part_may_not_reach_beyond_its_call(ledger: Ledger) -> None:
    run = ready_run(ledger)
    lease = claim(ledger, run)
    first = run.calls[run.call_ids[0]][0]
    wide = call_for([first, run.calls[run.call_ids[1]][0]])
    with pytest.raises(TransitionError, match="goes beyond"):
        ledger.batches.split(lease, run.call_ids[0], [NewCall(wide)], {}, reason="x")
    with pytest.raises(TransitionError, match="not parts of"):
        ledger.batches.split(lease, run.call_ids[0], [], {first.grant_id: run.call_ids[1]}, reason="x")
    assert states(ledger, run) == ("pending", {"approved"})


def test_a_call_whose_outcome_is_unknown_is_not_split(ledger: Ledger) -> None:
    run = ready_run(ledger)
    lease = claim(ledger, run)
    ledger.attempts.finish(send(ledger, lease, run).attempt_id, "unknown")
    first = run.calls[run.call_ids[0]][0]
    part = call_for([first])
    with pytest.raises(CallSettledError, match="is unknown"):
        ledger.batches.split(lease, run.call_ids[0], [NewCall(part)], {first.grant_id: part.call_id}, reason="x")
