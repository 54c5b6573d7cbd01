"""A restore gives what the sealed bundle of the run shows, whatever somebody wrote into the ledger."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rescind.i18n import reading
from rescind.model import Cell, Grant
from rescind.workflow.question.markdown import plain
from tests.integration.restore.test_restore import number_of, reviewed, truth
from tests.support.reviews.review import Restore, Review, ReviewBench
from tests.support.servers.postgres import tampering

pytestmark = pytest.mark.sockets

Bench = Callable[..., ReviewBench]


def edit(setup: ReviewBench, *statements: tuple[str, tuple[Any, ...]]) -> None:
    """Change the ledger as its owner could."""
    with tampering(setup.ledger_dsn) as connection:
        for statement, values in statements:
            assert connection.execute(statement.encode(), values).rowcount > 0, statement


def forge(review: Review, entitlement: str = "EXPORT") -> Grant:
    """Write into the ledger that the run took a DMS right from somebody who never had it; returns that grant."""
    with review.ledger() as ledger:
        run = ledger.runs.find(review.dag_id, review.run_id)
        verdicts = {record.grant_id for record in ledger.verdicts.latest(run.run_id)}
        known = [g for g in ledger.snapshot.grants(run.run_id, system="dms_permissions") if g.expires_raw]
        held = {(g.key.principal_id, g.key.resource_id, g.key.entitlement) for g in known}
        model = next(g for g in known if g.grant_id in verdicts and g.key.entitlement != entitlement)
        person = next(
            g.key.principal_id for g in known if (g.key.principal_id, model.key.resource_id, entitlement) not in held
        )
        key = model.key._replace(principal_id=person, entitlement=entitlement, native_id="990001")
        forged = replace(model, key=key, cell=Cell(person, "990001", "record", (person, entitlement)))
    known_id, new_id = bytes.fromhex(model.grant_id), bytes.fromhex(forged.grant_id)
    names = "run_no, scope_no, system, account, resource_type, resource_id, principal_type, revocable, why_not"
    names += ", inherited_from, expires_at, expires_raw, created_raw, origin, principal_name, resource_name, attributes"
    edit(
        review.bench,
        (
            f"INSERT INTO rescind.grant_row ({names}, grant_id, principal_id, entitlement, native_id, cell_container,"
            f" cell_row, cell_kind, cell_column) SELECT {names}, %s, %s, %s, %s, %s, %s, %s, %s"
            " FROM rescind.grant_row WHERE grant_id = %s",
            (new_id, *key[5:], *forged.cell[:3], list(forged.cell.column), known_id),
        ),
        (
            "INSERT INTO rescind.plan_item (run_no, grant_id, call_id, state) SELECT run_no, %s, call_id, state"
            " FROM rescind.plan_item WHERE grant_id = %s",
            (new_id, known_id),
        ),
        (
            "INSERT INTO rescind.verdict (run_no, grant_id, verdict, method, observed_at) SELECT run_no, %s, verdict,"
            " method, observed_at FROM rescind.verdict WHERE grant_id = %s LIMIT 1",
            (new_id, known_id),
        ),
    )
    return forged


def test_a_forged_row_of_the_ledger_gives_nobody_anything_by_run_number(bench: Bench) -> None:
    setup = bench()
    review = reviewed(setup, systems=["dms_permissions"])
    forged, before = forge(review), truth(setup)
    for chosen in ({}, {"grants": [forged.grant_id]}):
        restore = setup.restore(f"restore__{len(chosen)}", run=number_of(review), **chosen)
        with pytest.raises(Exception, match="bundle: and the ledger differ in the grants: " + forged.grant_id[:12]):
            restore.through_plan()
            restore.approve()
            restore.revoke()
    assert truth(setup) == before and not setup.emulator.writes("GrantUserPermission")


def _ready(bench: Bench, **settings: Any) -> tuple[ReviewBench, Review, Path]:
    """A finished review of menus, and the folder of its bundle."""
    setup = bench(**settings)
    review = reviewed(setup, systems=["quickbi_menus"])
    (bundle,) = (setup.folder / "evidence" / "bundles").iterdir()
    return setup, review, bundle


def _body(restore: Restore) -> str:
    with restore.ledger() as ledger:
        run = ledger.runs.find(restore.dag_id, restore.run_id)
        return str(restore.approval().question(ledger, run, ledger.plans.get(run.run_id))[1])


def test_rows_that_change_after_preflight_stop_the_plan_and_the_question(bench: Bench) -> None:
    setup, review, _ = _ready(bench)
    restore = setup.restore(run=number_of(review))
    restore.preflight()
    restore.discover()
    rename = ("UPDATE rescind.grant_row SET resource_name = reverse(resource_name) WHERE run_no = 1", ())
    name = '"AuthPointsValue": '
    level = f"UPDATE rescind.call SET inverse = replace(inverse::text, '{name}{{}}', '{name}{{}}')::jsonb"
    edit(setup, (level.format(1, 7), ()))
    with pytest.raises(Exception, match="differ in what a restore of the grants needs"):
        restore.plan()
    edit(setup, (level.format(7, 1), ()))
    restore.plan()
    edit(setup, rename)
    with pytest.raises(Exception, match="differ in the grants"):
        _body(restore)
    with pytest.raises(Exception, match="differ in the grants"):
        restore.approve()
    assert not setup.emulator.writes("AuthorizeMenu")


def test_a_grant_that_the_run_kept_is_not_restored_because_the_ledger_says_so(bench: Bench) -> None:
    setup, review, _ = _ready(bench)
    with review.ledger() as ledger:
        run = ledger.runs.find(review.dag_id, review.run_id)
        items = {item.grant_id for item in ledger.plans.items(run.run_id)}
        kept = next(g for g in ledger.snapshot.grants(run.run_id) if g.grant_id not in items and g.revocable)
    item = "INSERT INTO rescind.plan_item (run_no, grant_id, state) VALUES (1, %s, 'accepted')"
    verdict = (
        "INSERT INTO rescind.verdict (run_no, grant_id, verdict, method, observed_at)"
        " VALUES (1, %s, 'verified_gone', 'listed again', now())"
    )
    edit(setup, (item, (bytes.fromhex(kept.grant_id),)), (verdict, (bytes.fromhex(kept.grant_id),)))
    for chosen in ({}, {"grants": [kept.grant_id]}):
        with pytest.raises(Exception, match="ledger differ in what was revoked: " + kept.grant_id[:12]):
            setup.restore(f"restore__{len(chosen)}", run=number_of(review), **chosen).preflight()


def test_a_run_without_a_bundle_is_restored_only_where_the_deployment_allows_it(bench: Bench, tmp_path: Path) -> None:
    setup, review, bundle = _ready(bench)
    assert "was verified (not signed, root `" in _planned(setup.restore("by-number", run="1", dry_run=True))
    shutil.move(bundle, tmp_path / "elsewhere")
    with pytest.raises(Exception, match=r"run: 1 has no bundle in the evidence folder.*restore_without_bundle"):
        setup.restore("refused", run=number_of(review)).preflight()
    setup.configure(restore_without_bundle=True)
    restore = setup.restore(run=number_of(review))
    restore.through_plan()
    assert "**No evidence bundle shows what run 1 revoked. The ledger alone says so" in _body(restore)
    restore.approve()
    restore.revoke()
    restore.verify()
    assert restore.report()["problems"] == []
    # A bundle that is there counts, also where none is needed.
    shutil.move(tmp_path / "elsewhere", bundle)
    (bundle / "calls.jsonl").write_bytes((bundle / "calls.jsonl").read_bytes() + b"\n")
    with pytest.raises(Exception, match=r"bundle: is not valid: calls.jsonl"):
        setup.restore("changed", run=number_of(review)).preflight()


def _planned(restore: Restore) -> str:
    restore.through_plan()
    return _body(restore)


def test_neither_an_older_bundle_nor_that_of_another_run_stands_for_the_last_one(bench: Bench, tmp_path: Path) -> None:
    setup, review, first = _ready(bench)
    review.verify()
    second = Path(review.report()["bundle"])
    other = setup.run("manual__2", dry_run=False, systems=["dms_permissions"]).whole()
    assert first != second
    edit(setup, ("DELETE FROM rescind.seal WHERE seal_no = 2", ()))
    with pytest.raises(Exception, match="differ in run 1: evidence chain"):
        setup.restore("no-entry", run="1").preflight()
    shutil.rmtree(second)
    shutil.copytree(other["bundle"], second)
    with pytest.raises(Exception, match=rf"run: {second.name} in the evidence folder is the bundle of another run"):
        setup.restore("other", run="1").preflight()


def test_a_bundle_of_a_key_before_the_rotation_counts_while_the_key_is_named(bench: Bench, tmp_path: Path) -> None:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

    from tests.unit.evidence.conftest import KEY, OTHER

    for name, key in (("old.pem", KEY), ("new.pem", OTHER)):
        (tmp_path / name).write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "old.pub.pem").write_bytes(public)
    setup, _, _ = _ready(bench, evidence_key_file=str(tmp_path / "old.pem"))
    setup.configure(evidence_key_file=str(tmp_path / "new.pem"))
    with pytest.raises(Exception, match=r"signed by public key \w+, expected public key"):
        setup.restore("rotated", run="1").preflight()
    setup.configure(evidence_old_keys=[str(tmp_path / "old.pub.pem")])
    assert "was verified (signed by this deployment, root `" in _planned(setup.restore("named", run="1", dry_run=True))
    setup.configure(evidence_old_keys=[str(tmp_path / "absent.pem")])
    with pytest.raises(Exception, match=r"setting 'evidence_old_keys': absent.pem in .* cannot be read"):
        setup.restore("absent", run="1").preflight()


def _linked(setup: ReviewBench, **users: str) -> None:
    """Add the roster's column of Airflow users: user -> id of the person in Quick BI."""
    roster = Path(setup.settings["roster"])
    header, *lines = roster.read_text(encoding="utf-8").splitlines()
    place = header.split(",").index("quickbi_user_id")
    names = {ident: user for user, ident in users.items()}
    rows = [f"{line},{names.get(line.split(',')[place], '')}" for line in lines]
    assert sum(not row.endswith(",") for row in rows) == len(users)
    roster.write_text("\n".join([f"{header},airflow_user", *rows, ""]), encoding="utf-8")


