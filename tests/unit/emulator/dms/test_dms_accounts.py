"""DMS accounts, roles of the tenant and accounts of secure access proxies: their writes, effects, modes and faults."""

from __future__ import annotations

from typing import Any

import pytest

from emulator.app import App
from emulator.store.dms import Database, DmsUser
from tests.support.emulator_client import Clients, mutate
from tests.support.emulator_dms import messages, on_instance


def account_effects(clients: Clients, *systems: str) -> list[tuple[str, str]]:
    """What the journal says of the systems, shortened: operation and system."""
    return [(entry["op"], entry["system"]) for entry in clients.effects() if entry["system"] in systems]


def test_disabling_is_in_the_journal_with_all_that_it_takes(
    app: App, clients: Clients, user: DmsUser, database: Database
) -> None:
    """Account, records, ownership and DBA settings go, each as an effect of its own; the roles stay."""
    store = app.world.dms
    for operation in ({"op": "dms_dba", "instance_id": str(database.instance_id)},
                      {"op": "dms_owner", "owner_type": "DATABASE", "resource_id": str(database.db_id)},
                      {"op": "dms_owner", "owner_type": "TABLE", "resource_id": str(database.tables[0].table_id)},
                      {"op": "dms_roles", "roles": ["USER", "DBA"]}):  # fmt: skip
        assert mutate(clients, user_id=user.user_id, **operation)
    target = next(r.target for r in store.records.values() if r.target.ds_type == "DATABASE")
    store.add(user.user_id, target, "QUERY", "2026-01-01 00:00:00", "2099-01-01 00:00:00", "x")
    app.world.journal.close_entry("control")
    app.world.journal.clear()
    assert clients.dms("DisableUser", Uid=user.uid)["Success"] is True
    assert sorted((entry["op"], entry["system"]) for entry in clients.effects()) == [
        ("changed", "dms_dbas"), ("removed", "dms_accounts"), ("removed", "dms_owners"), ("removed", "dms_owners"),
        ("removed", "dms_permissions"),
    ]  # fmt: skip
    assert {"user_id": user.user_id, "uid": user.uid} not in clients.control("GET", "world")["dms_accounts"]
    assert clients.dms("GetUser", UserId=user.user_id)["User"]["RoleNameList"]["RoleNames"] == ["USER", "DBA"]
    assert clients.dms("EnableUser", Uid=user.uid)["Success"] is True
    assert messages(clients, user, database) == ["role DBA"]
    assert account_effects(clients, "dms_accounts") == [("removed", "dms_accounts"), ("added", "dms_accounts")]


def test_records_of_a_disabled_user_may_stay_and_count_again(
    app: App, clients: Clients, user: DmsUser, database: Database
) -> None:
    """Listed and without effect while the user is disabled; deleting removes them in any case."""
    app.world.modes.set("dms_disable_records", "kept")
    mutate(clients, op="dms_owner", owner_type="DATABASE", resource_id=str(database.db_id), user_id=user.user_id)
    owned = {"UserId": user.user_id, "OwnerType": "DATABASE", "PageSize": 100}
    clients.dms("DisableUser", Uid=user.uid)
    assert len(clients.dms("ListUserOwnedResources", **owned)["Data"]["resourceList"]) == 1
    assert messages(clients, user, database) == []
    clients.dms("EnableUser", Uid=user.uid)
    assert messages(clients, user, database) == ["owner"]
    clients.dms("DeleteUser", Uid=user.uid)
    assert clients.dms("ListUserOwnedResources", **owned)["Data"]["resourceList"] == []


def test_the_same_state_again_and_deleted_users(app: App, clients: Clients, user: DmsUser) -> None:
    """Success without effect, or refused; a deleted user is listed by id or unknown."""
    for action, count in (("EnableUser", 0), ("DisableUser", 1), ("DisableUser", 1), ("EnableUser", 2)):
        assert clients.dms(action, Uid=user.uid)["Success"] is True
        assert len(clients.effects("dms_accounts")) == count
    app.world.modes.set("dms_state_again", "refused")
    assert clients.dms("EnableUser", Uid=user.uid)["Code"] == "UserStatusIllegal"
    assert clients.dms("DisableUser", Uid=user.uid)["Success"] is True
    assert clients.dms("DisableUser", Uid=user.uid)["Code"] == "UserStatusIllegal"
    assert clients.dms("DisableUser", Uid="1")["Code"] == "UserNotExist"
    assert clients.dms("DisableUser")["Code"] == "MissingUid"
    clients.dms("DeleteUser", Uid=user.uid)
    assert clients.dms("GetUser", Uid=user.uid)["User"]["State"] == "DELETE"
    app.world.modes.set("dms_deleted_user", "unknown")
    assert clients.dms("GetUser", Uid=user.uid)["Code"] == "UserNotExist"


