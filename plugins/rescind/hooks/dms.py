"""Hook for Alibaba Cloud DMS Enterprise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, cast

from rescind.cloud.connection.settings import Service
from rescind.hooks.base import CloudHook

if TYPE_CHECKING:
    from rescind.cloud.base import Pacer
    from rescind.cloud.clients import DmsClient


class DmsHook(CloudHook):
    """Connects to Alibaba Cloud DMS Enterprise.

    :param dms_conn_id: the connection's id.
    """

    service: ClassVar[Service] = "dms"
    conn_name_attr: ClassVar[str] = "dms_conn_id"
    default_conn_name: ClassVar[str] = "dms_default"
    conn_type: ClassVar[str] = "alibaba_dms"
    hook_name: ClassVar[str] = "Alibaba Cloud DMS Enterprise"

    def __init__(self, dms_conn_id: str = default_conn_name, **kwargs: Any) -> None:
        super().__init__(dms_conn_id, **kwargs)
        self.dms_conn_id = dms_conn_id

    def get_conn(self, pacer: Pacer | None = None) -> DmsClient:
        """Return the asynchronous client; see :meth:`CloudHook.get_conn`."""
        return cast("DmsClient", self._client(pacer))
