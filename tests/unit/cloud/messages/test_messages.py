from __future__ import annotations

import inspect
from importlib import import_module
from pkgutil import walk_packages
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

import rescind.cloud
from rescind.cloud.alibaba import request_query
from rescind.cloud.answers.outcomes import Said
from rescind.cloud.base import Reply, Request, WriteRequest
from rescind.cloud.dms.inventory import ListUsers
from rescind.cloud.dms.permissions import (
    ListAuthorizedUsersForDatabase,
)
from rescind.cloud.quickbi.inventory import QueryUserList
from rescind.cloud.wedata.data_sources import (
    AuthorizeDataSource,
    DescribeDataSourceAuthority,
    FromProject,
    FromUser,
    ListDataSources,
    RevokeDataSourceAuthorization,
    ToProject,
    ToUsers,
)
from rescind.cloud.wedata.inventory import ListProjectMembers, ListTable
from rescind.cloud.wedata.privileges import (
    ListPermissions,
    Privilege,
    PrivilegeResource,
    PrivilegesWriteAnswer,
    RevokePrivileges,
    Subject,
)
from rescind.errors import InputError

MODULES = [import_module(found.name) for found in walk_packages(rescind.cloud.__path__, "rescind.cloud.")]


def concrete() -> list[type[Request[Any]]]:
    found = {
        item
        for module in MODULES
        for item in vars(module).values()
        if inspect.isclass(item) and issubclass(item, Request) and "action" in vars(item)
    }
    return sorted(found, key=lambda item: (item.service, item.action))


NEEDED = {
    "wedata": "ListProjects ListProjectMembers ListProjectRoles ListTenantRoles ListCatalog ListDatabase ListSchema "
    "ListTable ListPermissions RevokePrivileges AuthorizePrivileges ListDataSources "
    "DescribeDataSourceAuthority RevokeDataSourceAuthorization AuthorizeDataSource "
    "RemoveMemberProjectRole GrantMemberProjectRole DeleteProjectMember CreateProjectMember "
    "ListCodeFolderContents ListCodePermissions DeleteCodePermissions CreateCodePermissions ListWorkflowFolders "
    "ListWorkflows ListWorkflowPermissions DeleteWorkflowPermissions CreateWorkflowPermissions",
    "dms": "GetUserActiveTenant ListUsers GetUser ListInstances ListDatabases ListLogicDatabases "
    "ListUserPermissions ListDatabaseUserPermssions ListInstanceUserPermissions "
    "ListAuthorizedInstancesForUser ListAuthorizedDatabasesForUser ListAuthorizedUsersForInstance "
    "ListAuthorizedUsersForDatabase RevokeUserPermission GrantUserPermission ListUserOwnedResources "
    "ListProxies ListProxyAccesses ListAbacPolicies ListAbacAuthorizations "
    "DisableUser EnableUser DeleteProxyAccess CreateProxyAccess "
    "DeleteAbacAuthorization CreateAbacAuthorization "
    "ListSQLExecAuditLog GetOpLog ListInstanceLoginAuditLog",
    "quickbi": "QueryWorksByOrganization ListPortalMenus ListPortalMenuAuthorization ListWhitePortalMenu "
    "CancelAuthorizationMenu AuthorizeMenu QueryUserList QueryUserInfoByAccount "
    "ListUserGroupsByUserId QueryUserGroupMember QueryUserGroupListByParentId QueryOrganizationWorkspaceList "
    "QueryWorkspaceUserList ListWorkspaceUserRolesByUserId "
    "CheckReadable QueryShareList QuerySharesToUserList "
    "DeleteUserGroupMembers AddUserGroupMembers "
    "DeleteUserFromWorkspace AddUserToWorkspace CancelReportShare AddShareReport ListAuthConfigByResource "
    "DeleteAuthorizationByUserId AddWorksAuthorization QueryDatasetList ListDataLevelPermissionWhiteList "
    "AddDataLevelPermissionWhiteList ListRecentViewReports",
    "sts": "GetCallerIdentity AssumeRole AssumeRoleWithOIDC AssumeRoleWithWebIdentity",
}


