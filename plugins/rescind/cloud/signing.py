"""Request signatures of both vendors, as pure functions and as :class:`httpx.Auth`.

* Tencent Cloud TC3-HMAC-SHA256, signing ``content-type;host;x-tc-action``: the action is signed too, so that
  nothing on the way can swap one action for another.
* Alibaba Cloud ACS3-HMAC-SHA256 ("V3") over the minimal header set: ``host`` and the ``x-acs-*`` headers.
* Alibaba Cloud RPC HMAC-SHA1 ("V1"), only for a token service that does not take V3. Its parameters
  travel in the form body, because key id, token and signature do not belong into a URL.
* None at all, for the exchange of an identity token: the token is the proof.

Every pass through :meth:`httpx.Auth.auth_flow` takes a fresh time and nonce. Sources: the vendors'
documentation of their signature methods and their SDKs; checked against the vendors' vectors in the tests.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import uuid
from collections.abc import Callable, Generator, Mapping, Sequence
from datetime import UTC, datetime
from urllib.parse import parse_qsl

import httpx

from rescind.cloud.alibaba import canonical_query, percent
from rescind.cloud.credentials import Credentials

Clock = Callable[[], float]
"""Estimated time of the vendor's clock, in seconds since the epoch."""

Nonce = Callable[[], str]


def fresh_nonce() -> str:
    """Return a new random nonce of 32 hex characters."""
    return uuid.uuid4().hex


def sha256_hex(data: bytes) -> str:
    """Return the SHA-256 in lower-case hex."""
    return hashlib.sha256(data).hexdigest()


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


# --- Tencent Cloud ------------------------------------------------------------------------------------


def tc3_canonical(headers: Sequence[tuple[str, str]], body: bytes) -> str:
    """Return the canonical request of ``POST /`` without query.

    :param headers: headers to sign, names in lower case.
    """
    ordered = sorted(headers)
    lines = "".join(f"{name}:{value}\n" for name, value in ordered)
    names = ";".join(name for name, _ in ordered)
    return "\n".join(("POST", "/", "", lines, names, sha256_hex(body)))


def tc3_signing_key(secret: str, date: str, service: str) -> bytes:
    """Return the derived key, which is valid for one UTC day and one service."""
    return _hmac(_hmac(_hmac(f"TC3{secret}".encode(), date), service), "tc3_request")


def tc3_authorization(
    credentials: Credentials, *, service: str, timestamp: int, headers: Sequence[tuple[str, str]], body: bytes
) -> str:
    """Return the ``Authorization`` header.

    :param timestamp: Unix seconds; the date of the scope comes from the same number.
    :param headers: headers to sign, names in lower case; ``x-tc-action`` with its value in lower case.
    """
    date = datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%d")
    scope = f"{date}/{service}/tc3_request"
    hashed = sha256_hex(tc3_canonical(headers, body).encode())
    to_sign = f"TC3-HMAC-SHA256\n{timestamp}\n{scope}\n{hashed}"
    key = tc3_signing_key(credentials.secret, date, service)
    signature = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
    names = ";".join(name for name, _ in sorted(headers))
    return f"TC3-HMAC-SHA256 Credential={credentials.key_id}/{scope}, SignedHeaders={names}, Signature={signature}"


class Tc3Auth(httpx.Auth):
    """Sign ``POST /`` requests of Tencent Cloud."""

    requires_request_body = True

    def __init__(self, credentials: Credentials, service: str, clock: Clock) -> None:
        self._credentials = credentials
        self._service = service
        self._clock = clock

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Add time, token and signature."""
        timestamp = int(self._clock())
        signed = [
            ("content-type", request.headers["content-type"]),
            ("host", request.headers["host"]),
            ("x-tc-action", request.headers["x-tc-action"].lower()),
        ]
        request.headers["x-tc-timestamp"] = str(timestamp)
        if self._credentials.token:
            request.headers["x-tc-token"] = self._credentials.token
        request.headers["authorization"] = tc3_authorization(
            self._credentials, service=self._service, timestamp=timestamp, headers=signed, body=request.content
        )
        yield request


class SkipAuth(httpx.Auth):
    """Mark a Tencent Cloud request as unsigned, as the vendor's SDK does for identity tokens."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Add the time and the marker."""
        request.headers["x-tc-timestamp"] = str(int(self._clock()))
        request.headers["authorization"] = "SKIP"
        yield request


# --- Alibaba Cloud, V3 --------------------------------------------------------------------------------


