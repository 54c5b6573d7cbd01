from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from rescind.approval_signature import ApprovalKeys, key_name, statement
from rescind.cli import main
from rescind.cli.evidence import UNCHECKED
from rescind.evidence.bundle.format import RECORD_FILES, Merkle, Raw, encode, manifest_of
from rescind.evidence.bundle.read import bundle_source, latest_verdicts, records
from rescind.evidence.bundle.signing import sign
from rescind.evidence.bundle.verify import verify, verify_series
from rescind.evidence.report.counting import figures
from rescind.evidence.report.html_report import report as render
from rescind.evidence.report.tables import outcomes
from rescind.evidence.values import grant_record, plain
from rescind.ledger import SETTINGS, Ledger, NewInput, VerdictRecord
from rescind.model import Verdict, canonical
from tests.support.ledger.memory_bundle import MemorySource
from tests.support.ledger.runs import begin, grant, list_scope
from tests.support.reviews.approval import APPROVAL_PUBLIC, SIGNER
from tests.unit.evidence.conftest import (
    HOSTILE,
    KEY,
    OTHER,
    POLICY,
    PUBLIC,
    bundle,
    closed_run,
    contents,
    pem,
    relined,
    remade,
    remade_by,
)  # fmt: skip

ROOT = Path(__file__).resolve().parents[4]
pytestmark = pytest.mark.postgres


def test_a_bundle_holds_and_says_what_happened(ledger: Ledger, tmp_path: Path) -> None:
    run = closed_run(ledger)
    place = bundle(ledger, run, tmp_path)
    source = bundle_source(place)
    result = verify(source, key=PUBLIC)
    assert result.problems == []
    assert {path.name.removesuffix(".jsonl") for path in place.iterdir()} == {
        *RECORD_FILES, "manifest.json", "signature.json", "effects.json", "controls.json"
    }  # fmt: skip
    assert len(list(records(source, "grants"))) == len(list(records(source, "decisions"))) == 10
    standings = sorted(item["standing"] for item in records(source, "items"))
    assert standings == ["held", "still_effective", *["verified_gone"] * 3]
    assert {item["finding"] for item in records(source, "findings")} == {"held", "still_effective"}
    assert {attempt["request_id"] for attempt in records(source, "attempts")} == {"R-0", "R-1", "R-2", "R-3"}
    (review,) = records(source, "review")
    assert (review["run"], review["number"], review["state"]) == (run.run_id, 1, "succeeded")
    assert any(HOSTILE in record["remains"] for record in records(source, "verdicts"))


def test_the_same_ledger_gives_the_same_bytes(ledger: Ledger, tmp_path: Path) -> None:
    run = closed_run(ledger)
    one, two = bundle(ledger, run, tmp_path / "1"), bundle(ledger, run, tmp_path / "2")
    assert one.name == two.name == f"000001-{run.run_id}"
    assert contents(one) == contents(two)


def test_a_run_that_did_nothing_leaves_a_bundle(ledger: Ledger, tmp_path: Path) -> None:
    run = ledger.runs.finish(begin(ledger).run_id, "failed", {})
    place = bundle(ledger, run, tmp_path)
    assert verify(bundle_source(place), key=PUBLIC).problems == []
    assert not (place / "effects.json").exists()


def test_unsigned_bundles_say_so(ledger: Ledger, tmp_path: Path) -> None:
    source = bundle_source(bundle(ledger, closed_run(ledger), tmp_path, key=None))
    result = verify(source)
    assert result.holds and any("UNSIGNED" in note for note in result.notes)
    assert any("signed by nobody" in problem for problem in verify(source, key=PUBLIC).problems)


def test_another_key_is_not_this_key(ledger: Ledger, tmp_path: Path) -> None:
    source = bundle_source(bundle(ledger, closed_run(ledger), tmp_path, key=OTHER))
    assert verify(source).holds
    assert not verify(source, key=PUBLIC).holds


