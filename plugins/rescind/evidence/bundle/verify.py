"""Verify a bundle offline: no file or record was changed, removed, added, reordered or truncated, and records agree.

It needs the bundle only. To know who signed it, pass a public key that you got from another source.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from rescind.evidence.bundle import consistency
from rescind.evidence.bundle.format import (
    CONTROLS,
    EFFECTS,
    EFFECTS_BEFORE,
    FORMAT,
    MANIFEST,
    OMITTED,
    RECORD_FILES,
    SIGNATURE,
    Chain,
    Raw,
    encode,
    file_name,
    manifest_of,
)
from rescind.evidence.bundle.read import Source
from rescind.evidence.bundle.signing import check, same

_HEX = re.compile(r"[0-9a-f]{64}")
_RUN = re.compile(r"[A-Za-z0-9._-]{1,100}")
_PIECE = 1 << 20
_MOST_JSON = 1 << 22
_KEYS = {"files", "format", "link", "number", "previous", "root", "run", "sanitized", "seal"}


@dataclass(slots=True)
class Verification:
    """The result of a verification. The bundle holds if ``problems`` is empty; ``notes`` are for people.

    :param signer_checked: whether the bundle was signed with the key that the caller gave.
    """

    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    manifest: Mapping[str, Any] = field(default_factory=dict)
    signer_checked: bool = False

    @property
    def holds(self) -> bool:
        """Whether there are no problems."""
        return not self.problems


def verify(source: Source, *, key: bytes | None = None, approval_keys: Collection[bytes] | None = None) -> Verification:
    """Verify one bundle.

    :param key: 32 bytes of the public key that must have signed it. Without it the signer is not checked: any valid
        signature passes, and an unsigned bundle passes.
    :param approval_keys: public keys (32 bytes each), of which one must have signed the approval; without them the key
        that the bundle names.
    """
    result = Verification()
    manifest = _manifest(source, result)
    if manifest is None:
        return result
    result.manifest = manifest
    _signature(source, result, key)
    _names(source, result, manifest)
    for entry in manifest["files"]:
        _file(source, result, str(manifest["run"]), entry)
    if result.holds:
        result.problems += consistency.problems(source, manifest, result.notes, approval_keys)
    return result


def _manifest(source: Source, result: Verification) -> dict[str, Any] | None:
    """Return the manifest if it is canonical and its root and link are right; None stops the verification."""
    try:
        with source.open(MANIFEST) as file:
            text = file.read(_MOST_JSON)
        facts = json.loads(text)
        if encode(facts) + b"\n" != text:
            raise ValueError("is not in canonical form")
        _shape(facts)
        again = manifest_of(
            facts["run"], facts["number"], facts["seal"], facts["previous"], facts["files"], facts["sanitized"]
        )
        for name in ("root", "link", "files"):
            if again[name] != facts[name]:
                raise ValueError(f"has a {name} that does not match its content")
    except (OSError, ValueError, RecursionError) as error:
        why = "is missing" if isinstance(error, OSError) else str(error)
        result.problems.append(f"{MANIFEST}: {why}")
        return None
    manifest: dict[str, Any] = facts
    return manifest


def _shape(facts: Any) -> None:
    """Check keys and types of the manifest.

    :raises ValueError: naming what is wrong.
    """
    if not isinstance(facts, dict) or facts.keys() != _KEYS or facts["format"] != FORMAT:
        raise ValueError(f"is not a manifest of format {FORMAT}")
    if not (isinstance(facts["run"], str) and _RUN.fullmatch(facts["run"])):
        raise ValueError("names no run")
    if not (_count(facts["number"], 1) and _count(facts["seal"], 1)):
        raise ValueError("has no number of the run, or no position in the evidence chain (field seal)")
    if facts["sanitized"] != "" and not _digest(facts["sanitized"]):
        raise ValueError("names no source root (field sanitized)")
    before = facts["previous"]
    first = facts["seal"] == 1
    if first != (before is None) or not (before is None or _before(before, facts["seal"])):
        raise ValueError("does not name the previous bundle")
    if not isinstance(facts["files"], list) or not all(_entry(entry) for entry in facts["files"]):
        raise ValueError("has a malformed list of files")
    names = [entry["name"] for entry in facts["files"]]
    required = {file_name(kind) for kind in RECORD_FILES} | {CONTROLS}
    if set(names) - {EFFECTS, EFFECTS_BEFORE, file_name(OMITTED)} != required or len(set(names)) != len(names):
        raise ValueError("does not list exactly the files of a bundle")


def _before(before: Any, position: int) -> bool:
    return (
        isinstance(before, dict)
        and before.keys() == {"seal", "run", "root", "link"}
        and before["seal"] == position - 1
        and isinstance(before["run"], str)
        and _digest(before["root"])
        and _digest(before["link"])
    )


def _entry(entry: Any) -> bool:
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
        return False
    digests, counts = ["sha256"], ["bytes"]
    if entry["name"] not in (EFFECTS, EFFECTS_BEFORE, CONTROLS):
        digests += ["head", "root"]
        counts += ["records"]
    return (
        entry.keys() == {"name", *digests, *counts}
        and all(_digest(entry[name]) for name in digests)
        and all(_count(entry[name], 0) for name in counts)
    )


def _digest(value: Any) -> bool:
    return isinstance(value, str) and _HEX.fullmatch(value) is not None


def _count(value: Any, least: int) -> bool:
    return type(value) is int and value >= least


def _signature(source: Source, result: Verification, key: bytes | None) -> None:
    try:
        with source.open(SIGNATURE) as file:
            text = file.read(_MOST_JSON)
        with source.open(MANIFEST) as file:
            signer = check(file.read(_MOST_JSON), text)
    except OSError:
        result.problems.append(f"{SIGNATURE}: is missing")
        return
    except (ValueError, RecursionError) as error:
        result.problems.append(f"{SIGNATURE}: {error}")
        return
    result.signer_checked = same(signer, key)
    if key is not None and not result.signer_checked:
        who = "nobody" if signer is None else f"public key {signer.hex()}"
        result.problems.append(f"{SIGNATURE}: signed by {who}, expected public key {key.hex()}")
    elif signer is None:
        result.notes.append("UNSIGNED: this detects accidental changes, not a deliberate forgery")
    else:
        result.notes.append(f"signed by {'the given' if key else 'the'} public key {signer.hex()}")


def _names(source: Source, result: Verification, manifest: Mapping[str, Any]) -> None:
    listed = {entry["name"] for entry in manifest["files"]} | {MANIFEST, SIGNATURE}
    there = source.names()
    result.problems += [f"{name!a}: not part of the bundle" for name in sorted(there - listed)]
    result.problems += [f"{name}: is missing" for name in sorted(listed - there - {SIGNATURE})]


def _file(source: Source, result: Verification, run_id: str, entry: Mapping[str, Any]) -> None:
    """Compare one file with its entry in the manifest: the hash chain, the Merkle root, the checksum."""
    name = entry["name"]
    found: dict[str, Any]
    broken = 0
    try:
        with source.open(name) as file:
            if "records" in entry:
                chain = Chain(run_id, name)
                for line in file:
                    if not chain.accepts(line) and not broken:
                        broken = chain.records
                found = chain.entry()
            else:
                raw = Raw(name)
                while piece := file.read(_PIECE):
                    raw.take(piece)
                found = raw.entry()
    except OSError:
        if name in source.names():
            result.problems.append(f"{name}: cannot be read")
        return
    if broken:
        result.problems.append(f"{name}: the hash chain breaks at line {broken}")
    elif found != entry:
        what = [label for label in ("records", "bytes") if found.get(label) != entry.get(label)]
        detail = ", ".join(f"{entry.get(label)} {label} expected, {found.get(label)} found" for label in what)
        result.problems.append(f"{name}: was changed{': ' + detail if detail else ''}")


def verify_series(verified: Mapping[str, Verification]) -> list[str]:
    """Return the problems of the evidence chain: a missing bundle, or one that does not follow the previous one.

    :param verified: the bundles of one folder, by name.
    """
    problems = []
    evidence_chain = {result.manifest["seal"]: result.manifest for result in verified.values() if result.manifest}
    if len(evidence_chain) != sum(1 for result in verified.values() if result.manifest):
        problems.append("two bundles have the same position in the evidence chain")
    for position in range(1, max(evidence_chain, default=0) + 1):
        manifest = evidence_chain.get(position)
        if manifest is None:
            problems.append(f"evidence chain, position {position}: the bundle is missing")
            continue
        before = evidence_chain.get(position - 1)
        named = manifest["previous"]
        if before is not None and named != {name: before[name] for name in ("seal", "run", "root", "link")}:
            problems.append(
                f"evidence chain, position {position}: does not follow the bundle at position {position - 1}"
            )
    return problems


def open_runs(verified: Mapping[str, Verification]) -> list[int]:
    """Return the run numbers below the highest that have no bundle."""
    numbers = {result.manifest["number"] for result in verified.values() if result.manifest}
    return [number for number in range(1, max(numbers, default=0)) if number not in numbers]