def test_every_action_is_here_and_complete() -> None:
    have: dict[str, set[str]] = {}
    for request in concrete():
        have.setdefault(request.service, set()).add(request.action)
        assert issubclass(request.Answer, Reply), request
        assert request.version and request.vendor in ("tencent", "alibaba")
        assert request.write == issubclass(request, WriteRequest)
        assert request.__doc__
    assert have == {service: set(actions.split()) for service, actions in NEEDED.items()}


def _models(model: type[BaseModel], seen: set[type[BaseModel]]) -> set[type[BaseModel]]:
    if model in seen:
        return seen
    seen.add(model)
    for field in model.model_fields.values():
        for part in _parts(field.annotation):
            if inspect.isclass(part) and issubclass(part, BaseModel):
                _models(part, seen)
    return seen


def _parts(annotation: Any) -> list[Any]:
    arguments = getattr(annotation, "__args__", ())
    return [annotation, *(inner for argument in arguments for inner in _parts(argument))]


FORBIDDEN = {
    "prodconproperties", "devconproperties", "databasepassword", "databaseuser", "phone", "phonenum", "mobile", "email",
    "webhook", "dingrobot", "signaturemethod", "copilotmodules",
}  # fmt: skip


def test_no_answer_models_a_secret_or_personal_field() -> None:
    models: set[type[BaseModel]] = set()
    for request in concrete():
        if request.service != "sts":
            _models(request.Answer, models)
    assert len(models) > 40
    for model in models:
        assert not {name.lower() for name in model.model_fields} & FORBIDDEN, model
        assert model.model_config["extra"] == "ignore"


def test_secrets_in_listings_vanish() -> None:
    page = ListDataSources.Answer.model_validate(
        {"Data": {"Items": [{"Id": 65377, "ProdConProperties": '{"password":"canary"}'}], "TotalCount": 1}}
    )
    assert "canary" not in repr(page) + page.model_dump_json()


def test_read_requests_send_only_what_was_given() -> None:
    assert DescribeDataSourceAuthority(Id="9223372036854775807").wire() == {"Id": 9223372036854775807}
    assert ListTable(CatalogName="c", DatasourceId="7").wire() == {
        "PageNumber": 1, "PageSize": 500, "CatalogName": "c", "DatasourceId": 7,
    }  # fmt: skip
    assert ListProjectMembers(ProjectId="1").at_page(3, 20).wire() == {
        "ProjectId": "1",
        "PageNumber": 3,
        "PageSize": 20,
    }
    assert ListPermissions(Resource=PrivilegeResource(ResourceType="Metalake", ResourceUri="default")).wire() == {
        "Resource": {"ResourceType": "Metalake", "ResourceUri": "default"}
    }
    assert request_query(ListAuthorizedUsersForDatabase(DbId="1", Logic=False).at_page(2)) == (
        "DbId=1&Logic=false&PageNumber=2&PageSize=100"
    )
    assert QueryUserList().at_page(1).wire() == {"PageNum": 1, "PageSize": 500}
    assert QueryUserList.method == "GET"


def test_requests_are_closed_and_frozen() -> None:
    with pytest.raises(InputError, match="Extra inputs"):
        ListUsers(Nonsense=1)  # type: ignore[call-arg]
    request = ListUsers(UserState="NORMAL")
    with pytest.raises(ValueError, match="frozen"):
        request.UserState = None


# --- WeData writes ------------------------------------------------------------------------------------


def privileges(**over: Any) -> RevokePrivileges:
    return RevokePrivileges(
        **{
            "Resources": [PrivilegeResource(ResourceType="Catalog", ResourceUri="demo")],
            "Subjects": [Subject(SubjectType="User", SubjectValues=["700001"])],
            "Privileges": [Privilege(Name="SELECT_TABLE")],
            **over,
        }
    )


def test_privileges_are_spelled_out() -> None:
    assert privileges().wire() == {
        "Resources": [{"ResourceType": "Catalog", "ResourceUri": "demo"}],
        "Subjects": [{"SubjectType": "User", "SubjectValues": ["700001"]}],
        "Privileges": [{"Name": "SELECT_TABLE"}],
    }


_TWO = [Subject(SubjectType="User", SubjectValues=["1"]), Subject(SubjectType="User", SubjectValues=["2"])]


