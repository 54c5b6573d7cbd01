"""Every published signing vector and every computed one, against our signers, the libraries and the emulator.

The emulator is asked as a whole: its front door gets the request with the vector's key and clock and must let it
through, and must refuse the same request with one character changed.
"""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from emulator.alibaba.front import AlibabaFront
from emulator.clock import ManualClock
from emulator.errors import ApiError
from emulator.gateway.wire import Request
from emulator.keys import ALIBABA_ACCOUNT, TENCENT_ACCOUNT, Credential, Identity
from emulator.registry import Action
from emulator.signing import alibaba as emulated_acs
from emulator.tencent.front import TencentFront
from emulator.world import World
from rescind.cloud.alibaba import canonical_query
from rescind.cloud.credentials import Credentials
from rescind.cloud.signing import (
    Acs3Auth,
    Tc3Auth,
    acs3_authorization,
    acs3_canonical,
    rpc_signature,
    sha256_hex,
    tc3_authorization,
    tc3_canonical,
    tc3_signing_key,
)
from tests.contract.tables import DATA

TENCENT: list[dict[str, Any]] = json.loads((DATA / "tencent-signing-vectors.json").read_text("utf-8"))["vectors"]
ALIBABA: dict[str, Any] = json.loads((DATA / "alibaba-signing-vectors.json").read_text("utf-8"))
SENT = ALIBABA["as_sent_by_the_library"]
V3 = [v for v in ALIBABA["vectors"] if v["scheme"] == "ACS3-HMAC-SHA256"] + ALIBABA["published"] + SENT
V1 = [v for v in ALIBABA["vectors"] if v["scheme"] == "HMAC-SHA1"]


def vectors(name: str, found: list[dict[str, Any]]) -> Any:
    return pytest.mark.parametrize(name, found, ids=[vector["name"] for vector in found])


def test_all_vectors_are_here() -> None:
    assert (len(TENCENT), len(V3), len(V1)) == (9, 13, 6)


# --- Tencent ------------------------------------------------------------------------------------------


def tencent_headers(vector: dict[str, Any]) -> dict[str, str]:
    known = {"content-type": vector["content_type"], "host": vector["host"], "x-tc-action": vector["action"]}
    return {name: known[name] for name in vector["signed_headers"].split(";")}


@vectors("vector", TENCENT)
def test_tencent_by_our_signer(vector: dict[str, Any]) -> None:
    """Each step, then the whole header; and through the auth class where it signs the same set of headers."""
    body = vector["body"].encode()
    signed = [(name, value.lower()) for name, value in tencent_headers(vector).items()]
    key = Credentials(vector["secret_id"], vector["secret_key"], vector["token"] or "")
    assert sha256_hex(body) == vector["body_sha256"]
    assert tc3_canonical(signed, body) == vector["canonical_request"]
    assert sha256_hex(vector["canonical_request"].encode()) == vector["canonical_request_sha256"]
    assert tc3_signing_key(vector["secret_key"], vector["date"], "wedata").hex() == vector["signing_key_hex"]
    made = tc3_authorization(key, service="wedata", timestamp=vector["timestamp"], headers=signed, body=body)
    assert made == vector["authorization"]
    if vector["signed_headers"] == "content-type;host;x-tc-action":
        headers = {"content-type": vector["content_type"], "x-tc-action": vector["action"]}
        request = httpx.Request("POST", f"https://{vector['host']}/", headers=headers, content=body)
        auth = Tc3Auth(key, "wedata", lambda: vector["timestamp"] + 0.9)
        assert next(auth.auth_flow(request)).headers["authorization"] == vector["authorization"]


@vectors("vector", [v for v in TENCENT if v["signed_headers"] == "content-type;host"])
def test_tencent_by_the_library(vector: dict[str, Any]) -> None:
    from tencentcloud.common.abstract_client import AbstractClient
    from tencentcloud.common.http.request import RequestInternal

    request = RequestInternal(vector["host"], "POST", "/", data=vector["body"])
    request.header = {
        "Content-Type": vector["content_type"],
        "Host": vector["host"],
        "X-TC-Timestamp": str(vector["timestamp"]),
    }
    found = AbstractClient._get_tc3_signature(None, None, request, vector["date"], "wedata", vector["secret_key"])
    assert found == vector["signature"]


