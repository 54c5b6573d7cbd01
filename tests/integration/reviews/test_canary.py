"""A large plan begins with a canary; the rest goes only when the canary is proven."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.reviews.review import Review, ReviewBench

Bench = Callable[..., ReviewBench]


def _approved(bench: Bench, **settings: Any) -> Review:
    review = bench(**settings).run(dry_run=False)
    review.through_plan()
    review.approve()
    return review


def _proceed(review: Review) -> list[dict[str, str]]:
    from rescind.operators.canary import ProceedOperator

    batches: list[dict[str, str]] = ProceedOperator(task_id="proceed").execute(review.context("proceed"))
    return batches


def test_a_small_plan_has_no_canary_and_hands_out_every_batch(bench: Bench) -> None:
    review = _approved(bench, canary_above=100_000)
    assert review.canaries == []
    assert _proceed(review) == review.batches != []


def test_a_dry_run_has_no_canary(bench: Bench) -> None:
    review = bench(canary_above=0).run(dry_run=True)
    review.through_plan()
    assert review.canaries == []


def test_the_canary_is_small_sent_first_and_proven_before_the_rest(bench: Bench) -> None:
    review = _approved(bench, canary_above=0, canary_items=2)
    before = review.bench.emulator.get("truth")
    with review.ledger() as ledger:
        run = ledger.runs.find("access_review", review.run_id)
        planned = {batch.system for batch in ledger.plans.batches(run.run_id)}
        canaries = [batch for batch in ledger.plans.batches(run.run_id) if batch.canary]
        # One call may cover more than two grants; a system whose plan is one call has no canary.
        assert canaries and all(batch.calls == 1 or batch.items <= 2 for batch in canaries)
        assert {batch.system for batch in canaries} <= planned
    with pytest.raises(Exception, match=r"0 of .* proven"):
        _proceed(review)
    with pytest.raises(Exception, match="GuardTrippedError: guard canary"):
        review.revoke()
    assert review.bench.emulator.writes() == []
    review.canary()
    assert len(review.bench.emulator.writes()) == sum(batch.calls for batch in canaries)
    assert _proceed(review) == review.batches
    review.revoke()
    review.verify()
    summary = review.report()
    from local.demo.truth import judge

    assert summary["problems"] == []
    judged = judge(before, review.bench.emulator.get("truth"), Path(summary["items_file"]))
    assert all(one.holds for one in judged)


def test_a_canary_that_is_not_gone_stops_the_run_and_a_forged_success_does_not_help(bench: Bench) -> None:
    review = _approved(bench, canary_above=0, canary_items=2, settle_limit_seconds=0.2)
    fault = {"id": "lie", "kind": "pretend", "action": "RevokePrivileges", "times": 0}
    review.bench.emulator.post("faults", {"faults": [fault], "replace": True})
    with pytest.raises(Exception, match=r"canary of wedata_privileges .*limit every item proven gone"):
        review.canary()
    sent = len(review.bench.emulator.writes())
    # Whatever state somebody gives the task in Airflow: the ledger knows better.
    with pytest.raises(Exception, match="canary of wedata_privileges"):
        _proceed(review)
    with pytest.raises(Exception, match="canary of wedata_privileges"):
        review.revoke()
    assert len(review.bench.emulator.writes()) == sent
    assert review.report()["problems"]


def test_a_kept_grant_that_goes_with_the_canary_stops_the_run(bench: Bench) -> None:
    review = _approved(bench, canary_above=0, canary_items=2)
    kept = _retained_beside_the_canary(review)
    operation = {"op": "revoke", "system": "dms_permissions", "user_access_id": kept}
    assert review.bench.emulator.post("mutate", {"ops": [operation]})["changed"] == [True]
    with pytest.raises(Exception, match="every retained grant present"):
        review.canary()


def _retained_beside_the_canary(review: Review) -> str:
    """The record id of a kept DMS grant in a place that the canary's verification reads."""
    from rescind.systems import system_named

    listing_scope = system_named("dms_permissions").listing_scope
    with review.ledger() as ledger:
        run = ledger.runs.find("access_review", review.run_id)
        canary = next(b for b in ledger.plans.batches(run.run_id) if b.canary and b.system == "dms_permissions")
        calls = list(ledger.plans.calls(run.run_id, canary.batch_id))
        read = {listing_scope(g) for call in calls for _, g in ledger.plans.item_grants(run.run_id, call.call_id)}
        decided = list(ledger.decisions.each(run.run_id, system="dms_permissions"))
        return next(g.key.native_id for g, d in decided if d.choice == "keep" and listing_scope(g) in read)
