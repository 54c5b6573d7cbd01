"""The form of a bundle: canonical lines, hash chains, Merkle trees, the link to the bundle before.

A bundle is a flat folder: ``manifest.json``, ``signature.json``, one JSON Lines file for each kind of record,
``controls.json`` (what is asked for, and by which rule), and ``effects.json`` (the exact bytes that were approved)
when there was a plan. Three hashes protect it, all SHA-256:

- in each record file every line names the hash of the line before; the first one names the run and the file;
- a Merkle tree (RFC 6962) over the lines of each file, and one over the files, gives one root per run;
- the link covers the root, the run and its numbers, and the link of the bundle that was sealed before.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

FORMAT = "rescind-evidence/1"
MANIFEST = "manifest.json"
SIGNATURE = "signature.json"
EFFECTS = "effects.json"
CONTROLS = "controls.json"
RECORD_FILES = (
    "review",
    "inputs",
    "scopes",
    "principals",
    "memberships",
    "grants",
    "source_grants",
    "decisions",
    "exceptions",
    "questions",
    "plan",
    "calls",
    "items",
    "approvals",
    "attempts",
    "verdicts",
    "kept",
    "findings",
    "switch",
)
"""The record files, without their ending ``.jsonl``; each is there in every bundle, if only empty."""

PROVEN = ("verified_gone", "already_absent")
"""The verdicts that close an item."""

_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def encode(value: Any) -> bytes:
    """The one byte form of a JSON value: keys sorted, no blanks, UTF-8. Values hold no floats (see ``plain``)."""
    return _ENCODER.encode(value).encode()


def moment(value: datetime | None) -> str | None:
    """A time as text: UTC, microseconds, ``Z``."""
    return None if value is None else value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def standing(state: str, verdict: str | None) -> str:
    """Where an item ends: one word for each item.

    A verdict where there is one; a state that needs none; else ``not_sent`` or, for what may have been sent,
    ``without_verdict``.
    """
    if state == "restored":
        return state
    if verdict:
        return verdict
    if state in ("held", "stale", "expired"):
        return state
    return "not_sent" if state in ("planned", "approved") else "without_verdict"


def file_name(kind: str) -> str:
    """Name of a record file."""
    return f"{kind}.jsonl"


def bundle_name(seal: int, run_id: str) -> str:
    """Name of a bundle's folder, and of its report and tables."""
    return f"{seal:06d}-{run_id}"


class Merkle:
    """The root of an RFC 6962 tree over leaves as they come; memory grows with the logarithm of their number."""

    def __init__(self) -> None:
        self._stack: list[tuple[int, bytes]] = []

    def add(self, leaf: bytes) -> None:
        """Append a leaf."""
        size, node = 1, hashlib.sha256(b"\x00" + leaf).digest()
        while self._stack and self._stack[-1][0] == size:
            _, left = self._stack.pop()
            size, node = 2 * size, hashlib.sha256(b"\x01" + left + node).digest()
        self._stack.append((size, node))

    def root(self) -> str:
        """The root (hex); of no leaves the hash of nothing."""
        if not self._stack:
            return hashlib.sha256().hexdigest()
        node = self._stack[-1][1]
        for _, left in reversed(self._stack[:-1]):
            node = hashlib.sha256(b"\x01" + left + node).digest()
        return node.hex()


class Chain:
    """One record file while it is written or read: line by line, constant memory."""

    def __init__(self, run_id: str, name: str) -> None:
        self.name, self.records, self.size = name, 0, 0
        self.head = hashlib.sha256(f"{FORMAT}\0{run_id}\0{name}".encode()).hexdigest()
        self._whole, self._tree = hashlib.sha256(), Merkle()

    def line(self, record: Mapping[str, Any]) -> bytes:
        """The next line for a record, with its end of line."""
        line = b'{"data":' + encode(record) + self._tail()
        self._take(line)
        return line

    def accepts(self, line: bytes) -> bool:
        """Take a line that was read; False when it is not the next one of this chain."""
        fits = line.startswith(b'{"data":') and line.endswith(self._tail())
        self._take(line)
        return fits

    def entry(self) -> dict[str, Any]:
        """The file's entry in the manifest."""
        return {
            "bytes": self.size,
            "head": self.head,
            "name": self.name,
            "records": self.records,
            "root": self._tree.root(),
            "sha256": self._whole.hexdigest(),
        }

    def _tail(self) -> bytes:
        return b',"n":%d,"prev":"%s"}\n' % (self.records + 1, self.head.encode())

    def _take(self, line: bytes) -> None:
        self.head = hashlib.sha256(line).hexdigest()
        self._whole.update(line)
        self._tree.add(line)
        self.records += 1
        self.size += len(line)


class Raw:
    """A file that is no list of records, while it is written or read in pieces."""

    def __init__(self, name: str) -> None:
        self.name, self.size, self._whole = name, 0, hashlib.sha256()

    def take(self, piece: bytes) -> bytes:
        """Count a piece; returns it."""
        self._whole.update(piece)
        self.size += len(piece)
        return piece

    def entry(self) -> dict[str, Any]:
        """The file's entry in the manifest."""
        return {"bytes": self.size, "name": self.name, "sha256": self._whole.hexdigest()}


def root_of(entries: Iterable[Mapping[str, Any]]) -> str:
    """The root of a run: the Merkle root over its files' entries, by name."""
    tree = Merkle()
    for entry in sorted(entries, key=lambda entry: str(entry["name"])):
        tree.add(encode(entry))
    return tree.root()


def link_of(
    run_id: str, number: int, seal: int, previous: Mapping[str, Any] | None, root: str, sanitized: str = ""
) -> str:
    """The link (hex): what the next bundle names, so that none can be left out or put in between."""
    facts = {
        "format": FORMAT,
        "number": number,
        "previous": previous,
        "root": root,
        "run": run_id,
        "sanitized": sanitized,
        "seal": seal,
    }
    return hashlib.sha256(encode(facts)).hexdigest()


def manifest_of(
    run_id: str,
    number: int,
    seal: int,
    previous: Mapping[str, Any] | None,
    entries: Iterable[Mapping[str, Any]],
    sanitized: str = "",
) -> dict[str, Any]:
    """The manifest.

    :param previous: ``{"seal", "run", "root", "link"}`` of the bundle sealed before, None for the first.
    :param sanitized: for a copy without personal data, the root that it was made from.
    """
    files = sorted((dict(entry) for entry in entries), key=lambda entry: str(entry["name"]))
    root = root_of(files)
    return {
        "files": files,
        "format": FORMAT,
        "link": link_of(run_id, number, seal, previous, root, sanitized),
        "number": number,
        "previous": previous,
        "root": root,
        "run": run_id,
        "sanitized": sanitized,
        "seal": seal,
    }
