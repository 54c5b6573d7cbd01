"""Quick BI listings: every field that may be null or missing, and what becomes of the row."""

from __future__ import annotations

import asyncio
import copy
from typing import Any

import pytest

from rescind.cloud.quickbi.inventory import (
    ListUserGroupsByUserId,
    ListWorkspaceUserRolesByUserId,
    QueryOrganizationWorkspaceList,
    QueryUserGroupMember,
    QueryUserList,
    QueryWorkspaceUserList,
)
from rescind.cloud.quickbi.menus import (
    ListPortalMenuAuthorization,
    ListPortalMenus,
    ListWhitePortalMenu,
    QueryWorksByOrganization,
)
from rescind.cloud.quickbi.shares import (
    CheckReadable,
    QueryShareList,
    QuerySharesToUserList,
)
from rescind.errors import ListingIncompleteError, MalformedResponseError
from tests.support.null_table import (
    MISSING,
    NULL,
    Client,
    Listed,
    Make,
    cases,
    changed,
    check_field,
    check_full_row,
    check_null_row,
    read,
)

PAGED: dict[str, Any] = {"path": "Result.Data", "total": "Result.TotalNum"}
WHOLE: dict[str, Any] = {"path": "Result"}
RECEIVER = {"ReceiverId": "u1", "ReceiverType": 0, "AuthPointsValue": 3}
ROLE = {"RoleId": 25, "RoleCode": "role_workspace_admin", "RoleName": "Administrator"}
WORK = {
    "WorksId": "w1",
    "WorkName": "Sales",
    "WorkType": "DATAPRODUCT",
    "WorkspaceId": "s1",
    "WorkspaceName": "Space",
    "OwnerId": "u1",
    "OwnerName": "ann",
    "SecurityLevel": "11",
    "Status": 1,
    "ThirdPartAuthFlag": 0,
}
SHARE = {
    "ShareId": "h1",
    "ReportId": "w1",
    "ShareType": "dataProduct",
    "ShareToType": 0,
    "ShareToId": "u1",
    "ShareToName": "Ann",
    "AuthPoint": 3,
    "ExpireDate": 1893456000000,
}
SHARES = Listed(QueryShareList(ReportId="w1"), row=SHARE, **WHOLE)

LISTINGS = (
    SHARES,
    Listed(QuerySharesToUserList(UserId="u1"), row=WORK, needed=frozenset({"WorksId"}), **WHOLE),
    Listed(
        QueryUserList(),
        row={
            "UserId": "u1",
            "AccountId": "1600000000000001",
            "AccountName": "a",
            "NickName": "Ann",
            "UserType": 1,
            "IsDeleted": False,
            "RoleIdList": [111111111],
            "AdminUser": True,
            "AuthAdminUser": False,
            "LastLoginTime": 1,
            "JoinedDate": 2,
        },
        needed=frozenset({"UserId"}),
        **PAGED,
    ),
    Listed(
        QueryWorksByOrganization(WorksType="DATAPRODUCT"),
        row={
            "WorksId": "w1",
            "WorkName": "Sales",
            "WorkType": "DATAPRODUCT",
            "WorkspaceId": "s1",
            "WorkspaceName": "Space",
            "OwnerId": "u1",
            "OwnerName": "ann",
            "Status": 1,
            "PublicFlag": True,
            "PublicInvalidTime": 1893456000000,
            "SecurityLevel": "11",
            "GmtModify": "1700000000000",
        },
        needed=frozenset({"WorksId"}),
        **PAGED,
    ),
    Listed(
        QueryOrganizationWorkspaceList(),
        row={
            "WorkspaceId": "s1",
            "WorkspaceName": "Space",
            "OrganizationId": "o1",
            "Owner": "u1",
            "OwnerAccountName": "ann",
            "CreateUser": "u2",
            "CreateUserAccountName": "bob",
        },
        needed=frozenset({"WorkspaceId"}),
        **PAGED,
    ),
    Listed(
        QueryWorkspaceUserList(WorkspaceId="s1"),
        row={"UserId": "u1", "AccountId": "1", "AccountName": "a", "NickName": "Ann", "Role": ROLE},
        needed=frozenset({"UserId"}),
        **PAGED,
    ),
    Listed(
        ListWorkspaceUserRolesByUserId(UserId="u1"),
        row={"WorkspaceId": "s1", "WorkspaceName": "Space", "RoleModel": {**ROLE, "RoleId": "25"}},
        needed=frozenset({"WorkspaceId"}),
        **WHOLE,
    ),
    Listed(
        ListUserGroupsByUserId(UserId="u1"),
        row={
            "UserGroupId": "g1",
            "UserGroupName": "Group",
            "ParentUserGroupId": "-1",
            "IdentifiedPath": "g0/g1",
        },
        needed=frozenset({"UserGroupId"}),
        **WHOLE,
    ),
    Listed(ListWhitePortalMenu(DataportalId="p1"), row=RECEIVER, needed=frozenset({"ReceiverType"}), **WHOLE),
    Listed(
        ListPortalMenuAuthorization(DataPortalId="p1"),
        row={"MenuId": "m1", "ShowOnlyWithAccess": True, "Receivers": [RECEIVER]},
        needed=frozenset({"MenuId", "Receivers[].ReceiverType"}),
        **WHOLE,
    ),
    Listed(
        QueryUserGroupMember(UserGroupId="g1"),
        row={"Id": "u1", "IsUserGroup": False, "Name": "Ann", "ParentUserGroupId": "g1"},
        needed=frozenset({"Id", "IsUserGroup"}),
        **WHOLE,
    ),
)
EACH = pytest.mark.parametrize("listed", LISTINGS, ids=lambda listed: listed.action)


