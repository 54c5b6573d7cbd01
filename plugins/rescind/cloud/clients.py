"""The clients of the three services."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from rescind.cloud.base import Prepared, ReplyT, Request
from rescind.cloud.client import CloudClient
from rescind.cloud.connection.permission_probe import Probe
from rescind.cloud.connection.permission_reads import DMS, QUICKBI, WEDATA
from rescind.cloud.connection.settings import ClientSettings
from rescind.cloud.dms.inventory import GetUserActiveTenant
from rescind.cloud.quickbi.inventory import QueryUserList
from rescind.cloud.wedata.inventory import ListProjects
from rescind.errors import ConfigurationError


class WeDataClient(CloudClient):
    """Tencent Cloud WeData."""

    service: ClassVar[str] = "wedata"
    probes: ClassVar[tuple[Probe, ...]] = WEDATA

    async def probe(self) -> str:
        """One harmless authenticated read; a few words on what it saw."""
        page = (await self.read(ListProjects(PageNumber=1, PageSize=10))).value
        total = page.total()
        return "projects listed" if total is None else f"{total} projects"


class DmsClient(CloudClient):
    """Alibaba Cloud DMS Enterprise. Sends the tenant id with every request once it is known."""

    service: ClassVar[str] = "dms"
    probes: ClassVar[tuple[Probe, ...]] = DMS
    _tenant: str | None = None
    _asking: asyncio.Lock | None = None

    @property
    def tenant(self) -> str | None:
        """The tenant id: of the connection, or as found by :meth:`find_tenant`."""
        return self.settings.tid or self._tenant

    async def find_tenant(self) -> str:
        """Return the tenant id: of the connection, or the caller's active one, which the service is asked for once."""
        if not self.tenant:
            self._asking = self._asking or asyncio.Lock()
            async with self._asking:
                if not self.tenant:
                    self._tenant = (await self.read(GetUserActiveTenant())).value.Tenant.Tid
        return self.tenant or ""

    def prepare(self, request: Request[ReplyT]) -> Prepared[ReplyT]:
        """As in the base class, with the tenant id filled in where the message leaves it open."""
        if self.tenant and "Tid" in type(request).model_fields and getattr(request, "Tid", None) is None:
            values = {name: getattr(request, name) for name in type(request).model_fields}
            request = type(request)(**{**values, "Tid": self.tenant})
        return super().prepare(request)

    async def probe(self) -> str:
        """One harmless authenticated read; a few words on what it saw."""
        tenant = (await self.read(GetUserActiveTenant())).value.Tenant
        return f"tenant {tenant.Tid}"


class QuickBiClient(CloudClient):
    """Alibaba Cloud Quick BI."""

    service: ClassVar[str] = "quickbi"
    probes: ClassVar[tuple[Probe, ...]] = QUICKBI

    async def probe(self) -> str:
        """One harmless authenticated read; a few words on what it saw."""
        page = (await self.read(QueryUserList(PageNum=1, PageSize=1))).value
        total = page.total()
        return "members listed" if total is None else f"{total} members"


_CLIENTS: dict[str, type[WeDataClient] | type[DmsClient] | type[QuickBiClient]] = {
    "wedata": WeDataClient,
    "dms": DmsClient,
    "quickbi": QuickBiClient,
}


def client_class(settings: ClientSettings) -> type[WeDataClient] | type[DmsClient] | type[QuickBiClient]:
    """The client class for the settings' service."""
    try:
        return _CLIENTS[settings.service]
    except KeyError:
        raise ConfigurationError(f"service: {settings.service} is not known") from None
