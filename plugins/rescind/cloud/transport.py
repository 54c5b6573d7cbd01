"""One exchange of bytes with a vendor: bounded in time, size and trust.

* A total deadline for each request: httpx's own timeouts are per operation, and one byte every few seconds
  would never exceed them.
* The body is read in pieces and counted, before and after decompression.
* No redirects, no proxies or certificates from the environment, TLS 1.2 or later with verification, always. A proxy
  and authorities that the connection names are used; requests then go through a tunnel.
* Faults say whether the request may have left this machine; they carry no address, header or body.
"""

from __future__ import annotations

import asyncio
import logging
import re
import ssl
import zlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpx

from rescind.cloud.base import Prepared
from rescind.cloud.connection.trust import tls_context
from rescind.cloud.connection.way import Way

# httpx logs whole URLs at INFO, and the parameters of Alibaba's calls are in the URL.
for _name in ("httpx", "httpcore"):
    logging.getLogger(_name).setLevel(max(logging.WARNING, logging.getLogger(_name).level))

_KEEP_ALIVE_S = 15.0
_KEPT_HEADERS = ("date", "retry-after", "x-acs-retry-after", "content-type", "x-acs-request-id")


class TransportError(Exception):
    """No usable answer arrived.

    :param sent: True when the request may have reached the vendor.
    """

    def __init__(self, reason: str, *, sent: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.sent = sent


@dataclass(frozen=True, slots=True)
class Raw:
    """An answer as bytes. ``headers`` holds only what is looked at."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    sent_at: datetime
    answered_at: datetime


class _Progress:
    """Follows one request through the connection pool."""

    def __init__(self) -> None:
        self.traced = False
        self.sent = False

    async def __call__(self, event: str, info: Mapping[str, Any]) -> None:
        self.traced = True
        if "send_request_headers.started" in event and not _opens_tunnel(info):
            self.sent = True

    @property
    def maybe_sent(self) -> bool:
        """True unless the trace shows that not one byte of the request was written."""
        return self.sent or not self.traced


def _opens_tunnel(info: Mapping[str, Any]) -> bool:
    """Whether a traced request is the one to the proxy. It holds the vendor's host and port, nothing of the call."""
    return getattr(info.get("request"), "method", b"") == b"CONNECT"


class Transport:
    """Sends prepared, signed requests.

    :param transport: replaces the network in tests.
    """

    def __init__(self, settings: Way, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._settings = settings
        self._client = httpx.AsyncClient(
            transport=transport,
            verify=tls_context(settings.ca_bundle or ""),
            proxy=_proxy(settings) if transport is None else None,
            trust_env=False,
            follow_redirects=False,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),  # no cookies between requests
            timeout=httpx.Timeout(
                settings.timeout_s, connect=settings.connect_timeout_s, pool=settings.connect_timeout_s
            ),
            limits=httpx.Limits(
                max_connections=settings.pool_size,
                max_keepalive_connections=settings.pool_size,
                keepalive_expiry=_KEEP_ALIVE_S,
            ),
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def warm(self, base: str, connections: int) -> int:
        """Open connections to a host; returns how many answered. An unsigned ``HEAD /`` does nothing there."""

        async def knock() -> bool:
            try:
                async with asyncio.timeout(self._settings.connect_timeout_s):
                    await self._client.head(f"{base}/", headers={"accept-encoding": "identity"})
            except (httpx.HTTPError, TimeoutError, OSError):
                return False
            return True

        return sum(await asyncio.gather(*(knock() for _ in range(min(connections, self._settings.pool_size)))))

    async def send(self, prepared: Prepared[Any], auth: httpx.Auth) -> Raw:
        """Sign and send once.

        :raises TransportError: when no complete answer arrived.
        """
        return await self.exchange(prepared.method, prepared.url, prepared.headers, prepared.body, auth)

    async def exchange(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, auth: httpx.Auth | None = None
    ) -> Raw:
        """Send bytes once and return the answer, whatever its status.

        :raises TransportError: when no complete answer arrived.
        """
        progress = _Progress()
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                request = self._client.build_request(
                    method, url, headers=dict(headers), content=body, extensions={"trace": progress}
                )
                return await self._answer(request, auth)
        except TimeoutError:
            fault = TransportError(
                f"no complete answer within {self._settings.timeout_s:g} s", sent=progress.maybe_sent
            )
        except TransportError as error:
            fault = error
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol) as error:
            fault = TransportError(f"no connection ({type(error).__name__}{_tls_hint(error)})", sent=False)
        except httpx.ProxyError as error:
            fault = TransportError(f"the proxy opens no tunnel ({_proxy_status(error)})", sent=progress.maybe_sent)
        except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, ssl.SSLError, OSError) as error:
            fault = TransportError(f"the exchange broke off ({type(error).__name__})", sent=progress.maybe_sent)
        # Raised out here, so that no httpx error with its request and headers hangs on as context.
        raise fault

    async def _answer(self, request: httpx.Request, auth: httpx.Auth | None) -> Raw:
        sent_at = datetime.now(UTC)
        response = await self._client.send(request, auth=auth, stream=True)
        try:
            body = await self._body(response)
        finally:
            await response.aclose()
        headers = {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers}
        return Raw(response.status_code, headers, body, sent_at, datetime.now(UTC))

    async def _body(self, response: httpx.Response) -> bytes:
        if response.is_stream_consumed:  # only answers made in tests arrive read
            return self._bounded(response.content)
        encoding = response.headers.get("content-encoding", "identity").strip().lower()
        if encoding in ("", "identity"):
            return await self._collect(response.aiter_raw())
        if encoding in ("gzip", "x-gzip", "deflate"):
            return await self._inflate(response.aiter_raw())
        raise TransportError("the answer has an encoding that was not asked for", sent=True)

    def _bounded(self, body: bytes) -> bytes:
        if len(body) > self._settings.max_response_bytes:
            raise TransportError(f"the answer is over {self._settings.max_response_bytes} bytes", sent=True)
        return body

    async def _collect(self, chunks: AsyncIterator[bytes]) -> bytes:
        body = bytearray()
        async for chunk in chunks:
            body += chunk
            if len(body) > self._settings.max_response_bytes:
                raise TransportError(f"the answer is over {self._settings.max_response_bytes} bytes", sent=True)
        return bytes(body)

    async def _inflate(self, chunks: AsyncIterator[bytes]) -> bytes:
        limit = self._settings.max_response_bytes
        raw = 0
        body = bytearray()
        inflater = zlib.decompressobj(wbits=47)
        try:
            async for chunk in chunks:
                raw += len(chunk)
                body += inflater.decompress(chunk, limit - len(body) + 1)
                if raw > limit or len(body) > limit:
                    raise TransportError(f"the answer is over {limit} bytes", sent=True)
        except zlib.error:
            broken = True
        else:
            broken = not inflater.eof
        if broken:
            raise TransportError("the answer's compression is broken", sent=True)
        return bytes(body)


def _proxy(settings: Way) -> httpx.Proxy | None:
    """The proxy of the connection, which is the only one that is ever used."""
    if not settings.proxy:
        return None
    secret = settings.proxy_password.get_secret_value() if settings.proxy_password else ""
    auth = (settings.proxy_login, secret) if settings.proxy_login else None
    trusted = tls_context(settings.ca_bundle or "") if settings.proxy.startswith("https") else None
    return httpx.Proxy(settings.proxy, auth=auth, ssl_context=trusted)


def _proxy_status(error: Exception) -> str:
    """What the proxy answered, without its own words."""
    status = re.match(r"[1-5][0-9][0-9]\b", str(error))
    hint = {"407": ": it wants proxy_login and proxy_password", "403": ": it does not allow this host"}
    return f"HTTP {status[0]}{hint.get(status[0], '')}" if status else type(error).__name__


def _tls_hint(error: Exception) -> str:
    if "CERTIFICATE" not in str(error).upper():
        return ""
    return ", TLS certificate not accepted: if a private authority has signed it, name its file in 'ca_bundle'"
