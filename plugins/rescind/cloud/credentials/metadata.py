"""Keys of the role that is attached to the machine this runs on, from its metadata service.

Sources: Tencent's SDK (``CVMRoleCredential``) and Alibaba's credentials library and ECS pages. Both libraries
are left aside here: Tencent's sets no timeout and swallows every error, Alibaba's starts a scheduler thread and
signal handlers, and falls back to the unprotected version of the service without a word.

The addresses are fixed. Only the tests give another one, and only on loopback. Requests follow no redirect, use
no proxy (a proxy would be handed the keys, and has another machine's role), and end within a few seconds.
Metadata travels without TLS by its nature; a connection that pins ``account_id`` notices keys of a stranger.
"""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Mapping
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, ClassVar

import httpx

from rescind.cloud.answers.strict_json import JsonError, loads
from rescind.cloud.connection import hosts
from rescind.cloud.credentials.base import (
    Clock,
    Credentials,
    CredentialsUnavailableError,
    OnSecret,
    RenewingSource,
    keep_silent,
)
from rescind.cloud.credentials.roles import utc_seconds
from rescind.errors import ConfigurationError

REQUEST_SECONDS = 2.0
"""Longest wait for one answer; the service is on the same host, and the vendors' libraries wait 1 s."""
_MOST_BYTES = 64 * 1024
_ROLE = re.compile(r"[A-Za-z0-9+=,.@_-]{1,128}")
_TOKEN_SECONDS = 21600


