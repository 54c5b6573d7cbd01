"""WeData listings: every field that may be null or missing, and what becomes of the row."""

from __future__ import annotations

from typing import Any

import pytest

from rescind.cloud.wedata.data_sources import ListDataSources
from rescind.cloud.wedata.inventory import (
    ListCatalog,
    ListDatabase,
    ListProjectMembers,
    ListProjectRoles,
    ListProjects,
    ListSchema,
    ListTable,
    ListTenantRoles,
)
from rescind.cloud.wedata.privileges import ListPermissions, PrivilegeResource
from rescind.cloud.wedata.projects import PROJECT_ADMINISTRATOR
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

PAGED: dict[str, Any] = {"path": "Data.Items", "total": "Data.TotalCount"}
ROLE = {"RoleId": PROJECT_ADMINISTRATOR, "RoleName": "ProjectManager", "RoleDisplayName": "Admin", "Description": "d"}
MEMBER = {
    "UserUin": "100000000001",
    "UserName": "ann",
    "DisplayName": "Ann",
    "Roles": [ROLE],
    "IsCreator": True,
    "IsProjectOwner": False,
    "CreateTime": "2025-09-03T00:11:03+08:00",
}
PROJECT = {
    "ProjectId": "1470575647377821696",
    "ProjectName": "sales",
    "DisplayName": "Sales",
    "CreatorUin": "100000000001",
    "ProjectOwnerUin": "100000000002",
    "Status": 1,
    "ProjectModel": "SIMPLE",
}
TABLE = {
    "Name": "orders",
    "Guid": "g",
    "CatalogName": "c",
    "DatabaseName": "d",
    "SchemaName": "s",
    "TableType": "TABLE",
    "DatasourceId": 65377,
    "TechnicalMetadata": {"Owner": "ann"},
}
SUBJECT = {
    "SubjectType": "User",
    "SubjectValue": "700001",
    "SubjectTypeDisplayName": "User",
    "SubjectValueDisplayName": "Ann",
}
RIGHT = {
    "Name": "SELECT_TABLE",
    "DisplayName": "Select",
    "Granted": False,
    "Inherited": True,
    "InheritedObject": {"ResourceType": "Catalog", "ResourceUri": "c"},
    "IsRead": True,
    "IsManage": False,
    "IsEdit": False,
}
GRANT = {
    "Resource": {"ResourceType": "Table", "ResourceUri": "c.s.t"},
    "SubjectDetails": [SUBJECT],
    "PermissionDetails": [RIGHT],
}
# Null beside a total of 0 is documented as "none" for these inventories.
NULL_IS_NONE = {"ListProjects", "ListProjectMembers", "ListProjectRoles", "ListDataSources"}

MEMBERS = Listed(ListProjectMembers(ProjectId="1"), row=MEMBER, needed=frozenset({"Roles[].RoleId"}), **PAGED)
TABLES = Listed(ListTable(CatalogName="c"), row=TABLE, needed=frozenset({"Name"}), **PAGED)
PERMISSIONS = Listed(
    ListPermissions(Resource=PrivilegeResource(ResourceType="Table", ResourceUri="c.s.t")),
    "Data.Details",
    GRANT,
    frozenset(
        {
            "Resource",
            "SubjectDetails",
            "SubjectDetails[].SubjectType",
            "SubjectDetails[].SubjectValue",
            "PermissionDetails",
            "PermissionDetails[].Name",
        }
    ),
    total="Data.TotalCount",
)
LISTINGS = (
    MEMBERS,
    TABLES,
    PERMISSIONS,
    Listed(ListProjects(), row=PROJECT, needed=frozenset({"ProjectId"}), **PAGED),
    Listed(ListProjectRoles(ProjectId="1"), row=ROLE, needed=frozenset({"RoleId"}), **PAGED),
    Listed(ListTenantRoles(), "Data", ROLE, frozenset({"RoleId"})),
    Listed(
        ListDataSources(ProjectId="1"),
        row={
            "Id": 65377,
            "ProjectId": "1",
            "ProjectName": "sales",
            "Type": "MYSQL",
            "Name": "shop",
            "DisplayName": "Shop",
            "Category": "DB",
            "CreateUser": "100000000001",
            "CreateTime": "2025-09-03 00:11:03",
            "ModifyTime": "2025-09-03 00:11:03",
        },
        needed=frozenset({"Id"}),
        **PAGED,
    ),
    Listed(ListCatalog(), row={"Name": "c"}, needed=frozenset({"Name"}), **PAGED),
    Listed(
        ListDatabase(CatalogName="c"),
        row={"Name": "d", "Guid": "g", "CatalogName": "c", "DatasourceId": 1, "DatasourceType": "DLC"},
        needed=frozenset({"Name"}),
        **PAGED,
    ),
    Listed(
        ListSchema(CatalogName="c"),
        row={"Name": "s", "Guid": "g", "DatabaseName": "d"},
        needed=frozenset({"Name"}),
        **PAGED,
    ),
)
EACH = pytest.mark.parametrize("listed", LISTINGS, ids=lambda listed: listed.action)


