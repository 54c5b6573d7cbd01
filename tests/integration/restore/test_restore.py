"""Restore, judged by the emulator's ground truth and journal."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.reviews.review import Restore, Review, ReviewBench
from tests.support.servers.postgres import tampering

Bench = Callable[..., ReviewBench]
GIVES = {
    "AuthorizePrivileges": "wedata_privileges",
    "AuthorizeDataSource": "wedata_data_sources",
    "GrantUserPermission": "dms_permissions",
    "AuthorizeMenu": "quickbi_menus",
}
NEW_WITH_EVERY_RECORD = ("user_access_id", "create_date", "origin")
"""What the vendor creates again when a DMS permission is granted again."""


def reviewed(setup: ReviewBench, **params: Any) -> Review:
    """A whole review that took something away and was proven."""
    review = setup.run(dry_run=False, **params)
    assert review.whole()["problems"] == []
    return review


def shape(row: dict[str, Any]) -> str:
    """A row of the truth as far as a restore can bring it about."""
    return json.dumps({k: v for k, v in row.items() if k not in NEW_WITH_EVERY_RECORD}, sort_keys=True)


def truth(setup: ReviewBench) -> dict[str, Counter[str]]:
    """The emulator's truth of the four systems, row by row."""
    rows = setup.emulator.get("truth")
    return {system: Counter(map(shape, rows[system])) for system in GIVES.values()}


def number_of(review: Review) -> str:
    with review.ledger() as ledger:
        return str(ledger.runs.find(review.dag_id, review.run_id).number)


def approved(setup: ReviewBench, review: Review, **params: Any) -> Restore:
    restore = setup.restore(run=number_of(review), **params)
    restore.through_plan()
    restore.approve()
    return restore


def items(summary: dict[str, Any]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(summary["items_file"]).read_text().splitlines()]


def test_the_drill_review_revoke_restore_leaves_everything_as_it_was(bench: Bench) -> None:
    setup = bench()
    before = truth(setup)
    review = reviewed(setup)
    assert truth(setup) != before
    revokes = len(setup.emulator.writes())
    restore = approved(setup, review)
    restore.revoke()
    restore.verify()
    summary = restore.report()

    assert summary["problems"] == [] and restore.gate() == "succeeded"
    after = truth(setup)
    gone = {system: before[system] - after[system] for system in before}
    new = {system: after[system] - before[system] for system in before}
    assert not any(new.values()), new
    left = Counter(row["system"] for row in items(summary) if row["state"] == "held")
    assert {system: rows.total() for system, rows in gone.items() if rows} == dict(left)
    for row in summary["systems"]:
        assert row["restored"] == row["items"] > 0, row
        assert row["kept_lost"] == row["beyond"] == 0
    gave = [entry["action"] for entry in setup.emulator.writes()[revokes:]]
    assert set(gave) == set(GIVES) and len(gave) == summary["calls"]


def test_the_bundle_of_a_restore_verifies(bench: Bench) -> None:
    from rescind.cli import main
    from rescind.cli.evidence import UNCHECKED

    setup = bench()
    restore = approved(setup, reviewed(setup, systems=["quickbi_menus"]))
    restore.revoke()
    restore.verify()
    assert main(["evidence", "verify", restore.report()["bundle"]]) == UNCHECKED


def test_a_dry_run_plans_and_sends_nothing(bench: Bench) -> None:
    setup = bench()
    review = reviewed(setup, systems=["dms_permissions"])
    now, writes = truth(setup), len(setup.emulator.writes())
    restore = setup.restore(run=number_of(review), dry_run=True)
    restore.through_plan()
    assert restore.batches == []
    assert [facts["items"] for facts in restore.verify()] == [0]
    summary = restore.report()
    assert summary["state"] == restore.gate() == "dry_run" and summary["calls"] > 0
    assert truth(setup) == now and len(setup.emulator.writes()) == writes


