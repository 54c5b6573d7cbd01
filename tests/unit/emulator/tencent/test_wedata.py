"""WeData: listings against the truth, and what its revoke and grant calls really do."""

from __future__ import annotations

from typing import Any

import pytest

from emulator.app import App
from tests.support.emulator_client import Clients

TABLE = {"ResourceType": "Table", "ResourceUri": "lake_core.s01.t001"}
CATALOG = {"ResourceType": "Catalog", "ResourceUri": "lake_core"}


def grant(app: App, resource: dict[str, str], user: str, *names: str, kind: str = "User") -> None:
    """Give privileges by somebody else."""
    app.gateway.mutations.run([
        {
            "op": "grant", "system": "wedata_privileges", "resource_type": resource["ResourceType"],
            "resource_uri": resource["ResourceUri"], "subject_type": kind, "subject_value": user, "privilege": name,
        }
        for name in names
    ])  # fmt: skip


def revoke(clients: Clients, resources: list[dict[str, str]], pairs: list[tuple[list[str], str]]) -> dict[str, Any]:
    """RevokePrivileges with users."""
    return clients.wedata("RevokePrivileges", {
        "Resources": resources,
        "Subjects": [{"SubjectType": "User", "SubjectValues": values} for values, _ in pairs],
        "Privileges": [{"Name": name} for _, name in pairs],
    })  # fmt: skip


def held(app: App, user: str) -> set[tuple[str, str]]:
    """Direct privileges of a user: (uri, name)."""
    return {(row["resource_uri"], row["privilege"]) for row in app.world.truth("wedata_privileges")
            if row["subject_value"] == user}  # fmt: skip


def listed(clients: Clients, resource: dict[str, str], user: str) -> dict[str, dict[str, Any]]:
    """Privileges of a user as ListPermissions shows them, by name."""
    data = clients.wedata("ListPermissions", {"Resource": resource})["Data"]
    assert data["TotalCount"] == len(data["Details"])
    return {
        item["Name"]: item
        for row in data["Details"]
        if row["SubjectDetails"][0]["SubjectValue"] == user
        for item in row["PermissionDetails"]
    }


def test_walking_the_tree_finds_every_grant(clients: Clients) -> None:
    """Catalogs, databases, tables by page, then each resource: the direct rows are the truth."""
    resources = [("Metalake", "default")]
    page = {"PageNumber": 1, "PageSize": 500}
    for catalog in clients.wedata("ListCatalog", page)["Data"]["Items"]:
        name = catalog["Name"]
        resources.append(("Catalog", name))
        for schema in clients.wedata("ListSchema", {**page, "CatalogName": name})["Data"]["Items"]:
            resources.append(("Schema", f"{name}.{schema['Name']}"))
            inside = {**page, "CatalogName": name, "DatabaseName": schema["DatabaseName"]}
            for table in clients.wedata("ListTable", inside)["Data"]["Items"]:
                assert table["SchemaName"] is None
                assert clients.wedata("GetTable", {"TableGuid": table["Guid"]})["Data"] == table
                resources.append(("Table", f"{name}.{schema['Name']}.{table['Name']}"))
    found = set()
    for kind, uri in resources:
        resource = {"ResourceType": kind, "ResourceUri": uri}
        for row in clients.wedata("ListPermissions", {"Resource": resource})["Data"]["Details"]:
            subject = row["SubjectDetails"][0]
            for item in row["PermissionDetails"]:
                if not item["Inherited"]:
                    found.add((kind, uri, subject["SubjectType"], subject["SubjectValue"], item["Name"]))
    assert found == {tuple(row.values()) for row in clients.truth("wedata_privileges")}


def test_metadata_pages_carry_the_samples_oddities(clients: Clients) -> None:
    """PageCount is 0 and PageSize shows the number of pages; TotalCount is right; 501 is too many."""
    data = clients.wedata("ListTable", {"PageNumber": 2, "PageSize": 3})["Data"]
    assert (data["PageCount"], data["PageSize"], data["PageNumber"], data["TotalCount"]) == (0, 3, 2, 8)
    assert len(data["Items"]) == 3
    assert clients.wedata("ListTable", {"PageNumber": 1, "PageSize": 501})["Error"]["Code"] == "InvalidParameter"
    assert clients.wedata("ListTable", {"PageNumber": 1})["Error"]["Code"] == "MissingParameter"