def _people(review: Review) -> list[str]:
    """Quick BI users from whom the review took something."""
    with review.ledger() as ledger:
        run = ledger.runs.find(review.dag_id, review.run_id)
        ids = [item.grant_id for item in ledger.plans.items(run.run_id) if item.call_id]
        taken = ledger.snapshot.grants_by_id(run.run_id, ids).values()
        return sorted({grant.key.principal_id for grant in taken if grant.key.principal_type == "user"})


def test_nobody_restores_their_own_access(bench: Bench) -> None:
    setup, review, _ = _ready(bench, approvers=["omar", "ada"])
    first, second, third, *_ = _people(review)
    _linked(setup, rita=first, omar=second)
    with pytest.raises(Exception, match=r"requester: 'rita' would get \d+ of the grants .* their own access"):
        setup.restore("own", run="1", dry_run=True).preflight()
    restore = setup.restore(run="1", principals=[second, third])
    restore.through_plan()
    with restore.ledger() as ledger:
        asked = restore.approval()
        assert asked.ask(restore.context("approve"), ledger) is None
    assert asked.assigned_users == [{"id": "ada", "name": "ada"}]
    assert "**The roster links no person to ada. Check yourself" in asked.body
    for answer in ({"user": "omar"}, {"user": "ada", "name": "Omar"}):
        with pytest.raises(Exception, match=r"approver: '(O|o)mar' would get \d+ of the grants"):
            restore.approve(**answer)
    with pytest.raises(Exception, match="NotApprovedError"):
        restore.revoke()
    setup.configure(approvers=["omar"])
    alone = setup.restore("alone", run="1", principals=[second, third])
    alone.through_plan()
    with alone.ledger() as ledger, pytest.raises(Exception, match="nobody who may answer"):
        alone.approval().ask(alone.context("approve"), ledger)
    setup.configure(approvers=["omar", "ada"])
    restore.approve(user="ada")
    restore.revoke()
    restore.verify()
    assert restore.report()["problems"] == []


