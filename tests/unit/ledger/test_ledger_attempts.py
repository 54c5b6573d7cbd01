from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from rescind.errors import LeaseLost, LedgerError, NotApproved, PlanStale, Stopped
from rescind.ledger import Attempt, Lease, Ledger, NewCall
from rescind.ledger.faults import CallSettled, RecordConflict, ScopeBusy, TransitionRefused
from rescind.model import ItemState, Verdict
from tests.support.ledger_runs import Frozen, approve, call_for, freeze, frozen_run, ready_run

pytestmark = pytest.mark.postgres
S = ItemState


def send(ledger: Ledger, lease: Lease, run: Frozen, call: int = 0, **more: Any) -> Attempt:
    given: dict[str, Any] = {
        "plan_digest": run.plan.digest,
        "request_digest": "d1",
        "action": "CancelAuthorizationMenu",
        "version": "2022-01-01",
        **more,
    }
    return ledger.attempts.begin(lease, run.call_ids[call], **given)


def claim(ledger: Ledger, run: Frozen, owner: str = "w") -> Lease:
    return ledger.batches.claim(run.run.run_id, run.batch_id, owner)


def states(ledger: Ledger, run: Frozen, call: int = 0) -> tuple[str, set[str]]:
    found = ledger.plans.call(run.run.run_id, run.call_ids[call])
    return found.state, {str(i.state) for i in ledger.plans.items(run.run.run_id, call_id=found.call_id)}


def refuse(ledger: Ledger, lease: Lease, run: Frozen, kind: type[Exception], why: str, **more: Any) -> None:
    """A refused intent leaves no trace: no attempt, no changed state."""
    before = states(ledger, run)
    with pytest.raises(kind, match=why):
        send(ledger, lease, run, **more)
    assert ledger.attempts.of_call(run.run.run_id, run.call_ids[0]) == []
    assert states(ledger, run) == before


def execute(dsn: str, statement: str) -> None:
    with psycopg.connect(dsn) as connection:
        connection.execute(statement)


def test_the_intent_is_durable_before_begin_returns(ledger: Ledger, ledger_dsn: str) -> None:
    run = ready_run(ledger)
    lease = claim(ledger, run)
    attempt = send(ledger, lease, run)
    with psycopg.connect(ledger_dsn) as other:
        row = other.execute(
            "SELECT n, outcome, action, request_digest, lease_epoch, owner FROM rescind.attempt"
        ).fetchone()
    assert row == (1, None, "CancelAuthorizationMenu", "d1", 1, "w")
    assert states(ledger, run) == ("sent", {"sent"})
    (record,) = ledger.attempts.each(run.run.run_id)
    assert (record.attempt_id, record.intent_at, record.outcome) == (attempt.attempt_id, attempt.intent_at, None)
    assert (record.plan_digest, record.batch_id, record.call_id) == (run.plan.digest, run.batch_id, run.call_ids[0])


@pytest.mark.parametrize(
    ("outcome", "call", "item"),
    [
        ("accepted", "accepted", "accepted"),
        ("refused", "refused", "refused"),
        ("unknown", "unknown", "unknown"),
        ("throttled", "pending", "approved"),
        ("not_sent", "pending", "approved"),
    ],
)
def test_what_an_outcome_means(ledger: Ledger, outcome: str, call: str, item: str) -> None:
    run = ready_run(ledger)
    lease = claim(ledger, run)
    attempt = send(ledger, lease, run)
    sent, answered = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, 0, 0, 1, tzinfo=UTC)
    done = ledger.attempts.finish(
        attempt.attempt_id,
        outcome,
        sent_at=sent,
        answered_at=answered,
        code="Throttling.User",
        http_status=400,
        request_id="B-1",
        detail={"menus": 2},
        reason="because",
    )
    assert done.state == call
    assert states(ledger, run) == (call, {item})
    (record,) = ledger.attempts.of_call(run.run.run_id, run.call_ids[0])
    assert (record.outcome, record.sent_at, record.answered_at) == (outcome, sent, answered)
    assert (record.code, record.http_status, record.request_id, record.detail) == (
        "Throttling.User",
        400,
        "B-1",
        {"menus": 2},
    )
    assert record.closed_at is not None


def test_single_items_may_fare_otherwise(ledger: Ledger) -> None:
    run = ready_run(ledger)
    attempt = send(ledger, claim(ledger, run), run)
    first, second = sorted(one.grant_id for one in run.calls[run.call_ids[0]])
    ledger.attempts.finish(attempt.attempt_id, "accepted", items={first: (S.REFUSED, "NoPermission")})
    found = {i.grant_id: (i.state, i.reason) for i in ledger.plans.items(run.run.run_id, call_id=run.call_ids[0])}
    assert found == {first: (S.REFUSED, "NoPermission"), second: (S.ACCEPTED, "")}


