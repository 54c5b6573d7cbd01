"""Signatures against the vendors' vectors, and the gateway's checks around them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from emulator.app import App
from emulator.gateway.wire import Request
from emulator.signing import alibaba, tencent
from tests.support.emulator_client import ALIBABA, Clients, canonical_query, sign_v1

DATA = Path(__file__).parent / "data"
TENCENT = json.loads((DATA / "tencent_signing_vectors.json").read_text(encoding="utf-8"))["vectors"]
ALI = json.loads((DATA / "alibaba_signing_vectors.json").read_text(encoding="utf-8"))


def _names(vectors: list[dict[str, Any]]) -> list[str]:
    return [vector["name"] for vector in vectors]


@pytest.mark.parametrize("vector", TENCENT, ids=_names(TENCENT))
def test_tc3_vectors(vector: dict[str, Any]) -> None:
    """The emulator computes the signature that the vendor's SDK makes."""
    signed = tuple(vector["signed_headers"].split(";"))
    headers = {"content-type": vector["content_type"], "host": vector["host"], "x-tc-action": vector["action"]}
    digest = tencent.payload_hash({}, vector["body"].encode())
    canonical = tencent.canonical_request("POST", "/", "", headers, signed, digest)
    assert canonical == vector["canonical_request"]
    made = tencent.signature(vector["secret_key"], vector["timestamp"], vector["date"], "wedata", canonical)
    assert made == vector["signature"]
    parsed = tencent.parse_authorization(vector["authorization"])
    assert parsed is not None
    assert (parsed.key_id, parsed.date, parsed.signed_headers) == (vector["secret_id"], vector["date"], signed)


V3 = [vector for vector in ALI["vectors"] if vector["scheme"] == "ACS3-HMAC-SHA256"]
V1 = [vector for vector in ALI["vectors"] if vector["scheme"] == "HMAC-SHA1"]


@pytest.mark.parametrize("vector", V3, ids=_names(V3))
def test_acs3_vectors(vector: dict[str, Any]) -> None:
    """V3, from the query as it goes over the wire."""
    signed = tuple(vector["signed_headers"].split(";"))
    pairs = alibaba.parse_query(vector["canonical_query"])
    assert dict(pairs) == vector["query"]
    canonical = alibaba.canonical_request(
        vector["method"], "/", pairs, vector["headers"], signed, vector["headers"]["x-acs-content-sha256"]
    )
    assert alibaba.signature(ALI["access_key_secret"], canonical) == vector["signature"]
    assert alibaba.must_be_signed(vector["headers"], (vector["body"] or "").encode()) <= set(signed)


@pytest.mark.parametrize("vector", V1, ids=_names(V1))
def test_v1_vectors(vector: dict[str, Any]) -> None:
    """HMAC-SHA1 over query and form parameters."""
    pairs = list({**vector["query_without_signature"], **(vector["body"] or {})}.items())
    text = alibaba.v1_string_to_sign(vector["method"], pairs)
    assert text == vector["string_to_sign"]
    assert alibaba.v1_signature(ALI["access_key_secret"], text) == vector["signature"]


def test_tencent_refuses_what_is_not_signed_right(clients: Clients) -> None:
    """Wrong secret, unknown key, old timestamp, wrong scope: HTTP 200 with the vendor's codes."""
    now = int(clients.now)
    cases: list[tuple[dict[str, Any], str]] = [
        ({"key": ("AKIDDEMO0000000000000000000000001", "wrong")}, "AuthFailure.SignatureFailure"),
        ({"key": ("AKIDNOBODY", "x")}, "AuthFailure.SecretIdNotFound"),
        ({"now": now - 301}, "AuthFailure.SignatureExpire"),
        ({"now": now + 301}, "AuthFailure.SignatureExpire"),
        ({"service": "sts"}, "AuthFailure.SignatureFailure"),
        ({"token": "not-needed"}, "AuthFailure.TokenFailure"),
        ({"version": "2021-08-20"}, "NoSuchVersion"),
        ({"region": "nowhere!"}, "UnsupportedRegion"),
        ({"key": ("AKIDDEMO0000000000000000000000004", "tencent-demo-secret-4")}, "UnauthorizedOperation"),
    ]
    for signing, code in cases:
        assert clients.wedata("ListTenantRoles", {}, **signing)["Error"]["Code"] == code, signing
    assert clients.wedata("ListTenantRoles", {}, now=now - 299)["Data"]


