"""Somebody attacks what an approver left out: with the ledger's password, and with what is typed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rescind.evidence.bundle.read import FolderSource
from rescind.evidence.bundle.verify import verify
from rescind.workflow.narrowing import narrow
from rescind.workflow.planner_of_run import planner_of_run
from tests.integration.approval.test_leave_out import asked, first, nothing_is_sent, small, state
from tests.support.reviews.approval import KEYS
from tests.support.reviews.review import Review, ReviewBench

pytestmark = pytest.mark.sockets

Bench = Callable[..., ReviewBench]
TYPED = "\u202eevil\x00\t<script>\ud800 \U0001f469\u200d\U0001f4bb \u0661\r\nkept by ada: x | %s " + "\u202e" * 900


def test_a_plan_with_what_was_left_out_is_neither_asked_about_nor_sent(bench: Bench) -> None:
    """Who can write to the ledger may freeze any plan, also one that names the signed narrowing and ignores it."""
    review, choices = asked(small(bench()))
    review.approve(leave_out=[first(choices)], comment=TYPED)
    question = review.second()
    with review.ledger() as ledger:
        ledger.approvals.keys = KEYS
        run = ledger.runs.find(review.dag_id, review.run_id)
        settings = question.settings_of(ledger, run)
        narrowing = ledger.narrowings.find(run.run_id)
        left = narrow.left_out_grants(ledger, run, narrowing.left_out)
        honest = narrow._limit(ledger, run, narrowing, left)
        less = replace(honest, planned=honest.planned | left, held={}, left_out=0)
        plan = planner_of_run(ledger, run, settings, limit=less).freeze(now=datetime.now(UTC))
        assert plan.digest != narrowing.digest
        with pytest.raises(Exception, match="not those that were signed"):
            question.ask(review.context("approve_part"), ledger)
        # Also where the answer to the question was got in another way.
        asked_ = ledger.approvals.request(
            run.run_id, plan.digest, requested_by=run.requested_by, valid_until=plan.valid_until
        )
        ledger.approvals.answer(run.run_id, plan.digest, nonce=asked_.nonce, answer="approve", responded_by="omar")
    nothing_is_sent(review, "not those that were signed")


def test_whatever_is_typed_the_evidence_verifies_and_what_was_left_out_is_missed_when_it_goes(bench: Bench) -> None:
    review, choices = asked(small(bench()))
    review.approve(leave_out=[first(choices)], comment=TYPED)
    review.ask_again()
    narrower = state(review)
    review.freeze()  # the task "plan" is cleared, with all that comes after it
    assert state(review)["plan"] != narrower["plan"]
    nothing_is_sent(review, "only the narrowed plan can be approved")
    again = review.approval()
    with review.ledger() as ledger:
        assert again.ask(review.context("approve"), ledger)["answer"] == "leave out"
    review.ask_again()
    assert state(review) == narrower
    review.approve_part(comment=TYPED)
    review.canary()
    review.revoke()
    lose_one_that_was_left_out(review)
    assert sum(one["kept_lost"] for one in review.verify()) == 1, "a left-out grant that is gone is missed"
    summary = review.close()
    result = verify(FolderSource(Path(summary["bundle"].removeprefix("file://"))))
    assert result.problems == [], result.problems
    with pytest.raises(Exception, match="1 retained grant"):
        review.gate()


def lose_one_that_was_left_out(review: Review) -> None:
    """The platform ends a menu grant of the person who was left out, as if one of our calls had."""
    kept = {ident for ident, (one, _) in state(review)["items"].items() if one == "held"}
    with review.ledger() as ledger:
        run = ledger.runs.find(review.dag_id, review.run_id)
        grants = ledger.snapshot.grants_by_id(run.run_id, kept).values()
    menu = min((g.key.resource_id, g.key.principal_id) for g in grants if g.key.system == "quickbi_menus")
    rows = review.bench.emulator.get("truth?extra=1")["quickbi_menus"]
    (row,) = [row for row in rows if (row["menu_id"], row["receiver_id"]) == menu]
    review.bench.emulator.post("mutate", {"ops": [{**row, "op": "revoke", "system": "quickbi_menus"}]})