def test_parameters_are_checked_by_type_and_name(clients: Clients) -> None:
    """A number where text is wanted, an unknown field, a body that is no object."""
    code = clients.wedata("RevokeDataSourceAuthorization", {"DataSourceId": 65300})["Error"]["Code"]
    assert code == "InvalidParameter"
    assert clients.wedata("DescribeDataSourceAuthority", {"Id": "65300"})["Error"]["Code"] == "InvalidParameter"
    assert clients.wedata("GetProject", {"ProjectID": "1"})["Error"]["Code"] == "UnknownParameter"
    assert clients.wedata("NoSuchAction", {})["Error"]["Code"] == "InvalidAction"


def test_revoke_takes_the_product_of_resources_and_pairs(app: App, clients: Clients) -> None:
    """Every pair goes on every resource, for every value of a subject; nothing else does."""
    second = {"ResourceType": "TABLE", "ResourceUri": "lake_core.s01.t002"}
    for user in ("1", "2", "3"):
        grant(app, TABLE, user, "SELECT_TABLE", "MODIFY_TABLE")
        grant(app, second, user, "SELECT_TABLE", "MODIFY_TABLE")
    answer = revoke(clients, [TABLE, second], [(["1", "2"], "SELECT_TABLE"), (["3"], "MODIFY_TABLE")])
    assert answer["Data"]["OverallSuccess"] is True
    assert [item["Resource"] for item in answer["Data"]["Results"]] == [TABLE, second]
    uris = {TABLE["ResourceUri"], second["ResourceUri"]}
    assert held(app, "1") == held(app, "2") == {(uri, "MODIFY_TABLE") for uri in uris}
    assert held(app, "3") == {(uri, "SELECT_TABLE") for uri in uris}
    assert len([entry for entry in clients.effects("wedata_privileges") if entry["op"] == "removed"]) == 6


def test_unequal_lengths_and_unknown_resources_do_nothing(app: App, clients: Clients) -> None:
    """The whole call is refused before anything happens."""
    grant(app, TABLE, "1", "SELECT_TABLE")
    before = held(app, "1")
    params = {"Resources": [TABLE], "Subjects": [{"SubjectType": "User", "SubjectValues": ["1"]}],
              "Privileges": [{"Name": "SELECT_TABLE"}, {"Name": "BROWSE"}]}  # fmt: skip
    assert clients.wedata("RevokePrivileges", params)["Error"]["Code"] == "InvalidParameter"
    gone = {"ResourceType": "Table", "ResourceUri": "lake_core.s01.nothing"}
    assert revoke(clients, [TABLE, gone], [(["1"], "SELECT_TABLE")])["Error"]["Code"] == "ResourceNotFound"
    assert held(app, "1") == before


def test_an_inherited_privilege_cannot_be_taken_on_the_child(app: App, clients: Clients) -> None:
    """It is listed as inherited with its parent; revoking it below has no effect and says why."""
    grant(app, CATALOG, "1", "SELECT_TABLE", "USE_CATALOG")
    item = listed(clients, TABLE, "1")["SELECT_TABLE"]
    assert (item["Inherited"], item["InheritedObject"]) == (True, CATALOG)
    assert "USE_CATALOG" not in listed(clients, TABLE, "1")
    result = revoke(clients, [TABLE], [(["1"], "SELECT_TABLE")])["Data"]
    assert (result["OverallSuccess"], result["Results"][0]["Result"]) == (False, False)
    assert "inherited from Catalog lake_core" in result["Results"][0]["Reason"]
    assert held(app, "1") == {("lake_core", "SELECT_TABLE"), ("lake_core", "USE_CATALOG")}
    assert revoke(clients, [CATALOG], [(["1"], "SELECT_TABLE")])["Data"]["OverallSuccess"] is True
    assert "SELECT_TABLE" not in listed(clients, TABLE, "1")


@pytest.mark.parametrize(("mode", "result"), [("success", True), ("false", False)])
def test_revoking_what_is_not_granted(app: App, clients: Clients, mode: str, result: bool) -> None:
    """Success without an effect, or a false result: by mode."""
    app.world.modes.set("wedata_absent_revoke", mode)
    answer = revoke(clients, [TABLE], [(["404"], "SELECT_TABLE")])["Data"]
    assert answer["Results"][0]["Result"] is result
    assert clients.effects() == []


