"""A key that ends, or a clock that is found wrong, while many requests are in flight."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from email.utils import formatdate
from typing import Any

import httpx
import pytest

from rescind.cloud.base import Request
from rescind.cloud.client import CloudClient
from rescind.cloud.clients import client_class
from rescind.cloud.connection.settings import ClientSettings
from rescind.cloud.credentials.roles import utc_seconds
from rescind.cloud.dms.inventory import GetUserActiveTenant
from rescind.cloud.dms.permissions import RevokeUserPermission
from rescind.cloud.wedata.data_sources import FromProject, RevokeDataSourceAuthorization
from rescind.cloud.wedata.inventory import ListTenantRoles
from rescind.errors import ExpiredSignatureError, TransientError
from tests.support.ledger.pacing import FreePacer

IN_FLIGHT = 16
SERVER_TIME = 1_767_225_600.0
READS: dict[str, Request[Any]] = {"wedata": ListTenantRoles(), "dms": GetUserActiveTenant()}
WRITES: dict[str, Request[Any]] = {
    "wedata": RevokeDataSourceAuthorization(
        DataSourceId="65377", target=FromProject(project_id="29", whole_project=True)
    ),
    "dms": RevokeUserPermission(
        UserId="5", DsType="DATABASE", DbId="1", Logic=False, PermTypes="QUERY", UserAccessId="7"
    ),
}
ROLES = {"wedata": "qcs::cam::uin/1:roleName/r", "dms": "acs:ram::1:role/r"}
SERVICES = pytest.mark.parametrize("service", ["wedata", "dms"])
KINDS = pytest.mark.parametrize("write", [False, True], ids=["reads", "writes"])
PACES = pytest.mark.parametrize("late", [False, True], ids=["together", "one after another"])


class Vendor:
    """A service of either vendor whose first requests all arrive before one of them is answered.

    :param late: answer the first of them alone, and the others only when its successor was accepted.
    """

    def __init__(self, service: str, *, late: bool = False, clock: float = SERVER_TIME) -> None:
        self.service, self.late, self.clock = service, late, clock
        self.fresh_key = True  # whether a key that was just given is accepted
        self.ended: set[str] = set()
        self.given = 0
        self.seen: Counter[str] = Counter()
        self._arrived, self._answers, self._accepted = 0, 0, asyncio.Event()
        self._all_here = asyncio.Event()

    def client(self, **fields: Any) -> CloudClient:
        async def no_sleep(seconds: float) -> None:
            await asyncio.sleep(0)

        region = {"wedata": "ap-singapore", "dms": ""}[self.service]
        clock = fields.pop("clock", lambda: SERVER_TIME)
        settings = ClientSettings.from_fields(
            self.service,  # type: ignore[arg-type]
            {"login": "AKIDbase", "password": "base-secret", "region": region, **fields},
        )
        transport = httpx.MockTransport(self.answer)
        return client_class(settings)(settings, pacer=FreePacer(), sleep=no_sleep, transport=transport, clock=clock)

    async def answer(self, request: httpx.Request) -> httpx.Response:
        if "AssumeRole" in (request.headers.get("x-tc-action", ""), request.headers.get("x-acs-action", "")):
            return self._assume_role()
        self._arrived += 1
        first = self._arrived
        if first == IN_FLIGHT:
            self.ended |= {"token-1"}
            self._all_here.set()
        await self._all_here.wait()
        if self.late and 1 < first <= IN_FLIGHT:
            await self._accepted.wait()
        if first > IN_FLIGHT:
            await asyncio.sleep(0.005)  # the way there and back
        return self._judge(request)

    def _judge(self, request: httpx.Request) -> httpx.Response:
        token = request.headers.get("x-tc-token") or request.headers.get("x-acs-security-token", "")
        self.seen[token] += 1
        if abs(self._time(request) - self.clock) > 300:
            return self._error("AuthFailure.SignatureExpire", "InvalidTimeStamp.Expired")
        if token in self.ended or not self.fresh_key:
            return self._error("AuthFailure.TokenFailure", "InvalidSecurityToken.Expired")
        self._accepted.set()
        if self.service == "wedata":
            return self._json({"Response": {"Data": {"Status": True} if self._writes(request) else []}})
        return self._json({"Success": True, "Tenant": {"Tid": 1}})

    def _writes(self, request: httpx.Request) -> bool:
        return request.headers["x-tc-action"].startswith("Revoke")

    def _time(self, request: httpx.Request) -> float:
        if self.service == "wedata":
            return float(request.headers["x-tc-timestamp"])
        at = utc_seconds(request.headers["x-acs-date"])
        assert at is not None
        return at

    def _assume_role(self) -> httpx.Response:
        self.given += 1
        name = str(self.given)
        if self.service == "wedata":
            keys = {"TmpSecretId": f"AKID{name}", "TmpSecretKey": f"secret-{name}", "Token": f"token-{name}"}
            return self._json({"Response": {"Credentials": keys, "ExpiredTime": int(SERVER_TIME) + 7200}})
        keys = {"AccessKeyId": f"STS.{name}", "AccessKeySecret": f"secret-{name}", "SecurityToken": f"token-{name}"}
        return self._json({"Credentials": {**keys, "Expiration": "2030-01-01T00:00:00Z"}})

    def _error(self, tencent: str, alibaba: str) -> httpx.Response:
        if self.service == "wedata":
            return self._json({"Response": {"Error": {"Code": tencent, "Message": "m"}}})
        return self._json({"Code": alibaba, "Message": "m"}, 400)

    def _json(self, value: dict[str, Any], status: int = 200) -> httpx.Response:
        self._answers += 1
        value.get("Response", value)["RequestId"] = f"r{self._answers}"
        return httpx.Response(status, json=value, headers={"date": formatdate(self.clock, usegmt=True)})


async def sent(client: CloudClient, service: str, write: bool) -> Counter[str]:
    """What became of many requests at once. A write that was not executed is sent again, as its sender would."""

    async def one() -> str:
        if not write:
            await client.read(READS[service])  # type: ignore[arg-type]
            return "done"
        for _ in range(4):
            try:
                await client.dispatch(client.prepare(WRITES[service]))
            except TransientError as error:
                assert "not executed" in str(error)
            else:
                return "done"
        return "open"

    results = await asyncio.gather(*(one() for _ in range(IN_FLIGHT)), return_exceptions=True)
    return Counter(each if isinstance(each, str) else type(each).__name__ for each in results)


@SERVICES
@KINDS
@PACES
def test_a_key_that_ends_in_flight_fails_no_request(service: str, write: bool, late: bool) -> None:
    async def run() -> None:
        vendor = Vendor(service, late=late)
        assert await sent(vendor.client(role_arn=ROLES[service]), service, write) == {"done": IN_FLIGHT}
        assert vendor.seen == {"token-1": IN_FLIGHT, "token-2": IN_FLIGHT}
        assert vendor.given == 2, "one new key for all of them"

    asyncio.run(run())


@SERVICES
@KINDS
@PACES
@pytest.mark.parametrize("wrong_by", [-4000.0, 4000.0])
def test_a_clock_found_wrong_in_flight_fails_no_request(service: str, write: bool, late: bool, wrong_by: float) -> None:
    async def run() -> None:
        vendor = Vendor(service, late=late)
        client = vendor.client(clock=lambda: SERVER_TIME + wrong_by)
        assert await sent(client, service, write) == {"done": IN_FLIGHT}
        assert vendor.seen == {"": 2 * IN_FLIGHT}

    asyncio.run(run())


@SERVICES
@KINDS
def test_a_fresh_key_that_is_refused_too_is_not_replaced_without_end(service: str, write: bool) -> None:
    """It ends nothing as refused by the vendor: the error says that nothing was executed."""

    async def run() -> None:
        vendor = Vendor(service)
        vendor.fresh_key = False
        assert await sent(vendor.client(role_arn=ROLES[service]), service, write) == {
            ExpiredSignatureError.__name__: IN_FLIGHT
        }
        assert vendor.given == 2
        assert vendor.seen.total() == 2 * IN_FLIGHT

    asyncio.run(run())


@SERVICES
@KINDS
def test_a_clock_that_stays_refused_is_not_tried_without_end(service: str, write: bool) -> None:
    async def run() -> None:
        vendor = Vendor(service, clock=SERVER_TIME - 86_400 * 3)  # too far off to follow
        assert await sent(vendor.client(), service, write) == {ExpiredSignatureError.__name__: IN_FLIGHT}
        assert vendor.seen.total() == IN_FLIGHT

    asyncio.run(run())


def test_keys_that_end_every_few_requests_are_each_replaced() -> None:
    """Five keys one after another: each gets its own replacement, however many requests it had in flight."""

    async def run() -> None:
        vendor = Vendor("wedata")
        client = vendor.client(role_arn=ROLES["wedata"])
        for round_ in range(1, 6):
            vendor.ended |= {f"token-{round_}"}
            assert await sent(client, "wedata", True) == {"done": IN_FLIGHT}
        assert vendor.given == 6

    asyncio.run(run())


@pytest.mark.parametrize(
    ("tencent_code", "alibaba_code", "remedy"),
    [
        ("AuthFailure.TokenFailure", "InvalidSecurityToken.Expired", "new key and token"),
        ("AuthFailure.SignatureExpire", "InvalidTimeStamp.Expired", "clock of this machine"),
    ],
)
def test_what_cannot_be_renewed_names_its_remedy(
    client: Callable[..., CloudClient],
    tencent: Callable[..., httpx.Response],
    alibaba: Callable[..., httpx.Response],
    tencent_code: str,
    alibaba_code: str,
    remedy: str,
) -> None:
    answers: dict[str, Callable[[httpx.Request], httpx.Response]] = {
        "wedata": lambda _: tencent(Error={"Code": tencent_code, "Message": json.dumps("m")}),
        "dms": lambda _: alibaba(400, Code=alibaba_code, Message="m"),
    }
    for service, network in answers.items():
        speaker = client(network, service, session_token="canary-token-0001")
        with pytest.raises(ExpiredSignatureError, match=f"{remedy}.*Not executed"):
            asyncio.run(speaker.dispatch(speaker.prepare(WRITES[service])))
