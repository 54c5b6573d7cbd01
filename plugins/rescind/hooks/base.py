"""Base class of the vendor hooks: client settings from an Airflow connection, and the connection test."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias, TypeVar

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException

from rescind.cloud.connection.settings import ClientSettings, Service
from rescind.errors import (
    CloudError,
    ConfigurationError,
    RescindError,
    ThrottledError,
    TransientError,
    UnauthorizedError,
)

if TYPE_CHECKING:
    from rescind.cloud.base import Pacer
    from rescind.cloud.clients import DmsClient, QuickBiClient, WeDataClient

    AnyClient: TypeAlias = WeDataClient | DmsClient | QuickBiClient

T = TypeVar("T")

_PLAIN_TYPES = ("generic", "http")
_KEY_IN = {
    "static": "key id (login), secret (password), token",
    "environment": "the key in the worker's environment",
    "instance_role": "the role of the worker's machine",
    "oidc": "the role that trusts the worker's identity token",
}


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine from synchronous code, even if this thread already runs an event loop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    with ThreadPoolExecutor(max_workers=1) as pool:
        return pool.submit(asyncio.run, work).result()


class CloudHook(BaseHook):
    """Base of the vendor hooks. The connection may have the hook's own type, ``generic`` or ``http``.

    Everything except the key is in the extras; see :class:`rescind.cloud.connection.settings.ClientSettings`. Leave
    host, port and schema empty: the host follows from service, edition and region.

    The extra ``credentials`` names the source of the key:

    * ``static`` (default): login is the key id, password the secret, ``session_token`` the token of a temporary key;
    * ``environment``: the vendor's own variables in the worker's environment;
    * ``instance_role``: the role of the Tencent CVM or Alibaba ECS instance that the worker runs on;
    * ``oidc``: the identity token that the cluster mounts into the worker (TKE, ACK).

    With any source, ``role_arn`` names a further role to assume. Login and password stay empty unless ``static``.
    Every secret from outside the connection is registered with Airflow's secrets masker.
    """

    service: ClassVar[Service]
    conn_name_attr: ClassVar[str]
    default_conn_name: ClassVar[str]
    conn_type: ClassVar[str]
    hook_name: ClassVar[str]

    def __init__(self, conn_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.conn_id = conn_id

    def settings(self) -> ClientSettings:
        """Return the client settings of the connection.

        :raises ConfigurationError: when it is missing, of another type, or incomplete. The message names the fix.
        """
        connection = self._connection()
        if connection.conn_type not in (self.conn_type, *_PLAIN_TYPES):
            raise ConfigurationError(
                f"connection {self.conn_id}: has type {connection.conn_type!r}. "
                f"Use type {self.conn_type!r} (or 'generic'), or name another connection"
            )
        fields = self._extras(connection.extra)
        for name, value in (("login", connection.login), ("password", connection.password)):
            if value:
                fields[name] = value
        try:
            settings = ClientSettings.from_fields(self.service, fields)
        except ConfigurationError as error:
            raise ConfigurationError(f"connection {self.conn_id}: {error}") from None
        self._check_host(connection.host, settings)
        return settings

    def get_conn(self, pacer: Pacer | None = None) -> AnyClient:
        """Return the asynchronous client of the connection; use it as ``async with hook.get_conn() as client``.

        :param pacer: decides when requests may be sent. Default: by the connection's limits, in this process.
        :raises ConfigurationError: when the connection is missing or incomplete.
        """
        return self._client(pacer)

    def _connection(self) -> Any:
        try:
            return self.get_connection(self.conn_id)
        except AirflowNotFoundException:
            missing = ConfigurationError(
                f"connection {self.conn_id}: does not exist. Create it under Admin, Connections with type "
                f"{self.conn_type!r}, or set AIRFLOW_CONN_{self.conn_id.upper()}"
            )
        raise missing

    def _extras(self, extra: str | None) -> dict[str, Any]:
        """Return the extras without the prefix that older connection forms add to their names."""
        try:
            given = json.loads(extra) if extra else {}
        except ValueError:
            given = None
        if not isinstance(given, Mapping):
            raise ConfigurationError(f"connection {self.conn_id}: its extras are not a JSON object. Correct them")
        prefix = f"extra__{self.conn_type}__"
        fields = {str(name).removeprefix(prefix): value for name, value in given.items() if value != ""}
        if isinstance(fields.get("limits"), str):
            try:
                fields["limits"] = json.loads(fields["limits"])
            except ValueError:
                raise ConfigurationError(
                    f'connection {self.conn_id}: limits is not JSON. Write for example {{"*": 10}}'
                ) from None
        return fields

    def _check_host(self, host: str | None, settings: ClientSettings) -> None:
        if host and host.strip().lower() != settings.host_of().host:
            raise ConfigurationError(
                f"connection {self.conn_id}: host must be empty or {settings.host_of().host}. "
                "Leave host empty: it follows from service, edition and region"
            )

    def _client(self, pacer: Pacer | None = None, **options: Any) -> AnyClient:
        from rescind.cloud.clients import client_class  # builds all message models: not while Dags are parsed

        settings = self.settings()
        return client_class(settings)(settings, pacer=pacer, on_secret=_masker(), **options)

    def test_connection(self) -> tuple[bool, str]:
        """Make one identity call, one small read, and one small read for each action that a review needs.

        :returns: whether identity call and first read work, and a sentence: identity, region and rights, or the error
            and its fix. A missing right is reported but is not a failure: a connection for one permission system
            needs no rights of another.
        """
        try:
            client = self._client(attempts=2)  # somebody is waiting for the answer
        except RescindError as error:
            return False, str(error)
        try:
            return True, run(_probe(client))
        except RescindError as error:
            return False, explain(error, client.settings)


async def _probe(client: AnyClient) -> str:
    from rescind.cloud.connection.permission_probe import allowed_actions, in_short

    async with client:
        identity = await client.identify()
        seen = await client.probe()
        rights = in_short(await allowed_actions(client))
    who = identity.arn or identity.user_id
    return f"account {identity.account_id}, identity {who}, region {client.region}: {seen}. Rights: {rights}"


def explain(error: RescindError, settings: ClientSettings) -> str:
    """Return an error of a connection test as a sentence that names the fix."""
    from rescind.cloud.credentials import CredentialsUnavailableError  # not while Dags are parsed

    host = settings.host_of().host
    if isinstance(error, CredentialsUnavailableError):
        return f"credentials {settings.credentials!r} provide no key: {error}"
    if isinstance(error, ThrottledError):
        return f"{error}. The key works, the limit is used up: try again, or lower 'share'"
    if isinstance(error, TransientError) and error.http_status is None:
        return f"{host} cannot be reached ({error}). Check network, firewall, region and edition"
    if isinstance(error, UnauthorizedError):
        return f"{error}. Check {_KEY_IN[settings.credentials]}, this machine's clock, and the rights of the key"
    if isinstance(error, CloudError):
        return f"{error}. Check region and edition, and that the service is activated for this account"
    return str(error)


def _masker() -> Callable[[str], None]:
    from airflow.sdk.log import mask_secret

    return mask_secret
