"""Quick BI's shares, roles of the organization, groups and workspaces: their writes, effects, modes and faults."""

from __future__ import annotations

import json
from typing import Any

import pytest

from emulator.app import App
from emulator.store.quickbi import Portal
from emulator.store.receivers import Receiver
from tests.support.emulator_client import Clients

ADMIN, PERMISSIONS, ORDINARY, OWN = 111111111, 111111112, 111111113, 300200100


@pytest.fixture
def user(app: App) -> str:
    """An active ordinary member in no group and workspace."""
    store = app.world.quickbi
    people = [one for one in app.world.people if not one.protected and not one.is_tool]
    found = next(store.users[one.quickbi_user_id] for one in people if not store.users[one.quickbi_user_id].deleted)
    found.roles = [ORDINARY]
    for place in (*store.groups.values(), *store.workspaces.values()):
        place.members.pop(found.user_id, None)
    return found.user_id


@pytest.fixture
def portal(app: App) -> Portal:
    """A portal without shares."""
    app.world.quickbi.shares.clear()
    return next(iter(app.world.quickbi.portals.values()))


def ops(clients: Clients, system: str) -> list[tuple[str, Any]]:
    """Effects of one system: operation, and the last field of the row."""
    return [(entry["op"], list(entry["grant"].values())[-1]) for entry in clients.effects(system)]


def roles_of(clients: Clients, user: str) -> list[int]:
    """Role ids by the three lists, which must agree."""
    one: list[int] = clients.quickbi("QueryUserInfoByUserId", UserId=user)["Result"]["RoleIdList"]
    listed = clients.quickbi("QueryUserList", PageSize=1000)["Result"]["Data"]
    assert next(row["RoleIdList"] for row in listed if row["UserId"] == user) == one
    for role in (ADMIN, PERMISSIONS, ORDINARY, OWN):
        holders = clients.quickbi("ListOrganizationRoleUsers", RoleId=role, PageSize=1000)["Result"]["Data"]
        assert (user in {row["UserId"] for row in holders}) is (role in one)
    return one


def test_role_ids_replace_the_roles_and_silence_the_flags(app: App, clients: Clients, user: str) -> None:
    """Preset and own roles, three at most, unknown ones refused; one effect for each that came or went."""
    assert clients.quickbi("UpdateUser", UserId=user, RoleIds=f"{ADMIN},{OWN}", AdminUser="false")["Result"] is True
    assert roles_of(clients, user) == [ADMIN, OWN]
    assert clients.quickbi("UpdateUser", UserId=user, RoleIds=str(OWN), AuthAdminUser="true")["Result"] is True
    assert roles_of(clients, user) == [OWN]
    clients.quickbi("UpdateUser", UserId=user, NickName="Another")
    for wrong in ("1", "x", f"{ADMIN},", f"{ADMIN},{PERMISSIONS},{ORDINARY},{OWN}"):
        assert clients.quickbi("UpdateUser", UserId=user, RoleIds=wrong)["Code"] == "Invalid.Parameter.Error"
    assert ops(clients, "quickbi_organization_roles") == [
        ("removed", ORDINARY), ("added", ADMIN), ("added", OWN), ("removed", ADMIN),
    ]  # fmt: skip
    rows = clients.control("GET", "world")["quickbi_organization_roles"]
    assert [row["role_id"] for row in rows if row["user_id"] == user] == [OWN]
    listed = {row["RoleId"]: row["IsSystemRole"] for row in clients.quickbi("ListOrganizationRoles")["Result"]}
    assert listed == {ADMIN: True, PERMISSIONS: True, ORDINARY: True, OWN: False}


def test_readings_of_update_user(app: App, clients: Clients, user: str) -> None:
    """Role ids may be added; without role ids and flags an administrator may be made an ordinary user."""
    app.world.modes.set("quickbi_update_roles", "add")
    clients.quickbi("UpdateUser", UserId=user, RoleIds=str(ADMIN))
    assert roles_of(clients, user) == [ORDINARY, ADMIN]
    clients.quickbi("UpdateUser", UserId=user, NickName="N")
    assert roles_of(clients, user) == [ORDINARY, ADMIN]
    app.world.modes.set("quickbi_update_omitted", "reset")
    clients.quickbi("UpdateUser", UserId=user, NickName="M")
    assert roles_of(clients, user) == [ORDINARY]
    clients.quickbi("UpdateUser", UserId=user, AdminUser="true")
    assert roles_of(clients, user) == [ADMIN, ORDINARY]


