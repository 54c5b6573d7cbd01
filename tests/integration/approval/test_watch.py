"""Watching what was proven gone: returns are seen with their source, what failed is never called gone."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.integration.restore.test_restore import GIVES, approved, items, reviewed
from tests.support.reviews.review import Review, ReviewBench
from tests.support.servers.postgres import tampering

pytestmark = pytest.mark.sockets

Bench = Callable[..., ReviewBench]


def watched(run_id: str = "scheduled__1") -> dict[str, Any]:
    """One watching run up to its summary."""
    from rescind.operators.watch import WatchOperator

    facts = WatchOperator(task_id="watch").execute(context(run_id))
    summary: dict[str, Any] = json.loads(Path(facts["summary"]).read_text(encoding="utf-8"))
    return summary


def gate(run_id: str = "scheduled__1") -> dict[str, int]:
    from rescind.operators.watch import WatchGateOperator

    facts: dict[str, int] = WatchGateOperator(task_id="gate").execute(context(run_id))
    return facts


def context(run_id: str) -> dict[str, Any]:
    return {"dag_run": SimpleNamespace(dag_id="watch_regrants", run_id=run_id, conf={}), "params": {}}


def gone(setup: ReviewBench, before: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """For each system, one row of the truth that the review took away."""
    now = setup.emulator.get("truth")
    return {
        system: next(row for row in before[system] if row not in now[system])
        for system in GIVES.values()
        if before[system] != now[system]
    }


def give(setup: ReviewBench, rows: dict[str, dict[str, Any]]) -> None:
    operations = [{"op": "grant", "system": system, **row} for system, row in rows.items()]
    assert all(setup.emulator.post("mutate", {"actor": "a colleague", "ops": operations})["changed"])


def proven(review: Review) -> int:
    """Items of the review whose record was proven gone."""
    return sum(row["verdict"] in ("verified_gone", "record_gone", "still_effective") for row in items(review.report()))


def test_returns_are_seen_in_every_system_and_told_with_their_source(bench: Bench) -> None:
    setup = bench()
    before = setup.emulator.get("truth")
    review = reviewed(setup)
    quiet = watched("scheduled__0")
    assert quiet["watched"] == quiet["still_gone"] == proven(review) > 0
    assert gate("scheduled__0") == {"returned": 0, "not_checked": 0}

    back = gone(setup, before)
    back["quickbi_menus"]["auth_points"] = 1 if back["quickbi_menus"]["auth_points"] == 3 else 3
    back["dms_permissions"]["origin"] = "Granted by a colleague"
    give(setup, back)
    writes = len(setup.emulator.writes())
    summary = watched()
    assert summary["returned"] == summary["first"] == 4 and summary["not_checked"] == 0
    seen = {one["system"]: one for one in summary["returns"]}
    assert set(seen) == set(GIVES.values())
    assert seen["dms_permissions"]["seen_origin"] == "Granted by a colleague"
    assert seen["dms_permissions"]["seen_native_id"] not in ("", back["dms_permissions"]["user_access_id"])
    assert seen["dms_permissions"]["seen_created"]
    assert seen["quickbi_menus"]["seen_entitlement"] != seen["quickbi_menus"]["entitlement"]
    with pytest.raises(Exception, match=r"came back with .* on .*, which run 1 had proven gone"):
        gate()
    assert len(setup.emulator.writes()) == writes
    with review.ledger() as ledger:
        run = ledger.runs.find("access_review", review.run_id)
        assert len(ledger.views.returns(run.number, {run.dag_id})) == 4


def test_a_return_alarms_once_and_again_where_that_is_asked_for(bench: Bench) -> None:
    setup = bench()
    before = setup.emulator.get("truth")
    reviewed(setup, systems=["quickbi_menus"])
    give(setup, gone(setup, before))
    assert watched("scheduled__1")["first"] == 1
    # The same run again, after a retry, still knows that it was the first to see it.
    assert watched("scheduled__1")["first"] == 1
    with pytest.raises(Exception, match="came back"):
        gate("scheduled__1")
    assert watched("scheduled__2")["first"] == 0
    assert gate("scheduled__2") == {"returned": 1, "not_checked": 0}
    setup.configure(watch_alarm="any")
    with pytest.raises(Exception, match="is still back"):
        gate("scheduled__2")
    setup.configure(watch_alarm="none")
    assert gate("scheduled__1")["returned"] == 1


def test_a_listing_that_fails_is_not_checked_and_never_gone(bench: Bench) -> None:
    setup = bench()
    reviewed(setup, systems=["wedata_privileges", "quickbi_menus"])
    null = {"id": "null", "kind": "null", "action": "ListPermissions", "path": "Response.Data", "times": 0}
    setup.emulator.post("faults", {"faults": [null], "replace": True})
    rows = {row["system"]: row for row in watched()["systems"]}
    assert rows["wedata_privileges"]["still_gone"] == 0
    assert rows["wedata_privileges"]["not_checked"] == rows["wedata_privileges"]["watched"] > 0
    assert rows["quickbi_menus"]["not_checked"] == 0 < rows["quickbi_menus"]["still_gone"]
    with pytest.raises(Exception, match=r"wedata_privileges .* not checked, .*ListPermissions"):
        gate()


def test_a_connection_that_is_gone_stops_no_other_and_says_nothing(bench: Bench) -> None:
    setup = bench()
    reviewed(setup, systems=["dms_permissions", "quickbi_menus"])
    setup.monkeypatch.delenv("AIRFLOW_CONN_DMS_DEFAULT")
    rows = {row["system"]: row for row in watched()["systems"]}
    assert rows["dms_permissions"]["not_checked"] == rows["dms_permissions"]["watched"] > 0
    assert "dms_default" in rows["dms_permissions"]["problem"]
    assert rows["quickbi_menus"]["still_gone"] > 0


def test_a_gate_without_its_watch_is_red(bench: Bench) -> None:
    reviewed(bench(), systems=["quickbi_menus"])
    with pytest.raises(Exception, match="grants were not checked"):
        gate()


def test_what_was_restored_on_purpose_is_no_regrant(bench: Bench) -> None:
    setup = bench()
    review = reviewed(setup, systems=["dms_permissions"])
    restore = approved(setup, review)
    restore.revoke()
    restore.verify()
    assert restore.report()["problems"] == []
    summary = watched()
    assert summary["returned"] == 0 and summary["watched"] == sum(
        row["state"] == "held" for row in items(restore.report())
    )


def test_after_the_days_that_are_set_nothing_is_watched_any_more(bench: Bench) -> None:
    setup = bench(watch_days=3)
    reviewed(setup, systems=["quickbi_menus"])
    assert watched()["watched"] > 0
    with tampering(setup.ledger_dsn) as connection:
        long_ago = datetime.now(UTC) - timedelta(days=4)
        connection.execute("UPDATE rescind.run SET finished_at = %s", (long_ago,))
    assert watched("scheduled__2")["watched"] == 0
    assert gate("scheduled__2") == {"returned": 0, "not_checked": 0}


def test_each_place_is_read_once(bench: Bench) -> None:
    setup = bench()
    reviewed(setup, systems=["dms_permissions"])
    with setup.run().ledger() as ledger:
        run = ledger.runs.find("access_review", "manual__1")
        from rescind.systems import system_named

        system = system_named("dms_permissions")
        due = list(ledger.regrants.due(datetime.now(UTC) - timedelta(days=1)))
        listings = {system.listing_scope(one.grant) for one in due}
        assert run is not None and len(due) > len(listings)
    assert watched()["list_calls"] == len(listings)
