"""A whole review in this process, judged by the emulator's ground truth and journal."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rescind.evidence.bundle.read import FolderSource, records
from tests.support.reviews.near_reads import assert_near_is_enough
from tests.support.reviews.review import ReviewBench
from tests.support.servers.emulator import ROOT

sys.path.insert(0, str(ROOT / "include"))
from local.demo.truth import judge

Bench = Callable[..., ReviewBench]
SYSTEMS = {"wedata_privileges", "wedata_data_sources", "dms_permissions", "quickbi_menus"}


def test_exactly_the_planned_grants_are_gone_and_proven(bench: Bench) -> None:
    setup = bench()
    before = setup.emulator.get("truth")
    review = setup.run(dry_run=False)
    summary = review.whole()

    assert summary["problems"] == []
    assert review.gate() == "succeeded"
    rows = {row["system"]: row for row in summary["systems"]}
    assert set(rows) == SYSTEMS
    for row in rows.values():
        assert row["items"] > 0
        proven = row["verified_gone"] + row["already_absent"]
        assert proven + row["record_gone"] + row["still_effective"] == row["items"]
        assert row["kept_compared"] > 0 and row["kept_lost"] == 0 and row["throttled"] == 0
    for judged in judge(before, setup.emulator.get("truth"), Path(summary["items_file"])):
        assert judged.holds, judged
        assert judged.removed == judged.planned == rows[judged.system]["items"]
    with review.ledger() as ledger:
        assert assert_near_is_enough(ledger, ledger.runs.find(review.dag_id, review.run_id))


def test_a_dry_run_sends_no_write(bench: Bench) -> None:
    setup = bench(last_used={"days": 30})
    before = setup.emulator.get("truth")
    review = setup.run()
    review.through_plan()
    assert_use_is_told(review)
    assert review.batches == []
    assert review.verify() == [{"items": 0, "list_calls": 0, "kept_compared": 0, "kept_lost": 0}] * 4
    summary = review.report()
    assert summary["state"] == "dry_run" and summary["calls"] > 0
    assert review.gate() == "dry_run"
    assert setup.emulator.get("truth") == before
    assert setup.emulator.writes() == []


def assert_use_is_told(review: ReviewBench) -> None:
    """Every log was read to its end. DMS tells all three words, Quick BI never "not seen", WeData nothing."""
    with review.ledger() as ledger:
        run = ledger.runs.find(review.dag_id, review.run_id)
        assert run is not None
        scopes = {scope.system: scope for scope in ledger.scopes.all(run.run_id)}
        grants = list(ledger.snapshot.grants(run.run_id))
    logs = [log for scope in scopes.values() for log in scope.notes.get("last_used", {}).get("logs", {}).values()]
    assert len(logs) == 4 and {log["complete"] for log in logs} == {True}, logs
    words: dict[str, set[str]] = {}
    for grant in grants:
        assert grant.last_use, "each says why, where nothing is known"
        known = "not known" if grant.last_used_days is None else "used" if grant.last_used_on else "not seen"
        words.setdefault(grant.key.system, set()).add(known)
    every = {"used", "not seen", "not known"}
    assert words["dms_permissions"] == every and "not seen" not in words["quickbi_menus"]
    assert words["wedata_privileges"] == words["wedata_data_sources"] == {"not known"}


@pytest.mark.parametrize("field", ["max_revocations", "max_percent"])
def test_a_cap_of_zero_means_none_and_names_the_remedy(bench: Bench, field: str) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    setup = bench()
    with pytest.raises(AirflowFailException, match=f"{field}: is 0.*Raise the cap"):
        setup.run(dry_run=False, **{field: 0}).preflight()


def test_revoke_access_takes_what_the_form_names_and_nothing_else(bench: Bench) -> None:
    # The bench's roster has no wedata_uin, so access through WeData projects cannot be judged for everybody.
    setup = bench(record_gone_fails=[])
    before = setup.emulator.get("truth")
    person = next(
        p
        for p in setup.emulator.get("org")["people"]
        if p["status"] == "active" and not p["protected"] and p["kind"] == "human" and p["dms_user_id"]
    )
    review = setup.run(kind="targets", principals=[person["person_id"]], reason="last day today", dry_run=False)
    summary = review.whole()
    assert summary["problems"] == [] and summary["calls"] > 0
    ids = {person[name] for name in ("wedata_user_id", "dms_user_id", "quickbi_user_id")}
    for line in Path(summary["items_file"]).read_text().splitlines():
        assert json.loads(line)["principal_id"] in ids
    for judged in judge(before, setup.emulator.get("truth"), Path(summary["items_file"])):
        assert judged.holds and judged.removed == judged.planned, judged
    bundle = FolderSource(Path(summary["bundle"]))
    left_out = sum(one["grants"] for one in records(bundle, "omitted"))
    full = {one["principal_id"] for one in records(bundle, "grants") if one["principal_type"] == "user"}
    assert full == ids and left_out > 10 * len(full), "everybody else is represented by hashes"
    (note,) = [
        scope["notes"]["sealed_people"] for scope in records(bundle, "scopes") if scope["system"] == "dms_permissions"
    ]
    assert note["asked"] == [person["person_id"]] and ["user", person["dms_user_id"]] in note["principals"]


def test_protected_people_keep_everything(bench: Bench) -> None:
    setup = bench()
    review = setup.run(dry_run=False)
    review.whole()
    kept = setup.emulator.get("protected")["ids"]
    truth = setup.emulator.get("truth")
    gone = [entry for entry in setup.emulator.get("journal")["entries"] if entry["kind"] == "effect"]
    protected = {ident for ids in kept.values() for ident in ids}
    assert gone and not [entry for entry in gone if protected & set(map(str, entry.get("grant", {}).values()))]
    assert any(row["user_id"] in protected for row in truth["dms_permissions"])


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda m: m.delenv("AIRFLOW_CONN_WEDATA_DEFAULT"), "wedata_default"),
        (lambda m: m.delenv("AIRFLOW_CONN_RESCIND_LEDGER"), "rescind_ledger.*make migrate"),
        (lambda m: m.setenv("AIRFLOW_CONN_RESCIND_LEDGER", "postgres://x@127.0.0.1:1/none"), "ledger"),
        (
            lambda m: _edit_connection(m, "WEDATA_DEFAULT", password="wrong-key"),
            "wedata_default.*SignatureFailure.*Check where its key",
        ),
        (lambda m: _edit_connection(m, "DMS_DEFAULT", base_url="http://127.0.0.1:1"), "dms_default.*network"),
        (
            lambda m: _edit_connection(m, "QUICKBI_DEFAULT", base_url="http://192.0.2.1"),
            "quickbi_default.*this machine",
        ),
        (lambda m: _edit_connection(m, "WEDATA_DEFAULT", own_ids=[]), "own_ids"),
    ],
    ids=[
        "no connection",
        "no ledger",
        "ledger unreachable",
        "wrong key",
        "unreachable host",
        "foreign host",
        "own ids",
    ],
)
def test_a_broken_setup_is_one_clear_error_before_anything_is_sent(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, break_it: Callable[[pytest.MonkeyPatch], None], message: str
) -> None:
    setup = bench()
    break_it(monkeypatch)
    with pytest.raises(Exception, match=message) as caught:
        setup.run(dry_run=False).preflight()
    assert "wrong-key" not in str(caught.value)
    assert setup.emulator.writes() == []


def test_two_broken_connections_are_both_named(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    setup = bench()
    _edit_connection(monkeypatch, "WEDATA_DEFAULT", password="wrong-key")
    _edit_connection(monkeypatch, "DMS_DEFAULT", base_url="http://127.0.0.1:1")
    with pytest.raises(Exception, match=r"(?s)wedata_default.*SignatureFailure.*dms_default.*network"):
        setup.run(dry_run=False).preflight()


@pytest.mark.parametrize(
    ("roster", "message"),
    [
        (b"", "roster"),
        (b"person_id,name\nP1", "roster"),
        (b"\xff\xfe\x00bad", "roster"),
        (b"person_id,status,dms_user_id\nP1,left,5.1E+05\n", "roster"),
    ],
    ids=["empty", "short", "encoding", "scientific"],
)
def test_a_malformed_roster_decides_nothing(bench: Bench, roster: bytes, message: str) -> None:
    setup = bench()
    Path(setup.settings["roster"]).write_bytes(roster)
    with pytest.raises(Exception, match=message):
        setup.run(dry_run=False).preflight()
    assert setup.emulator.get("journal")["entries"] == []


def test_an_unknown_form_key_is_refused(bench: Bench) -> None:
    with pytest.raises(Exception, match="unknown 'force'"):
        bench().run(force=True).preflight()


def test_nothing_is_sent_without_an_approval(bench: Bench) -> None:
    setup = bench()
    review = setup.run(dry_run=False)
    review.through_plan()
    with pytest.raises(Exception, match="NotApprovedError"):
        review.revoke()
    with pytest.raises(Exception, match="approvers"):
        review.approve(user="vera")
    with pytest.raises(Exception, match="NotApprovedError"):
        review.revoke()
    assert setup.emulator.writes() == []
    review.verify()
    assert "the plan was not approved" in review.report()["problems"]
    with pytest.raises(Exception, match="not approved"):
        review.gate()


def test_the_requester_cannot_approve(bench: Bench) -> None:
    setup = bench(approvers=["rita", "omar"])
    review = setup.run(dry_run=False, user="rita")
    review.through_plan()
    for spelled in ("rita", "Rita", "RITA "):
        with pytest.raises(Exception, match="the requester cannot approve"):
            review.approve(user=spelled)
    with pytest.raises(Exception, match=r"the user name .* is not usable: it mixes the scripts"):
        review.approve(user="rit\u0430")
    with pytest.raises(Exception, match="NotApprovedError"):
        review.revoke()
    assert setup.emulator.writes() == []


def test_the_requester_in_another_spelling_is_not_asked_and_not_enough(bench: Bench) -> None:
    setup = bench(approvers=["Rita", "omar"])
    review = setup.run(dry_run=False, user="rita ", systems=["quickbi_menus"])
    review.through_plan()
    with review.ledger() as ledger:
        asked = review.approval()
        assert asked.ask(review.context("approve"), ledger) is None
    assert asked.assigned_users == [{"id": "omar", "name": "omar"}]
    setup.configure(approvers=["Rita"])
    with pytest.raises(Exception, match="nobody may approve this run"):
        setup.run("second", dry_run=False, user="rita").preflight()
    with pytest.raises(Exception, match=r"requester: the user name 'rit\\u0430' is not usable: it mixes the scripts"):
        setup.run("third", dry_run=False, user="rit\u0430").preflight()


def test_the_requester_cannot_approve_under_another_id(bench: Bench) -> None:
    setup = bench(approvers=["17", "omar"])
    review = setup.run(dry_run=False, user="rita")
    review.through_plan()
    with pytest.raises(Exception, match="the requester cannot approve"):
        review.approve(user="17", name="Rita")
    with pytest.raises(Exception, match="NotApprovedError"):
        review.revoke()
    assert setup.emulator.writes() == []


def test_a_guard_stops_the_run_before_any_plan(bench: Bench) -> None:
    setup = bench()
    review = setup.run(dry_run=False, max_revocations=3)
    review.preflight()
    review.discover()
    with pytest.raises(Exception, match=r"GuardTrippedError.*limit 3"):
        review.plan()


@pytest.mark.parametrize(("name", "content"), [("protections", None), ("protections", "{"), ("exceptions", "x: 1\n")])
def test_protections_that_cannot_be_read_at_send_stop_the_run(bench: Bench, name: str, content: str | None) -> None:
    setup = bench()
    exceptions = setup.folder / "exceptions.yaml"
    exceptions.write_text("format: 1\nexceptions: []\n")
    setup.configure(exceptions=str(exceptions))
    review = setup.run(dry_run=False)
    review.through_plan()
    review.approve()
    path = Path(setup.settings[name])
    path.unlink() if content is None else path.write_text(content)
    with pytest.raises(Exception, match=f"{name}|{path.name}"):
        review.revoke()
    assert setup.emulator.writes() == []


def _edit_connection(monkeypatch: pytest.MonkeyPatch, name: str, **changes: Any) -> None:
    value = json.loads(os.environ[f"AIRFLOW_CONN_{name}"])
    for field, new in changes.items():
        if field in value:
            value[field] = new
        else:
            value["extra"][field] = new
    monkeypatch.setenv(f"AIRFLOW_CONN_{name}", json.dumps(value))


def test_a_connection_that_turns_to_another_account_proves_and_revokes_nothing(bench: Bench) -> None:
    setup = bench()
    review = setup.run(dry_run=False)
    review.through_plan()
    review.approve()
    foreign = setup.emulator.key("tencent", "foreign-account")
    _edit_connection(setup.monkeypatch, "WEDATA_DEFAULT", login=foreign["key_id"], password=foreign["secret"])
    with pytest.raises(Exception, match="answers for account 100000000002"):
        review.revoke()
    assert not setup.emulator.writes("RevokePrivileges")
    with pytest.raises(Exception, match="answers for account 100000000002"):
        review.verify()


def test_a_missing_right_is_named_before_anything_is_listed(bench: Bench) -> None:
    setup = bench()
    powerless = setup.emulator.key("alibaba", "no-rights")
    _edit_connection(setup.monkeypatch, "QUICKBI_DEFAULT", login=powerless["key_id"], password=powerless["secret"])
    with pytest.raises(Exception, match=r"quickbi_default.*may not call.*QueryWorksByOrganization"):
        setup.run(systems=["quickbi_menus"]).preflight()


def test_an_assumed_role_has_to_say_who_it_is(bench: Bench) -> None:
    setup = bench()
    _edit_connection(setup.monkeypatch, "DMS_DEFAULT", role_arn="acs:ram::1600000000000001:role/reviewer")
    with pytest.raises(Exception, match=r"dms_default.*own_ids.*assumed role"):
        setup.run(systems=["dms_permissions"]).preflight()


def test_an_approval_task_that_was_lost_honors_the_recorded_answer(bench: Bench) -> None:
    from rescind.operators.questions.approve import ApprovePlanOperator

    setup = bench()
    review = setup.run(dry_run=False)
    review.through_plan()
    review.approve()
    again = ApprovePlanOperator(task_id="approve").execute(review.context("approve"))
    assert again["answer"] == "approve" and again["by"] == "omar"


def test_an_answer_to_an_older_question_approves_nothing(bench: Bench) -> None:
    from datetime import UTC, datetime

    from airflow.sdk.exceptions import AirflowFailException

    from rescind.operators.questions.approve import ApprovePlanOperator

    setup = bench()
    review = setup.run(dry_run=False)
    review.through_plan()
    omar = {"id": "omar", "name": "omar"}
    event = {"params_input": {}, "responded_at": datetime.now(UTC), "responded_by_user": omar}
    for chosen in (["Approve 000000000000"], ["Approve"], [], ["Approve 000000000000", "Reject"]):
        with pytest.raises(AirflowFailException, match="another plan"):
            ApprovePlanOperator(task_id="approve").execute_complete(
                review.context("approve"), {**event, "chosen_options": chosen}
            )
    with pytest.raises(AirflowFailException, match="approval window has expired"):
        ApprovePlanOperator(task_id="approve").execute_complete(
            review.context("approve"), {"error": "too late", "error_type": "timeout"}
        )
    with pytest.raises(AirflowFailException, match="NotApprovedError"):
        review.revoke()
    assert setup.emulator.writes() == []