def test_who_may_change_roles_and_who_keeps_the_role(app: App, clients: Clients, user: str) -> None:
    """The owner stays an administrator; a member who is none may change nobody; unknown users have their code."""
    store = app.world.quickbi
    refused = clients.quickbi("UpdateUser", UserId=store.owner, RoleIds=str(ORDINARY))
    assert refused["Code"] == "Fobbiden.Action" and ADMIN in store.users[store.owner].roles
    assert clients.quickbi("UpdateUser", UserId=store.owner, RoleIds=f"{ADMIN},{OWN}")["Result"] is True
    assert clients.quickbi("UpdateUser", UserId="nobody", RoleIds=str(OWN))["Code"] == "User.Not.In.Organization"
    me = next(one for one in app.world.people if one.is_tool)
    store.users[me.quickbi_user_id].roles = [PERMISSIONS]
    for action, more in (("UpdateUser", {"RoleIds": str(ADMIN)}), ("DeleteUser", {})):
        assert clients.quickbi(action, UserId=user, **more)["Code"] == "Invalid.User.Admin"
    assert store.users[user].roles == [ORDINARY]
    powerless = ("LTAIDEMO00000000000004", "alibaba-demo-secret-4")
    answer = clients.alibaba_raw("quickbi", "UpdateUser", {"UserId": user, "AdminUser": "true"}, key=powerless)
    assert json.loads(answer.body)["Code"] == "Access.Forbidden"


def test_deactivated_members_hold_roles_and_may_be_left_out(app: App, clients: Clients, user: str) -> None:
    """Deactivating changes no role; the list of a role shows deactivated members or not."""

    def listed() -> bool:
        rows = clients.quickbi("ListOrganizationRoleUsers", RoleId=ADMIN, PageSize=1000)["Result"]["Data"]
        return user in {row["UserId"] for row in rows}

    clients.quickbi("UpdateUser", UserId=user, AdminUser="true")
    clients.quickbi("UpdateUser", UserId=user, IsDeleted="true")
    assert app.world.quickbi.users[user].roles == [ADMIN, ORDINARY] and listed()
    app.world.modes.set("quickbi_role_users", "active")
    assert not listed()
    clients.quickbi("UpdateUser", UserId=user, IsDeleted="false")
    assert listed()
    assert [entry["grant"]["deleted"] for entry in clients.effects("quickbi_users")] == [True, False]
    clients.quickbi("DeleteUser", UserId=user)
    assert ops(clients, "quickbi_organization_roles")[-2:] == [("removed", ADMIN), ("removed", ORDINARY)]


def share(clients: Clients, portal: Portal, kind: int, ident: str, **more: Any) -> dict[str, Any]:
    """Share a portal until far away."""
    given = {"AuthPoint": 1, "ExpireDate": 4_102_444_800_000, "ShareToType": kind, "ShareToId": ident, **more}
    return clients.quickbi("AddShareReport", WorksId=portal.portal_id, **given)


def shares(clients: Clients, portal: Portal) -> list[tuple[int, str, int]]:
    """What QueryShareList says."""
    rows = clients.quickbi("QueryShareList", ReportId=portal.portal_id)["Result"]
    return [(row["ShareToType"], row["ShareToId"], row["AuthPoint"]) for row in rows]


def cancel(clients: Clients, portal: Portal, kind: int, ids: str) -> dict[str, Any]:
    """Take shares back."""
    return clients.quickbi("CancelReportShare", ReportId=portal.portal_id, ShareToType=kind, ShareToIds=ids)


def test_shares_are_taken_back_by_receiver(app: App, clients: Clients, user: str, portal: Portal) -> None:
    """Several by a comma list, or a list names nobody; absent ones are skipped; each share is an effect."""
    group = next(iter(app.world.quickbi.groups))
    organization = app.world.quickbi.organization_id
    for kind, ident in ((0, user), (1, group), (2, organization)):
        assert share(clients, portal, kind, ident)["Result"] is True
    assert sorted(shares(clients, portal)) == [(0, user, 1), (1, group, 1), (2, organization, 1)]
    app.world.modes.set("quickbi_share_ids", "one")
    assert cancel(clients, portal, 0, f"{user},nobody")["Result"] is True
    assert len(shares(clients, portal)) == 3
    app.world.modes.set("quickbi_share_ids", "list")
    assert cancel(clients, portal, 0, f"{user},nobody")["Result"] is True
    assert cancel(clients, portal, 1, organization)["Result"] is True, "the wrong type names another receiver"
    assert shares(clients, portal) == [(1, group, 1), (2, organization, 1)]
    assert cancel(clients, portal, 2, organization)["Result"] is True
    assert [(entry["op"], entry["grant"]["receiver_id"]) for entry in clients.effects("quickbi_shares")] == [
        ("added", user), ("added", group), ("added", organization), ("removed", user), ("removed", organization),
    ]  # fmt: skip
    for wrong, code in (((3, "x"), "Invalid.Parameter.Error"), ((0, ""), "MissingShareToIds")):
        assert cancel(clients, portal, *wrong)["Code"] == code
    unknown = clients.quickbi("CancelReportShare", ReportId="none", ShareToType=0, ShareToIds=user)
    assert unknown["Code"] == "Report.NotExist.Error"


