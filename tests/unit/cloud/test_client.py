from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import httpx
import pytest

from rescind.cloud.base import Bucket
from rescind.cloud.clients import DmsClient, QuickBiClient, WeDataClient, client_class
from rescind.cloud.connection.settings import ClientSettings
from rescind.cloud.dms.inventory import GetUserActiveTenant, ListInstances
from rescind.cloud.dms.permissions import RevokeUserPermission
from rescind.cloud.quickbi.inventory import QueryUserList
from rescind.cloud.quickbi.menus import CancelAuthorizationMenu
from rescind.cloud.retry import MAX_ATTEMPTS, RetryBudget, asked_wait, backoff
from rescind.cloud.wedata.data_sources import FromProject, RevokeDataSourceAuthorization
from rescind.cloud.wedata.inventory import ListProjects, ListTenantRoles
from rescind.errors import (
    ConfigurationError,
    InputError,
    RefusedError,
    ThrottledError,
    TransientError,
    UnauthorizedError,
    UnknownOutcomeError,
)
from tests.support.cloud_client import CANARIES, CANCEL, SOURCE, Client, Make, Recorder, script, throttle

# --- what goes out ------------------------------------------------------------------------------------


def test_tencent_request_on_the_wire(client: Client, tencent: Make) -> None:
    network = script(tencent(Data={"Status": True}))
    speaker = client(network, session_token="canary-token-0001", clock=lambda: 1767225600.9)
    prepared = speaker.prepare(SOURCE)
    assert prepared.body == b'{"DataSourceId":"65377","RevokeProjectId":"29"}'
    assert prepared.bucket == Bucket("tencent", speaker.settings.key_mark, "ap-singapore", SOURCE.action, 20.0)
    asyncio.run(speaker.dispatch(prepared))
    (sent,) = network.seen  # type: ignore[attr-defined]
    assert (sent.method, str(sent.url)) == ("POST", "https://wedata.intl.tencentcloudapi.com/")
    headers = sent.headers
    assert headers["x-tc-action"] == "RevokeDataSourceAuthorization"
    assert (headers["x-tc-version"], headers["x-tc-region"], headers["x-tc-language"]) == (
        "2025-08-06",
        "ap-singapore",
        "en-US",
    )
    assert (headers["x-tc-timestamp"], headers["x-tc-token"]) == ("1767225600", "canary-token-0001")
    assert headers["accept-encoding"] == "identity"
    assert "SignedHeaders=content-type;host;x-tc-action" in headers["authorization"]
    assert "/2026-01-01/wedata/tc3_request" in headers["authorization"]
    assert sent.content == prepared.body


def test_alibaba_request_on_the_wire(client: Client, alibaba: Make) -> None:
    network = script(alibaba(Result=2))
    speaker = client(network, "quickbi", session_token="canary-token-0001")
    asyncio.run(speaker.dispatch(speaker.prepare(CANCEL)))
    (sent,) = network.seen  # type: ignore[attr-defined]
    assert str(sent.url) == ("https://quickbi-public.cn-hangzhou.aliyuncs.com/?DataPortalId=p&MenuIds=a%2Cb&UserIds=1")
    assert sent.content == b""
    assert sent.headers["x-acs-action"] == "CancelAuthorizationMenu"
    assert sent.headers["x-acs-security-token"] == "canary-token-0001"
    assert sent.headers["accept"] == "application/json"
    signed = sent.headers["authorization"].partition("SignedHeaders=")[2].partition(",")[0].split(";")
    assert set(signed) == {"host", *(name for name in sent.headers if name.startswith("x-acs-"))}


def test_get_actions_and_sts_go_where_they_belong(client: Client, alibaba: Make, tencent: Make) -> None:
    network = script(alibaba(Result={"Data": [], "TotalNum": 0}))
    asyncio.run(client(network, "quickbi").read(QueryUserList(PageNum=1, PageSize=10)))
    assert network.seen[0].method == "GET"  # type: ignore[attr-defined]
    network = script(tencent(Arn="a", AccountId="1", UserId="2"))
    asyncio.run(client(network).identify())
    assert network.seen[0].url.host == "sts.intl.tencentcloudapi.com"  # type: ignore[attr-defined]
    assert "/sts/tc3_request" in network.seen[0].headers["authorization"]  # type: ignore[attr-defined]


