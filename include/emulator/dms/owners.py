"""Ownership, DBAs' role names and the control modes: what a user owns, SetOwners, UpdateUser, ListStandardGroups."""

from __future__ import annotations

from typing import Any

from emulator.dms import DMS
from emulator.dms.common import PAGE, caller, cut, failure
from emulator.dms.users import ROLE_IDS, find_by_uid
from emulator.registry import Call
from emulator.store.dms import Database, DmsUser, Instance, Table

_OWNER_TYPES = ("INSTANCE", "DATABASE", "LOGIC_DATABASE", "TABLE", "LOGIC_TABLE")


@DMS.action(
    "ListUserOwnedResources", f"Tid:int UserId! OwnerType! {PAGE} DatabaseName DbType EnvType Logic:bool",
    methods=("POST",),
)  # fmt: skip
def owned_resources(call: Call) -> dict[str, Any]:
    """What a user owns. No ``TotalCount``: page until a short page."""
    caller(call)
    kind, user = call.text("OwnerType"), call.text("UserId")
    if kind not in ("INSTANCE", "DATABASE", "TABLE"):
        raise failure(call, "InvalidParameterValid", "OwnerType must be INSTANCE, DATABASE or TABLE.", 400)
    return {"Data": {"resourceList": cut(call, list(_owned(call, kind, user)))}}


def _owned(call: Call, kind: str, user: str) -> list[dict[str, Any]]:
    store = call.world.dms
    if kind == "INSTANCE":
        return [_owned_row(instance, None, None) for instance in store.instances.values() if user in instance.owners]
    rows = []
    for database in store.databases.values():
        if database.logic != call.params.get("Logic", database.logic):
            continue
        instance = store.instances[database.instance_id]
        if kind == "DATABASE" and user in database.owners:
            rows.append(_owned_row(instance, database, None))
        elif kind == "TABLE":
            rows += [_owned_row(instance, database, table) for table in database.tables if user in table.owners]
    return rows


def _owned_row(instance: Instance, database: Database | None, table: Table | None) -> dict[str, Any]:
    return {
        "InstanceId": str(instance.instance_id), "DbInstanceId": str(instance.instance_id), "Host": instance.host,
        "Port": instance.port, "Alias": instance.alias, "DbType": instance.db_type, "EnvType": instance.env,
        "DbId": str(database.db_id) if database else "", "Logic": bool(database and database.logic),
        "SchemaName": database.schema if database else "", "SearchName": database.schema if database else instance.host,
        "TableId": str(table.table_id) if table else "", "TableName": table.name if table else "",
    }  # fmt: skip


@DMS.action("SetOwners", "Tid:int OwnerIds! OwnerType! ResourceId!", write=True)
def set_owners(call: Call) -> dict[str, Any]:
    """Replace the owners of one object by a comma list; or add them, by mode."""
    caller(call)
    store, kind, text = call.world.dms, call.text("OwnerType"), call.text("ResourceId")
    wanted = list(dict.fromkeys(call.text("OwnerIds").split(",")))
    owners = store.owners_of(kind, int(text)) if kind in _OWNER_TYPES and text.isdecimal() else None
    if owners is None:
        raise failure(call, "InvalidParameterValid", "OwnerType and ResourceId name no object.", 400)
    if any(user not in store.users for user in wanted):
        raise failure(call, "UserNotExist", "The specified user does not exist.", 404)
    if call.world.modes["dms_set_owners"] == "replace":
        for user in [user for user in owners if user not in wanted]:
            store.own(kind, int(text), user, remove=True)
    for user in wanted:
        store.own(kind, int(text), user)
    return {}


@DMS.action(
    "UpdateUser", "Tid:int Uid!:int UidString UserNick RoleNames Mobile MaxExecuteCount:int MaxResultCount:int",
    write=True,
)  # fmt: skip
def update_user(call: Call) -> dict[str, Any]:
    """Replace a user's roles by a comma list (or add them, by mode), and what else is given.

    Without roles, or with an empty text, the roles stay; what becomes of other fields that are left out has a mode.
    """
    store, user = call.world.dms, find_by_uid(call, call.text("UidString") or call.text("Uid"))
    if call.text("RoleNames"):
        roles = _roles(call, user)
        admins = [one for one in store.users.values() if "ADMIN" in one.roles and one.state == "NORMAL"]
        if admins == [user] and "ADMIN" not in roles and call.world.modes["dms_last_admin"] == "refused":
            raise failure(call, "InvalidParameterValid", "The tenant needs an administrator.", 400)
        store.set_roles(user, roles)
    reset = call.world.modes["dms_update_omitted"] == "reset"
    empty = DmsUser(user.user_id, user.uid, "", "") if reset else user
    user.nick = call.text("UserNick") or empty.nick
    user.mobile = call.text("Mobile") or empty.mobile
    user.most_queries = call.number("MaxExecuteCount", empty.most_queries)
    user.most_rows = call.number("MaxResultCount", empty.most_rows)
    return {}


def _roles(call: Call, user: DmsUser) -> tuple[str, ...]:
    """The roles that a user will have.

    :raises ApiError: InvalidParameterValid for an unknown role; for one of the tenant's own, by mode.
    """
    modes, own = call.world.modes, call.world.dms.custom_roles
    roles = list(dict.fromkeys(call.text("RoleNames").split(",")))
    refused = own if modes["dms_own_roles"] == "refused" else ()
    if any(role in refused or (role not in ROLE_IDS and role not in own) for role in roles):
        raise failure(call, "InvalidParameterValid", "RoleNames holds an unknown role.", 400)
    if modes["dms_own_roles"] != "replaced":
        roles += [role for role in user.roles if role in own]
    if modes["dms_update_roles"] == "add":
        roles = [*user.roles, *roles]
    return tuple(dict.fromkeys(roles))


@DMS.action("ListStandardGroups", "Tid:int")
def standard_groups(call: Call) -> dict[str, Any]:
    """Groups of security rules: one for each control mode and kind of database in use."""
    caller(call)
    pairs = sorted({(instance.mode, instance.db_type) for instance in call.world.dms.instances.values()})
    return {"StandardGroupList": [
        {"GroupId": number, "GroupMode": mode, "GroupName": mode.lower(), "DbType": db_type, "Description": "",
         "LastMenderId": 1}
        for number, (mode, db_type) in enumerate(pairs, 3001)
    ]}  # fmt: skip
