from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rescind.cloud.alibaba import canonical_query
from rescind.cloud.credentials import Credentials
from rescind.cloud.signing import (
    Acs3Auth,
    RpcAuth,
    Tc3Auth,
    acs3_authorization,
    acs3_canonical,
    fresh_nonce,
    rpc_signature,
    sha256_hex,
    tc3_authorization,
    tc3_canonical,
    tc3_signing_key,
)

DATA = Path(__file__).parent / "data"
TC3: list[dict[str, Any]] = json.loads((DATA / "tc3-vectors.json").read_text())["vectors"]
ALIBABA: dict[str, Any] = json.loads((DATA / "acs3-vectors.json").read_text())
ACS3 = [vector for vector in ALIBABA["vectors"] if vector["scheme"] == "ACS3-HMAC-SHA256"]
RPC = [vector for vector in ALIBABA["vectors"] if vector["scheme"] == "HMAC-SHA1"]


def names(vectors: list[dict[str, Any]]) -> list[str]:
    return [vector["name"] for vector in vectors]


def test_all_vectors_are_here() -> None:
    assert (len(TC3), len(ACS3), len(RPC), len(ALIBABA["published"])) == (9, 9, 6, 2)


@pytest.mark.parametrize("vector", TC3, ids=names(TC3))
def test_tc3_vectors_step_by_step(vector: dict[str, Any]) -> None:
    body = vector["body"].encode()
    values = {
        "content-type": vector["content_type"],
        "host": vector["host"],
        "x-tc-action": vector["action"].lower(),
    }
    headers = [(name, values[name]) for name in vector["signed_headers"].split(";")]
    credentials = Credentials(vector["secret_id"], vector["secret_key"], vector["token"] or "")
    assert sha256_hex(body) == vector["body_sha256"]
    assert tc3_canonical(headers, body) == vector["canonical_request"]
    assert tc3_signing_key(vector["secret_key"], vector["date"], "wedata").hex() == vector["signing_key_hex"]
    made = tc3_authorization(credentials, service="wedata", timestamp=vector["timestamp"], headers=headers, body=body)
    assert made == vector["authorization"]


def test_tc3_auth_signs_the_action_and_carries_the_token_unsigned() -> None:
    vector = next(v for v in TC3 if v["name"] == "doc_style_action_signed")
    request = httpx.Request(
        "POST",
        f"https://{vector['host']}/",
        headers={"content-type": vector["content_type"], "x-tc-action": vector["action"]},
        content=vector["body"].encode(),
    )
    auth = Tc3Auth(
        Credentials(vector["secret_id"], vector["secret_key"], "TOK"), "wedata", lambda: vector["timestamp"] + 0.9
    )
    signed = next(auth.auth_flow(request))
    assert signed.headers["authorization"] == vector["authorization"]
    assert signed.headers["x-tc-timestamp"] == str(vector["timestamp"])
    assert signed.headers["x-tc-token"] == "TOK"


@pytest.mark.parametrize("vector", ACS3, ids=names(ACS3))
def test_acs3_vectors(vector: dict[str, Any]) -> None:
    query = canonical_query(vector["query"])
    assert query == vector["canonical_query"]
    body_hash = vector["headers"]["x-acs-content-sha256"]
    assert sha256_hex((vector["body"] or "").encode()) == body_hash
    canonical = acs3_canonical(vector["method"], query, vector["headers"], body_hash)
    assert sha256_hex(canonical.encode()) == vector["canonical_request_sha256"]
    made = acs3_authorization(
        Credentials(ALIBABA["access_key_id"], ALIBABA["access_key_secret"]),
        method=vector["method"],
        query=query,
        headers=vector["headers"],
        body_hash=body_hash,
    )
    assert made == vector["authorization"]


@pytest.mark.parametrize("case", ALIBABA["published"], ids=names(ALIBABA["published"]))
def test_acs3_published_values(case: dict[str, Any]) -> None:
    query = canonical_query(
        {"ImageId": "win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd", "RegionId": "cn-shanghai"}
    )
    headers = {
        "host": "ecs.cn-shanghai.aliyuncs.com",
        "x-acs-action": "RunInstances",
        "x-acs-version": "2014-05-26",
        "x-acs-date": case["date"],
        "x-acs-signature-nonce": case["nonce"],
        "x-acs-content-sha256": sha256_hex(b""),
    }
    if case["canonical_request_sha256"]:
        canonical = acs3_canonical("POST", query, headers, sha256_hex(b""))
        assert sha256_hex(canonical.encode()) == case["canonical_request_sha256"]
    made = acs3_authorization(
        Credentials("YourAccessKeyId", "YourAccessKeySecret"),
        method="POST",
        query=query,
        headers=headers,
        body_hash=sha256_hex(b""),
    )
    assert made.endswith(f"Signature={case['signature']}")


