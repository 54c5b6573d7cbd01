"""Somebody who can write to the ledger, with every trigger off, cannot approve: nothing is sent, evidence says so."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from rescind.evidence.bundle.read import bundle_source
from rescind.evidence.bundle.verify import verify
from tests.support.reviews.approval import KEYS
from tests.support.reviews.review import Restore, Review, ReviewBench
from tests.support.servers.postgres import tampering

Bench = Callable[..., ReviewBench]

MOVE = (
    "UPDATE rescind.plan SET state = 'approved'",
    "UPDATE rescind.plan_item SET state = 'approved' WHERE call_id IS NOT NULL",
)
"""What else a real approval changes."""
APPROVE = (
    "UPDATE rescind.approval SET answer = 'approve', responded_by = 'omar', responded_at = clock_timestamp()",
    *MOVE,
)
LOCK = (
    "INSERT INTO rescind.scope_lock (system, account, run_no, expires_at) SELECT DISTINCT system, account, run_no,"
    " clock_timestamp() + interval '1 day' FROM rescind.batch ON CONFLICT DO NOTHING"
)


def edit(review: Review, *statements: str) -> None:
    """Change the ledger as its owner could, without triggers."""
    with tampering(review.bench.ledger_dsn) as connection:
        for statement in statements:
            assert connection.execute(statement.encode()).rowcount > 0, statement


def ask(review: Review) -> Review:
    """Bring a run to where its plan waits for an approval."""
    review.through_plan()
    with review.ledger() as ledger:
        run = ledger.runs.find(review.dag_id, review.run_id)
        plan = ledger.plans.get(run.run_id)
        ledger.approvals.request(run.run_id, plan.digest, requested_by="rita", valid_until=plan.valid_until)
    return review


def asked(bench: Bench, **params: Any) -> Review:
    return ask(bench().run(dry_run=False, **params))


def approved(bench: Bench, **params: Any) -> Review:
    review = bench().run(dry_run=False, **params)
    review.through_plan()
    review.approve()
    return review


def refused(review: Review, message: str, sent: int = 0) -> None:
    """Nothing more is sent, and the error says why."""
    before = review.bench.emulator.get("truth")
    with pytest.raises(Exception, match=message):
        review.revoke()
    assert len(review.bench.emulator.writes()) == sent
    assert review.bench.emulator.get("truth") == before


@pytest.mark.parametrize(
    "by",
    [
        "responded_by = 'omar'",
        "responded_by = 'omar', signing_key = '0123456789abcdef', signature = repeat('00', 64)",
        "responded_by = 'automatic', automatic = true, method = '1 of 500 grants'",
    ],
)
def test_a_forged_approval_sends_nothing(bench: Bench, by: str) -> None:
    automatic = {"max_revocations": 500, "max_percent": 90, "systems": ["quickbi_menus"], "only_rules": ["leavers"]}
    review = ask(bench(automatic_approval=automatic).run(dry_run=False, systems=["quickbi_menus"], automatic=True))
    edit(review, f"UPDATE rescind.approval SET answer = 'approve', responded_at = clock_timestamp(), {by}", *MOVE)
    refused(review, "NotApprovedError.*(has no signature|is not accepted here)")


def test_a_forged_approval_of_a_run_that_has_failed_sends_nothing(bench: Bench) -> None:
    review = asked(bench)
    review.verify()
    assert review.report()["state"] == "failed"
    edit(review, *APPROVE, LOCK)
    refused(review, "has no signature")
    edit(review, "UPDATE rescind.run SET state = 'created', finished_at = NULL")
    refused(review, "has no signature")


def test_a_run_that_ended_without_an_approval_cannot_be_approved_any_more(bench: Bench) -> None:
    review = asked(bench, systems=["quickbi_menus"])
    review.verify()
    assert review.report()["state"] == "failed"
    for late in (review.approve, lambda: review.approval().execute(review.context("approve"))):
        with pytest.raises(Exception, match=r"has ended \(failed.*Start a new run"):
            late()
    with review.ledger() as ledger:  # with the key, and past the task that asks
        ledger.approvals.keys = KEYS
        run = ledger.runs.find(review.dag_id, review.run_id)
        plan = ledger.plans.get(run.run_id)
        nonce = ledger.approvals.get(run.run_id, plan.digest).nonce
        ledger.approvals.answer(run.run_id, plan.digest, nonce=nonce, answer="approve", responded_by="omar")
    refused(review, "has ended")


def test_an_abandoned_run_sends_nothing_although_it_was_approved(bench: Bench) -> None:
    review = approved(bench, systems=["quickbi_menus"])
    with review.ledger() as ledger:
        ledger.runs.finish(ledger.runs.find(review.dag_id, review.run_id).run_id, "abandoned", {})
    review.verify()
    review.report()
    with review.ledger() as ledger:
        assert ledger.runs.find(review.dag_id, review.run_id).state == "abandoned", "its report does not continue it"
    edit(review, LOCK)
    refused(review, r"has ended \(abandoned")


def test_a_dry_run_that_was_made_a_real_one_sends_nothing(bench: Bench) -> None:
    review = bench().run(dry_run=True, systems=["quickbi_menus"])
    review.through_plan()
    edit(
        review,
        "UPDATE rescind.run SET dry_run = false",
        "INSERT INTO rescind.approval (run_no, digest, nonce, requested_by, valid_until, answer, responded_by,"
        " responded_at) SELECT run_no, digest, 'n', 'rita', valid_until, 'approve', 'omar', now() FROM rescind.plan",
        *MOVE,
        LOCK,
    )
    with review.ledger() as ledger:
        batches = ledger.plans.batches(ledger.runs.find(review.dag_id, review.run_id).run_id)
    review.batches = [{"batch": batch.batch_id, "label": batch.label} for batch in batches]
    refused(review, "has no signature")


def test_the_approval_of_another_run_fits_no_other(bench: Bench) -> None:
    first = approved(bench, systems=["quickbi_menus"])
    with first.ledger() as ledger:
        ledger.runs.finish(ledger.runs.find(first.dag_id, first.run_id).run_id, "succeeded", {})
    second = ask(first.bench.run("manual__2", dry_run=False, systems=["quickbi_menus"]))
    edit(
        second,
        "UPDATE rescind.approval t SET answer = f.answer, responded_by = f.responded_by, responded_at = f.responded_at,"
        " valid_until = f.valid_until, signing_key = f.signing_key, signature = f.signature"
        " FROM rescind.approval f WHERE f.run_no = 1 AND t.run_no = 2 AND t.digest = f.digest",
        *MOVE,
    )
    refused(second, "signature of the approval by key .* is not valid")


def test_a_run_moved_to_another_dag_run_sends_nothing(bench: Bench) -> None:
    """Who may trigger a DAG and write to the ledger cannot carry out an approved plan under another DAG run."""
    first = approved(bench, systems=["quickbi_menus"])
    edit(first, "UPDATE rescind.run SET airflow_run_id = 'manual__mine'")
    first.run_id = "manual__mine"
    refused(first, "is not valid")


@pytest.mark.parametrize(
    "change",
    [
        "valid_until = now() + interval '1 year'",
        "responded_by = 'ada'",
        "requested_by = 'ada'",
        "responded_at = responded_at + interval '1 s'",
        "nonce = repeat('0', 32)",
    ],
)
def test_an_approval_that_was_changed_is_refused(bench: Bench, change: str) -> None:
    review = approved(bench, systems=["quickbi_menus"])
    review.bench.configure(approvers=["omar", "ada"])
    edit(review, f"UPDATE rescind.approval SET {change}")
    refused(review, "is not valid")


def test_another_plan_under_the_same_approval_is_refused(bench: Bench) -> None:
    """Effects, digest, plan and approval changed together: everything fits, but the signature."""
    review = approved(bench, systems=["quickbi_menus"])
    with psycopg.connect(review.bench.ledger_dsn) as connection:
        ((old, chunk),) = connection.execute("SELECT digest, chunk FROM rescind.plan_effect").fetchall()
    other = bytes(chunk).replace(b'"valid_for_s":86400', b'"valid_for_s":86401')
    new = hashlib.sha256(other).hexdigest()
    assert new != bytes(old).hex()
    edit(
        review,
        f"UPDATE rescind.plan_effect SET digest = '\\x{new}', chunk = '\\x{other.hex()}'",
        f"UPDATE rescind.plan SET digest = '\\x{new}'",
        f"UPDATE rescind.approval SET digest = '\\x{new}'",
    )
    refused(review, "is not valid")


def test_a_grant_that_was_exchanged_is_refused(bench: Bench) -> None:
    review = approved(bench, systems=["quickbi_menus"])
    review.batches = review.batches[:1]
    kept = (
        "(SELECT d.grant_id FROM rescind.decision d JOIN rescind.grant_row g USING (run_no, grant_id) WHERE"
        " d.choice = 'keep' AND g.revocable AND g.system = 'quickbi_menus' ORDER BY d.grant_id LIMIT 1)"
    )
    batch = f"'\\x{review.batches[0]['batch']}'"
    item = (
        "(SELECT grant_id FROM rescind.plan_item JOIN rescind.call USING (run_no, call_id)"
        f" WHERE batch_id = {batch} LIMIT 1)"
    )
    edit(review, f"UPDATE rescind.plan_item SET grant_id = {kept} WHERE grant_id = {item}")
    refused(review, "holds a grant that is not in the approved plan")


@pytest.mark.parametrize("change", ["operation = 'restore'", "state = 'done'", "state = 'frozen'"])
def test_a_plan_that_was_changed_is_refused(bench: Bench, change: str) -> None:
    review = approved(bench, systems=["quickbi_menus"])
    edit(review, f"UPDATE rescind.plan SET {change}")
    refused(review, "PlanError|PlanStaleError|NotApprovedError")


def test_the_requester_cannot_be_renamed_to_approve(bench: Bench) -> None:
    setup = bench(approvers=["omar", "rita"])
    review = ask(setup.run(dry_run=False, systems=["quickbi_menus"]))
    edit(review, "UPDATE rescind.run SET requested_by = 'carl'", "UPDATE rescind.approval SET requested_by = 'carl'")
    with pytest.raises(Exception, match="Airflow names 'rita' as the requester of this run, the ledger 'carl'"):
        review.approve("rita")
    refused(review, "no approver has answered")


@pytest.mark.parametrize("change", ["valid_until = now() + interval '30 days'", "requested_by = 'carl'"])
def test_a_request_that_was_changed_is_not_signed(bench: Bench, change: str) -> None:
    review = asked(bench, systems=["quickbi_menus"])
    edit(review, f"UPDATE rescind.approval SET {change}")
    with pytest.raises(Exception, match="the approval request for plan"):
        review.approve()
    refused(review, "no approver has answered")


def test_a_forged_answer_is_not_taken_for_the_answer(bench: Bench) -> None:
    """Neither the task that asks nor a person who answers later makes it a real one."""
    review = asked(bench, systems=["quickbi_menus"])
    edit(review, *APPROVE)
    with pytest.raises(Exception, match=r"holds an answer by 'omar'.*has no signature"):
        review.approval().execute(review.context("approve"))
    with pytest.raises(Exception, match=r"holds an answer already.*has no signature"):
        review.approve()
    refused(review, "has no signature")


@pytest.mark.parametrize("answer", ["approve", "reject"])
def test_evidence_does_not_call_a_forged_answer_an_answer(bench: Bench, answer: str) -> None:
    review = asked(bench, systems=["quickbi_menus"])
    edit(review, *(statement.replace("= 'approve'", f"= '{answer}'") for statement in APPROVE))
    review.verify()
    summary = review.close()
    assert (summary["approved_by"], summary["state"]) == (None, "failed")
    assert any("the answer of 'omar' in the ledger counts as none" in one for one in summary["problems"])
    found = verify(bundle_source(Path(summary["bundle"]))).problems
    assert found == ["the approval is not signed: nobody approved this plan"]
    page = Path(summary["report"]).read_text(encoding="utf-8")
    assert "<dt>Approved by</dt><dd>nobody" in page and "The recorded answer counts as none" in page


def test_a_restore_needs_a_signed_approval_too(bench: Bench) -> None:
    setup = bench()
    setup.run(dry_run=False, systems=["quickbi_menus"]).whole()
    sent = len(setup.emulator.writes())
    restore = setup.restore(run="1")
    assert isinstance(ask(restore), Restore)
    edit(
        restore,
        "UPDATE rescind.approval SET answer = 'approve', responded_by = 'omar', responded_at = clock_timestamp()"
        " WHERE run_no = 2",
        "UPDATE rescind.plan SET state = 'approved' WHERE run_no = 2",
        "UPDATE rescind.plan_item SET state = 'approved' WHERE run_no = 2 AND call_id IS NOT NULL",
    )
    refused(restore, "has no signature", sent)
    edit(restore, "UPDATE rescind.approval SET answer = NULL, responded_by = '', responded_at = NULL WHERE run_no = 2")
    restore.approve()
    edit(restore, "UPDATE rescind.approval SET responded_by = 'ada' WHERE run_no = 2")
    setup.configure(approvers=["omar", "ada"])
    refused(restore, "is not valid", sent)


def test_a_canary_needs_a_signed_approval_too(bench: Bench) -> None:
    review = ask(bench(canary_items=2, canary_above=1).run(dry_run=False, systems=["quickbi_menus"]))
    assert review.canaries
    edit(review, *APPROVE)
    before = review.bench.emulator.get("truth")
    with pytest.raises(Exception, match="has no signature"):
        review.canary()
    assert review.bench.emulator.writes() == [] and review.bench.emulator.get("truth") == before
