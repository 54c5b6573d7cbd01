"""From a connection's settings to keys on the wire; and what a missing key means for a write."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from rescind.cloud.clients import WeDataClient, client_class
from rescind.cloud.connection.settings import ClientSettings
from rescind.cloud.credentials import (
    AlibabaInstanceSource,
    AssumedRoleSource,
    Credentials,
    CredentialSource,
    CredentialsUnavailableError,
    EnvironmentSource,
    OidcSource,
    Sources,
    StaticSource,
    TencentInstanceSource,
)
from rescind.cloud.wedata.data_sources import FromProject, RevokeDataSourceAuthorization
from rescind.cloud.wedata.inventory import ListTenantRoles
from rescind.errors import (
    BlastRadiusExceededError,
    ConfigurationError,
    LedgerError,
    RefusedError,
    ThrottledError,
    TransientError,
    UnauthorizedError,
)
from tests.support.ledger.pacing import FreePacer

Make = Callable[..., httpx.Response]
WRITE = RevokeDataSourceAuthorization(DataSourceId="65377", target=FromProject(project_id="29", whole_project=True))


async def nobody(request: Any, source: CredentialSource) -> Any:
    raise AssertionError("no token service here")


def made(service: str, **fields: Any) -> CredentialSource:
    region = {"wedata": "ap-singapore", "dms": "", "quickbi": "cn-hangzhou"}[service]
    settings = ClientSettings.from_fields(service, {"region": region, **fields})  # type: ignore[arg-type]
    return Sources(settings, nobody).make()


@pytest.mark.parametrize(
    ("fields", "tencent", "alibaba"),
    [
        ({"login": "a", "password": "b"}, StaticSource, StaticSource),
        ({"credentials": "environment"}, EnvironmentSource, EnvironmentSource),
        ({"credentials": "instance_role"}, TencentInstanceSource, AlibabaInstanceSource),
        ({"credentials": "oidc"}, OidcSource, OidcSource),
    ],
)
def test_each_setting_has_its_source_and_any_takes_a_role(fields: dict[str, Any], tencent: type, alibaba: type) -> None:
    for service, kind in (("wedata", tencent), ("dms", alibaba), ("quickbi", alibaba)):
        assert type(made(service, **fields)) is kind
        chained = made(service, **fields, role_arn="arn:of:a:role")
        assert type(chained) is AssumedRoleSource
        assert type(chained._base) is kind


def test_an_instance_role_expires_in_the_middle_of_a_run(tencent: Make) -> None:
    """Three reads over three hours: the key is asked for twice, and every read is signed with a living one."""
    now, metadata_asked, used = [1000.0], [], []

    def metadata(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/"):
            return httpx.Response(200, stream=httpx.ByteStream(b"AuditRole"))
        metadata_asked.append(now[0])
        number = len(metadata_asked)
        facts = {"Code": "Success", "TmpSecretId": f"AKID{number}", "TmpSecretKey": f"s{number}", "Token": f"t{number}",
                 "ExpiredTime": int(now[0]) + 7200}  # fmt: skip
        return httpx.Response(200, stream=httpx.ByteStream(json.dumps(facts).encode()))

    def network(request: httpx.Request) -> httpx.Response:
        used.append(request.headers["x-tc-token"])
        return tencent(Data=[])

    settings = ClientSettings.from_fields("wedata", {"credentials": "instance_role", "region": "ap-singapore"})
    told: list[str] = []
    client = client_class(settings)(
        settings, pacer=FreePacer(), transport=httpx.MockTransport(network), clock=lambda: now[0]
    )
    options = {"transport": httpx.MockTransport(metadata)}
    client._source = Sources(settings, client._ask, client._clock, told.append, metadata=options).make()

    async def run() -> None:
        for now[0] in (1000.0, 4600.0, 8000.0):
            await asyncio.gather(*(client.read(ListTenantRoles()) for _ in range(5)))

    asyncio.run(run())
    assert metadata_asked == [1000.0, 8000.0]
    assert used == ["t1"] * 10 + ["t2"] * 5
    assert told == ["s1", "t1", "s2", "t2"]


class Broken:
    """A source that has no key."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    async def current(self) -> Credentials:
        raise self.error

    def holds(self, used: Credentials) -> bool:
        return True

    def invalidate(self, used: Credentials) -> bool:
        return False


FACTS: dict[str, Any] = {"vendor": "tencent", "action": "AssumeRole"}


@pytest.mark.parametrize(
    "error",
    [
        ConfigurationError("credentials: no"),
        UnauthorizedError("no", **FACTS),
        RefusedError("no", **FACTS),
        TransientError("no", **FACTS),
        ThrottledError("no", retry_after=7.0, **FACTS),
    ],
)
def test_a_write_without_a_key_was_not_sent_and_stays_open(
    settings: Callable[..., ClientSettings], error: Exception
) -> None:
    """``RefusedError`` or ``UnauthorizedError`` out of dispatch would close the items of the call as refused."""
    client = WeDataClient(
        settings(),
        pacer=FreePacer(),
        credentials=Broken(error),
        transport=httpx.MockTransport(lambda request: pytest.fail("something was sent")),
    )
    with pytest.raises(
        CredentialsUnavailableError, match=r"RevokeDataSourceAuthorization: no key.*nothing was sent"
    ) as caught:
        asyncio.run(client.dispatch(client.prepare(WRITE)))
    assert caught.value.retry_after == getattr(error, "retry_after", None)
    assert caught.value.__context__ is None
    if not isinstance(error, TransientError | ThrottledError):
        with pytest.raises(type(error)):
            asyncio.run(client.read(ListTenantRoles()))


@pytest.mark.parametrize("error", [LedgerError("no ledger"), BlastRadiusExceededError("guard")])
def test_other_errors_keep_their_meaning(settings: Callable[..., ClientSettings], error: Exception) -> None:
    client = WeDataClient(
        settings(), credentials=Broken(error), transport=httpx.MockTransport(lambda r: pytest.fail("x"))
    )
    with pytest.raises(type(error)):
        asyncio.run(client.dispatch(client.prepare(WRITE)))


def test_the_environment_may_change_between_two_requests(
    monkeypatch: pytest.MonkeyPatch, client: Callable[..., Any], tencent: Make
) -> None:
    used = []

    def network(request: httpx.Request) -> httpx.Response:
        used.append(request.headers["authorization"].split("/")[0])
        return tencent(Data=[])

    told: list[str] = []
    speaker = client(network, credentials="environment", login="", password="", on_secret=told.append)
    for name in ("one", "two"):
        monkeypatch.setenv("TENCENTCLOUD_SECRET_ID", f"AKID{name}")
        monkeypatch.setenv("TENCENTCLOUD_SECRET_KEY", f"secret-{name}")
        asyncio.run(speaker.read(ListTenantRoles()))
    assert used == ["TC3-HMAC-SHA256 Credential=AKIDone", "TC3-HMAC-SHA256 Credential=AKIDtwo"]
    assert told == ["secret-one", "secret-two"]
    monkeypatch.delenv("TENCENTCLOUD_SECRET_ID")
    with pytest.raises(ConfigurationError, match="TENCENTCLOUD_SECRET_ID"):
        asyncio.run(speaker.read(ListTenantRoles()))