def test_authorize_is_the_inverse(app: App, clients: Clients) -> None:
    """A revoked grant can be restored; granting twice adds once."""
    batch = {"Resources": [TABLE], "Subjects": [{"SubjectType": "User", "SubjectValues": ["9"]}],
             "Privileges": [{"Name": "SELECT_TABLE"}]}  # fmt: skip
    for _ in range(2):
        assert clients.wedata("AuthorizePrivileges", batch)["Data"]["OverallSuccess"] is True
    assert held(app, "9") == {(TABLE["ResourceUri"], "SELECT_TABLE")}
    clients.wedata("RevokePrivileges", batch)
    assert [entry["op"] for entry in clients.effects()] == ["added", "removed"]


def test_listing_modes(app: App, clients: Clients) -> None:
    """Rows by subject or grouped; totals by row or by grant; upper-case types."""
    grant(app, TABLE, "1", "SELECT_TABLE", "MODIFY_TABLE", "X_1")
    grant(app, TABLE, "2", "SELECT_TABLE", "MODIFY_TABLE", "X_1")
    app.world.modes.set("wedata_rows", "grouped")
    app.world.modes.set("wedata_total", "grants")
    app.world.modes.set("wedata_type_case", "upper")
    data = clients.wedata("ListPermissions", {"Resource": TABLE, "Page": {"PageSize": 1, "PageNumber": 1}})["Data"]
    row = next(row for row in data["Details"] if len(row["PermissionDetails"]) == 3)
    assert [subject["SubjectValue"] for subject in row["SubjectDetails"]] == ["1", "2"]
    assert row["Resource"]["ResourceType"] == "TABLE"
    assert data["TotalCount"] == sum(len(r["SubjectDetails"]) * len(r["PermissionDetails"]) for r in data["Details"])


def audience(clients: Clients, source: int) -> tuple[list[str], list[str]]:
    """Projects and users of a data source, sorted."""
    data = clients.wedata("DescribeDataSourceAuthority", {"Id": source})["Data"]
    return sorted(data["AuthProjectIds"] or []), sorted(data["AuthUsers"] or [])


