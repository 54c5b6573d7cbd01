"""Temporary keys of a role that another key may assume."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar

from rescind.cloud.base import ReadRequest
from rescind.cloud.credentials.base import (
    Ask,
    Clock,
    Credentials,
    CredentialSource,
    OnSecret,
    RenewingSource,
    keep_silent,
)
from rescind.cloud.sts_messages import (
    AlibabaAssumeRole,
    AlibabaAssumeRoleAnswer,
    TencentAssumeRole,
    TencentAssumeRoleAnswer,
)
from rescind.errors import MalformedResponseError


@dataclass(frozen=True, slots=True)
class Role:
    """A role to assume.

    :param duration_s: life of a session in seconds, 900 to 43200.
    """

    arn: str
    session_name: str
    duration_s: int
    external_id: str | None = None


class AssumedRoleSource(RenewingSource):
    """Temporary keys of a role, from the vendor's token service, renewed before they expire.

    :param base: where the key that may assume the role comes from; any source, also another role.
    :param ask: how to reach the token service.
    """

    label: ClassVar[str] = "AssumeRole"
    remedy: ClassVar[str] = (
        "Check role_arn and role_external_id, the trust policy of the role, and that the key may assume it"
    )

    def __init__(
        self,
        vendor: str,
        role: Role,
        base: CredentialSource,
        ask: Ask,
        *,
        clock: Clock = time.time,
        on_secret: OnSecret = keep_silent,
    ) -> None:
        super().__init__(vendor, clock=clock, on_secret=on_secret)
        self._role = role
        self._base = base
        self._ask = ask

    async def _fetch(self) -> Credentials:
        return session_keys(await self._ask(_assume(self._vendor, self._role), self._base), self._vendor)


def _assume(vendor: str, role: Role) -> ReadRequest[Any]:
    kind: type[TencentAssumeRole] | type[AlibabaAssumeRole]
    kind = TencentAssumeRole if vendor == "tencent" else AlibabaAssumeRole
    return kind(
        RoleArn=role.arn,
        RoleSessionName=role.session_name,
        DurationSeconds=role.duration_s,
        ExternalId=role.external_id,
    )


def session_keys(reply: TencentAssumeRoleAnswer | AlibabaAssumeRoleAnswer, vendor: str) -> Credentials:
    """The key of a token service's answer.

    :raises MalformedResponseError: when the expiry cannot be read.
    """
    if isinstance(reply, TencentAssumeRoleAnswer):
        given = reply.Credentials
        return Credentials(
            given.TmpSecretId,
            given.TmpSecretKey.get_secret_value(),
            given.Token.get_secret_value(),
            float(reply.ExpiredTime),
        )
    keys = reply.Credentials
    end = utc_seconds(keys.Expiration)
    if end is None:
        raise MalformedResponseError("Expiration is not a time", vendor=vendor, action="AssumeRole")
    return Credentials(
        keys.AccessKeyId, keys.AccessKeySecret.get_secret_value(), keys.SecurityToken.get_secret_value(), end
    )


def utc_seconds(text: str) -> float | None:
    """``yyyy-MM-ddTHH:mm:ssZ`` as Unix seconds; None for anything else."""
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()
    except (ValueError, OverflowError):
        return None