def test_an_attempt_has_one_outcome(ledger: Ledger, ledger_dsn: str) -> None:
    run = ready_run(ledger)
    attempt = send(ledger, claim(ledger, run), run)
    ledger.attempts.finish(attempt.attempt_id, "accepted", request_id="first")
    for outcome in ("accepted", "unknown"):
        with pytest.raises(RecordConflict, match="'accepted', which stays"):
            ledger.attempts.finish(attempt.attempt_id, outcome, request_id="second")
    (record,) = ledger.attempts.of_call(run.run.run_id, run.call_ids[0])
    assert (record.outcome, record.request_id) == ("accepted", "first")
    with pytest.raises(psycopg.errors.IntegrityError, match="has its outcome already"):
        execute(ledger_dsn, "UPDATE rescind.attempt SET outcome = 'refused'")


def test_the_database_itself_keeps_intents(ledger: Ledger, ledger_dsn: str) -> None:
    run = ready_run(ledger)
    send(ledger, claim(ledger, run), run)
    for statement, why in (
        ("UPDATE rescind.attempt SET request_digest = 'other'", "may not be changed"),
        ("UPDATE rescind.attempt SET intent_at = intent_at + interval '1 hour'", "may not be changed"),
        ("DELETE FROM rescind.attempt", "append only"),
        ("TRUNCATE rescind.attempt", "append only"),
    ):
        with pytest.raises(psycopg.errors.IntegrityError, match=why):
            execute(ledger_dsn, statement)


def test_an_outcome_needs_its_intent_and_a_known_word(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="no attempt 77"):
        ledger.attempts.finish(77, "accepted")
    with pytest.raises(LedgerError, match="'done' is no outcome"):
        ledger.attempts.finish(77, "done")


def test_nothing_is_sent_without_an_approval(ledger: Ledger) -> None:
    run = frozen_run(ledger)
    lease = claim(ledger, run)
    refuse(ledger, lease, run, NotApproved, "nobody was asked")
    asked = ledger.approvals.request(
        run.run.run_id, run.plan.digest, requested_by="rita", valid_until=run.plan.valid_until
    )
    refuse(ledger, lease, run, NotApproved, "nobody has answered")
    ledger.approvals.answer(run.run.run_id, run.plan.digest, nonce=asked.nonce, answer="reject", responded_by="anna")
    refuse(ledger, lease, run, NotApproved, "'anna' rejected it")


def test_nothing_is_sent_in_a_dry_run_even_when_approved(ledger: Ledger) -> None:
    run = frozen_run(ledger, dry_run=True)
    approve(ledger, run)
    refuse(ledger, claim(ledger, run), run, NotApproved, "dry run")


def test_nothing_is_sent_after_the_approval_ran_out(ledger: Ledger, ledger_dsn: str) -> None:
    run = ready_run(ledger)
    lease = claim(ledger, run)
    execute(
        ledger_dsn,
        "SET LOCAL session_replication_role = replica;"
        "UPDATE rescind.approval SET valid_until = clock_timestamp() - interval '1 second'",
    )
    refuse(ledger, lease, run, NotApproved, "ran out")


def test_nothing_is_sent_under_a_plan_that_ran_out(ledger: Ledger, ledger_dsn: str) -> None:
    run = ready_run(ledger)
    lease = claim(ledger, run)
    execute(ledger_dsn, "UPDATE rescind.plan SET valid_until = clock_timestamp() - interval '1 second'")
    refuse(ledger, lease, run, PlanStale, "ran out")


@pytest.mark.parametrize("digest", ["0" * 64, None])
def test_nothing_is_sent_under_a_plan_that_is_not_the_live_one(ledger: Ledger, digest: str | None) -> None:
    run = ready_run(ledger)
    lease = claim(ledger, run)
    if digest is None:
        ledger.plans.done(run.run.run_id, run.plan.digest)
    refuse(
        ledger, lease, run, PlanStale, "unknown" if digest else "done", **({"plan_digest": digest} if digest else {})
    )


def test_nothing_is_sent_for_a_plan_that_was_replaced(ledger: Ledger) -> None:
    run = ready_run(ledger)
    lease = claim(ledger, run)
    freeze(ledger, run.run, [run.grants[:1]])
    with pytest.raises(PlanStale, match="has no batch"):
        send(ledger, lease, run)
    assert list(ledger.attempts.each(run.run.run_id)) == []


def test_nothing_is_sent_while_the_kill_switch_is_set(ledger: Ledger) -> None:
    run = ready_run(ledger)
    lease = claim(ledger, run)
    ledger.control.stop("olga", "incident")
    refuse(ledger, lease, run, Stopped, "kill switch is set")
    ledger.control.resume("olga", "over")
    assert send(ledger, lease, run).n == 1


