from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from email.utils import formatdate

import httpx
import pytest

from rescind.cloud.client import ServerClock
from rescind.cloud.clients import WeDataClient
from rescind.cloud.connection.settings import ClientSettings
from rescind.cloud.credentials import StaticSource
from rescind.cloud.dms.inventory import GetUserActiveTenant
from rescind.cloud.wedata.inventory import ListTenantRoles
from rescind.errors import (
    ConfigurationError,
    TransientError,
    UnauthorizedError,
)
from tests.support.cloud_client import CANCEL, SOURCE, Client, Make, script

# --- clock --------------------------------------------------------------------------------------------


def test_the_clock_is_corrected_once(client: Client, tencent: Make) -> None:
    server_time = 1767225600.0
    expired = {"date": formatdate(server_time, usegmt=True)}

    def network(request: httpx.Request) -> httpx.Response:
        if abs(int(request.headers["x-tc-timestamp"]) - server_time) > 300:
            return tencent(Error={"Code": "AuthFailure.SignatureExpire"}, headers=expired)
        return tencent(Data=[])

    speaker = client(network, clock=lambda: server_time - 1000)
    assert asyncio.run(speaker.read(ListTenantRoles())).value.rows() == ()


def test_a_clock_error_with_a_good_clock_is_an_authorisation_problem(client: Client, tencent: Make) -> None:
    network = script(
        lambda _: tencent(
            Error={"Code": "AuthFailure.SignatureExpire"}, headers={"date": formatdate(1000, usegmt=True)}
        )
    )
    with pytest.raises(UnauthorizedError):
        asyncio.run(client(network, clock=lambda: 1000.0).read(ListTenantRoles()))
    assert len(network.seen) == 1  # type: ignore[attr-defined]


def test_a_write_with_a_wrong_clock_was_not_executed(client: Client, alibaba: Make) -> None:
    network = script(
        alibaba(400, Code="InvalidTimeStamp.Expired", headers={"date": formatdate(50_000, usegmt=True)}),
        alibaba(Result=1),
    )
    speaker = client(network, "quickbi", clock=lambda: 48_000.0)

    async def again() -> None:
        prepared = speaker.prepare(CANCEL)
        with pytest.raises(TransientError, match="not executed"):
            await speaker.dispatch(prepared)
        await speaker.dispatch(prepared)

    asyncio.run(again())
    assert network.seen[1].headers["x-acs-date"] == "1970-01-01T13:53:20Z"  # type: ignore[attr-defined]


@pytest.mark.parametrize("date", ["", "soon", "Thu, 01 Jan 1970", formatdate(5 * 86400, usegmt=True), "\x00"])
def test_nonsense_dates_correct_nothing(date: str) -> None:
    clock = ServerClock(lambda: 1000.0)
    assert not clock.correct(date)
    assert clock() == 1000.0


def test_the_clock_follows_the_base_after_a_correction() -> None:
    now = [1000.0]
    clock = ServerClock(lambda: now[0])
    assert clock.correct(formatdate(2000, usegmt=True))
    assert not clock.correct(formatdate(2010, usegmt=True))
    now[0] += 5
    assert clock() == 2005.0


# --- who ----------------------------------------------------------------------------------------------


def test_identify_tencent(client: Client, tencent: Make) -> None:
    speaker = client(
        script(
            tencent(Arn="qcs::cam::uin/1:uin/2", AccountId=100000000001, UserId="2", PrincipalId="2", Type="CAMUser")
        )
    )
    assert speaker.account == ""
    identity = asyncio.run(speaker.identify())
    assert (identity.account_id, identity.arn, identity.kind) == ("100000000001", "qcs::cam::uin/1:uin/2", "CAMUser")
    assert speaker.account == "100000000001"
    assert speaker.identity == identity
    assert speaker.prepare(SOURCE).bucket.account == "100000000001"


@pytest.mark.parametrize("signature", ["acs3", "rpc"])
def test_identify_alibaba(client: Client, signature: str) -> None:
    body = {
        "IdentityType": "RAMUser",
        "AccountId": "196813200012",
        "UserId": "2166",
        "Arn": "acs:ram::1968:user/a",
        "RequestId": "r",
    }
    network = script(httpx.Response(200, json=body))
    identity = asyncio.run(client(network, "dms", sts_signature=signature).identify())
    assert (identity.account_id, identity.user_id, identity.kind) == ("196813200012", "2166", "RAMUser")
    (sent,) = network.seen  # type: ignore[attr-defined]
    assert sent.url.host == "sts.aliyuncs.com"
    assert "Signature=" not in str(sent.url)
    assert (b"Signature=" in sent.content) == (signature == "rpc")


