"""Closed runs in a ledger, and their bundles."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from rescind.evidence.bundle.format import Chain, encode, manifest_of
from rescind.evidence.bundle.read import records
from rescind.evidence.bundle.signing import sign
from rescind.evidence.write import BundleWriter
from rescind.ledger import (
    SETTINGS,
    Ledger,
    NewBatch,
    NewCall,
    NewInput,
    NewItem,
    NewPlan,
    RetainedCheck,
    Run,
    VerdictRecord,
)
from rescind.model import Grant, ItemState, Mode, Verdict
from rescind.plan import SystemEffects, effects
from tests.support.ledger.memory_bundle import MemorySource
from tests.support.ledger.runs import ACCOUNT, SYSTEM, Frozen, approve, begin, call_for, decide, grant, list_scope
from tests.support.reviews.approval import KEYS
from tests.support.servers.postgres import *  # noqa: F403

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw()
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
POLICY = hashlib.sha256(b"the policies").hexdigest()
HOSTILE = "=cmd|'/c calc'!A1 <script>alert(1)</script> {{ 7*7 }} \u202eevil\u202c \x1b[31m \"q\""


def closed_run(
    ledger: Ledger, name: str = "manual__1", *, grants: int = 10, revoke: int = 4, inputs: Sequence[NewInput] = ()
) -> Run:
    """A run from listing to verdicts: one item held, one still effective, the rest gone."""
    run = begin(ledger, name, inputs=inputs, policy_version=POLICY)
    every = [grant(number, portal=f"p-{name}") for number in range(grants - 1)]
    every.append(grant(grants, portal=f"p-{name}", resource_name=HOSTILE, last_used_days=90, last_use="a log"))
    list_scope(ledger, run, every)
    ledger.scopes.seal(run.run_id)
    gone, held = [every[-1], *every[: revoke - 1]], every[revoke]
    return carried_out(ledger, run, every, gone, held)


def carried_out(ledger: Ledger, run: Run, every: Sequence[Grant], gone: Sequence[Grant], held: Grant) -> Run:
    """The run, decided, planned, approved, sent, verified and closed."""
    decide(ledger, run, every, [*gone, held])
    frozen = freeze(ledger, run, gone, held)
    approve(ledger, frozen)
    lease = ledger.batches.claim(run.run_id, frozen.batch_id, "worker")
    for call in ledger.plans.calls(run.run_id):
        attempt = ledger.attempts.begin(
            lease, call.call_id, plan_digest=frozen.plan.digest, request_digest="d" * 64, action="Cancel", version="v1"
        )
        times = {name: datetime.now(UTC) for name in ("sent_at", "answered_at")}
        ledger.attempts.finish(attempt.attempt_id, "accepted", **times, request_id=f"R-{call.ordinal}", http_status=200)
    ledger.batches.release(lease, done=True)
    now = datetime.now(UTC)
    ledger.verdicts.record(
        run.run_id,
        [VerdictRecord(one.grant_id, Verdict.VERIFIED_GONE, "listed again", now) for one in gone[1:]]
        + [VerdictRecord(gone[0].grant_id, Verdict.STILL_EFFECTIVE, "listed again", now, path=f"group {HOSTILE}")],
    )
    ledger.verdicts.record_retained(
        run.run_id, RetainedCheck(SYSTEM, ACCOUNT, len(every) - len(gone) - 1, [], True, now)
    )
    return ledger.runs.finish(run.run_id, "succeeded", {"problems": []})


def freeze(ledger: Ledger, run: Run, gone: Sequence[Grant], held: Grant) -> Frozen:
    """A plan as the planner writes it: one call for each grant that goes."""
    keys = [one.key for one in gone]
    entry = SystemEffects(SYSTEM, ACCOUNT, {"caller": "acs:ram::1:user/reader"}, Mode.STRICT, keys)
    settings = ledger.inputs.sha256(run.run_id, SETTINGS)
    bound = effects(
        [entry], policy_version=run.policy_version, settings=settings, guards={"total": 100}, valid_for_s=3600
    )
    calls = {call_for([one]).call_id: [one] for one in gone}
    batch = NewBatch(
        SYSTEM, ACCOUNT, "quickbi_default", [NewCall(call_for([one]), {one.grant_id: {"level": "1"}}) for one in gone]
    )
    plan = ledger.plans.freeze(
        run.run_id,
        NewPlan(
            hashlib.sha256(bound).hexdigest(),
            bound,
            datetime.now(UTC) + timedelta(hours=1),
            "0.1.0",
            policy_version=run.policy_version,
            guards=[{"guard": "total", "limit": 100, "measured": len(gone), "held": 0, "scope": "run"}],
            caps={"total": 100},
            lower_bound=1,
        ),
        [batch],
        [
            *(NewItem(one[0].grant_id, call_id) for call_id, one in calls.items()),
            NewItem(held.grant_id, None, ItemState.HELD, "the last administrator stays"),
        ],
    )
    return Frozen(run, plan, batch.batch_id, calls, gone)


def bundle(ledger: Ledger, run: Run, folder: Path, *, key: Ed25519PrivateKey | None = KEY) -> Path:
    """The run's bundle, written below a folder."""
    with BundleWriter(ledger, run, folder, key, approval_keys=KEYS.accepted) as written:
        return folder / written.name


def contents(path: Path) -> dict[str, bytes]:
    """A bundle as bytes by name."""
    return {entry.name: entry.read_bytes() for entry in path.iterdir()}


def pem(key: Ed25519PrivateKey) -> bytes:
    """The public half of a key, as people pass it to the verifier."""
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def remade(files: Mapping[str, bytes], kind: str, change: Mapping[str, object]) -> dict[str, bytes]:
    """The bundle with every record of a file changed (``...`` takes a field out) and all hashes computed; unsigned."""

    def changed(record: Mapping[str, object]) -> dict[str, object]:
        return {name: value for name, value in {**record, **change}.items() if value is not ...}

    return remade_by(files, {kind: changed})


def relined(files: Mapping[str, bytes], kind: str, lines: Sequence[bytes]) -> dict[str, bytes]:
    """The bundle with other lines in one file and all hashes computed; unsigned."""
    manifest = json.loads(files["manifest.json"])
    chain = Chain(manifest["run"], f"{kind}.jsonl")
    for line in lines:
        chain.accepts(line)
    entries = [chain.entry() if entry["name"] == chain.name else entry for entry in manifest["files"]]
    again = encode(manifest_of(manifest["run"], manifest["number"], manifest["seal"], None, entries)) + b"\n"
    return {**files, chain.name: b"".join(lines), "manifest.json": again, "signature.json": sign(again, None)}


def remade_by(
    files: Mapping[str, bytes], changes: Mapping[str, Callable[[Any], Any]], *, sanitized: str = ""
) -> dict[str, bytes]:
    """The bundle with the records of some files changed by a function, and all hashes computed; unsigned."""
    manifest = json.loads(files["manifest.json"])
    entries = {entry["name"]: entry for entry in manifest["files"]}
    made = dict(files)
    for kind, change in changes.items():
        chain = Chain(manifest["run"], f"{kind}.jsonl")
        made[chain.name] = b"".join([chain.line(change(record)) for record in records(MemorySource(files), kind)])
        entries[chain.name] = chain.entry()
    again = manifest_of(manifest["run"], manifest["number"], manifest["seal"], None, entries.values(), sanitized)
    made["manifest.json"] = encode(again) + b"\n"
    return {**made, "signature.json": sign(made["manifest.json"], None)}
