"""The format of decision record 16 by hand, with hashes of its own, and a run about one person to try it on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rescind.evidence.bundle.format import Chain, encode, manifest_of
from rescind.evidence.bundle.signing import sign
from rescind.ledger import Ledger, NewInput, NewRun, Run, ScopeSpec
from rescind.model import Cell, Grant, GrantKey, Membership, Principal, digest
from tests.support.ledger.memory_bundle import MemorySource
from tests.support.ledger.runs import ACCOUNT, SYSTEM, certificate
from tests.unit.evidence.conftest import KEY, carried_out

ALICE, GONE, ALICE_THERE, OTHER_ACCOUNT = "u000005", "u000900", "x7", "alibaba:2:cn-hangzhou"
PEOPLE = {
    ACCOUNT: [["group", "g1"], ["group", "g2"], ["user", ALICE], ["user", GONE]],
    OTHER_ACCOUNT: [["user", ALICE_THERE], ["user", "x45"]],
}
DIFFERS = "differs from the sealed snapshot"
DIFFERS_ALONE = f"the population {DIFFERS}"
Row = dict[str, Any]
Files = dict[str, list[Row]]


# --- the format, by hand ---------------------------------------------------------------------------


def sha(prefix: bytes, value: object) -> str:
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(prefix + text.encode()).hexdigest()


def leaves_of(grants: Iterable[Row]) -> list[list[Any]]:
    """[hash, principals, grants, first, last] of each principal, in order."""
    held: dict[tuple[str, str], list[str]] = {}
    for one in grants:
        held.setdefault((one["principal_type"], one["principal_id"]), []).append(one["grant_id"])
    found = []
    for (kind, ident), ids in sorted(held.items()):
        over = hashlib.sha256(b"".join(bytes.fromhex(one) for one in sorted(ids))).hexdigest()
        found.append([sha(b"\0", [kind, ident, len(ids), over]), 1, len(ids), [kind, ident], [kind, ident]])
    return found


def tree(leaves: list[list[Any]]) -> list[Any]:
    if len(leaves) == 1:
        return leaves[0]
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    left, right = tree(leaves[:half]), tree(leaves[half:])
    return [sha(b"\1", [left, right]), left[1] + right[1], left[2] + right[2], left[3], right[4]]


def of_scope(grants: Iterable[Row], scope: str) -> list[Row]:
    return [one for one in grants if one["scope"] == scope]


def seal_of(scopes: Iterable[Row], grants: list[Row]) -> str:
    rows = []
    for scope in sorted(scopes, key=lambda one: one["scope"]):
        leaves = leaves_of(of_scope(grants, scope["scope"]))
        rows.append(
            [scope["scope"], scope["state"], tree(leaves) if leaves else None, scope["notes"].get("sealed_people")]
        )
    return "2:" + sha(b"", ["rescind-snapshot/2", *rows])


def omitted(scope: str, leaves: list[list[Any]]) -> Row:
    made = tree(leaves)
    return {
        "scope": scope,
        "hash": made[0],
        "principals": made[1],
        "grants": made[2],
        "first": made[3],
        "last": made[4],
    }


def again(files: Mapping[str, bytes], changed: Mapping[str, list[Row]]) -> MemorySource:
    """The bundle with other records, every hash computed again, signed by the real key."""
    manifest = json.loads(files["manifest.json"])
    made = dict(files)
    entries = {entry["name"]: entry for entry in manifest["files"]}
    for kind, rows in changed.items():
        chain = Chain(manifest["run"], f"{kind}.jsonl")
        made[chain.name] = b"".join([chain.line(row) for row in rows])
        entries[chain.name] = chain.entry()
    text = (
        encode(manifest_of(*(manifest[name] for name in ("run", "number", "seal", "previous")), entries.values()))
        + b"\n"
    )
    return MemorySource({**made, "manifest.json": text, "signature.json": sign(text, KEY)})


# --- a run about one person -------------------------------------------------------------------------


def menu(number: int, kind: str, ident: str, account: str = ACCOUNT) -> Grant:
    key = GrantKey(SYSTEM, account, "menu", f"portal/m{number}", kind, ident, "view")
    return Grant(key, Cell("portal", f"m{number}", kind, (ident,)), principal_name=ident)


@dataclass
class Made:
    """A run about Alice: its bundle as it is written, and all records of the whole one."""

    ledger: Ledger
    run: Run
    place: Path
    files: dict[str, bytes]
    part: Files
    whole: Files


def named_run(ledger: Ledger, asked: list[str]) -> Run:
    inputs = [
        NewInput("exceptions", "a file", b"", {}),
        NewInput("protections", "a file", b"p", {}),
        NewInput("roster", "a file", b"alice", {"complete": True}),
    ]
    params = {"kind": "targets", "principals": asked, "reason": "a leaver"}
    version = digest([digest([params]), True, *(one.sha256 for one in inputs)])
    new = NewRun(
        "revoke_access", "manual__1", "manual", "rita", reason="a leaver", params=params, dry_run=False,
        policy_version=version,
    )  # fmt: skip
    run = ledger.runs.begin(new, inputs)
    here = [menu(n % 7, "user", f"u{n:06d}") for n in range(30)]
    here += [menu(8 + n, "user", ALICE) for n in range(3)] + [menu(8, "user", f"u{n:06d}") for n in range(9, 14)]
    here += [
        menu(1, kind, ident) for kind, ident in (("group", "g1"), ("group", "g2"), ("group", "g3"), ("role", "r1"))
    ]
    here += [menu(2, "everyone", "all")]
    there = [menu(n, "user", f"x{n}", OTHER_ACCOUNT) for n in range(10)]
    for account, grants in ((ACCOUNT, here), (OTHER_ACCOUNT, there)):
        spec = ScopeSpec(SYSTEM, account, "", "quickbi_default")
        ledger.scopes.open(run.run_id, [spec])
        holders = {(one.key.principal_type, one.key.principal_id) for one in grants}
        people = [Principal(SYSTEM, account, kind, ident, f"Name {ident}") for kind, ident in holders]
        edges = [("user", ALICE, "g1"), ("group", "g1", "g2"), ("user", "u000009", "g3")] if account == ACCOUNT else []
        groups = [Membership(SYSTEM, account, kind, ident, "group", group) for kind, ident, group in edges]
        ledger.snapshot.replace_scope(run.run_id, spec.scope_id, grants, people, groups, certificate(len(grants)))
    ledger.scopes.seal(run.run_id, lambda scope, _: {"asked": asked, "principals": PEOPLE[scope.account]})
    alice = [one for one in here if one.key.principal_id == ALICE]
    return carried_out(ledger, run, [*here, *there], alice[:3], alice[3])