def test_managing_users_takes_an_administrator(app: App, clients: Clients, user: DmsUser) -> None:
    """A DBA may list, not disable, enable, delete or update; by mode it may."""
    me = app.world.dms.users[clients.dms("GetUser")["User"]["UserId"]]
    me.roles = ("DBA",)
    calls: list[tuple[str, dict[str, Any]]] = [
        ("DisableUser", {}), ("EnableUser", {}), ("UpdateUser", {"RoleNames": "DBA"}), ("DeleteUser", {})
    ]  # fmt: skip
    assert clients.dms("ListUsers")["Success"] is True
    for action, more in calls:
        assert clients.dms(action, Uid=user.uid, **more)["Code"] == "NoPermission"
    assert clients.effects() == [] and user.state == "NORMAL"
    app.world.modes.set("dms_user_admins", "admin_dba")
    assert [clients.dms(action, Uid=user.uid, **more)["Success"] for action, more in calls] == [True] * 4
    me.roles = ("USER",)
    assert clients.dms("ListUsers")["Code"] == "NoPermission"


def test_role_names_replace_or_are_added(app: App, clients: Clients, user: DmsUser) -> None:
    """One effect for each role that came or went, none without a change."""
    clients.dms("UpdateUser", Uid=user.uid, RoleNames="USER,DBA")
    clients.dms("UpdateUser", Uid=1, UidString=user.uid, RoleNames="USER,SECURITY_ADMIN")
    clients.dms("UpdateUser", Uid=user.uid, UserNick="Another")
    app.world.modes.set("dms_update_roles", "add")
    clients.dms("UpdateUser", Uid=user.uid, RoleNames="USER,ADMIN")
    assert user.roles == ("USER", "SECURITY_ADMIN", "ADMIN")
    found = [(entry["op"], entry["grant"]["role"]) for entry in clients.effects("dms_system_roles")]
    assert found == [("added", "DBA"), ("removed", "DBA"), ("added", "SECURITY_ADMIN"), ("added", "ADMIN")]
    listed = clients.control("GET", "world")["dms_system_roles"]
    assert {row["role"] for row in listed if row["user_id"] == user.user_id} == set(user.roles)


@pytest.mark.parametrize(
    ("mode", "given", "expected"),
    [
        ("replaced", "USER,DBA", ("USER", "DBA")),
        ("replaced", "USER,data_reader", ("USER", "data_reader")),
        ("refused", "USER,DBA", ("USER", "DBA", "data_reader")),
        ("refused", "USER,data_reader", None),
        ("kept", "USER", ("USER", "data_reader")),
        ("replaced", "", ("USER", "data_reader", "SECURITY_ADMIN")),
        ("replaced", "USER,unheard_of", None),
    ],
)
def test_roles_of_the_tenants_own_in_a_change_of_roles(
    app: App, clients: Clients, user: DmsUser, mode: str, given: str, expected: tuple[str, ...] | None
) -> None:
    """Named or not, they are replaced, refused or kept; an empty text changes nothing."""
    before = ("USER", "data_reader", "SECURITY_ADMIN")
    user.roles = before
    app.world.modes.set("dms_own_roles", mode)
    answer = clients.dms("UpdateUser", Uid=user.uid, RoleNames=given)
    assert answer.get("Code") == (None if expected else "InvalidParameterValid")
    row = clients.dms("GetUser", UserId=user.user_id)["User"]
    assert tuple(row["RoleNameList"]["RoleNames"]) == user.roles == (expected or before)


def test_what_else_a_change_of_roles_does(app: App, clients: Clients, user: DmsUser) -> None:
    """Other fields stay, or fall back; the last administrator stays one, by mode; a write may do a part."""
    fields = {"UserNick": "N", "Mobile": "138", "MaxExecuteCount": 5, "MaxResultCount": 6}
    clients.dms("UpdateUser", Uid=user.uid, **fields)

    def shown() -> list[Any]:
        row = clients.dms("GetUser", UserId=user.user_id)["User"]
        return [row[name] for name in ("NickName", "Mobile", "MaxExecuteCount", "MaxResultCount")]

    clients.dms("UpdateUser", Uid=user.uid, RoleNames="USER")
    assert shown() == ["N", "138", 5, 6]
    app.world.modes.set("dms_update_omitted", "reset")
    clients.dms("UpdateUser", Uid=user.uid, RoleNames="USER")
    assert shown() == ["", "", 2000, 100_000]
    for other in app.world.dms.users.values():
        other.roles = ("USER",)
    me = app.world.dms.users[app.world.dms.by_uid[next(one.alibaba_uid for one in app.world.people if one.is_tool)]]
    me.roles = ("ADMIN",)
    app.world.modes.set("dms_last_admin", "refused")
    assert clients.dms("UpdateUser", Uid=me.uid, RoleNames="DBA")["Code"] == "InvalidParameterValid"
    clients.control("POST", "faults", {"kind": "partial", "count": 1, "action": "UpdateUser"})
    assert clients.dms("UpdateUser", Uid=user.uid, RoleNames="USER,ADMIN,DBA")["Success"] is True
    assert user.roles == ("USER",)
    app.world.modes.set("dms_last_admin", "allowed")
    assert clients.dms("UpdateUser", Uid=me.uid, RoleNames="DBA")["Success"] is True and me.roles == ("DBA",)


