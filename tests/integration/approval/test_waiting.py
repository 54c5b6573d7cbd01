"""Runs beside each other: a question that waits blocks nobody, and an outdated plan is read again before it is sent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk.exceptions import TaskDeferred

from rescind.model import GrantKey
from rescind.operators.revoke import RevokeBatchOperator
from rescind.systems import system_named
from tests.support.reviews.review import Review, ReviewBench

pytestmark = pytest.mark.sockets

Bench = Callable[..., ReviewBench]
_GONE = ("verified_gone", "record_gone", "still_effective")


def _waiting(bench: Bench, **settings: Any) -> Review:
    """A planned review whose question nobody has answered yet."""
    review = bench(canary_above=100_000, **settings).run("review__1", dry_run=False)
    review.through_plan()
    return review


def _decided(review: Review, choice: str, system: str) -> list[GrantKey]:
    with review.ledger() as ledger:
        run = ledger.runs.find("access_review", review.run_id)
        return [
            grant.key
            for grant, decision in ledger.decisions.each(run.run_id, system=system)
            if decision.choice == choice
            and grant.revocable
            and grant.key.principal_type == "user"
            and (grant.expires_at is None or grant.expires_at > datetime.now(UTC))
        ]


def _someone(review: Review, system: str = "dms_permissions") -> str:
    """A user with grants that the review keeps and grants that it revokes, or at least the latter."""
    kept = Counter(key.principal_id for key in _decided(review, "keep", system))
    going = Counter(key.principal_id for key in _decided(review, "revoke", system))
    return max(going, key=lambda who: (kept[who] > 0, going[who], who))


def _bystander(review: Review) -> str:
    """A user with a grant that the review keeps, in a listing that its verification reads."""
    listing_scope = system_named("dms_permissions").listing_scope
    with review.ledger() as ledger:
        run = ledger.runs.find("access_review", review.run_id)
        decided = list(ledger.decisions.each(run.run_id, system="dms_permissions"))
    read = {listing_scope(grant) for grant, decision in decided if decision.choice == "revoke"}
    kept = [g for g, d in decided if d.rule == "kept.otherwise" and g.revocable and listing_scope(g) in read]
    return next(grant.key.principal_id for grant in kept if grant.key.principal_type == "user")


def _incident(review: Review, who: str | list[str], *systems: str) -> Review:
    """A run about named people, planned and approved."""
    given = {
        "principals": [who] if isinstance(who, str) else who,
        "systems": list(systems),
        "reason": "the account was taken over",
        "dry_run": False,
    }
    run = review.bench.run("incident__1", kind="targets", **given)
    run.through_plan()
    run.approve()
    return run


def _verdicts(review: Review) -> dict[str, str]:
    with review.ledger() as ledger:
        run = ledger.runs.find("access_review", review.run_id)
        return {one.grant_id: str(one.verdict) for one in ledger.verdicts.latest(run.run_id)}


def test_an_incident_runs_to_its_end_while_a_review_waits_and_the_review_finds_it_done(bench: Bench) -> None:
    review = _waiting(bench)
    who = _someone(review)
    planned = {key.grant_id for key in _decided(review, "revoke", "dms_permissions") if key.principal_id == who}
    incident = _incident(review, [who, _bystander(review)], "dms_permissions")
    incident.revoke()
    incident.verify()
    incident.report()
    gone = {name for name, verdict in _verdicts(incident).items() if verdict in _GONE}
    assert planned and planned <= gone
    sent = len(review.bench.emulator.writes())

    review.approve()
    reports = review.revoke()
    assert sum(report["calls"] for report in reports) > 0 and len(review.bench.emulator.writes()) > sent
    review.verify()
    summary = review.report()
    assert summary["problems"] == []
    assert {_verdicts(review)[name] for name in planned} <= {"already_absent", "record_gone", "still_effective"}
    with review.ledger() as ledger:
        run = ledger.runs.find("access_review", review.run_id)
        items = {item.grant_id: item for item in ledger.plans.items(run.run_id)}
        tried = {attempt.call_id for attempt in ledger.attempts.each(run.run_id)}
        assert tried and not {items[name].call_id for name in planned} & tried
        checks = {check.system: check for check in ledger.verdicts.retained(run.run_id)}
    dms = checks["dms_permissions"]
    assert dms.lost == []
    assert dms.detail["removed_by_runs"]["2"] >= 1


def test_a_grant_that_was_given_again_while_the_plan_waited_is_stale(bench: Bench) -> None:
    review = _waiting(bench)
    who = _someone(review)
    planned = {key.grant_id for key in _decided(review, "revoke", "dms_permissions") if key.principal_id == who}
    incident = _incident(review, who, "dms_permissions")
    incident.revoke()
    incident.verify()
    incident.report()
    with review.ledger() as ledger:
        number = ledger.runs.find("access_review", incident.run_id).number
    back = review.bench.restore(run=str(number))
    back.through_plan()
    back.approve()
    back.revoke()
    back.verify()
    back.report()
    given = review.bench.emulator.get("truth")

    review.approve()
    review.revoke()
    with review.ledger() as ledger:
        run = ledger.runs.find("access_review", review.run_id)
        items = {item.grant_id: item for item in ledger.plans.items(run.run_id)}
        states = {str(items[name].state) for name in planned}
    assert states == {"stale"}
    assert all("re-granted since the plan" in items[name].reason for name in planned)
    left = review.bench.emulator.get("truth")
    mine = [row for row in _rows(given) if who in map(str, row.values())]
    assert mine and all(row in _rows(left) for row in mine)


def _rows(truth: dict[str, Any]) -> list[dict[str, Any]]:
    return [row for rows in truth.values() if isinstance(rows, list) for row in rows if "user_access_id" in row]


def test_of_two_approved_runs_the_second_waits_for_the_end_of_the_first(bench: Bench) -> None:
    review = _waiting(bench)
    incident = _incident(review, _someone(review), "dms_permissions")
    review.approve()
    with pytest.raises(TaskDeferred) as waits:
        review.revoke()
    assert review.bench.emulator.writes() == []
    assert (waits.value.method_name, waits.value.trigger.moment is not None) == ("resume", True)
    waiting = RevokeBatchOperator(task_id="revoke", batch=review.batches[0])
    with pytest.raises(TaskDeferred):
        waiting.resume(review.context("revoke", 0), event=None)
    assert review.bench.emulator.writes() == []
    incident.revoke()
    incident.verify()
    incident.report()
    assert waiting.resume(review.context("revoke", 0), event=None)["accepted"] > 0
    review.revoke()
    review.verify()
    assert review.report()["problems"] == []


def test_listings_that_cannot_be_read_again_stop_an_outdated_plan(bench: Bench) -> None:
    review = _waiting(bench, limits={"*": 500.0})
    incident = _incident(review, _someone(review), "dms_permissions")
    incident.revoke()
    incident.verify()
    incident.report()
    review.approve()
    sent = len(review.bench.emulator.writes())
    faults = [
        {"id": action, "kind": "total", "action": action, "delta": 3, "times": 0}
        for action in ("ListDatabaseUserPermssions", "ListInstanceUserPermissions")
    ]
    review.bench.emulator.post("faults", {"faults": faults, "replace": True})
    review.batches = [batch for batch in review.batches if batch["label"].startswith("DMS")]
    with pytest.raises(Exception, match="incomplete"):
        review.revoke()
    assert len(review.bench.emulator.writes()) == sent


def test_the_limit_per_day_of_automatic_approval_is_measured_again_when_the_scope_is_free(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = bench(canary_above=100_000)
    allowed = {"max_revocations": 5000, "max_percent": 100, "systems": ["dms_permissions"],
               "only_rules": ["leaver", "expired"]}  # fmt: skip
    setup.configure(automatic_approval=allowed)
    probe = setup.run("probe__1", dry_run=True, systems=["dms_permissions"])
    probe.through_plan()
    with probe.ledger() as ledger:
        planned = ledger.plans.get(ledger.runs.find("access_review", probe.run_id).run_id).items
    setup.configure(automatic_approval={**allowed, "max_revocations_per_day": planned})
    review = setup.run("review__1", dry_run=False, automatic=True, systems=["dms_permissions"])
    review.through_plan()
    incident = _incident(review, _someone(review), "dms_permissions")
    monkeypatch.setattr(HITLOperator, "execute", lambda self, context: self)
    assert review.approval().execute(review.context("approve"))["by"] == "automatic"
    incident.revoke()
    incident.verify()
    incident.report()
    sent = len(setup.emulator.writes())
    with pytest.raises(Exception, match=f"not allowed now: .* other runs revoked there .* more than {planned} a day"):
        review.revoke()
    assert len(setup.emulator.writes()) == sent
