"""Hook for the webhook of a chat: its secret address, and how to reach it."""

from __future__ import annotations

import re
from typing import Any, ClassVar

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException
from pydantic import Field, SecretStr, ValidationError, model_validator

from rescind.cloud.connection import hosts
from rescind.cloud.connection.way import Way
from rescind.errors import ConfigurationError

_ADDRESS = re.compile(r"https://[A-Za-z0-9.-]{1,253}(:[1-9][0-9]{0,4})?/[!-~]{1,2000}")
_LOOPBACK = re.compile(r"(?P<base>http://[^/?#@]+)/[!-~]{0,2000}")


class ChatWebhook(Way):
    """What a connection says about a webhook.

    :param address: whole address of the webhook; it is a secret.
    :param secret: key for the signature, if the chat was told to ask for one.
    :param timeout_s: total time for one request, in seconds.
    :param allow_loopback_http: accept an address of this machine, without TLS, for tests.
    """

    address: SecretStr
    secret: SecretStr = SecretStr("")
    timeout_s: float = Field(4.0, gt=0, le=30)
    connect_timeout_s: float = Field(3.0, gt=0, le=30)
    pool_size: int = Field(1, ge=1, le=1)
    max_response_bytes: int = Field(65_536, ge=1024, le=65_536)

    @property
    def is_local(self) -> bool:
        """Whether the address is one of this machine, for tests."""
        return self._loopback() is not None

    def _loopback(self) -> re.Match[str] | None:
        return _LOOPBACK.fullmatch(self.address.get_secret_value()) if self.allow_loopback_http else None

    @model_validator(mode="after")
    def _usable(self) -> ChatWebhook:
        address = self.address.get_secret_value()
        local = self._loopback()
        if local is not None:
            hosts.loopback_endpoint(local["base"], allowed=True)
        elif not _ADDRESS.fullmatch(address):
            raise ValueError(
                f"the webhook address (password, {len(address)} characters) is no https address with a path. Copy the"
                " whole address that the chat shows for its bot"
            )
        return self


class ChatWebhookHook(BaseHook):
    """Reads the webhook of a chat from a connection of type ``chat_webhook``, ``generic`` or ``http``.

    The password is the whole address of the webhook, because anyone who knows it can post. Extras: ``secret`` (key for
    the signature of DingTalk and Feishu), ``proxy``, ``proxy_login``, ``proxy_password``, ``ca_bundle``, ``timeout_s``.

    :param chat_conn_id: the connection.
    """

    conn_name_attr: ClassVar[str] = "chat_conn_id"
    default_conn_name: ClassVar[str] = "chat_webhook_default"
    conn_type: ClassVar[str] = "chat_webhook"
    hook_name: ClassVar[str] = "Chat webhook"

    def __init__(self, chat_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.chat_conn_id = chat_conn_id

    def get_conn(self) -> ChatWebhook:
        """Return the webhook.

        :raises ConfigurationError: when the connection is missing or incomplete. The message never has its values.
        """
        try:
            return self._read(self.get_connection(self.chat_conn_id))
        except AirflowNotFoundException:
            raise self._missing() from None

    async def aget_conn(self) -> ChatWebhook:
        """Return the webhook, inside an event loop.

        :raises ConfigurationError: when the connection is missing or incomplete.
        """
        try:
            return self._read(await self.aget_connection(self.chat_conn_id))
        except AirflowNotFoundException:
            raise self._missing() from None

    def test_connection(self) -> tuple[bool, str]:
        """Check the form of the connection. Nothing is sent, so that nobody gets a message."""
        try:
            self.get_conn()
        except ConfigurationError as error:
            return False, str(error)
        return True, "The address has the form of a webhook. Nothing was sent"

    def _missing(self) -> ConfigurationError:
        return ConfigurationError(
            f"connection {self.chat_conn_id}: does not exist. Create it under Admin, Connections with type"
            f" {self.conn_type!r}, or set AIRFLOW_CONN_{self.chat_conn_id.upper()}"
        )

    def _read(self, connection: Any) -> ChatWebhook:
        where = f"connection {self.chat_conn_id}"
        if connection.conn_type not in (self.conn_type, "generic", "http"):
            raise ConfigurationError(
                f"{where}: has type {connection.conn_type!r}. Use type {self.conn_type!r} (or 'generic')"
            )
        if connection.host:
            raise ConfigurationError(
                f"{where}: host must be empty. Write the whole webhook address as password, where Airflow hides it"
            )
        try:
            given = {name: value for name, value in connection.extra_dejson.items() if value not in (None, "")}
            webhook = ChatWebhook.model_validate({**given, "address": (connection.password or "").strip()})
            webhook.check_way(webhook.address.get_secret_value())
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            name = ".".join(map(str, first["loc"])) or "password"
            raise ConfigurationError(f"{where}: {name}: {first['msg'].removeprefix('Value error, ')}") from None
        except ConfigurationError as error:
            raise ConfigurationError(f"{where}: {error}") from None
        except (ValueError, TypeError, AttributeError):
            raise ConfigurationError(f"{where}: its extras are not a JSON object. Correct them") from None
        return webhook