@pytest.mark.parametrize(
    "name", ["v3-dms-revoke-database", "v3-dms-revoke-database-sts", "v3-quickbi-query-user-list-get"]
)
def test_acs3_auth_sends_what_it_signs(name: str) -> None:
    vector = next(v for v in ACS3 if v["name"] == name)
    token = vector["headers"].get("x-acs-security-token", "")
    request = httpx.Request(
        vector["method"],
        f"https://{vector['host']}/?{canonical_query(vector['query'])}",
        headers={
            "x-acs-action": vector["headers"]["x-acs-action"],
            "x-acs-version": vector["headers"]["x-acs-version"],
        },
    )
    clock = 1767323045.7  # 2026-01-02T03:04:05Z and a bit
    auth = Acs3Auth(Credentials("testid", "testsecret", token), lambda: clock, lambda: ALIBABA["nonce"])
    signed = next(auth.auth_flow(request))
    assert signed.headers["authorization"] == vector["authorization"]
    assert signed.url.query.decode() == vector["canonical_query"]


@pytest.mark.parametrize("vector", RPC, ids=names(RPC))
def test_rpc_vectors(vector: dict[str, Any]) -> None:
    parameters = {**vector["query_without_signature"], **(vector["body"] or {})}
    assert rpc_signature("testsecret", vector["method"], parameters) == vector["signature"]


def test_rpc_auth_keeps_key_and_signature_out_of_the_address() -> None:
    request = httpx.Request(
        "POST", "https://sts.aliyuncs.com/?Action=AssumeRole&Version=2015-04-01", content=b"RoleArn=acs%3Aram"
    )
    auth = RpcAuth(Credentials("testid", "testsecret", "tok/+="), lambda: 1767323045.0, lambda: "nonce1")
    signed = next(auth.auth_flow(request))
    body = {name: values[0] for name, values in parse_qs(signed.content.decode(), keep_blank_values=True).items()}
    signature = body.pop("Signature")
    assert signature == rpc_signature("testsecret", "POST", {"Action": "AssumeRole", "Version": "2015-04-01", **body})
    assert body["RoleArn"] == "acs:ram"
    assert body["SecurityToken"] == "tok/+="
    assert str(signed.url) == "https://sts.aliyuncs.com/?Action=AssumeRole&Version=2015-04-01"
    assert signed.headers["content-type"] == "application/x-www-form-urlencoded"
    assert int(signed.headers["content-length"]) == len(signed.content)


def test_every_attempt_is_signed_anew() -> None:
    auth = Acs3Auth(Credentials("a", "b"), lambda: 0.0)
    made = set()
    for _ in range(50):
        request = httpx.Request("POST", "https://h/?A=1", headers={"x-acs-action": "X", "x-acs-version": "1"})
        made.add(next(auth.auth_flow(request)).headers["authorization"])
    assert len(made) == 50
    assert len({fresh_nonce() for _ in range(1000)}) == 1000


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.text("AaBb~*+ /é表%&=", min_size=1, max_size=6), st.text(max_size=8), max_size=5))
def test_query_is_left_untouched_by_httpx(parameters: dict[str, str]) -> None:
    parameters = {
        name: value for name, value in parameters.items() if value.encode("utf-8", "ignore").decode() == value
    }
    query = canonical_query(parameters)
    assert httpx.URL(f"https://h.example/?{query}" if query else "https://h.example/").query.decode() == query


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=40), st.binary(max_size=40), st.integers(0, 2**31), st.integers(0, 2**31))
def test_unequal_requests_have_unequal_signatures(one: bytes, two: bytes, at: int, then: int) -> None:
    key = Credentials("i", "s")

    def sign(body: bytes, when: int) -> str:
        return tc3_authorization(key, service="wedata", timestamp=when, headers=[("host", "h")], body=body)

    assert (sign(one, at) == sign(two, then)) == ((one, at) == (two, then))
