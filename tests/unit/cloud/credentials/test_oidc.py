"""Keys for mounted identity tokens: what is exchanged, how it travels unsigned, and what can go wrong."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest

from rescind.cloud.client import CloudClient
from rescind.cloud.clients import client_class
from rescind.cloud.connection.settings import ClientSettings
from rescind.cloud.credentials import CredentialSource, OidcSource, Sources
from rescind.cloud.credentials.oidc import ANONYMOUS, UNSIGNED, AlibabaAssumeRoleWithOidc, from_environment
from rescind.cloud.dms.inventory import GetUserActiveTenant
from rescind.cloud.sts_messages import AlibabaAssumeRoleAnswer
from rescind.cloud.wedata.inventory import ListTenantRoles
from rescind.errors import ConfigurationError, InputError, UnauthorizedError
from tests.support.ledger.pacing import FreePacer

Make = Callable[..., httpx.Response]
JWT = "eyJhbGciOi.canary-identity-token." + "x" * 9000
"""Longer than any query may be: it travels in the body."""
ROLE, PROVIDER = "acs:ram::1968:role/pod", "acs:ram::1968:oidc-provider/cluster"


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    file = tmp_path / "token"
    file.write_text(f"{JWT}\n")
    return {
        "ALIBABA_CLOUD_OIDC_TOKEN_FILE": str(file),
        "ALIBABA_CLOUD_OIDC_PROVIDER_ARN": PROVIDER,
        "ALIBABA_CLOUD_ROLE_ARN": ROLE,
        "TKE_WEB_IDENTITY_TOKEN_FILE": str(file),
        "TKE_PROVIDER_ID": "OIDC",
        "TKE_ROLE_ARN": "qcs::cam::uin/1:roleName/pod",
        "TKE_REGION": "ap-guangzhou",
    }


def speaker(service: str, network: Any, environ: dict[str, str], told: list[str], **fields: Any) -> CloudClient:
    regions = {"wedata": {"region": "ap-singapore"}, "dms": {}}
    settings = ClientSettings.from_fields(service, {"credentials": "oidc", **regions[service], **fields})  # type: ignore[arg-type]
    client = client_class(settings)(
        settings, pacer=FreePacer(), transport=httpx.MockTransport(network), clock=lambda: 1_767_323_045.0
    )
    client._source = Sources(settings, client._ask, client._clock, told.append, environ=environ).make()
    return client


def test_tencent_on_the_wire(environ: dict[str, str], tencent: Make) -> None:
    seen: list[httpx.Request] = []

    def network(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        if request.headers["x-tc-action"] == "AssumeRoleWithWebIdentity":
            keys = {"TmpSecretId": "AKIDpod", "TmpSecretKey": "pod-secret", "Token": "pod-token"}
            return tencent(Credentials=keys, ExpiredTime=1_767_330_000)
        return tencent(Data=[])

    told: list[str] = []
    asyncio.run(speaker("wedata", network, environ, told).read(ListTenantRoles()))
    exchange, call = seen
    assert exchange.url.host == "sts.intl.tencentcloudapi.com"
    assert exchange.headers["authorization"] == "SKIP"
    assert exchange.headers["x-tc-version"] == "2018-08-13"
    assert exchange.headers["x-tc-timestamp"] == "1767323045"
    assert "x-tc-token" not in exchange.headers
    assert json.loads(exchange.content) == {
        "ProviderId": "OIDC",
        "WebIdentityToken": JWT,
        "RoleArn": "qcs::cam::uin/1:roleName/pod",
        "RoleSessionName": "rescind",
        "DurationSeconds": 3600,
    }
    assert call.headers["x-tc-token"] == "pod-token"
    assert "Credential=AKIDpod/" in call.headers["authorization"]
    assert told == [JWT, "pod-secret", "pod-token"]


def test_alibaba_on_the_wire(environ: dict[str, str], alibaba: Make) -> None:
    seen: list[httpx.Request] = []

    def network(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        if request.url.host.startswith("sts."):
            return httpx.Response(200, json={"RequestId": "s1", "Credentials": keys()})
        return alibaba(Tenant={"Tid": 3001})

    environ["ALIBABA_CLOUD_ROLE_SESSION_NAME"] = "night-run"
    asyncio.run(speaker("dms", network, environ, [], role_duration_s=900).read(GetUserActiveTenant()))
    exchange, call = seen
    assert (exchange.method, str(exchange.url)) == (
        "POST",
        "https://sts.aliyuncs.com/?Action=AssumeRoleWithOIDC&Version=2015-04-01",
    )
    assert exchange.headers["content-type"] == "application/x-www-form-urlencoded"
    assert "authorization" not in exchange.headers
    assert {name: value for name, (value,) in parse_qs(exchange.content.decode()).items()} == {
        "OIDCProviderArn": PROVIDER, "OIDCToken": JWT, "RoleArn": ROLE, "RoleSessionName": "night-run",
        "DurationSeconds": "900", "Format": "json", "Timestamp": "2026-01-02T03:04:05Z",
    }  # fmt: skip
    assert call.headers["x-acs-security-token"] == "pod-token"
    assert "Credential=STS.pod," in call.headers["authorization"]


def keys(end: str = "2026-01-02T04:04:05Z") -> dict[str, str]:
    return {"AccessKeyId": "STS.pod", "AccessKeySecret": "pod-secret", "SecurityToken": "pod-token", "Expiration": end}


def test_nothing_else_leaves_unsigned(environ: dict[str, str], tencent: Make, alibaba: Make) -> None:
    assert {(kind.vendor, kind.service, kind.action, kind.write) for kind in UNSIGNED} == {
        ("tencent", "sts", "AssumeRoleWithWebIdentity", False),
        ("alibaba", "sts", "AssumeRoleWithOIDC", False),
    }
    request = AlibabaAssumeRoleWithOidc(
        OIDCProviderArn=PROVIDER, OIDCToken=JWT, RoleArn=ROLE, RoleSessionName="rescind"
    )
    prepared = speaker("dms", lambda request: alibaba(), environ, []).prepare(request)
    assert "canary" not in repr(request) + repr(prepared) + prepared.url + str(prepared.headers)
    assert not (ANONYMOUS.key_id or ANONYMOUS.secret)


def test_a_role_on_top_of_the_pods_role(environ: dict[str, str], alibaba: Make) -> None:
    """The connection's role_arn is assumed with the pod's keys, and renewed by its own end."""
    asked: list[tuple[str, str]] = []

    def network(request: httpx.Request) -> httpx.Response:
        action = request.headers.get("x-acs-action") or parse_qs(request.url.query.decode())["Action"][0]
        asked.append((action, request.headers.get("x-acs-security-token", "")))
        if action == "AssumeRoleWithOIDC":
            return httpx.Response(200, json={"RequestId": f"s{len(asked)}", "Credentials": keys()})
        if action == "AssumeRole":
            assert request.url.params["RoleArn"] == "acs:ram::2:role/audit"
            given = {**keys(), "AccessKeyId": "STS.end", "SecurityToken": "end-token"}
            return httpx.Response(200, json={"RequestId": f"s{len(asked)}", "Credentials": given})
        return alibaba(Tenant={"Tid": 3001})

    client = speaker("dms", network, environ, [], role_arn="acs:ram::2:role/audit")

    async def run() -> None:
        await client.read(GetUserActiveTenant())
        await client.read(GetUserActiveTenant())

    asyncio.run(run())
    assert asked == [
        ("AssumeRoleWithOIDC", ""),
        ("AssumeRole", "pod-token"),
        ("GetUserActiveTenant", "end-token"),
        ("GetUserActiveTenant", "end-token"),
    ]


def test_an_ended_key_in_the_middle_of_the_chain_is_replaced(environ: dict[str, str], alibaba: Make) -> None:
    """The vendor calls the pod's key ended while the second role is assumed: that key is renewed, not the role's."""
    asked: list[str] = []

    def network(request: httpx.Request) -> httpx.Response:
        action = request.headers.get("x-acs-action") or "AssumeRoleWithOIDC"
        asked.append(action)
        number = asked.count("AssumeRoleWithOIDC")
        if action == "AssumeRoleWithOIDC":
            given = {**keys(), "SecurityToken": f"pod-token-{number}"}
            return httpx.Response(200, json={"RequestId": f"s{len(asked)}", "Credentials": given})
        if action == "AssumeRole":
            if request.headers["x-acs-security-token"] == "pod-token-1":
                return alibaba(403, Code="InvalidSecurityToken.Expired")
            return httpx.Response(200, json={"RequestId": f"s{len(asked)}", "Credentials": keys()})
        return alibaba(Tenant={"Tid": 3001})

    client = speaker("dms", network, environ, [], role_arn="acs:ram::2:role/audit")

    async def no_wait(seconds: float) -> None:
        return None

    client._sleep = no_wait
    asyncio.run(client.read(GetUserActiveTenant()))
    assert asked == ["AssumeRoleWithOIDC", "AssumeRole", "AssumeRoleWithOIDC", "AssumeRole", "GetUserActiveTenant"]


def test_the_token_is_read_at_every_renewal(environ: dict[str, str]) -> None:
    now, seen = [0.0], []
    file = Path(environ["ALIBABA_CLOUD_OIDC_TOKEN_FILE"])

    async def ask(request: Any, source: CredentialSource) -> AlibabaAssumeRoleAnswer:
        assert await source.current() is ANONYMOUS
        assert not source.invalidate(ANONYMOUS)
        seen.append((request.OIDCToken, request.RoleArn))
        end = "1970-01-01T01:00:00Z" if len(seen) == 1 else "1970-01-01T03:00:00Z"
        return AlibabaAssumeRoleAnswer.model_validate({"Credentials": keys(end)})

    source = OidcSource("alibaba", lambda: from_environment("alibaba", environ=environ), ask, clock=lambda: now[0])

    async def run() -> None:
        await source.current()
        file.write_text("rotated-token")
        environ["ALIBABA_CLOUD_ROLE_ARN"] = "acs:ram::1968:role/other"
        await source.current()
        now[0] = 3100.0
        await asyncio.gather(*(source.current() for _ in range(8)))

    asyncio.run(run())
    assert seen == [(JWT, ROLE), ("rotated-token", "acs:ram::1968:role/other")]


@pytest.mark.parametrize("vendor", ["tencent", "alibaba"])
def test_missing_variables_are_named(vendor: str) -> None:
    with pytest.raises(ConfigurationError, match="in the worker's environment") as caught:
        from_environment(vendor, environ={})
    expected = {
        "tencent": ("TKE_WEB_IDENTITY_TOKEN_FILE", "TKE_PROVIDER_ID", "TKE_ROLE_ARN"),
        "alibaba": ("ALIBABA_CLOUD_OIDC_TOKEN_FILE", "ALIBABA_CLOUD_OIDC_PROVIDER_ARN", "ALIBABA_CLOUD_ROLE_ARN"),
    }[vendor]
    assert all(name in str(caught.value) for name in expected)


def test_the_connection_can_name_role_and_provider_but_never_the_file(environ: dict[str, str]) -> None:
    found = from_environment("tencent", provider="other", role_arn="qcs::cam::uin/2:roleName/r", environ=environ)
    assert (found.provider, found.role_arn) == ("other", "qcs::cam::uin/2:roleName/r")
    assert found.token_file == environ["TKE_WEB_IDENTITY_TOKEN_FILE"]
    assert not [name for name in ClientSettings.model_fields if "token_file" in name or name == "file"]
    only_file = {"TKE_WEB_IDENTITY_TOKEN_FILE": "/t"}
    with pytest.raises(ConfigurationError, match="TKE_ROLE_ARN"):
        from_environment("tencent", provider="other", environ=only_file)


@pytest.mark.parametrize("content", [b"", b"  \n", b"abc", b"two words", b"\xff\xfe\x00", b"x" * 20_001, None])
def test_unusable_token_files_are_named_and_not_quoted(environ: dict[str, str], content: bytes | None) -> None:
    file = Path(environ["ALIBABA_CLOUD_OIDC_TOKEN_FILE"])
    file.unlink() if content is None else file.write_bytes(content)
    client = speaker("dms", lambda request: pytest.fail("nothing may be sent"), environ, [])
    with pytest.raises(ConfigurationError, match="ALIBABA_CLOUD_OIDC_TOKEN_FILE") as caught:
        asyncio.run(client.read(GetUserActiveTenant()))
    assert "two words" not in str(caught.value)


def test_a_refused_token_says_what_to_check(environ: dict[str, str], alibaba: Make) -> None:
    client = speaker(
        "dms", lambda request: alibaba(400, Code="AuthenticationFail.OIDCToken.Invalid", Message=JWT), environ, []
    )
    with pytest.raises(UnauthorizedError, match="audience and subject") as caught:
        asyncio.run(client.read(GetUserActiveTenant()))
    assert caught.value.code == "AuthenticationFail.OIDCToken.Invalid"
    assert caught.value.action == "AssumeRoleWithOIDC"
    assert "canary" not in str(caught.value)


def test_a_wrong_role_is_an_input_error(environ: dict[str, str]) -> None:
    environ["ALIBABA_CLOUD_ROLE_ARN"] = "has blanks in it"
    client = speaker("dms", lambda request: pytest.fail("nothing may be sent"), environ, [])
    with pytest.raises(InputError, match="RoleArn"):
        asyncio.run(client.read(GetUserActiveTenant()))