def tencent_door(vector: dict[str, Any]) -> TencentFront:
    world = World(ManualClock(float(vector["timestamp"])))
    who = Identity("tencent", TENCENT_ACCOUNT, "1", "vector")
    key = Credential(vector["secret_id"], vector["secret_key"], who, vector["token"] or "", vector["timestamp"] + 1.0)
    world.keys.add(key)
    return TencentFront(world)


def tencent_request(vector: dict[str, Any]) -> Request:
    headers = {
        **tencent_headers(vector),
        "x-tc-action": vector["action"],
        "x-tc-version": vector["version"],
        "x-tc-region": vector["region"],
        "x-tc-timestamp": str(vector["timestamp"]),
        "authorization": vector["authorization"],
        **({"x-tc-token": vector["token"]} if vector["token"] else {}),
    }
    return Request("POST", "/", "", headers, vector["body"].encode())


def knock(front: Any, request: Request) -> str:
    """The error code at the emulator's door, or empty when it opens. Any action is known here."""
    inbound = front.open(request)
    assert inbound is not None
    try:
        front.identify(inbound)
        action = Action(inbound.product, inbound.action, lambda call: {}, (), methods=("GET", "POST"))
        front.authenticate(inbound, action, 0.0)
    except ApiError as error:
        return error.code
    assert inbound.identity is not None
    return ""


@vectors("vector", TENCENT)
def test_tencent_at_the_emulators_door(vector: dict[str, Any]) -> None:
    assert knock(tencent_door(vector), tencent_request(vector)) == ""
    for change in (
        {"body": tencent_request(vector).body + b" "},
        {"headers": {**tencent_request(vector).headers, "host": "another.tencentcloudapi.com"}},
        {"headers": {**tencent_request(vector).headers, "content-type": "application/json;charset=utf-8 "}},
    ):
        changed = dataclasses.replace(tencent_request(vector), **change)
        assert knock(tencent_door(vector), changed) == "AuthFailure.SignatureFailure"


# --- Alibaba, V3 --------------------------------------------------------------------------------------


def key_of(vector: dict[str, Any]) -> Credentials:
    return Credentials(
        vector.get("access_key_id", ALIBABA["access_key_id"]),
        vector.get("access_key_secret", ALIBABA["access_key_secret"]),
        vector["headers"].get("x-acs-security-token", "") if "headers" in vector else "",
    )