def test_alibaba_refuses_what_is_not_signed_right(clients: Clients) -> None:
    """Codes and statuses of Alibaba's gateway."""
    cases: list[tuple[dict[str, Any], int, str]] = [
        ({"key": (ALIBABA[0], "wrong")}, 400, "SignatureDoesNotMatch"),
        ({"key": ("LTAINOBODY", "x")}, 404, "InvalidAccessKeyId.NotFound"),
        ({"now": clients.now - 901}, 400, "InvalidTimeStamp.Expired"),
        ({"token": "not-needed"}, 400, "InvalidSecurityToken.Malformed"),
        ({"key": ("LTAIDEMO00000000000004", "alibaba-demo-secret-4")}, 403, "Forbidden.RAM"),
        ({"key": ("LTAIDEMO00000000000003", "alibaba-demo-secret-3")}, 404, "UserNotExist"),
    ]
    for signing, status, code in cases:
        answer = clients.alibaba_raw("dms", "GetUserActiveTenant", {}, **signing)
        assert (answer.status, json.loads(answer.body)["Code"]) == (status, code)
    assert json.loads(clients.alibaba_raw("dms", "GetUserActiveTenant", {}, now=clients.now - 899).body)["Success"]


def test_nonce_may_be_used_once_within_the_window(clients: Clients, app: App) -> None:
    """A second use is refused; after the window it is forgotten."""
    assert clients.alibaba_raw("dms", "GetUserActiveTenant", {}, nonce="once").status == 200
    again = clients.alibaba_raw("dms", "GetUserActiveTenant", {}, nonce="once")
    assert json.loads(again.body)["Code"] == "SignatureNonceUsed"
    app.world.clock.advance(901)  # type: ignore[attr-defined]
    assert clients.alibaba_raw("dms", "GetUserActiveTenant", {}, nonce="once").status == 200


def test_an_unsigned_acs_header_is_refused(clients: Clients, app: App) -> None:
    """Whatever x-acs header is sent must be signed."""
    from tests.support.emulator_client import sign_acs3

    headers = sign_acs3("GetUserActiveTenant", "2018-11-01", "", clients.now)
    headers["x-acs-extra"] = "1"
    answer = app.handle(Request("POST", "/", "", headers, b""))
    assert json.loads(answer.body)["Code"] == "IncompleteSignature"


def test_v1_in_query_and_in_form_body(clients: Clients, app: App) -> None:
    """The same V1 call is taken from the query, from a form body, by GET and by POST, as JSON and as XML."""
    target = {"PermType": "DATABASE", "UserId": next(iter(app.world.dms.users))}
    form = {"content-type": "application/x-www-form-urlencoded", "host": "127.0.0.1"}
    query = sign_v1("ListUserPermissions", "2018-11-01", target, clients.now)
    answer = app.handle(Request("POST", "/", query, {"host": "127.0.0.1"}, b""))
    assert json.loads(answer.body)["Success"] is True
    query = sign_v1("ListUserPermissions", "2018-11-01", target, clients.now)
    answer = app.handle(Request("POST", "/", "", form, query.encode()))
    assert json.loads(answer.body)["Success"] is True
    query = sign_v1("ListUserPermissions", "2018-11-01", {**target, "Format": "XML"}, clients.now, method="GET")
    answer = app.handle(Request("GET", "/", query, {"host": "127.0.0.1"}, b""))
    assert answer.content_type.startswith("text/xml")
    assert b"<ListUserPermissionsResponse><RequestId>" in answer.body
    broken = sign_v1("ListUserPermissions", "2018-11-01", target, clients.now).replace("DATABASE", "TABLE")
    answer = app.handle(Request("POST", "/", broken, {"host": "127.0.0.1"}, b""))
    assert json.loads(answer.body)["Code"] == "SignatureDoesNotMatch"


