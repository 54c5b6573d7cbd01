from __future__ import annotations

from typing import Any

import pytest

from rescind.cloud.alibaba import MAX_QUERY, percent, query_text, request_query
from rescind.cloud.dms.inventory import GetUser
from rescind.cloud.dms.permissions import (
    GrantUserPermission,
    RevokeUserPermission,
    UserPermissionsAnswer,
)
from rescind.cloud.quickbi.inventory import GroupMember, UserGroup
from rescind.cloud.quickbi.menus import AuthorizeMenu, CancelAuthorizationMenu, ListPortalMenusAnswer
from rescind.errors import InputError

RECORD = {"UserId": "51001", "PermTypes": "QUERY", "UserAccessId": "774001"}


@pytest.mark.parametrize(
    ("fields", "query"),
    [
        (
            {"DsType": "INSTANCE", "InstanceId": "9", "PermTypes": "LOGIN"},
            "DsType=INSTANCE&InstanceId=9&PermTypes=LOGIN&",
        ),
        ({"DsType": "DATABASE", "DbId": "1", "Logic": False}, "DbId=1&DsType=DATABASE&Logic=false&PermTypes=QUERY&"),
        ({"DsType": "LOGIC_DATABASE", "DbId": "1", "Logic": True}, "DbId=1&DsType=LOGIC_DATABASE&Logic=true&"),
        (
            {"DsType": "TABLE", "DbId": "1", "Logic": False, "TableId": "2", "TableName": "t 表", "InstanceId": "9"},
            "DbId=1&DsType=TABLE&InstanceId=9&Logic=false&PermTypes=QUERY&TableId=2&TableName=t%20%E8%A1%A8&",
        ),
        (
            {"DsType": "LOGIC_TABLE", "DbId": "1", "Logic": True, "TableId": "2"},
            "DbId=1&DsType=LOGIC_TABLE&Logic=true&",
        ),
    ],
)
def test_dms_revoke_by_kind(fields: dict[str, Any], query: str) -> None:
    made = request_query(RevokeUserPermission(**{**RECORD, **fields}))
    assert made.startswith(query)
    assert made.endswith("UserAccessId=774001&UserId=51001")


