"""The format of a bundle: canonical lines, hash chains, Merkle trees, the link to the previous bundle.

A bundle is a flat folder: ``manifest.json``, ``signature.json``, one JSON Lines file for each kind of record,
``controls.json`` (which control asks for which field), and, if there was a plan, ``effects.json`` (the exact bytes that
were approved). A bundle about named people may have ``omitted.jsonl``: the parts of the sealed population that it
leaves out. Three hashes protect it, all SHA-256:

- In each record file every line holds the hash of the previous line. The first line names the run and the file.
- A Merkle tree (RFC 6962) over the lines of each file, and one over the files, gives one root for each run.
- The link covers the root, the run and its numbers, and the link of the previous bundle in the evidence chain.

The position of a bundle in the evidence chain is the field ``seal`` of the manifest.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from rescind import approval_signature

FORMAT = "rescind-evidence/1"
MANIFEST = "manifest.json"
SIGNATURE = "signature.json"
EFFECTS = "effects.json"
EFFECTS_BEFORE = "effects_before.json"
"""The effects of the plan from which an approver left out a part; only in bundles of such runs."""
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
"""The record files, without their ending ``.jsonl``; every bundle has each of them, possibly empty."""
OMITTED = "omitted"
"""The record file of what a bundle about named people leaves out; only in bundles that leave something out."""

PROVEN = ("verified_gone", "already_absent")
"""The verdicts that close an item."""

_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
_PIECES: Any = getattr(json.encoder, "c_make_encoder", None)
if _PIECES is not None:  # JSONEncoder makes one for each value, which takes a third of the time of a record
    _PIECES = _PIECES(None, _ENCODER.default, json.encoder.encode_basestring, None, ":", ",", True, False, False)


def encode(value: Any) -> bytes:
    """Return the canonical bytes of a JSON value: keys sorted, no blanks, UTF-8. Values hold no floats."""
    return ("".join(_PIECES(value, 0)) if _PIECES is not None else _ENCODER.encode(value)).encode()


def moment(value: datetime | None) -> str | None:
    """Return a time as text: UTC, microseconds, ``Z``."""
    return None if value is None else approval_signature.moment(value)


def standing(state: str, verdict: str | None) -> str:
    """Return the final standing of an item.

    It is the verdict, or a state that needs none, or ``not_sent``, or ``without_verdict`` for what may have been sent.
    """
    if state == "restored":
        return state
    if verdict:
        return verdict
    if state in ("held", "stale", "expired"):
        return state
    return "not_sent" if state in ("planned", "approved") else "without_verdict"


def file_name(kind: str) -> str:
    """Return the name of a record file."""
    return f"{kind}.jsonl"


def bundle_name(position: int, run_id: str) -> str:
    """Return the name of a bundle's folder, also used for its report and tables."""
    return f"{position:06d}-{run_id}"


class Merkle:
    """A streaming RFC 6962 Merkle tree. Memory grows with the logarithm of the number of leaves."""

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
        """Return the root (hex); without leaves the hash of nothing."""
        if not self._stack:
            return hashlib.sha256().hexdigest()
        node = self._stack[-1][1]
        for _, left in reversed(self._stack[:-1]):
            node = hashlib.sha256(b"\x01" + left + node).digest()
        return node.hex()


class Chain:
    """The hash chain of one record file, while it is written or read line by line."""

    def __init__(self, run_id: str, name: str) -> None:
        self.name, self.records, self.size = name, 0, 0
        self.head = hashlib.sha256(f"{FORMAT}\0{run_id}\0{name}".encode()).hexdigest()
        self._whole, self._tree = hashlib.sha256(), Merkle()

    def line(self, record: Mapping[str, Any]) -> bytes:
        """Return the next line for a record, with its newline."""
        line = b'{"data":' + encode(record) + self._tail()
        self._take(line)
        return line

    def accepts(self, line: bytes) -> bool:
        """Take a line that was read; return False if it is not the next one of this chain."""
        fits = line.startswith(b'{"data":') and line.endswith(self._tail())
        self._take(line)
        return fits

    def entry(self) -> dict[str, Any]:
        """Return the entry of the file in the manifest."""
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
    """The checksum of a file without records, while it is written or read in pieces."""

    def __init__(self, name: str) -> None:
        self.name, self.size, self._whole = name, 0, hashlib.sha256()

    def take(self, piece: bytes) -> bytes:
        """Take a piece and return it."""
        self._whole.update(piece)
        self.size += len(piece)
        return piece

    def entry(self) -> dict[str, Any]:
        """Return the entry of the file in the manifest."""
        return {"bytes": self.size, "name": self.name, "sha256": self._whole.hexdigest()}


def root_of(entries: Iterable[Mapping[str, Any]]) -> str:
    """Return the Merkle root over the entries of the files, ordered by name."""
    tree = Merkle()
    for entry in sorted(entries, key=lambda entry: str(entry["name"])):
        tree.add(encode(entry))
    return tree.root()


def link_of(
    run_id: str, number: int, position: int, previous: Mapping[str, Any] | None, root: str, sanitized: str = ""
) -> str:
    """Return the link (hex). The next bundle names it, so no bundle can be left out or inserted."""
    facts = {
        "format": FORMAT,
        "number": number,
        "previous": previous,
        "root": root,
        "run": run_id,
        "sanitized": sanitized,
        "seal": position,
    }
    return hashlib.sha256(encode(facts)).hexdigest()


def manifest_of(
    run_id: str,
    number: int,
    position: int,
    previous: Mapping[str, Any] | None,
    entries: Iterable[Mapping[str, Any]],
    sanitized: str = "",
) -> dict[str, Any]:
    """Return the manifest.

    :param position: position in the evidence chain, from 1.
    :param previous: ``{"seal", "run", "root", "link"}`` of the previous bundle; None for the first.
    :param sanitized: for a copy without personal data, the root of its source.
    """
    files = sorted((dict(entry) for entry in entries), key=lambda entry: str(entry["name"]))
    root = root_of(files)
    return {
        "files": files,
        "format": FORMAT,
        "link": link_of(run_id, number, position, previous, root, sanitized),
        "number": number,
        "previous": previous,
        "root": root,
        "run": run_id,
        "sanitized": sanitized,
        "seal": position,
    }
