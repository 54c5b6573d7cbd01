from __future__ import annotations

import threading
from datetime import UTC, datetime

import psycopg
import pytest

from rescind.errors import LedgerError, NotApprovedError, PlanStaleError, RunStoppedError
from rescind.ledger import Ledger
from rescind.ledger.store.errors import CallSettledError, RecordConflictError, ScopeLockedError
from rescind.model import ItemState
from tests.support.ledger.attempts import S, attempts, claim, execute, refuse, send, states, tamper
from tests.support.ledger.runs import approve, freeze, frozen_run, ready_run

pytestmark = pytest.mark.postgres
LOCK = (
    "INSERT INTO rescind.scope_lock (system, account, run_no, expires_at)"
    " SELECT system, account, run_no, clock_timestamp() + interval '1 hour' FROM rescind.batch"
)


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
    (record,) = attempts(ledger, run)
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
        with pytest.raises(RecordConflictError, match="'accepted' already, which cannot change"):
            ledger.attempts.finish(attempt.attempt_id, outcome, request_id="second")
    (record,) = attempts(ledger, run)
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
    with pytest.raises(LedgerError, match="'done' is not an outcome"):
        ledger.attempts.finish(77, "done")


def test_nothing_is_sent_without_an_approval(ledger: Ledger) -> None:
    run = frozen_run(ledger)
    lease = claim(ledger, run)
    refuse(ledger, lease, run, NotApprovedError, "no approval was requested")
    asked = ledger.approvals.request(
        run.run.run_id, run.plan.digest, requested_by="rita", valid_until=run.plan.valid_until
    )
    refuse(ledger, lease, run, NotApprovedError, "no approver has answered")
    ledger.approvals.answer(run.run.run_id, run.plan.digest, nonce=asked.nonce, answer="reject", responded_by="anna")
    refuse(ledger, lease, run, NotApprovedError, "'anna' rejected it")


def test_nothing_is_sent_for_an_abandoned_run_even_with_its_lock(ledger: Ledger, ledger_dsn: str) -> None:
    run = ready_run(ledger)
    lease = claim(ledger, run)
    ledger.runs.finish(run.run.run_id, "abandoned", {})
    refuse(ledger, lease, run, PlanStaleError, r"has ended \(abandoned")
    execute(ledger_dsn, LOCK)
    refuse(ledger, lease, run, PlanStaleError, r"has ended \(abandoned")


def test_nothing_is_sent_in_a_dry_run_even_when_approved(ledger: Ledger) -> None:
    run = frozen_run(ledger, dry_run=True)
    approve(ledger, run)
    refuse(ledger, claim(ledger, run), run, NotApprovedError, "dry run")


def test_nothing_is_sent_after_the_approval_ran_out(ledger: Ledger, ledger_dsn: str) -> None:
    run = ready_run(ledger)
    lease = claim(ledger, run)
    execute(
        ledger_dsn,
        "SET LOCAL session_replication_role = replica;"
        "UPDATE rescind.approval SET valid_until = clock_timestamp() - interval '1 second'",
    )
    refuse(ledger, lease, run, NotApprovedError, "the approval expired")


def test_nothing_is_sent_under_a_plan_that_ran_out(ledger: Ledger, ledger_dsn: str) -> None:
    run = ready_run(ledger)
    lease = claim(ledger, run)
    tamper(ledger_dsn, "UPDATE rescind.plan SET valid_until = clock_timestamp() - interval '1 second'")
    refuse(ledger, lease, run, PlanStaleError, "expired at")


@pytest.mark.parametrize("digest", ["0" * 64, None])
def test_nothing_is_sent_under_a_plan_that_is_not_the_live_one(
    ledger: Ledger, ledger_dsn: str, digest: str | None
) -> None:
    run = ready_run(ledger)
    lease = claim(ledger, run)
    if digest is None:
        tamper(ledger_dsn, "UPDATE rescind.plan SET state = 'done'")
    refuse(
        ledger,
        lease,
        run,
        PlanStaleError,
        "unknown" if digest else "done",
        **({"plan_digest": digest} if digest else {}),
    )


def test_nothing_is_sent_for_a_plan_that_was_replaced(ledger: Ledger) -> None:
    run = ready_run(ledger)
    lease = claim(ledger, run)
    freeze(ledger, run.run, [run.grants[:1]])
    with pytest.raises(PlanStaleError, match="has no batch"):
        send(ledger, lease, run)
    assert list(ledger.attempts.each(run.run.run_id)) == []


def test_nothing_is_sent_while_the_kill_switch_is_set(ledger: Ledger) -> None:
    run = ready_run(ledger)
    lease = claim(ledger, run)
    ledger.kill_switch.stop("olga", "incident")
    refuse(ledger, lease, run, RunStoppedError, "kill switch is set")
    ledger.kill_switch.resume("olga", "over")
    assert send(ledger, lease, run).n == 1


def test_nothing_is_sent_when_another_run_holds_the_scope(ledger: Ledger, ledger_dsn: str) -> None:
    run = ready_run(ledger)
    lease = claim(ledger, run)
    tamper(ledger_dsn, "DELETE FROM rescind.scope_lock")
    refuse(ledger, lease, run, ScopeLockedError, "does not hold the lock")


@pytest.mark.parametrize("state", [S.HELD, S.STALE, S.EXPIRED])
def test_a_call_with_an_item_that_may_not_go_is_not_sent(ledger: Ledger, state: ItemState) -> None:
    run = ready_run(ledger)
    lease = claim(ledger, run)
    ledger.batches.set_items(lease, {run.calls[run.call_ids[0]][0].grant_id: (state, "protected since")})
    refuse(ledger, lease, run, PlanStaleError, "1 of its items may not be sent")
    assert send(ledger, lease, run, call=1).n == 1


def test_a_settled_call_is_not_sent_again(ledger: Ledger) -> None:
    run = ready_run(ledger)
    lease = claim(ledger, run)
    attempt = send(ledger, lease, run)
    with pytest.raises(CallSettledError, match="is sent") as caught:
        send(ledger, lease, run)
    assert caught.value.state == "sent"
    ledger.attempts.finish(attempt.attempt_id, "accepted")
    with pytest.raises(CallSettledError, match="is accepted"):
        send(ledger, lease, run)
    assert len(attempts(ledger, run)) == 1


def test_tries_are_bounded_and_throttled_ones_do_not_count(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger.attempts, "max_attempts", 2)
    run = ready_run(ledger)
    lease = claim(ledger, run)
    for outcome in ("throttled", "throttled", "throttled", "not_sent", "not_sent"):
        ledger.attempts.finish(send(ledger, lease, run).attempt_id, outcome)
    with pytest.raises(CallSettledError, match="tried 2 times") as caught:
        send(ledger, lease, run)
    assert caught.value.state == "exhausted"
    assert [record.n for record in attempts(ledger, run)] == [1, 2, 3, 4, 5]


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
        except CallSettledError as error:
            seen.append(error.state)

    threads = [threading.Thread(target=try_it) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seen) == ["sent"] * 5 + ["sent 1"]
