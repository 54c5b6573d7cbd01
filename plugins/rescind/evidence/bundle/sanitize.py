"""Copy a bundle without personal data. The copy has the same files, records and fields.

Every text becomes a pseudonym unless its field is listed here as harmless, so a new field is never shown. The same text
gives the same pseudonym, so the copy can still be joined and counted. Without the secret nobody can guess the text of a
pseudonym.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rescind.errors import InputError
from rescind.evidence.bundle.format import (
    CONTROLS,
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
from rescind.evidence.bundle.read import Source, read_json, records
from rescind.evidence.bundle.signing import sign

LEAST_SECRET = 16
_TIMES = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d(\.\d+)?Z)?")
_EVERYWHERE = frozenset(
    {"system", "state", "kind", "principal_type", "resource_type", "member_type", "container_type",
     "entitlement", "choice", "rule", "severity", "standing", "verdict", "outcome", "action", "api_version", "code",
     "method", "answer", "no_answer", "finding", "operation", "code_version", "exporter_version", "status"}
)  # fmt: skip
"""Fields that hold words of this package or of a vendor API, never a name."""
_WHOLE = frozenset({"controls", "titles"})
"""Fields whose values all are words of this package."""
_OWN = {"review": frozenset({"run", "dag", "period_basis"}), "plan": frozenset({"source_run"}),
        "grants": frozenset({"last_use"})}  # fmt: skip
"""Further harmless fields, by file."""


class Pseudonyms:
    """Replace texts with pseudonyms, under one secret."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def of(self, text: str) -> str:
        """Return ``p-`` and 16 hex characters; an empty text stays empty."""
        if not text:
            return text
        return "p-" + hmac.new(self._secret, text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()[:16]

    def record(self, kind: str, record: Mapping[str, Any]) -> dict[str, Any]:
        """Return a record with pseudonyms instead of texts."""
        safe = _EVERYWHERE | _OWN.get(kind, frozenset())
        return {
            name: value if (name in safe and isinstance(value, str)) or name in _WHOLE else self._value(value)
            for name, value in record.items()
        }

    def _value(self, value: Any) -> Any:
        if isinstance(value, str):
            return value if _TIMES.fullmatch(value) else self.of(value)
        if isinstance(value, list):
            return [self._value(inner) for inner in value]
        if isinstance(value, dict):
            # Keys may be ids (a call holds its inverse by grant id); names of fields are short words.
            return {k if _word(k) else self.of(k): self._value(inner) for k, inner in value.items()}
        return value


def _word(key: str) -> bool:
    return re.fullmatch(r"[A-Za-z_.]{1,40}", key) is not None


def sanitize(source: Source, folder: str | Path, secret: bytes | None = None) -> None:
    """Write the copy. It is unsigned and names the root of its source.

    :param secret: at least 16 bytes; the same secret gives the same pseudonyms. None uses a random one.
    :raises InputError: when the folder exists, or the secret is too short.
    """
    out = Path(folder)
    if secret is not None and len(secret.strip()) < LEAST_SECRET:
        raise InputError("--key", f"{len(secret.strip())} bytes", f"Give at least {LEAST_SECRET} random bytes")
    if out.exists():
        raise InputError("OUT", f"{out} exists", "Give a new folder")
    names = Pseudonyms(secret.strip() if secret is not None else secrets.token_bytes(32))
    manifest = read_json(source, MANIFEST)
    out.mkdir(parents=True)
    entries = []
    named = {entry["name"] for entry in manifest["files"]}
    for kind in (*RECORD_FILES, *[OMITTED] * (file_name(OMITTED) in named)):
        chain = Chain(manifest["run"], file_name(kind))
        with (out / chain.name).open("wb") as lines:
            for record in records(source, kind):
                lines.write(chain.line(names.record(kind, record)))
        entries.append(chain.entry())
    raw = Raw(CONTROLS)
    (out / CONTROLS).write_bytes(raw.take(encode(read_json(source, CONTROLS)) + b"\n"))
    entries.append(raw.entry())
    again = manifest_of(
        manifest["run"], manifest["number"], manifest["seal"], manifest["previous"], entries, manifest["root"]
    )
    text = encode(again) + b"\n"
    (out / MANIFEST).write_bytes(text)
    (out / SIGNATURE).write_bytes(sign(text, None))
