"""Restoring what a bundle names: the bundle is verified, and held against the ledger, before anything is planned."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from rescind.cli import main
from rescind.cli.evidence import UNCHECKED
from rescind.evidence.bundle.read import bundle_source, records
from tests.integration.restore.test_restore import truth
from tests.support.reviews.review import Restore, ReviewBench
from tests.support.servers.postgres import (
    as_owner,
    own_ledger_dsn,  # noqa: F401 - fixture
)
from tests.unit.evidence.bundle.test_bundle import remade
from tests.unit.evidence.conftest import OTHER, contents
from tests.unit.operators.test_report import key_file

pytestmark = pytest.mark.sockets

Bench = Callable[..., ReviewBench]


def reviewed(setup: ReviewBench) -> dict[str, Any]:
    """A review that took something away and was proven; its summary."""
    summary = setup.run(dry_run=False, systems=["quickbi_menus"]).whole()
    assert summary["problems"] == []
    return summary


def plan_of(restore: Restore) -> tuple[dict[str, Any], int]:
    """(effects, items) of the plan. The digest of the settings covers the form, and so whether it is a dry run."""
    restore.through_plan()
    with restore.ledger() as ledger:
        run = ledger.runs.find(restore.dag_id, restore.run_id)
        plan = ledger.plans.get(run.run_id)
        effects: dict[str, Any] = json.loads(b"".join(ledger.plans.effects(run.run_id, plan.digest)))
        assert effects.pop("settings")
        return effects, plan.items


def refused(setup: ReviewBench, message: str, **asked: Any) -> None:
    """A restore that ends in preflight: no run is begun, and nothing is sent."""
    writes, restore = len(setup.emulator.writes()), setup.restore("refused", **asked)
    with pytest.raises(Exception, match=message):
        restore.preflight()
    with restore.ledger() as ledger:
        assert ledger.runs.find(restore.dag_id, restore.run_id) is None
    assert len(setup.emulator.writes()) == writes


def test_a_bundle_gives_the_same_plan_as_its_run_and_brings_the_same_back(bench: Bench) -> None:
    setup = bench()
    before = truth(setup)["quickbi_menus"]
    summary = reviewed(setup)
    listing_scope = Path(summary["bundle"])
    expected = plan_of(setup.restore("by-number", run="1", dry_run=True))
    for number, named in enumerate(
        (listing_scope.name, str(listing_scope), f"{listing_scope}/", f"bundles/{listing_scope.name}")
    ):
        assert plan_of(setup.restore(f"by-bundle-{number}", bundle=named, dry_run=True)) == expected
    restore = setup.restore(bundle=listing_scope.name)
    assert plan_of(restore) == expected
    restore.preflight()  # cleared: it is the same run
    with restore.ledger() as ledger:
        run = ledger.runs.find(restore.dag_id, restore.run_id)
        assert (run.params["run"], run.params["root"]) == (summary["run"], summary["root"])
        _, body = restore.approval().question(ledger, run, ledger.plans.get(run.run_id))
    assert summary["root"] in body
    restore.approve()
    restore.revoke()
    restore.verify()
    again = restore.report()
    assert again["problems"] == [] and restore.gate() == "succeeded"
    after = truth(setup)["quickbi_menus"]
    assert not after - before
    assert (before - after).total() == sum(row["held"] for row in again["systems"]) < expected[1]


def test_a_bundle_that_cannot_be_meant_is_refused(bench: Bench) -> None:
    setup = bench()
    for asked, message in (
        ({}, "run, bundle: neither is given"),
        ({"run": "1", "bundle": "000001-run-1"}, "run, bundle: both are given"),
        ({"bundle": "000009-run-000009-0f3a9c1e"}, "does not exist in the evidence folder"),
        ({"bundle": "/etc"}, "not a bundle name or a path inside the evidence folder"),
        ({"bundle": "bundles/../../evidence"}, "not a bundle name or a path inside"),
        ({"bundle": "s3://elsewhere/000001-run-1"}, "not a bundle name or a path inside"),
        ({"bundle": "reports/1"}, "does not exist in the evidence folder"),
        ({"bundle": "x" * 1001}, "trigger form: bundle"),
        ({"bundle": "000001-run-1", "root": "0" * 64}, "unknown 'root'"),
    ):
        refused(setup, message, **asked)


def test_a_bundle_that_was_changed_copied_or_replaced_is_refused(bench: Bench, tmp_path: Path) -> None:
    setup = bench()
    summary = reviewed(setup)
    listing_scope = Path(summary["bundle"])
    good = contents(listing_scope)

    (listing_scope / "calls.jsonl").write_bytes(
        good["calls.jsonl"].replace(b'"AuthPointsValue":1', b'"AuthPointsValue":3')
    )
    refused(setup, r"is not valid: calls.jsonl: the hash chain breaks", bundle=listing_scope.name)
    # Whole by every hash, with another level to restore: only the ledger's evidence chain shows it.
    for name, content in remade(good, "calls", {"inverse": {}}).items():
        (listing_scope / name).write_bytes(content)
    refused(setup, r"the ledger differ in run 1: evidence chain", bundle=listing_scope.name)
    for name, content in good.items():
        (listing_scope / name).write_bytes(content)
    (listing_scope / "more.txt").write_text("x")
    refused(setup, r"holds 1 files that are not part of a bundle: 'more.txt'", bundle=listing_scope.name)
    (listing_scope / "more.txt").unlink()
    (listing_scope / "grants.jsonl").rename(tmp_path / "grants.jsonl")
    (listing_scope / "grants.jsonl").symlink_to(tmp_path / "grants.jsonl")
    refused(setup, r"grants.jsonl cannot be read: it is not a regular file", bundle=listing_scope.name)
    (listing_scope / "grants.jsonl").unlink()
    refused(setup, r"is not valid: grants.jsonl: is missing", bundle=listing_scope.name)
    (listing_scope / "grants.jsonl").write_bytes(good["grants.jsonl"])

    assert main(["evidence", "sanitize", str(listing_scope), str(listing_scope.parent / "copy")]) == 0
    refused(setup, "is a copy without personal data", bundle="copy")
    shutil.copytree(listing_scope, tmp_path / "outside")
    (listing_scope.parent / "link").symlink_to(tmp_path / "outside")
    refused(setup, "does not exist in the evidence folder", bundle="link")
    refused(setup, "not a bundle name or a path inside", bundle=str(tmp_path / "outside"))
    plan_of(setup.restore(bundle=listing_scope.name, dry_run=True))


def test_where_bundles_are_signed_this_one_must_be(bench: Bench, tmp_path: Path) -> None:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    setup = bench()
    unsigned = reviewed(setup)
    setup.configure(evidence_key_file=str(key_file(tmp_path)))
    refused(setup, "signed by nobody, expected public key", bundle=Path(unsigned["bundle"]).name)
    again = setup.run("manual__2", dry_run=False, systems=["dms_permissions"]).whole()
    plan_of(setup.restore("signed", bundle=Path(again["bundle"]).name, dry_run=True))
    other = tmp_path / "other.pem"
    other.write_bytes(OTHER.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    setup.configure(evidence_key_file=str(other))
    refused(setup, r"signed by public key \w+, expected public key", bundle=Path(again["bundle"]).name)


def test_a_ledger_that_says_otherwise_is_named(bench: Bench) -> None:
    setup = bench()
    name = Path(reviewed(setup)["bundle"]).name

    def changed(statement: str, back: str, message: str) -> None:
        with psycopg.connect(as_owner(setup.ledger_dsn), autocommit=True) as connection:
            connection.execute("SET session_replication_role = replica")
            connection.execute(statement)
            refused(setup, message, bundle=name)
            connection.execute(back)

    name_of = '"AuthPointsValue": '
    level = f"UPDATE rescind.call SET inverse = replace(inverse::text, '{name_of}{{0}}', '{name_of}{{1}}')::jsonb"
    changed(level.format(1, 7), level.format(7, 1), "differ in what a restore of the grants needs: ")
    digest = "UPDATE rescind.run SET snapshot_digest = reverse(snapshot_digest) WHERE number = 1"
    changed(digest, digest, "differ in run 1: snapshot digest")
    origin = "UPDATE rescind.grant_row SET resource_name = reverse(resource_name)"
    changed(origin, origin, "differ in the grants: ")
    plan_of(setup.restore(bundle=name, dry_run=True))


def test_bundles_in_object_storage_are_named_by_their_address(bench: Bench, tmp_path: Path) -> None:
    setup = bench(evidence=f"file://{tmp_path}/store")
    listing_scope = str(reviewed(setup)["bundle"])
    assert listing_scope.startswith("file://")
    expected = plan_of(setup.restore("by-number", run="1", dry_run=True))
    assert plan_of(setup.restore("by-address", bundle=listing_scope, dry_run=True)) == expected
    assert plan_of(setup.restore("by-name", bundle=listing_scope.rpartition("/")[2], dry_run=True)) == expected
    refused(setup, "not a bundle name or a path inside", bundle=listing_scope.replace("/store/", "/elsewhere/"))
    lines = tmp_path / "store" / "bundles" / listing_scope.rpartition("/")[2] / "items.jsonl"
    lines.write_bytes(lines.read_bytes()[:-1])
    refused(setup, "is not valid: items.jsonl", bundle=listing_scope)


def test_an_older_bundle_of_the_run_is_refused(bench: Bench) -> None:
    setup = bench()
    review = setup.run(dry_run=False, systems=["quickbi_menus"])
    first = review.whole()
    review.verify()
    second = review.report()
    assert first["bundle"] != second["bundle"]
    refused(setup, "differ in run 1: evidence chain. Pass the last bundle", bundle=Path(first["bundle"]).name)
    plan_of(setup.restore(bundle=Path(second["bundle"]).name, dry_run=True))


def test_the_bundle_of_another_deployment_is_refused(bench: Bench, own_ledger_dsn: str) -> None:  # noqa: F811
    setup = bench()
    name = Path(reviewed(setup)["bundle"]).name
    setup.ledger_dsn = own_ledger_dsn
    setup.configure()
    refused(setup, r"is about run-000001-\w+, which is not in this ledger, and no signature shows", bundle=name)


def test_a_run_whose_ledger_is_lost_comes_back_from_its_signed_bundle(
    bench: Bench,
    tmp_path: Path,
    own_ledger_dsn: str,  # noqa: F811
) -> None:
    setup = bench(evidence_key_file=str(key_file(tmp_path)))
    before = truth(setup)
    dry = setup.run("dry", systems=["quickbi_menus"])
    dry.through_plan()
    nothing = Path(dry.report()["bundle"]).name
    summary = setup.run(dry_run=False).whole()
    taken = {row["grant_id"]: row["standing"] for row in records(bundle_source(summary["bundle"]), "items")}
    name = Path(summary["bundle"]).name

    setup.ledger_dsn = own_ledger_dsn
    setup.configure()
    refused(setup, "is about a run that revoked nothing", bundle=nothing)
    plan = plan_of(setup.restore("first", bundle=name, dry_run=True))
    restore = setup.restore(bundle=name)
    assert plan_of(restore) == plan
    with restore.ledger() as ledger:
        imported, _, run = sorted(ledger.runs.latest(), key=lambda one: one.number)
        assert (imported.number, imported.dag_id, imported.dry_run) == (1, "imported", False)
        assert imported.params["imported"]["run"] == summary["run"] and imported.finished_at is not None
        assert imported.requested_by == "rita" and ledger.plans.get(imported.run_id).digest == summary["plan"]
        assert {one.grant_id: str(one.verdict) for one in ledger.verdicts.latest(imported.run_id)} == {
            ident: standing for ident, standing in taken.items() if standing != "held"
        }
        _, body = restore.approval().question(ledger, run, ledger.plans.get(run.run_id))
        assert "only from that bundle, where it was run 2" in body
    restore.approve()
    restore.revoke()
    restore.verify()
    after = restore.report()
    assert after["problems"] == [] and main(["evidence", "verify", after["bundle"]]) == UNCHECKED
    held = sum(row["held"] for row in after["systems"])
    left = {system: before[system] - truth(setup)[system] for system in before}
    assert sum(rows.total() for rows in left.values()) == held < sum(row["items"] for row in after["systems"])
    # Later reviews are not measured against what was imported.
    review = setup.run("next", systems=["quickbi_menus"])
    review.preflight()
    with review.ledger() as ledger:
        run = ledger.runs.find(review.dag_id, review.run_id)
        assert run.number == 4
        assert [ledger.scopes.baseline(run.run_id, scope.scope_id) for scope in ledger.scopes.all(run.run_id)] == [None]