def test_a_pinned_account_must_match(client: Client, tencent: Make) -> None:
    network = script(tencent(Arn="a", AccountId="1", UserId="2"))
    speaker = client(network, account_id="777")
    assert speaker.account == "777"
    with pytest.raises(ConfigurationError, match=r"account_id.*777"):
        asyncio.run(speaker.identify())
    assert speaker.identity is None


def test_probes(client: Client, tencent: Make, alibaba: Make) -> None:
    wedata = client(script(tencent(Data={"Items": [], "TotalCount": 12})))
    assert asyncio.run(wedata.probe()) == "12 projects"  # type: ignore[attr-defined]
    dms = client(script(alibaba(Tenant={"Tid": 3001})), "dms")
    assert asyncio.run(dms.probe()) == "tenant 3001"  # type: ignore[attr-defined]
    quickbi = client(script(alibaba(Result={"Data": [], "TotalNum": "7"})), "quickbi")
    assert asyncio.run(quickbi.probe()) == "7 members"  # type: ignore[attr-defined]


def test_warm_never_raises(client: Client) -> None:
    assert asyncio.run(client(script(httpx.Response(405))).warm(3)) == 3
    assert asyncio.run(client(script(httpx.ConnectError("no"))).warm(2)) == 0


# --- temporary keys -----------------------------------------------------------------------------------


def test_an_ended_token_is_renewed_once(client: Client, tencent: Make) -> None:
    keys = iter(("one", "two", "three", "four", "five"))
    secrets: list[str] = []

    def network(request: httpx.Request) -> httpx.Response:
        if request.headers["x-tc-action"] == "AssumeRole":
            assert json.loads(request.content)["RoleArn"] == "qcs::cam::uin/1:roleName/r"
            name = next(keys)
            given = {"TmpSecretId": name, "TmpSecretKey": f"secret-{name}", "Token": f"token-{name}"}
            return tencent(Credentials=given, ExpiredTime=10_000)
        if request.headers["x-tc-token"] == "token-one":
            return tencent(Error={"Code": "AuthFailure.TokenFailure"})
        return tencent(Data=[])

    speaker = client(network, role_arn="qcs::cam::uin/1:roleName/r", clock=lambda: 1000.0, on_secret=secrets.append)
    assert asyncio.run(speaker.read(ListTenantRoles())).value.rows() == ()
    assert secrets == ["secret-one", "token-one", "secret-two", "token-two"]


def test_a_token_that_stays_refused_is_an_authorisation_problem(client: Client, alibaba: Make) -> None:
    asked = []

    def network(request: httpx.Request) -> httpx.Response:
        if request.headers["x-acs-action"] == "AssumeRole":
            asked.append(1)
            given = {
                "AccessKeyId": "k",
                "AccessKeySecret": "s",
                "SecurityToken": "t",
                "Expiration": "2030-01-01T00:00:00Z",
            }
            return alibaba(Credentials=given)
        return alibaba(400, Code="InvalidSecurityToken.Expired")

    with pytest.raises(UnauthorizedError):
        asyncio.run(client(network, "dms", role_arn="acs:ram::1:role/r").read(GetUserActiveTenant()))
    assert len(asked) == 2


def test_a_static_token_cannot_be_renewed(client: Client, alibaba: Make) -> None:
    network = script(alibaba(400, Code="InvalidSecurityToken.Expired"))
    with pytest.raises(UnauthorizedError):
        asyncio.run(client(network, "dms", session_token="x" * 20).read(GetUserActiveTenant()))
    assert len(network.seen) == 1  # type: ignore[attr-defined]


def test_another_source_of_keys_can_be_plugged_in(settings: Callable[..., ClientSettings], tencent: Make) -> None:
    network = script(tencent(Data=[]))
    speaker = WeDataClient(
        settings(), transport=httpx.MockTransport(network), credentials=StaticSource("AKIDother", "s", "tok")
    )
    asyncio.run(speaker.read(ListTenantRoles()))
    assert network.seen[0].headers["x-tc-token"] == "tok"  # type: ignore[attr-defined]
