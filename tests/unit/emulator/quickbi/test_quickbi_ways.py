"""Quick BI beside menu records: white lists, shares, roles, owners, and the platform's own answers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from emulator.app import App
from emulator.store.quickbi import Portal
from emulator.store.receivers import Receiver
from tests.support.emulator_client import Clients, mutate

ORDINARY = 111111113


@pytest.fixture
def portal(app: App) -> Portal:
    """A portal without records, white list, shares and open menus, owned by nobody in particular."""
    found = next(iter(app.world.quickbi.portals.values()))
    for menu in found.leaves():
        menu.receivers.clear()
        menu.show_only_with_access = True
    found.white.clear()
    app.world.quickbi.shares.clear()
    found.owner = "nobody"
    app.world.quickbi.workspaces[found.workspace_id].members.clear()
    app.world.quickbi.workspaces[found.workspace_id].owner = "nobody"
    return found


@pytest.fixture
def user(app: App) -> str:
    """An active member with no role and in no group."""
    store = app.world.quickbi
    found = next(user for user in store.users.values() if not user.deleted)
    found.roles = [ORDINARY]
    for group in store.groups.values():
        group.members.pop(found.user_id, None)
    return found.user_id


def seen(clients: Clients, portal: Portal, user: str) -> int:
    """How many leaf menus a user sees."""
    text = clients.quickbi("ListPortalMenus", DataPortalId=portal.portal_id, UserId=user)["Result"]
    return sum(menu.menu_id in text for menu in portal.leaves())


def readable(clients: Clients, portal: Portal, user: str) -> bool:
    """Both answers on whether a user can open a portal, which must agree."""
    check = clients.quickbi("CheckReadable", UserId=user, WorksId=portal.portal_id)["Result"]
    rows = clients.quickbi("QueryReadableResourcesListByUserIdV2", UserId=user, WorkType="DATAPRODUCT")["Result"]
    assert (portal.portal_id in {row["WorksId"] for row in rows}) is check
    return bool(check)


WAYS: dict[str, tuple[dict[str, Any], str, str]] = {
    "white list": ({"op": "white_list", "receiver_type": 0}, "quickbi_white_list", "opens"),
    "share": ({"op": "share", "receiver_type": 0}, "quickbi_share_reach", "opens"),
    "owner": ({"op": "portal_owner"}, "quickbi_owner_reach", "opens"),
    "workspace owner": ({"op": "workspace_owner"}, "quickbi_role_reach", "opens"),
    "workspace administrator": ({"op": "workspace_member", "role_id": 25}, "quickbi_role_reach", "opens"),
    "workspace developer": ({"op": "workspace_member", "role_id": 26}, "quickbi_role_reach", "opens"),
    "organization administrator": (
        {"op": "quickbi_roles", "role_ids": [ORDINARY, 111111111]}, "quickbi_admin_reach", "none"),
    "permission administrator": (
        {"op": "quickbi_roles", "role_ids": [111111112]}, "quickbi_admin_reach", "organization_admin"),
}  # fmt: skip


@pytest.mark.parametrize("name", WAYS)
def test_each_way_shows_all_menus_unless_the_mode_says_otherwise(
    app: App, clients: Clients, portal: Portal, user: str, name: str
) -> None:
    """Nothing before; all menus by default; with the mode no menu, and an open one where the way opens the portal."""
    operation, mode, value = WAYS[name]
    ids = {"portal_id": portal.portal_id, "works_id": portal.portal_id, "workspace_id": portal.workspace_id,
           "user_id": user, "receiver_id": user}  # fmt: skip
    assert (seen(clients, portal, user), readable(clients, portal, user)) == (0, False)
    assert mutate(clients, **ids, **operation) is True
    assert (seen(clients, portal, user), readable(clients, portal, user)) == (len(list(portal.leaves())), True)
    app.world.modes.set(mode, value)
    assert seen(clients, portal, user) == 0
    next(portal.leaves()).show_only_with_access = False
    opened = value == "opens"
    assert (seen(clients, portal, user), readable(clients, portal, user)) == (int(opened), opened)


def test_white_list_and_its_receiver_types(app: App, clients: Clients, portal: Portal, user: str) -> None:
    """An organization is listed with type 3, as documented, or with its own number; only workspaces may count."""
    organization = app.world.quickbi.organization_id
    portal.white[Receiver(2, organization)] = 1
    portal.white[Receiver(0, user)] = 1
    rows = clients.quickbi("ListWhitePortalMenu", DataportalId=portal.portal_id)["Result"]
    assert [(row["ReceiverType"], row["ReceiverId"]) for row in rows] == [(3, organization), (0, user)]
    app.world.modes.set("quickbi_white_type", "own")
    rows = clients.quickbi("ListWhitePortalMenu", DataportalId=portal.portal_id)["Result"]
    assert rows[0]["ReceiverType"] == 2
    app.world.modes.set("quickbi_white_list", "workspaces")
    assert seen(clients, portal, user) == 0
    portal.white.clear()
    assert clients.quickbi("ListWhitePortalMenu", DataportalId=portal.portal_id)["Result"] == []
    app.world.modes.set("quickbi_empty_white_list", "null")
    assert clients.quickbi("ListWhitePortalMenu", DataportalId=portal.portal_id)["Result"] is None


def test_shares_have_an_end(app: App, clients: Clients, portal: Portal, user: str) -> None:
    """One that has run out is in no list and gives nothing; groups and the organization count; cancel by receiver."""
    now = int(app.world.clock.now() * 1000)
    common = {"WorksId": portal.portal_id, "AuthPoint": 3, "ExpireDate": now + 60_000}
    for kind, ident in ((0, user), (2, "anything")):
        assert clients.quickbi("AddShareReport", ShareToType=kind, ShareToId=ident, **common)["Result"] is True
    rows = clients.quickbi("QueryShareList", ReportId=portal.portal_id)["Result"]
    assert {(row["ShareToType"], row["ShareToId"], row["ShareType"], row["ExpireDate"]) for row in rows} == {
        (0, user, "dataProduct", now + 60_000),
        (2, app.world.quickbi.organization_id, "dataProduct", now + 60_000),
    }
    other = next(other for other in app.world.quickbi.users.values() if other.user_id != user and not other.deleted)
    assert seen(clients, portal, other.user_id) > 0
    mine = clients.quickbi("QuerySharesToUserList", UserId=user)["Result"]
    assert [row["WorksId"] for row in mine] == [portal.portal_id]
    assert clients.quickbi("QuerySharesToUserList", UserId=other.user_id)["Result"] == []
    app.world.modes.set("quickbi_shares_to_user", "all")
    assert len(clients.quickbi("QuerySharesToUserList", UserId=other.user_id)["Result"]) == 1
    cancel = {"ReportId": portal.portal_id, "ShareToType": 2, "ShareToIds": app.world.quickbi.organization_id}
    assert clients.quickbi("CancelReportShare", **cancel)["Result"] is True
    assert seen(clients, portal, user) > 0
    clients.control("POST", "clock", {"advance": 61})
    assert seen(clients, portal, user) == 0
    assert clients.quickbi("QueryShareList", ReportId=portal.portal_id)["Result"] == []
    app.world.modes.set("quickbi_empty_shares", "null")
    assert clients.quickbi("QueryShareList", ReportId=portal.portal_id)["Result"] is None
    assert [entry["op"] for entry in clients.effects("quickbi_shares")] == ["added", "added", "removed"]
    assert (
        clients.quickbi("AddShareReport", ShareToType=3, ShareToId="x", **common)["Code"] == "Invalid.Parameter.Error"
    )


def test_what_the_platform_says_of_a_deactivated_user(app: App, clients: Clients, portal: Portal, user: str) -> None:
    """No access; the same as before; or an error: three readings."""
    portal.owner = user
    app.world.quickbi.users[user].deleted = True
    assert (seen(clients, portal, user), readable(clients, portal, user)) == (0, False)
    app.world.modes.set("quickbi_deactivated", "answered")
    assert seen(clients, portal, user) > 0 and readable(clients, portal, user)
    app.world.modes.set("quickbi_deactivated", "refused")
    for action, ids in (("ListPortalMenus", {"DataPortalId": portal.portal_id}),
                        ("CheckReadable", {"WorksId": portal.portal_id}),
                        ("QueryReadableResourcesListByUserIdV2", {})):  # fmt: skip
        assert clients.quickbi(action, UserId=user, **ids)["Code"] == "User.Not.In.Organization"


def test_what_the_platform_says_of_a_user_without_menus(app: App, clients: Clients, portal: Portal, user: str) -> None:
    """An empty tree, null, or an error."""
    ids = {"DataPortalId": portal.portal_id, "UserId": user}
    assert clients.quickbi("ListPortalMenus", **ids)["Result"] == "[]"
    app.world.modes.set("quickbi_no_menus", "null")
    assert clients.quickbi("ListPortalMenus", **ids)["Result"] is None
    app.world.modes.set("quickbi_no_menus", "refused")
    assert clients.quickbi("ListPortalMenus", **ids)["Code"] == "Access.Forbidden"
    assert json.loads(clients.quickbi("ListPortalMenus", DataPortalId=portal.portal_id)["Result"])


def test_roles_of_the_organization(app: App, clients: Clients, user: str) -> None:
    """Flags and role ids say the same, or only one of both; both can be changed."""

    def shown() -> tuple[Any, Any, Any]:
        row = clients.quickbi("QueryUserInfoByUserId", UserId=user)["Result"]
        listed = clients.quickbi("QueryUserList", PageSize=1000)["Result"]["Data"]
        assert next(one for one in listed if one["UserId"] == user)["RoleIdList"] == row["RoleIdList"]
        return row["AdminUser"], row["AuthAdminUser"], row["RoleIdList"]

    assert shown() == (False, False, [ORDINARY])
    clients.quickbi("UpdateUser", UserId=user, AuthAdminUser="true")
    assert shown() == (False, True, [111111112, ORDINARY])
    holders = clients.quickbi("ListOrganizationRoleUsers", RoleId=111111112, PageSize=100)["Result"]["Data"]
    assert user in {row["UserId"] for row in holders}
    app.world.modes.set("quickbi_admin_flags", "roles_only")
    assert shown() == (False, False, [111111112, ORDINARY])
    app.world.modes.set("quickbi_admin_flags", "flags_only")
    assert shown() == (False, True, None)
    app.world.modes.set("quickbi_admin_flags", "both")
    clients.quickbi("UpdateUser", UserId=user, AuthAdminUser="false")
    assert shown() == (False, False, [ORDINARY])
    roles = {row["RoleId"] for row in clients.quickbi("ListOrganizationRoles")["Result"]}
    assert {111111111, 111111112, ORDINARY} <= roles


def test_roles_and_owners_of_workspaces(app: App, clients: Clients, portal: Portal, user: str) -> None:
    """Every list that shows a workspace role shows the same one; owner and creator are told apart."""
    space = portal.workspace_id
    mutate(clients, op="workspace_member", workspace_id=space, user_id=user, role_id=26)
    members = clients.quickbi("QueryWorkspaceUserList", WorkspaceId=space)["Result"]["Data"]
    assert [(row["UserId"], row["Role"]["RoleId"]) for row in members] == [(user, 26)]
    mine = clients.quickbi("ListWorkspaceUserRolesByUserId", UserId=user)["Result"]
    assert {row["WorkspaceId"]: row["RoleModel"]["RoleId"] for row in mine}[space] == "26"
    holders = clients.quickbi("ListWorkspaceRoleUsers", RoleId=26, WorkspaceId=space)["Result"]["Data"]
    assert [(row["UserId"], row["WorkspaceId"]) for row in holders] == [(user, space)]
    everywhere = clients.quickbi("ListWorkspaceRoleUsers", RoleId=26, PageSize=1000)["Result"]["Data"]
    assert (user, space) in {(row["UserId"], row["WorkspaceId"]) for row in everywhere}
    assert {row["RoleId"] for row in clients.quickbi("ListWorkspaceRoles", WorkspaceId=space)["Result"]} == {
        25, 26, 27, 30,
    }  # fmt: skip
    app.world.quickbi.workspaces[space].owner = next(iter(app.world.quickbi.users))
    former = app.world.quickbi.workspaces[space].owner
    new = next(other for other in app.world.quickbi.users if other != former)
    mutate(clients, op="workspace_owner", workspace_id=space, user_id=new)
    listed = clients.quickbi("QueryOrganizationWorkspaceList", PageSize=100)["Result"]["Data"]
    row = next(row for row in listed if row["WorkspaceId"] == space)
    assert (row["Owner"], row["CreateUser"]) == (new, former)


def test_owners_of_works_and_what_becomes_of_them(app: App, clients: Clients, portal: Portal, user: str) -> None:
    """The owner is in every list of works; with a deleted owner the work goes to the successor."""
    mutate(clients, op="portal_owner", portal_id=portal.portal_id, user_id=user)
    works = clients.quickbi("QueryWorksByOrganization", PageSize=100)["Result"]["Data"]
    assert {row["WorkType"] for row in works} == {"DATAPRODUCT", "PAGE"}
    assert next(row for row in works if row["WorksId"] == portal.portal_id)["OwnerId"] == user
    heir = next(other for other in app.world.quickbi.users if other != user)
    for space in app.world.quickbi.workspaces.values():
        space.members.pop(user, None)
    portal.white[Receiver(0, user)] = 1
    assert clients.quickbi("DeleteUser", UserId=user, TransferUserId=heir)["Result"] is True
    assert clients.quickbi("QueryWorks", WorksId=portal.portal_id)["Result"]["OwnerId"] == heir
    assert portal.white == {}


def test_dashboards_and_their_authorizations(app: App, clients: Clients) -> None:
    """Records of users and workspaces by type 0, of groups by type 1; portals are no type of the action."""
    work = next(iter(app.world.quickbi.works.values()))

    def records(kind: int) -> set[tuple[int, str]]:
        rows = clients.quickbi("ListAuthConfigByResource", ResourceId=work.works_id, WorksType="dashboard",
                               ShareToType=kind, HasAuth="true")["Result"]  # fmt: skip
        assert all(row["Authorities"] == ["READ", "EXPORT"] for row in rows)
        return {(row["Scope"], row["AuthorizedId"]) for row in rows}

    held = {(item.receiver.kind, item.receiver.id) for item in app.world.quickbi.authorizations.of(work.works_id)}
    assert records(0) | records(1) == held
    assert {kind for kind, _ in records(1)} == {1}
    answer = clients.quickbi("ListAuthConfigByResource", ResourceId=work.works_id, WorksType="dataProduct",
                             ShareToType=0, HasAuth="true")  # fmt: skip
    assert answer["Code"] == "Invalid.Parameter.Error"
    outsider = next(user for user in app.world.quickbi.users.values() if not user.deleted and not any(
        user.user_id in space.members for space in app.world.quickbi.workspaces.values()))  # fmt: skip
    app.world.quickbi.groups = {}
    assert clients.quickbi("CheckReadable", UserId=outsider.user_id, WorksId=work.works_id)["Result"] is False
    work.owner = outsider.user_id
    assert clients.quickbi("CheckReadable", UserId=outsider.user_id, WorksId=work.works_id)["Result"] is True


def test_a_page_behind_the_end(app: App, clients: Clients) -> None:
    """Empty, or the last page again."""
    pages = -(-len(app.world.quickbi.users) // 4)
    assert clients.quickbi("QueryUserList", PageSize=4, PageNum=pages + 1)["Result"]["Data"] == []
    app.world.modes.set("quickbi_beyond_end", "last")
    again = clients.quickbi("QueryUserList", PageSize=4, PageNum=pages + 1)["Result"]["Data"]
    assert again == clients.quickbi("QueryUserList", PageSize=4, PageNum=pages)["Result"]["Data"] != []