def test_proxy_accounts_need_their_password_and_hide_it(
    app: App, clients: Clients, user: DmsUser, database: Database
) -> None:
    """A database account takes its password, which no journal shows; a second account by mode."""
    base = {"ProxyId": 7001, "UserId": user.user_id}
    assert clients.dms("CreateProxyAccess", IndepAccount="me", **base)["Code"] == "MissingIndepPassword"
    made = clients.dms("CreateProxyAccess", IndepAccount="me", IndepPassword="hush-hush", **base)["ProxyAccessId"]
    assert "hush-hush" not in str(app.world.journal.after(0))
    assert "hush-hush" not in str(clients.dms("ListProxyAccesses", ProxyId=7001))
    assert clients.dms("CreateProxyAccess", **base)["ProxyAccessId"] != made
    app.world.modes.set("dms_second_proxy_access", "same")
    assert clients.dms("CreateProxyAccess", **base)["ProxyAccessId"] == made
    app.world.modes.set("dms_second_proxy_access", "refused")
    assert clients.dms("CreateProxyAccess", **base)["Code"] == "InvalidParameterValid"
    assert clients.dms("CreateProxyAccess", ProxyId=7001, UserId=1)["Code"] == "UserNotExist"
    assert clients.dms("DeleteProxyAccess", ProxyAccessId=1)["Code"] == "InvalidParameterValid"
    app.world.modes.set("dms_absent_proxy_access", "success")
    assert clients.dms("DeleteProxyAccess", ProxyAccessId=1)["Success"] is True
    assert messages(clients, user, database) == ["proxy 7001", "proxy 7001"]
    assert clients.dms("DeleteProxyAccess", ProxyAccessId=made)["Success"] is True
    assert messages(clients, user, database) == ["proxy 7001"]


def test_a_proxy_account_may_outlive_its_disabled_user(
    app: App, clients: Clients, user: DmsUser, database: Database
) -> None:
    """It has a password of its own; nothing remains of a deleted user."""
    mutate(clients, op="proxy_access", proxy_id="7001", user_id=user.user_id)
    clients.dms("DisableUser", Uid=user.uid)
    assert messages(clients, user, database) == []
    app.world.modes.set("dms_disabled_proxies", "usable")
    assert messages(clients, user, database) == on_instance(clients, user, database) == ["proxy 7001"]
    clients.dms("DeleteUser", Uid=user.uid)
    assert messages(clients, user, database) == []


def test_lists_of_accounts_roles_and_proxies_may_be_late(app: App, clients: Clients, user: DmsUser) -> None:
    """With the fault "lag" the former state, roles and account stay listed, a new account hidden, for two reads."""

    def shown() -> tuple[str, list[str], int]:
        row = clients.dms("GetUser", UserId=user.user_id)["User"]
        listed = clients.dms("ListUsers", PageSize=100)["UserList"]["User"]
        assert next(one for one in listed if one["UserId"] == user.user_id)["State"] == row["State"]
        accounts = clients.dms("ListProxyAccesses", ProxyId=7001)["ProxyAccessList"]
        return row["State"], row["RoleNameList"]["RoleNames"], len(accounts)

    def lag(*actions: str) -> None:
        clients.control("POST", "faults", {"replace": True, "faults": [
            {"id": name, "kind": "lag", "reads": 2, "action": name} for name in actions]})  # fmt: skip

    made = clients.dms("CreateProxyAccess", ProxyId=7001, UserId=user.user_id)["ProxyAccessId"]
    assert shown() == ("NORMAL", ["USER"], 1)
    lag("DisableUser", "UpdateUser", "DeleteProxyAccess")
    clients.dms("UpdateUser", Uid=user.uid, RoleNames="USER,DBA")
    clients.dms("DisableUser", Uid=user.uid)
    clients.dms("DeleteProxyAccess", ProxyAccessId=made)
    assert shown() == ("NORMAL", ["USER"], 1)
    assert shown() == ("DISABLE", ["USER", "DBA"], 1)
    assert shown() == ("DISABLE", ["USER", "DBA"], 0)
    lag("CreateProxyAccess")
    clients.dms("CreateProxyAccess", ProxyId=7001, UserId=user.user_id)
    assert [shown()[2] for _ in range(3)] == [0, 0, 1]


@pytest.mark.parametrize(
    "action", ["DeleteProxyAccess", "CreateProxyAccess", "DisableUser", "EnableUser", "UpdateUser"]
)
def test_a_write_may_be_pretended(app: App, clients: Clients, user: DmsUser, action: str) -> None:
    """Success is claimed, nothing happens."""
    made = clients.dms("CreateProxyAccess", ProxyId=7001, UserId=user.user_id)["ProxyAccessId"]
    before = clients.control("GET", "world")
    clients.control("POST", "faults", {"kind": "pretend", "action": action})
    answer = clients.dms(action, ProxyAccessId=made, ProxyId=7001, UserId=user.user_id, Uid=user.uid, RoleNames="ADMIN")
    assert answer["Success"] is True
    assert clients.control("GET", "world")["dms_proxy_accesses"] == before["dms_proxy_accesses"]
    assert clients.control("GET", "world")["dms_users"] == before["dms_users"]