class _InstanceRoleSource(RenewingSource):
    """What both vendors' metadata services have in common.

    :param role: name of the attached role; asked from the service when empty.
    :param base: another address, on loopback, for tests.
    :param transport: replaces the network in tests.
    :param seconds: longest wait for one answer.
    """

    label: ClassVar[str] = "instance metadata"
    address: ClassVar[str]
    path: ClassVar[str]
    machine: ClassVar[str]

    def __init__(
        self,
        vendor: str,
        role: str = "",
        *,
        base: str = "",
        transport: httpx.AsyncBaseTransport | None = None,
        seconds: float = REQUEST_SECONDS,
        clock: Clock = time.time,
        on_secret: OnSecret = keep_silent,
    ) -> None:
        super().__init__(vendor, clock=clock, on_secret=on_secret)
        self._role = role
        self._base = hosts.loopback_endpoint(base, True).base if base else self.address
        self._transport = transport
        self._seconds = seconds

    async def _fetch(self) -> Credentials:
        async with httpx.AsyncClient(
            transport=self._transport,
            trust_env=False,
            follow_redirects=False,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
            timeout=httpx.Timeout(self._seconds),
        ) as http:
            headers = await self._headers(http)
            role = self._role or self._name(await self._get(http, self.path, headers))
            body = await self._get(http, self.path + role, headers)
        return self._read(self._object(body))

    async def _headers(self, http: httpx.AsyncClient) -> dict[str, str]:
        """Headers of every read."""
        return {}

    def _read(self, facts: Mapping[str, Any]) -> Credentials:
        raise NotImplementedError

    async def _get(self, http: httpx.AsyncClient, path: str, headers: Mapping[str, str]) -> bytes:
        status, body = await self._exchange(http, "GET", path, headers)
        if status == 404:
            named = f"the role {self._role!r}" if self._role else "a role"
            raise ConfigurationError(
                f"credentials: the metadata service of this {self.machine} does not know {named} (HTTP 404). "
                f"Attach a role to the {self.machine}, or correct instance_role_name in the connection"
            )
        if status in (401, 403):
            raise ConfigurationError(
                f"credentials: the metadata service of this {self.machine} refuses (HTTP {status}). "
                "Check its metadata settings (enabled, version, hop limit for containers)"
            )
        if status != 200:
            raise self.unavailable(f"the metadata service answers HTTP {status}", http_status=status)
        return body

    async def _exchange(
        self, http: httpx.AsyncClient, method: str, path: str, headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        """Status and body of one bounded request."""
        problem = ""
        try:
            async with asyncio.timeout(self._seconds), self._stream(http, method, path, headers) as response:
                body = bytearray()
                async for chunk in response.aiter_raw():
                    body += chunk
                    if len(body) > _MOST_BYTES:
                        raise self.unavailable(f"the metadata service sends more than {_MOST_BYTES} bytes")
                return response.status_code, bytes(body)
        except TimeoutError:
            problem = f"the metadata service gives no complete answer within {self._seconds:g} s"
        except (httpx.HTTPError, httpx.StreamError, OSError) as error:
            problem = f"the metadata service cannot be reached ({type(error).__name__})"
        raise self.unavailable(problem)  # out here, so that no request with its headers hangs on as context

    def _stream(self, http: httpx.AsyncClient, method: str, path: str, headers: Mapping[str, str]) -> Any:
        return http.stream(
            method, f"{self._base}{path}", headers={"accept": "*/*", "accept-encoding": "identity", **headers}
        )

    def _name(self, body: bytes) -> str:
        name = body.decode("ascii", "replace").strip()
        if not _ROLE.fullmatch(name):
            raise self.unavailable("where the role's name belongs, the metadata service sends something else")
        return name

    def _object(self, body: bytes) -> Mapping[str, Any]:
        try:
            facts = loads(body, max_entries=1000)
        except JsonError as error:
            broken: CredentialsUnavailableError | None = self.unavailable(f"the metadata service's answer is {error}")
        else:
            broken = None if isinstance(facts, dict) else self.unavailable("the metadata service sends no object")
        if broken is not None:
            raise broken
        code = facts.get("Code")
        if code != "Success":
            said = code if isinstance(code, str) and _ROLE.fullmatch(code) else "something unreadable"
            raise self.unavailable(f"the metadata service says {said} instead of Success")
        return dict(facts)

    def _text(self, facts: Mapping[str, Any], name: str) -> str:
        value = facts.get(name)
        if not isinstance(value, str) or not value:
            raise self.unavailable(f"the metadata service's answer has no {name}")
        return value


class TencentInstanceSource(_InstanceRoleSource):
    """The CAM role of a Tencent CVM or a node of TKE."""

    address: ClassVar[str] = "http://metadata.tencentyun.com"
    path: ClassVar[str] = "/latest/meta-data/cam/security-credentials/"
    machine: ClassVar[str] = "CVM"
    remedy: ClassVar[str] = (
        "credentials 'instance_role' works only on a Tencent CVM with a role; check that the worker runs on one"
    )

    def __init__(self, role: str = "", **options: Any) -> None:
        super().__init__("tencent", role, **options)

    def _read(self, facts: Mapping[str, Any]) -> Credentials:
        end = facts.get("ExpiredTime")
        if isinstance(end, bool) or not isinstance(end, int):
            raise self.unavailable("the metadata service's answer has no ExpiredTime in Unix seconds")
        return Credentials(
            self._text(facts, "TmpSecretId"), self._text(facts, "TmpSecretKey"), self._text(facts, "Token"), float(end)
        )


class AlibabaInstanceSource(_InstanceRoleSource):
    """The RAM role of an Alibaba ECS instance, through the protected version of its metadata service (v2).

    Version 1 answers any request that reaches it, also one that a web application was tricked into sending;
    version 2 wants a token first. There is no fallback to 1 unless it is allowed.

    The variables ``ALIBABA_CLOUD_ECS_METADATA_DISABLED`` and ``ALIBABA_CLOUD_IMDSV1_DISABLED`` of the worker forbid
    the service, or version 1 of it, whatever a connection says.

    :param allow_v1: read without a token when the service gives none.
    :param environ: the environment, read at every use.
    """

    address: ClassVar[str] = "http://100.100.100.200"
    path: ClassVar[str] = "/latest/meta-data/ram/security-credentials/"
    machine: ClassVar[str] = "ECS instance"
    remedy: ClassVar[str] = (
        "credentials 'instance_role' works only on an Alibaba ECS instance with a role; "
        "check that the worker runs on one"
    )

    def __init__(
        self, role: str = "", *, allow_v1: bool = False, environ: Mapping[str, str] | None = None, **options: Any
    ) -> None:
        super().__init__("alibaba", role, **options)
        self._allow_v1 = allow_v1
        self._environ = os.environ if environ is None else environ

    def _forbidden(self, variable: str) -> bool:
        return self._environ.get(variable, "").strip().lower() == "true"

    async def _headers(self, http: httpx.AsyncClient) -> dict[str, str]:
        if self._forbidden("ALIBABA_CLOUD_ECS_METADATA_DISABLED"):
            raise ConfigurationError(
                "credentials: ALIBABA_CLOUD_ECS_METADATA_DISABLED forbids the metadata service on this worker. "
                "Choose other credentials in the connection, or unset the variable"
            )
        ttl = {"x-aliyun-ecs-metadata-token-ttl-seconds": str(_TOKEN_SECONDS), "content-length": "0"}
        status, body = await self._exchange(http, "PUT", "/latest/api/token", ttl)
        token = body.decode("ascii", "replace").strip()
        if status == 200 and re.fullmatch(r"[!-~]{8,1024}", token):
            return {"x-aliyun-ecs-metadata-token": token}
        if status in (403, 404, 405) and self._allow_v1 and not self._forbidden("ALIBABA_CLOUD_IMDSV1_DISABLED"):
            return {}
        if status in (403, 404, 405):
            raise ConfigurationError(
                f"credentials: the metadata service of this ECS instance gives no token (HTTP {status}). "
                "Switch its security hardening mode (version 2) on, or set allow_imds_v1 in the connection"
            )
        raise self.unavailable(f"the metadata service gives no token (HTTP {status})", http_status=status)

    def _read(self, facts: Mapping[str, Any]) -> Credentials:
        end = utc_seconds(self._text(facts, "Expiration"))
        if end is None:
            raise self.unavailable("the metadata service's Expiration is not a time")
        return Credentials(
            self._text(facts, "AccessKeyId"),
            self._text(facts, "AccessKeySecret"),
            self._text(facts, "SecurityToken"),
            end,
        )