@pytest.mark.parametrize(
    "fields",
    [
        {"DsType": "INSTANCE"},
        {"DsType": "INSTANCE", "InstanceId": "9", "DbId": "1"},
        {"DsType": "INSTANCE", "InstanceId": "9", "Logic": False},
        {"DsType": "DATABASE", "Logic": False},
        {"DsType": "DATABASE", "DbId": "1"},
        {"DsType": "DATABASE", "DbId": "1", "Logic": True},
        {"DsType": "LOGIC_DATABASE", "DbId": "1", "Logic": False},
        {"DsType": "DATABASE", "DbId": "1", "Logic": False, "TableId": "2"},
        {"DsType": "TABLE", "DbId": "1", "Logic": False},
        {"DsType": "COLUMN", "DbId": "1", "Logic": False},
        {"DsType": "", "DbId": "1", "Logic": False},
        {"DsType": "DATABASE", "DbId": "1", "Logic": False, "PermTypes": "QUERY,EXPORT"},
        {"DsType": "DATABASE", "DbId": "1", "Logic": False, "PermTypes": ""},
        {"DsType": "DATABASE", "DbId": "1", "Logic": False, "UserAccessId": ""},
        {"DsType": "DATABASE", "DbId": "1", "Logic": False, "UserAccessId": None},
        {"DsType": "DATABASE", "DbId": "1", "Logic": False, "UserAccessId": "1,2"},
        {"DsType": "DATABASE", "DbId": "1,2", "Logic": False},
        {"DsType": "DATABASE", "DbId": "1", "Logic": False, "UserId": " "},
    ],
)
def test_dms_revokes_that_cannot_be_built(fields: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        RevokeUserPermission(**{**RECORD, **fields})


@pytest.mark.parametrize("value", ["", " ", "0", "00", "01", "-1", "*", "all", "ALL", "a", "1.0", "1" * 21, 1, None])
@pytest.mark.parametrize("name", ["UserId", "UserAccessId", "DbId", "TableId", "InstanceId"])
def test_dms_ids_are_decimal_and_not_zero(name: str, value: Any) -> None:
    table = {"DsType": "TABLE", "DbId": "1", "Logic": False, "TableId": "2", "TableName": "t", "InstanceId": "9"}
    RevokeUserPermission(**{**RECORD, **table})
    if name != "InstanceId" or value is not None:
        with pytest.raises(InputError):
            RevokeUserPermission(**{**RECORD, **table, name: value})


@pytest.mark.parametrize("over", [{"TableName": "*"}, {"TableName": "%"}, {"TableName": "**"}, {"TableName": ""},
                                  {"TableName": "t" * 1025}, {"Tid": "0"}, {"Tid": "-2"}, {"Tid": "01"}])  # fmt: skip
def test_dms_tables_and_tenants_name_one(over: dict[str, Any]) -> None:
    table = {"DsType": "TABLE", "DbId": "1", "Logic": False, "TableId": "2", "TableName": "t" * 1024, "Tid": "-1"}
    RevokeUserPermission(**{**RECORD, **table})
    with pytest.raises(InputError):
        RevokeUserPermission(**{**RECORD, **table, **over})


@pytest.mark.parametrize("value", ["", " ", "0", "000", "-1", "_a", "*", "all", "ALL", "Any", "null", "None",
                                   "undefined", "true", "a,b", "a b", "\u0661", "a" * 65, 7, None])  # fmt: skip
def test_quickbi_ids_name_one(value: Any) -> None:
    menus = {"DataPortalId": "0d1", "MenuIds": ["allium", "54kq"], "UserIds": ["2046"], "UserGroupIds": ["34fd-1_a"]}
    CancelAuthorizationMenu(**menus)
    for over in ({"DataPortalId": value}, *({name: ["a1", value]} for name in ("MenuIds", "UserIds", "UserGroupIds"))):
        with pytest.raises(InputError):
            CancelAuthorizationMenu(**{**menus, **over})


def test_dms_grant_needs_a_date_and_no_record() -> None:
    base = {"UserId": "5", "PermTypes": "QUERY", "DsType": "DATABASE", "DbId": "1", "Logic": False}
    assert "ExpireDate=2026-12-12%2000%3A00%3A00" in request_query(
        GrantUserPermission(**base, ExpireDate="2026-12-12 00:00:00")
    )
    for wrong in ({"ExpireDate": "soon"}, {}, {"ExpireDate": "2026-12-12 00:00:00", "UserAccessId": "1"}):
        with pytest.raises(InputError):
            GrantUserPermission(**base, **wrong)


def test_dms_user_lookup_is_by_one_id() -> None:
    assert GetUser(Uid="2046").wire() == {"Uid": "2046"}
    for wrong in ({}, {"Uid": "1", "UserId": "2"}):
        with pytest.raises(InputError, match="exactly one"):
            GetUser(**wrong)


def test_dms_rows_are_read_leniently_in_type_and_strictly_in_meaning() -> None:
    row = {
        "UserId": 51001, "DbId": 1860001, "Logic": "false", "InstanceId": 174,
        "PermDetails": {"PermDetail": [{"UserAccessId": 774001, "PermType": "QUERY", "ExpireDate": "2030-01-01"}]},
    }  # fmt: skip
    page = UserPermissionsAnswer.model_validate({"UserPermissions": {"UserPermission": [row]}, "TotalCount": "1"})
    rows = page.rows()
    assert rows is not None
    assert (rows[0].UserId, rows[0].details[0].UserAccessId, page.total()) == ("51001", "774001", 1)
    for broken in (
        {**row, "UserId": 51001.0},
        {**row, "UserId": None},
        {**row, "PermDetails": None},
        {**row, "PermDetails": {}},
        {**row, "PermDetails": {"PermDetail": [{"PermType": "QUERY"}]}},
        {**row, "Logic": "no"},
    ):
        with pytest.raises(ValueError, match="validation error"):
            UserPermissionsAnswer.model_validate({"UserPermissions": {"UserPermission": [broken]}, "TotalCount": 1})


PORTAL = {"DataPortalId": "0d173abb53e84c8ca7495429163b0001"}


def test_menus_join_ids_by_commas() -> None:
    made = CancelAuthorizationMenu(**PORTAL, MenuIds=["a", "b"], UserIds=["1", "2"], UserGroupIds=["3-4"])
    assert made.wire() == {**PORTAL, "MenuIds": "a,b", "UserIds": "1,2", "UserGroupIds": "3-4"}
    assert "UserIds" not in CancelAuthorizationMenu(**PORTAL, MenuIds=["a"], UserGroupIds=["3"]).wire()
    assert AuthorizeMenu(**PORTAL, MenuIds=["a"], UserIds=["1"], AuthPointsValue=3).wire()["AuthPointsValue"] == 3


@pytest.mark.parametrize(
    "fields",
    [
        {"MenuIds": ["a"]},
        {"MenuIds": [], "UserIds": ["1"]},
        {"MenuIds": ["a,b"], "UserIds": ["1"]},
        {"MenuIds": ["a"], "UserIds": ["1,2"]},
        {"MenuIds": ["a"], "UserIds": [""]},
        {"MenuIds": ["a", "a"], "UserIds": ["1"]},
        {"MenuIds": ["a"], "UserIds": ["1", "1"]},
        {"MenuIds": ["a b"], "UserIds": ["1"]},
        {"MenuIds": ["a%2Cb"], "UserIds": ["1"]},
        {"MenuIds": [f"m{i}" for i in range(101)], "UserIds": ["1"]},
        {"MenuIds": ["a"], "UserIds": [f"u{i}" for i in range(201)]},
        {"MenuIds": ["a"], "UserGroupIds": [f"g{i}" for i in range(201)]},
        {"MenuIds": "a", "UserIds": ["1"]},
    ],
)
def test_menus_that_cannot_be_built(fields: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        CancelAuthorizationMenu(**PORTAL, **fields)


def test_a_query_that_is_too_long_is_refused() -> None:
    users = [f"{i + 1:032x}" for i in range(200)]
    short = CancelAuthorizationMenu(**PORTAL, MenuIds=["m"], UserIds=users)
    assert len(request_query(short)) <= MAX_QUERY
    long = CancelAuthorizationMenu(**PORTAL, MenuIds=[f"menu{i:028x}" for i in range(100)], UserIds=users)
    with pytest.raises(InputError, match="fewer ids"):
        request_query(long)


def test_menu_tree_is_json_in_text() -> None:
    text = (
        '[{"menuId":"f","menuName":"Folder","menuType":4,"children":[{"menuId":"l1","menuType":0,"showOnlyWithAccess":"true"},'
        '{"menuId":"f2","menuType":4,"children":[]}]},{"menuId":"l2","menuType":"2"}]'
    )
    answer = ListPortalMenusAnswer.model_validate({"Result": text})
    assert [menu.menuId for menu in answer.nodes()] == ["f", "l1", "f2", "l2"]
    assert [menu.menuId for menu in answer.leaves()] == ["l1", "l2"]
    assert ListPortalMenusAnswer.model_validate({"Result": '{"menuId":"x"}'}).leaves()[0].menuId == "x"
    assert ListPortalMenusAnswer.model_validate({"Result": "[]"}).nodes() == ()
    for broken in (None, "", "null", "[", '[{"menuName":"no id"}]', '[{"menuId":1.5}]'):
        with pytest.raises(ValueError):
            ListPortalMenusAnswer.model_validate({"Result": broken})


def test_two_spellings_of_groups() -> None:
    for spelling in ("UserGroup", "Usergroup"):
        group = UserGroup.model_validate({f"{spelling}Id": "g", f"{spelling}Name": "n", f"Parent{spelling}Id": -1})
        assert (group.UserGroupId, group.UserGroupName, group.ParentUserGroupId) == ("g", "n", "-1")
    assert GroupMember.model_validate({"Id": "u", "IsUserGroup": False}).key() == ("False", "u")


def test_percent_and_values() -> None:
    assert percent("a b*~/,:é") == "a%20b%2A~%2F%2C%3A%C3%A9"
    assert [query_text(value) for value in (True, False, 7, "x")] == ["true", "false", "7", "x"]
    for wrong in (None, 1.0, [], {}):
        with pytest.raises(TypeError):
            query_text(wrong)
