"""Bundles of runs about named people, and everything that somebody with the signing key could try with them.

The tampered bundles are made from the description in docs/adr/0016, with the hashes of ``tests.support.omitted``.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rescind.evidence.bundle.read import bundle_source
from rescind.evidence.bundle.sanitize import sanitize
from rescind.evidence.bundle.verify import verify
from rescind.evidence.report.counting import figures
from rescind.evidence.report.html_report import report
from tests.support.ledger.memory_bundle import MemorySource
from tests.support.ledger.runs import ACCOUNT
from tests.support.omitted import (
    ALICE,
    ALICE_THERE,
    DIFFERS,
    OTHER_ACCOUNT,
    Files,
    Made,
    Row,
    again,
    leaves_of,
    of_scope,
    omitted,
    seal_of,
    sha,
)
from tests.unit.evidence.conftest import PUBLIC

pytestmark = pytest.mark.postgres


def scope_of(made: Made, account: str) -> str:
    return next(str(one["scope"]) for one in made.part["scopes"] if one["account"] == account)


def test_the_bundle_holds_the_people_of_the_run_and_hashes_of_the_rest(made: Made, tmp_path: Path) -> None:
    result = verify(bundle_source(made.place), key=PUBLIC)
    assert result.problems == []
    assert sum(map(len, made.files.values())) > 0 and not made.whole["omitted"]
    assert made.part["review"][0]["snapshot_digest"] == made.whole["review"][0]["snapshot_digest"]
    assert made.part["review"][0]["snapshot_digest"] == seal_of(made.whole["scopes"], made.whole["grants"])
    full = {(one["account"], one["principal_type"], one["principal_id"]) for one in made.part["grants"]}
    assert full == {
        (ACCOUNT, "user", ALICE), (ACCOUNT, "group", "g1"), (ACCOUNT, "group", "g2"), (ACCOUNT, "everyone", "all"),
        (OTHER_ACCOUNT, "user", ALICE_THERE),
    }  # fmt: skip
    wanted = [
        one for one in made.whole["grants"] if (one["account"], one["principal_type"], one["principal_id"]) in full
    ]
    assert made.part["grants"] == wanted
    assert {one["grant_id"] for one in made.part["decisions"]} == {one["grant_id"] for one in wanted}
    assert {one["principal_id"] for one in made.part["principals"]} == {ALICE, "g1", "g2", "all", ALICE_THERE}
    assert [one["container_id"] for one in made.part["memberships"]] == ["g2", "g1"]
    for one in made.part["omitted"]:  # each is a subtree of the whole population, and the largest one
        leaves = leaves_of(of_scope(made.whole["grants"], one["scope"]))
        start = next(n for n, leaf in enumerate(leaves) if leaf[3] == one["first"])
        assert one == omitted(one["scope"], leaves[start : start + one["principals"]])
    left = sum(one["grants"] for one in made.part["omitted"])
    assert left + len(wanted) == len(made.whole["grants"]) and left > 30
    here = [one for one in made.part["omitted"] if one["scope"] == scope_of(made, ACCOUNT)]
    assert max(one["principals"] for one in here) >= 8 > len(here) / 3
    note = next(one for one in result.notes if "represented by hashes" in one)
    people = sum(one["principals"] for one in made.part["omitted"])
    assert note.startswith(f"{len(wanted)} grants of 5 principals were checked; {left} grants of {people} principals")
    page = report(figures(MemorySource(made.files))).decode()
    assert f"{left} grants of {people} principals are represented by hashes" in page
    assert "their number is a statement of the run" in page
    assert figures(MemorySource(made.files)).total["discovered"] == len(made.whole["grants"])
    sanitize(bundle_source(made.place), tmp_path / "copy")
    copy = verify(bundle_source(tmp_path / "copy"))
    assert copy.problems == [] and not any("were checked" in one for one in copy.notes)
    assert any(one.startswith("a copy without personal data: what is left out") for one in copy.notes)


# --- attacks: every hash is computed again, and the real key signs ---------------------------------


def drop(kind: str, which: Callable[[Row], bool]) -> Callable[[Made, Files], None]:
    def change(_: Made, files: Files) -> None:
        found = [one for one in files[kind] if which(one)]
        assert found
        files[kind].remove(found[0])

    return change


def edit(kind: str, which: Callable[[Row], bool], **new: Any) -> Callable[[Made, Files], None]:
    def change(_: Made, files: Files) -> None:
        place = next(n for n, one in enumerate(files[kind]) if which(one))
        files[kind][place] = {**files[kind][place], **new}

    return change


def hide(made: Made, files: Files, account: str, *principals: tuple[str, str]) -> None:
    """Leave out principals that the bundle has to hold in full, as well as anybody could: the sealed root stays."""
    scope = scope_of(made, account)
    leaves = leaves_of(of_scope(made.whole["grants"], scope))
    gone = [one for one in files["grants"] if (one["scope"], (one["principal_type"], one["principal_id"]))
            in {(scope, who) for who in principals}]  # fmt: skip
    ids = {one["grant_id"] for one in gone}
    assert ids
    for kind in ("grants", "decisions"):
        files[kind] = [one for one in files[kind] if one["grant_id"] not in ids]
    bare = [omitted(scope, [leaf]) for leaf in leaves if tuple(leaf[3]) in principals]
    files["omitted"] = sorted([*files["omitted"], *bare], key=lambda one: (one["scope"], one["first"]))


def hide_of(account: str, *principals: tuple[str, str]) -> Callable[[Made, Files], None]:
    return lambda made, files: hide(made, files, account, *principals)


def hide_everything(made: Made, files: Files) -> None:
    """One part for the whole second scope: its range holds Alice's other id, which nobody can see."""
    scope = scope_of(made, OTHER_ACCOUNT)
    leaves = leaves_of(of_scope(made.whole["grants"], scope))
    for kind in ("grants", "decisions"):
        ids = {one["grant_id"] for one in of_scope(made.whole["grants"], scope)}
        files[kind] = [one for one in files[kind] if one["grant_id"] not in ids]
    files["omitted"] = [one for one in files["omitted"] if one["scope"] != scope] + [omitted(scope, leaves)]