def test_a_signed_manifest_in_another_form_is_refused(ledger: Ledger, tmp_path: Path) -> None:
    files = contents(bundle(ledger, closed_run(ledger), tmp_path))
    good = files["manifest.json"]
    # Readers that take the first of two equal names would see another run.
    for text in (good[:-1], good + b"\n", json.dumps(json.loads(good)).encode() + b"\n", b'{"run":"x",' + good[1:]):
        again = {**files, "manifest.json": text, "signature.json": sign(text, KEY)}
        assert verify(MemorySource(again), key=PUBLIC).problems == ["manifest.json: is not in canonical form"]


def test_a_file_that_is_gone_is_named(ledger: Ledger, tmp_path: Path) -> None:
    files = contents(bundle(ledger, closed_run(ledger), tmp_path))
    for gone in files:
        left = {name: content for name, content in files.items() if name != gone}
        assert f"{gone}: is missing" in verify(MemorySource(left), key=PUBLIC).problems


def test_a_changed_file_and_a_changed_root_are_named(ledger: Ledger, tmp_path: Path) -> None:
    files = contents(bundle(ledger, closed_run(ledger), tmp_path))
    shorter = b"".join(files["grants.jsonl"].splitlines(keepends=True)[:-1])
    other = files["controls.json"].replace(b":1", b":2", 1)
    for name, content in (("grants.jsonl", shorter), ("controls.json", other)):
        found = verify(MemorySource({**files, name: content}), key=PUBLIC).problems
        assert any(problem.startswith(f"{name}: was changed") for problem in found), found
    facts = json.loads(files["manifest.json"])
    for field in ("root", "link"):
        text = encode({**facts, field: "0" * 64}) + b"\n"
        again = {**files, "manifest.json": text, "signature.json": sign(text, KEY)}
        found = verify(MemorySource(again), key=PUBLIC).problems
        assert found == [f"manifest.json: has a {field} that does not match its content"]


def test_other_content_gets_another_seal_and_the_first_bundle_stays(ledger: Ledger, tmp_path: Path) -> None:
    run = closed_run(ledger)
    first = bundle(ledger, run, tmp_path)
    before = contents(first)
    again = bundle(ledger, ledger.runs.finish(run.run_id, "failed", {}), tmp_path)
    assert again.name == f"000002-{run.run_id}"
    assert contents(first) == before
    assert main(["evidence", "verify", str(tmp_path)]) == UNCHECKED