@pytest.mark.parametrize(
    "over",
    [
        {"Resources": []},
        {"Subjects": []},
        {"Privileges": []},
        {"Subjects": _TWO},
        {"Privileges": [Privilege(Name="A"), Privilege(Name="B")]},
        {"Resources": [PrivilegeResource(ResourceType="Catalog", ResourceUri="a")] * 2},
        {
            "Resources": [
                PrivilegeResource(ResourceType="Catalog", ResourceUri="a"),
                PrivilegeResource(ResourceType="Table", ResourceUri="a.b.c"),
            ]
        },
        {"Subjects": [_TWO[0]] * 2, "Privileges": [Privilege(Name="A")] * 2},
        {"Subjects": [Subject(SubjectType="User", SubjectValues=["1", "1"])]},
    ],
)
def test_inconsistent_privileges_cannot_be_built(over: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        privileges(**over)


@pytest.mark.parametrize(
    "value", ["", " ", "1,2", "1 2", "1\n", "\x001", "1;2", None, 1, 1.0, True, "\u0661", "a" * 129]
)
def test_bad_subject_values_cannot_be_built(value: Any) -> None:
    with pytest.raises(InputError):
        Subject(SubjectType="User", SubjectValues=[value])


@pytest.mark.parametrize(
    "uri", ["", " ", " a", "a ", "a\nb", "a\x00b", "a\tb", "\ufeffa", "a\u200bb", None, 5, "x" * 1025]
)
def test_bad_paths_cannot_be_built(uri: Any) -> None:
    with pytest.raises(InputError):
        PrivilegeResource(ResourceType="Catalog", ResourceUri=uri)


def test_a_path_may_hold_any_script_and_inner_blanks() -> None:
    assert PrivilegeResource(ResourceType="Table", ResourceUri="c.s.orders 2026 表").ResourceUri.endswith("表")


def test_a_data_source_write_has_exactly_one_selector() -> None:
    project = RevokeDataSourceAuthorization(
        DataSourceId="65377", target=FromProject(project_id="29", whole_project=True)
    )
    user = RevokeDataSourceAuthorization(DataSourceId="65377", target=FromUser(project_id="29", user_id="70"))
    assert project.wire() == {"DataSourceId": "65377", "RevokeProjectId": "29"}
    assert user.wire() == {"DataSourceId": "65377", "RevokeUser": "29_70"}
    admit = AuthorizeDataSource(DataSourceId="1", target=ToUsers(project_id="29", user_ids=["70", "71"]))
    assert admit.wire() == {"DataSourceId": "1", "AuthUsers": ["29_70", "29_71"]}
    whole = AuthorizeDataSource(DataSourceId="1", target=ToProject(project_id="29", whole_project=True))
    assert whole.wire() == {"DataSourceId": "1", "AuthProjectId": "29"}


NO_NUMBERS: list[Any] = ["", " ", "0", "00", "01", "-1", "+1", "1.0", "*", "all", "ALL", "a", "1,2", "1 ", "1\n",
                         "\u0661", "1" * 21, 1, 1.0, True, None, []]  # fmt: skip


@pytest.mark.parametrize("value", NO_NUMBERS)
def test_ids_of_data_sources_projects_and_users_are_decimal_and_not_zero(value: Any) -> None:
    target = FromUser(project_id="2", user_id="3")
    for build in (
        lambda: RevokeDataSourceAuthorization(DataSourceId=value, target=target),
        lambda: AuthorizeDataSource(DataSourceId=value, target=ToUsers(project_id="2", user_ids=["3"])),
        lambda: FromProject(project_id=value, whole_project=True),
        lambda: ToProject(project_id=value, whole_project=True),
        lambda: FromUser(project_id=value, user_id="3"),
        lambda: FromUser(project_id="2", user_id=value),
        lambda: ToUsers(project_id=value, user_ids=["3"]),
        lambda: ToUsers(project_id="2", user_ids=["3", value]),
        lambda: Subject(SubjectType="User", SubjectValues=["3", value]),
        lambda: Subject(SubjectType="Project", SubjectValues=[value]),
    ):
        with pytest.raises(InputError):
            build()


@pytest.mark.parametrize("said", [{}, {"whole_project": False}, {"whole_project": None}, {"whole_project": 1},
                                  {"whole_project": "true"}])  # fmt: skip
def test_a_whole_project_must_be_asked_for_by_name(said: dict[str, Any]) -> None:
    for kind in (FromProject, ToProject):
        with pytest.raises(InputError, match="whole_project"):
            kind(project_id="29", **said)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("Role", "0.1"), ("Role", "1.0"), ("Role", "1."), ("Role", "1.2.3.4"), ("Role", "AllAccountUsers"),
        ("GlobalRole", "0"), ("GlobalRole", "all"), ("GlobalRole", "AllUsers"), ("GlobalRole", "allaccountusers"),
        ("User", "AllAccountUsers"), ("User", "1.2"),
    ],
)  # fmt: skip
def test_a_subject_has_an_id_of_its_type(kind: Any, value: str) -> None:
    with pytest.raises(InputError, match=f"no id of a {kind}"):
        Subject(SubjectType=kind, SubjectValues=[value])


