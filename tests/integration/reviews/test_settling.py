"""A platform that lags: verification gives its slot back, comes again, reads everything again, and ends in time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk.exceptions import TaskDeferred

from rescind.operators.bases.settling import SettlingOperator
from rescind.operators.canary import VerifyCanaryOperator
from rescind.operators.revoke import RevokeBatchOperator
from rescind.operators.verify import VerifyOperator
from rescind.settings import Settings
from rescind.systems import system_named
from tests.support.reviews.review import Review, ReviewBench
from tests.support.reviews.verdicts import DMS, approved, items_of, mutate, records_of, script, somebody

pytestmark = pytest.mark.sockets

Bench = Callable[..., ReviewBench]


def deferred(act: Callable[[], Any]) -> TaskDeferred:
    with pytest.raises(TaskDeferred) as caught:
        act()
    return caught.value


class _Waits(SettlingOperator):
    def verify(self, context: Any, ledger: Any, waited: float) -> Any:
        raise NotImplementedError


@pytest.mark.parametrize(
    ("in_place", "limit", "pauses"),
    [
        (30.0, 300.0, [30.0, 90.0, 60.0]),
        (30.0, 120.0, [30.0]),
        (30.0, 60.0, []),
        (30.0, 10.0, []),
        (2.0, 120.0, [15.0, 19.0, 40.0, 36.0]),
        (2.0, 18.0, []),
        (600.0, 86_400.0, [600.0, 1800.0, 4200.0, 9000.0, 18600.0, 37800.0, 9600.0]),
    ],
)
def test_all_waits_together_keep_to_the_limit(in_place: float, limit: float, pauses: list[float]) -> None:
    settings = Settings(settle_in_place_seconds=in_place, settle_limit_seconds=limit)
    task, waited, in_task = _Waits(task_id="wait"), 0.0, 0.0
    seen: list[float] = []
    for _ in range(20):
        patience = task.patience(settings, waited)
        assert 0 < patience <= in_place
        in_task += patience
        try:
            task.come_again(settings, waited)
        except TaskDeferred as pause:
            again = (pause.kwargs or {})["waited"]
            seen.append(again - waited - patience)
            waited = again
        else:
            break
    assert seen == pauses
    assert in_task + sum(pauses) <= limit


READS = 12
"""Listings that still show what was revoked: more than one execution of a task reads, fewer than ten do. By number and
not by time, so that the speed of the machine does not matter."""


def lagging(bench: Bench, reads: int = READS, **settings: Any) -> tuple[ReviewBench, Review, list[dict[str, Any]]]:
    """A person with three permissions, revoked; the platform goes on showing one of them in some listings."""
    setup = bench(**{"settle_in_place_seconds": 0.3, "settle_limit_seconds": 300, **settings})
    person = somebody(setup)
    records = records_of(setup, person, 3)
    review = approved(setup, person, DMS)
    where = {"UserAccessId": records[0]["user_access_id"]}
    script(setup, {"kind": "lag", "action": "RevokeUserPermission", "where": where, "reads": reads})
    return setup, review, records


def resumed(task: SettlingOperator, context: dict[str, Any], waited: float) -> dict[str, Any]:
    """The triggerer's part, without its pauses, until the task ends."""
    for _ in range(30):
        try:
            report: dict[str, Any] = task.resume(context, None, waited=waited)
            return report
        except TaskDeferred:
            continue
    raise AssertionError("the task never ended")


def test_a_lag_is_waited_out_without_the_slot_and_ends_in_a_proof(bench: Bench) -> None:
    setup, review, _ = lagging(bench)
    review.revoke()
    context = review.context("verify", 0)
    task = VerifyOperator(task_id="verify", scope=review.scopes[0])
    pause = deferred(lambda: task.execute(context))
    assert pause.method_name == "resume"
    assert sorted(row["verdict"] for row in items_of(review)) == ["still_present", "verified_gone", "verified_gone"]
    # It comes back as a new object.
    report = resumed(VerifyOperator(task_id="verify", scope=review.scopes[0]), context, (pause.kwargs or {})["waited"])
    assert report["verified_gone"] == 3
    assert "lagging" not in report
    assert setup.emulator.get("faults")["all_fired"]
    review.report()
    assert review.gate() == "succeeded"