def test_only_what_the_form_chooses_comes_back(bench: Bench) -> None:
    setup = bench()
    before = truth(setup)["dms_permissions"]
    review = reviewed(setup, systems=["dms_permissions"])
    gone = before - truth(setup)["dms_permissions"]
    person = max(map(json.loads, gone), key=lambda row: row["expire_date"])["user_id"]
    restore = approved(setup, review, principals=[person])
    restore.revoke()
    restore.verify()
    summary = restore.report()
    assert summary["problems"] == []
    back = gone - (before - truth(setup)["dms_permissions"])
    assert back and {json.loads(row)["user_id"] for row in back} == {person}
    asked = sum(times for row, times in gone.items() if json.loads(row)["user_id"] == person)
    assert asked == len(items(summary)) == back.total() + sum(row["state"] == "held" for row in items(summary))


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"run": "4711"}, "is not a run of this ledger"),
        ({"run": "1; drop"}, "trigger form: run"),
        ({"grants": ["0" * 64]}, "1 were not revoked by run 1"),
        ({"principals": ["nobody"]}, "select none of the"),
        ({"systems": ["elsewhere"]}, "unknown 'elsewhere'"),
        ({"reason": "why"}, "reason: is shorter than 5"),
        ({"force": True}, "unknown 'force'"),
        ({"max_restores": 0}, "max_restores: is 0"),
    ],
)
def test_a_request_that_cannot_be_meant_is_refused(
    bench: Bench, reviewed_once: Review, asked: dict[str, Any], message: str
) -> None:
    with pytest.raises(Exception, match=message):
        reviewed_once.bench.restore(**{"run": "1", **asked}).preflight()


@pytest.fixture
def reviewed_once(bench: Bench) -> Review:
    return reviewed(bench(), systems=["quickbi_menus"])


def test_what_took_nothing_away_cannot_be_undone(reviewed_once: Review) -> None:
    setup = reviewed_once.bench
    dry = setup.run("dry", systems=["quickbi_menus"])
    dry.through_plan()
    dry.report()
    with pytest.raises(Exception, match="run: 2 is a dry run"):
        setup.restore(run="2").preflight()
    restore = approved(setup, reviewed_once)
    with pytest.raises(Exception, match="run: 3 is itself a restore"):
        setup.restore("again", run="3").preflight()
    restore.revoke()


def test_a_restore_needs_connections_of_its_own(reviewed_once: Review) -> None:
    setup = reviewed_once.bench
    granting = setup.settings["granting_connections"]
    with pytest.raises(Exception, match=r"no granting connection for quickbi_menus.*AuthorizeMenu"):
        setup.configure(granting_connections={})
        setup.restore(run="1").preflight()
    with pytest.raises(Exception, match=r"name quickbi_default, which is also used to revoke"):
        setup.configure(granting_connections={**granting, "quickbi_menus": ["quickbi_default"]})
        setup.restore(run="1").preflight()
    setup.configure(granting_connections=granting)
    foreign = setup.emulator.key("alibaba", "foreign-account")
    value = json.loads(os.environ["AIRFLOW_CONN_QUICKBI_GRANTING"])
    value |= {"login": foreign["key_id"], "password": foreign["secret"]}
    setup.monkeypatch.setenv("AIRFLOW_CONN_QUICKBI_GRANTING", json.dumps(value))
    with pytest.raises(Exception, match=r"'quickbi_granting' answers for 1600000000000002"):
        setup.restore(run="1").preflight()


def test_the_granting_key_gives_and_the_revoking_key_only_reads(reviewed_once: Review) -> None:
    setup = reviewed_once.bench
    restore = approved(setup, reviewed_once)
    restore.revoke()
    granting = setup.emulator.key("alibaba", "second-application")["user"]
    entries = [e for e in setup.emulator.get("journal")["entries"] if e.get("action") == "AuthorizeMenu"]
    assert entries and {entry["actor"] for entry in entries} == {granting}


def test_nothing_is_restored_without_an_approval_of_exactly_this_plan(bench: Bench) -> None:
    setup = bench()
    before = setup.emulator.get("truth")["quickbi_menus"]
    reviewed(setup, systems=["quickbi_menus"])
    after = setup.emulator.get("truth")["quickbi_menus"]
    writes = len(setup.emulator.writes())
    restore = setup.restore(run="1", user="rita")
    restore.through_plan()
    with pytest.raises(Exception, match="NotApprovedError"):
        restore.revoke()
    with pytest.raises(Exception, match="approvers"):
        restore.approve(user="vera")
    with pytest.raises(Exception, match="the requester cannot approve"):
        restore.approve(user="rita")
    restore.approve()
    setup.configure(max_restores=499)
    with pytest.raises(Exception, match="setting 'max_restores' is 499 now and was 500 when the plan was approved"):
        restore.revoke()
    setup.configure(max_restores=500, granting_connections={**setup.settings["granting_connections"], "x": ["y"]})
    with pytest.raises(Exception, match="setting 'granting_connections'"):
        restore.revoke()
    del setup.settings["granting_connections"]["x"]
    setup.configure()
    again = {"op": "grant", "system": "quickbi_menus", **next(row for row in before if row not in after)}
    assert setup.emulator.post("mutate", {"ops": [again]})["changed"] == [True]
    restore.discover()
    restore.plan()
    with pytest.raises(Exception, match="no approval was requested"):
        restore.revoke()
    assert len(setup.emulator.writes()) == writes