def closed_gap(made: Made, files: Files) -> None:
    """The neighbors of an id without a grant, joined: the range could hold it. The sealed root stays."""
    scope = scope_of(made, OTHER_ACCOUNT)
    leaves = leaves_of(of_scope(made.whole["grants"], scope))
    files["omitted"] = [one for one in files["omitted"] if one["scope"] != scope]
    seven = next(n for n, leaf in enumerate(leaves) if leaf[3] == ["user", ALICE_THERE])
    assert seven == 7
    files["omitted"] += [omitted(scope, part) for part in (leaves[:4], leaves[4:6], leaves[6:7], leaves[8:])]


def swap(made: Made, files: Files) -> None:
    one, two, *_ = [n for n, row in enumerate(files["omitted"]) if row["principals"] == 1]
    files["omitted"][one]["hash"], files["omitted"][two]["hash"] = (
        files["omitted"][two]["hash"], files["omitted"][one]["hash"]
    )  # fmt: skip


def moved(made: Made, files: Files) -> None:
    """A part of one scope as a part of the other one."""
    files["omitted"][0] = {**files["omitted"][0], "scope": scope_of(made, OTHER_ACCOUNT)}


def split(made: Made, files: Files) -> None:
    """A part that is no subtree: the same leaves cut in another place."""
    place, one = next((n, row) for n, row in enumerate(files["omitted"]) if row["principals"] >= 4)
    leaves = leaves_of(of_scope(made.whole["grants"], one["scope"]))
    start = next(n for n, leaf in enumerate(leaves) if leaf[3] == one["first"])
    cut = [
        omitted(one["scope"], leaves[start : start + 3]),
        omitted(one["scope"], leaves[start + 3 : start + one["principals"]]),
    ]
    files["omitted"][place : place + 1] = cut


def sibling(made: Made, files: Files) -> None:
    """A part that also stands for a leaf beside it, whose grants are still there."""
    one = files["omitted"][-1]
    files["omitted"].append(dict(one))


def new_leaf(made: Made, files: Files) -> None:
    grants = [{**made.whole["grants"][0], "principal_id": "zzz", "principal_type": "user", "grant_id": "0" * 64}]
    files["omitted"].append(omitted(scope_of(made, ACCOUNT), leaves_of(grants)))


def grant_of_another(made: Made, files: Files) -> None:
    """A grant of somebody who is left out, added with its decision; their part still stands."""
    extra = next(one for one in made.whole["grants"] if one["principal_id"] == "u000020")
    for kind in ("grants", "decisions"):
        row = next(one for one in made.whole[kind] if one["grant_id"] == extra["grant_id"])
        files[kind] = sorted([*files[kind], row], key=lambda one: str(one["grant_id"]))