def test_readings_of_shares(app: App, clients: Clients, user: str, portal: Portal) -> None:
    """Absent shares and unknown receivers may be refused; a second share may stand beside the first."""
    share(clients, portal, 0, user)
    share(clients, portal, 0, user, AuthPoint=3)
    assert shares(clients, portal) == [(0, user, 3)]
    app.world.modes.set("quickbi_share_again", "second")
    share(clients, portal, 0, user)
    assert shares(clients, portal) == [(0, user, 3), (0, user, 1)]
    cancel(clients, portal, 0, user)
    assert shares(clients, portal) == [] and len(clients.effects("quickbi_shares")) == 6
    app.world.modes.set("quickbi_absent_share", "refused")
    assert cancel(clients, portal, 0, user)["Code"] == "Invalid.Parameter.Error"
    app.world.modes.set("quickbi_absent_share", "skipped")
    assert cancel(clients, portal, 0, "nobody")["Result"] is True
    app.world.modes.set("quickbi_cancel_receivers", "checked")
    assert cancel(clients, portal, 0, "nobody")["Code"] == "User.Not.In.Organization"
    assert cancel(clients, portal, 1, "none")["Code"] == "Usergroup.NotBelongTo.CurrentOrganization"


def test_shares_that_ran_out_may_be_listed(app: App, clients: Clients, user: str, portal: Portal) -> None:
    """They give nothing in any case."""
    share(clients, portal, 0, user, ExpireDate=int(app.world.clock.now() * 1000) - 1)
    assert shares(clients, portal) == []
    app.world.modes.set("quickbi_expired_shares", "listed")
    assert shares(clients, portal) == [(0, user, 1)]
    assert clients.quickbi("QuerySharesToUserList", UserId=user)["Result"] == []


@pytest.mark.parametrize("works", ["portals", "works"])
def test_who_reads_a_shared_work_follows_the_share(app: App, clients: Clients, user: str, works: str) -> None:
    """A portal or a dashboard: readable while the share is there."""
    ident = list(getattr(app.world.quickbi, works))[-1]
    for portal in app.world.quickbi.portals.values():
        portal.white.clear()
        for menu in portal.leaves():
            menu.receivers.clear()
    app.world.quickbi.authorizations.clear()
    app.world.quickbi.shares.clear()
    common = {"ShareToType": 0, "AuthPoint": 1, "ExpireDate": 4_102_444_800_000}
    for expected in (False, True, False):
        assert clients.quickbi("CheckReadable", UserId=user, WorksId=ident)["Result"] is expected
        if not expected:
            clients.quickbi("AddShareReport", WorksId=ident, ShareToId=user, **common)
        else:
            clients.quickbi("CancelReportShare", ReportId=ident, ShareToType=0, ShareToIds=user)


def test_memberships_are_rows_of_the_truth(app: App, clients: Clients, user: str) -> None:
    """Effects of groups and workspaces are the rows of the dump; another role is one gone and one new."""
    group, space = next(iter(app.world.quickbi.groups.values())), next(iter(app.world.quickbi.workspaces.values()))
    place = {"WorkspaceId": space.workspace_id, "UserId": user}
    clients.quickbi("AddUserGroupMembers", UserGroupIds=group.group_id, UserId=user)
    clients.quickbi("AddUserToWorkspace", RoleId=30, **place)
    clients.quickbi("UpdateWorkspaceUserRole", RoleId=25, **place)
    clients.quickbi("UpdateWorkspaceUserRole", RoleId=25, **place)
    dump = clients.control("GET", "world")
    for system, rows in (("quickbi_group_members", 1), ("quickbi_workspace_members", 3)):
        effects = clients.effects(system)
        assert len(effects) == rows and effects[-1]["grant"] in dump[system]
    clients.quickbi("DeleteUserGroupMembers", UserGroupIds=group.group_id, UserId=user)
    clients.quickbi("DeleteUserFromWorkspace", **place)
    clients.quickbi("DeleteUserFromWorkspace", **place)
    assert ops(clients, "quickbi_workspace_members") == [("added", 30), ("removed", 30), ("added", 25), ("removed", 25)]
    assert ops(clients, "quickbi_group_members") == [("added", user), ("removed", user)]