def test_nothing_is_sent_when_another_run_holds_the_scope(ledger: Ledger, ledger_dsn: str) -> None:
    run = ready_run(ledger)
    lease = claim(ledger, run)
    execute(ledger_dsn, "DELETE FROM rescind.scope_lock")
    refuse(ledger, lease, run, ScopeBusy, "no longer holds the lock")


@pytest.mark.parametrize("state", [S.HELD, S.STALE, S.EXPIRED])
def test_a_call_with_an_item_that_may_not_go_is_not_sent(ledger: Ledger, state: ItemState) -> None:
    run = ready_run(ledger)
    lease = claim(ledger, run)
    ledger.batches.set_items(lease, {run.calls[run.call_ids[0]][0].grant_id: (state, "protected since")})
    refuse(ledger, lease, run, PlanStale, "1 of its items may not be sent")
    assert send(ledger, lease, run, call=1).n == 1


def test_a_settled_call_is_not_sent_again(ledger: Ledger) -> None:
    run = ready_run(ledger)
    lease = claim(ledger, run)
    attempt = send(ledger, lease, run)
    with pytest.raises(CallSettled, match="is sent") as caught:
        send(ledger, lease, run)
    assert caught.value.state == "sent"
    ledger.attempts.finish(attempt.attempt_id, "accepted")
    with pytest.raises(CallSettled, match="is accepted"):
        send(ledger, lease, run)
    assert len(ledger.attempts.of_call(run.run.run_id, run.call_ids[0])) == 1


def test_tries_are_bounded_and_throttled_ones_do_not_count(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger.attempts, "max_attempts", 2)
    run = ready_run(ledger)
    lease = claim(ledger, run)
    for outcome in ("throttled", "throttled", "throttled", "not_sent", "not_sent"):
        ledger.attempts.finish(send(ledger, lease, run).attempt_id, outcome)
    with pytest.raises(CallSettled, match="tried 2 times") as caught:
        send(ledger, lease, run)
    assert caught.value.state == "exhausted"
    assert [record.n for record in ledger.attempts.of_call(run.run.run_id, run.call_ids[0])] == [1, 2, 3, 4, 5]


def test_a_batch_holds_only_its_own_calls(ledger: Ledger) -> None:
    run = ready_run(ledger)
    with pytest.raises(LedgerError, match="has no call"):
        ledger.attempts.begin(
            claim(ledger, run), "c" * 64, plan_digest=run.plan.digest, request_digest="d", action="A", version="1"
        )


def test_many_senders_of_one_call_record_one_intent(ledger: Ledger) -> None:
    run = ready_run(ledger)
    lease = claim(ledger, run)
    seen: list[str] = []

    def try_it() -> None:
        try:
            seen.append(f"sent {send(ledger, lease, run).n}")
        except CallSettled as error:
            seen.append(error.state)

    threads = [threading.Thread(target=try_it) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seen) == ["sent"] * 5 + ["sent 1"]


# --- leases -------------------------------------------------------------------------------------------


def test_claiming_again_takes_the_batch_away(ledger: Ledger) -> None:
    run = ready_run(ledger)
    old = claim(ledger, run, "old")
    new = claim(ledger, run, "new")
    assert (old.epoch, new.epoch) == (1, 2)
    steps = (
        lambda: send(ledger, old, run),
        lambda: ledger.batches.renew(old),
        lambda: ledger.batches.release(old),
        lambda: ledger.batches.set_call(old, run.call_ids[0], "skipped", reason="x"),
        lambda: ledger.batches.set_items(old, {run.grants[0].grant_id: (S.HELD, "x")}),
        lambda: ledger.batches.split(old, run.call_ids[0], [], {}, reason="x"),
    )
    for step in steps:
        with pytest.raises(LeaseLost, match="old held epoch 1"):
            step()
    assert send(ledger, new, run).n == 1
    batch = ledger.batches.get(run.run.run_id, run.batch_id)
    assert (batch.lease_owner, batch.lease_epoch, batch.state) == ("new", 2, "claimed")


def test_what_the_old_holder_had_under_way_is_unknown(ledger: Ledger) -> None:
    run = ready_run(ledger)
    old = claim(ledger, run, "old")
    attempt = send(ledger, old, run)
    claim(ledger, run, "new")
    assert states(ledger, run) == ("unknown", {"unknown"})
    assert states(ledger, run, 1) == ("pending", {"approved"})
    with pytest.raises(LeaseLost, match="the outcome accepted is recorded"):
        ledger.attempts.finish(attempt.attempt_id, "accepted", request_id="late")
    (record,) = ledger.attempts.of_call(run.run.run_id, run.call_ids[0])
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
            except LeaseLost:
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
    assert ledger.batches.renew(new).epoch == 2