def without_note(made: Made, files: Files) -> None:
    for scope in files["scopes"]:
        scope["notes"].pop("sealed_people")


def other_people(made: Made, files: Files) -> None:
    """The real author's bundle of the same run, had it been about Bob: Alice's other leaf is left out."""
    for scope in files["scopes"]:
        scope["notes"]["sealed_people"] = {"asked": ["bob"], "principals": [["user", ALICE]]}
    hide(made, files, OTHER_ACCOUNT, ("user", ALICE_THERE))


def other_people_and_form(made: Made, files: Files) -> None:
    other_people(made, files)
    files["review"][0]["params"] = {**files["review"][0]["params"], "principals": ["bob"]}


def other_people_form_and_version(made: Made, files: Files) -> None:
    other_people_and_form(made, files)
    inputs = {one["name"]: one["sha256"] for one in files["inputs"]}
    digests = [inputs[name] for name in ("exceptions", "protections", "roster")]
    version = sha(b"", [sha(b"", [files["review"][0]["params"]]), True, *digests])
    files["review"][0]["policy_version"] = files["plan"][0]["policy_version"] = version


def nobody(made: Made, files: Files) -> None:
    files["review"][0]["params"] = {**files["review"][0]["params"], "principals": []}


def policy_run(made: Made, files: Files) -> None:
    files["review"][0]["params"] = {**files["review"][0]["params"], "kind": "policy"}


def lost_of_another(made: Made, files: Files) -> None:
    """A retained grant that is missing, of somebody who is left out."""
    lost = next(one for one in made.whole["grants"] if one["principal_id"] == "u000020")["grant_id"]
    files["kept"][0]["lost"] = [lost]
    files["findings"].append({"finding": "kept_lost", "subject": lost, "remains": "gone unexpectedly", "owner": "rita"})


def group_of_alice(made: Made, files: Files) -> None:
    """Alice is in another group than the bundle holds, by one of which nothing else is known."""
    for inner, outer in (("g2", "between"), ("between", "g3")):
        edge = {**files["memberships"][0], "member_type": "group", "member_id": inner, "container_id": outer}
        files["memberships"].append(edge)


def group_of_nobody_knows_whom(made: Made, files: Files) -> None:
    """A group that is left out has a member without an id: that may be Alice."""
    files["memberships"].append(
        {**files["memberships"][0], "member_type": "unknown", "member_id": "-", "container_id": "g3"}
    )


def memberships_and_groups(made: Made, files: Files) -> None:
    """The groups are left out, and nothing in the bundle says any more who is in them."""
    files["memberships"] = []
    for group in ("g1", "g2"):
        hide(made, files, ACCOUNT, ("group", group))


def edit_scope(made: Made, files: Files, **new: str) -> None:
    """The groups are left out; their scope is said to be another place, where nobody is in them. The seal stays."""
    place = next(n for n, one in enumerate(files["scopes"]) if one["account"] == ACCOUNT)
    files["scopes"][place] = {**files["scopes"][place], **new}
    for group in ("g1", "g2"):
        hide(made, files, ACCOUNT, ("group", group))


def scope_elsewhere(made: Made, files: Files) -> None:
    edit_scope(made, files, account="elsewhere")


def scope_of_another_system(made: Made, files: Files) -> None:
    edit_scope(made, files, system="dms_permissions")


def scope_twice(made: Made, files: Files) -> None:
    files["scopes"].insert(0, dict(next(one for one in files["scopes"] if one["account"] == ACCOUNT)))
    edit_scope(made, files, account="elsewhere")


def call_of_another(made: Made, files: Files) -> None:
    call = files["calls"][0]
    call["columns"] = [*call["columns"], ["user", ["u000020"]]]


def _many(part: Row) -> bool:
    return bool(part["grants"] > part["principals"] > 7)


def _two(part: Row) -> bool:
    return bool(part["principals"] == 2)