def test_cookies_are_not_kept(client: Client, tencent: Make) -> None:
    def fresh(_: httpx.Request) -> httpx.Response:
        return tencent(Data=[], headers={"set-cookie": "tracker=1; Path=/"})

    network = script(fresh)
    speaker = client(network)

    async def twice() -> None:
        await speaker.read(ListTenantRoles())
        await speaker.read(ListTenantRoles())

    asyncio.run(twice())
    assert "cookie" not in network.seen[1].headers  # type: ignore[attr-defined]


def test_a_client_speaks_one_service(client: Client) -> None:
    with pytest.raises(TypeError, match="does not speak"):
        client(script(httpx.Response(200))).prepare(CANCEL)
    with pytest.raises(TypeError, match="is a write"):
        asyncio.run(client(script(httpx.Response(200))).read(SOURCE))  # type: ignore[arg-type]


def test_client_classes(settings: Callable[..., ClientSettings]) -> None:
    assert [client_class(settings(service)) for service in ("wedata", "dms", "quickbi")] == [
        WeDataClient, DmsClient, QuickBiClient,
    ]  # fmt: skip
    with pytest.raises(ConfigurationError, match="service"):
        WeDataClient(settings("dms"))


def test_fingerprint_follows_the_bytes(client: Client) -> None:
    speaker = client(script(httpx.Response(200)))
    one, same = speaker.prepare(SOURCE), speaker.prepare(SOURCE)
    other = speaker.prepare(
        RevokeDataSourceAuthorization(DataSourceId="65377", target=FromProject(project_id="30", whole_project=True))
    )
    assert one.fingerprint == same.fingerprint != other.fingerprint


def test_tenant_is_filled_in(client: Client, alibaba: Make) -> None:
    network = script(alibaba(Tenant={"Tid": 3001}))
    speaker = client(network, "dms")
    assert isinstance(speaker, DmsClient)

    async def many() -> list[str]:
        return await asyncio.gather(*(speaker.find_tenant() for _ in range(4)))

    assert asyncio.run(many()) == ["3001"] * 4
    assert len(network.seen) == 1, "asked for once"  # type: ignore[attr-defined]
    record = RevokeUserPermission(UserId="5", DsType="INSTANCE", InstanceId="1", PermTypes="LOGIN", UserAccessId="7")
    assert "Tid=3001" in speaker.prepare(record).url
    assert "Tid=9" in speaker.prepare(ListInstances(Tid="9")).url
    assert "Tid=3001" in client(network, "dms", tid=3001).prepare(GetUserActiveTenant()).url


# --- reads: retries within a budget -------------------------------------------------------------------


def test_reads_are_tried_again_and_paced_each_time(client: Client, tencent: Make) -> None:
    pacer, slept = Recorder(), []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    network = script(
        throttle(tencent, {"retry-after": "3"}),
        httpx.ReadTimeout("slow"),
        httpx.Response(502, text="<html>"),
        tencent(Error={"Code": "InternalError"}),
        tencent(Data=[]),
    )
    speaker = client(network, pacer=pacer, sleep=sleep)
    answer = asyncio.run(speaker.read(ListTenantRoles()))
    assert answer.value.rows() == ()
    assert [what for what, _ in pacer.said].count("slot") == 5
    assert ("throttled", 3.0) in pacer.said
    assert slept[0] >= 3.0
    assert all(0 <= pause <= 20 for pause in slept[1:])
    stamps = {request.headers["authorization"] for request in network.seen}  # type: ignore[attr-defined]
    assert len(network.seen) == 5  # type: ignore[attr-defined]
    assert stamps


@pytest.mark.parametrize("code", ["InvalidParameter", "AuthFailure.SecretIdNotFound", "ResourceNotFound"])
def test_final_answers_are_not_tried_again(client: Client, tencent: Make, code: str) -> None:
    network = script(tencent(Error={"Code": code}))
    with pytest.raises((RefusedError, UnauthorizedError, Exception)) as caught:
        asyncio.run(client(network).read(ListProjects()))
    assert code in str(caught.value)
    assert len(network.seen) == 1  # type: ignore[attr-defined]


def test_attempts_are_bounded(client: Client, tencent: Make) -> None:
    network = script(lambda _: throttle(tencent))
    with pytest.raises(ThrottledError):
        asyncio.run(client(network).read(ListProjects()))
    assert len(network.seen) == MAX_ATTEMPTS  # type: ignore[attr-defined]


def test_the_budget_stops_amplification(client: Client, tencent: Make) -> None:
    network = script(lambda _: throttle(tencent))
    speaker = client(network)

    async def storm() -> None:
        for _ in range(100):
            with pytest.raises(ThrottledError):
                await speaker.read(ListProjects())

    asyncio.run(storm())
    assert len(network.seen) == 150, "100 first attempts and one budget of 50 retries"  # type: ignore[attr-defined]


