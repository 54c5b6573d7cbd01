"""Clients for the tests: they sign with their own code, apart from the emulator's."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from emulator.gateway.wire import Answer, Request

if TYPE_CHECKING:
    from emulator.app import App

TENCENT = ("AKIDDEMO0000000000000000000000001", "tencent-demo-secret-1")
ALIBABA = ("LTAIDEMO00000000000001", "alibaba-demo-secret-1")
VERSIONS = {"wedata": "2025-08-06", "dms": "2018-11-01", "quickbi": "2022-01-01", "sts": "2015-04-01"}


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def sign_tencent(
    action: str, body: bytes, now: int, *, version: str = "2025-08-06", service: str = "wedata",
    key: tuple[str, str] = TENCENT, token: str = "", host: str = "127.0.0.1:1", region: str = "ap-singapore",
) -> dict[str, str]:  # fmt: skip
    """Headers of a TC3-signed call."""
    date = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d")
    canonical = (
        f"POST\n/\n\ncontent-type:application/json\nhost:{host}\nx-tc-action:{action.lower()}\n\n"
        f"content-type;host;x-tc-action\n{hashlib.sha256(body).hexdigest()}"
    )
    scope = f"{date}/{service}/tc3_request"
    text = f"TC3-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    secret = _hmac(_hmac(_hmac(b"TC3" + key[1].encode(), date), service), "tc3_request")
    signature = hmac.new(secret, text.encode(), hashlib.sha256).hexdigest()
    headers = {
        "host": host, "content-type": "application/json", "x-tc-action": action, "x-tc-version": version,
        "x-tc-timestamp": str(now), "x-tc-region": region,
        "authorization": f"TC3-HMAC-SHA256 Credential={key[0]}/{scope}, "
        f"SignedHeaders=content-type;host;x-tc-action, Signature={signature}",
    }  # fmt: skip
    return {**headers, "x-tc-token": token} if token else headers


def canonical_query(params: dict[str, str]) -> str:
    """Sorted, percent-encoded query."""
    return "&".join(f"{quote(k, safe='~')}={quote(v, safe='~')}" for k, v in sorted(params.items()))


def sign_acs3(
    action: str, version: str, query: str, now: float, *, method: str = "POST", key: tuple[str, str] = ALIBABA,
    token: str = "", nonce: str = "", body: bytes = b"", host: str = "127.0.0.1:1",
) -> dict[str, str]:  # fmt: skip
    """Headers of an ACS3-signed call."""
    headers = {
        "host": host, "x-acs-action": action, "x-acs-version": version,
        "x-acs-date": datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "x-acs-signature-nonce": nonce or uuid.uuid4().hex,
        "x-acs-content-sha256": hashlib.sha256(body).hexdigest(),
    }  # fmt: skip
    if token:
        headers["x-acs-security-token"] = token
    if body:
        headers["content-type"] = "application/x-www-form-urlencoded"
    names = sorted(headers)
    block = "".join(f"{name}:{headers[name]}\n" for name in names)
    canonical = f"{method}\n/\n{query}\n{block}\n{';'.join(names)}\n{headers['x-acs-content-sha256']}"
    text = f"ACS3-HMAC-SHA256\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    signature = hmac.new(key[1].encode(), text.encode(), hashlib.sha256).hexdigest()
    credential = f"Credential={key[0]},SignedHeaders={';'.join(names)}"
    headers["authorization"] = f"ACS3-HMAC-SHA256 {credential},Signature={signature}"
    return headers


def sign_v1(action: str, version: str, params: dict[str, str], now: float, *, method: str = "POST") -> str:
    """Query of a HMAC-SHA1-signed call."""
    full = {
        **params, "Action": action, "Version": version, "Format": params.get("Format", "json"),
        "AccessKeyId": ALIBABA[0], "SignatureMethod": "HMAC-SHA1", "SignatureVersion": "1.0",
        "SignatureNonce": uuid.uuid4().hex,
        "Timestamp": datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }  # fmt: skip
    joined = canonical_query(full)
    text = f"{method}&%2F&{quote(joined, safe='~')}"
    digest = hmac.new(f"{ALIBABA[1]}&".encode(), text.encode(), hashlib.sha1).digest()
    return canonical_query({**full, "Signature": base64.b64encode(digest).decode()})


class Clients:
    """Calls an app without sockets."""

    def __init__(self, app: App) -> None:
        self.app = app

    @property
    def now(self) -> float:
        """The app's wall clock."""
        return self.app.world.clock.now()

    def tencent_raw(self, action: str, params: Any, **signing: Any) -> Answer:
        """A signed Tencent call; the whole answer."""
        body = json.dumps(params).encode()
        headers = sign_tencent(action, body, int(signing.pop("now", self.now)), **signing)
        return self.app.handle(Request("POST", "/", "", headers, body))

    def wedata(self, action: str, params: Any = None, **signing: Any) -> dict[str, Any]:
        """A signed WeData call; the content of ``Response``."""
        answer = self.tencent_raw(action, params or {}, **signing)
        assert answer.status == 200
        response: dict[str, Any] = json.loads(answer.body)["Response"]
        return response

    def alibaba_raw(self, product: str, action: str, params: dict[str, Any], **signing: Any) -> Answer:
        """A signed Alibaba call; the whole answer."""
        query = canonical_query({name: str(value) for name, value in params.items()})
        method = signing.pop("method", "GET" if action == "QueryUserList" else "POST")
        now = signing.pop("now", self.now)
        headers = sign_acs3(action, VERSIONS[product], query, now, method=method, **signing)
        return self.app.handle(Request(method, "/", query, headers, signing.get("body", b"")))

    def dms(self, action: str, **params: Any) -> dict[str, Any]:
        """A signed DMS call; the JSON body."""
        body: dict[str, Any] = json.loads(self.alibaba_raw("dms", action, params).body)
        return body

    def quickbi(self, action: str, **params: Any) -> dict[str, Any]:
        """A signed Quick BI call; the JSON body."""
        body: dict[str, Any] = json.loads(self.alibaba_raw("quickbi", action, params).body)
        return body

    def control(self, method: str, name: str, content: Any = None) -> Any:
        """A call of the control interface."""
        path, _, query = name.partition("?")
        body = b"" if content is None else json.dumps(content).encode()
        answer = self.app.handle(Request(method, f"/_control/{path}", query, {}, body))
        assert answer.status == 200, answer.body
        return json.loads(answer.body)

    def truth(self, system: str) -> list[dict[str, Any]]:
        """Rows of one system's truth."""
        return list(self.app.world.truth(system))

    def effects(self, system: str = "") -> list[dict[str, Any]]:
        """Effects in the journal."""
        entries = self.app.world.journal.after(0, kind="effect")
        return [entry for entry in entries if system in ("", entry["system"])]


def mutate(clients: Clients, **operation: Any) -> bool:
    """Make one change as somebody else; whether something changed."""
    changed: list[bool] = clients.control("POST", "mutate", {"ops": [operation]})["changed"]
    return changed[0]