def test_v3_parameters_in_a_form_body(clients: Clients, app: App) -> None:
    """DMS takes its parameters from a form body too; the body is covered by its hash."""
    from tests.support.emulator_client import sign_acs3

    body = canonical_query({"PermType": "DATABASE", "UserId": next(iter(app.world.dms.users))}).encode()
    headers = sign_acs3("ListUserPermissions", "2018-11-01", "", clients.now, body=body)
    assert json.loads(app.handle(Request("POST", "/", "", headers, body)).body)["Success"] is True
    answer = app.handle(Request("POST", "/", "", headers, body + b"&PageSize=1"))
    assert json.loads(answer.body)["Code"] == "InvalidContentSha256"


def test_method_is_checked(clients: Clients) -> None:
    """QueryUserList is GET only; GrantUserPermission POST only."""
    assert clients.alibaba_raw("quickbi", "QueryUserList", {}, method="POST").status == 403
    assert clients.alibaba_raw("dms", "GrantUserPermission", {}, method="GET").status == 403
    assert clients.alibaba_raw("dms", "GetUserActiveTenant", {}, method="GET").status == 200


def test_assumed_roles_work_until_they_expire(clients: Clients, app: App) -> None:
    """STS of both vendors: identity, session credentials, token required, expiry."""
    answer = clients.wedata(
        "AssumeRole", {"RoleArn": "qcs::cam::uin/100000000001:roleName/reviewer", "RoleSessionName": "night"},
        version="2018-08-13", service="sts",
    )  # fmt: skip
    found = answer["Credentials"]
    key = (found["TmpSecretId"], found["TmpSecretKey"])
    assert clients.wedata("ListTenantRoles", {}, key=key, token=found["Token"])["Data"]
    assert clients.wedata("ListTenantRoles", {}, key=key)["Error"]["Code"] == "AuthFailure.TokenFailure"
    who = clients.wedata("GetCallerIdentity", {}, key=key, token=found["Token"], version="2018-08-13", service="sts")
    assert (who["Type"], who["AccountId"]) == ("CAMRole", "100000000001")
    params = {"RoleArn": "acs:ram::1600000000000001:role/reviewer", "RoleSessionName": "night"}
    made = json.loads(clients.alibaba_raw("sts", "AssumeRole", params).body)["Credentials"]
    ali = (made["AccessKeyId"], made["AccessKeySecret"])
    assert clients.alibaba_raw("dms", "GetUserActiveTenant", {}, key=ali, token=made["SecurityToken"]).status == 200
    app.world.clock.advance(7201)  # type: ignore[attr-defined]
    late_tencent = clients.wedata("ListTenantRoles", {}, key=key, token=found["Token"])
    assert late_tencent["Error"]["Code"] == "AuthFailure.TokenFailure"
    late = clients.alibaba_raw("dms", "GetUserActiveTenant", {}, key=ali, token=made["SecurityToken"])
    assert json.loads(late.body)["Code"] == "InvalidSecurityToken.Expired"


def test_oidc_needs_no_signature(clients: Clients, app: App) -> None:
    """AssumeRoleWithOIDC is sent unsigned; its token never reaches the journal."""
    query = canonical_query({
        "Action": "AssumeRoleWithOIDC", "Version": "2015-04-01", "Format": "json", "OIDCToken": "secret-token",
        "OIDCProviderArn": "acs:ram::1600000000000001:oidc-provider/demo", "RoleSessionName": "night",
        "RoleArn": "acs:ram::1600000000000001:role/reviewer", "Timestamp": "2026-01-01T00:00:00Z",
    })  # fmt: skip
    answer = app.handle(Request("POST", "/", query, {"host": "127.0.0.1"}, b""))
    assert json.loads(answer.body)["Credentials"]["AccessKeyId"].startswith("STS.")
    assert "secret-token" not in json.dumps(app.world.journal.after(0))


def test_a_signed_request_sent_twice_is_marked(clients: Clients, app: App) -> None:
    """Tencent has no nonce: a replay is carried out, and the journal says so."""
    from tests.support.emulator_client import sign_tencent

    headers = sign_tencent("ListTenantRoles", b"{}", int(clients.now))
    for _ in range(2):
        app.handle(Request("POST", "/", "", dict(headers), b"{}"))
    assert [entry["resent"] for entry in app.world.journal.after(0, kind="request")] == [False, True]
