"""TC3-HMAC-SHA256 as Tencent Cloud's API 3.0 gateway checks it.

Source: the vendor's signature pages and Python SDK (canonical request of six lines, key chain over date,
service and ``tc3_request``, a window of 300 seconds).
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

ALGORITHM = "TC3-HMAC-SHA256"
WINDOW_S = 300
_AUTHORIZATION = re.compile(
    r"^TC3-HMAC-SHA256 Credential=(?P<key>[^/,\s]+)/(?P<date>\d{4}-\d{2}-\d{2})/(?P<service>[^/,\s]+)/tc3_request, ?"
    r"SignedHeaders=(?P<headers>[^,\s]+), ?Signature=(?P<signature>[0-9a-f]{64})$"
)


class Authorization(NamedTuple):
    """The parts of an ``Authorization`` header."""

    key_id: str
    date: str
    service: str
    signed_headers: tuple[str, ...]
    signature: str


def parse_authorization(text: str) -> Authorization | None:
    """Take the header apart, or None when it has another shape."""
    match = _AUTHORIZATION.match(text.strip())
    if match is None:
        return None
    headers = tuple(match["headers"].split(";"))
    return Authorization(match["key"], match["date"], match["service"], headers, match["signature"])


def date_of(timestamp: int) -> str:
    """UTC calendar date of a timestamp, as the scope spells it."""
    return datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%d")


@lru_cache(maxsize=256)
def signing_key(secret: str, date: str, service: str) -> bytes:
    """The derived key of one UTC day and service."""
    key = ("TC3" + secret).encode()
    for part in (date, service, "tc3_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key


def canonical_request(
    method: str, path: str, query: str, headers: Mapping[str, str], signed: tuple[str, ...], payload_hash: str
) -> str:
    """The six lines that are hashed. Header values are trimmed and lower-cased, as the documents say."""
    block = "".join(f"{name}:{headers.get(name, '').strip().lower()}\n" for name in signed)
    return "\n".join([method, path, query, block, ";".join(signed), payload_hash])


def string_to_sign(timestamp: int, date: str, service: str, canonical: str) -> str:
    """Algorithm, timestamp, scope and the hash of the canonical request."""
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    return f"{ALGORITHM}\n{timestamp}\n{date}/{service}/tc3_request\n{digest}"


def signature(secret: str, timestamp: int, date: str, service: str, canonical: str) -> str:
    """The hex signature."""
    text = string_to_sign(timestamp, date, service, canonical)
    return hmac.new(signing_key(secret, date, service), text.encode(), hashlib.sha256).hexdigest()


def payload_hash(headers: Mapping[str, str], body: bytes) -> str:
    """Hash of the body, or of the marker with which a client switches body hashing off."""
    if headers.get("x-tc-content-sha256", "").strip() == "UNSIGNED-PAYLOAD":
        return hashlib.sha256(b"UNSIGNED-PAYLOAD").hexdigest()
    return hashlib.sha256(body).hexdigest()
