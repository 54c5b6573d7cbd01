"""Sensor for Alibaba Cloud DMS Enterprise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from rescind.hooks.single_calls.grants import DmsPermission, VendorGrant
from rescind.sensors.grant_gone import GrantGoneSensor


class DmsUserPermissionGoneSensor(GrantGoneSensor):
    """Wait until one permission record is gone; see :class:`~rescind.sensors.grant_gone.GrantGoneSensor`.

    Another record of the same permission on the same object (a regrant has a new id) counts as still present.

    :param grant: mapping with the parameters of the revoke operator as keys. (templated)
    :param dms_conn_id: connection to DMS. (templated)
    :param deferrable: True waits in the triggerer and frees the worker slot.
    """

    grant_kind: ClassVar[type[VendorGrant]] = DmsPermission
    template_fields: Sequence[str] = ("dms_conn_id", "grant")

    def __init__(self, *, dms_conn_id: str = "dms_default", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dms_conn_id = dms_conn_id
