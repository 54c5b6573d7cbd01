"""Where keys come from.

One source per setting ``credentials`` of a connection: ``static`` (the connection itself), ``environment``,
``instance_role``, ``oidc``; on top of any of them the connection's ``role_arn`` is assumed.

The vendors' own credential libraries are not used: Alibaba's reads the environment when it is imported, starts a
scheduler thread and installs signal handlers; Tencent's leaves tokens out, waits without a timeout and swallows
errors. What is needed of them is small, and is written here with bounded waits, one refresh at a time, errors that
name source and remedy, and every derived secret told to ``on_secret`` for masking.
"""

from __future__ import annotations

from rescind.cloud.credentials.base import (
    LAST_MINUTE,
    REFRESH_MARGIN,
    RETRY_PAUSE,
    Ask,
    Credentials,
    CredentialSource,
    CredentialsUnavailableError,
    RenewingSource,
    StaticSource,
)
from rescind.cloud.credentials.choose import Sources
from rescind.cloud.credentials.environment import EnvironmentSource
from rescind.cloud.credentials.metadata import AlibabaInstanceSource, TencentInstanceSource
from rescind.cloud.credentials.oidc import UNSIGNED, OidcSource, WebIdentity
from rescind.cloud.credentials.roles import AssumedRoleSource, Role

__all__ = [
    "LAST_MINUTE",
    "REFRESH_MARGIN",
    "RETRY_PAUSE",
    "UNSIGNED",
    "AlibabaInstanceSource",
    "Ask",
    "AssumedRoleSource",
    "CredentialSource",
    "Credentials",
    "CredentialsUnavailableError",
    "EnvironmentSource",
    "OidcSource",
    "RenewingSource",
    "Role",
    "Sources",
    "StaticSource",
    "TencentInstanceSource",
    "WebIdentity",
]
