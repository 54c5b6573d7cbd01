"""Sensors for Tencent Cloud WeData."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from rescind.hooks.single_calls.grants import VendorGrant, WeDataDataSourceAuthorization, WeDataPrivilege
from rescind.sensors.grant_gone import GrantGoneSensor


class WeDataPrivilegeGoneSensor(GrantGoneSensor):
    """Wait until one privilege is gone; see :class:`~rescind.sensors.grant_gone.GrantGoneSensor`.

    A privilege that the object inherits from a parent counts as still present, because it remains effective.

    :param grant: mapping with the keys ``resource_type``, ``resource_uri``, ``subject_type``, ``subject_value`` and
        ``privilege``. (templated)
    :param wedata_conn_id: connection to WeData. (templated)
    :param deferrable: True waits in the triggerer and frees the worker slot.
    """

    grant_kind: ClassVar[type[VendorGrant]] = WeDataPrivilege
    template_fields: Sequence[str] = ("wedata_conn_id", "grant")

    def __init__(self, *, wedata_conn_id: str = "wedata_default", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.wedata_conn_id = wedata_conn_id


class WeDataDataSourceAuthorizationGoneSensor(GrantGoneSensor):
    """Wait until one authorization of a data source is gone; see :class:`~rescind.sensors.grant_gone.GrantGoneSensor`.

    :param grant: mapping with the keys ``data_source_id``, ``project_id`` and either ``user_id`` or ``whole_project``
        (True). (templated)
    :param wedata_conn_id: connection to WeData. (templated)
    :param deferrable: True waits in the triggerer and frees the worker slot.
    """

    grant_kind: ClassVar[type[VendorGrant]] = WeDataDataSourceAuthorization
    template_fields: Sequence[str] = ("wedata_conn_id", "grant")

    def __init__(self, *, wedata_conn_id: str = "wedata_default", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.wedata_conn_id = wedata_conn_id
