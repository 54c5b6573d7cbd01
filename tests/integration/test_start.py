"""What starts a run decides what the run may do, and how it is recorded; a name decides nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.review import ReviewBench

Bench = Callable[..., ReviewBench]


@pytest.mark.parametrize(
    ("run_type", "user", "explicit", "dry_run", "kind"),
    [
        ("scheduled", "", {}, False, "scheduled"),
        ("scheduled", "", {"dry_run": True}, True, "scheduled"),
        ("manual", "scheduler", {}, True, "manual"),
        ("operator_triggered", "", {"dry_run": True}, True, "triggered"),
        ("operator_triggered", "", {}, True, "triggered"),
        ("operator_triggered", "rita", {"dry_run": False}, False, "triggered"),
        ("asset_triggered", "", {}, True, "triggered"),
        ("backfill", "rita", {}, True, "triggered"),
    ],
)
def test_only_the_schedule_is_enforced(
    bench: Bench, run_type: str, user: str, explicit: dict[str, bool], dry_run: bool, kind: str
) -> None:
    setup = bench(enforce_scheduled=True)
    review = setup.run("r", user=user, systems=["dms_permissions"], **explicit)
    review.run_type = run_type
    review.preflight()
    with review.ledger() as ledger:
        run = ledger.runs.find("access_review", "r")
    assert (run.dry_run, run.kind, run.requested_by) == (dry_run, kind, user)
    assert run.requester == (user or {"scheduled": "the schedule"}.get(kind, "no person"))


def test_an_approver_called_scheduler_may_approve_what_the_schedule_asks_for(bench: Bench) -> None:
    setup = bench(enforce_scheduled=True, approvers=["scheduler"])
    review = setup.run("r", user="", systems=["dms_permissions"])
    review.run_type = "scheduled"
    review.through_plan()
    review.approve("scheduler")
    with review.ledger() as ledger:
        run = ledger.runs.find("access_review", "r")
        approval = ledger.approvals.get(run.run_id, ledger.plans.get(run.run_id).digest)
    assert (approval.answer, approval.responded_by, approval.requested_by) == ("approve", "scheduler", "")
