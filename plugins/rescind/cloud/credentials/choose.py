"""From a connection's settings to its source of keys."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from rescind.cloud.connection.settings import ClientSettings
from rescind.cloud.credentials.base import Ask, Clock, CredentialSource, OnSecret, StaticSource, keep_silent
from rescind.cloud.credentials.environment import EnvironmentSource
from rescind.cloud.credentials.metadata import AlibabaInstanceSource, TencentInstanceSource
from rescind.cloud.credentials.oidc import OidcSource, from_environment
from rescind.cloud.credentials.roles import AssumedRoleSource, Role


@dataclass(frozen=True, slots=True)
class Sources:
    """Makes the source of keys that a connection asks for.

    :param ask: how to reach the token service.
    :param environ: the environment; None for the process's own, read at every use.
    :param metadata: constructor options of the metadata sources, for tests: ``base``, ``transport``, ``seconds``.
    """

    settings: ClientSettings
    ask: Ask
    clock: Clock = time.time
    on_secret: OnSecret = keep_silent
    environ: Mapping[str, str] | None = None
    metadata: Mapping[str, Any] | None = None

    def make(self) -> CredentialSource:
        """The source, with the connection's own role on top when there is one."""
        base = self._base()
        settings = self.settings
        if not settings.role_arn:
            return base
        role = Role(settings.role_arn, settings.role_session_name, settings.role_duration_s, settings.role_external_id)
        return self._role(role, base)

    def _base(self) -> CredentialSource:
        settings = self.settings
        if settings.credentials == "environment":
            return EnvironmentSource(settings.vendor, self.environ, on_secret=self.on_secret)
        if settings.credentials == "instance_role":
            return self._instance(settings.instance_role_name or "")
        if settings.credentials == "oidc":
            identity = partial(
                from_environment,
                settings.vendor,
                provider=settings.oidc_provider or "",
                role_arn=settings.oidc_role_arn or "",
                session_name=settings.role_session_name,
                duration_s=settings.role_duration_s,
                environ=self.environ,
            )
            return OidcSource(settings.vendor, identity, self.ask, clock=self.clock, on_secret=self.on_secret)
        token = settings.session_token.get_secret_value() if settings.session_token else ""
        return StaticSource(settings.login, settings.password.get_secret_value(), token)

    def _role(self, role: Role, base: CredentialSource) -> CredentialSource:
        return AssumedRoleSource(self.settings.vendor, role, base, self.ask, clock=self.clock, on_secret=self.on_secret)

    def _instance(self, role: str) -> CredentialSource:
        options: dict[str, Any] = {"clock": self.clock, "on_secret": self.on_secret, **(self.metadata or {})}
        if self.settings.vendor == "tencent":
            return TencentInstanceSource(role, **options)
        return AlibabaInstanceSource(role, allow_v1=self.settings.allow_imds_v1, environ=self.environ, **options)
