"""Sensor for Alibaba Cloud Quick BI."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from rescind.hooks.single_calls.grants import QuickBiMenuAuthorization, VendorGrant
from rescind.sensors.grant_gone import GrantGoneSensor


class QuickBiMenuAuthorizationGoneSensor(GrantGoneSensor):
    """Wait until menu authorizations are gone; see :class:`~rescind.sensors.grant_gone.GrantGoneSensor`.

    With several menus or receivers it waits until none of the pairs is listed.

    :param grant: mapping with the keys ``portal_id``, ``menu_ids``, ``user_ids`` and ``user_group_ids``. (templated)
    :param quickbi_conn_id: connection to Quick BI. (templated)
    :param deferrable: True waits in the triggerer and frees the worker slot.
    """

    grant_kind: ClassVar[type[VendorGrant]] = QuickBiMenuAuthorization
    template_fields: Sequence[str] = ("quickbi_conn_id", "grant")

    def __init__(self, *, quickbi_conn_id: str = "quickbi_default", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.quickbi_conn_id = quickbi_conn_id
