"""Quick BI: lists against the truth, the product of CancelAuthorizationMenu, and what a user finally sees."""

from __future__ import annotations

import json
from typing import Any

import pytest

from emulator.app import App
from emulator.store.quickbi import FOLDER_TYPE, Menu, Portal
from emulator.store.receivers import Receiver
from tests.support.emulator_client import Clients


@pytest.fixture
def portal(app: App) -> Portal:
    """The first portal."""
    return next(iter(app.world.quickbi.portals.values()))


def leaves(portal: Portal) -> list[Menu]:
    """Leaf menus in order."""
    return list(portal.leaves())


def people(app: App, number: int) -> list[str]:
    """Ids of active members who are in nothing but the organization; administrators are made ordinary users."""
    store = app.world.quickbi
    grouped = {user for group in store.groups.values() for user in group.members}
    spaced = {user for space in store.workspaces.values() for user in space.members}
    special = {portal.owner for portal in store.portals.values()} | {r.id for r in all_receivers(app)}
    taken = grouped | spaced | special
    free = [user for user in store.users.values() if user.user_id not in taken and not user.deleted][:number]
    for user in free:
        user.roles = [111111113]
    return [user.user_id for user in free]


def all_receivers(app: App) -> list[Receiver]:
    """Receivers of shares and white lists."""
    store = app.world.quickbi
    shared = [share.receiver for share in store.shares.values()]
    return shared + [receiver for portal in store.portals.values() for receiver in portal.white]


def pairs(app: App, portal: Portal) -> set[tuple[str, int, str]]:
    """(menu, receiver type, receiver) of a portal."""
    return {(row["menu_id"], row["receiver_type"], row["receiver_id"]) for row in app.world.truth("quickbi_menus")
            if row["portal_id"] == portal.portal_id}  # fmt: skip


def tree_ids(clients: Clients, portal: Portal, user: str) -> set[str]:
    """Leaf menus that a user sees."""
    text = clients.quickbi("ListPortalMenus", DataPortalId=portal.portal_id, UserId=user)["Result"]

    def walk(nodes: list[dict[str, Any]]) -> set[str]:
        own = {node["menuId"] for node in nodes if node["menuType"] != FOLDER_TYPE}
        return own.union(*[walk(node["children"]) for node in nodes]) if nodes else set()

    return walk(json.loads(text))


def test_listing_is_the_truth(clients: Clients) -> None:
    """Portals by page, receivers in one answer each."""
    found, number = set(), 0
    while True:
        number += 1
        page = clients.quickbi("QueryWorksByOrganization", WorksType="DATAPRODUCT", PageNum=number, PageSize=1)[
            "Result"
        ]
        for work in page["Data"]:
            rows = clients.quickbi("ListPortalMenuAuthorization", DataPortalId=work["WorksId"])["Result"]
            found |= {
                (work["WorksId"], row["MenuId"], item["ReceiverType"], item["ReceiverId"], item["AuthPointsValue"])
                for row in rows
                for item in row["Receivers"]
            }
        if number >= page["TotalPages"]:
            break
    assert found == {tuple(row.values()) for row in clients.truth("quickbi_menus")}


def test_cancel_takes_the_whole_product(app: App, clients: Clients, portal: Portal) -> None:
    """Every existing pair of menus x (users + groups) goes, also one that nobody meant; others stay."""
    first, second, third = leaves(portal)[:3]
    (user, other), group = people(app, 2), next(iter(app.world.quickbi.groups))
    for menu in (first, second, third):
        menu.receivers.clear()
    for menu, receiver in [(first, Receiver(0, user)), (second, Receiver(0, user)), (second, Receiver(1, group)),
                           (first, Receiver(0, other)), (third, Receiver(0, user))]:  # fmt: skip
        app.world.quickbi.seed(menu, receiver, 11)
    body = clients.quickbi(
        "CancelAuthorizationMenu", DataPortalId=portal.portal_id, MenuIds=f"{first.menu_id},{second.menu_id}",
        UserIds=user, UserGroupIds=group,
    )  # fmt: skip
    assert (body["Success"], body["Result"]) == (True, 2)
    assert first.receivers == {Receiver(0, other): 11}
    assert second.receivers == {}
    assert third.receivers == {Receiver(0, user): 11}
    assert len(clients.effects()) == 3