def test_what_came_back_during_the_wait_is_seen(bench: Bench) -> None:
    setup, review, records = lagging(bench)
    review.revoke()
    context = review.context("verify", 0)
    task = VerifyOperator(task_id="verify", scope=review.scopes[0])
    deferred(lambda: task.execute(context))
    returned = {k: v for k, v in records[1].items() if k not in ("user_access_id", "origin")}
    mutate(setup, {"op": "grant", "system": DMS, **returned})
    report = resumed(task, context, 0.6)
    assert report["verified_gone"] == 2
    assert report["still_effective"] == 1


def test_nobody_waits_once_a_retained_grant_is_lost(bench: Bench) -> None:
    setup, review, _ = lagging(bench)
    review.revoke()
    with review.ledger() as ledger:
        run = ledger.runs.find("access_review", review.run_id)
        listing_scope = system_named(DMS).listing_scope
        decided = list(ledger.decisions.each(run.run_id, system=DMS))
        read = {listing_scope(grant) for grant, decision in decided if decision.choice == "revoke"}
        kept = next(g for g, d in decided if d.choice == "keep" and g.revocable and listing_scope(g) in read)
    (lost,) = [row for row in setup.emulator.get("truth")[DMS] if row["user_access_id"] == kept.key.native_id]
    mutate(setup, {**lost, "op": "revoke", "system": DMS})
    report = VerifyOperator(task_id="verify", scope=review.scopes[0]).execute(review.context("verify", 0))
    assert (report["kept_lost"], report["lagging"]) == (1, 1)


def test_what_never_settles_is_open_in_the_end(bench: Bench) -> None:
    _, review, _ = lagging(bench, reads=1_000, settle_limit_seconds=16)
    review.revoke()
    context = review.context("verify", 0)
    task = VerifyOperator(task_id="verify", scope=review.scopes[0])
    pause = deferred(lambda: task.execute(context))
    report = task.resume(context, None, **(pause.kwargs or {}))
    assert report["lagging"] == 1
    review.report()
    with pytest.raises(Exception, match="1 of 3 items are not proven gone"):
        review.gate()


def test_nobody_waits_for_what_was_never_sent(bench: Bench) -> None:
    setup = bench(settle_in_place_seconds=0.3, settle_limit_seconds=3000)
    person = somebody(setup)
    records_of(setup, person, 3)
    review = approved(setup, person, DMS)
    report = VerifyOperator(task_id="verify", scope=review.scopes[0]).execute(review.context("verify", 0))
    assert report["still_present"] == report["items"] == 3
    assert "lagging" not in report
    review.report()
    with pytest.raises(Exception, match="3 of 3 items are not proven gone"):
        review.gate()


def test_a_canary_waits_in_the_same_way(bench: Bench) -> None:
    setup = bench(settle_in_place_seconds=0.3, settle_limit_seconds=300, canary_above=0, canary_items=2)
    person = somebody(setup)
    records_of(setup, person, 4)
    review = approved(setup, person, DMS)
    (canary,) = review.canaries
    script(setup, {"kind": "lag", "action": "RevokeUserPermission", "calls": [1], "reads": READS})
    RevokeBatchOperator(task_id="canary", batch=canary).execute(review.context("canary", 0))
    task, context = VerifyCanaryOperator(task_id="verify_canary", batch=canary), review.context("verify_canary", 0)
    deferred(lambda: task.execute(context))
    report = resumed(task, context, 0.6)
    assert report["verified_gone"] == report["items"] == 2