@EACH
def test_a_full_row_is_read_and_has_every_field_of_the_model(listed: Listed, client: Client, tencent: Make) -> None:
    check_full_row(client, tencent, listed)


@pytest.mark.parametrize(("listed", "path", "how"), cases(LISTINGS))
def test_a_field_is_kept_as_unknown_or_refused(
    listed: Listed, path: str, how: str, client: Client, tencent: Make
) -> None:
    check_field(client, tencent, listed, path, how)


@EACH
def test_no_list_is_not_nobody(listed: Listed, client: Client, tencent: Make) -> None:
    with pytest.raises((ListingIncompleteError, MalformedResponseError)):
        read(client, tencent, listed, listed.payload(MISSING, declared=0))
    for page in (listed.payload(NULL, declared=1), {"Data": None}, {}):
        with pytest.raises(ListingIncompleteError) as caught:
            read(client, tencent, listed, page)
        assert listed.action in caught.value.what
    if listed.action in NULL_IS_NONE:
        assert read(client, tencent, listed, listed.payload(NULL, declared=0)).record.null_as_empty
    else:
        with pytest.raises(ListingIncompleteError):
            read(client, tencent, listed, listed.payload(NULL, declared=0))


@EACH
@pytest.mark.parametrize("total", [NULL, MISSING])
def test_no_total_is_not_complete(listed: Listed, total: str, client: Client, tencent: Make) -> None:
    if not listed.total:
        return
    page = listed.payload([listed.row])
    page["Data"] = changed(page["Data"], "TotalCount", total)
    with pytest.raises(ListingIncompleteError, match="no total"):
        read(client, tencent, listed, page)


@EACH
def test_a_null_in_place_of_a_row_is_refused(listed: Listed, client: Client, tencent: Make) -> None:
    check_null_row(client, tencent, listed)


# --- members whose id is left out -------------------------------------------------------------------------


def test_members_without_an_id_are_rows_and_are_counted(client: Client, tencent: Make) -> None:
    nameless = {"UserUin": None, "UserName": None, "DisplayName": None}
    rows = [
        MEMBER,
        {**MEMBER, "UserUin": None},
        {**MEMBER, "UserUin": "", "UserName": "bob"},
        {**MEMBER, **nameless},
        {**MEMBER, **nameless, "CreateTime": "2026-01-01T00:00:00+08:00"},
        {**MEMBER, **nameless, "Roles": None},
        {**MEMBER, **nameless, "Roles": [{**ROLE, "RoleId": "7"}]},
        {**MEMBER, **nameless, "IsProjectOwner": True},
        {**MEMBER, **nameless, "IsProjectOwner": None},
    ]
    listing = read(client, tencent, MEMBERS, MEMBERS.payload(rows, declared=9))
    assert [row.UserUin for row in listing.rows] == ["100000000001", *[None] * 8]
    assert listing.record.counted == listing.record.declared == 9


def test_two_members_that_nothing_tells_apart_are_not_one(client: Client, tencent: Make) -> None:
    """They cannot be told from one member that came twice, so the listing is not called complete."""
    bare = {"UserUin": None}
    with pytest.raises(ListingIncompleteError, match="came twice"):
        read(client, tencent, MEMBERS, MEMBERS.payload([bare, bare], declared=2))


# --- names outside of the vendor's alphabet ---------------------------------------------------------------


def test_a_table_with_a_dot_in_its_name_is_a_row_among_others(client: Client, tencent: Make) -> None:
    odd = {**TABLE, "Guid": "h", "Name": "orders.2026"}
    listing = read(client, tencent, TABLES, TABLES.payload([TABLE, odd], declared=2))
    assert [row.Name for row in listing.rows] == ["orders", "orders.2026"]


@pytest.mark.parametrize("name", ["READ-VOLUME", "read volume", "SELECT_TABLE ", "查询", "x" * 300, "1"])
def test_an_odd_privilege_name_is_a_row_among_others(name: str, client: Client, tencent: Make) -> None:
    odd = {**GRANT, "PermissionDetails": [{**RIGHT, "Name": name}]}
    listing = read(client, tencent, PERMISSIONS, PERMISSIONS.payload([GRANT, odd], declared=2))
    assert [row.PermissionDetails[0].Name for row in listing.rows] == ["SELECT_TABLE", name]


def test_the_owner_of_a_table_is_known_or_unknown(client: Client, tencent: Make) -> None:
    for given, meant in (({"Owner": "ann"}, "ann"), ({"Owner": None}, None), ({}, None), (None, None)):
        page = TABLES.payload([{**TABLE, "TechnicalMetadata": given}])
        (row,) = read(client, tencent, TABLES, page).rows
        assert row.owner == meant
