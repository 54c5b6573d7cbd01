"""Tenants and users."""

from __future__ import annotations

from typing import Any

from emulator.dms import DMS
from emulator.dms.common import PAGE, caller, cut, failure, optional_list
from emulator.keys import ALIBABA_ACCOUNT
from emulator.registry import Call
from emulator.store.dms import DmsStore, DmsUser

ROLE_IDS = {"USER": 1, "DBA": 2, "ADMIN": 3, "SECURITY_ADMIN": 4, "STRUCT_READ_ONLY": 5}


def _tenant(call: Call) -> dict[str, Any]:
    return {"Tid": call.world.dms.tenant_id, "TenantName": "demo-tenant", "Status": "ACTIVE"}


@DMS.action("GetUserActiveTenant", "Tid:int")
def active_tenant(call: Call) -> dict[str, Any]:
    """The tenant the caller uses now."""
    caller(call)
    return {"Tenant": _tenant(call)}


@DMS.action("ListUserTenants", "Tid:int")
def user_tenants(call: Call) -> dict[str, Any]:
    """All tenants of the caller: one."""
    caller(call)
    return {"TenantList": [_tenant(call)]}


def _user(call: Call, user: DmsUser, *, number: bool = False) -> dict[str, Any]:
    row = _fields(user, number=number)
    ids = {**ROLE_IDS, **call.world.dms.custom_roles}
    optional_list(call, row, "RoleIdList", [ids[role] for role in user.roles], "RoleIds")
    optional_list(call, row, "RoleNameList", list(user.roles), "RoleNames")
    return row


def _fields(user: DmsUser, *, number: bool) -> dict[str, Any]:
    return {
        "UserId": user.user_id, "Uid": user.uid, "NickName": user.nick, "Email": user.email, "State": user.state,
        "LastLoginTime": "2026-01-05 09:10:11",
        "ParentUid": int(ALIBABA_ACCOUNT) if number else ALIBABA_ACCOUNT, "Mobile": user.mobile, "DingRobot": "",
        "Webhook": "", "NotificationMode": "EMAIL", "SignatureMethod": "NONE", "CurExecuteCount": 0,
        "CurResultCount": 0, "MaxExecuteCount": user.most_queries, "MaxResultCount": user.most_rows,
    }  # fmt: skip


@DMS.action("ListUsers", f"Tid:int {PAGE} Role SearchKey UserState")
def list_users(call: Call) -> dict[str, Any]:
    """Users by page of 10, 20, 50 or 100. Deleted ones only when asked for by state."""
    caller(call)
    state, role, key = call.text("UserState"), call.text("Role"), call.text("SearchKey")
    found = [
        user
        for user in call.world.dms.listed_users()
        if (user.state == state if state else user.state != "DELETE")
        and (not role or role in user.roles)
        and (key in user.nick or key in user.uid)
    ]
    page = cut(call, found, sizes=(10, 20, 50, 100))
    return {"TotalCount": len(found), "UserList": {"User": [_user(call, user) for user in page]}}


@DMS.action("GetUser", "Tid:int Uid UserId")
def get_user(call: Call) -> dict[str, Any]:
    """One user by either id; the caller's own record without any."""
    me = caller(call)
    store = call.world.dms
    user_id = call.text("UserId") or store.by_uid.get(call.text("Uid"), "")
    if not call.text("UserId") and not call.text("Uid"):
        user_id = me.user_id
    hidden = call.world.modes["dms_deleted_user"] == "unknown"
    if user_id not in store.users or (hidden and store.users[user_id].state == "DELETE"):
        raise failure(call, "UserNotExist", "The specified user does not exist.", 404)
    return {"User": _user(call, store.listed_users(user_id)[0], number=True)}


def find_by_uid(call: Call, uid: str) -> DmsUser:
    """A user by cloud account id, for a caller who may manage users: administrators, by mode DBAs too.

    :raises ApiError: NoPermission, UserNotExist.
    """
    if "ADMIN" not in caller(call).roles and call.world.modes["dms_user_admins"] == "admin":
        raise failure(call, "NoPermission", "The user has no permission for this operation.", 403)
    store = call.world.dms
    user_id = store.by_uid.get(uid, "")
    if user_id not in store.users:
        raise failure(call, "UserNotExist", "The specified user does not exist.", 404)
    return store.users[user_id]


def _strip(call: Call, user: DmsUser, state: str) -> dict[str, Any]:
    """Take every permission, ownership and DBA setting off a user and set the state.

    The page says that they become invalid; whether the records go at all has a mode. It names no proxy accounts,
    policies and roles: those stay, the accounts unless the mode closes them.
    """
    modes, store = call.world.modes, call.world.dms
    if user.state == state and modes["dms_state_again"] == "refused":
        raise failure(call, "UserStatusIllegal", "The status of the user is illegal.", 404)
    if state == "DELETE" or modes["dms_disable_records"] == "removed":
        _release(store, user.user_id)
    if modes["dms_disable_proxies"] == "closed":
        for number in [access.access_id for proxy in store.proxies.values() for access in proxy.accesses.values()
                       if access.user_id == user.user_id]:  # fmt: skip
            store.close_access(number)
    store.set_state(user, state)
    return {}


def _release(store: DmsStore, user_id: str) -> None:
    """Take records, ownership and DBA settings away."""
    for record in store.of_user(user_id):
        store.remove(record.access_id)
    for instance in store.instances.values():
        if user_id in instance.owners:
            store.own("INSTANCE", instance.instance_id, user_id, remove=True)
        if instance.dba == user_id:
            store.set_dba(instance, "")
    for database in store.databases.values():
        prefix = "LOGIC_" if database.logic else ""
        if user_id in database.owners:
            store.own(f"{prefix}DATABASE", database.db_id, user_id, remove=True)
        for table in database.tables:
            if user_id in table.owners:
                store.own(f"{prefix}TABLE", table.table_id, user_id, remove=True)


@DMS.action("DisableUser", "Tid:int Uid!", write=True)
def disable_user(call: Call) -> dict[str, Any]:
    """Stop a user. Not a soft switch: permissions, ownership and DBA settings go for good."""
    return _strip(call, find_by_uid(call, call.text("Uid")), "DISABLE")


@DMS.action("DeleteUser", "Tid:int Uid!", write=True)
def delete_user(call: Call) -> dict[str, Any]:
    """Unlink a user from the tenant, with everything it had."""
    return _strip(call, find_by_uid(call, call.text("Uid")), "DELETE")


@DMS.action("EnableUser", "Tid:int Uid!", write=True)
def enable_user(call: Call) -> dict[str, Any]:
    """Let a user log on again; what was removed does not come back, what was kept counts again."""
    user = find_by_uid(call, call.text("Uid"))
    if user.state == "NORMAL" and call.world.modes["dms_state_again"] == "refused":
        raise failure(call, "UserStatusIllegal", "The status of the user is illegal.", 404)
    call.world.dms.set_state(user, "NORMAL")
    return {}
