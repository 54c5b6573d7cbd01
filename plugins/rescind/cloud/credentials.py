"""Keys, and where they come from. Nothing here ever shows a secret."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from rescind.cloud.base import ReadRequest
from rescind.cloud.sts_messages import (
    AlibabaAssumeRole,
    AlibabaAssumeRoleAnswer,
    TencentAssumeRole,
    TencentAssumeRoleAnswer,
)
from rescind.errors import CloudError, ConfigurationError, Malformed, Unauthorised

_VARIABLES: Mapping[str, tuple[str, str, str]] = {
    "tencent": ("TENCENTCLOUD_SECRET_ID", "TENCENTCLOUD_SECRET_KEY", "TENCENTCLOUD_TOKEN"),
    "alibaba": (
        "ALIBABA_CLOUD_ACCESS_KEY_ID",
        "ALIBABA_CLOUD_ACCESS_KEY_SECRET",
        "ALIBABA_CLOUD_SECURITY_TOKEN",
    ),
}
REFRESH_MARGIN = 600.0
"""Seconds before its end when a temporary key is replaced; longer than any signature's time window."""
LAST_MINUTE = 60.0
"""A temporary key that could not be replaced is used up to this many seconds before its end."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """A key, with a token when it is temporary.

    :param expires_at: Unix seconds, or None when it does not end.
    """

    key_id: str
    secret: str = field(repr=False)
    token: str = field(default="", repr=False)
    expires_at: float | None = None

    def __repr__(self) -> str:
        return f"Credentials({self.key_id[:4]}..., temporary={bool(self.token)})"

    __str__ = __repr__


class CredentialSource(Protocol):
    """Where a client gets its key from; asked before every attempt."""

    async def current(self) -> Credentials:
        """A key that is good for the next request.

        :raises ConfigurationError: when there is none.
        :raises CloudError: when a token service refused or did not answer. Nothing was sent with the key.
        """

    def invalidate(self, used: Credentials) -> bool:
        """The vendor called this key expired. True when asking again can give another one."""


class StaticSource:
    """The key of the connection, with or without a session token."""

    def __init__(self, key_id: str, secret: str, token: str = "") -> None:
        self._credentials = Credentials(key_id, secret, token)

    async def current(self) -> Credentials:
        """The key."""
        return self._credentials

    def invalidate(self, used: Credentials) -> bool:
        """Never: there is no other key."""
        return False


class EnvironmentSource:
    """The vendor's own environment variables, read at every use (the vendors' SDKs read them at import).

    :param vendor: ``tencent`` or ``alibaba``.
    """

    def __init__(self, vendor: str, environ: Mapping[str, str] | None = None) -> None:
        self._names = _VARIABLES[vendor]
        self._environ = os.environ if environ is None else environ

    async def current(self) -> Credentials:
        """The key in the environment."""
        key_id, secret, token = (self._environ.get(name, "") for name in self._names)
        if not key_id or not secret:
            raise ConfigurationError(
                f"credentials: the environment has no {self._names[0]} and {self._names[1]}. "
                "Set both for the worker, or give key id and secret in the connection"
            )
        return Credentials(key_id, secret, token)

    def invalidate(self, used: Credentials) -> bool:
        """True when the environment holds another token by now."""
        return self._environ.get(self._names[2], "") != used.token


@dataclass(frozen=True, slots=True)
class Role:
    """A role to assume.

    :param duration_s: life of a session in seconds, 900 to 43200.
    """

    arn: str
    session_name: str
    duration_s: int
    external_id: str | None = None


Ask = Callable[[ReadRequest[Any], Credentials], Awaitable[Any]]
"""Sends one token service request with the given key and returns the reply."""


class AssumedRoleSource:
    """Temporary keys of a role, taken from the vendor's token service and renewed before they end.

    One renewal at a time; when it fails, the old key serves until a minute before its end.

    :param base: where the key that may assume the role comes from.
    :param ask: how to reach the token service.
    :param on_secret: told every new secret and token, so that logs can mask them.
    """

    def __init__(
        self,
        vendor: str,
        role: Role,
        base: CredentialSource,
        ask: Ask,
        *,
        clock: Callable[[], float] = time.time,
        on_secret: Callable[[str], None] = lambda secret: None,
    ) -> None:
        self._vendor = vendor
        self._role = role
        self._base = base
        self._ask = ask
        self._clock = clock
        self._on_secret = on_secret
        self._held: Credentials | None = None
        self._margin = REFRESH_MARGIN
        self._rejected = False
        self._lock = asyncio.Lock()

    async def current(self) -> Credentials:
        """The session key, renewed when its end is near."""
        async with self._lock:
            held = self._held
            if held is not None and not self._rejected and self._left(held) > self._margin:
                return held
            try:
                self._held = await self._renew()
            except CloudError as error:
                usable = held is not None and not self._rejected and self._left(held) > LAST_MINUTE
                if held is None or not usable or isinstance(error, Unauthorised):
                    raise
                return held
            self._rejected = False
            return self._held

    def invalidate(self, used: Credentials) -> bool:
        """Renew at the next use, unless that has already happened."""
        if self._held is used:
            self._rejected = True
        return True

    def _left(self, held: Credentials) -> float:
        return (held.expires_at or 0.0) - self._clock()

    async def _renew(self) -> Credentials:
        request: ReadRequest[Any] = _assume(self._vendor, self._role)
        fresh = _session(await self._ask(request, await self._base.current()), self._vendor)
        self._margin = min(REFRESH_MARGIN, self._left(fresh) / 3)  # a short session must not be renewed at every use
        self._on_secret(fresh.secret)
        self._on_secret(fresh.token)
        return fresh


def _assume(vendor: str, role: Role) -> ReadRequest[Any]:
    kind: type[TencentAssumeRole] | type[AlibabaAssumeRole]
    kind = TencentAssumeRole if vendor == "tencent" else AlibabaAssumeRole
    return kind(
        RoleArn=role.arn,
        RoleSessionName=role.session_name,
        DurationSeconds=role.duration_s,
        ExternalId=role.external_id,
    )


def _session(reply: TencentAssumeRoleAnswer | AlibabaAssumeRoleAnswer, vendor: str) -> Credentials:
    if isinstance(reply, TencentAssumeRoleAnswer):
        given = reply.Credentials
        return Credentials(
            given.TmpSecretId,
            given.TmpSecretKey.get_secret_value(),
            given.Token.get_secret_value(),
            float(reply.ExpiredTime),
        )
    keys = reply.Credentials
    try:
        end = datetime.strptime(keys.Expiration, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise Malformed("Expiration is not a time", vendor=vendor, action="AssumeRole") from None
    return Credentials(
        keys.AccessKeyId,
        keys.AccessKeySecret.get_secret_value(),
        keys.SecurityToken.get_secret_value(),
        end.timestamp(),
    )