def test_a_bundle_that_was_taken_away_shows(ledger: Ledger, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    places = [bundle(ledger, closed_run(ledger, f"manual__{number}"), tmp_path) for number in range(3)]
    assert main(["evidence", "verify", str(tmp_path)]) == UNCHECKED
    places[1].rename(tmp_path.parent / "away")
    assert main(["evidence", "verify", str(tmp_path)]) == 1
    assert "position 2: the bundle is missing" in capsys.readouterr().out


def test_a_bundle_from_another_row_does_not_fit(ledger: Ledger, tmp_path: Path) -> None:
    bundle(ledger, closed_run(ledger, "manual__1"), tmp_path)
    bundle(ledger, closed_run(ledger, "manual__2"), tmp_path)
    first = next(tmp_path.glob("000001-*"))
    # A bundle that holds by itself, made in the place of the first: with other content the link differs.
    manifest = json.loads((first / "manifest.json").read_bytes())
    controls = {"format": 1, "controls": {}, "blocks": [], "note": ""}
    (first / "controls.json").write_bytes(encode(controls))
    raw = Raw("controls.json")
    raw.take(encode(controls))
    files = [entry for entry in manifest["files"] if entry["name"] != "controls.json"] + [raw.entry()]
    again = encode(manifest_of(manifest["run"], 1, 1, None, files)) + b"\n"
    (first / "manifest.json").write_bytes(again)
    (first / "signature.json").write_bytes(sign(again, KEY))
    assert verify(bundle_source(first), key=PUBLIC).holds
    assert main(["evidence", "verify", str(tmp_path)]) == 1


def test_status_and_words_of_the_command_line(
    ledger: Ledger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = bundle(ledger, closed_run(ledger), tmp_path)
    assert main(["evidence", "verify", str(place)]) == 3
    said = capsys.readouterr().out
    assert "ok " in said and "signer not checked" in said and "SIGNER NOT CHECKED" in said
    key = tmp_path / "key.pem"
    key.write_bytes(pem(KEY))
    assert main(["evidence", "verify", str(place), "--key", str(key)]) == 0
    assert main(["evidence", "verify", str(tmp_path), "--key", str(key)]) == 0
    said = capsys.readouterr().out
    assert PUBLIC.hex() in said and "not checked" not in said.lower()
    assert "approval requested by 'rita', answered 'approve' by 'anna'" in said
    assert main(["evidence", "missing", str(place), "--control", "PCI DSS 7.2.4"]) == 1
    said = capsys.readouterr().out
    assert "frequency and due date: not held" in said and "HR identity: empty in all 10 records" in said
    assert main(["evidence", "missing", str(place), "--control", "nonsense"]) == 2
    assert main(["evidence", "verify", str(tmp_path / "nowhere")]) == 2
    (place / "extra.txt").write_text("x")
    assert main(["evidence", "verify", str(place)]) == 1
    assert "'extra.txt': not part of the bundle" in capsys.readouterr().out


BLOCKER = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"airflow", "psycopg", "pydantic", "httpx", "yaml", "jinja2"} or name.startswith("rescind.ledger"):
            raise ImportError("blocked: " + name)
sys.meta_path.insert(0, Block())
from rescind.cli import main
from rescind.cli.evidence import UNCHECKED
sys.exit(main(["evidence", *sys.argv[1:]]))
"""  # noqa: E501


def test_the_verifier_needs_neither_airflow_nor_the_ledger(ledger: Ledger, tmp_path: Path) -> None:
    place = bundle(ledger, closed_run(ledger), tmp_path)
    for command in (
        ["verify", str(place)],
        ["missing", str(place), "--control", "SOC 2 CC6.2"],
        ["export", str(place), str(tmp_path / "tables")],
        ["sanitize", str(place), str(tmp_path / "copy")],
    ):
        done = subprocess.run(
            [sys.executable, "-c", BLOCKER, *command],
            capture_output=True, text=True, timeout=60, env={"PYTHONPATH": str(ROOT / "plugins")},
        )  # fmt: skip
        assert done.returncode == {"missing": 1, "verify": UNCHECKED}.get(command[0], 0), done.stderr


def test_meaning_is_checked_beyond_the_hashes(ledger: Ledger, tmp_path: Path) -> None:
    """Bundles that are whole by every hash, made from records that do not fit together."""
    files = contents(bundle(ledger, closed_run(ledger), tmp_path, key=None))

    def refused(kind: str, **change: object) -> list[str]:
        return verify(MemorySource(remade(files, kind, change))).problems

    assert refused("review") == []
    for name in ("rita", "Rita ", "rit\u0430", ""):
        assert refused("approvals", **signed(files, responded_by=name)) == ["the requester approved their own run"]
    assert refused("approvals", **signed(files, digest="0" * 64)) == ["the approval is for another plan"]
    assert any(
        "digest of the approved effects does not match the plan" in one for one in refused("plan", digest="0" * 64)
    )
    assert any(
        "standing of an item does not match its verdict" in one for one in refused("verdicts", verdict="still_present")
    )
    assert any("no planned call" in one for one in refused("attempts", call="0" * 64))
    assert any("without approval" in one for one in refused("approvals", answer="reject"))
    near = POLICY[:-1] + ("0" if POLICY[-1] != "0" else "1")
    assert refused("review", policy_version=near) == ["the policy version of the plan does not match the run"]
    assert len(refused("plan", policy_version=near)) == 2
    assert any("not decided to be revoked" in one for one in refused("decisions", choice="keep"))
    assert any("does not match its id" in one for one in refused("grants", principal_id="somebody else"))
    assert any("content of a call does not match its id" in one for one in refused("calls", rows=["m9"]))
    assert any("findings do not match the open items" in one for one in refused("findings", subject="0" * 64))
    assert any("number of grants of a scope does not match its count" in one for one in refused("scopes", counted=11))
    assert any("dry run sent a request" in one for one in refused("review", dry_run=True))
    assert any(
        "the population differs from the sealed snapshot" in one for one in refused("review", snapshot_digest="0" * 64)
    )


def test_every_line_of_every_file_is_read_by_the_checks(ledger: Ledger, tmp_path: Path) -> None:
    run = closed_run(ledger)
    files = contents(bundle(ledger, run, tmp_path, key=None))
    kinds = [kind for kind in RECORD_FILES if files[f"{kind}.jsonl"]]
    assert {"grants", "decisions", "items", "verdicts"} <= set(kinds)
    for kind in kinds:
        *lines, last = files[f"{kind}.jsonl"].splitlines(keepends=True)
        spaced = last.replace(b'":', b'": ', 2).replace(b'": ', b'":', 1)  # only inside the record: the chain holds
        assert verify(MemorySource(relined(files, kind, [*lines, spaced]))).problems == [
            f"{kind}.jsonl holds a line that is not canonical"
        ]
    assert [{**record, "scope": ""} for record in records(MemorySource(files), "grants")] == [
        {**json.loads(encode(grant_record(one))), "scope": ""} for one in ledger.snapshot.grants(run.run_id)
    ]
    for kind in ("grants", "decisions"):
        lines = files[f"{kind}.jsonl"].splitlines(keepends=True)
        found = verify(MemorySource(relined(files, kind, lines[:-1]))).problems
        assert "grants and decisions do not match" in found


@pytest.mark.parametrize(
    ("kind", "problem"),
    [
        ("review", "review.jsonl is about another run"),
        ("attempts", "an attempt was made under another plan"),
        ("items", "an item has no grant"),
        ("items", "the approved effects do not match the planned items"),
        ("decisions", "grants and decisions do not match"),
    ],
)
def test_a_record_that_fits_no_other_is_found(ledger: Ledger, tmp_path: Path, kind: str, problem: str) -> None:
    files = contents(bundle(ledger, closed_run(ledger), tmp_path, key=None))
    planned = {item["grant_id"] for item in records(MemorySource(files), "items") if item["call"] is not None}
    foreign = {"review": {"number": 2}, "attempts": {"plan_digest": "0" * 64}}.get(kind, {"grant_id": "f" * 64})

    def changed(record: dict[str, object]) -> dict[str, object]:
        return {**record, **foreign} if record.get("grant_id") in (None, max(planned)) else record

    found = verify(MemorySource(remade_by(files, {kind: changed}))).problems
    assert any(problem in one for one in found), found


def test_two_bundles_in_one_place_of_the_chain_are_found(ledger: Ledger, tmp_path: Path) -> None:
    result = verify(bundle_source(bundle(ledger, closed_run(ledger), tmp_path)), key=PUBLIC)
    assert verify_series({"one": result}) == []
    assert verify_series({"one": result, "two": result}) == ["two bundles have the same position in the evidence chain"]


def signed(files: dict[str, bytes], key: Ed25519PrivateKey = SIGNER, **change: object) -> dict[str, object]:
    """The change to an approval, with a signature that fits it."""
    (review,), (approval,) = records(MemorySource(files), "review"), records(MemorySource(files), "approvals")
    run = {name: review[name] for name in ("run", "dag", "airflow_run")}
    name, signature = ApprovalKeys(key).sign(statement({**approval, **run, **change}))
    return {**change, "signing_key": name, "signature": signature}


@pytest.mark.parametrize(
    "change",
    [
        {"responded_by": "ada"}, {"responded_at": "2026-01-01T00:00:00.000000Z"}, {"requested_by": "nobody"},
        {"valid_until": "2999-01-01T00:00:00.000000Z"}, {"automatic": True}, {"measured_against": "1 of 2"},
        {"nonce": "0" * 32}, {"answer": "reject"},
    ],
)  # fmt: skip
def test_a_changed_approval_fails(ledger: Ledger, tmp_path: Path, change: dict[str, object]) -> None:
    files = contents(bundle(ledger, closed_run(ledger), tmp_path, key=None))
    found = verify(MemorySource(remade(files, "approvals", change))).problems
    assert any("signature of the approval" in one and "is not valid" in one for one in found), found
    page = render(figures(MemorySource(remade(files, "approvals", change)))).decode()
    assert "<dt>Approved by</dt><dd>nobody" in page and "was changed or forged" in page


def test_an_approval_of_another_run_or_key_fails(ledger: Ledger, tmp_path: Path) -> None:
    files = contents(bundle(ledger, closed_run(ledger), tmp_path, key=None))

    def found(change: dict[str, object], keys: list[bytes] | None = None) -> str:
        source = MemorySource(remade(files, "approvals", change))
        return "; ".join(verify(source, approval_keys=keys).problems)

    assert found({}) == ""
    assert "nobody approved this plan" in found({"signature": "", "signing_key": "", "public_key": ""})
    assert "the deployment did not accept" in found({"public_key": ""})
    assert "the deployment did not accept" in found(signed(files, OTHER))
    (approval,) = records(MemorySource(files), "approvals")
    signature = str(approval["signature"])
    assert "is not valid" in found({"signature": signature[:-1] + ("0" if signature[-1] != "0" else "1")})
    assert "is not valid" in found({"signature": signature.upper()})
    for name in ("run", "dag", "airflow_run"):
        other = remade(files, "review", {name: "manual__2"})
        assert any("is not valid" in one for one in verify(MemorySource(other)).problems), name
    assert found({}, [OTHER.public_key().public_bytes_raw(), APPROVAL_PUBLIC]) == ""
    assert "is not a given key" in found({}, [OTHER.public_key().public_bytes_raw()])


def test_the_verifier_names_approver_and_key(
    ledger: Ledger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = bundle(ledger, closed_run(ledger), tmp_path / "bundles")
    form = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    signer, approver = tmp_path / "evidence.pub.pem", tmp_path / "approval.pub.pem"
    signer.write_bytes(KEY.public_key().public_bytes(*form))
    approver.write_bytes(SIGNER.public_key().public_bytes(*form))
    command = ["evidence", "verify", str(place), "--key", str(signer)]
    assert main(command) == 0
    name = key_name(APPROVAL_PUBLIC)
    assert f"approve by anna, signed by approval key {name}; pass --approval-key" in capsys.readouterr().out
    assert main([*command, "--approval-key", str(approver)]) == 0
    assert f"approve by anna, signed by the given approval key {name}\n" in capsys.readouterr().out
    approver.write_bytes(OTHER.public_key().public_bytes(*form))
    assert main([*command, "--approval-key", str(approver)]) == 1
    assert "which is not a given key" in capsys.readouterr().out


def test_a_bundle_from_before_signed_approvals_says_so(ledger: Ledger, tmp_path: Path) -> None:
    files = contents(bundle(ledger, closed_run(ledger), tmp_path, key=None))
    before = dict.fromkeys(("nonce", "signing_key", "signature", "public_key", "airflow_record"), ...)
    old = MemorySource(remade(files, "approvals", before))
    result = verify(old)
    assert result.problems == [] and any("from a version before signed approvals" in note for note in result.notes)
    assert any(
        "version before signed approvals" in one for one in verify(old, approval_keys=[APPROVAL_PUBLIC]).problems
    )


def test_every_verdict_is_kept_and_the_latest_counts(ledger: Ledger, tmp_path: Path) -> None:
    run = closed_run(ledger)
    gone = [one.grant_id for one in ledger.verdicts.latest(run.run_id) if one.verdict == Verdict.VERIFIED_GONE]
    again = VerdictRecord(gone[0], Verdict.STILL_PRESENT, "listed again", datetime.now(UTC))
    ledger.verdicts.record(run.run_id, [again])
    place = bundle(ledger, run, tmp_path, key=None)
    source = bundle_source(place)
    assert verify(source).problems == []
    history = [(one["verdict"], one["latest"]) for one in records(source, "verdicts") if one["grant_id"] == gone[0]]
    assert history == [("verified_gone", False), ("still_present", True)]
    assert sum(1 for _ in records(source, "verdicts")) == 5 and sum(1 for _ in latest_verdicts(source)) == 4
    standings = {item["grant_id"]: item["standing"] for item in records(source, "items")}
    assert standings[gone[0]] == "still_present" and standings[gone[1]] == "verified_gone"
    assert {row["grant_id"]: row["standing"] for row in outcomes(source)} == standings
    assert ("still_present", gone[0]) in {(one["finding"], one["subject"]) for one in records(source, "findings")}
    for latest in (True, False):
        found = verify(MemorySource(remade(contents(place), "verdicts", {"latest": latest}))).problems
        assert any("the verdict marked latest is not the last one" in one for one in found)
    assert main(["evidence", "sanitize", str(place), str(tmp_path / "copy")]) == 0
    assert main(["evidence", "verify", str(tmp_path / "copy")]) == UNCHECKED


def test_secrets_by_name_and_floats_do_not_reach_evidence() -> None:
    value = {"AccessToken": "x", "a": [{"client_secret": "y", "Signature": "z", "ok": 1.5}], "NextToken": "page"}
    assert plain(value) == {
        "AccessToken": "[removed: a secret has no place in evidence]",
        "a": [{"client_secret": "[removed: a secret has no place in evidence]",
               "Signature": "[removed: a secret has no place in evidence]", "ok": "1.5"}],
        "NextToken": "page",
    }  # fmt: skip


def test_the_tree_is_that_of_rfc_6962() -> None:
    # Test vectors of certificate-transparency's merkletree tests: leaves and roots of growing trees.
    leaves = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
    roots = {
        0: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    }
    tree = Merkle()
    for count in range(9):
        if count in roots:
            assert tree.root() == roots[count]
        if count < 8:
            tree.add(bytes.fromhex(leaves[count]))


def test_a_listing_that_is_not_whole_is_an_open_finding(ledger: Ledger, tmp_path: Path) -> None:
    run = begin(ledger)
    grants = [grant(number) for number in range(3)]
    list_scope(ledger, run, grants, complete=False)
    place = bundle(ledger, ledger.runs.finish(run.run_id, "failed", {}), tmp_path)
    result = verify(bundle_source(place))
    assert result.holds and "open: 1 scope_incomplete" in result.notes


def test_the_settings_are_those_whose_digest_was_approved(ledger: Ledger, tmp_path: Path) -> None:
    facts = {
        "record": {"settings": {"max_percent": 20}, "files": {}, "hidden": []},
        "compared_with": None,
        "changes": [],
    }
    content = canonical(facts["record"])
    run = closed_run(ledger, inputs=[NewInput(SETTINGS, "Airflow Variable", content, facts)])
    files = contents(bundle(ledger, run, tmp_path, key=None))
    assert verify(MemorySource(files)).problems == []

    def refused(**change: object) -> list[str]:
        return verify(MemorySource(remade(files, "inputs", change))).problems

    wider = {"facts": {**facts, "record": {**facts["record"], "settings": {"max_percent": 100}}}}  # type: ignore[dict-item]
    both = ["the recorded settings do not match their digest", "the recorded settings are not those that were approved"]
    assert refused(**wider) == both
    digest = hashlib.sha256(canonical(wider["facts"]["record"])).hexdigest()
    assert refused(**wider, sha256=digest) == both[1:]
    assert refused(name="roster") == both[1:]
