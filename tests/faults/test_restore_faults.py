"""Restore under faults: nothing is granted twice, nothing beside the items, and open items are reported."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from rescind.systems import system_named
from tests.integration.restore.test_restore import GIVES, approved, items, number_of, reviewed, truth
from tests.support.reviews.review import Restore, ReviewBench

pytestmark = pytest.mark.sockets

Bench = Callable[..., ReviewBench]


def _ready(bench: Bench, system: str, **settings: Any) -> tuple[Restore, Any, Any]:
    """An approved restore of one system, and the truth before the review and after it."""
    setup = bench(**settings)
    before = truth(setup)
    review = reviewed(setup, systems=[system])
    return approved(setup, review), before, truth(setup)


def _script(restore: Restore, *faults: dict[str, Any]) -> None:
    restore.bench.emulator.post("faults", {"faults": list(faults), "replace": True})


def _fired(restore: Restore) -> bool:
    return bool(restore.bench.emulator.get("faults")["all_fired"])


def _finish(restore: Restore, before: Any) -> dict[str, Any]:
    """Verify and report: everything except skipped grants is present again, and nothing else."""
    restore.verify()
    summary = restore.report()
    now = truth(restore.bench)
    assert not any((now[system] - before[system]).total() for system in now)
    if not summary["problems"]:
        left = [row for row in items(summary) if row["state"] == "held"]
        assert sum((before[system] - now[system]).total() for system in now) == len(left)
    return summary


@pytest.mark.parametrize("action", GIVES)
@pytest.mark.parametrize("kind", ["reset_after", "reset_before"])
def test_a_lost_answer_is_read_back_and_nothing_is_given_twice(bench: Bench, action: str, kind: str) -> None:
    restore, before, _ = _ready(bench, GIVES[action], settle_limit_seconds=1)
    _script(restore, {"id": "lost", "kind": kind, "action": action, "calls": [1, 2]})
    restore.revoke()
    assert _fired(restore)
    executed = [entry for entry in restore.bench.emulator.writes(action) if entry["executed"]]
    summary = _finish(restore, before)
    assert summary["problems"] == [] and restore.gate() == "succeeded"
    assert len(executed) == summary["calls"]


def test_a_record_that_shows_late_after_a_lost_answer_is_not_given_twice(bench: Bench) -> None:
    """The lag is longer than two reads take, so only waiting as long as verification would can tell."""
    restore, before, _ = _ready(bench, "dms_permissions", settle_limit_seconds=12)
    action = "GrantUserPermission"
    _script(
        restore,
        {"id": "lag", "kind": "lag", "action": action, "calls": [1], "seconds": 4},
        {"id": "lost", "kind": "reset_after", "action": action, "calls": [1]},
    )
    restore.revoke()
    assert _fired(restore)
    executed = [entry["params"] for entry in restore.bench.emulator.writes(action) if entry["executed"]]
    summary = _finish(restore, before)
    assert summary["problems"] == [] and len(executed) == summary["calls"]


@pytest.mark.parametrize("action", GIVES)
def test_a_throttled_restore_is_sent_again_and_counted(bench: Bench, action: str) -> None:
    restore, before, _ = _ready(bench, GIVES[action])
    _script(restore, {"id": "storm", "kind": "throttle", "action": action, "calls": [1, 2], "retry_after": 1})
    restore.revoke()
    assert _fired(restore)
    summary = _finish(restore, before)
    assert summary["problems"] == [] and sum(row["throttled"] for row in summary["systems"]) == 2


def test_the_kill_switch_stops_a_restore_and_the_run_resumes(bench: Bench) -> None:
    restore, before, after = _ready(bench, "dms_permissions")
    with restore.ledger() as ledger:
        ledger.kill_switch.stop("ada", "an incident")
    with pytest.raises(Exception, match="Stopped"):
        restore.revoke()
    assert truth(restore.bench) == after and not restore.bench.emulator.writes("GrantUserPermission")
    with restore.ledger() as ledger:
        ledger.kill_switch.resume("ada", "it is over")
    restore.revoke()
    assert _finish(restore, before)["problems"] == []


@pytest.mark.parametrize("executed", [True, False])
@pytest.mark.parametrize("action", GIVES)
def test_killed_between_intent_and_outcome_the_next_try_reads_first(bench: Bench, action: str, executed: bool) -> None:
    restore, before, _ = _ready(bench, GIVES[action], settle_limit_seconds=1)
    fault = {"id": "down", "kind": "reset_after" if executed else "reset_before", "action": action, "calls": [1]}
    _script(restore, fault)
    with restore.ledger() as ledger, pytest.MonkeyPatch.context() as patch:

        def killed(*_: Any, **__: Any) -> None:
            raise RuntimeError("killed")

        patch.setattr("rescind.ledger.plans.attempts.Attempts.finish", killed)
        with pytest.raises(BaseException, match="killed"):
            restore.revoke()
        run = ledger.runs.find("restore_access", restore.run_id)
        assert "sent" in {call.state for call in ledger.plans.calls(run.run_id)}
    _script(restore)
    restore.revoke()
    summary = _finish(restore, before)
    assert summary["problems"] == [] and restore.gate() == "succeeded"


def test_one_refused_item_delays_no_other_and_turns_the_run_red(bench: Bench) -> None:
    restore, before, _ = _ready(bench, "dms_permissions")
    code = {"code": "NotSupportYet", "status": 403}
    _script(restore, {"id": "no", "kind": "error", "action": "GrantUserPermission", "calls": [1], **code})
    restore.revoke()
    assert _fired(restore)
    summary = _finish(restore, before)
    (row,) = summary["systems"]
    assert row["refused"] == 1 and row["restored"] == row["items"] - 1
    assert summary["problems"] == [f"dms_permissions {row['account']}: 1 of {row['items']} items are not restored"]
    with pytest.raises(Exception, match="items are not restored"):
        restore.gate()


def test_a_failed_listing_proves_nothing_restored(bench: Bench) -> None:
    restore, before, _ = _ready(bench, "wedata_privileges", settle_limit_seconds=1)
    restore.revoke()
    _script(restore, {"id": "null", "kind": "null", "action": "ListPermissions", "path": "Response.Data", "times": 0})
    summary = _finish(restore, before)
    (row,) = summary["systems"]
    assert row["restored"] == 0 and row["unverified"] == row["items"] > 0
    with pytest.raises(Exception, match="items are not restored"):
        restore.gate()


LISTINGS = ("ListUserPermissions", "ListInstanceUserPermissions", "ListDatabaseUserPermssions")
"""The requests that list DMS records."""


def _one_record(bench: Bench, **settings: Any) -> tuple[Restore, Any]:
    """An approved restore of one DMS record whose listing shows others too, and the truth before it."""
    setup = bench(**settings)
    review = reviewed(setup, systems=["dms_permissions"])
    probe = setup.restore("probe", run=number_of(review), dry_run=True)
    probe.through_plan()
    with probe.ledger() as ledger:
        run = ledger.runs.find(probe.dag_id, probe.run_id)
        source = ledger.plans.get(run.run_id).source_run_id
        ids = {item.grant_id for item in ledger.plans.items(run.run_id)}
        place = system_named("dms_permissions").listing_scope
        every = list(ledger.snapshot.grants(source, system="dms_permissions"))
        kept = {place(grant) for grant in every if grant.grant_id not in ids}
        sent = {item.grant_id for item in ledger.plans.items(run.run_id) if item.call_id}
        one = next(grant.grant_id for grant in every if grant.grant_id in sent and place(grant) in kept)
    return approved(setup, review, grants=[one]), truth(setup)["dms_permissions"]


def _unread(first: int = 1) -> list[dict[str, Any]]:
    """Every listing of DMS records from this one on is short."""
    short = {"kind": "total", "delta": 3, "times": 0, "from": first}
    return [{"id": f"unread {action}", "action": action, **short} for action in LISTINGS]


def _listings(restore: Restore) -> int:
    """How many listings of DMS records the emulator has answered."""
    return sum(entry.get("action") in LISTINGS for entry in restore.bench.emulator.get("journal")["entries"])


def _back(restore: Restore, after: Any) -> bool:
    """Verify and report: whether the one record came back, and nothing else has changed."""
    restore.verify()
    summary = restore.report()
    now = truth(restore.bench)["dms_permissions"]
    (row,) = summary["systems"]
    return summary["problems"] == [] and row["restored"] == (now - after).total() == 1 and not after - now


def _states(restore: Restore) -> tuple[set[str], set[str]]:
    with restore.ledger() as ledger:
        run = ledger.runs.find(restore.dag_id, restore.run_id)
        return (
            {str(call.state) for call in ledger.plans.calls(run.run_id)},
            {str(item.state) for item in ledger.plans.items(run.run_id)},
        )


def test_a_place_that_cannot_be_read_right_before_the_call_gets_nothing(bench: Bench) -> None:
    restore, after = _one_record(bench)
    _script(restore, *_unread())
    with pytest.raises(Exception, match=r"is incomplete: \d+ rows declared"):
        restore.revoke()
    assert not restore.bench.emulator.writes("GrantUserPermission")
    assert _states(restore) == ({"pending"}, {"approved"})
    _script(restore)
    restore.revoke()
    assert _back(restore, after)


@pytest.mark.parametrize("executed", [True, False])
def test_after_a_lost_answer_a_place_that_cannot_be_read_is_not_an_absent_grant(bench: Bench, executed: bool) -> None:
    restore, after = _one_record(bench, settle_limit_seconds=1)
    lost = "reset_after" if executed else "reset_before"
    _script(restore, {"id": "down", "kind": lost, "action": "GrantUserPermission", "calls": [1]})
    with pytest.MonkeyPatch.context() as patch:

        def killed(*_: Any, **__: Any) -> None:
            raise RuntimeError("killed")

        patch.setattr("rescind.ledger.plans.attempts.Attempts.finish", killed)
        with pytest.raises(BaseException, match="killed"):
            restore.revoke()
    _script(restore, *_unread())
    restore.revoke()
    assert len(restore.bench.emulator.writes("GrantUserPermission")) == 1
    calls, states = _states(restore)
    assert calls <= {"sent", "unknown"} and states <= {"sent", "unknown"}
    (report,) = restore.verify()
    assert (report["items"], report["restored"]) == (1, 0) and "incomplete" in report["problem"]
    _script(restore)
    restore.revoke()
    assert len(restore.bench.emulator.writes("GrantUserPermission")) == (1 if executed else 2)
    assert _back(restore, after)


def test_a_verification_whose_second_read_fails_proves_nothing_restored(bench: Bench) -> None:
    restore, after = _one_record(bench, settle_limit_seconds=1)
    start = _listings(restore)
    restore.revoke()
    one_read = _listings(restore) - start
    assert one_read > 0 and len(restore.bench.emulator.writes("GrantUserPermission")) == 1
    _script(restore, *_unread(first=one_read + 1))
    (report,) = restore.verify()
    assert (report["items"], report["restored"]) == (1, 0) and "incomplete" in report["problem"]
    assert report["kept_compared"] == 0  # the first read is old by now
    summary = restore.report()
    assert [row["unverified"] for row in summary["systems"]] == [1]
    with pytest.raises(Exception, match="1 of 1 items are not restored"):
        restore.gate()
    _script(restore)
    assert _back(restore, after) and restore.gate() == "succeeded"
    with restore.ledger() as ledger:
        (check,) = ledger.verdicts.retained(ledger.runs.find(restore.dag_id, restore.run_id).run_id)
        assert check.complete and check.compared > 0


def test_a_place_that_cannot_be_read_before_the_plan_is_left_alone(bench: Bench) -> None:
    setup = bench()
    review = reviewed(setup, systems=["quickbi_menus", "dms_permissions"])
    restore = setup.restore(run="1")
    restore.preflight()
    fault = {"kind": "total", "action": "ListDatabaseUserPermssions", "delta": 3, "times": 0}
    setup.emulator.post("faults", {"faults": [{"id": "short", **fault}], "replace": True})
    with pytest.raises(Exception, match="incomplete"):
        restore.discover()
    setup.emulator.post("faults", {"faults": [], "replace": True})
    scopes = restore.scopes
    restore.scopes = [scope for scope in scopes if scope["label"].startswith("Quick BI")]
    restore.discover()
    restore.plan()
    restore.approve()
    restore.revoke()
    restore.scopes = scopes
    restore.verify()
    summary = restore.report()
    assert review.run_id and setup.emulator.writes("AuthorizeMenu")
    assert not setup.emulator.writes("GrantUserPermission")
    assert [problem for problem in summary["problems"] if problem.startswith("dms_permissions")]
    assert {row["reason"] for row in items(summary) if row["system"] == "dms_permissions"} == {
        "its listing scope could not be read"
    }
