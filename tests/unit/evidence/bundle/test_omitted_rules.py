"""What a bundle about named people may leave out, and who decides that."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from rescind.errors import InputError
from rescind.evidence.bundle.read import bundle_source, records
from rescind.evidence.bundle.verify import verify
from rescind.evidence.imports import import_run
from rescind.ledger import Ledger, NewRun, ScopeSpec
from rescind.model import Membership, Principal
from rescind.settings import ReviewRequest, Settings
from rescind.workflow.bundle_source import VerifiedBundle, compare_grants
from rescind.workflow.inputs import collect_inputs
from rescind.workflow.offboarding.named_people import sealed_people
from tests.support.ledger.runs import ACCOUNT, SYSTEM, certificate
from tests.support.omitted import (
    ALICE,
    DIFFERS_ALONE,
    Files,
    Made,
    Row,
    again,
    menu,
    named_run,
    of_scope,
)
from tests.support.servers.postgres import tampering
from tests.unit.evidence.conftest import PUBLIC, closed_run, contents
from tests.unit.evidence.conftest import bundle as written_bundle

pytestmark = pytest.mark.postgres


def old_form(scopes: Iterable[Row], grants: list[Row]) -> str:
    """The digest of snapshots that older versions sealed."""
    lines = []
    for scope in sorted(scopes, key=lambda one: str(one["scope"])):
        ids = b"".join(bytes.fromhex(one["grant_id"]) for one in of_scope(grants, scope["scope"]))
        lines.append(f"{scope['scope']} {scope['state']} {hashlib.sha256(ids).hexdigest()}\n")
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def test_a_snapshot_of_the_older_form_holds_and_leaves_nothing_out(made: Made, ledger_dsn: str, tmp_path: Path) -> None:
    old = old_form(made.whole["scopes"], made.whole["grants"])
    files: Files = json.loads(json.dumps(made.part))
    files["review"][0]["snapshot_digest"] = old
    problems = verify(again(made.files, files), key=PUBLIC).problems
    assert "a part is left out, and the form of the seal does not allow that" in problems
    with tampering(ledger_dsn) as connection:
        connection.execute("UPDATE rescind.run SET snapshot_digest = %s", (old,))
    run = made.ledger.runs.get(made.run.run_id)
    source = bundle_source(written_bundle(made.ledger, run, tmp_path / "old"))
    assert verify(source, key=PUBLIC).problems == [] and len(list(records(source, "grants"))) == len(
        made.whole["grants"]
    )
    fewer = [one for one in made.whole["grants"] if one["principal_id"] != "u000020"]
    ids = {one["grant_id"] for one in fewer}
    scopes = [{**one, "counted": len(of_scope(fewer, one["scope"]))} for one in made.whole["scopes"]]
    less = [one for one in made.whole["decisions"] if one["grant_id"] in ids]
    changed = {"grants": fewer, "decisions": less, "scopes": scopes}
    assert verify(again(contents(source.path), changed), key=PUBLIC).problems == [DIFFERS_ALONE]


def test_the_ledger_decides_what_may_be_left_out(made: Made, ledger_dsn: str, tmp_path: Path) -> None:
    """A population that is not the sealed one is shown whole; so is a run that is about nobody."""
    with tampering(ledger_dsn) as connection:
        connection.execute("DELETE FROM rescind.grant_row WHERE principal_id = 'u000020'")
    source = bundle_source(written_bundle(made.ledger, made.run, tmp_path / "less"))
    assert "omitted.jsonl" not in source.names()
    assert any("differs from the sealed snapshot" in one for one in verify(source).problems)
    other = bundle_source(written_bundle(made.ledger, closed_run(made.ledger, "manual__2"), tmp_path / "policy"))
    assert "omitted.jsonl" not in other.names() and verify(other).problems == []


def test_an_id_that_the_form_spells_out_is_never_left_out(ledger: Ledger, tmp_path: Path) -> None:
    """Even if the author of the seal did not count it as named."""
    run = named_run(ledger, ["u000020", f"{SYSTEM}:role:r1", "dms_user_id: x3"])
    source = bundle_source(written_bundle(ledger, run, tmp_path))
    assert verify(source, key=PUBLIC).problems == []
    assert {"u000020", "r1", "x3"} <= {one["principal_id"] for one in records(source, "grants")}


def test_the_seal_names_the_groups_of_the_people(ledger: Ledger, tmp_path: Path) -> None:
    """So taking their memberships out of a bundle does not make the groups anybody's."""
    asked = {"systems": [SYSTEM], "principals": [f"{SYSTEM}:user:{ALICE}"], "reason": "a leaver"}
    params = ReviewRequest.model_validate({"kind": "targets", **asked}).model_dump(mode="json")
    new = NewRun("revoke_access", "manual__1", "manual", "rita", reason="a leaver", params=params, dry_run=True)
    folder = Path(__file__).parents[4] / "include" / "examples"
    files = {
        name: str(folder / file)
        for name, file in (("exceptions", "exceptions.yaml"), ("protections", "protected.yaml"))
    }
    roster = tmp_path / "roster.csv"  # written now, so it is never too old
    roster.write_bytes((folder / "roster.csv").read_bytes())
    settings = Settings(roster=str(roster), roster_min_people=1, roster_max_leaver_percent=100, **files)
    run = ledger.runs.begin(new, collect_inputs(settings, ReviewRequest.model_validate(params)))
    spec = ScopeSpec(SYSTEM, ACCOUNT, "", "quickbi_default")
    ledger.scopes.open(run.run_id, [spec])
    edges = [("user", ALICE, "g1"), ("group", "g1", "g2"), ("user", "u000009", "g3"), ("unknown", "-", "g4")]
    groups = [Membership(SYSTEM, ACCOUNT, kind, ident, "group", group) for kind, ident, group in edges]
    grants = [menu(1, "user", ALICE), menu(1, "user", "u000009"), menu(1, "group", "g2")]
    people = [Principal(SYSTEM, ACCOUNT, "user", ident, ident) for ident in (ALICE, "u000009")]
    listed = replace(certificate(len(grants)), notes={"own_ids": ["999"]})
    ledger.snapshot.replace_scope(run.run_id, spec.scope_id, grants, people, groups, listed)
    ledger.scopes.seal(run.run_id, sealed_people(ledger, run))
    (scope,) = ledger.scopes.all(run.run_id)
    groups_of = [["group", "g1"], ["group", "g2"], ["group", "g4"]]
    assert scope.notes["sealed_people"]["principals"] == [*groups_of, ["unknown", "-"], ["user", ALICE]]


def test_a_restore_takes_a_part_and_refuses_what_it_leaves_out(made: Made) -> None:
    source = bundle_source(made.place)
    taken = VerifiedBundle(source, json.loads(made.files["manifest.json"]), True, ())
    grants = {one.grant_id: one for one in made.ledger.snapshot.grants(made.run.run_id)}
    alice = {ident: one for ident, one in grants.items() if one.key.principal_id == ALICE}
    assert set(compare_grants(made.ledger, made.run, taken, alice)) <= set(alice)
    with pytest.raises(InputError, match="leaves out 2 of the grants to restore"):
        both = {one.grant_id: one for one in grants.values() if one.key.principal_id in (ALICE, "u000020", "u000021")}
        compare_grants(made.ledger, made.run, taken, both)
    imported = import_run(made.ledger, source, json.loads(made.files["manifest.json"]))
    assert {one.grant_id for one in made.ledger.snapshot.grants(imported.run_id)} == {
        one["grant_id"] for one in made.part["grants"]
    }
    (scope, other) = made.ledger.scopes.all(imported.run_id)
    assert scope.state == other.state == "complete" and scope.counted + other.counted == len(made.part["grants"])