def acs3_canonical(method: str, query: str, headers: Mapping[str, str], body_hash: str) -> str:
    """Return the canonical request.

    :param query: the canonical query.
    :param headers: headers to sign, names in lower case.
    """
    ordered = sorted((name, value.strip()) for name, value in headers.items())
    lines = "".join(f"{name}:{value}\n" for name, value in ordered)
    names = ";".join(name for name, _ in ordered)
    return "\n".join((method, "/", query, lines, names, body_hash))


def acs3_authorization(
    credentials: Credentials, *, method: str, query: str, headers: Mapping[str, str], body_hash: str
) -> str:
    """Return the ``Authorization`` header."""
    hashed = sha256_hex(acs3_canonical(method, query, headers, body_hash).encode())
    to_sign = f"ACS3-HMAC-SHA256\n{hashed}"
    signature = hmac.new(credentials.secret.encode(), to_sign.encode(), hashlib.sha256).hexdigest()
    names = ";".join(sorted(headers))
    return f"ACS3-HMAC-SHA256 Credential={credentials.key_id},SignedHeaders={names},Signature={signature}"


class Acs3Auth(httpx.Auth):
    """Sign Alibaba Cloud RPC requests with V3: ``host``, ``x-acs-*`` and, if present, ``content-type``."""

    requires_request_body = True

    def __init__(self, credentials: Credentials, clock: Clock, nonce: Nonce = fresh_nonce) -> None:
        self._credentials = credentials
        self._clock = clock
        self._nonce = nonce

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Add date, nonce, body hash, token and signature."""
        body_hash = sha256_hex(request.content)
        request.headers["x-acs-date"] = datetime.fromtimestamp(int(self._clock()), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        request.headers["x-acs-signature-nonce"] = self._nonce()
        request.headers["x-acs-content-sha256"] = body_hash
        if self._credentials.token:
            request.headers["x-acs-security-token"] = self._credentials.token
        signed = {
            name: value
            for name, value in request.headers.items()
            if name in ("host", "content-type") or name.startswith("x-acs-")
        }
        request.headers["authorization"] = acs3_authorization(
            self._credentials,
            method=request.method,
            query=request.url.query.decode("ascii"),
            headers=signed,
            body_hash=body_hash,
        )
        yield request


# --- Alibaba Cloud, V1 --------------------------------------------------------------------------------


def rpc_signature(secret: str, method: str, parameters: Mapping[str, str]) -> str:
    """Return the Base64 HMAC-SHA1 over all parameters of query and form body except ``Signature``."""
    to_sign = f"{method}&%2F&{percent(canonical_query(parameters))}"
    digest = hmac.new(f"{secret}&".encode(), to_sign.encode(), hashlib.sha1).digest()
    return base64.b64encode(digest).decode()


class RpcAuth(httpx.Auth):
    """Sign Alibaba Cloud RPC requests with HMAC-SHA1.

    ``Action`` and ``Version`` stay in the query; everything else, key id, token and signature included,
    goes into the form body.

    :param credentials: None leaves key and signature out, for the exchange of an identity token.
    """

    requires_request_body = True

    def __init__(self, credentials: Credentials | None, clock: Clock, nonce: Nonce = fresh_nonce) -> None:
        self._credentials = credentials
        self._clock = clock
        self._nonce = nonce

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Add the common parameters and the signature to the form body."""
        body = dict(parse_qsl(request.content.decode("ascii"), keep_blank_values=True, strict_parsing=False))
        body |= {
            "Format": "json",
            "Timestamp": datetime.fromtimestamp(int(self._clock()), UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        if self._credentials is not None:
            body |= {
                "SignatureNonce": self._nonce(),
                "SignatureMethod": "HMAC-SHA1",
                "SignatureVersion": "1.0",
                "AccessKeyId": self._credentials.key_id,
            }
            if self._credentials.token:
                body["SecurityToken"] = self._credentials.token
            query = dict(parse_qsl(request.url.query.decode("ascii"), keep_blank_values=True))
            body["Signature"] = rpc_signature(self._credentials.secret, request.method, {**query, **body})
        content = canonical_query(body).encode("ascii")
        headers = {
            name: value for name, value in request.headers.items() if name not in ("content-length", "content-type")
        }
        headers["content-type"] = "application/x-www-form-urlencoded"
        yield httpx.Request(
            request.method, request.url, headers=headers, content=content, extensions=dict(request.extensions)
        )
