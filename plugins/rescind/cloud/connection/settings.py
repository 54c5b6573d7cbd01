"""What a connection says, as one closed model. Knows nothing of Airflow."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, SecretStr, ValidationError, model_validator

from rescind.cloud.connection import hosts
from rescind.cloud.connection.way import Optional, Way, blank_to_none
from rescind.cloud.fields import exact_text
from rescind.errors import ConfigurationError

if TYPE_CHECKING:
    from rescind.cloud.base import Request  # not while Dags are parsed

Service = Literal["wedata", "dms", "quickbi"]


def _id_list(value: Any) -> Any:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return tuple(exact_text(part) for part in value) if isinstance(value, list | tuple) else value


_Host = Annotated[
    str | None,
    BeforeValidator(lambda value: value.strip().lower() if isinstance(value, str) else value),
    BeforeValidator(blank_to_none),
]
_Arn = Annotated[str | None, BeforeValidator(blank_to_none), Field(pattern=r"^[!-~]{8,512}$")]

# Settings that only one kind of credentials uses. With another kind they would be ignored silently.
_BELONGS: Mapping[str, str] = {
    "login": "static",
    "password": "static",
    "session_token": "static",
    "instance_role_name": "instance_role",
    "oidc_role_arn": "oidc",
    "oidc_provider": "oidc",
}


class ClientSettings(Way):
    """Everything that one client needs to know.

    :param login: key id (Tencent ``AKID...``, Alibaba ``LTAI...``); only with ``credentials=static``.
    :param password: the secret belonging to it.
    :param session_token: only with temporary keys.
    :param endpoint: host of the service, for finance and government regions and for regional hosts of Tencent; else it
        follows from edition, network and region.
    :param sts_endpoint: host of the token service; when missing, that of the region in ``endpoint``.
    :param proxy: ``http://HOST:PORT`` of a proxy that opens a tunnel to the vendor; never used for metadata services.
    :param proxy_login: user of the proxy; ``proxy_password`` its password.
    :param ca_bundle: absolute path of a PEM file with the authorities to trust in place of the usual ones, for a proxy
        that inspects. Every worker needs the file.
    :param region: ``X-TC-Region`` of WeData; region of the host for Alibaba; optional for DMS.
    :param edition: Tencent site: ``international`` or ``mainland``.
    :param network: Alibaba network: ``public`` or ``vpc``.
    :param tid: DMS tenant id; asked from the service when missing.
    :param account_id: the account that the key must belong to; checked by ``identify()``.
    :param own_ids: principal ids that are this tool itself: never revoked.
    :param limits: requests per second by action, ``*`` for all others; default: the rate of each typed message.
    :param share: part of each limit that this deployment may use, over 0 and up to 1.
    :param timeout_s: total time for one request, in seconds.
    :param connect_timeout_s: time to reach the host, in seconds.
    :param pool_size: most connections at once.
    :param max_response_bytes: longest answer, before and after decompression.
    :param role_arn: role to assume with the key, whatever source that comes from; ``role_*`` describe the session.
    :param credentials: where the key comes from: ``static`` (this connection), ``environment`` (the vendor's
        variables), ``instance_role`` (the machine's metadata service) or ``oidc`` (a mounted identity token).
    :param instance_role_name: name of the machine's role; asked from the machine when missing.
    :param allow_imds_v1: Alibaba only: accept a metadata service without tokens.
    :param oidc_role_arn: role that trusts the worker's identity token; the environment's when missing.
    :param oidc_provider: identity provider (Alibaba: ARN, Tencent: name); the environment's when missing.
    :param sts_signature: how Alibaba token service calls are signed: ``acs3`` or the older ``rpc``.
    """

    service: Service
    login: str = ""
    password: SecretStr = SecretStr("")
    session_token: SecretStr | None = None
    region: Annotated[str, BeforeValidator(lambda value: value.strip() if isinstance(value, str) else value)] = ""
    edition: Literal["international", "mainland"] = "international"
    network: Literal["public", "vpc"] = "public"
    tid: Annotated[str | None, BeforeValidator(exact_text), BeforeValidator(blank_to_none)] = Field(
        None, pattern=r"^-?[0-9]{1,19}$"
    )
    endpoint: _Host = None
    sts_endpoint: _Host = None
    base_url: Optional = None
    account_id: Annotated[str | None, BeforeValidator(exact_text), BeforeValidator(blank_to_none)] = Field(
        None, pattern=r"^[0-9A-Za-z_-]{1,64}$"
    )
    own_ids: Annotated[tuple[str, ...], BeforeValidator(_id_list)] = ()
    limits: Mapping[str, Annotated[float, Field(gt=0, le=1000)]] = Field(default_factory=dict)
    share: float = Field(1.0, gt=0, le=1)
    role_arn: _Arn = None
    role_session_name: str = Field("rescind", pattern=r"^[A-Za-z0-9.@_-]{2,64}$")
    role_duration_s: int = Field(3600, ge=900, le=43200)
    role_external_id: Optional = None
    credentials: Literal["static", "environment", "instance_role", "oidc"] = "static"
    instance_role_name: Annotated[str | None, BeforeValidator(blank_to_none)] = Field(
        None, pattern=r"^[A-Za-z0-9+=,.@_-]{1,128}$"
    )
    allow_imds_v1: bool = False
    oidc_role_arn: _Arn = None
    oidc_provider: Annotated[str | None, BeforeValidator(blank_to_none)] = Field(None, pattern=r"^[!-~]{1,512}$")
    sts_signature: Literal["acs3", "rpc"] = "acs3"

    vendors: ClassVar[Mapping[str, str]] = {"wedata": "tencent", "dms": "alibaba", "quickbi": "alibaba"}

    @classmethod
    def from_fields(cls, service: Service, fields: Mapping[str, Any]) -> Self:
        """Build from a plain dictionary of connection fields; None means "not given", as forms send it.

        :raises ConfigurationError: names the field, what is wrong with it, and the remedy; never its value.
        """
        try:
            given = {name: value for name, value in fields.items() if value is not None}
            settings = cls(service=service, **given)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            name = ".".join(str(step) for step in first["loc"]) or "connection"
            remedy = (
                "Remove it from the connection's extras, or correct its name"
                if first["type"] == "extra_forbidden"
                else "Correct it in the connection"
            )
            raise ConfigurationError(f"{name}: {first['msg']}. {remedy}") from None
        settings.check_ways()  # a wrong region, address or file is found now, not at the first request
        return settings

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.credentials == "static" and not (self.login.strip() and self.password.get_secret_value().strip()):
            raise ValueError("key id (login) and secret (password) are both needed")
        for text in (self.login, self.password.get_secret_value()):
            if text != text.strip():
                raise ValueError("key id (login) or secret (password) has blanks around it")
        for name, kind in _BELONGS.items():
            value = getattr(self, name)
            given = value.get_secret_value() if isinstance(value, SecretStr) else value
            if given and kind != self.credentials:
                raise ValueError(f"{name} is only used with credentials={kind}, not with {self.credentials}: empty it")
        if self.service == "wedata" and not self.region:
            raise ValueError("region is needed, for example ap-singapore")
        return self

    @property
    def vendor(self) -> str:
        """``tencent`` or ``alibaba``."""
        return self.vendors[self.service]

    @property
    def rate_region(self) -> str:
        """Return the region in buckets and grants: ``central`` when there is one host for all regions."""
        return self.region or hosts.CENTRAL

    @property
    def key_mark(self) -> str:
        """Return ``key-`` and twelve hex characters that identify the key while the account is not known."""
        roles = (self.instance_role_name, self.oidc_provider, self.oidc_role_arn, self.role_arn)
        mark = self.login or "|".join((self.credentials, *(name or "" for name in roles)))
        return "key-" + hashlib.sha256(mark.encode()).hexdigest()[:12]

    def check_ways(self) -> None:
        """Check hosts, proxy and authorities. Nothing is sent.

        :raises ConfigurationError: names the field and the remedy.
        """
        for service in ("", "sts"):
            self.host_of(service)
        self.check_way(self.host_of().base)

    def host_of(self, service: str = "") -> hosts.Endpoint:
        """Where requests of a service go (default: the client's own; ``sts`` for the token service)."""
        service = service or self.service
        if self.region not in ("", hosts.CENTRAL):
            hosts.check_region(self.region)
        if self.base_url:
            return hosts.loopback_endpoint(self.base_url, self.allow_loopback_http)
        given, field = (self.sts_endpoint, "sts_endpoint") if service == "sts" else (self.endpoint, "endpoint")
        if given:
            return hosts.given_endpoint(given, service, self.region, field=field)
        region = self.region
        if service == "sts" and self.endpoint:
            region = hosts.region_of(self.endpoint)
            if self.vendor == "tencent" and region:
                return hosts.given_endpoint(f"sts.{region}.tencentcloudapi.com", "sts", self.region, field=field)
        if self.vendor == "tencent":
            return hosts.tencent_endpoint(service, self.edition, self.region)
        return hosts.alibaba_endpoint(service, region or self.region, self.network)

    def rate(self, message: type[Request[Any]]) -> float:
        """Return the requests per second that may be used for a message: its limit times ``share``."""
        return self.limits.get(message.action, self.limits.get("*", message.rate)) * self.share
