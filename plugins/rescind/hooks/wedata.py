"""Hook for Tencent Cloud WeData."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, cast

from rescind.cloud.connection.settings import Service
from rescind.hooks.base import CloudHook

if TYPE_CHECKING:
    from rescind.cloud.base import Pacer
    from rescind.cloud.clients import WeDataClient


class WeDataHook(CloudHook):
    """Connects to Tencent Cloud WeData.

    :param wedata_conn_id: the connection's id.
    """

    service: ClassVar[Service] = "wedata"
    conn_name_attr: ClassVar[str] = "wedata_conn_id"
    default_conn_name: ClassVar[str] = "wedata_default"
    conn_type: ClassVar[str] = "tencent_wedata"
    hook_name: ClassVar[str] = "Tencent Cloud WeData"

    def __init__(self, wedata_conn_id: str = default_conn_name, **kwargs: Any) -> None:
        super().__init__(wedata_conn_id, **kwargs)
        self.wedata_conn_id = wedata_conn_id

    def get_conn(self, pacer: Pacer | None = None) -> WeDataClient:
        """Return the asynchronous client; see :meth:`CloudHook.get_conn`."""
        return cast("WeDataClient", self._client(pacer))