NOBODY = "the run names nobody"
HOLDS, SEALED_FOR = "could hold somebody whom the run is about", "not those for whom the snapshot was sealed"
DECIDED, SAYS = "grants and decisions do not match", "says something of a grant that it leaves out"
EMPTY, REQUEST = "present although nothing is left out", "not those whose request was planned and approved"
APPROVED = "the policy version of the approved effects does not match the plan"
PLACE = "a scope does not match its id"
ATTACKS: dict[str, tuple[Callable[[Made, Files], None], str]] = {
    "a part is dropped": (drop("omitted", lambda one: True), DIFFERS),
    "a bare leaf is dropped": (drop("omitted", lambda one: one["principals"] == 1), DIFFERS),
    "a subtree is dropped": (drop("omitted", lambda one: one["principals"] > 1), DIFFERS),
    "a grant of Alice is dropped": (lambda made, files: [
        drop(kind, lambda one: one["grant_id"] == made.part["grants"][0]["grant_id"])(made, files)
        for kind in ("grants", "decisions")
    ] and None, DIFFERS),
    "a grant without its decision": (drop("decisions", lambda one: one["rule"] != "leaver"), DECIDED),
    "two leaves are exchanged": (swap, DIFFERS),
    "a part is moved to another scope": (moved, DIFFERS),
    "a part is cut elsewhere": (split, "no subtree in its place"),
    "a part stands twice": (sibling, "overlap, or are not in order"),
    "a leaf is added": (new_leaf, DIFFERS),
    "a grant of another is added": (grant_of_another, DIFFERS),
    "a number of grants is smaller": (edit("omitted", _many, grants=8), DIFFERS),
    "a number of principals is larger": (edit("omitted", _two, principals=3, grants=9), DIFFERS),
    "a range ends earlier": (edit("omitted", lambda one: one["principals"] >= 4, last=["user", "u0000090"]), DIFFERS),
    "a part of no scope": (edit("omitted", lambda one: True, scope="none"), "belongs to no scope"),
    "nothing is left out, says an empty file": (lambda made, files: files["omitted"].clear(), EMPTY),
    "Alice is left out, her range is open": (hide_of(OTHER_ACCOUNT, ("user", ALICE_THERE)), HOLDS),
    "the holder of the items is left out": (hide_of(ACCOUNT, ("user", ALICE)), SAYS),
    "a group is left out": (hide_of(ACCOUNT, ("group", "g1")), HOLDS),
    "the group of a group is left out": (hide_of(ACCOUNT, ("group", "g2")), HOLDS),
    "everyone is left out": (hide_of(ACCOUNT, ("everyone", "all")), HOLDS),
    "a whole scope is left out": (hide_everything, HOLDS),
    "the gap around an absent id is closed": (closed_gap, HOLDS),
    "the snapshot was sealed for nobody": (without_note, SEALED_FOR),
    "the bundle is about other people": (other_people, SEALED_FOR),
    "the form names other people": (other_people_and_form, REQUEST),
    "the form names other people, with its version": (other_people_form_and_version, APPROVED),
    "the form names nobody": (nobody, NOBODY),
    "the run follows a policy": (policy_run, NOBODY),
    "a lost grant of somebody who is left out": (lost_of_another, SAYS),
    "Alice is in a group that is left out": (group_of_alice, HOLDS),
    "a group has a member without an id": (group_of_nobody_knows_whom, HOLDS),
    "a group and who is in it are left out": (memberships_and_groups, HOLDS),
    "a scope is said to be of another account": (scope_elsewhere, PLACE),
    "and its grants show it": (scope_elsewhere, "of another system or account than its scope"),
    "a scope is said to be of another system": (scope_of_another_system, PLACE),
    "a scope stands twice, once elsewhere": (scope_twice, "duplicate scope"),
    "a call about somebody who is left out": (call_of_another, HOLDS),
}  # fmt: skip


@pytest.mark.parametrize("resealed", [False, True], ids=["", "sealed again"])
def test_no_tampered_bundle_is_accepted(made: Made, resealed: bool) -> None:
    """Sealed again: the attacker also computes a digest that fits the other people, form or notes."""
    assert verify(again(made.files, made.part), key=PUBLIC).problems == []
    for name, (change, reason) in ATTACKS.items():
        files: Files = json.loads(json.dumps(made.part))
        change(made, files)
        assert files != made.part, name
        if resealed:
            files["review"][0]["snapshot_digest"] = seal_of(files["scopes"], made.whole["grants"])
        problems = verify(again(made.files, files), key=PUBLIC).problems
        assert any(reason in one for one in problems), (name, problems)