def test_all_these_lists_may_be_late(app: App, clients: Clients, user: str, portal: Portal) -> None:
    """With the fault "lag" what went stays listed for one read, and what is new stays hidden."""
    group, space = next(iter(app.world.quickbi.groups)), next(iter(app.world.quickbi.workspaces))
    writes: list[tuple[str, dict[str, Any], str, dict[str, Any]]] = [
        ("AddUserGroupMembers", {"UserGroupIds": group, "UserId": user},
         "DeleteUserGroupMembers", {"UserGroupIds": group, "UserId": user}),
        ("AddUserToWorkspace", {"WorkspaceId": space, "UserId": user, "RoleId": 30},
         "DeleteUserFromWorkspace", {"WorkspaceId": space, "UserId": user}),
        ("AddShareReport", {"WorksId": portal.portal_id, "ShareToType": 0, "ShareToId": user, "AuthPoint": 1,
                            "ExpireDate": 4_102_444_800_000},
         "CancelReportShare", {"ReportId": portal.portal_id, "ShareToType": 0, "ShareToIds": user}),
        ("UpdateUser", {"UserId": user, "RoleIds": str(OWN)}, "UpdateUser", {"UserId": user, "RoleIds": str(ORDINARY)}),
    ]  # fmt: skip
    reads: list[tuple[str, dict[str, Any]]] = [
        ("QueryUserGroupMember", {"UserGroupId": group}),
        ("QueryWorkspaceUserList", {"WorkspaceId": space, "PageSize": 1000}),
        ("QueryShareList", {"ReportId": portal.portal_id}),
        ("ListOrganizationRoleUsers", {"RoleId": OWN, "PageSize": 1000}),
    ]  # fmt: skip
    for (add, given, remove, taken), (read, asked) in zip(writes, reads, strict=True):
        for action, params, states in ((add, given, (False, True)), (remove, taken, (True, False))):
            clients.control("POST", "faults", {"kind": "lag", "reads": 1, "action": action})
            assert clients.quickbi(action, **params)["Result"] is True
            assert tuple(user in json.dumps(clients.quickbi(read, **asked)["Result"]) for _ in range(2)) == states, read
    late = {"UserId": user, "UserGroupIds": group}
    clients.quickbi("AddUserGroupMembers", **late)
    clients.control("POST", "faults", {"kind": "lag", "reads": 1, "action": "DeleteUserGroupMembers"})
    clients.quickbi("DeleteUserGroupMembers", **late)
    seen = [group in str(clients.quickbi("ListUserGroupsByUserId", UserId=user)["Result"]) for _ in range(2)]
    assert seen == [True, False]


@pytest.mark.parametrize("action", ["CancelReportShare", "AddShareReport", "UpdateUser", "DeleteUserGroupMembers"])
def test_a_write_may_be_pretended(app: App, clients: Clients, user: str, portal: Portal, action: str) -> None:
    """A yes, and nothing happens."""
    group = next(iter(app.world.quickbi.groups))
    app.world.quickbi.join(app.world.quickbi.groups[group], user)
    share(clients, portal, 0, user)
    before = clients.control("GET", "world")
    clients.control("POST", "faults", {"kind": "pretend", "action": action})
    params = {"ReportId": portal.portal_id, "WorksId": portal.portal_id, "ShareToType": 0, "ShareToIds": user,
              "ShareToId": user, "AuthPoint": 3, "ExpireDate": 1, "UserId": user, "RoleIds": ADMIN,
              "UserGroupIds": group}  # fmt: skip
    assert clients.quickbi(action, **params)["Result"] is True
    after = clients.control("GET", "world")
    for name in ("quickbi_shares", "quickbi_organization_roles", "quickbi_group_members"):
        assert after[name] == before[name]
    assert Receiver(0, user) in {one.receiver for one in app.world.quickbi.shares.values()}