def test_data_source_listing_is_the_truth(clients: Clients) -> None:
    """Projects, their sources by page, the audience of each."""
    found: set[tuple[str, ...]] = set()
    for project in clients.wedata("ListProjects", {})["Data"]["Items"]:
        sources: list[dict[str, Any]] = []
        while True:
            params = {"ProjectId": project["ProjectId"], "PageSize": 2, "PageNumber": len(sources) // 2 + 1}
            data = clients.wedata("ListDataSources", params)["Data"]
            sources += data["Items"]
            if len(sources) >= data["TotalCount"]:
                break
        for source in sources:
            projects, users = audience(clients, source["Id"])
            found |= {(str(source["Id"]), "project", name, "") for name in projects}
            found |= {(str(source["Id"]), "user", *pair.split("_")) for pair in users}
    assert found == {tuple(row.values()) for row in clients.truth("wedata_data_sources")}


def test_one_user_or_one_project_is_taken_off(clients: Clients) -> None:
    """A selector takes exactly its entry."""
    row = next(row for row in clients.truth("wedata_data_sources") if row["kind"] == "user")
    source = int(row["data_source_id"])
    projects, users = audience(clients, source)
    pair = f"{row['project_id']}_{row['user_id']}"
    answer = clients.wedata("RevokeDataSourceAuthorization", {"DataSourceId": str(source), "RevokeUser": pair})
    assert answer["Data"] == {"Status": True}
    assert audience(clients, source) == (projects, [user for user in users if user != pair])
    clients.wedata("AuthorizeDataSource", {"DataSourceId": str(source), "AuthProjectId": row["project_id"]})
    assert row["project_id"] in audience(clients, source)[0]
    clients.wedata("RevokeDataSourceAuthorization",
                   {"DataSourceId": str(source), "RevokeProjectId": row["project_id"]})  # fmt: skip
    assert row["project_id"] not in audience(clients, source)[0]


@pytest.mark.parametrize("selector", [
    {}, {"RevokeUser": ""}, {"RevokeUser": None}, {"RevokeProjectId": "", "RevokeUser": "  "},
])  # fmt: skip
def test_without_a_selector_everything_goes(app: App, clients: Clients, selector: dict[str, Any]) -> None:
    """Absent, null, empty or blank: the source is wiped, other sources are not."""
    rows = clients.truth("wedata_data_sources")
    source = rows[0]["data_source_id"]
    others = [row for row in rows if row["data_source_id"] != source]
    assert len(rows) > len(others)
    answer = clients.wedata("RevokeDataSourceAuthorization", {"DataSourceId": source, **selector})
    assert answer["Data"] == {"Status": True}
    data = clients.wedata("DescribeDataSourceAuthority", {"Id": int(source)})["Data"]
    assert data == {"AuthProjectIds": None, "AuthUsers": None}
    assert clients.truth("wedata_data_sources") == others
    assert len(clients.effects("wedata_data_sources")) == len(rows) - len(others)


def test_wiping_keeps_the_default_audience(app: App, clients: Clients) -> None:
    """It is never listed, unless the mode says so: then it survives in the list."""
    app.world.modes.set("wedata_default_audience", "listed")
    source = next(item for item in app.world.data_sources.sources.values() if item.share_mode == "project")
    clients.wedata("RevokeDataSourceAuthorization", {"DataSourceId": str(source.source_id)})
    assert audience(clients, source.source_id) == ([source.project_id], [])


def test_bad_selectors_are_refused(clients: Clients) -> None:
    """Both at once, a pair without an underscore, a comma list, an unknown source."""
    for params, code in [
        ({"DataSourceId": "65300", "RevokeProjectId": "1", "RevokeUser": "1_2"}, "InvalidParameter"),
        ({"DataSourceId": "65300", "RevokeUser": "12"}, "InvalidParameter"),
        ({"DataSourceId": "65300", "RevokeUser": "1_2,1_3"}, "InvalidParameter"),
        ({"DataSourceId": "1"}, "ResourceNotFound"),
    ]:
        assert clients.wedata("RevokeDataSourceAuthorization", params)["Error"]["Code"] == code
    assert clients.effects() == []


def test_project_membership(app: App, clients: Clients) -> None:
    """Members come and go; filters are fuzzy; the owner stays."""
    project = next(iter(app.world.projects.values()))
    base = {"ProjectId": project.project_id}
    role = "308335260945326080"
    clients.wedata("CreateProjectMember", {**base, "UserUins": ["100099"], "RoleIds": [role]})
    data = clients.wedata("ListProjectMembers", {**base, "UserUin": "0009"})["Data"]
    member = next(item for item in data["Items"] if item["UserUin"] == "100099")
    assert [item["RoleId"] for item in member["Roles"]] == [role]
    assert (data["PageNumber"], data["TotalPageNumber"]) == (0, 0)
    engineer = "308335260676890624"
    clients.wedata("GrantMemberProjectRole", {**base, "UserUin": "100099", "RoleIds": [engineer]})
    clients.wedata("RemoveMemberProjectRole", {**base, "UserUin": "100099", "RoleIds": [role]})
    assert project.members["100099"] == {engineer}
    assert set(clients.wedata("DeleteProjectMember", {**base, "UserUins": ["100099"]})) == {"RequestId"}
    assert "100099" not in project.members
    refused = clients.wedata("DeleteProjectMember", {**base, "UserUins": [project.owner]})
    assert refused["Error"]["Code"] == "OperationDenied"
    app.world.modes.set("wedata_member_uin", "null")
    items = clients.wedata("ListProjectMembers", base)["Data"]["Items"]
    assert items
    assert all(item["UserUin"] is None for item in items)


def test_roles_and_tasks(app: App, clients: Clients) -> None:
    """Project roles by page, platform roles without; tasks of a source; secrets masked in one call only."""
    project = next(iter(app.world.projects.values()))
    roles = clients.wedata("ListProjectRoles", {"ProjectId": project.project_id})["Data"]
    assert roles["TotalCount"] == len(project.roles) == 5
    assert {role["RoleName"] for role in clients.wedata("ListTenantRoles", {})["Data"]} == {"TenantAdmin", "Auditor"}
    source = next(item for item in app.world.data_sources.sources.values() if item.project_id == project.project_id)
    assert clients.wedata("GetDataSourceRelatedTasks", {"Id": source.source_id})["Data"][0]["ProjectId"]
    one = clients.wedata("GetDataSource", {"ProjectId": project.project_id, "Id": source.source_id})["Data"]
    assert "******" in one["ProdConProperties"]
    listing = clients.wedata("ListDataSources", {"ProjectId": project.project_id})["Data"]["Items"]
    assert "ENC(" in listing[0]["ProdConProperties"]