def test_result_counts_menus_not_pairs(app: App, clients: Clients, portal: Portal) -> None:
    """Menus that lost something; or those asked for, by mode. Absent pairs are skipped silently."""
    first, second = leaves(portal)[:2]
    one, two = people(app, 2)
    for menu in (first, second):
        menu.receivers.clear()
    app.world.quickbi.seed(first, Receiver(0, one), 3)
    app.world.quickbi.seed(first, Receiver(0, two), 3)
    params = {
        "DataPortalId": portal.portal_id,
        "MenuIds": f"{first.menu_id},{second.menu_id}",
        "UserIds": f"{one},{two}",
    }
    assert clients.quickbi("CancelAuthorizationMenu", **params)["Result"] == 1
    assert clients.quickbi("CancelAuthorizationMenu", **params)["Result"] == 0
    app.world.modes.set("quickbi_result_counts", "requested")
    app.world.modes.set("quickbi_spelling", "strings")
    body = clients.quickbi("CancelAuthorizationMenu", **params)
    assert (body["Success"], body["Result"]) == ("true", "2")


@pytest.mark.parametrize(("change", "code"), [
    ({"MenuIds": "FOLDER"}, "FolderMenu.CanNot.Authorize"),
    ({"MenuIds": "FOREIGN"}, "Menu.NotBelongTo.CurrentDataportal"),
    ({"MenuIds": "nothing"}, "Menu.NotBelongTo.CurrentDataportal"),
    ({"UserIds": "nobody"}, "User.NotBelongTo.CurrentOrganization"),
    ({"UserGroupIds": "none"}, "Usergroup.NotBelongTo.CurrentOrganization"),
    ({"UserIds": ""}, "Invalid.Parameter.Error"),
    ({"DataPortalId": "nothing"}, "Report.NotExist.Error"),
])  # fmt: skip
def test_one_bad_id_fails_the_whole_call(
    app: App, clients: Clients, portal: Portal, change: dict[str, str], code: str
) -> None:
    """Nothing goes; the status is 400, or 500 as on the old pages."""
    leaf = leaves(portal)[0]
    user = people(app, 1)[0]
    app.world.quickbi.seed(leaf, Receiver(0, user), 3)
    before = pairs(app, portal)
    folder = next(menu for menu in portal.menus.values() if menu.type == FOLDER_TYPE)
    foreign = leaves(list(app.world.quickbi.portals.values())[1])[0]
    special = {"FOLDER": f"{leaf.menu_id},{folder.menu_id}", "FOREIGN": f"{leaf.menu_id},{foreign.menu_id}"}
    params = {"DataPortalId": portal.portal_id, "MenuIds": leaf.menu_id, "UserIds": user}
    params |= {name: special.get(value, value) for name, value in change.items()}
    for status in (400, 500):
        app.world.modes.set("quickbi_error_status", str(status))
        answer = clients.alibaba_raw("quickbi", "CancelAuthorizationMenu", params)
        assert (answer.status, json.loads(answer.body)["Code"]) == (status, code)
    assert pairs(app, portal) == before
    entry = app.world.journal.after(0, kind="request")[-1]
    assert (entry["code"], entry["executed"], entry["effects"]) == (code, False, 0)


def test_limits_per_parameter(clients: Clients, portal: Portal, app: App) -> None:
    """101 menus, 201 users, 201 groups are too many."""
    menu, user = leaves(portal)[0].menu_id, people(app, 1)[0]
    base = {"DataPortalId": portal.portal_id, "MenuIds": menu, "UserIds": user}
    for name, count in [("MenuIds", 101), ("UserIds", 201), ("UserGroupIds", 201)]:
        body = clients.quickbi("CancelAuthorizationMenu", **{**base, name: ",".join(["x"] * count)})
        assert body["Code"] == "Invalid.Parameter.Error", name
    assert clients.quickbi("CancelAuthorizationMenu", **{**base, "MenuIds": ",".join([menu] * 100)})["Success"] is True


def test_authorize_is_the_additive_mirror(app: App, clients: Clients, portal: Portal) -> None:
    """Pairs there already stay as they are, or get new points by mode; 11 cannot be given."""
    menu, user = leaves(portal)[0], people(app, 1)[0]
    menu.receivers.clear()
    params = {"DataPortalId": portal.portal_id, "MenuIds": menu.menu_id, "UserIds": user}
    assert clients.quickbi("AuthorizeMenu", **params)["Result"] == 1
    assert clients.quickbi("AuthorizeMenu", AuthPointsValue=1, **params)["Result"] == 0
    assert menu.receivers == {Receiver(0, user): 3}
    app.world.modes.set("quickbi_authorize_existing", "overwrite")
    assert clients.quickbi("AuthorizeMenu", AuthPointsValue=1, **params)["Result"] == 1
    assert menu.receivers == {Receiver(0, user): 1}
    assert clients.quickbi("AuthorizeMenu", AuthPointsValue=11, **params)["Code"] == "Invalid.Parameter.Error"


