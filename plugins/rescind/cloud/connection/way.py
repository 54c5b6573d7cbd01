"""How a host is reached, and what bounds an exchange with it: the part that all connections share."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

from rescind.cloud.connection import trust
from rescind.errors import ConfigurationError


def blank_to_none(value: Any) -> Any:
    """Return None for a blank text, as forms send it."""
    return None if isinstance(value, str) and not value.strip() else value


Optional = Annotated[str | None, BeforeValidator(blank_to_none)]


class Way(BaseModel):
    """Proxy, authorities, times and sizes; see :class:`rescind.cloud.connection.settings.ClientSettings`."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    proxy: Optional = None
    proxy_login: Optional = None
    proxy_password: SecretStr | None = None
    ca_bundle: Optional = None
    allow_loopback_http: bool = False
    timeout_s: float = Field(30.0, gt=0, le=600)
    connect_timeout_s: float = Field(5.0, gt=0, le=60)
    pool_size: int = Field(20, ge=1, le=200)
    max_response_bytes: int = Field(32 * 1024 * 1024, ge=1024, le=512 * 1024 * 1024)

    def check_way(self, base: str) -> None:
        """Check proxy and authorities. Nothing is sent.

        :param base: where requests go, such as ``https://host``.
        :raises ConfigurationError: names the field and the remedy.
        """
        if self.proxy:
            trust.check_proxy(self.proxy)
            if base.startswith("http://"):
                raise ConfigurationError("proxy: the emulator without TLS needs no proxy. Empty one of the two")
        elif self.proxy_login or self.proxy_password:
            raise ConfigurationError("proxy_login, proxy_password: there is no proxy. Set 'proxy', or empty them")
        trust.tls_context(self.ca_bundle or "")
