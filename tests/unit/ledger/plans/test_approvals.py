from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from rescind.errors import LedgerError, NotApprovedError, PlanStaleError
from rescind.ledger import Ledger
from rescind.ledger.plans import approvals
from rescind.ledger.store.errors import RecordConflictError
from tests.support.ledger.runs import Frozen, approve, freeze, frozen_run, grant
from tests.support.reviews.approval import KEYS
from tests.support.servers.postgres import as_owner, tampering

pytestmark = pytest.mark.postgres


def ask(ledger: Ledger, frozen: Frozen, **more: object) -> str:
    given = {"requested_by": "rita", "valid_until": frozen.plan.valid_until, **more}
    return ledger.approvals.request(frozen.run.run_id, frozen.plan.digest, **given).nonce  # type: ignore[arg-type]


def answer(ledger: Ledger, frozen: Frozen, nonce: str, text: str = "approve", by: str = "anna", **more: object) -> str:
    found = ledger.approvals.answer(
        frozen.run.run_id,
        frozen.plan.digest,
        nonce=nonce,
        answer=text,
        responded_by=by,
        **more,  # type: ignore[arg-type]
    )
    return str(found.answer)


def test_an_approval_moves_plan_and_items(ledger: Ledger) -> None:
    frozen = frozen_run(ledger)
    given = approve(ledger, frozen)
    assert (given.answer, given.responded_by, given.automatic, given.used_at) == ("approve", "anna", False, None)
    assert given.responded_at is not None
    assert ledger.plans.get(frozen.run.run_id).state == "approved"
    assert {item.state for item in ledger.plans.items(frozen.run.run_id)} == {"approved"}
    assert ledger.approvals.require(frozen.run.run_id, frozen.plan.digest) == given


def test_a_rejection_moves_nothing(ledger: Ledger) -> None:
    frozen = frozen_run(ledger)
    assert answer(ledger, frozen, ask(ledger, frozen), "reject", by="rita") == "reject"
    assert ledger.plans.get(frozen.run.run_id).state == "frozen"
    with pytest.raises(NotApprovedError, match="'rita' rejected it"):
        ledger.approvals.require(frozen.run.run_id, frozen.plan.digest)


def test_asking_again_is_the_same_question(ledger: Ledger) -> None:
    frozen = frozen_run(ledger)
    nonce = ask(ledger, frozen)
    later = frozen.plan.valid_until + timedelta(days=1)
    assert ask(ledger, frozen, requested_by="mallory", valid_until=later) == nonce
    stands = ledger.approvals.get(frozen.run.run_id, frozen.plan.digest)
    assert stands is not None
    assert (stands.requested_by, stands.valid_until) == ("rita", frozen.plan.valid_until)


def test_the_last_character_of_the_nonce_counts(ledger: Ledger) -> None:
    frozen = frozen_run(ledger)
    nonce = ask(ledger, frozen)
    for wrong in (nonce[:-1] + ("0" if nonce[-1] != "0" else "1"), nonce[:-1], nonce + "0", nonce.upper() + " ", ""):
        with pytest.raises(NotApprovedError, match="nonce differs"):
            answer(ledger, frozen, wrong)
    assert answer(ledger, frozen, nonce) == "approve"


def test_every_question_has_its_own_nonce(ledger: Ledger) -> None:
    frozen = frozen_run(ledger)
    other = freeze(ledger, frozen.run, [frozen.grants[:1]])
    assert ask(ledger, frozen) != ask(ledger, other)


def test_the_same_answer_again_is_fine_and_another_one_is_not(ledger: Ledger) -> None:
    frozen = frozen_run(ledger)
    nonce = ask(ledger, frozen)
    answer(ledger, frozen, nonce, by="anna")
    first = ledger.approvals.get(frozen.run.run_id, frozen.plan.digest)
    assert answer(ledger, frozen, nonce, by="bert") == "approve"
    with pytest.raises(RecordConflictError, match="'approve' is recorded already"):
        answer(ledger, frozen, nonce, "reject")
    assert ledger.approvals.get(frozen.run.run_id, frozen.plan.digest) == first