def test_what_a_user_sees(app: App, clients: Clients, portal: Portal) -> None:
    """Own record, group, parent group, workspace, organization, white list, open menus."""
    store, user = app.world.quickbi, people(app, 1)[0]
    for menu in portal.leaves():
        menu.receivers.clear()
        menu.show_only_with_access = True
    portal.white.clear()
    own, grouped, parent, spaced, everyone, opened = [menu.menu_id for menu in leaves(portal)[:6]]
    child = next(group for group in store.groups.values() if group.parent in store.groups)
    portal.menus[opened].show_only_with_access = False

    def readable() -> bool:
        return clients.quickbi("CheckReadable", UserId=user, WorksId=portal.portal_id)["Result"] is True

    assert tree_ids(clients, portal, user) == set()
    assert not readable()
    store.seed(portal.menus[own], Receiver(0, user), 1)
    assert tree_ids(clients, portal, user) == {own, opened}
    assert readable()
    store.seed(portal.menus[grouped], Receiver(1, child.group_id), 1)
    store.seed(portal.menus[parent], Receiver(1, child.parent), 1)
    clients.quickbi("AddUserGroupMember", UserGroupId=child.group_id, UserIdList=user)
    assert tree_ids(clients, portal, user) == {own, opened, grouped, parent}
    app.world.modes.set("quickbi_subgroups", "not_covered")
    assert tree_ids(clients, portal, user) == {own, opened, grouped}
    clients.quickbi("AddUserToWorkspace", UserId=user, WorkspaceId=portal.workspace_id, RoleId=30)
    store.seed(portal.menus[spaced], Receiver(3, portal.workspace_id), 1)
    store.seed(portal.menus[everyone], Receiver(2, store.organization_id), 1)
    assert tree_ids(clients, portal, user) == {own, opened, grouped, spaced, everyone}
    portal.white[Receiver(0, user)] = 1
    assert tree_ids(clients, portal, user) == {menu.menu_id for menu in portal.leaves()}
    clients.quickbi("UpdateUser", UserId=user, IsDeleted="true")
    assert tree_ids(clients, portal, user) == set()


def test_cancelling_does_not_close_an_open_menu(app: App, clients: Clients, portal: Portal) -> None:
    """Visibility is changed by ChangeVisibilityModel only."""
    first, second = leaves(portal)[:2]
    user = people(app, 1)[0]
    for menu in (first, second):
        menu.receivers.clear()
        app.world.quickbi.seed(menu, Receiver(0, user), 1)
    clients.quickbi("ChangeVisibilityModel", DataPortalId=portal.portal_id, MenuIds=first.menu_id,
                    ShowOnlyWithAccess="false")  # fmt: skip
    clients.quickbi("CancelAuthorizationMenu", DataPortalId=portal.portal_id, MenuIds=first.menu_id, UserIds=user)
    assert first.menu_id in tree_ids(clients, portal, user)
    row = next(row for row in clients.quickbi("ListPortalMenuAuthorization", DataPortalId=portal.portal_id)["Result"]
               if row["MenuId"] == first.menu_id)  # fmt: skip
    assert row == {"MenuId": first.menu_id, "ShowOnlyWithAccess": False, "Receivers": []}
    changed = clients.quickbi("ChangeVisibilityModel", DataPortalId=portal.portal_id, MenuIds=first.menu_id,
                              ShowOnlyWithAccess="true")  # fmt: skip
    assert changed["Result"] == 1


def test_old_spelling_of_lists(app: App, clients: Clients, portal: Portal) -> None:
    """Receiver types and flags as text, as in the old samples."""
    app.world.modes.set("quickbi_spelling", "strings")
    rows = clients.quickbi("ListPortalMenuAuthorization", DataPortalId=portal.portal_id)["Result"]
    assert {row["ShowOnlyWithAccess"] for row in rows} <= {"true", "false"}
    assert all(item["ReceiverType"] in ("0", "1", "2", "3") for row in rows for item in row["Receivers"])