def test_a_plan_beyond_what_the_request_selects_is_not_asked_about(bench: Bench) -> None:
    setup, review, _ = _ready(bench)
    restore = setup.restore(run="1")
    restore.through_plan()
    chosen = _people(review)[0]
    edit(
        setup,
        ("UPDATE rescind.run SET params = jsonb_set(params, '{principals}', %s) WHERE number = 2", (f'["{chosen}"]',)),
    )
    with pytest.raises(Exception, match=r"PlanError: plan \w+ restores \d+ grants that run 1 did not revoke"):
        restore.approval().execute(restore.context("approve"))


def test_the_question_says_who_gets_what_on_what(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    setup, _, _ = _ready(bench)
    restore = setup.restore(run="1")
    restore.through_plan()
    with restore.ledger() as ledger:
        run = ledger.runs.find(restore.dag_id, restore.run_id)
        source = ledger.plans.get(run.run_id).source_run_id
        ids = [item.grant_id for item in ledger.plans.items(run.run_id) if item.call_id]
        given = list(ledger.snapshot.grants_by_id(source, ids).values())
        names = {p.principal_id: p.name for p in ledger.snapshot.principals(source)}
    body = _body(restore)
    lines = [line for line in body.splitlines() if line.startswith("- ") and ": **" in line]
    assert len(lines) == len(given) > 2 and "/items" not in body
    for grant in given:
        key = grant.key
        wanted = (plain(names[key.principal_id]), plain(key.principal_id), plain(grant.resource_name))
        assert [1 for line in lines if f": **{plain(key.entitlement)}** on " in line and all(w in line for w in wanted)]
    for language, words in (("ja", "の復元を申請しています"), ("zh-CN", "申请以")):
        with reading(language, "Asia/Tokyo"):
            there = _body(restore)
        assert words in there and "(UTC+9)" not in there and "UTC+9" in there and "restore" not in there
        assert all(plain(grant.key.principal_id) in there for grant in given)
        assert re.findall(r"[0-9a-f]{64}", there) == re.findall(r"[0-9a-f]{64}", body)
    monkeypatch.setattr("rescind.workflow.restore.text.SHORT", 2)
    body = _body(restore)
    assert f"[The whole list](rescind/runs/{run.number}/items)" in body and ": **" not in body
    most, times = Counter((g.key.principal_id, g.key.entitlement) for g in given).most_common(1)[0]
    (line,) = [line for line in body.splitlines() if line.startswith("- ") and plain(most[0]) in line]
    assert f"{plain(most[1])} on {times} resources" in line and plain(names[most[0]]) in line
