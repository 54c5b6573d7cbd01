"""Security token services of both vendors: who am I, and temporary keys.

Sources: the vendors' SDKs (Tencent STS 2018-08-13, Alibaba STS 2015-04-01).
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field, SecretStr, StringConstraints

from rescind.cloud.base import ReadRequest, Reply
from rescind.cloud.fields import Count, IdText, OptionalId, Text

ArnText = Annotated[str, StringConstraints(strict=True, pattern=r"^[!-~]{8,512}$")]
SessionName = Annotated[str, StringConstraints(strict=True, pattern=r"^[A-Za-z0-9.@_-]{2,64}$")]


class TencentCallerIdentityAnswer(Reply):
    """Tencent's answer: account, identity, and what sort of identity it is."""

    Arn: Text
    AccountId: IdText
    UserId: IdText
    PrincipalId: OptionalId = None
    Type: Text | None = None


class TencentGetCallerIdentity(ReadRequest[TencentCallerIdentityAnswer]):
    """Who the credential is."""

    vendor: ClassVar[str] = "tencent"
    service: ClassVar[str] = "sts"
    version: ClassVar[str] = "2018-08-13"
    action: ClassVar[str] = "GetCallerIdentity"
    Answer: ClassVar[type[Reply]] = TencentCallerIdentityAnswer


class TencentAssumeRoleAnswer(Reply):
    """Temporary keys; ``ExpiredTime`` in Unix seconds."""

    class _Keys(Reply):
        TmpSecretId: Text
        TmpSecretKey: SecretStr
        Token: SecretStr

    Credentials: _Keys
    ExpiredTime: Count


class TencentAssumeRole(ReadRequest[TencentAssumeRoleAnswer]):
    """Temporary keys of a role; ``DurationSeconds`` at most 43200."""

    vendor: ClassVar[str] = "tencent"
    service: ClassVar[str] = "sts"
    version: ClassVar[str] = "2018-08-13"
    action: ClassVar[str] = "AssumeRole"
    Answer: ClassVar[type[Reply]] = TencentAssumeRoleAnswer
    RoleArn: ArnText
    RoleSessionName: SessionName
    DurationSeconds: Annotated[int, Field(ge=900, le=43200)] = 7200
    ExternalId: Text | None = None


class AlibabaCallerIdentityAnswer(Reply):
    """Alibaba's answer; ``UserId`` is empty for some identity types."""

    AccountId: IdText
    Arn: Text
    IdentityType: Text | None = None
    PrincipalId: OptionalId = None
    UserId: Text | None = None


class AlibabaGetCallerIdentity(ReadRequest[AlibabaCallerIdentityAnswer]):
    """Who the credential is."""

    vendor: ClassVar[str] = "alibaba"
    service: ClassVar[str] = "sts"
    version: ClassVar[str] = "2015-04-01"
    action: ClassVar[str] = "GetCallerIdentity"
    needs_success: ClassVar[bool] = False
    Answer: ClassVar[type[Reply]] = AlibabaCallerIdentityAnswer


class AlibabaAssumeRoleAnswer(Reply):
    """Temporary keys; ``Expiration`` as ``yyyy-MM-ddTHH:mm:ssZ``."""

    class _Keys(Reply):
        AccessKeyId: Text
        AccessKeySecret: SecretStr
        SecurityToken: SecretStr
        Expiration: Text

    Credentials: _Keys


class AlibabaAssumeRole(ReadRequest[AlibabaAssumeRoleAnswer]):
    """Temporary keys of a role; ``DurationSeconds`` at least 900."""

    vendor: ClassVar[str] = "alibaba"
    service: ClassVar[str] = "sts"
    version: ClassVar[str] = "2015-04-01"
    action: ClassVar[str] = "AssumeRole"
    needs_success: ClassVar[bool] = False
    Answer: ClassVar[type[Reply]] = AlibabaAssumeRoleAnswer
    RoleArn: ArnText
    RoleSessionName: SessionName
    DurationSeconds: Annotated[int, Field(ge=900, le=43200)] = 3600
    ExternalId: Text | None = None