@vectors("vector", V3)
def test_v3_by_our_signer(vector: dict[str, Any]) -> None:
    """The functions for all; the auth class for those with the header set that it signs."""
    query, headers = canonical_query(vector["query"]), vector["headers"]
    body = (vector["body"] or "").encode()
    assert query == vector["canonical_query"]
    assert sha256_hex(body) == headers["x-acs-content-sha256"]
    canonical = acs3_canonical(vector["method"], query, headers, sha256_hex(body))
    assert vector["canonical_request_sha256"] in (None, sha256_hex(canonical.encode()))
    made = acs3_authorization(
        key_of(vector), method=vector["method"], query=query, headers=headers, body_hash=sha256_hex(body)
    )
    assert made == vector["authorization"]
    if not {"accept", "user-agent"} & set(headers):
        given = {
            name: value
            for name, value in headers.items()
            if name not in ("x-acs-date", "x-acs-signature-nonce", "x-acs-content-sha256", "x-acs-security-token")
        }
        url = f"https://{vector['host']}/?{query}"
        request = httpx.Request(vector["method"], url, headers=given, content=body)
        at = datetime.strptime(headers["x-acs-date"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()
        auth = Acs3Auth(key_of(vector), lambda: at + 0.5, lambda: headers["x-acs-signature-nonce"])
        assert next(auth.auth_flow(request)).headers["authorization"] == vector["authorization"]


@vectors("vector", V3)
def test_v3_by_the_library(vector: dict[str, Any]) -> None:
    from alibabacloud_tea_openapi.utils import Utils

    key = key_of(vector)
    request = SimpleNamespace(
        method=vector["method"], pathname="/", query=vector["query"], headers=dict(vector["headers"])
    )
    body_hash = vector["headers"]["x-acs-content-sha256"]
    found = Utils.get_authorization(request, "ACS3-HMAC-SHA256", body_hash, key.key_id, key.secret)
    assert found == vector["authorization"]


def alibaba_door(vector: dict[str, Any], date: str) -> AlibabaFront:
    at = datetime.strptime(date, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()
    world, key = World(ManualClock(at)), key_of(vector)
    token = key.token or (vector.get("query_without_signature") or {}).get("SecurityToken", "")
    who = Identity("alibaba", ALIBABA_ACCOUNT, "1", "vector")
    world.keys.add(Credential(key.key_id, key.secret, who, token, at + 1.0))
    return AlibabaFront(world)


def v3_request(vector: dict[str, Any]) -> Request:
    headers = {**vector["headers"], "authorization": vector["authorization"]}
    return Request(vector["method"], "/", vector["canonical_query"], headers, (vector["body"] or "").encode())


@vectors("vector", [v for v in V3 if v["headers"]["x-acs-action"] != "RunInstances"])
def test_v3_at_the_emulators_door(vector: dict[str, Any]) -> None:
    date = vector["headers"]["x-acs-date"]
    assert knock(alibaba_door(vector, date), v3_request(vector)) == ""
    request = v3_request(vector)
    for change, code in (
        ({"query": request.query + "&X=1"}, "SignatureDoesNotMatch"),
        ({"headers": {**request.headers, "host": "another.aliyuncs.com"}}, "SignatureDoesNotMatch"),
        ({"headers": {**request.headers, "x-acs-new": "1"}}, "IncompleteSignature"),
        ({"body": request.body + b"&Y=1"}, "InvalidContentSha256"),
    ):
        changed = dataclasses.replace(request, **change)
        assert knock(alibaba_door(vector, date), changed) == code


@vectors("vector", V3)
def test_v3_by_the_emulators_functions(vector: dict[str, Any]) -> None:
    """Also those of a product that the emulator does not serve."""
    header = emulated_acs.parse_authorization(vector["authorization"])
    assert header is not None
    canonical = emulated_acs.canonical_request(
        vector["method"],
        "/",
        emulated_acs.parse_query(vector["canonical_query"]),
        vector["headers"],
        header.signed_headers,
        vector["headers"]["x-acs-content-sha256"],
    )
    assert emulated_acs.signature(key_of(vector).secret, canonical) == vector["signature"]


# --- Alibaba, V1 --------------------------------------------------------------------------------------


def signed_pairs(vector: dict[str, Any]) -> dict[str, str]:
    return {**vector["query_without_signature"], **(vector["body"] or {})}


@vectors("vector", V1)
def test_v1_by_our_signer_and_by_the_library(vector: dict[str, Any]) -> None:
    from alibabacloud_tea_openapi.utils import Utils

    pairs = signed_pairs(vector)
    assert rpc_signature("testsecret", vector["method"], pairs) == vector["signature"]
    assert Utils.get_rpcsignature(pairs, vector["method"], "testsecret") == vector["signature"]


@vectors("vector", V1)
def test_v1_at_the_emulators_door(vector: dict[str, Any]) -> None:
    """In the query as the libraries send it, and all of it in a form body."""
    assert emulated_acs.v1_string_to_sign(vector["method"], signed_pairs(vector).items()) == vector["string_to_sign"]
    query = canonical_query({**vector["query_without_signature"], "Signature": vector["signature"]})
    form = canonical_query(vector["body"]) if vector["body"] else ""
    headers = {"host": vector["host"], "content-type": "application/x-www-form-urlencoded"}
    in_query = Request(vector["method"], "/", query, headers, form.encode())
    everything = "&".join(part for part in (query, form) if part)
    in_form = Request(vector["method"], "/", "", headers, everything.encode())
    stamp = vector["query_without_signature"]["Timestamp"]
    for request in (in_query, in_form):
        assert knock(alibaba_door(vector, stamp), request) == ""
    changed = dataclasses.replace(in_query, query=query + "&X=1")
    assert knock(alibaba_door(vector, stamp), changed) == "SignatureDoesNotMatch"
