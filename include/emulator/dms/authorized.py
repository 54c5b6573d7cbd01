"""Effective access, whatever its source: records still valid, ownership, policies."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from emulator.dms import DMS
from emulator.dms.common import TEXT_PAGE, caller, cut, failure
from emulator.dms.objects import find_database
from emulator.registry import Call
from emulator.store.dms import Database, Instance

_DATA = ("QUERY", "EXPORT", "CORRECT")


class Path(NamedTuple):
    """One way in which a user reaches an object."""

    user_id: str
    ds_type: str
    perm: str
    expires: str
    message: str

    def detail(self) -> dict[str, Any]:
        """The vendor's ``PermissionDetail``."""
        return {"DsType": self.ds_type, "PermType": self.perm, "ExpireDate": self.expires, "Message": self.message}


def instance_paths(call: Call, instance: Instance) -> Iterator[Path]:
    """How users reach an instance."""
    store, now = call.world.dms, call.world.today
    for record in store.of_instance(instance.instance_id):
        if record.expires >= now:
            yield Path(record.user_id, "INSTANCE", record.perm, record.expires, "")
    for user in {instance.dba, *instance.owners}:
        yield Path(user, "INSTANCE", "", "", "owner or DBA")
    for policy in store.policies:
        if policy.instance_id == instance.instance_id and not policy.db_id:
            for user in policy.user_ids:
                yield Path(user, "INSTANCE", policy.perm, "", f"policy {policy.name}")


def database_paths(call: Call, database: Database) -> Iterator[Path]:
    """How users reach a database: on itself, through its instance, as owners, by policy."""
    store, now = call.world.dms, call.world.today
    kind = "LOGIC_DATABASE" if database.logic else "DATABASE"
    for record in store.of_database(database.db_id):
        if record.target.ds_type == kind and record.expires >= now:
            yield Path(record.user_id, kind, record.perm, record.expires, "")
    if not database.logic:
        for record in store.of_instance(database.instance_id):
            if record.perm in _DATA and record.expires >= now:
                yield Path(record.user_id, "INSTANCE", record.perm, record.expires, "")
    for user in database.owners:
        yield Path(user, kind, "", "", "owner")
    for policy in store.policies:
        if policy.db_id == database.db_id:
            for user in policy.user_ids:
                yield Path(user, kind, policy.perm, "", f"policy {policy.name}")


def _active(call: Call, user_id: str) -> bool:
    user = call.world.dms.users.get(user_id)
    return user is not None and user.state == "NORMAL"


def _known(call: Call) -> str:
    caller(call)
    if call.text("UserId") not in call.world.dms.users:
        raise failure(call, "UserNotExist", "The specified user does not exist.", 404)
    return call.text("UserId")


@DMS.action("ListAuthorizedInstancesForUser", f"Tid:int UserId! {TEXT_PAGE} DbType EnvType SearchKey", bare=True)
def instances_for_user(call: Call) -> dict[str, Any]:
    """Instances a user can reach. No TotalCount, no Success."""
    user_id, rows = _known(call), []
    for instance in call.world.dms.instances.values():
        if call.text("DbType") not in ("", instance.db_type) or call.text("EnvType") not in ("", instance.env):
            continue
        for path in instance_paths(call, instance):
            if path.user_id == user_id and _active(call, user_id):
                rows.append({
                    "InstanceId": str(instance.instance_id), "InstanceAlias": instance.alias, "Host": instance.host,
                    "Port": str(instance.port), "DbType": instance.db_type, "EnvType": instance.env,
                    "UserId": user_id, "UserName": call.world.dms.users[user_id].nick,
                    "PermissionDetail": path.detail(),
                })  # fmt: skip
    return {"Instances": cut(call, rows)}


@DMS.action(
    "ListAuthorizedDatabasesForUser", f"Tid:int UserId! {TEXT_PAGE} DbType EnvType Logic:bool SearchKey", bare=True
)
def databases_for_user(call: Call) -> dict[str, Any]:
    """Databases a user can reach: one row for each way in."""
    user_id, rows = _known(call), []
    for database in call.world.dms.databases.values():
        if call.params.get("Logic", database.logic) != database.logic:
            continue
        if call.text("SearchKey") not in database.schema or not _active(call, user_id):
            continue
        for path in database_paths(call, database):
            if path.user_id == user_id:
                rows.append({
                    "DbId": str(database.db_id), "InstanceId": str(database.instance_id), "Logic": database.logic,
                    "SchemaName": database.schema, "SearchName": database.schema, "DbType": database.db_type,
                    "EnvType": database.env, "UserId": user_id, "PermissionDetail": path.detail(),
                })  # fmt: skip
    return {"Databases": cut(call, rows)}


def _users(call: Call, paths: Iterator[Path], *, real_name: bool) -> dict[str, Any]:
    users, rows = call.world.dms.users, []
    for user_id in dict.fromkeys(path.user_id for path in paths):
        user = users.get(user_id)
        if user is None or user.state != "NORMAL" or call.text("SearchKey") not in user.nick:
            continue
        row = {"UserId": user_id, "Uid": user.uid, "UserNickName": user.nick}
        rows.append({**row, "UserRealName": user.nick} if real_name else row)
    return {"Users": cut(call, rows)}


@DMS.action("ListAuthorizedUsersForInstance", f"Tid:int InstanceId! {TEXT_PAGE} SearchKey", bare=True)
def users_for_instance(call: Call) -> dict[str, Any]:
    """Users that can reach an instance."""
    caller(call)
    text = call.text("InstanceId")
    instance = call.world.dms.instances.get(int(text)) if text.isdecimal() else None
    if instance is None:
        raise failure(call, "InstanceNotExist", "The specified instance does not exist.", 404)
    return _users(call, instance_paths(call, instance), real_name=True)


@DMS.action("ListAuthorizedUsersForDatabase", f"Tid:int DbId! {TEXT_PAGE} Logic:bool SearchKey", bare=True)
def users_for_database(call: Call) -> dict[str, Any]:
    """Users that can reach a database."""
    caller(call)
    database = find_database(call, call.text("DbId"), logic=call.params.get("Logic", False))
    return _users(call, database_paths(call, database), real_name=False)


@DMS.action(
    "CheckBatchTableAccessPermission", "Tid:int DbId!:int PermissionType! TableNameList!:json Logic:bool",
    methods=("POST",),
)  # fmt: skip
def check_tables(call: Call) -> dict[str, Any]:
    """Whether the caller itself has a privilege on tables; ``Success`` of each is a text."""
    me = caller(call)
    database = find_database(call, str(call.params["DbId"]), logic=call.params.get("Logic", False))
    perm, now = call.text("PermissionType"), call.world.today
    whole = any(path.user_id == me.user_id and path.perm in ("", perm) for path in database_paths(call, database))
    tables = {
        record.target.table_name
        for record in call.world.dms.of_database(database.db_id)
        if record.user_id == me.user_id and record.perm == perm and record.target.table_id and record.expires >= now
    }
    return {"Data": [
        {"TableName": name, "Success": "true" if whole or name in tables else "false",
         "ErrorMessage": "" if whole or name in tables else "no permission"}
        for name in call.params["TableNameList"]
    ]}  # fmt: skip
