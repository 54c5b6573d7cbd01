"""ACS3-HMAC-SHA256 (called V3) and RPC HMAC-SHA1 (SignatureVersion 1.0) as Alibaba Cloud's gateway checks them.

Source: the vendor's help pages on both methods and its Python engine.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple
from urllib.parse import quote, unquote_plus

ALGORITHM = "ACS3-HMAC-SHA256"
WINDOW_S = 15 * 60
_AUTHORIZATION = re.compile(
    r"^ACS3-HMAC-SHA256 Credential=(?P<key>[^,\s]+), ?SignedHeaders=(?P<headers>[^,\s]+), ?"
    r"Signature=(?P<signature>[0-9a-f]{64})$"
)


class Authorization(NamedTuple):
    """The parts of an ``Authorization`` header."""

    key_id: str
    signed_headers: tuple[str, ...]
    signature: str


def parse_authorization(text: str) -> Authorization | None:
    """Take the header apart, or None when it has another shape."""
    match = _AUTHORIZATION.match(text.strip())
    if match is None:
        return None
    return Authorization(match["key"], tuple(match["headers"].split(";")), match["signature"])


def encode(text: str) -> str:
    """Percent-encode as both methods want it: only letters, digits and ``-_.~`` stay."""
    return quote(text, safe="~")


def parse_query(query: str) -> list[tuple[str, str]]:
    """Names and values of a query string or a form body; a plus sign is a blank."""
    pairs = []
    for part in query.split("&"):
        if part:
            name, _, value = part.partition("=")
            pairs.append((unquote_plus(name), unquote_plus(value)))
    return pairs


def canonical_query(pairs: Iterable[tuple[str, str]]) -> str:
    """Sorted and encoded ``name=value`` pairs joined by ``&``."""
    return "&".join(f"{encode(name)}={encode(value)}" for name, value in sorted(pairs))


def canonical_request(
    method: str,
    path: str,
    pairs: Iterable[tuple[str, str]],
    headers: Mapping[str, str],
    signed: tuple[str, ...],
    body_hash: str,
) -> str:
    """The text that V3 hashes."""
    block = "".join(f"{name}:{headers.get(name, '').strip()}\n" for name in sorted(signed))
    names = ";".join(sorted(signed))
    return "\n".join([method, path or "/", canonical_query(pairs), block, names, body_hash])


def string_to_sign(canonical: str) -> str:
    """What V3 signs."""
    return f"{ALGORITHM}\n{hashlib.sha256(canonical.encode()).hexdigest()}"


def signature(secret: str, canonical: str) -> str:
    """The hex signature of V3."""
    return hmac.new(secret.encode(), string_to_sign(canonical).encode(), hashlib.sha256).hexdigest()


def must_be_signed(headers: Mapping[str, str], body: bytes) -> set[str]:
    """Headers that V3 wants signed: the host, every x-acs header, and the content type of a body."""
    names = {name for name in headers if name.startswith("x-acs-")} | {"host"}
    if body and "content-type" in headers:
        names.add("content-type")
    return names


def v1_string_to_sign(method: str, pairs: Iterable[tuple[str, str]]) -> str:
    """What HMAC-SHA1 signs: every query and form parameter but ``Signature``."""
    joined = canonical_query(pair for pair in pairs if pair[0] != "Signature")
    return f"{method}&{encode('/')}&{encode(joined)}"


def v1_signature(secret: str, text: str) -> str:
    """The Base64 signature of V1; the key is the secret with an ampersand."""
    digest = hmac.new(f"{secret}&".encode(), text.encode(), hashlib.sha1).digest()
    return base64.b64encode(digest).decode()
