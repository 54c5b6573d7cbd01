"""Single calls to Alibaba Cloud DMS Enterprise, for anybody's Dag; see :mod:`rescind.operators.wedata`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.sdk import BaseOperator, Context

from rescind.cloud.dms_messages import ListUserPermissions, RevokeUserPermission
from rescind.hooks.calls import airflow_outcomes, checked_flag, described, list_all, write_once
from rescind.hooks.dms import DmsHook


class DmsListUserPermissionsOperator(BaseOperator):
    """All permission records of one user for one kind of object, or a failed task; never a part of them.

    Returns ``{"rows": [...], "record": {...}}`` with rows as the vendor spells them. Reads are safe to retry.

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

    def execute(self, context: Context) -> dict[str, Any]:
        """List to the end."""
        with airflow_outcomes():
            return self._execute()

    def _execute(self) -> dict[str, Any]:
        request = ListUserPermissions(UserId=self.user_id, PermType=self.object_kind)
        return list_all(DmsHook(self.dms_conn_id).get_conn(), request)


class DmsRevokeUserPermissionOperator(BaseOperator):
    """Take one permission record from a user. Give the fields as the listing's row shows them.

    With ``dry_run`` (the default) nothing is sent and the request that would be sent is returned. Otherwise
    the result says ``accepted``: the vendor said yes. That is no proof; list the permissions again.

    Retries: an answer that is lost or unclear fails the task without a retry. Throttled calls were not
    executed and are repeated here for up to ``patience_s``; after that ``retries`` may repeat the task.

    :param dms_conn_id: the connection. (templated)
    :param user_id: the DMS user id. (templated)
    :param user_access_id: the id of the record. (templated)
    :param ds_type: ``INSTANCE``, ``DATABASE``, ``LOGIC_DATABASE``, ``TABLE`` or ``LOGIC_TABLE``. (templated)
    :param perm_type: the record's one privilege. (templated)
    :param instance_id: needed for ``INSTANCE``. (templated)
    :param db_id: needed for all other kinds. (templated)
    :param table_id: needed for tables. (templated)
    :param table_name: for tables. (templated)
    :param dry_run: True sends nothing.
    :param patience_s: how long throttled attempts may go on, in seconds.
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
        dry_run: bool = True,
        patience_s: float = 120.0,
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
        self.only_describe = checked_flag("dry_run", dry_run)
        self.patience_s = patience_s

    def execute(self, context: Context) -> dict[str, Any]:
        """Describe or send."""
        with airflow_outcomes():
            return self._execute()

    def _execute(self) -> dict[str, Any]:
        request = RevokeUserPermission(
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
        client = DmsHook(self.dms_conn_id).get_conn()
        if self.only_describe:
            return described(client, request)
        answer = write_once(client, request, self.patience_s)
        return {"dry_run": False, "action": request.action, "outcome": "accepted", "request_id": answer.request_id}