def test_opposite_answers_at_the_same_instant_leave_one(ledger: Ledger) -> None:
    frozen = frozen_run(ledger)
    nonce = ask(ledger, frozen)
    barrier, seen = threading.Barrier(2), []

    def give(text: str) -> None:
        barrier.wait()
        try:
            seen.append(answer(ledger, frozen, nonce, text))
        except RecordConflictError:
            seen.append("conflict")

    threads = [threading.Thread(target=give, args=(text,)) for text in ("approve", "reject")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stands = ledger.approvals.get(frozen.run.run_id, frozen.plan.digest)
    assert stands is not None
    assert sorted(seen) == sorted([str(stands.answer), "conflict"])
    assert ledger.plans.get(frozen.run.run_id).state == ("approved" if stands.answer == "approve" else "frozen")


def test_the_one_who_asks_does_not_approve(ledger: Ledger) -> None:
    frozen = frozen_run(ledger)
    nonce = ask(ledger, frozen)
    with pytest.raises(NotApprovedError, match="the requester cannot approve their own run"):
        answer(ledger, frozen, nonce, by="rita")
    for spelled in ("Rita", "RITA ", "\uff32ita"):
        with pytest.raises(NotApprovedError, match="the requester cannot approve their own run"):
            answer(ledger, frozen, nonce, by=spelled)
    for odd in ("rit\u0430", "rita\u200b"):
        with pytest.raises(NotApprovedError, match="requester and approver cannot be told apart: the user name"):
            answer(ledger, frozen, nonce, by=odd)
    with pytest.raises(NotApprovedError, match="the answer names no approver"):
        answer(ledger, frozen, nonce, by=" ")
    with pytest.raises(NotApprovedError, match="no approver has answered"):
        ledger.approvals.require(frozen.run.run_id, frozen.plan.digest)


@pytest.mark.parametrize(
    ("by", "message"),
    [("rita", "the requester .* approved it"), ("Rita ", "the requester .* approved it"), ("rit\u0430", "told apart")],
)
def test_a_recorded_approval_by_the_requester_is_worth_nothing(
    ledger: Ledger, ledger_dsn: str, by: str, message: str
) -> None:
    frozen = frozen_run(ledger)
    answer(ledger, frozen, ask(ledger, frozen))
    with psycopg.connect(as_owner(ledger_dsn)) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("UPDATE rescind.approval SET responded_by = %s", (by,))
    with pytest.raises(NotApprovedError, match=message):
        ledger.approvals.require(frozen.run.run_id, frozen.plan.digest)


def test_the_name_of_the_approver_is_compared_and_not_the_number(ledger: Ledger) -> None:
    frozen = frozen_run(ledger)
    nonce = ask(ledger, frozen, requested_by="7")  # a user whose name is the number of another one
    with pytest.raises(NotApprovedError, match="the requester cannot approve"):
        answer(ledger, frozen, nonce, by="12", responded_by_name="7")
    answer(ledger, frozen, nonce, by="7", responded_by_name="omar")
    stands = ledger.approvals.require(frozen.run.run_id, frozen.plan.digest)
    assert (stands.responded_by, stands.responded_by_name, stands.approver) == ("7", "omar", "omar (7)")


def test_a_changed_name_of_the_approver_breaks_the_signature(ledger: Ledger, ledger_dsn: str) -> None:
    frozen = frozen_run(ledger)
    answer(ledger, frozen, ask(ledger, frozen), by="7", responded_by_name="omar")
    with psycopg.connect(as_owner(ledger_dsn)) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("UPDATE rescind.approval SET responded_by_name = ''")
    with pytest.raises(NotApprovedError, match=r"signature .* is not valid"):
        ledger.approvals.require(frozen.run.run_id, frozen.plan.digest)


def test_a_rule_may_answer_and_is_recorded_as_one(ledger: Ledger) -> None:
    frozen = frozen_run(ledger)
    answer(ledger, frozen, ask(ledger, frozen), by="rule:small", automatic=True)
    stands = ledger.approvals.require(frozen.run.run_id, frozen.plan.digest)
    assert (stands.automatic, stands.responded_by) == (True, "rule:small")


@pytest.mark.parametrize("text", ["", "Approve", "timeout", "yes"])
def test_only_two_words_are_answers(ledger: Ledger, text: str) -> None:
    frozen = frozen_run(ledger)
    with pytest.raises(NotApprovedError, match="the answer must be 'approve' or 'reject'"):
        answer(ledger, frozen, ask(ledger, frozen), text)


def test_an_answer_belongs_to_one_question_of_one_run(ledger: Ledger) -> None:
    frozen = frozen_run(ledger, "one")
    old = ask(ledger, frozen)
    answer(ledger, frozen, old)
    ledger.runs.finish(frozen.run.run_id, "succeeded", {})
    # The same effects in another run have the same digest, and the answer for the first is worth nothing there.
    same = frozen_run(ledger, "two")
    assert same.plan.digest == frozen.plan.digest
    with pytest.raises(NotApprovedError, match="no approval was requested"):
        answer(ledger, same, old)
    assert ask(ledger, same) != old
    with pytest.raises(NotApprovedError, match="nonce differs"):
        answer(ledger, same, old)
    with pytest.raises(NotApprovedError, match="no approver has answered"):
        ledger.approvals.require(same.run.run_id, same.plan.digest)


def test_a_late_answer_and_an_old_approval_are_worth_nothing(ledger: Ledger, ledger_dsn: str) -> None:
    frozen = frozen_run(ledger)
    nonce = ask(ledger, frozen, valid_until=datetime.now(UTC) - timedelta(seconds=1))
    with pytest.raises(NotApprovedError, match="the approval window expired"):
        answer(ledger, frozen, nonce)
    other = freeze(ledger, frozen.run, [frozen.grants[:1]])
    approve(ledger, other)
    with psycopg.connect(as_owner(ledger_dsn)) as connection:
        connection.execute("SET LOCAL session_replication_role = replica")
        connection.execute("UPDATE rescind.approval SET valid_until = clock_timestamp() - interval '1 second'")
    with pytest.raises(NotApprovedError, match="the approval expired"):
        ledger.approvals.require(other.run.run_id, other.plan.digest)


def test_a_superseded_plan_is_not_approved(ledger: Ledger) -> None:
    frozen = frozen_run(ledger)
    nonce = ask(ledger, frozen)
    freeze(ledger, frozen.run, [frozen.grants[:1]])
    with pytest.raises(NotApprovedError, match="another plan has replaced it"):
        answer(ledger, frozen, nonce)


def test_nobody_is_asked_about_a_plan_that_is_not_there(ledger: Ledger) -> None:
    frozen = frozen_run(ledger)
    with pytest.raises(LedgerError, match="has no plan with digest"):
        ledger.approvals.request(
            frozen.run.run_id, grant(1).grant_id, requested_by="rita", valid_until=frozen.plan.valid_until
        )


@pytest.mark.parametrize(
    "change",
    [
        "answer = 'reject'",
        "responded_by = 'other'",
        "responded_by_name = 'x'",
        "valid_until = valid_until + interval '1 day'",
    ],
)
def test_the_database_itself_keeps_an_answer(ledger: Ledger, ledger_dsn: str, change: str) -> None:
    approve(ledger, frozen_run(ledger))
    with (
        psycopg.connect(as_owner(ledger_dsn)) as connection,
        pytest.raises(psycopg.errors.IntegrityError, match="answered once"),
    ):
        connection.execute(f"UPDATE rescind.approval SET {change}")
    with (
        psycopg.connect(as_owner(ledger_dsn)) as connection,
        pytest.raises(psycopg.errors.IntegrityError, match="append only"),
    ):
        connection.execute("DELETE FROM rescind.approval")


def test_the_first_batch_that_uses_an_approval_is_noted(ledger: Ledger) -> None:
    frozen = frozen_run(ledger)
    approve(ledger, frozen)
    run_id, digest = frozen.run.run_id, frozen.plan.digest
    ledger.batches.claim(run_id, frozen.batch_id, "w")
    first = ledger.approvals.require(run_id, digest)
    assert first.used_by_batch == frozen.batch_id
    assert first.used_at is not None
    ledger.batches.claim(run_id, frozen.batch_id, "v")
    assert ledger.approvals.require(run_id, digest) == first
    assert ledger.plans.get(run_id).state == "executing"


def test_nonce_and_digest_are_compared_whole(ledger: Ledger) -> None:
    frozen = frozen_run(ledger)
    nonce, digest = ask(ledger, frozen), frozen.plan.digest
    for wrong in (nonce[:-1] + "01"[nonce[-1] == "0"], nonce[:-1], nonce + "0", nonce.upper() + " "):
        with pytest.raises(NotApprovedError, match="nonce differs"):
            answer(ledger, frozen, wrong)
    answer(ledger, frozen, nonce)
    with pytest.raises(NotApprovedError, match="no approval was requested"):
        ledger.approvals.require(frozen.run.run_id, digest[:-1] + "01"[digest[-1] == "0"])
    lease = ledger.batches.claim(frozen.run.run_id, frozen.batch_id, "w")
    with pytest.raises((NotApprovedError, PlanStaleError)):
        ledger.attempts.begin(
            lease, frozen.call_ids[0], plan_digest=digest[:-1] + "01"[digest[-1] == "0"], request_digest="d",
            action="A", version="v",
        )  # fmt: skip


def test_the_requesters_own_answer_is_refused_even_with_a_valid_signature(ledger: Ledger, ledger_dsn: str) -> None:
    """The second line of defense: written with SQL and signed with the key, past the check of the answer."""
    frozen = frozen_run(ledger)
    given = approve(ledger, frozen)
    key, signature = KEYS.sign(replace(given, responded_by="rita").statement)
    with tampering(ledger_dsn) as connection:
        connection.execute(
            "UPDATE rescind.approval SET responded_by = 'rita', signing_key = %s, signature = %s", (key, signature)
        )
    lease = ledger.batches.claim(frozen.run.run_id, frozen.batch_id, "w")
    for refuse in (
        lambda: ledger.approvals.require(frozen.run.run_id, frozen.plan.digest),
        lambda: ledger.attempts.begin(
            lease, frozen.call_ids[0], plan_digest=frozen.plan.digest, request_digest="d", action="A", version="v"
        ),
    ):
        with pytest.raises(NotApprovedError, match="the requester cannot approve their own run: 'rita' requested it"):
            refuse()
    assert list(ledger.attempts.each(frozen.run.run_id)) == []


def test_the_clock_of_this_machine_ends_an_approval_although_the_database_reports_an_earlier_time(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    frozen = frozen_run(ledger)
    given = approve(ledger, frozen)

    class Later(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return given.valid_until + timedelta(seconds=1)

    monkeypatch.setattr(approvals, "datetime", Later)
    with pytest.raises(NotApprovedError, match="the approval expired"):
        ledger.approvals.require(frozen.run.run_id, frozen.plan.digest)


def test_an_answer_whose_signature_was_changed_is_refused(ledger: Ledger, ledger_dsn: str) -> None:
    frozen = frozen_run(ledger)
    approve(ledger, frozen)
    with tampering(ledger_dsn) as connection:
        connection.execute("UPDATE rescind.approval SET signature = reverse(signature)")
    with pytest.raises(NotApprovedError, match="signature"):
        ledger.approvals.require(frozen.run.run_id, frozen.plan.digest)


def test_what_waits_is_what_can_still_be_answered(ledger: Ledger, ledger_dsn: str) -> None:
    assert ledger.approvals.waiting() == []
    first, second = frozen_run(ledger), frozen_run(ledger, "manual__2")
    assert ledger.approvals.waiting() == []  # planned, and not asked yet
    ask(ledger, first)
    nonce = ask(ledger, second)
    assert {one.run_id for one in ledger.approvals.waiting()} == {first.run.run_id, second.run.run_id}
    answer(ledger, second, nonce, "reject")
    (left,) = ledger.approvals.waiting()
    assert (left.run_id, left.digest, left.answer) == (first.run.run_id, first.plan.digest, None)
    with tampering(ledger_dsn) as connection:
        connection.execute("UPDATE rescind.plan SET state = 'superseded'")
    assert ledger.approvals.waiting() == []