def test_budget_refills_with_successes() -> None:
    budget = RetryBudget(capacity=2, refill=0.5)
    assert [budget.spend(), budget.spend(), budget.spend()] == [True, True, False]
    budget.succeeded()
    assert not budget.spend()
    budget.succeeded()
    assert budget.spend()


def test_backoff_has_bounds_and_jitter() -> None:
    assert backoff(1, None, lambda: 1.0) == 0.5
    assert backoff(50, None, lambda: 1.0) == 20.0
    assert backoff(3, None, lambda: 0.0) == 0.0
    assert backoff(1, 7.0, lambda: 0.0) == 7.0
    assert asked_wait({}) is None


# --- writes: once -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (httpx.ConnectError("inner words"), TransientError),
        (httpx.ConnectTimeout("inner words"), TransientError),
        (httpx.PoolTimeout("inner words"), TransientError),
        (httpx.ReadTimeout("inner words"), UnknownOutcomeError),
        (httpx.WriteTimeout("inner words"), UnknownOutcomeError),
        (httpx.ReadError("inner words"), UnknownOutcomeError),
        (httpx.WriteError("inner words"), UnknownOutcomeError),
        (httpx.RemoteProtocolError("inner words"), UnknownOutcomeError),
        (ConnectionResetError("inner words"), UnknownOutcomeError),
    ],
)
def test_a_write_is_sent_once_and_faults_are_classified(
    client: Client, fault: Exception, kind: type[Exception]
) -> None:
    network = script(fault)
    speaker = client(network)
    with pytest.raises(kind) as caught:
        asyncio.run(speaker.dispatch(speaker.prepare(SOURCE)))
    assert type(caught.value) is kind
    assert caught.value.__context__ is None, "an httpx error would carry the request and its headers"
    assert len(network.seen) == 1  # type: ignore[attr-defined]
    assert "inner" not in str(caught.value)


def test_a_throttled_write_is_not_retried_here(client: Client, tencent: Make) -> None:
    pacer = Recorder()
    network = script(throttle(tencent, {"retry-after": "9"}))
    speaker = client(network, pacer=pacer)
    with pytest.raises(ThrottledError) as caught:
        asyncio.run(speaker.dispatch(speaker.prepare(SOURCE)))
    assert caught.value.retry_after == 9.0
    assert pacer.said == [("throttled", 9.0)]


def test_two_dispatches_are_signed_apart(client: Client, alibaba: Make) -> None:
    network = script(lambda _: alibaba(Result=1))
    speaker = client(network, "quickbi")

    async def twice() -> None:
        prepared = speaker.prepare(CANCEL)
        await speaker.dispatch(prepared)
        await speaker.dispatch(prepared)

    asyncio.run(twice())
    one, two = network.seen  # type: ignore[attr-defined]
    assert one.headers["x-acs-signature-nonce"] != two.headers["x-acs-signature-nonce"]
    assert one.headers["authorization"] != two.headers["authorization"]


# --- what may be seen ---------------------------------------------------------------------------------


def test_nothing_secret_is_shown(client: Client, tencent: Make, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for step in (tencent(Data={"Status": True}), httpx.ReadTimeout("x"), tencent(Error={"Code": "InvalidParameter"})):
        speaker = client(script(step), session_token="canary-token-0001")
        prepared = speaker.prepare(SOURCE)
        shown = repr(prepared) + repr(speaker) + repr(speaker.settings) + repr(vars(speaker))
        try:
            shown += repr(asyncio.run(speaker.dispatch(prepared)))
        except Exception as error:
            shown += repr(error) + str(error) + repr(vars(error))
        for canary in CANARIES:
            assert canary not in shown
            assert canary not in caplog.text


def test_http_logs_are_raised_to_warning() -> None:
    for name in ("httpx", "httpcore"):
        assert logging.getLogger(name).getEffectiveLevel() >= logging.WARNING


def test_a_query_over_the_limit_is_refused_in_prepare(client: Client) -> None:
    speaker = client(script(httpx.Response(200)), "quickbi")
    wide = CancelAuthorizationMenu(
        DataPortalId="p", MenuIds=[f"{i + 1:036d}" for i in range(100)], UserIds=[f"{i + 1:036d}" for i in range(200)]
    )
    with pytest.raises(InputError, match="fewer ids"):
        speaker.prepare(wide)
