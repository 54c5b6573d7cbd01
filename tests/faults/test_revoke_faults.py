"""Revocation under faults: whatever the answer was, exactly the approved grants end up gone, and it is proven."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.reviews.review import Review, ReviewBench

pytestmark = pytest.mark.sockets

Bench = Callable[..., ReviewBench]
WRITES = ("RevokePrivileges", "RevokeDataSourceAuthorization", "RevokeUserPermission", "CancelAuthorizationMenu")


def _planned(bench: Bench, *, targeted: bool = False, **settings: Any) -> Review:
    """An approved plan, not yet sent; a ``targeted`` one is of all leavers in DMS, and only they were listed."""
    setup = bench(**settings)
    review = setup.run(dry_run=False)
    if targeted:
        setup.list_people_from_now()
        people = [one["person_id"] for one in setup.emulator.get("org")["people"] if one["status"] == "left"]
        asked = {"principals": people, "systems": ["dms_permissions"], "reason": "leavers"}
        review = setup.run(kind="targets", dry_run=False, **asked)
    review.through_plan()
    review.approve()
    return review


def _script(review: Review, *faults: dict[str, Any]) -> None:
    review.bench.emulator.post("faults", {"faults": list(faults), "replace": True})


def _all_fired(review: Review) -> bool:
    facts = review.bench.emulator.get("faults")
    return bool(facts["all_fired"])


def _finish(review: Review, before: dict[str, Any]) -> dict[str, Any]:
    """Verify and report; exactly the planned grants are gone, whatever happened on the way."""
    review.verify()
    summary = review.report()
    after = review.bench.emulator.get("truth")
    from local.demo.truth import judge
    from tests.support.reviews.journal_check import journal_problems

    assert journal_problems(review) == []

    for judged in judge(before, after, Path(summary["items_file"])):
        assert not judged.unexpected, judged
        if not summary["problems"]:
            assert not judged.left, judged
    return summary


@pytest.mark.parametrize(("action", "targeted"), [*((name, False) for name in WRITES), ("RevokeUserPermission", True)])
@pytest.mark.parametrize("kind", ["reset_after", "reset_before", "close_after", "status_after"])
def test_a_lost_answer_is_read_back_and_never_repeated_blindly(
    bench: Bench, action: str, targeted: bool, kind: str
) -> None:
    review = _planned(bench, targeted=targeted)
    before = review.bench.emulator.get("truth")
    fault = {"id": "lost", "kind": kind, "action": action, "calls": [1, 2]}
    _script(review, {**fault, "status": 502, "body": "html"} if kind == "status_after" else fault)
    review.revoke()
    assert _all_fired(review)
    writes = review.bench.emulator.writes(action)
    executed = [entry for entry in writes if entry["executed"]]
    planned = len(writes) - 2 if kind == "reset_before" else len(writes)
    assert len(executed) == planned
    summary = _finish(review, before)
    assert summary["problems"] == [] and review.gate() == "succeeded"


NOT_NOW = {"kind": "error", "code": "NotSupportYet", "status": 403}
LISTINGS: dict[str, list[dict[str, Any]]] = {
    "RevokePrivileges": [{"kind": "null", "action": "ListPermissions", "path": "Response.Data"}],
    "RevokeDataSourceAuthorization": [
        {"kind": "null", "action": "DescribeDataSourceAuthority", "path": "Response.Data"}
    ],
    "RevokeUserPermission": [
        {"action": "ListDatabaseUserPermssions", **NOT_NOW},
        {"action": "ListInstanceUserPermissions", **NOT_NOW},
    ],
    "CancelAuthorizationMenu": [{"kind": "null", "action": "ListPortalMenuAuthorization", "path": "Result"}],
}
"""For each write, faults of the listings that would show what became of it."""
SYSTEM_OF = dict(
    zip(WRITES, ("wedata_privileges", "wedata_data_sources", "dms_permissions", "quickbi_menus"), strict=True)
)


@pytest.mark.parametrize("action", WRITES)
@pytest.mark.parametrize("kind", ["reset_after", "reset_before"])
def test_a_lost_answer_that_cannot_be_read_back_is_sent_once_and_unverified(
    bench: Bench, action: str, kind: str
) -> None:
    review = _planned(bench, settle_limit_seconds=0.2)
    before = review.bench.emulator.get("truth")
    lost = {"id": "lost", "kind": kind, "action": action, "times": 0}
    blind = [{"id": f"blind {number}", "times": 0, **fault} for number, fault in enumerate(LISTINGS[action])]
    if action == "CancelAuthorizationMenu":  # each portal is read again right before its calls
        portals = {row["portal_id"] for row in review.bench.emulator.get("world")["quickbi_portals"]}
        blind = [{**blind[0], "id": f"blind {one}", "where": {"DataPortalId": one}, "from": 2} for one in portals]
    _script(review, lost, *blind)
    review.batches = [batch for batch in review.batches if batch["batch"] in _batches_of(review, SYSTEM_OF[action])]
    for _ in range(2):  # a retry of the task finds nothing to send either
        review.revoke()
    with review.ledger() as ledger:
        run = ledger.runs.find("access_review", review.run_id)
        calls = [call for call in ledger.plans.calls(run.run_id) if call.planned.system == SYSTEM_OF[action]]
    assert calls and {call.state for call in calls} == {"unknown"}
    assert len(review.bench.emulator.writes(action)) == len(calls)
    summary = _finish(review, before)
    (row,) = [row for row in summary["systems"] if row["system"] == SYSTEM_OF[action]]
    # The listing by user still answers: it shows what was never carried out, and alone it proves nothing absent.
    shown = (action, kind) == ("RevokeUserPermission", "reset_before")
    assert row["still_present" if shown else "unverified"] == row["items"] > 0
    with pytest.raises(Exception, match="not proven gone"):
        review.gate()


def _batches_of(review: Review, system: str) -> set[str]:
    with review.ledger() as ledger:
        run = ledger.runs.find("access_review", review.run_id)
        return {batch.batch_id for batch in ledger.plans.batches(run.run_id) if batch.system == system}


@pytest.mark.parametrize("action", WRITES)
def test_a_throttled_write_is_sent_again_and_counted(bench: Bench, action: str) -> None:
    review = _planned(bench)
    before = review.bench.emulator.get("truth")
    _script(review, {"id": "storm", "kind": "throttle", "action": action, "calls": [1, 2, 3], "retry_after": 1})
    review.revoke()
    assert _all_fired(review)
    summary = _finish(review, before)
    assert summary["problems"] == []
    assert sum(row["throttled"] for row in summary["systems"]) == 3


def test_one_refused_item_delays_no_other_and_turns_the_run_red(bench: Bench) -> None:
    review = _planned(bench)
    before = review.bench.emulator.get("truth")
    target = before["dms_permissions"][0]
    code = {"code": "NotSupportYet", "status": 403}
    _script(review, {"id": "no", "kind": "error", "action": "RevokeUserPermission", "calls": [1], **code})
    review.revoke()
    assert _all_fired(review) and target
    summary = _finish(review, before)
    row = next(r for r in summary["systems"] if r["system"] == "dms_permissions")
    assert row["refused"] == 1 and row["still_present"] == 1
    assert row["verified_gone"] + row["still_effective"] == row["items"] - 1
    assert summary["problems"] == [f"dms_permissions {row['account']}: 1 of {row['items']} items are not proven gone"]
    with pytest.raises(Exception, match=r"1 of .* items are not proven gone"):
        review.gate()


def test_a_call_refused_as_a_whole_is_split_down_to_the_bad_item(bench: Bench) -> None:
    review = _planned(bench, rows_per_call={"quickbi_menus": 1})
    before = review.bench.emulator.get("truth")
    with review.ledger() as ledger:
        run = ledger.runs.find("access_review", review.run_id)
        calls = [c for c in ledger.plans.calls(run.run_id) if c.planned.system == "quickbi_menus"]
        call = max(calls, key=lambda c: len(c.planned.cells()))
        assert len(call.planned.cells()) > 1
    bad = call.planned.rows[0]
    where = {"MenuIds": bad, "DataPortalId": call.planned.container}
    code = {"code": "Menu.NotBelongTo.CurrentDataportal", "status": 400}
    _script(
        review, {"id": "bad", "kind": "error", "action": "CancelAuthorizationMenu", "where": where, "times": 0, **code}
    )
    review.revoke()
    assert _all_fired(review)
    summary = _finish(review, before)
    rows = [json.loads(line) for line in Path(summary["items_file"]).read_text().splitlines()]
    left = [r for r in rows if r["system"] == "quickbi_menus" and r["verdict"] == "still_present"]
    assert left and {r["resource_id"] for r in left} == {bad}
    gone = [r for r in rows if r["system"] == "quickbi_menus" and r["resource_id"] != bad]
    assert gone and all(r["verdict"] in ("verified_gone", "still_effective") for r in gone)


def test_a_platform_that_lags_is_waited_for(bench: Bench) -> None:
    review = _planned(bench)
    before = review.bench.emulator.get("truth")
    _script(review, {"id": "lag", "kind": "lag", "action": "RevokePrivileges", "times": 0, "reads": 2})
    review.revoke()
    summary = _finish(review, before)
    assert summary["problems"] == [] and review.gate() == "succeeded"


def test_a_failed_listing_is_unverified_and_never_gone(bench: Bench) -> None:
    review = _planned(bench)
    before = review.bench.emulator.get("truth")
    review.revoke()
    _script(review, {"id": "null", "kind": "null", "action": "ListPermissions", "path": "Response.Data", "times": 0})
    summary = _finish(review, before)
    row = next(r for r in summary["systems"] if r["system"] == "wedata_privileges")
    assert row["unverified"] == row["items"] > 0 and row["verified_gone"] == 0
    with pytest.raises(Exception, match="not proven gone"):
        review.gate()


def test_an_incomplete_discovery_excludes_its_scope_and_turns_the_run_red(bench: Bench) -> None:
    setup = bench()
    review = setup.run(dry_run=False)
    review.preflight()
    _script(review, {"id": "short", "kind": "total", "action": "ListDatabaseUserPermssions", "delta": 3, "times": 0})
    with pytest.raises(Exception, match="incomplete"):
        review.discover()
    assert _all_fired(review)
    setup.emulator.post("faults", {"faults": [], "replace": True})
    failed = [scope for scope in review.scopes if scope["label"].startswith("DMS")]
    review.scopes = [scope for scope in review.scopes if scope not in failed]
    review.discover()
    review.plan()
    review.approve()
    review.revoke()
    review.scopes += failed
    review.verify()
    summary = review.report()
    assert not setup.emulator.writes("RevokeUserPermission")
    assert setup.emulator.writes("RevokePrivileges")
    assert [p for p in summary["problems"] if p.startswith("dms_permissions") and "incomplete" in p]
    with pytest.raises(Exception, match="dms_permissions"):
        review.gate()


def test_a_key_that_loses_its_right_in_mid_run_stops_the_batch(bench: Bench) -> None:
    review = _planned(bench)
    code = {"code": "UnauthorizedOperation", "message": "no"}
    _script(review, {"id": "no", "kind": "error", "action": "RevokePrivileges", "times": 0, **code})
    review.batches = [b for b in review.batches if b["label"].startswith("WeData privileges")]
    with pytest.raises(Exception, match="UnauthorizedError"):
        review.revoke()
    assert len(review.bench.emulator.writes("RevokePrivileges")) <= 16


def test_the_emulator_down_in_mid_run_is_an_error_and_the_run_resumes(bench: Bench) -> None:
    review = _planned(bench)
    before = review.bench.emulator.get("truth")
    _script(review, {"id": "down", "kind": "reset_before", "action": "*", "times": 0})
    with pytest.raises(Exception, match=r"connection|exchange|answer|Unknown|Transient"):
        review.revoke()
    review.bench.emulator.post("faults", {"faults": [], "replace": True})
    review.revoke()
    summary = _finish(review, before)
    assert summary["problems"] == [] and review.gate() == "succeeded"


def test_the_kill_switch_stops_between_calls_and_the_run_resumes(bench: Bench) -> None:
    review = _planned(bench)
    before = review.bench.emulator.get("truth")
    with review.ledger() as ledger:
        ledger.kill_switch.stop("ada", "an incident")
    with pytest.raises(Exception, match="Stopped"):
        review.revoke()
    assert review.bench.emulator.writes() == []
    with review.ledger() as ledger:
        ledger.kill_switch.resume("ada", "it is over")
    review.revoke()
    assert _finish(review, before)["problems"] == []


def test_running_a_batch_again_changes_nothing(bench: Bench) -> None:
    review = _planned(bench)
    before = review.bench.emulator.get("truth")
    review.revoke()
    writes = len(review.bench.emulator.writes())
    review.revoke()
    assert len(review.bench.emulator.writes()) == writes
    assert _finish(review, before)["problems"] == []