def test_renewing_and_releasing(ledger: Ledger) -> None:
    run = ready_run(ledger)
    lease = claim(ledger, run)
    longer = ledger.batches.renew(lease, ttl_s=600)
    assert longer.until > lease.until + timedelta(seconds=400)
    ledger.batches.release(longer, done=True)
    assert ledger.batches.get(run.run.run_id, run.batch_id).state == "done"


def test_sending_keeps_the_lease_alive(ledger: Ledger) -> None:
    run = ready_run(ledger)
    lease = ledger.batches.claim(run.run.run_id, run.batch_id, "w", ttl_s=1)
    send(ledger, lease, run)
    until = ledger.batches.get(run.run.run_id, run.batch_id).lease_until
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
    (record,) = ledger.attempts.of_call(run.run.run_id, run.call_ids[0])
    assert (record.outcome, record.answered_at) == ("unknown", None)
    assert states(ledger, run) == ("unknown", {"unknown"})
    with pytest.raises(RecordConflict):
        ledger.attempts.finish(attempt.attempt_id, "accepted")


# --- calls that are not sent, and calls that are sent again ----------------------------------------------


def test_a_stale_call_takes_its_items_along(ledger: Ledger) -> None:
    run = ready_run(ledger)
    lease = claim(ledger, run)
    ledger.batches.set_call(lease, run.call_ids[0], "stale", reason="granted anew")
    assert states(ledger, run) == ("stale", {"stale"})
    with pytest.raises(CallSettled, match="is stale"):
        send(ledger, lease, run)
    grant_ids = {one.grant_id: (S.HELD, "protected") for one in run.calls[run.call_ids[1]]}
    ledger.batches.set_call(lease, run.call_ids[1], "skipped", reason="protected", items=grant_ids)
    assert states(ledger, run, 1) == ("skipped", {"held"})


def test_a_sent_call_cannot_be_called_stale(ledger: Ledger) -> None:
    run = ready_run(ledger)
    lease = claim(ledger, run)
    ledger.attempts.finish(send(ledger, lease, run).attempt_id, "accepted")
    with pytest.raises(CallSettled, match="is accepted; leave it"):
        ledger.batches.set_call(lease, run.call_ids[0], "stale", reason="x")
    with pytest.raises(TransitionRefused, match="stale or skipped"):
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
        with pytest.raises(RecordConflict, match="Read the platform first"):
            ledger.batches.reopen(lease, run.call_ids[0], present=present, observed_at=at, **again)
    seen = datetime.now(UTC) + timedelta(minutes=1)
    reopened = ledger.batches.reopen(lease, run.call_ids[0], present=[here], observed_at=seen, **again)
    assert reopened.state == "pending"
    found = {i.grant_id: str(i.state) for i in ledger.plans.items(run.run.run_id, call_id=run.call_ids[0])}
    assert found == {here: "approved", gone: outcome}
    (verdict,) = ledger.verdicts.history(run.run.run_id, here)
    assert (verdict.verdict, verdict.method, verdict.observed_at) == (Verdict.STILL_PRESENT, "listing", seen)
    assert send(ledger, lease, run).n == 2


def test_a_pending_call_is_not_reopened(ledger: Ledger) -> None:
    run = ready_run(ledger)
    lease = claim(ledger, run)
    ledger.attempts.finish(send(ledger, lease, run).attempt_id, "not_sent")
    with pytest.raises(CallSettled, match="is pending"):
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
    assert ledger.plans.call(run.run.run_id, run.call_ids[0]).state == "skipped"
    batch = ledger.batches.get(run.run.run_id, run.batch_id)
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
    with pytest.raises(TransitionRefused, match="reaches beyond"):
        ledger.batches.split(lease, run.call_ids[0], [NewCall(wide)], {}, reason="x")
    with pytest.raises(TransitionRefused, match="no parts of"):
        ledger.batches.split(lease, run.call_ids[0], [], {first.grant_id: run.call_ids[1]}, reason="x")
    assert states(ledger, run) == ("pending", {"approved"})


def test_a_call_whose_outcome_is_unknown_is_not_split(ledger: Ledger) -> None:
    run = ready_run(ledger)
    lease = claim(ledger, run)
    ledger.attempts.finish(send(ledger, lease, run).attempt_id, "unknown")
    first = run.calls[run.call_ids[0]][0]
    part = call_for([first])
    with pytest.raises(CallSettled, match="is unknown"):
        ledger.batches.split(lease, run.call_ids[0], [NewCall(part)], {first.grant_id: part.call_id}, reason="x")