def test_subjects_of_every_type() -> None:
    for kind, value in (("User", "7"), ("Project", "7"), ("Role", "7.8"), ("GlobalRole", "AllAccountUsers")):
        assert privileges(Subjects=[Subject(SubjectType=kind, SubjectValues=[value])])  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["ALL", "all", "All", "ALL_TABLES", "all_privileges", "ANY", "Every_One"])
def test_a_privilege_that_means_all_is_the_known_one_or_refused(name: str) -> None:
    assert Privilege(Name="ALL_PRIVILEGES") and Privilege(Name="ALLOW_USE")
    with pytest.raises(InputError, match="means every privilege"):
        Privilege(Name=name)


@pytest.mark.parametrize(
    ("kind", "path"),
    [("Catalog", "*"), ("Table", "c.s.*"), ("Table", "*.s.t"), ("Catalog", "%"), ("Catalog", "ALL"), ("ALL", "c"),
     ("Any", "c")],
)  # fmt: skip
def test_a_resource_that_means_more_than_one_object_is_never_written(kind: str, path: str) -> None:
    with pytest.raises(InputError, match="more than one object"):
        privileges(Resources=[PrivilegeResource(ResourceType=kind, ResourceUri=path)])


def test_a_path_of_1024_characters_and_a_hundred_entries_are_the_most() -> None:
    def resources(count: int, width: int = 1) -> list[PrivilegeResource]:
        return [PrivilegeResource(ResourceType="Catalog", ResourceUri=f"{n:0{width}}") for n in range(count)]

    def users(count: int) -> list[str]:
        return [str(number + 1) for number in range(count)]

    privileges(Resources=resources(1, 1024))
    privileges(Resources=resources(100), Subjects=[Subject(SubjectType="User", SubjectValues=users(100))])
    ToUsers(project_id="2", user_ids=users(100))
    for build in (
        lambda: resources(1, 1025),
        lambda: privileges(Resources=resources(101)),
        lambda: Subject(SubjectType="User", SubjectValues=users(101)),
        lambda: ToUsers(project_id="2", user_ids=users(101)),
        lambda: privileges(
            Subjects=[Subject(SubjectType="User", SubjectValues=[one]) for one in users(101)],
            Privileges=[Privilege(Name="A")] * 101,
        ),
    ):
        with pytest.raises(InputError):
            build()