def test_a_plan_to_restore_is_no_plan_to_revoke(reviewed_once: Review) -> None:
    from rescind.operators.revoke import RevokeBatchOperator

    restore = approved(reviewed_once.bench, reviewed_once)
    with pytest.raises(Exception, match="has the operation 'restore'; this task can only revoke"):
        RevokeBatchOperator(task_id="revoke", batch=restore.batches[0]).execute(restore.context("restore", 0))
    restore.revoke()


def test_levels_come_from_the_approved_digest_whatever_the_stored_calls_say(reviewed_once: Review) -> None:
    setup = reviewed_once.bench
    restore = approved(setup, reviewed_once)
    with tampering(setup.ledger_dsn) as connection:
        connection.execute("""
            UPDATE rescind.call
            SET inverse = replace(inverse::text, '"AuthPointsValue": 1', '"AuthPointsValue": 3')::jsonb
        """)
    restore.revoke()
    restore.verify()
    assert restore.report()["problems"] == []


def test_changed_effects_restore_nothing(reviewed_once: Review) -> None:
    setup = reviewed_once.bench
    restore = approved(setup, reviewed_once)
    writes = len(setup.emulator.writes())
    with tampering(setup.ledger_dsn) as connection:
        connection.execute("""
            UPDATE rescind.plan_effect SET chunk = convert_to(replace(convert_from(chunk, 'UTF8'),
            '"AuthPointsValue":1', '"AuthPointsValue":3'), 'UTF8') WHERE convert_from(chunk, 'UTF8') LIKE '{"guards"%'
        """)
    with pytest.raises(Exception, match="do not match this digest"):
        restore.revoke()
    assert len(setup.emulator.writes()) == writes


def test_the_cap_stops_a_restore_before_any_plan(reviewed_once: Review) -> None:
    restore = reviewed_once.bench.restore(run="1", max_restores=1)
    restore.preflight()
    restore.discover()
    with pytest.raises(Exception, match=r"GuardTrippedError.*cap_restores.*limit 1 grants"):
        restore.plan()


def test_a_second_restore_finds_everything_there_and_sends_nothing(reviewed_once: Review) -> None:
    setup = reviewed_once.bench
    first = approved(setup, reviewed_once)
    first.revoke()
    first.verify()
    assert first.report()["problems"] == []
    second = setup.restore("restore__2", run="1")
    second.through_plan()
    assert second.batches == []
    summary = second.report()
    assert summary["calls"] == 0 and second.gate() == "succeeded"
    assert {row["state"] for row in items(summary)} <= {"restored", "held"}


@pytest.mark.parametrize("late", [False, True], ids=["before the plan", "after the approval"])
def test_what_somebody_gave_again_is_left_alone(bench: Bench, late: bool) -> None:
    setup = bench()
    before = setup.emulator.get("truth")
    review = reviewed(setup)
    after = setup.emulator.get("truth")
    again = {system: next(row for row in before[system] if row not in after[system]) for system in GIVES.values()}
    level = again["quickbi_menus"]["auth_points"]
    again["quickbi_menus"]["auth_points"] = 3 if level == 1 else 1
    operations = [{"op": "grant", "system": system, **row} for system, row in again.items()]
    restore = setup.restore(run=number_of(review))
    if not late:
        assert all(setup.emulator.post("mutate", {"ops": operations})["changed"])
    restore.through_plan()
    restore.approve()
    if late:
        assert all(setup.emulator.post("mutate", {"ops": operations})["changed"])
    restore.revoke()
    restore.verify()
    summary = restore.report()
    assert summary["problems"] == []
    ended = items(summary)
    alone = [row for row in ended if "nothing was sent" in row["reason"]]
    assert Counter(row["system"] for row in alone) == Counter({s: 1 for s in again if s != "quickbi_menus"})
    (other,) = [row for row in ended if "different level or expiry" in row["reason"]]
    assert (other["system"], other["state"]) == ("quickbi_menus", "held")
    now = setup.emulator.get("truth")
    assert again["quickbi_menus"] in now["quickbi_menus"]
    for system in ("wedata_privileges", "wedata_data_sources", "dms_permissions"):
        new = truth(setup)[system] - Counter(shape(row) for row in before[system])
        assert not new, new


