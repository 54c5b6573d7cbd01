"""Keys from metadata services: addresses, tokens, and every way in which such a service can answer badly."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from rescind.cloud.credentials import AlibabaInstanceSource, CredentialsUnavailableError, TencentInstanceSource
from rescind.errors import ConfigurationError, RescindError

NOW = 1_767_323_045.0
TENCENT = {
    "TmpSecretId": "AKIDmeta", "TmpSecretKey": "canary-meta-secret", "Token": "canary-meta-token",
    "ExpiredTime": int(NOW) + 7200, "Expiration": "2026-01-02T05:04:05Z", "Code": "Success",
}  # fmt: skip
ALIBABA = {
    "AccessKeyId": "STS.meta", "AccessKeySecret": "canary-meta-secret", "SecurityToken": "canary-meta-token",
    "Expiration": "2026-01-02T09:04:05Z", "LastUpdated": "2026-01-02T03:04:05Z", "Code": "Success",
}  # fmt: skip
TOKEN_PATH = "/latest/api/token"
Serve = Callable[..., contextlib.AbstractAsyncContextManager[int]]


class Service:
    """A metadata service: answers by (method, path); keeps the requests."""

    def __init__(self, vendor: str, **over: Any) -> None:
        self.asked: list[httpx.Request] = []
        folder = {"tencent": "cam", "alibaba": "ram"}[vendor]
        base = f"/latest/meta-data/{folder}/security-credentials/"
        facts = TENCENT if vendor == "tencent" else ALIBABA
        self.answers: dict[str, Any] = {
            f"PUT {TOKEN_PATH}": "metadata-token-1",
            f"GET {base}": "AuditRole",
            f"GET {base}AuditRole": facts,
            **{name.replace("BASE", base): answer for name, answer in over.items()},
        }

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        answer = self.answers.get(f"{request.method} {request.url.path}", 404)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, int):
            answer = httpx.Response(answer, text="<html>canary-page</html>")
        if not isinstance(answer, httpx.Response):
            answer = httpx.Response(200, text=answer if isinstance(answer, str) else json.dumps(answer))
        return httpx.Response(answer.status_code, headers=answer.headers, stream=httpx.ByteStream(answer.content))

    @property
    def paths(self) -> list[str]:
        return [f"{request.method} {request.url}" for request in self.asked]


def made(vendor: str, service: Service, **options: Any) -> TencentInstanceSource | AlibabaInstanceSource:
    kind = TencentInstanceSource if vendor == "tencent" else AlibabaInstanceSource
    if vendor == "alibaba":
        options = {"environ": {}, **options}
    return kind(**{"transport": httpx.MockTransport(service), "clock": lambda: NOW, **options})


def test_tencent() -> None:
    service, told = Service("tencent"), []
    found = asyncio.run(made("tencent", service, on_secret=told.append).current())
    assert (found.key_id, found.secret, found.token) == ("AKIDmeta", "canary-meta-secret", "canary-meta-token")
    assert found.expires_at == NOW + 7200
    assert told == ["canary-meta-secret", "canary-meta-token"]
    base = "http://metadata.tencentyun.com/latest/meta-data/cam/security-credentials/"
    assert service.paths == [f"GET {base}", f"GET {base}AuditRole"]


def test_alibaba_asks_for_a_token_first() -> None:
    service = Service("alibaba")
    found = asyncio.run(made("alibaba", service).current())
    assert (found.key_id, found.expires_at) == ("STS.meta", NOW + 6 * 3600)
    base = "http://100.100.100.200/latest/"
    assert service.paths == [
        f"PUT {base}api/token",
        f"GET {base}meta-data/ram/security-credentials/",
        f"GET {base}meta-data/ram/security-credentials/AuditRole",
    ]
    assert service.asked[0].headers["x-aliyun-ecs-metadata-token-ttl-seconds"] == "21600"
    assert {request.headers["x-aliyun-ecs-metadata-token"] for request in service.asked[1:]} == {"metadata-token-1"}


@pytest.mark.parametrize("vendor", ["tencent", "alibaba"])
def test_a_named_role_is_not_asked_for(vendor: str) -> None:
    service = Service(vendor)
    asyncio.run(made(vendor, service, role="AuditRole").current())
    assert not [path for path in service.paths if path.endswith("/security-credentials/")]


@pytest.mark.parametrize("status", [403, 404, 405])
def test_no_fallback_to_version_1_unless_allowed(status: int) -> None:
    service = Service("alibaba", **{f"PUT {TOKEN_PATH}": status})
    with pytest.raises(ConfigurationError, match="allow_imds_v1"):
        asyncio.run(made("alibaba", service).current())
    assert len(service.asked) == 1
    assert asyncio.run(made("alibaba", service, allow_v1=True).current()).key_id == "STS.meta"
    assert "x-aliyun-ecs-metadata-token" not in service.asked[-1].headers
    with pytest.raises(ConfigurationError, match="allow_imds_v1"):
        asyncio.run(
            made("alibaba", service, allow_v1=True, environ={"ALIBABA_CLOUD_IMDSV1_DISABLED": "true"}).current()
        )


@pytest.mark.parametrize("broken", [500, httpx.ConnectTimeout("x"), httpx.Response(200, text="x y"), "short"])
def test_a_fault_is_never_a_reason_for_version_1(broken: Any) -> None:
    """Only a service that says it has no tokens is read without one; a passing fault is not such a word."""
    service = Service("alibaba", **{f"PUT {TOKEN_PATH}": broken})
    with pytest.raises(CredentialsUnavailableError):
        asyncio.run(made("alibaba", service, allow_v1=True).current())
    assert {request.method for request in service.asked} == {"PUT"}


def test_the_worker_can_forbid_the_service() -> None:
    environ: dict[str, str] = {}
    service = Service("alibaba")
    keys = made("alibaba", service, environ=environ, clock=lambda: NOW + 6 * 3600 - 700)
    environ["ALIBABA_CLOUD_ECS_METADATA_DISABLED"] = "TRUE"
    with pytest.raises(ConfigurationError, match="ALIBABA_CLOUD_ECS_METADATA_DISABLED"):
        asyncio.run(keys.current())
    assert service.asked == []
    environ.clear()
    assert asyncio.run(keys.current()).key_id == "STS.meta"


def without(facts: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in facts.items() if key != name}


BAD: list[tuple[str, dict[str, Any], type[RescindError], str]] = [
    *[
        (vendor, {f"GET BASE{role}": answer}, kind, words)
        for vendor in ("tencent", "alibaba")
        for role, answer, kind, words in (
            ("", "<html>Login</html>", CredentialsUnavailableError, "something else"),
            ("", "two\nroles", CredentialsUnavailableError, "something else"),
            ("", "../../user-data", CredentialsUnavailableError, "something else"),
            ("", "", CredentialsUnavailableError, "something else"),
            ("", 404, ConfigurationError, "Attach a role"),
            ("", 403, ConfigurationError, "hop limit"),
            (
                "",
                httpx.Response(302, headers={"location": "http://10.0.0.1/"}),
                CredentialsUnavailableError,
                "HTTP 302",
            ),
            ("AuditRole", "<html>canary-page</html>", CredentialsUnavailableError, "not JSON"),
            ("AuditRole", [1], CredentialsUnavailableError, "no object"),
            ("AuditRole", {"Code": "Failed"}, CredentialsUnavailableError, "says Failed"),
            ("AuditRole", {"Code": {"a": 1}}, CredentialsUnavailableError, "unreadable"),
            ("AuditRole", {}, CredentialsUnavailableError, "instead of Success"),
            ("AuditRole", 500, CredentialsUnavailableError, "HTTP 500"),
            ("AuditRole", 429, CredentialsUnavailableError, "HTTP 429"),
            ("AuditRole", httpx.ReadTimeout("x"), CredentialsUnavailableError, "cannot be reached"),
            ("AuditRole", httpx.ConnectError("x"), CredentialsUnavailableError, "cannot be reached"),
            ("AuditRole", httpx.RemoteProtocolError("x"), CredentialsUnavailableError, "cannot be reached"),
            ("AuditRole", "[" * 70_000, CredentialsUnavailableError, "more than 65536 bytes"),
        )
    ],
    *[
        ("tencent", {"GET BASEAuditRole": facts}, CredentialsUnavailableError, words)
        for facts, words in (
            (without(TENCENT, "Token"), "no Token"),
            (without(TENCENT, "TmpSecretKey"), "no TmpSecretKey"),
            (without(TENCENT, "ExpiredTime"), "no ExpiredTime"),
            ({**TENCENT, "ExpiredTime": "soon"}, "no ExpiredTime"),
            ({**TENCENT, "ExpiredTime": True}, "no ExpiredTime"),
            ({**TENCENT, "ExpiredTime": int(NOW) - 5}, "expired already"),
            ({**TENCENT, "TmpSecretId": 7}, "no TmpSecretId"),
            ({**TENCENT, "Token": "two words"}, "the token holds blanks"),
        )
    ],
    *[
        ("alibaba", {"GET BASEAuditRole": facts}, CredentialsUnavailableError, words)
        for facts, words in (
            (without(ALIBABA, "SecurityToken"), "no SecurityToken"),
            (without(ALIBABA, "Expiration"), "no Expiration"),
            ({**ALIBABA, "Expiration": "tomorrow"}, "not a time"),
            ({**ALIBABA, "Expiration": "2025-01-02T03:04:05Z"}, "expired already"),
        )
    ],
]


@pytest.mark.parametrize(("vendor", "over", "kind", "words"), BAD)
def test_bad_answers_name_the_source_and_quote_nothing(
    vendor: str, over: dict[str, Any], kind: type[RescindError], words: str
) -> None:
    service = Service(vendor, **over)
    with pytest.raises(kind) as caught:
        asyncio.run(made(vendor, service).current())
    said = str(caught.value)
    assert words in said
    assert "metadata service" in said or "instance metadata" in said
    assert "canary" not in said + repr(vars(caught.value))
    assert caught.value.__cause__ is None
    hosts = {request.url.host for request in service.asked}
    assert hosts <= {"metadata.tencentyun.com", "100.100.100.200"}, "a redirect was followed"


def test_a_named_role_that_is_not_there() -> None:
    with pytest.raises(ConfigurationError, match=r"'Other'.*instance_role_name"):
        asyncio.run(made("tencent", Service("tencent"), role="Other").current())


def test_keys_are_renewed_in_the_middle_of_a_run_and_survive_a_short_outage() -> None:
    now, service = [NOW], Service("tencent")
    role = next(name for name in service.answers if name.endswith("AuditRole"))
    keys = made("tencent", service, clock=lambda: now[0])

    async def run() -> list[str]:
        seen = [(await keys.current()).key_id]
        now[0] += 6000
        seen.append((await keys.current()).key_id)
        now[0] += 700  # 500 s are left
        service.answers[role] = 500
        seen.append((await keys.current()).key_id)
        now[0] += 60
        service.answers[role] = {**TENCENT, "TmpSecretId": "AKIDnext", "ExpiredTime": int(now[0]) + 7200}
        found = await asyncio.gather(*(keys.current() for _ in range(10)))
        return seen + sorted({key.key_id for key in found})

    assert asyncio.run(run()) == ["AKIDmeta", "AKIDmeta", "AKIDmeta", "AKIDnext"]
    assert len([path for path in service.paths if path.endswith("AuditRole")]) == 3


def test_a_service_that_gives_the_old_key_again_is_not_asked_at_every_request() -> None:
    now, service = [NOW], Service("tencent")
    keys = made("tencent", service, role="AuditRole", clock=lambda: now[0])

    async def run() -> None:
        for step in range(600):
            now[0] = NOW + 6600 + step
            assert (await keys.current()).key_id == "AKIDmeta"

    asyncio.run(run())
    assert len(service.asked) < 12


def test_a_detached_role_stops_at_once() -> None:
    now, service = [NOW], Service("tencent")
    keys = made("tencent", service, clock=lambda: now[0])

    async def run() -> None:
        await keys.current()
        now[0] += 6700
        service.answers.clear()
        with pytest.raises(ConfigurationError, match="Attach a role"):
            await keys.current()

    asyncio.run(run())


@pytest.mark.parametrize(
    "base", ["http://10.0.0.1", "http://169.254.0.23", "https://evil.example", "http://127.0.0.1/x"]
)
def test_only_loopback_can_take_the_place_of_the_fixed_address(base: str) -> None:
    for kind in (TencentInstanceSource, AlibabaInstanceSource):
        with pytest.raises(ConfigurationError):
            kind(base=base)


def test_a_slow_service_ends_within_its_limit(raw_server: Serve) -> None:
    """One byte at a time would pass timeouts that are counted per read."""

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
        while True:
            writer.write(b"A")
            await writer.drain()
            await asyncio.sleep(0.05)

    async def run() -> float:
        async with raw_server(drip) as port:
            keys = TencentInstanceSource(base=f"http://127.0.0.1:{port}", seconds=0.3)
            started = time.monotonic()
            with pytest.raises(CredentialsUnavailableError, match=r"within 0.3 s"):
                await keys.current()
            return time.monotonic() - started

    assert asyncio.run(run()) < 2.0


def test_no_proxy_of_the_environment_sees_the_keys(raw_server: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    at_proxy: list[bytes] = []
    ends = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 7200))

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        at_proxy.append(await reader.readuntil(b"\r\n\r\n"))

    async def service(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[0]
        body = b"metadata-token-1"
        if line.startswith(b"GET"):
            body = json.dumps({**ALIBABA, "Expiration": ends}).encode() if b"AuditRole" in line else b"AuditRole\n"
        writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()

    async def run() -> str:
        async with raw_server(proxy) as proxy_port, raw_server(service) as port:
            for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
                monkeypatch.setenv(name, f"http://127.0.0.1:{proxy_port}")
            monkeypatch.setenv("no_proxy", "")
            monkeypatch.setenv("NO_PROXY", "")
            return (await AlibabaInstanceSource(base=f"http://127.0.0.1:{port}", environ={}).current()).key_id

    assert asyncio.run(run()) == "STS.meta"
    assert at_proxy == []