@pytest.mark.parametrize(
    "fields",
    [
        {"DataSourceId": "1"},
        {"DataSourceId": "1", "target": None},
        {"DataSourceId": "1", "target": {}},
        {"DataSourceId": "1", "target": ""},
        {"DataSourceId": "1", "target": {"kind": "project"}},
        {"DataSourceId": "1", "target": {"kind": "project", "project_id": "1"}},
        {"DataSourceId": "1", "target": {"kind": "all"}},
        {"DataSourceId": "1", "target": {"kind": "project", "project_id": "1", "user_id": "2"}},
        {"DataSourceId": "1", "target": {"kind": "user", "project_id": "1"}},
        {"DataSourceId": "1", "RevokeProjectId": "1"},
        {"DataSourceId": "1", "RevokeUser": "1_2"},
        {"DataSourceId": "", "target": {"kind": "project", "project_id": "1", "whole_project": True}},
        {"target": {"kind": "project", "project_id": "1", "whole_project": True}},
    ],
)
def test_a_data_source_write_without_one_selector_cannot_be_built(fields: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        RevokeDataSourceAuthorization(**fields)


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=8), st.text(max_size=8), st.text(max_size=8))
def test_no_text_builds_a_wider_data_source_write(source: str, project: str, user: str) -> None:
    try:
        body = RevokeDataSourceAuthorization(
            DataSourceId=source, target=FromUser(project_id=project, user_id=user)
        ).wire()
    except InputError:
        assert not all(part.isascii() and part.isdigit() and part[0] != "0" for part in (source, project, user))
        return
    assert set(body) == {"DataSourceId", "RevokeUser"}
    assert body["RevokeUser"].split("_") == [project, user]


# --- outcomes of a privileges write -------------------------------------------------------------------

A, B = (
    PrivilegeResource(ResourceType="Catalog", ResourceUri="a"),
    PrivilegeResource(ResourceType="Catalog", ResourceUri="b"),
)


def result(uri: str | None, ok: Any, kind: str = "CATALOG", reason: str = "") -> dict[str, Any]:
    return {"Resource": {"ResourceType": kind, "ResourceUri": uri}, "Result": ok, "Reason": reason}


_X, _R, _U = Said.ACCEPTED, Said.REFUSED, Said.UNKNOWN


@pytest.mark.parametrize(
    ("overall", "results", "said"),
    [
        (True, [result("a", True), result("b", True)], (_X, _X)),
        (True, [result("b", True, "catalog"), result("a", True, "Catalog")], (_X, _X)),
        ("true", [result("a", "true"), result("b", "true")], (_X, _X)),
        (False, [result("a", True), result("b", False)], (_X, _R)),
        (False, [result("a", False), result("b", False)], (_R, _R)),
        ("false", [result("a", "false"), result("b", "true")], (_R, _X)),
        (True, [result("a", True)], (_X, _U)),
        (True, [], (_U, _U)),
        (True, None, (_U, _U)),
        (None, [result("a", True), result("b", True)], (_U, _U)),
        (None, [result("a", False), result("b", True)], (_R, _U)),
        (False, [result("a", True), result("b", True)], (_U, _U)),
        (True, [result("a", True), result("b", False)], (_U, _R)),
        (True, [result("a", True), result("a", True), result("b", True)], (_U, _X)),
        (True, [result("a", True), result("b", None)], (_X, _U)),
        (False, [result("a", None), result("b", None)], (_U, _U)),
        (True, [result("a", True), None], (_X, _U)),
        (True, [result("A", True), result("b", True)], (_U, _U)),
        (True, [result("a", True), result("b", True), result("c", True)], (_U, _U)),
        (True, [result("a", True), {"Result": True}], (_U, _U)),
        (True, [result("a", True, "Table"), result("b", True)], (_U, _U)),
        (False, [], (_U, _U)),
    ],
)
def test_outcomes_by_echoed_resource(overall: Any, results: Any, said: tuple[Said, Said]) -> None:
    reply = PrivilegesWriteAnswer.model_validate({"Data": {"OverallSuccess": overall, "Results": results}})
    outcomes = reply.outcomes((A, B))
    assert tuple(outcome.said for outcome in outcomes) == said
    assert [outcome.resource_uri for outcome in outcomes] == ["a", "b"]
    assert all(outcome.detail for outcome in outcomes if outcome.said is Said.UNKNOWN)


def test_outcomes_without_data() -> None:
    for data in ({}, {"Data": None}):
        outcomes = PrivilegesWriteAnswer.model_validate(data).outcomes((A,))
        assert outcomes[0].said is Said.UNKNOWN


def test_reason_is_cut() -> None:
    reply = PrivilegesWriteAnswer.model_validate(
        {"Data": {"OverallSuccess": False, "Results": [result("a", False, reason="x" * 5000)]}}
    )
    assert len(reply.outcomes((A,))[0].detail) == 300