@EACH
def test_a_full_row_is_read_and_has_every_field_of_the_model(listed: Listed, client: Client, alibaba: Make) -> None:
    check_full_row(client, alibaba, listed)


@pytest.mark.parametrize(("listed", "path", "how"), cases(LISTINGS))
def test_a_field_is_kept_as_unknown_or_refused(
    listed: Listed, path: str, how: str, client: Client, alibaba: Make
) -> None:
    check_field(client, alibaba, listed, path, how)


@EACH
@pytest.mark.parametrize("how", [NULL, MISSING])
def test_no_list_is_not_nobody(listed: Listed, how: str, client: Client, alibaba: Make) -> None:
    with pytest.raises(ListingIncompleteError) as caught:
        read(client, alibaba, listed, listed.payload(how, declared=0))
    assert listed.action in caught.value.what
    with pytest.raises(ListingIncompleteError):
        read(client, alibaba, listed, {"Result": None} if how == NULL else {})


@EACH
def test_a_null_in_place_of_a_row_is_refused(listed: Listed, client: Client, alibaba: Make) -> None:
    check_null_row(client, alibaba, listed)


@EACH
def test_an_explicit_empty_list_is_nobody(listed: Listed, client: Client, alibaba: Make) -> None:
    assert read(client, alibaba, listed, listed.payload([], declared=0)).rows == ()


def test_extra_fields_and_ids_as_numbers(client: Client, alibaba: Make) -> None:
    listed = next(each for each in LISTINGS if each.action == "QueryUserList")
    row = {**listed.row, "UserId": 9223372036854775807, "Email": "canary@example.org", "Phone": "canary"}
    (user,) = read(client, alibaba, listed, listed.payload([row])).rows
    assert (user.UserId, user.RoleIdList) == ("9223372036854775807", ("111111111",))
    assert "canary" not in repr(user) + user.model_dump_json()


# --- menus whose receivers are not listed ---------------------------------------------------------------

MENUS = Listed(ListPortalMenuAuthorization(DataPortalId="p1"), row={}, **WHOLE)
HELD = {"MenuId": "held", "ShowOnlyWithAccess": True, "Receivers": [RECEIVER]}


