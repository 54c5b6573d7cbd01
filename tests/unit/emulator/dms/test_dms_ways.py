"""DMS beside records: owners, DBAs, roles, policies, proxy accounts, and the platform's own answers."""

from __future__ import annotations

from typing import Any

import pytest

from emulator.app import App
from emulator.store.dms import Database, DmsUser
from tests.support.emulator_client import Clients, mutate
from tests.support.emulator_dms import messages, on_instance


def test_owners_of_every_kind(app: App, clients: Clients, user: DmsUser) -> None:
    """SetOwners, the owner lists and ListUserOwnedResources agree; SetOwners replaces, or adds by mode."""
    store = app.world.dms
    physical = next(d for d in store.databases.values() if not d.logic)
    logical = next(d for d in store.databases.values() if d.logic)
    store.instances[physical.instance_id].mode = "COMMON"
    objects = [
        ("INSTANCE", physical.instance_id), ("DATABASE", physical.db_id), ("LOGIC_DATABASE", logical.db_id),
        ("TABLE", physical.tables[0].table_id), ("LOGIC_TABLE", logical.tables[0].table_id),
    ]  # fmt: skip

    def owned(kind: str) -> set[str]:
        rows: list[dict[str, Any]] = []
        for logic in ("true", "false"):
            rows += clients.dms("ListUserOwnedResources", UserId=user.user_id, OwnerType=kind.removeprefix("LOGIC_"),
                                Logic=logic, PageSize=100)["Data"]["resourceList"]  # fmt: skip
        name = {"INSTANCE": "InstanceId"}.get(kind, "TableId" if "TABLE" in kind else "DbId")
        return {row[name] for row in rows}

    for kind, ident in objects:
        assert str(ident) not in owned(kind)
        done = clients.dms("SetOwners", OwnerType=kind, ResourceId=ident, OwnerIds=user.user_id)
        assert done["Success"] is True
        assert str(ident) in owned(kind)
        assert store.owners_of(kind, ident) == [user.user_id]
    shown = clients.dms("ListTables", DatabaseId=physical.db_id)["TableList"]["Table"][0]
    assert (shown["OwnerIdList"], shown["OwnerNameList"]) == (
        {"OwnerIds": [user.user_id]}, {"OwnerNames": [user.nick]})  # fmt: skip
    logic = clients.dms("ListLogicTables", DatabaseId=logical.db_id)["LogicTableList"]["LogicTable"][0]
    assert logic["OwnerIdList"] == {"OwnerIds": [user.user_id]}
    other = next(one for one in store.users if one != user.user_id)
    app.world.modes.set("dms_set_owners", "add")
    clients.dms("SetOwners", OwnerType="TABLE", ResourceId=physical.tables[0].table_id, OwnerIds=other)
    assert physical.tables[0].owners == [user.user_id, other]
    wrong = {"OwnerType": "TABLE", "ResourceId": "1", "OwnerIds": other}
    assert clients.dms("SetOwners", **wrong)["Code"] == "InvalidParameterValid"
    assert clients.dms("SetOwners", **{**wrong, "ResourceId": physical.tables[0].table_id, "OwnerIds": "0"})[
        "Code"
    ] == ("UserNotExist")


WAYS: dict[str, tuple[dict[str, Any], str, bool, str, str]] = {
    # operation, message, on the instance too, mode that closes or hides the way for the database, its value
    "owner": ({"op": "dms_owner", "owner_type": "DATABASE"}, "owner", False, "dms_authorized_sources",
              "records_policies"),
    "instance owner": ({"op": "dms_owner", "owner_type": "INSTANCE"}, "owner", True, "dms_owner_reach", "own_object"),
    "DBA": ({"op": "dms_dba"}, "DBA", True, "dms_owner_reach", "own_object"),
    "proxy": ({"op": "proxy_access"}, "proxy 7001", True, "dms_proxy_reach", "records"),
    "tenant DBA": ({"op": "dms_roles", "roles": ["USER", "DBA"]}, "role DBA", True, "dms_role_reach", "admin"),
    "administrator": ({"op": "dms_roles", "roles": ["ADMIN"]}, "role ADMIN", True, "dms_authorized_sources",
                      "no_roles"),
}  # fmt: skip


@pytest.mark.parametrize("name", WAYS)
def test_each_way_is_in_the_platforms_answers(
    app: App, clients: Clients, user: DmsUser, database: Database, name: str
) -> None:
    """Nothing before, one row after, none for a disabled user, none where the mode closes or hides it."""
    operation, message, above, mode, value = WAYS[name]
    ids = {"user_id": user.user_id, "instance_id": str(database.instance_id), "proxy_id": "7001"}
    if operation["op"] == "dms_owner":
        ids["resource_id"] = str(database.instance_id if above else database.db_id)
    assert messages(clients, user, database) == on_instance(clients, user, database) == []
    assert mutate(clients, **ids, **operation) is True
    assert messages(clients, user, database) == [message]
    assert on_instance(clients, user, database) == ([message] if above else [])
    user.state = "DISABLE"
    assert messages(clients, user, database) == []
    user.state = "NORMAL"
    app.world.modes.set(mode, value)
    assert messages(clients, user, database) == []


