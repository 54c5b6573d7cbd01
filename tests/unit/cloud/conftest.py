"""What the tests of the clients share: settings, clients on a fake network, and a raw local server."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest

from rescind.cloud.client import CloudClient
from rescind.cloud.clients import client_class
from rescind.cloud.connection.settings import ClientSettings
from tests.support.ledger.pacing import FreePacer

Handler = Callable[[httpx.Request], httpx.Response]
KEY, SECRET, TOKEN = "AKIDcanary0001", "canary-secret-0001", "canary-token-0001"

DEFAULTS: dict[str, dict[str, Any]] = {
    "wedata": {"region": "ap-singapore"},
    "dms": {},
    "quickbi": {"region": "cn-hangzhou"},
}


@pytest.fixture
def settings() -> Callable[..., ClientSettings]:
    def build(service: str = "wedata", **fields: Any) -> ClientSettings:
        return ClientSettings.from_fields(
            service,  # type: ignore[arg-type]
            {"login": KEY, "password": SECRET, **DEFAULTS[service], **fields},
        )

    return build


@pytest.fixture
def client(settings: Callable[..., ClientSettings]) -> Callable[..., CloudClient]:
    """A client whose network is a function; it never waits."""

    def build(handler: Handler, service: str = "wedata", **fields: Any) -> CloudClient:
        extras = {
            name: fields.pop(name) for name in ("pacer", "clock", "nonce", "sleep", "on_secret") if name in fields
        }

        async def no_sleep(seconds: float) -> None:
            return None

        chosen = settings(service, **fields)
        return client_class(chosen)(
            chosen,
            transport=httpx.MockTransport(handler),
            **{"pacer": FreePacer(), "sleep": no_sleep, **extras},
        )

    return build


@pytest.fixture
def tencent() -> Callable[..., httpx.Response]:
    """An answer in Tencent's envelope; each with its own request id."""
    numbers = itertools.count(1)

    def build(status: int = 200, headers: dict[str, str] | None = None, **payload: Any) -> httpx.Response:
        payload.setdefault("RequestId", f"tc-{next(numbers)}")
        return httpx.Response(status, json={"Response": payload}, headers=headers)

    return build


@pytest.fixture
def alibaba() -> Callable[..., httpx.Response]:
    """An answer in Alibaba's envelope; each with its own request id. ``Success`` defaults to true."""
    numbers = itertools.count(1)

    def build(status: int = 200, headers: dict[str, str] | None = None, **payload: Any) -> httpx.Response:
        payload.setdefault("RequestId", f"ali-{next(numbers)}")
        if "Code" not in payload:
            payload.setdefault("Success", True)
        return httpx.Response(status, json=payload, headers=headers)

    return build


Conversation = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture
def raw_server() -> Callable[..., contextlib.AbstractAsyncContextManager[int]]:
    """A server that says exactly what a test wants, byte by byte; yields its port."""

    @contextlib.asynccontextmanager
    async def serve(talk: Conversation, **options: Any) -> AsyncIterator[int]:
        async def guarded(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await talk(reader, writer)
            writer.close()

        server = await asyncio.start_server(guarded, "127.0.0.1", 0, **options)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()

    return serve


async def read_request(reader: asyncio.StreamReader) -> bytes:
    """One HTTP request with its body."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = 0
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            length = int(line.partition(b":")[2])
    return head + await reader.readexactly(length)


@pytest.fixture
def request_reader() -> Callable[[asyncio.StreamReader], Awaitable[bytes]]:
    return read_request