def test_equal_records_come_back_as_many_as_there_were(bench: Bench) -> None:
    setup = bench()
    probe = setup.emulator.get("truth")["dms_permissions"]
    review = reviewed(setup, systems=["dms_permissions"])
    now = setup.emulator.get("truth")["dms_permissions"]
    gone = max((row for row in probe if row not in now), key=lambda row: row["expire_date"])
    twins = [{"op": "grant", "system": "dms_permissions", **gone}] * 3
    assert all(setup.emulator.post("mutate", {"ops": twins})["changed"])
    before = truth(setup)["dms_permissions"]
    assert before[shape(gone)] == 3
    review = reviewed(setup, run_id="manual__2", systems=["dms_permissions"])
    assert truth(setup)["dms_permissions"][shape(gone)] == 0
    # One of the three comes back by somebody else's hand: two are left to give.
    assert setup.emulator.post("mutate", {"ops": twins[:1]})["changed"] == [True]
    restore = approved(setup, review)
    restore.revoke()
    restore.verify()
    assert restore.report()["problems"] == []
    assert truth(setup)["dms_permissions"] == before
    assert len(setup.emulator.writes("GrantUserPermission")) == 2


@pytest.mark.parametrize("late", [False, True], ids=["before the plan", "after the approval"])
def test_a_holder_who_is_gone_is_reported_and_not_forced(bench: Bench, late: bool) -> None:
    setup = bench()
    before = truth(setup)["dms_permissions"]
    review = reviewed(setup, systems=["dms_permissions"])
    gone = [json.loads(row) for row in before - truth(setup)["dms_permissions"]]
    user = max(gone, key=lambda row: row["expire_date"])["user_id"]
    deleted = {"ops": [{"op": "dms_user_state", "user_id": user, "state": "DELETE"}]}
    restore = setup.restore(run=number_of(review))
    if not late:
        setup.emulator.post("mutate", deleted)
    restore.through_plan()
    restore.approve()
    if late:
        setup.emulator.post("mutate", deleted)
    restore.revoke()
    restore.verify()
    summary = restore.report()
    assert summary["problems"] == []
    held = [row for row in items(summary) if row["state"] == "held"]
    assert "the user is deleted" in {row["reason"] for row in held if row["principal_id"] == user}
    assert "the user is deleted" not in {row["reason"] for row in held if row["principal_id"] != user}
    gave = setup.emulator.writes("GrantUserPermission")
    assert gave and user not in json.dumps([entry["params"] for entry in gave])


def test_a_grant_that_somebody_takes_meanwhile_turns_the_run_red(reviewed_once: Review) -> None:
    setup = reviewed_once.bench
    restore = approved(setup, reviewed_once)
    restore.revoke()
    with restore.ledger() as ledger:
        run = ledger.runs.find("restore_access", restore.run_id)
        kept = next(g for g in ledger.snapshot.grants(run.run_id) if g.key.principal_type == "user")
    row = next(
        row
        for row in setup.emulator.get("truth")["quickbi_menus"]
        if (row["menu_id"], row["receiver_id"]) == (kept.key.resource_id, kept.key.principal_id)
    )
    setup.emulator.post("mutate", {"ops": [{"op": "revoke", "system": "quickbi_menus", **row}]})
    restore.verify()
    assert "1 retained grants are missing" in restore.report()["problems"][0]
    with pytest.raises(Exception, match="retained grants are missing"):
        restore.gate()


def test_the_approver_reads_what_is_undone_and_why(reviewed_once: Review) -> None:
    restore = reviewed_once.bench.restore(run="1", reason="a <b>mistake</b> in the roster", ticket="INC-7")
    restore.through_plan()
    with restore.ledger() as ledger:
        run = ledger.runs.find("restore_access", restore.run_id)
        plan = ledger.plans.get(run.run_id)
        subject, body = restore.approval().question(ledger, run, plan)
    assert plan.digest[:12] in subject and "restoring" in subject
    assert "Run 1 revoked them" in body and plan.digest in body and "INC\\-7" in body
    assert "<b>" not in body and "mistake" in body


def test_access_is_restored_by_a_person_only(reviewed_once: Review) -> None:
    with pytest.raises(Exception, match="requester: is not a person"):
        reviewed_once.bench.restore(run="1", user="").preflight()


def test_a_connection_that_turns_to_another_account_restores_nothing(reviewed_once: Review) -> None:
    setup = reviewed_once.bench
    restore = approved(setup, reviewed_once)
    foreign = setup.emulator.key("alibaba", "foreign-account")
    value = json.loads(os.environ["AIRFLOW_CONN_QUICKBI_GRANTING"])
    value |= {"login": foreign["key_id"], "password": foreign["secret"]}
    setup.monkeypatch.setenv("AIRFLOW_CONN_QUICKBI_GRANTING", json.dumps(value))
    with pytest.raises(Exception, match="answers for account 1600000000000002"):
        restore.revoke()
    assert not setup.emulator.writes("AuthorizeMenu")