def test_roles_are_listed_and_replaced(app: App, clients: Clients, user: DmsUser, database: Database) -> None:
    """UpdateUser replaces the roles; custom ones have ids of their own; unknown ones are refused."""
    for roles, ids in ((["USER", "SECURITY_ADMIN"], [1, 4]), (["STRUCT_READ_ONLY", "data_reader"], [5, 6001])):
        assert clients.dms("UpdateUser", Uid=user.uid, RoleNames=",".join(roles))["Success"] is True
        listed = clients.dms("ListUsers", PageSize=100)["UserList"]["User"]
        row = next(row for row in listed if row["UserId"] == user.user_id)
        assert (row["RoleNameList"], row["RoleIdList"]) == ({"RoleNames": roles}, {"RoleIds": ids})
        held = clients.dms("GetUser", UserId=user.user_id)["User"]
        assert held["RoleNameList"] == row["RoleNameList"]
    assert messages(clients, user, database) == ["policy readers-of-another"] * (
        database.db_id == app.world.dms.policies[-1].db_id
    )
    app.world.modes.set("dms_role_reach", "all")
    assert "role STRUCT_READ_ONLY" in messages(clients, user, database)
    assert clients.dms("UpdateUser", Uid=user.uid, RoleNames="KING")["Code"] == "InvalidParameterValid"
    last = [(entry["op"], entry["grant"]["role"]) for entry in clients.effects("dms_system_roles")][-4:]
    assert last == [("removed", "SECURITY_ADMIN"), ("removed", "USER"), ("added", "STRUCT_READ_ONLY"),
                    ("added", "data_reader")]  # fmt: skip


def test_policies_reach_users_and_holders_of_custom_roles(app: App, clients: Clients, user: DmsUser) -> None:
    """Attached and detached through the actions; the answers follow."""
    policies = {row["AbacPolicyName"]: row for row in clients.dms("ListAbacPolicies")["PolicyList"]}
    assert len(policies) == clients.dms("ListAbacPolicies")["TotalCount"] == len(app.world.dms.policies)
    policy = policies["read-everything-in-one"]
    assert (
        clients.dms("GetAbacPolicy", AbacPolicyId=policy["AbacPolicyId"])["Policy"]["PolicyContent"]
        == (policy["AbacPolicyContent"])
    )
    database = app.world.dms.databases[app.world.dms.policies[0].db_id]
    (role,) = app.world.dms.custom_roles.values()
    for kind, ident in (("USER", {"UserId": user.user_id}), ("ROLE", {"RoleId": role})):
        user.roles = ("USER", "data_reader") if kind == "ROLE" else ("USER",)
        before = clients.dms("ListAbacAuthorizations", PageSize=100)["TotalCount"]
        made = {"PolicyId": policy["AbacPolicyId"], "IdentityType": kind, **ident}
        assert clients.dms("CreateAbacAuthorization", **made)["Success"] is True
        rows = clients.dms("ListAbacAuthorizations", PolicyId=policy["AbacPolicyId"], PageSize=100)["AuthorizationList"]
        row = next(row for row in rows if (row["IdentityType"], row["IdentityId"]) == (kind, int(*ident.values())))
        assert messages(clients, user, database) == ["policy read-everything-in-one"]
        gone = {"AuthorizationId": row["AuthorizationId"], "IdentityType": kind}
        assert clients.dms("DeleteAbacAuthorization", **gone)["Success"] is True
        assert clients.dms("DeleteAbacAuthorization", **gone)["Code"] == "InvalidParameterValid"
        assert messages(clients, user, database) == []
        assert clients.dms("ListAbacAuthorizations", PageSize=100)["TotalCount"] == before
    assert clients.dms("CreateAbacAuthorization", PolicyId=1, IdentityType="USER")["Code"] == "InvalidParameterValid"
    assert clients.dms("ListAbacAuthorizations", PolicySource="SYSTEM")["TotalCount"] == 0


def test_proxy_accounts(app: App, clients: Clients, user: DmsUser, database: Database) -> None:
    """Listed by proxy, created and deleted; DisableUser leaves them unless the mode closes them."""
    proxies = clients.dms("ListProxies")["ProxyList"]
    assert [(row["ProxyId"], row["InstanceId"]) for row in proxies] == [(7001, database.instance_id)]
    own = {"IndepAccount": "me", "IndepPassword": "a-database-password"}
    made = clients.dms("CreateProxyAccess", ProxyId=7001, UserId=user.user_id, **own)["ProxyAccessId"]
    (row,) = clients.dms("ListProxyAccesses", ProxyId=7001)["ProxyAccessList"]
    assert (row["ProxyAccessId"], row["UserId"], row["UserUid"], row["IndepAccount"]) == (
        made, int(user.user_id), user.uid, "me")  # fmt: skip
    assert clients.dms("GetProxyAccess", ProxyAccessId=made)["ProxyAccess"] == row
    clients.dms("DisableUser", Uid=user.uid)
    assert len(clients.dms("ListProxyAccesses", ProxyId=7001)["ProxyAccessList"]) == 1
    app.world.modes.set("dms_disable_proxies", "closed")
    clients.dms("DisableUser", Uid=user.uid)
    assert clients.dms("ListProxyAccesses", ProxyId=7001)["ProxyAccessList"] == []
    for action, ids in (("GetProxyAccess", {"ProxyAccessId": made}), ("DeleteProxyAccess", {"ProxyAccessId": made}),
                        ("ListProxyAccesses", {"ProxyId": 1})):  # fmt: skip
        assert clients.dms(action, **ids)["Code"] == "InvalidParameterValid"
    assert [entry["op"] for entry in clients.effects("dms_proxy_accesses")] == ["added", "removed"]


