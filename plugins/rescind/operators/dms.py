"""Operators for single calls to Alibaba Cloud DMS Enterprise, for any DAG."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from rescind.cloud.dms.permissions import ListUserPermissions
from rescind.hooks.single_calls.grants import DmsPermission, VendorGrant
from rescind.operators.bases.vendor_call import ListOperator, RevokeOperator, VerifyGoneOperator


class DmsListUserPermissionsOperator(ListOperator):
    """List every permission record of one user for one kind of object.

    See :class:`~rescind.operators.bases.vendor_call.ListOperator` for the result.

    :param user_id: the DMS user id, not the UID of the cloud account. (templated)
    :param object_kind: ``INSTANCE``, ``DATABASE``, ``TABLE`` or ``COLUMN``. (templated)
    :param dms_conn_id: connection to DMS. (templated)
    """

    grant_kind: ClassVar[type[VendorGrant]] = DmsPermission
    template_fields: Sequence[str] = ("dms_conn_id", "user_id", "object_kind")

    def __init__(self, *, user_id: str, object_kind: str, dms_conn_id: str = "dms_default", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dms_conn_id = dms_conn_id
        self.user_id = user_id
        self.object_kind: Any = object_kind

    def request(self) -> ListUserPermissions:
        """Return the listing of the user's records for that kind."""
        return ListUserPermissions(UserId=self.user_id, PermType=self.object_kind)


class DmsRevokeUserPermissionOperator(RevokeOperator):
    """Revoke one permission record of a user. Give the fields as the listing's row shows them.

    See :class:`~rescind.operators.bases.vendor_call.RevokeOperator` for ``send``, the result and retries.

    :param user_id: the DMS user id. (templated)
    :param user_access_id: the id of the record. (templated)
    :param ds_type: ``INSTANCE``, ``DATABASE``, ``LOGIC_DATABASE``, ``TABLE`` or ``LOGIC_TABLE``. (templated)
    :param perm_type: the record's one privilege. (templated)
    :param instance_id: needed for ``INSTANCE``. (templated)
    :param db_id: needed for all other kinds. (templated)
    :param table_id: needed for tables. (templated)
    :param table_name: for tables. (templated)
    :param dms_conn_id: connection to DMS. (templated)
    :param send: True sends the request. False (the default) returns it and sends nothing.
    """

    grant_kind: ClassVar[type[VendorGrant]] = DmsPermission
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
        self.ds_type = ds_type
        self.perm_type = perm_type
        self.instance_id = instance_id
        self.db_id = db_id
        self.table_id = table_id
        self.table_name = table_name

    def grant(self) -> VendorGrant:
        """Return the record, with the object that it is on."""
        return DmsPermission(
            user_id=self.user_id,
            user_access_id=self.user_access_id,
            ds_type=self.ds_type,
            perm_type=self.perm_type,
            instance_id=self.instance_id,
            db_id=self.db_id,
            table_id=self.table_id,
            table_name=self.table_name,
        )


class DmsVerifyUserPermissionsGoneOperator(VerifyGoneOperator):
    """Check that permission records are gone; fail the task if one is still present.

    Another record of the same permission on the same object (a regrant has a new id) counts as still present. See
    :class:`~rescind.operators.bases.vendor_call.VerifyGoneOperator`.

    :param grants: one mapping or a list of them, with the parameters of :class:`DmsRevokeUserPermissionOperator` as
        keys. (templated)
    :param dms_conn_id: connection to DMS. (templated)
    """

    grant_kind: ClassVar[type[VendorGrant]] = DmsPermission
    template_fields: Sequence[str] = ("dms_conn_id", "grants")

    def __init__(self, *, dms_conn_id: str = "dms_default", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dms_conn_id = dms_conn_id
