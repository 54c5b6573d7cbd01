"""The report task of a real review: operators, ledger and emulator as on Airflow."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import ObjectStoragePath
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from rescind.cli import main
from rescind.cli.evidence import UNCHECKED
from rescind.errors import ConfigurationError
from rescind.evidence.bundle.controls import held_fields, missing
from rescind.evidence.bundle.read import bundle_source, records
from rescind.evidence.bundle.verify import verify
from rescind.hooks.evidence_store import evidence_folder, signing_key
from rescind.settings import Settings
from tests.integration.conftest import bench  # noqa: F401 - fixture
from tests.support.reviews.review import ReviewBench
from tests.unit.evidence.conftest import KEY, PUBLIC

pytestmark = [pytest.mark.airflow, pytest.mark.postgres]
Bench = Callable[..., ReviewBench]


def evidence_of(summary: dict[str, Any]) -> Path:
    return Path(summary["bundle"])


def key_file(folder: Path) -> Path:
    path = folder / "evidence.pem"
    path.write_bytes(KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return path


def test_a_real_review_leaves_a_bundle_that_verifies(bench: Bench, tmp_path: Path) -> None:  # noqa: F811
    setup = bench(evidence_key_file=str(key_file(tmp_path)))
    review = setup.run(dry_run=False, reason="quarterly review")
    summary = review.whole()
    assert review.gate() == "succeeded"
    source = bundle_source(evidence_of(summary))
    result = verify(source, key=PUBLIC)
    assert result.problems == []
    rows = summary["systems"]
    assert sum(1 for _ in records(source, "items")) == sum(row["items"] + row["held"] for row in rows)
    assert sum(1 for _ in records(source, "grants")) == sum(row["discovered"] for row in rows)
    assert sum(1 for _ in records(source, "attempts")) == sum(row["attempts"] for row in rows)
    assert all(attempt["request_id"] for attempt in records(source, "attempts"))
    assert {stored["name"] for stored in records(source, "inputs")} >= {"roster", "policy"}
    assert any(item["terminated_at"] for item in records(source, "items"))
    page = Path(summary["report"]).read_text(encoding="utf-8")
    assert summary["root"] in page and "quarterly review" in page
    assert main(["evidence", "report", str(evidence_of(summary)), str(tmp_path / "again.html")]) == 0
    assert (tmp_path / "again.html").read_text(encoding="utf-8") == page
    assert (Path(summary["tables"]) / "items.csv").is_file()
    secrets = [json.dumps(value) for value in setup.emulator.connections().values()]
    whole = b"".join(path.read_bytes() for path in evidence_of(summary).iterdir()).decode()
    for secret in (json.loads(text).get("password") for text in secrets):
        assert secret and secret not in whole

    before = {path.name: path.read_bytes() for path in evidence_of(summary).iterdir()}
    again = review.report()
    assert again["bundle"] == summary["bundle"]
    assert {path.name: path.read_bytes() for path in evidence_of(again).iterdir()} == before


def test_what_was_restored_leaves_a_bundle_as_well(bench: Bench) -> None:  # noqa: F811
    setup = bench()
    summary = setup.run(dry_run=False).whole()
    restore = setup.restore(run=str(summary["number"]))
    restore.through_plan()
    restore.approve()
    restore.revoke()
    restore.verify()
    again = restore.report()
    assert again["problems"] == []
    source = bundle_source(evidence_of(again))
    assert verify(source).problems == []
    standings = Counter(item["standing"] for item in records(source, "items"))
    assert standings["restored"] == sum(row["restored"] for row in again["systems"]) > 0
    assert standings.keys() <= {"restored", "held"}
    assert "grants are restored." in Path(again["report"]).read_text(encoding="utf-8")
    assert main(["evidence", "verify", str(evidence_of(again).parent)]) == UNCHECKED


def test_dry_runs_and_rejected_plans_leave_bundles_in_one_row(bench: Bench, tmp_path: Path) -> None:  # noqa: F811
    setup = bench()
    dry = setup.run("manual__1")
    dry.through_plan()
    first = dry.report()
    rejected = setup.run("manual__2", dry_run=False)
    rejected.through_plan()
    with pytest.raises(AirflowSkipException):
        rejected.approve(answer="reject")
    second = rejected.report()
    assert main(["evidence", "verify", str(evidence_of(first).parent)]) == UNCHECKED
    manifest = json.loads((evidence_of(second) / "manifest.json").read_bytes())
    assert manifest["previous"]["run"] == first["run"] and manifest["previous"]["root"] == first["root"]
    assert list(records(bundle_source(evidence_of(first)), "attempts")) == []


def test_without_evidence_the_gate_stays_shut(bench: Bench, tmp_path: Path) -> None:  # noqa: F811
    blocked = tmp_path / "blocked"
    blocked.write_text("a file, no folder")
    setup = bench()
    review = setup.run()
    review.through_plan()
    setup.configure(evidence=str(blocked / "evidence"))
    with pytest.raises(AirflowFailException, match="'evidence' cannot be made"):
        review.report()
    with pytest.raises(AirflowFailException, match="'evidence' cannot be made"):
        setup.run("manual__2").preflight()
    with pytest.raises(AirflowFailException, match="evidence of this run was not written"):
        review.gate()
    setup.configure(evidence=str(tmp_path / "elsewhere"))
    assert review.report()["state"] == "dry_run"
    assert review.gate() == "dry_run"


def test_bundles_go_to_any_storage_that_airflow_knows(bench: Bench, tmp_path: Path) -> None:  # noqa: F811
    setup = bench(evidence=f"file://{tmp_path}/store")
    review = setup.run()
    review.through_plan()
    summary = review.report()
    place = ObjectStoragePath(summary["bundle"])
    local = tmp_path / "copy"
    local.mkdir()
    for entry in place.iterdir():
        (local / entry.name).write_bytes(entry.read_bytes())
    assert verify(bundle_source(local)).problems == []
    assert ObjectStoragePath(summary["report"]).read_bytes().startswith(b"<!doctype html>")


def test_a_key_from_a_connection_signs(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    pem = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    monkeypatch.setenv("AIRFLOW_CONN_EVIDENCE", json.dumps({"conn_type": "generic", "password": pem}))
    setup = bench(evidence_key_conn_id="evidence")
    review = setup.run()
    review.through_plan()
    assert verify(bundle_source(evidence_of(review.report())), key=PUBLIC).problems == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"evidence": "nowhere://bucket"}, "not known"),
        ({"evidence_key_file": "a", "evidence_key_conn_id": "b"}, "both set"),
        ({"evidence_key_file": "/nowhere/key.pem"}, "cannot be read"),
        ({"evidence_key_file": "README.md"}, "no Ed25519 private key"),
        ({"evidence_key_conn_id": "nobody"}, "is missing"),
    ],
)
def test_a_folder_or_key_that_cannot_be_used_is_named(change: dict[str, Any], words: str) -> None:
    settings = Settings(**change)
    with pytest.raises(ConfigurationError, match=words):
        _ = evidence_folder(settings) if "evidence" in change else signing_key(settings)


CONTROL = "ISO 27001 A.5.18"
KNOWN = {
    "frequency and due date",
    "period covered",
    "digest of the answers (rows of each page)",
    "compensating control",
    "retention",
    "trusted time source",
}


def test_what_the_deployment_knows_is_in_the_bundle(bench: Bench, tmp_path: Path) -> None:  # noqa: F811
    setup = bench()
    dry = setup.run("manual__1")
    dry.through_plan()
    with dry.ledger() as ledger:
        run = ledger.runs.find(dry.dag_id, dry.run_id)
        waived = next(grant.key for grant, _ in ledger.decisions.each(run.run_id, choice="revoke"))
    lacking = {one.name: one.line() for one in missing(bundle_source(evidence_of(dry.report())), CONTROL)}
    # No exception was used and nothing verified; and this deployment says nothing of clocks and retention yet.
    assert lacking.keys() & KNOWN == {"retention", "trusted time source"}
    assert all("in the setting" in lacking[name] for name in lacking.keys() & KNOWN)

    match = {name: getattr(waived, name) for name in ("system", "resource_id", "principal_id")}
    entry = {"id": "X1", "owner": "omar", "reason": "handover", "end": "2099-01-01", "match": match}
    entry["compensating_control"] = "every query is logged"
    exceptions = tmp_path / "exceptions.yaml"
    exceptions.write_text(json.dumps({"format": 1, "exceptions": [entry]}))
    setup.configure(exceptions=str(exceptions), evidence_retention="7 years, object lock", time_source="chrony")
    summary = setup.run("manual__2", dry_run=False).whole()
    source = bundle_source(evidence_of(summary))
    assert verify(source).problems == []
    held = {one.name: one.held for one in held_fields(source, CONTROL)}
    assert {name: held[name] for name in KNOWN} == dict.fromkeys(KNOWN, "yes")
    (review,) = records(source, "review")
    assert review["schedule"] == "started by a person; no schedule" and review["due_at"] is None
    assert review["period_basis"] == "time of the listings" and review["period_start"] <= review["period_end"]
    assert (review["retention"], review["time_source"]) == ("7 years, object lock", "chrony")
    assert review["ledger_role"] == "runtime role without ownership"
    (used,) = records(source, "exceptions")
    assert (used["exception"], used["compensating_control"]) == ("X1", "every query is logged")
    for check in records(source, "kept"):
        answers = check["detail"]["answers"]
        assert answers["pages"] > 0 and re.fullmatch("[0-9a-f]{64}", answers["digest"])
    assert "every query is logged" in Path(summary["report"]).read_text(encoding="utf-8")