@pytest.mark.parametrize("bare", [{"MenuId": "bare", "Receivers": None}, {"MenuId": "bare"}])
def test_a_menu_without_a_list_of_receivers_is_unconfirmed_and_hides_no_other(
    bare: dict[str, Any], client: Client, alibaba: Make
) -> None:
    empty = {"MenuId": "empty", "Receivers": []}
    rows = {row.MenuId: row for row in read(client, alibaba, MENUS, MENUS.payload([bare, HELD, empty])).rows}
    assert {menu: (len(row.receivers), row.unconfirmed) for menu, row in rows.items()} == {
        "bare": (0, True),
        "held": (1, False),
        "empty": (0, False),
    }


def test_two_equal_reads_of_unconfirmed_menus_compare_equal(client: Client, alibaba: Make) -> None:
    page = MENUS.payload([{"MenuId": "bare", "Receivers": None}, HELD])
    assert read(client, alibaba, MENUS, page).rows == read(client, alibaba, MENUS, page).rows
    later = copy.deepcopy(page)
    later["Result"][0]["Receivers"] = [RECEIVER]
    assert read(client, alibaba, MENUS, page).rows != read(client, alibaba, MENUS, later).rows


@pytest.mark.parametrize("level", [NULL, MISSING])
def test_a_receiver_without_a_level_has_an_unknown_level(level: str, client: Client, alibaba: Make) -> None:
    menu = {**HELD, "Receivers": [changed(RECEIVER, "AuthPointsValue", level), {**RECEIVER, "ReceiverId": "u2"}]}
    (row,) = read(client, alibaba, MENUS, MENUS.payload([menu])).rows
    assert [(each.ReceiverId, each.AuthPointsValue) for each in row.receivers] == [("u1", None), ("u2", 3)]
    assert len({each.key() for each in row.receivers}) == 2


# --- shares -----------------------------------------------------------------------------------------------


def test_shares_of_every_kind_level_and_end_are_rows_of_their_own(client: Client, alibaba: Make) -> None:
    rows = [
        SHARE,
        {**SHARE, "ShareToId": "u2"},
        {**SHARE, "ShareToType": 1},
        {**SHARE, "ShareToType": None},
        {**SHARE, "ShareToType": "7"},
        {**SHARE, "AuthPoint": None},
        {**SHARE, "ExpireDate": None},
        {**SHARE, "ShareToId": None},
    ]
    listing = read(client, alibaba, SHARES, SHARES.payload(rows))
    assert [row.ShareToType for row in listing.rows] == [0, 0, 1, None, 7, 0, 0, 0]
    assert listing.record.counted == 8


# --- the platform's own answer --------------------------------------------------------------------------


def ask(client: Client, alibaba: Make, request: Any, **payload: Any) -> Any:
    async def run() -> Any:
        async with client(lambda _: alibaba(**payload), service="quickbi") as made:
            return (await made.read(request)).value

    return asyncio.run(run())


@pytest.mark.parametrize(("said", "meant"), [(True, True), (False, False), ("true", True), ("false", False)])
def test_readable_is_read_strictly(said: Any, meant: bool, client: Client, alibaba: Make) -> None:
    assert ask(client, alibaba, CheckReadable(UserId="u1", WorksId="w1"), Result=said).Result is meant


@pytest.mark.parametrize("payload", [{}, {"Result": None}, {"Result": ""}, {"Result": 0}, {"Result": "no"}])
def test_no_answer_is_not_unreadable(payload: dict[str, Any], client: Client, alibaba: Make) -> None:
    with pytest.raises(MalformedResponseError, match="Result"):
        ask(client, alibaba, CheckReadable(UserId="u1", WorksId="w1"), **payload)


@pytest.mark.parametrize("payload", [{}, {"Result": None}, {"Result": ""}, {"Result": "null"}, {"Result": "{"}])
def test_no_menu_tree_is_not_an_empty_portal(payload: dict[str, Any], client: Client, alibaba: Make) -> None:
    with pytest.raises(MalformedResponseError):
        ask(client, alibaba, ListPortalMenus(DataPortalId="p1", UserId="u1"), **payload)
    assert ask(client, alibaba, ListPortalMenus(DataPortalId="p1", UserId="u1"), Result="[]").nodes() == ()