def test_empty_lists_may_be_null_or_missing(app: App, clients: Clients, user: DmsUser) -> None:
    """Owners, roles, proxies, accounts, authorizations."""
    instance = next(iter(app.world.dms.instances.values()))
    instance.owners = []
    app.world.dms.proxies[7001].accesses.clear()

    def shown() -> list[Any]:
        row = clients.dms("ListInstances")["InstanceList"]["Instance"][0]
        accounts = clients.dms("ListProxyAccesses", ProxyId=7001)
        return [row.get("OwnerIdList", "missing"), accounts.get("ProxyAccessList", "missing")]

    assert shown() == [{"OwnerIds": []}, []]
    app.world.modes.set("dms_empty_lists", "null")
    assert shown() == [None, None]
    app.world.modes.set("dms_empty_lists", "missing")
    assert shown() == ["missing", "missing"]


def test_control_modes_and_their_groups(app: App, clients: Clients) -> None:
    """Each instance's mode is one of the groups; the mode can be changed by others."""
    instance = next(iter(app.world.dms.instances.values()))
    assert mutate(clients, op="dms_control_mode", instance_id=str(instance.instance_id), mode="NONE_CONTROL")
    modes = {row["StandardGroup"]["GroupMode"] for row in clients.dms("ListInstances")["InstanceList"]["Instance"]}
    assert "NONE_CONTROL" in modes
    assert {row["GroupMode"] for row in clients.dms("ListStandardGroups")["StandardGroupList"]} == modes


def test_pages_of_the_lists_without_a_total(app: App, clients: Clients, user: DmsUser) -> None:
    """Full pages; or every second page empty although more follow. Behind the end: empty, the last again, an error."""
    user.roles = ("ADMIN",)

    def page(number: int) -> list[str]:
        answer = clients.dms("ListAuthorizedDatabasesForUser", UserId=user.user_id, PageSize=2, PageNumber=number)
        return [row["DbId"] for row in answer["Databases"]] if "Databases" in answer else [answer["Code"]]

    total = len(app.world.dms.databases)
    pages = -(-total // 2)
    full = [page(number) for number in range(1, pages + 1)]
    assert sum(map(len, full)) == total and page(pages + 1) == []
    app.world.modes.set("dms_authorized_pages", "sparse")
    assert [page(number) for number in range(1, 2 * pages)] == [
        full[number // 2] if number % 2 == 0 else [] for number in range(2 * pages - 1)
    ]
    app.world.modes.set("dms_authorized_pages", "full")
    app.world.modes.set("dms_beyond_end", "last")
    assert page(pages + 5) == full[-1]
    app.world.modes.set("dms_beyond_end", "error")
    assert page(pages + 1) == ["InvalidParameterValid"]


def test_totals_may_count_records(app: App, clients: Clients) -> None:
    """Two privileges on one object: one row, or two."""
    record = next(r for r in app.world.dms.records.values() if r.target.ds_type == "DATABASE")
    app.world.dms.add(record.user_id, record.target, "EXPORT", "2026-01-01 00:00:00", "2099-01-01 00:00:00", "x")
    body = clients.dms("ListUserPermissions", UserId=record.user_id, PermType="DATABASE", PageSize=100)
    rows = body["UserPermissions"]["UserPermission"]
    assert body["TotalCount"] == len(rows)
    app.world.modes.set("dms_total", "records")
    body = clients.dms("ListUserPermissions", UserId=record.user_id, PermType="DATABASE", PageSize=100)
    assert body["TotalCount"] == sum(len(row["PermDetails"]["PermDetail"]) for row in rows) > len(rows)


def test_the_caller_reaches_tables_that_it_owns(app: App, clients: Clients, user: DmsUser, database: Database) -> None:
    """CheckBatchTableAccessPermission tells of the caller alone."""
    app.world.modes.set("dms_role_reach", "none")
    me = clients.dms("GetUser")["User"]["UserId"]
    for record in app.world.dms.of_user(me):
        app.world.dms.remove(record.access_id)
    names = [table.name for table in database.tables]

    def allowed() -> list[str]:
        body = clients.dms("CheckBatchTableAccessPermission", DbId=database.db_id, PermissionType="QUERY",
                           TableNameList=str(names).replace("'", '"'))  # fmt: skip
        return [row["TableName"] for row in body["Data"] if row["Success"] == "true"]

    assert allowed() == []
    database.tables[0].owners.append(me)
    assert allowed() == names[:1]
    app.world.modes.set("dms_role_reach", "admin")
    assert allowed() == names