def test_users_groups_and_workspaces(app: App, clients: Clients) -> None:
    """The look-ups that residual access needs."""
    store = app.world.quickbi
    page = clients.quickbi("QueryUserList", PageSize=1000)["Result"]
    assert page["TotalNum"] == len(page["Data"]) == len(store.users)
    user = page["Data"][0]
    by_account = clients.quickbi("QueryUserInfoByAccount", Account=user["AccountId"])["Result"]
    assert by_account == clients.quickbi("QueryUserInfoByUserId", UserId=user["UserId"])["Result"]
    assert clients.quickbi("CheckOrganizationMember", UserId="nobody")["Result"] is False
    roots = clients.quickbi("QueryUserGroupListByParentId", ParentUserGroupId="-1")["Result"]
    assert {row["ParentUserGroupId"] for row in roots} == {"-1"}
    group = next(
        group for group in store.groups.values() if any(g.parent == group.group_id for g in store.groups.values())
    )
    members = clients.quickbi("QueryUserGroupMember", UserGroupId=group.group_id)["Result"]
    assert {row["IsUserGroup"] for row in members} == {True, False}
    member = next(row["Id"] for row in members if not row["IsUserGroup"])
    mine = clients.quickbi("ListUserGroupsByUserId", UserId=member)["Result"]
    assert group.group_id in {row["UsergroupId"] for row in mine}
    both = clients.quickbi("ListByUserGroupId", UserGroupIds=f"{group.group_id},nothing")["Result"]
    assert (len(both["UserGroupModels"]), both["FailedUserGroupIds"]) == (1, ["nothing"])
    assert clients.quickbi("GetUserGroupInfo", Keyword=group.name)["Result"][0]["UsergroupName"] == group.name
    assert clients.quickbi("DeleteUserGroupMember", UserGroupId=group.group_id, UserId=member)["Result"] is True
    assert member not in group.members
    space = clients.quickbi("QueryOrganizationWorkspaceList")["Result"]["Data"][0]
    users = clients.quickbi("QueryWorkspaceUserList", WorkspaceId=space["WorkspaceId"], PageSize=100)["Result"]["Data"]
    roles = clients.quickbi("ListWorkspaceUserRolesByUserId", UserId=users[0]["UserId"])["Result"]
    role = next(row["RoleModel"] for row in roles if row["WorkspaceId"] == space["WorkspaceId"])
    assert role["RoleId"] == str(users[0]["Role"]["RoleId"])
    assert clients.quickbi("DeleteUserFromWorkspace", UserId=users[0]["UserId"],
                           WorkspaceId=space["WorkspaceId"])["Result"] is True  # fmt: skip
    assert users[0]["UserId"] not in store.workspaces[space["WorkspaceId"]].members


def test_a_foreign_account_has_no_organization(clients: Clients, portal: Portal) -> None:
    """Wrong account and missing rights have their own codes."""
    foreign = ("LTAIDEMO00000000000003", "alibaba-demo-secret-3")
    answer = clients.alibaba_raw("quickbi", "ListPortalMenus", {"DataPortalId": portal.portal_id}, key=foreign)
    assert json.loads(answer.body)["Code"] == "Invalid.Organization"
    powerless = ("LTAIDEMO00000000000004", "alibaba-demo-secret-4")
    answer = clients.alibaba_raw("quickbi", "ListPortalMenus", {"DataPortalId": portal.portal_id}, key=powerless)
    assert json.loads(answer.body)["Code"] == "Access.Forbidden"


def test_deleting_people_and_groups(app: App, clients: Clients, portal: Portal) -> None:
    """Their records go with them; a member of a workspace cannot be deleted; administrators can be found."""
    store, menu = app.world.quickbi, leaves(portal)[0]
    user, group = people(app, 1)[0], next(iter(store.groups))
    store.seed(menu, Receiver(0, user), 1)
    store.seed(menu, Receiver(1, group), 1)
    assert clients.quickbi("DeleteUser", UserId=user)["Result"] is True
    assert clients.quickbi("DeleteUserGroup", UserGroupId=group)["Result"] is True
    left = {row["receiver_id"] for row in app.world.truth("quickbi_menus")}
    assert not {user, group} & left
    assert group not in {item.parent for item in store.groups.values()}
    space = next(iter(store.workspaces.values()))
    member = next(iter(space.members))
    assert clients.quickbi("DeleteUser", UserId=member)["Code"] == "Member.ExistInWorkspace.Error"
    other = people(app, 1)[0]
    added = clients.quickbi("AddWorkspaceUsers", WorkspaceId=space.workspace_id, RoleId=30,
                            UserIds=f"{other},{member},nobody")["Result"]  # fmt: skip
    assert (added["Total"], added["Success"], set(added["FailureDetail"])) == (3, 1, {member, "nobody"})
    admins = clients.quickbi("ListOrganizationRoleUsers", RoleId=111111111)["Result"]["Data"]
    assert {row["NickName"] for row in admins} >= {"Last Administrator", "rescind-bot"}
    assert clients.quickbi("ListOrganizationRoles")["Result"][0]["RoleId"] == 111111111
