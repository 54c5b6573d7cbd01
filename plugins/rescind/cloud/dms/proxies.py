"""Alibaba Cloud DMS Enterprise 2018-11-01: secure access proxies and who may use them.

A proxy access lets its holder reach an instance with a database client, past the permission records. Source: the
vendor's Python SDK models (3.0.0). The secret of an access, its hosts and ports are not modeled.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from rescind.cloud.base import Page, Reply, Row, WriteRequest
from rescind.cloud.dms.permissions import DmsWhole, Envelope, Product, WriteTenantId
from rescind.cloud.fields import DigitsAsInt, Flag, IdText, NumericId, OptionalId, Text


class Proxy(Row):
    """A secure access proxy of one instance. ``CreatorId`` is the DMS user who switched it on."""

    ProxyId: IdText
    InstanceId: OptionalId = None
    CreatorId: OptionalId = None
    CreatorName: Text | None = None
    ProtocolType: Text | None = None
    PrivateEnable: Flag | None = None
    PublicEnable: Flag | None = None
    RegionId: Text | None = None

    def key(self) -> tuple[str, ...]:
        """The proxy id."""
        return (self.ProxyId,)


class ListProxiesAnswer(Page[Proxy]):
    """``ProxyList``."""

    ProxyList: tuple[Proxy, ...] | None = None

    def rows(self) -> Sequence[Proxy] | None:
        """The proxies, or None for null."""
        return self.ProxyList


class ListProxies(DmsWhole[Proxy]):
    """Secure access proxies of the tenant, in one answer."""

    action: ClassVar[str] = "ListProxies"
    Answer: ClassVar[type[Reply]] = ListProxiesAnswer


class ProxyAccess(Row):
    """One user's access to one proxy. A null ``UserId`` is an unknown holder.

    ``IndepAccount``: name of an independent database account, whose password the holder knows. ``OriginInfo``: the
    vendor's text on how it was given (by an account, or by a ticket).
    """

    ProxyAccessId: IdText
    ProxyId: OptionalId = None
    InstanceId: OptionalId = None
    UserId: OptionalId = None
    UserUid: OptionalId = None
    UserName: Text | None = None
    IndepAccount: Text | None = None
    OriginInfo: Text | None = None
    GmtCreate: Text | None = None

    def key(self) -> tuple[str, ...]:
        """The id of the access."""
        return (self.ProxyAccessId,)


class ListProxyAccessesAnswer(Page[ProxyAccess]):
    """``ProxyAccessList``."""

    ProxyAccessList: tuple[ProxyAccess, ...] | None = None

    def rows(self) -> Sequence[ProxyAccess] | None:
        """The accesses, or None for null."""
        return self.ProxyAccessList


class ListProxyAccesses(DmsWhole[ProxyAccess]):
    """Users that may use one proxy, in one answer."""

    action: ClassVar[str] = "ListProxyAccesses"
    Answer: ClassVar[type[Reply]] = ListProxyAccessesAnswer
    ProxyId: DigitsAsInt


class DeleteProxyAccess(Product, WriteRequest[Envelope]):
    """Close one account of one proxy."""

    action: ClassVar[str] = "DeleteProxyAccess"
    Answer: ClassVar[type[Reply]] = Envelope
    ProxyAccessId: NumericId
    Tid: WriteTenantId

    def wire(self) -> dict[str, Any]:
        """The account and the tenant."""
        return {"ProxyAccessId": self.ProxyAccessId, "Tid": self.Tid}


class CreateProxyAccess(Product, WriteRequest[Envelope]):
    """Open an account of a proxy for a user, with a new id and a new secret. Accounts of the database are not made."""

    action: ClassVar[str] = "CreateProxyAccess"
    Answer: ClassVar[type[Reply]] = Envelope
    ProxyId: NumericId
    UserId: NumericId
    Tid: WriteTenantId

    def wire(self) -> dict[str, Any]:
        """Proxy, DMS user and tenant."""
        return {"ProxyId": self.ProxyId, "UserId": self.UserId, "Tid": self.Tid}
