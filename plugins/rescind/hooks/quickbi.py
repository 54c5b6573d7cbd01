"""Hook for Alibaba Cloud Quick BI."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, cast

from rescind.cloud.connection.settings import Service
from rescind.hooks.base import CloudHook

if TYPE_CHECKING:
    from rescind.cloud.base import Pacer
    from rescind.cloud.clients import QuickBiClient


class QuickBiHook(CloudHook):
    """Connects to Alibaba Cloud Quick BI.

    :param quickbi_conn_id: the connection's id.
    """

    service: ClassVar[Service] = "quickbi"
    conn_name_attr: ClassVar[str] = "quickbi_conn_id"
    default_conn_name: ClassVar[str] = "quickbi_default"
    conn_type: ClassVar[str] = "alibaba_quickbi"
    hook_name: ClassVar[str] = "Alibaba Cloud Quick BI"

    def __init__(self, quickbi_conn_id: str = default_conn_name, **kwargs: Any) -> None:
        super().__init__(quickbi_conn_id, **kwargs)
        self.quickbi_conn_id = quickbi_conn_id

    def get_conn(self, pacer: Pacer | None = None) -> QuickBiClient:
        """Return the asynchronous client; see :meth:`CloudHook.get_conn`."""
        return cast("QuickBiClient", self._client(pacer))
