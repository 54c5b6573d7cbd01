"""Records of permissions: the three lists, RevokeUserPermission, GrantUserPermission."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from emulator.dms import DMS
from emulator.dms.common import PAGE, caller, cut, failure
from emulator.errors import ApiError
from emulator.registry import Call
from emulator.store.dms import TIME_FORMAT, Record, Target

DS_TYPES = ("INSTANCE", "DATABASE", "LOGIC_DATABASE", "TABLE", "LOGIC_TABLE")
PERM_TYPES = ("QUERY", "EXPORT", "CORRECT", "LOGIN", "PERF")
KINDS = {
    "INSTANCE": ("INSTANCE",), "DATABASE": ("DATABASE", "LOGIC_DATABASE"), "TABLE": ("TABLE", "LOGIC_TABLE"),
    "COLUMN": ("COLUMN",),
}  # fmt: skip
OBJECT = "DsType! InstanceId:int DbId Logic:bool TableId TableName"


def _visible(call: Call, records: Iterable[Record]) -> list[Record]:
    """Records that lists show: expired ones too unless the mode hides them, by kind of database if asked."""
    logic = call.params.get("Logic")
    if logic is None and call.world.modes["dms_logic_omitted"] == "physical":
        logic = False
    hide = call.world.modes["dms_expired"] == "hidden"
    now = call.world.today if hide else ""
    return [
        record
        for record in records
        if (logic is None or record.target.ds_type == "INSTANCE" or record.target.logic == logic)
        and not (hide and record.expires < now)
    ]


def _grouped(records: Iterable[Record]) -> list[list[Record]]:
    """Records put together by user and object, in order of first appearance: one row each."""
    rows: dict[tuple[str, Target], list[Record]] = {}
    for record in records:
        rows.setdefault((record.user_id, record.target), []).append(record)
    return list(rows.values())


def _total(call: Call, rows: list[list[Record]]) -> int:
    """``TotalCount``: rows, or records, by mode."""
    return sum(map(len, rows)) if call.world.modes["dms_total"] == "records" else len(rows)


def _details(records: list[Record]) -> dict[str, Any]:
    return {"PermDetail": [
        {
            "UserAccessId": str(record.access_id), "PermType": record.perm, "CreateDate": record.created,
            "ExpireDate": record.expires, "OriginFrom": record.origin, "ExtraData": "",
        }
        for record in records
    ]}  # fmt: skip


def _row(call: Call, records: list[Record], *, host: bool) -> dict[str, Any]:
    target, user_id = records[0].target, records[0].user_id
    store = call.world.dms
    user, instance = store.users.get(user_id), store.instances.get(target.instance_id)
    row: dict[str, Any] = {
        "UserId": user_id, "UserNickName": user.nick if user else "", "InstanceId": str(target.instance_id),
        "PermDetails": _details(records), "DsType": _ds_type(call, target),
    }  # fmt: skip
    if instance is not None:
        row |= {"DbType": instance.db_type, "EnvType": instance.env, "Alias": instance.alias}
        if host:
            row |= {"Host": instance.host, "Port": instance.port}
    if database := store.databases.get(target.db_id):
        row |= {
            "DbId": str(target.db_id), "Logic": target.logic, "SchemaName": database.schema,
            "SearchName": database.schema if target.logic else f"{database.schema}@{instance.host if instance else ''}",
        }  # fmt: skip
    if target.table_id:
        row |= {"TableId": str(target.table_id), "TableName": target.table_name}
    if target.column:
        row["ColumnName"] = target.column
    return row


def _ds_type(call: Call, target: Target) -> str:
    empty = target.ds_type == "INSTANCE" and call.world.modes["dms_instance_ds_type"] == "empty"
    return "" if empty else target.ds_type


def _kinds(call: Call, *, instance: bool) -> tuple[str, ...]:
    kind = call.text("PermType")
    if kind not in KINDS or (kind == "INSTANCE" and not instance):
        raise failure(call, "InvalidParameterValid", f"PermType {kind} is not valid.", 400)
    return KINDS[kind]


@DMS.action("ListUserPermissions", f"Tid:int UserId! PermType! {PAGE} DatabaseName DbType EnvType Logic:bool SearchKey")
def list_user_permissions(call: Call) -> dict[str, Any]:
    """Records of one user for one kind of object; ``TotalCount`` counts rows, not records."""
    caller(call)
    kinds = _kinds(call, instance=True)
    if call.text("UserId") not in call.world.dms.users:
        raise failure(call, "UserNotExist", "The specified user does not exist.", 404)
    records = [record for record in call.world.dms.of_user(call.text("UserId")) if record.target.ds_type in kinds]
    rows = [row for row in _grouped(_visible(call, records)) if _fits(call, row[0].target)]
    page = [_row(call, row, host=True) for row in cut(call, rows)]
    return {"TotalCount": _total(call, rows), "UserPermissions": {"UserPermission": page}}


def _fits(call: Call, target: Target) -> bool:
    store = call.world.dms
    instance, database = store.instances.get(target.instance_id), store.databases.get(target.db_id)
    key = call.text("SearchKey")
    texts = [instance.host if instance else "", database.schema if database else "", target.table_name]
    return (
        call.text("DbType") in ("", instance.db_type if instance else "")
        and call.text("EnvType") in ("", instance.env if instance else "")
        and call.text("DatabaseName") in ("", database.schema if database else "")
        and (not key or any(key in text for text in texts))
    )


def _by_nick(call: Call, rows: list[list[Record]]) -> list[list[Record]]:
    name, users = call.text("UserName"), call.world.dms.users
    return [row for row in rows if not name or (row[0].user_id in users and name in users[row[0].user_id].nick)]


@DMS.action("ListDatabaseUserPermssions", f"Tid:int DbId! PermType! {PAGE} Logic:bool UserName")
def list_database_permissions(call: Call) -> dict[str, Any]:
    """Records of all users on one database, its tables or its columns (the name is the vendor's spelling)."""
    caller(call)
    kinds, text = _kinds(call, instance=False), call.text("DbId")
    database = call.world.dms.databases.get(int(text)) if text.isdecimal() else None
    if database is None:
        raise failure(call, "DatabaseNotExist", "The specified database does not exist.", 404)
    records = [record for record in call.world.dms.of_database(database.db_id) if record.target.ds_type in kinds]
    rows = _by_nick(call, _grouped(_visible(call, records)))
    page = [_row(call, row, host=False) for row in cut(call, rows)]
    return {"TotalCount": _total(call, rows), "UserPermissions": {"UserPermission": page}}


@DMS.action("ListInstanceUserPermissions", f"Tid:int InstanceId! {PAGE} UserName")
def list_instance_permissions(call: Call) -> dict[str, Any]:
    """Records of all users on one instance itself. Rows carry no DsType and no database fields."""
    caller(call)
    text = call.text("InstanceId")
    if not text.isdecimal() or int(text) not in call.world.dms.instances:
        raise failure(call, "InstanceNotExist", "The specified instance does not exist.", 404)
    rows = _by_nick(call, _grouped(_visible(call, call.world.dms.of_instance(int(text)))))
    names = ("InstanceId", "UserId", "UserNickName", "PermDetails")
    page = [{name: full[name] for name in names} for row in cut(call, rows) for full in [_row(call, row, host=False)]]
    return {"TotalCount": _total(call, rows), "UserPermissions": {"UserPermission": page}}


@DMS.action("RevokeUserPermission", f"Tid:int UserId! {OBJECT} PermTypes! UserAccessId!", write=True)
def revoke_user_permission(call: Call) -> dict[str, Any]:
    """Withdraw one record. Its id alone decides, unless the mode compares the other fields with the record."""
    caller(call)
    _check_words(call)
    store, text = call.world.dms, call.text("UserAccessId")
    record = store.records.get(int(text)) if text.isdecimal() else None
    if record is None:
        return _absent(call)
    if record.target.ds_type == "COLUMN":
        raise failure(call, "NotSupportYet", "Column permissions cannot be revoked by this operation.", 403)
    if call.world.modes["dms_check_fields"] == "strict" and (field := _mismatch(call, record)):
        raise ApiError("InvalidParameterValid", f"{field} does not match the permission record.", 200, in_body=True)
    store.remove(record.access_id)
    return {}


def _check_words(call: Call) -> None:
    if call.text("DsType") not in DS_TYPES:
        raise failure(call, "InvalidParameterValid", "DsType is not valid.", 400)
    words = call.text("PermTypes").split(",")
    if any(word not in PERM_TYPES for word in words):
        raise failure(call, "InvalidParameterValid", "PermTypes is not valid.", 400)


def _absent(call: Call) -> dict[str, Any]:
    mode = call.world.modes["dms_absent_revoke"]
    if mode == "success":
        return {}
    raise ApiError(
        "InvalidParameterValid", "The specified permission record does not exist.", 400, in_body=mode == "refused"
    )


def _mismatch(call: Call, record: Record) -> str:
    target, params = record.target, call.params
    checks = {
        "UserId": (params["UserId"], record.user_id),
        "DsType": (params["DsType"], target.ds_type),
        "PermTypes": (params["PermTypes"], record.perm),
        "InstanceId": (params.get("InstanceId", target.instance_id), target.instance_id),
        "DbId": (params.get("DbId", str(target.db_id or "")), str(target.db_id or "")),
        "Logic": (params.get("Logic", target.logic), target.logic),
        "TableId": (params.get("TableId", str(target.table_id or "")), str(target.table_id or "")),
        "TableName": (params.get("TableName", target.table_name), target.table_name),
    }
    return next((name for name, (given, held) in checks.items() if given != held), "")


def make_target(call: Call) -> Target:
    """The object that a grant names.

    :raises ApiError: for a missing or unknown object.
    """
    store, params, kind = call.world.dms, call.params, call.text("DsType")
    if kind == "INSTANCE":
        if params.get("InstanceId") not in store.instances:
            raise failure(call, "InstanceNotExist", "The specified instance does not exist.", 404)
        return Target(kind, params["InstanceId"])
    text = call.text("DbId")
    database = store.databases.get(int(text)) if text.isdecimal() else None
    logic = kind.startswith("LOGIC_")
    if database is None or database.logic != logic or params.get("Logic", logic) != logic:
        raise failure(call, "DatabaseNotExist", "The specified database does not exist.", 404)
    if kind in ("DATABASE", "LOGIC_DATABASE"):
        return Target(kind, database.instance_id, database.db_id, logic)
    table_id, name = call.text("TableId"), call.text("TableName")
    for table in database.tables:
        if str(table.table_id) == table_id or (not table_id and table.name == name):
            return Target(kind, database.instance_id, database.db_id, logic, table.table_id, table.name)
    raise failure(call, "TableNotExist", "The specified table does not exist.", 404)


@DMS.action("GrantUserPermission", f"Tid:int UserId! {OBJECT} PermTypes! ExpireDate!", write=True, methods=("POST",))
def grant_user_permission(call: Call) -> dict[str, Any]:
    """Give one or more privileges (comma list) on an object: a new record with a new id for each."""
    me = caller(call)
    _check_words(call)
    if call.text("UserId") not in call.world.dms.users:
        raise failure(call, "UserNotExist", "The specified user does not exist.", 404)
    check_date(call, call.text("ExpireDate"))
    target = make_target(call)
    for perm in call.text("PermTypes").split(","):
        call.world.dms.add(call.text("UserId"), target, perm, call.world.today, call.text("ExpireDate"),
                           f"Granted by {me.nick}")  # fmt: skip
    return {}


def check_date(call: Call, text: str) -> None:
    """Refuse what is no ``yyyy-MM-dd HH:mm:ss``.

    :raises ApiError: InvalidParameterValid.
    """
    try:
        datetime.strptime(text, TIME_FORMAT)
    except ValueError:
        raise failure(call, "InvalidParameterValid", "ExpireDate must be yyyy-MM-dd HH:mm:ss.", 400) from None
