"""Temporary keys for an identity token that the platform mounts into the worker (Kubernetes service accounts).

The vendor trusts the token's issuer, so the call that exchanges it is not signed. Sources: Tencent's Python
SDK (``OIDCRoleArnCredential``; STS 2018-08-13 AssumeRoleWithWebIdentity) and Alibaba's help page of
AssumeRoleWithOIDC (STS 2015-04-01) with its Go library for where the parameters travel.

The environment of the worker names the token file, never a connection: anyone who may edit a connection must not
choose which file of the worker is read and sent.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import Field, StringConstraints

from rescind.cloud.base import ReadRequest, Reply
from rescind.cloud.credentials.base import (
    Ask,
    Clock,
    Credentials,
    OnSecret,
    RenewingSource,
    keep_silent,
)
from rescind.cloud.credentials.roles import session_keys
from rescind.cloud.sts_messages import (
    AlibabaAssumeRoleAnswer,
    ArnText,
    SessionName,
    TencentAssumeRoleAnswer,
)
from rescind.errors import ConfigurationError

_MOST_TOKEN = 20_000
_TOKEN = re.compile(r"[!-~]{4,20000}")

IdentityToken = Annotated[str, StringConstraints(strict=True, pattern=r"^[!-~]{4,20000}$"), Field(repr=False)]

ANONYMOUS = Credentials("", "")
"""No key, for calls that are not signed."""


class TencentAssumeRoleWithWebIdentity(ReadRequest[TencentAssumeRoleAnswer]):
    """Temporary keys for an identity token; sent with ``Authorization: SKIP``."""

    vendor: ClassVar[str] = "tencent"
    service: ClassVar[str] = "sts"
    version: ClassVar[str] = "2018-08-13"
    action: ClassVar[str] = "AssumeRoleWithWebIdentity"
    Answer: ClassVar[type[Reply]] = TencentAssumeRoleAnswer
    ProviderId: Annotated[str, StringConstraints(strict=True, pattern=r"^[!-~]{1,128}$")]
    WebIdentityToken: IdentityToken
    RoleArn: ArnText
    RoleSessionName: SessionName
    DurationSeconds: Annotated[int, Field(ge=900, le=43200)] = 7200


class AlibabaAssumeRoleWithOidc(ReadRequest[AlibabaAssumeRoleAnswer]):
    """Temporary keys for an identity token; sent without signature, all but the action in the form body."""

    vendor: ClassVar[str] = "alibaba"
    service: ClassVar[str] = "sts"
    version: ClassVar[str] = "2015-04-01"
    action: ClassVar[str] = "AssumeRoleWithOIDC"
    needs_success: ClassVar[bool] = False
    Answer: ClassVar[type[Reply]] = AlibabaAssumeRoleAnswer
    OIDCProviderArn: ArnText
    OIDCToken: IdentityToken
    RoleArn: ArnText
    RoleSessionName: SessionName
    DurationSeconds: Annotated[int, Field(ge=900, le=43200)] = 3600


UNSIGNED = (TencentAssumeRoleWithWebIdentity, AlibabaAssumeRoleWithOidc)
"""The only requests that may leave without a signature."""


class AnonymousSource:
    """No key, for :data:`UNSIGNED` requests."""

    async def current(self) -> Credentials:
        """:data:`ANONYMOUS`."""
        return ANONYMOUS

    def holds(self, used: Credentials) -> bool:
        """Always."""
        return True

    def invalidate(self, used: Credentials) -> bool:
        """Never."""
        return False


@dataclass(frozen=True, slots=True)
class WebIdentity:
    """What is exchanged for keys.

    :param provider: Alibaba: ARN of the identity provider; Tencent: its name.
    :param role_arn: the role that trusts it.
    :param token_file: file with the token; read again at every renewal, because the platform replaces it.
    :param origin: where the file's name comes from, for messages.
    """

    provider: str
    role_arn: str
    token_file: str
    session_name: str = "rescind"
    duration_s: int = 3600
    origin: str = "the token file"


_NAMES: Mapping[str, tuple[str, str, str, str]] = {  # token file, provider, role, session name
    "tencent": ("TKE_WEB_IDENTITY_TOKEN_FILE", "TKE_PROVIDER_ID", "TKE_ROLE_ARN", ""),
    "alibaba": (
        "ALIBABA_CLOUD_OIDC_TOKEN_FILE",
        "ALIBABA_CLOUD_OIDC_PROVIDER_ARN",
        "ALIBABA_CLOUD_ROLE_ARN",
        "ALIBABA_CLOUD_ROLE_SESSION_NAME",
    ),
}


def from_environment(
    vendor: str,
    *,
    provider: str = "",
    role_arn: str = "",
    session_name: str = "rescind",
    duration_s: int = 3600,
    environ: Mapping[str, str] | None = None,
) -> WebIdentity:
    """What the platform's variables say; ``provider`` and ``role_arn`` of a connection come first.

    :raises ConfigurationError: names the variables that are missing.
    """
    environ = os.environ if environ is None else environ
    file_name, provider_name, role_name, session_variable = _NAMES[vendor]
    given = {
        file_name: environ.get(file_name, ""),
        provider_name: provider or environ.get(provider_name, ""),
        role_name: role_arn or environ.get(role_name, ""),
    }
    if missing := [name for name, value in given.items() if not value]:
        raise ConfigurationError(
            f"credentials: oidc needs {', '.join(missing)} in the worker's environment. The cluster's pod identity "
            "sets them: check the service account of the worker; role and provider can also be set in the connection "
            "(oidc_role_arn, oidc_provider)"
        )
    return WebIdentity(
        provider=given[provider_name],
        role_arn=given[role_name],
        token_file=given[file_name],
        session_name=environ.get(session_variable, "") or session_name,
        duration_s=duration_s,
        origin=file_name,
    )


class OidcSource(RenewingSource):
    """Temporary keys for a mounted identity token.

    :param identity: gives the exchange's values; asked at every renewal, so a changed environment is seen.
    :param ask: how to reach the token service.
    """

    label: ClassVar[str] = "web identity"
    remedy: ClassVar[str] = (
        "Check that the role trusts this identity provider, and audience and subject of the worker's token"
    )

    def __init__(
        self,
        vendor: str,
        identity: Callable[[], WebIdentity],
        ask: Ask,
        *,
        clock: Clock = time.time,
        on_secret: OnSecret = keep_silent,
    ) -> None:
        super().__init__(vendor, clock=clock, on_secret=on_secret)
        self._identity = identity
        self._ask = ask

    async def _fetch(self) -> Credentials:
        identity = self._identity()
        token = read_token(identity)
        self._on_secret(token)
        reply = await self._ask(self._exchange(identity, token), AnonymousSource())
        return session_keys(reply, self._vendor)

    def _exchange(self, identity: WebIdentity, token: str) -> ReadRequest[Any]:
        if self._vendor == "tencent":
            return TencentAssumeRoleWithWebIdentity(
                ProviderId=identity.provider,
                WebIdentityToken=token,
                RoleArn=identity.role_arn,
                RoleSessionName=identity.session_name,
                DurationSeconds=identity.duration_s,
            )
        return AlibabaAssumeRoleWithOidc(
            OIDCProviderArn=identity.provider,
            OIDCToken=token,
            RoleArn=identity.role_arn,
            RoleSessionName=identity.session_name,
            DurationSeconds=identity.duration_s,
        )


def read_token(identity: WebIdentity) -> str:
    """The token in its file, without blanks around it.

    :raises ConfigurationError: when the file cannot be read or holds no token; never quotes it.
    """
    problem, text = "", ""
    try:
        with Path(identity.token_file).open("rb") as file:
            text = file.read(_MOST_TOKEN + 64).decode("ascii").strip()
    except OSError as error:
        problem = f"cannot be read ({type(error).__name__})"
    except (UnicodeDecodeError, ValueError):
        problem = "holds no identity token"
    if not problem and not _TOKEN.fullmatch(text):
        problem = "holds no identity token (4 to 20000 characters without blanks)"
    if problem:
        raise ConfigurationError(
            f"credentials: the file that {identity.origin} names {problem}. "
            "Check the service account token of the worker and that its user may read the file"
        )
    return text
