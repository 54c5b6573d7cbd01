"""Single calls to Alibaba Cloud DMS Enterprise, for anybody's Dag; see :mod:`rescind.operators.vendor_call`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rescind.cloud.clients import DmsClient
from rescind.cloud.dms.permissions import ListUserPermissions, RevokeUserPermission
from rescind.hooks.dms import DmsHook
from rescind.operators.vendor_call import ListOperator, RevokeOperator


class DmsListUserPermissionsOperator(ListOperator):
    """All permission records of one user for one kind of object; see :class:`ListOperator`.

    :param dms_conn_id: the connection. (templated)
    :param user_id: the DMS user id, not the cloud account's UID. (templated)
    :param object_kind: ``INSTANCE``, ``DATABASE``, ``TABLE`` or ``COLUMN``. (templated)
    """

    template_fields: Sequence[str] = ("dms_conn_id", "user_id", "object_kind")

    def __init__(self, *, user_id: str, object_kind: str, dms_conn_id: str = "dms_default", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dms_conn_id = dms_conn_id
        self.user_id = user_id
        self.object_kind: Any = object_kind

    def client(self) -> DmsClient:
        """The client of ``dms_conn_id``."""
        return DmsHook(self.dms_conn_id).get_conn()

    def request(self) -> ListUserPermissions:
        """The user's records of that kind."""
        return ListUserPermissions(UserId=self.user_id, PermType=self.object_kind)


class DmsRevokeUserPermissionOperator(RevokeOperator):
    """Take one permission record from a user; see :class:`RevokeOperator`.

    Give the fields as the listing's row shows them.

    :param dms_conn_id: the connection. (templated)
    :param user_id: the DMS user id. (templated)
    :param user_access_id: the id of the record. (templated)
    :param ds_type: ``INSTANCE``, ``DATABASE``, ``LOGIC_DATABASE``, ``TABLE`` or ``LOGIC_TABLE``. (templated)
    :param perm_type: the record's one privilege. (templated)
    :param instance_id: needed for ``INSTANCE``. (templated)
    :param db_id: needed for all other kinds. (templated)
    :param table_id: needed for tables. (templated)
    :param table_name: for tables. (templated)
    """

    template_fields: Sequence[str] = (
        "dms_conn_id",
        "user_id",
        "user_access_id",
        "ds_type",
        "perm_type",
        "instance_id",
        "db_id",
        "table_id",
        "table_name",
    )

    def __init__(
        self,
        *,
        user_id: str,
        user_access_id: str,
        ds_type: str,
        perm_type: str,
        instance_id: str | None = None,
        db_id: str | None = None,
        table_id: str | None = None,
        table_name: str | None = None,
        dms_conn_id: str = "dms_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.dms_conn_id = dms_conn_id
        self.user_id = user_id
        self.user_access_id = user_access_id
        self.ds_type: Any = ds_type
        self.perm_type: Any = perm_type
        self.instance_id = instance_id
        self.db_id = db_id
        self.table_id = table_id
        self.table_name = table_name

    def client(self) -> DmsClient:
        """The client of ``dms_conn_id``."""
        return DmsHook(self.dms_conn_id).get_conn()

    def request(self) -> RevokeUserPermission:
        """The record, with the object that it is on."""
        return RevokeUserPermission(
            UserId=self.user_id,
            UserAccessId=self.user_access_id,
            DsType=self.ds_type,
            PermTypes=self.perm_type,
            InstanceId=self.instance_id,
            DbId=self.db_id,
            Logic=None if self.ds_type == "INSTANCE" else self.ds_type.startswith("LOGIC_"),
            TableId=self.table_id,
            TableName=self.table_name,
        )
