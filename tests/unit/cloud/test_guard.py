from __future__ import annotations

import ast
import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rescind.cloud import guard
from rescind.cloud.base import Bucket, Prepared, WriteRequest
from rescind.cloud.client import CloudClient
from rescind.cloud.dms.accounts import DisableUser, EnableUser
from rescind.cloud.dms.permissions import GrantUserPermission, RevokeUserPermission
from rescind.cloud.dms.policies import CreateAbacAuthorization, DeleteAbacAuthorization
from rescind.cloud.dms.proxies import CreateProxyAccess, DeleteProxyAccess
from rescind.cloud.quickbi.authorizations import AddWorksAuthorization, DeleteAuthorizationByUserId
from rescind.cloud.quickbi.datasets import AddDataLevelPermissionWhiteList
from rescind.cloud.quickbi.members import (
    AddUserGroupMembers,
    AddUserToWorkspace,
    DeleteUserFromWorkspace,
    DeleteUserGroupMembers,
)
from rescind.cloud.quickbi.menus import AuthorizeMenu, CancelAuthorizationMenu
from rescind.cloud.quickbi.shares import AddShareReport, CancelReportShare
from rescind.cloud.wedata.data_sources import (
    AuthorizeDataSource,
    FromProject,
    FromUser,
    RevokeDataSourceAuthorization,
    ToProject,
    ToUsers,
)
from rescind.cloud.wedata.inventory import ListProjects
from rescind.cloud.wedata.members import (
    CreateProjectMember,
    DeleteProjectMember,
    GrantMemberProjectRole,
    RemoveMemberProjectRole,
)
from rescind.cloud.wedata.privileges import AuthorizePrivileges, Privilege, PrivilegeResource, RevokePrivileges, Subject
from rescind.cloud.wedata.studio import (
    CreateCodePermissions,
    CreateWorkflowPermissions,
    DeleteCodePermissions,
    DeleteWorkflowPermissions,
)
from rescind.errors import BlastRadiusExceededError, InputError

Refusals = (BlastRadiusExceededError, InputError)
CATALOG = PrivilegeResource(ResourceType="Catalog", ResourceUri="demo")
USER = Subject(SubjectType="User", SubjectValues=["700001"])
RECORD = {"UserId": "51001", "DsType": "DATABASE", "DbId": "1860001", "Logic": False, "PermTypes": "CORRECT"}
PORTAL = {"DataPortalId": "p1", "MenuIds": ["m1", "m2"], "UserIds": ["u1"], "UserGroupIds": ["g-1"]}

CODE = {"ProjectId": "1", "ResourceType": "script", "ResourceId": "s-1", "SubjectId": "700", "Privileges": ["CAN_EDIT"]}
FLOW = {"ProjectId": "1", "EntityType": "folder", "EntityId": "wf1", "SubjectId": "308", "Privileges": ["CAN_MANAGE"]}

GOOD: list[tuple[str, WriteRequest[Any]]] = [
    ("wedata", RevokePrivileges(Resources=[CATALOG], Subjects=[USER], Privileges=[Privilege(Name="A")])),
    ("wedata", AuthorizePrivileges(Resources=[CATALOG], Subjects=[USER], Privileges=[Privilege(Name="A")])),
    ("wedata", RevokeDataSourceAuthorization(DataSourceId="1", target=FromProject(project_id="2", whole_project=True))),
    ("wedata", RevokeDataSourceAuthorization(DataSourceId="1", target=FromUser(project_id="2", user_id="3"))),
    ("wedata", AuthorizeDataSource(DataSourceId="1", target=ToProject(project_id="2", whole_project=True))),
    ("wedata", AuthorizeDataSource(DataSourceId="1", target=ToUsers(project_id="2", user_ids=["3", "4"]))),
    ("wedata", RemoveMemberProjectRole(ProjectId="1", UserUin="2", RoleIds=["3", "4"])),
    ("wedata", GrantMemberProjectRole(ProjectId="1", UserUin="2", RoleIds=["3"])),
    ("wedata", DeleteProjectMember(ProjectId="1", UserUins=["2"])),
    ("wedata", CreateProjectMember(ProjectId="1", UserUins=["2"], RoleIds=["3"])),
    ("wedata", DeleteCodePermissions(**CODE, SubjectType="user")),
    ("wedata", CreateCodePermissions(**CODE, SubjectType="group")),
    ("wedata", DeleteWorkflowPermissions(**FLOW, SubjectType="group")),
    ("wedata", CreateWorkflowPermissions(**FLOW, SubjectType="role")),
    ("dms", RevokeUserPermission(**RECORD, UserAccessId="774001", Tid="-1")),
    ("dms", GrantUserPermission(**RECORD, ExpireDate="2030-01-01 00:00:00")),
    ("dms", DisableUser(Uid="1968000000000001", Tid="3001")),
    ("dms", EnableUser(Uid="1968000000000001", Tid="-1")),
    ("dms", DeleteProxyAccess(ProxyAccessId="7", Tid="3001")),
    ("dms", CreateProxyAccess(ProxyId="5", UserId="51001", Tid="3001")),
    ("dms", DeleteAbacAuthorization(AuthorizationId="7", IdentityType="USER", Tid="3001")),
    ("dms", CreateAbacAuthorization(PolicyId="5", IdentityType="USER", UserId="51001", Tid="3001")),
    ("dms", CreateAbacAuthorization(PolicyId="5", IdentityType="ROLE", RoleId="12", Tid="3001")),
    ("quickbi", CancelAuthorizationMenu(**PORTAL)),
    ("quickbi", AuthorizeMenu(**PORTAL, AuthPointsValue=1)),
    ("quickbi", DeleteUserGroupMembers(UserGroupIds=["g1", "g-2"], UserId="u1")),
    ("quickbi", AddUserGroupMembers(UserGroupIds=["g1"], UserId="u1")),
    ("quickbi", DeleteUserFromWorkspace(WorkspaceId="w-1", UserId="u1")),
    ("quickbi", AddUserToWorkspace(WorkspaceId="w-1", UserId="u1", RoleId=26)),
    ("quickbi", CancelReportShare(ReportId="r-1", ShareToType=2, ShareToIds="o1")),
    ("quickbi", AddShareReport(WorksId="r", ShareToType=0, ShareToId="u", AuthPoint=3, ExpireDate=4_000_000_000_000)),
    ("quickbi", DeleteAuthorizationByUserId(ResourceType="dashboard", ResourceId="r-1", QbiUserId="u1")),
    ("quickbi", AddWorksAuthorization(ResourceType="cube", ResourceId="r", AuthorizedId="u", AuthPoints=11)),
    ("quickbi", AddWorksAuthorization(ResourceType="report", ResourceId="r", AuthorizedId="u", AuthPoints=3,
                                      ExpireDay="2099-12-31")),
    *(("quickbi", AddDataLevelPermissionWhiteList(CubeId="c", RuleType="ROW_LEVEL", OperateType=operation,
                                                  TargetType="2", TargetIds=("g1", "g-2")))
      for operation in ("ADD", "DELETE")),
]  # fmt: skip


def never(request: httpx.Request) -> httpx.Response:
    raise AssertionError("a request was sent")


@pytest.mark.parametrize(("service", "request_"), GOOD, ids=lambda value: getattr(value, "action", value))
def test_what_the_messages_make_passes(
    service: str, request_: WriteRequest[Any], client: Callable[..., CloudClient]
) -> None:
    guard.check(client(never, service).prepare(request_))


def test_the_good_requests_are_all_writes_there_are() -> None:
    assert {(service, request.action) for service, request in GOOD} == set(guard._WRITES)


def tencent(
    action: str, body: Any, *, write: bool = True, header: str | None = None, url: str = "https://h/"
) -> Prepared[Any]:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"x-tc-action": action if header is None else header}
    bucket = Bucket("tencent", "a", "r", action, 20.0)
    return Prepared("tencent", "wedata", action, "v", write, "POST", url, headers, content, bucket, GOOD[0][1])


def alibaba(
    service: str, action: str, query: str, *, write: bool = True, body: bytes = b"", header: bool = True
) -> Prepared[Any]:
    bucket = Bucket("alibaba", "a", "r", action, 5.0)
    headers = {"x-acs-action": action} if header else {}
    return Prepared(
        "alibaba", service, action, "v", write, "POST", f"https://h/?{query}", headers, body, bucket, GOOD[0][1]
    )


def q(**parameters: str) -> str:
    return urlencode(parameters, quote_via=quote, safe="")


_RES = [{"ResourceType": "Catalog", "ResourceUri": "a"}]
_SUB = [{"SubjectType": "User", "SubjectValues": ["1"]}]
_PRI = [{"Name": "A"}]


def rp(**over: Any) -> dict[str, Any]:
    return {"Resources": _RES, "Subjects": _SUB, "Privileges": _PRI, **over}


def without(body: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in body.items() if key != name}


DS = "RevokeDataSourceAuthorization"
_NOTHING: list[Any] = [[], None, {}, "", "x", [None], [[]], ["x"]]
BAD_TENCENT: list[tuple[str, Any]] = [
    (DS, {"DataSourceId": "1"}),
    (DS, {"DataSourceId": "1", "RevokeProjectId": ""}),
    (DS, {"DataSourceId": "1", "RevokeProjectId": None}),
    (DS, {"DataSourceId": "1", "RevokeProjectId": " "}),
    (DS, {"DataSourceId": "1", "RevokeProjectId": 5}),
    (DS, {"DataSourceId": "1", "RevokeProjectId": ["5"]}),
    (DS, {"DataSourceId": "1", "RevokeProjectId": "5\n"}),
    (DS, {"DataSourceId": "1", "RevokeProjectId": "5,6"}),
    (DS, {"DataSourceId": "1", "RevokeProjectId": "5_6"}),
    (DS, {"DataSourceId": "1", "RevokeUser": ""}),
    (DS, {"DataSourceId": "1", "RevokeUser": None}),
    (DS, {"DataSourceId": "1", "RevokeUser": "5"}),
    (DS, {"DataSourceId": "1", "RevokeUser": "5_"}),
    (DS, {"DataSourceId": "1", "RevokeUser": "_6"}),
    (DS, {"DataSourceId": "1", "RevokeUser": "5_6_7"}),
    (DS, {"DataSourceId": "1", "RevokeUser": "5_6,5_7"}),
    (DS, {"DataSourceId": "1", "RevokeUser": "5_6\x00"}),
    (DS, {"DataSourceId": "1", "RevokeUser": "\u0665_6"}),
    (DS, {"DataSourceId": "1", "RevokeUser": "5_6", "RevokeProjectId": "5"}),
    (DS, {"DataSourceId": "1", "RevokeUser": "5_6", "RevokeProjectId": ""}),
    (DS, {"DataSourceId": "1", "RevokeUser": "5_6", "Extra": "1"}),
    (DS, {"DataSourceId": "", "RevokeUser": "5_6"}),
    (DS, {"DataSourceId": 1, "RevokeUser": "5_6"}),
    (DS, {"RevokeUser": "5_6"}),
    (DS, b'{"DataSourceId":"1","RevokeUser":"5_6","RevokeUser":"5_7"}'),
    (DS, b'{"DataSourceId":"1","RevokeUser":"5_6"'),
    (DS, b""), (DS, b"[]"), (DS, b"null"), (DS, {}),
    ("AuthorizeDataSource", {"DataSourceId": "1"}),
    ("AuthorizeDataSource", {"DataSourceId": "1", "AuthUsers": []}),
    ("AuthorizeDataSource", {"DataSourceId": "1", "AuthUsers": "5_6"}),
    ("AuthorizeDataSource", {"DataSourceId": "1", "AuthUsers": ["5_6", "7_8"]}),
    ("AuthorizeDataSource", {"DataSourceId": "1", "AuthUsers": ["5"]}),
    ("AuthorizeDataSource", {"DataSourceId": "1", "AuthUsers": ["5_6"], "AuthProjectId": "5"}),
    ("AuthorizeDataSource", {"DataSourceId": "1", "AuthProjectId": ""}),
    *(("RevokePrivileges", without(rp(), name)) for name in rp()),
    *(("RevokePrivileges", rp(**{name: value})) for name in rp() for value in _NOTHING),
    ("RevokePrivileges", rp(Extra=1)),
    ("RevokePrivileges", rp(Subjects=_SUB * 2)),
    ("RevokePrivileges", rp(Privileges=_PRI * 2)),
    ("RevokePrivileges", rp(Resources=[{"ResourceUri": "a"}])),
    ("RevokePrivileges", rp(Resources=[{"ResourceType": "Catalog"}])),
    ("RevokePrivileges", rp(Resources=[{"ResourceType": "", "ResourceUri": "a"}])),
    ("RevokePrivileges", rp(Resources=[{"ResourceType": "Catalog", "ResourceUri": ""}])),
    ("RevokePrivileges", rp(Resources=[{"ResourceType": "Catalog", "ResourceUri": "a\nb"}])),
    ("RevokePrivileges", rp(Resources=[{"ResourceType": "Catalog", "ResourceUri": None}])),
    ("RevokePrivileges", rp(Resources=[*_RES, {"ResourceType": "Table", "ResourceUri": "b"}])),
    ("RevokePrivileges", rp(Resources=[{"ResourceType": "Catalog", "ResourceUri": f"r{i}"} for i in range(101)])),
    ("RevokePrivileges", rp(Subjects=[{"SubjectType": "User", "SubjectValues": []}])),
    ("RevokePrivileges", rp(Subjects=[{"SubjectType": "User", "SubjectValues": ["1,2"]}])),
    ("RevokePrivileges", rp(Subjects=[{"SubjectType": "User", "SubjectValues": [1]}])),
    ("RevokePrivileges", rp(Subjects=[{"SubjectType": "User", "SubjectValues": [""]}])),
    ("RevokePrivileges", rp(Subjects=[{"SubjectType": "", "SubjectValues": ["1"]}])),
    ("RevokePrivileges", rp(Subjects=[{"SubjectType": "User", "SubjectValues": ["1"], "More": 1}])),
    ("RevokePrivileges", rp(Privileges=[{"Name": ""}])),
    ("RevokePrivileges", rp(Privileges=[{"Name": "A", "Granted": False}])),
    ("RevokePrivileges", rp(Privileges=[{"Name": "A,B"}])),
    ("DeleteProjectMember", {"ProjectId": "1"}),
    ("DeleteDataSource", {"Id": "1"}),
    ("revokeprivileges", rp()),
    ("", rp()),
]  # fmt: skip


ADS = "AuthorizeDataSource"
NO_NUMBERS: list[Any] = ["", " ", "0", "00", "01", "-1", "+1", "1.0", "1e3", "0x1", "*", "all", "ALL", "a", "1,2", "1 ",
                         "\u0661", "1" * 21, 1, 1.5, True, None, [], ["1"], {}]  # fmt: skip
NO_PAIRS: list[Any] = ["", "1", "_", "1_", "_1", "0_1", "1_0", "01_1", "1_01", "1_2_3", "1-2", "1_2,1_3", "*_1", "1_*",
                       "all", "1_" + "2" * 21, 12, None]  # fmt: skip
_ROLE = {"ProjectId": "1", "UserUin": "2", "RoleIds": ["3"]}
_ONE = {"ProjectId": "1", "UserUins": ["2"], "RoleIds": ["3"]}
_OUT = without(_ONE, "RoleIds")
BAD_TENCENT += [
    *(
        (action, body)
        for action, good, user in (
            ("RemoveMemberProjectRole", _ROLE, "UserUin"),
            ("GrantMemberProjectRole", _ROLE, "UserUin"),
            ("DeleteProjectMember", _OUT, "UserUins"),
            ("CreateProjectMember", _ONE, "UserUins"),
        )
        for body in (
            *(without(good, name) for name in good),
            *({**good, name: value} for name in good for value in ("", None, "0", "all", [], ["2", "2"], ["x"], {})),
            {**good, "All": True},
            {**good, user: "2,4" if user == "UserUin" else ["2", "4"]},
            {**good, user: 2 if user == "UserUin" else [2]},
        )
    ),
    ("DeleteProjectMember", _ONE),
    ("RemoveMemberProjectRole", _ONE),
    ("CreateProjectMember", {**_ONE, "RoleIds": [str(n) for n in range(1, 102)]}),
]
_SUBJECT = {"SubjectType": "user", "SubjectValues": ["7"], "Privileges": ["CAN_EDIT"]}
_RESOURCE = {"ResourceType": "script", "ResourceId": "s-1"}
_TARGET = {"PermissionTargetType": "user", "PermissionTargetId": "7", "PermissionTypeList": ["CAN_MANAGE"]}
_WRONG: list[Any] = ["", None, "all", "*", [], {}, "0", ["7", "7"], ["CAN_FLY"], ["CAN_EDIT", "CAN_EDIT"]]


def code_body(action: str, subject: Any = _SUBJECT, resource: Any = _RESOURCE, **fields: Any) -> dict[str, Any]:
    made = action == "CreateCodePermissions"
    objects, subjects = (
        ("AuthorizePermissionObjects", "AuthorizeSubjects") if made else ("RecyclePolicySet", "RecycleSubjects")
    )
    return {"ProjectId": "1", objects: [{"Resource": resource, subjects: [subject]}], **fields}


def flow_body(action: str, target: Any = _TARGET, **fields: Any) -> dict[str, Any]:
    name = "PermissionList" if action == "CreateWorkflowPermissions" else "DeletePermissionList"
    return {"ProjectId": "1", "EntityId": "w1", "EntityType": "workflow", name: [target], **fields}


BAD_TENCENT += [
    *(
        (action, body)
        for action in ("DeleteCodePermissions", "CreateCodePermissions")
        for good in (code_body(action),)
        for body in (
            *(without(good, name) for name in good),
            *({**good, name: value} for name in good for value in _WRONG),
            *({**good, name: value * 2} for name, value in good.items() if isinstance(value, list)),
            *(code_body(action, subject=without(_SUBJECT, name)) for name in _SUBJECT),
            *(code_body(action, subject={**_SUBJECT, name: value}) for name in _SUBJECT for value in _WRONG),
            code_body(action, subject={**_SUBJECT, "SubjectValues": ["7", "8"]}),
            *(code_body(action, resource=without(_RESOURCE, name)) for name in _RESOURCE),
            *(code_body(action, resource={**_RESOURCE, name: value}) for name in _RESOURCE for value in _WRONG),
            code_body(action, resource={**_RESOURCE, "ResourceIdForPath": "/"}),
            code_body(action, All=True),
        )
    ),
    *(
        (action, body)
        for action in ("DeleteWorkflowPermissions", "CreateWorkflowPermissions")
        for good in (flow_body(action),)
        for body in (
            *(without(good, name) for name in good),
            *({**good, name: value} for name in good for value in _WRONG),
            *({**good, name: value * 2} for name, value in good.items() if isinstance(value, list)),
            *(flow_body(action, target=without(_TARGET, name)) for name in _TARGET),
            *(flow_body(action, target={**_TARGET, name: value}) for name in _TARGET for value in _WRONG),
            flow_body(action, All=True),
        )
    ),
    ("CreateWorkflowPermissions", flow_body("CreateWorkflowPermissions", {**_TARGET, "PermissionTargetType": "group"})),
]
BAD_TENCENT += [
    *((DS, {"DataSourceId": value, "RevokeProjectId": "5"}) for value in NO_NUMBERS),
    *((DS, {"DataSourceId": "1", "RevokeProjectId": value}) for value in NO_NUMBERS),
    *((DS, {"DataSourceId": "1", "RevokeUser": value}) for value in NO_PAIRS),
    *((ADS, {"DataSourceId": value, "AuthProjectId": "5"}) for value in NO_NUMBERS),
    *((ADS, {"DataSourceId": value, "AuthUsers": ["5_6"]}) for value in NO_NUMBERS),
    *((ADS, {"DataSourceId": "1", "AuthProjectId": value}) for value in NO_NUMBERS),
    *((ADS, {"DataSourceId": "1", "AuthUsers": [value]}) for value in NO_PAIRS),
    *((ADS, {"DataSourceId": "1", "AuthUsers": ["5_6", value]}) for value in NO_PAIRS),
    # The names that the sister action has, and further ones.
    (ADS, {"AuthProjectId": "5"}),
    (ADS, {"Id": "1", "AuthProjectId": "5"}),
    (ADS, {"DataSourceId": "1", "RevokeProjectId": "5"}),
    (ADS, {"DataSourceId": "1", "RevokeUser": "5_6"}),
    (ADS, {"DataSourceId": "1", "AuthProjectId": "5", "Extra": "1"}),
    (ADS, {"DataSourceId": "1", "AuthUsers": ["5_6"], "AuthProjectIds": ["5"]}),
    (DS, {"DataSourceId": "1", "AuthUsers": ["5_6"]}),
    (DS, {"DataSourceId": "1", "RevokeProjectId": "5", "AuthProjectId": "6"}),
    *(("RevokePrivileges", rp(Resources=[{"ResourceType": "Catalog", "ResourceUri": path}]))
      for path in ("*", "c.*", "*.s.t", "c*", "%", "all", "ALL", "any", "a" * 1025)),
    *(("RevokePrivileges", rp(Resources=[{"ResourceType": kind, "ResourceUri": "c"}]))
      for kind in ("ALL", "Any", "All_Tables", "*", "Cat-alog")),
    *(("RevokePrivileges", rp(Subjects=[{"SubjectType": "User", "SubjectValues": [value]}])) for value in NO_NUMBERS),
    *(("RevokePrivileges", rp(Subjects=[{"SubjectType": "Project", "SubjectValues": [value]}]))
      for value in ("0", "1.2", "AllAccountUsers")),
    *(("RevokePrivileges", rp(Subjects=[{"SubjectType": "Role", "SubjectValues": [value]}]))
      for value in ("0.1", "1.0", "1.", ".1", "1.2.3.4", "1.*", "AllAccountUsers")),
    *(("RevokePrivileges", rp(Subjects=[{"SubjectType": "GlobalRole", "SubjectValues": [value]}]))
      for value in ("0", "AllUsers", "allaccountusers", "all", "1.2")),
    *(("RevokePrivileges", rp(Subjects=[{"SubjectType": kind, "SubjectValues": ["1"]}]))
      for kind in ("user", "Group", "Everyone", "ALL")),
    *(("RevokePrivileges", rp(Privileges=[{"Name": name}]))
      for name in ("ALL", "all", "All_Privileges", "ALL_TABLES", "ANY", "EVERY_ONE", "*", "0")),
]  # fmt: skip


@pytest.mark.parametrize(("action", "body"), BAD_TENCENT)
def test_dangerous_tencent_writes_are_refused(action: str, body: Any) -> None:
    with pytest.raises(Refusals):
        guard.check(tencent(action, body))


_REV = {"UserId": "5", "DsType": "DATABASE", "DbId": "1", "Logic": "false", "PermTypes": "QUERY", "UserAccessId": "7"}
_PROXY = {
    "DeleteProxyAccess": {"ProxyAccessId": "7", "Tid": "3"},
    "CreateProxyAccess": {"ProxyId": "5", "UserId": "51", "Tid": "3"},
}
_POLICY = {
    "DeleteAbacAuthorization": {"AuthorizationId": "7", "IdentityType": "USER", "Tid": "3"},
    "CreateAbacAuthorization": {"PolicyId": "5", "IdentityType": "USER", "UserId": "51", "Tid": "3"},
}
_ACCOUNT = {"Uid": "1968000000000001", "Tid": "3001"}
_SPACE = {"WorkspaceId": "w", "UserId": "1"}
_SHARE = {"ReportId": "r", "ShareToType": "0", "ShareToIds": "u"}
_SHARED = {"WorksId": "r", "ShareToType": "0", "ShareToId": "u", "AuthPoint": "1", "ExpireDate": "4000000000000"}
_AUTHORIZED = {"ResourceType": "dashboard", "ResourceId": "r", "QbiUserId": "u"}
_AUTHORIZES = {"ResourceType": "cube", "ResourceId": "r", "AuthorizeScope": "0", "AuthorizedId": "u", "AuthPoints": "3",
               "ExpireDay": "2099-12-31"}  # fmt: skip
_WHITE = {"CubeId": "c", "RuleType": "ROW_LEVEL", "OperateType": "DELETE", "TargetType": "1", "TargetIds": "u,v"}
_GROUPS = {"UserGroupIds": "a,b", "UserId": "1"}
_CANCEL = {"DataPortalId": "p", "MenuIds": "a,b", "UserIds": "1"}


_TABLE = {**_REV, "DsType": "TABLE", "TableId": "9", "TableName": "orders"}
_INSTANCE = {"UserId": "5", "DsType": "INSTANCE", "InstanceId": "1", "PermTypes": "LOGIN", "UserAccessId": "7"}
TEXTS = [value for value in NO_NUMBERS if isinstance(value, str)]


def many(count: int) -> str:
    return ",".join(f"i{number}" for number in range(count))


BAD_ALIBABA: list[tuple[str, str, str]] = [
    *(("dms", "RevokeUserPermission", q(**without(_REV, name))) for name in _REV),
    *(("dms", "RevokeUserPermission", q(**{**_REV, name: ""})) for name in _REV),
    *(("dms", "RevokeUserPermission", q(**{**_REV, name: "1,2"})) for name in _REV),
    *(("dms", "RevokeUserPermission", q(**{**_REV, name: "1\n"})) for name in _REV),
    ("dms", "RevokeUserPermission", q(**_REV, TableId="9")),
    ("dms", "RevokeUserPermission", q(**_REV, Other="9")),
    ("dms", "RevokeUserPermission", q(**{**_REV, "Logic": "False"})),
    ("dms", "RevokeUserPermission", q(**{**_REV, "DsType": "TABLE"})),
    ("dms", "RevokeUserPermission", q(**{**_REV, "DsType": "INSTANCE"})),
    ("dms", "RevokeUserPermission", q(**_REV) + "&UserAccessId=8"),
    ("dms", "RevokeUserPermission", q(**_REV) + "&UserAccessId"),
    ("dms", "RevokeUserPermission", q(**_REV) + "&&"),
    ("dms", "RevokeUserPermission", q(**_REV) + "#x"),
    ("dms", "RevokeUserPermission", q(**_REV) + "&Tid=%FF"),
    ("dms", "RevokeUserPermission", ""),
    ("dms", "GrantUserPermission", q(**without(_REV, "UserAccessId"))),
    ("dms", "GrantUserPermission", q(**without(_REV, "UserAccessId"), ExpireDate="soon")),
    ("dms", "DisableUser", q(Uid="1")),
    ("dms", "DisableUser", q(Tid="3")),
    *(("dms", action, q(**{**_ACCOUNT, name: value})) for action in ("DisableUser", "EnableUser")
      for name in _ACCOUNT for value in ("", "0", "1,2", "a", "1 ")),
    ("dms", "DisableUser", q(**_ACCOUNT, UserId="5")),
    ("dms", "DeleteUser", q(**_ACCOUNT)),
    *(("dms", action, q(**{**fields, name: value})) for action, fields in _PROXY.items()
      for name in fields for value in ("", "0", "1,2", "a", "1 ")),
    *(("dms", action, q(**without(fields, name))) for action, fields in _PROXY.items() for name in fields),
    ("dms", "CreateProxyAccess", q(**_PROXY["CreateProxyAccess"], IndepAccount="root")),
    ("dms", "DeleteProxy", q(ProxyId="5", Tid="3")),
    *(("dms", action, q(**{**fields, name: value})) for action, fields in _POLICY.items()
      for name in fields for value in ("", "0", "1,2", "a", "1 ", "user", "USER,ROLE")),
    *(("dms", action, q(**without(fields, name))) for action, fields in _POLICY.items() for name in fields),
    ("dms", "DeleteAbacAuthorization", q(**_POLICY["DeleteAbacAuthorization"], PolicyId="5")),
    ("dms", "CreateAbacAuthorization", q(**_POLICY["CreateAbacAuthorization"], RoleId="5")),
    ("dms", "CreateAbacAuthorization", q(**{**_POLICY["CreateAbacAuthorization"], "IdentityType": "ROLE"})),
    ("dms", "DeleteAbacPolicy", q(AbacPolicyId="5", Tid="3")),
    ("dms", "SetOwners", q(OwnerIds="1")),
    ("dms", "CancelAuthorizationMenu", q(**_CANCEL)),
    ("quickbi", "CancelAuthorizationMenu", q(**without(_CANCEL, "UserIds"))),
    ("quickbi", "CancelAuthorizationMenu", q(**without(_CANCEL, "MenuIds"))),
    ("quickbi", "CancelAuthorizationMenu", q(**without(_CANCEL, "DataPortalId"))),
    ("quickbi", "CancelAuthorizationMenu", q(**{**_CANCEL, "UserIds": ""})),
    ("quickbi", "CancelAuthorizationMenu", q(**{**_CANCEL, "UserIds": "1,"})),
    ("quickbi", "CancelAuthorizationMenu", q(**{**_CANCEL, "UserIds": "1,,2"})),
    ("quickbi", "CancelAuthorizationMenu", q(**{**_CANCEL, "UserIds": "1, 2"})),
    ("quickbi", "CancelAuthorizationMenu", q(**{**_CANCEL, "UserIds": "1,1"})),
    ("quickbi", "CancelAuthorizationMenu", q(**{**_CANCEL, "UserIds": "null"}, UserGroupIds="")),
    ("quickbi", "CancelAuthorizationMenu", q(**{**_CANCEL, "MenuIds": "[a]"})),
    ("quickbi", "CancelAuthorizationMenu", q(**{**_CANCEL, "DataPortalId": "p,q"})),
    ("quickbi", "CancelAuthorizationMenu", q(**{**_CANCEL, "MenuIds": many(101)})),
    ("quickbi", "CancelAuthorizationMenu", q(**{**_CANCEL, "UserIds": many(201)})),
    ("quickbi", "CancelAuthorizationMenu", q(**_CANCEL, UserGroupIds=many(201))),
    ("quickbi", "CancelAuthorizationMenu", q(**_CANCEL, AuthPointsValue="1")),
    ("quickbi", "CancelAuthorizationMenu", q(**_CANCEL).replace("%2C", "+")),
    ("quickbi", "AuthorizeMenu", q(**_CANCEL)),
    ("quickbi", "AuthorizeMenu", q(**_CANCEL, AuthPointsValue="11")),
    *(("quickbi", "DeleteUserGroupMembers", q(**without(_GROUPS, name))) for name in _GROUPS),
    *(("quickbi", "DeleteUserGroupMembers", q(**{**_GROUPS, name: ""})) for name in _GROUPS),
    ("quickbi", "DeleteUserGroupMembers", q(**{**_GROUPS, "UserId": "1,2"})),
    ("quickbi", "DeleteUserGroupMembers", q(**{**_GROUPS, "UserGroupIds": "a,a"})),
    ("quickbi", "DeleteUserGroupMembers", q(**{**_GROUPS, "UserGroupIds": "a,"})),
    ("quickbi", "DeleteUserGroupMembers", q(**{**_GROUPS, "UserGroupIds": many(51)})),
    ("quickbi", "AddUserGroupMembers", q(**_GROUPS, All="true")),
    *(("quickbi", "DeleteUserFromWorkspace", q(**without(_SPACE, name))) for name in _SPACE),
    *(("quickbi", "DeleteUserFromWorkspace", q(**{**_SPACE, name: ""})) for name in _SPACE),
    *(("quickbi", "DeleteUserFromWorkspace", q(**{**_SPACE, name: "a,b"})) for name in _SPACE),
    ("quickbi", "DeleteUserFromWorkspace", q(**_SPACE, RoleId="25")),
    ("quickbi", "AddUserToWorkspace", q(**_SPACE)),
    ("quickbi", "AddUserToWorkspace", q(**_SPACE, RoleId="0")),
    *(("quickbi", "CancelReportShare", q(**without(_SHARE, name))) for name in _SHARE),
    *(("quickbi", "CancelReportShare", q(**{**_SHARE, name: ""})) for name in _SHARE),
    *(("quickbi", "CancelReportShare", q(**{**_SHARE, name: "1,2"})) for name in _SHARE),
    *(("quickbi", "CancelReportShare", q(**{**_SHARE, "ShareToType": kind})) for kind in ("3", "-1", "00")),
    ("quickbi", "CancelReportShare", q(**_SHARE, AuthPoint="1")),
    *(("quickbi", "AddShareReport", q(**without(_SHARED, name))) for name in _SHARED),
    *(("quickbi", "AddShareReport", q(**{**_SHARED, "AuthPoint": level})) for level in ("", "0", "2", "11")),
    *(("quickbi", "AddShareReport", q(**{**_SHARED, "ExpireDate": end})) for end in ("", "0", "-1", "2030-01-01")),
    ("quickbi", "AddShareReport", q(**_SHARED, ReportId="r")),
    *(("quickbi", "DeleteAuthorizationByUserId", q(**without(_AUTHORIZED, name))) for name in _AUTHORIZED),
    *(("quickbi", "DeleteAuthorizationByUserId", q(**{**_AUTHORIZED, name: ""})) for name in _AUTHORIZED),
    *(("quickbi", "DeleteAuthorizationByUserId", q(**{**_AUTHORIZED, name: "a,b"})) for name in _AUTHORIZED),
    *(("quickbi", "DeleteAuthorizationByUserId", q(**{**_AUTHORIZED, "ResourceType": kind}))
      for kind in ("DASHBOARD", "portal", "all")),
    ("quickbi", "DeleteAuthorizationByUserId", q(**_AUTHORIZED, AuthPoints="1")),
    *(("quickbi", "AddWorksAuthorization", q(**without(_AUTHORIZES, name))) for name in _AUTHORIZES),
    *(("quickbi", "AddWorksAuthorization", q(**{**_AUTHORIZES, name: "a,b"})) for name in _AUTHORIZES),
    *(("quickbi", "AddWorksAuthorization", q(**{**_AUTHORIZES, "AuthorizeScope": kind})) for kind in ("1", "2", "3")),
    *(("quickbi", "AddWorksAuthorization", q(**{**_AUTHORIZES, "AuthPoints": level})) for level in ("", "0", "10")),
    *(("quickbi", "AddWorksAuthorization", q(**{**_AUTHORIZES, "ExpireDay": day})) for day in ("", "4000", "1-1-1")),
    ("quickbi", "AddWorksAuthorization", q(**{**_AUTHORIZES, "AuthPoints": "11"})),
    *(("quickbi", "AddDataLevelPermissionWhiteList", q(**without(_WHITE, name))) for name in _WHITE),
    *(("quickbi", "AddDataLevelPermissionWhiteList", q(**{**_WHITE, name: ""})) for name in _WHITE),
    *(("quickbi", "AddDataLevelPermissionWhiteList", q(**{**_WHITE, **change})) for change in (
        {"OperateType": "SET"}, {"OperateType": "delete"}, {"RuleType": "ALL"}, {"TargetType": "0"}, {"CubeId": "a,b"},
        {"TargetIds": "a,a"}, {"TargetIds": "a,"}, {"TargetIds": "all"}, {"TargetIds": many(51)},
    )),
    ("quickbi", "AddDataLevelPermissionWhiteList", q(**_WHITE, UserIds="u")),
    ("quickbi", "SetDataLevelPermissionWhiteList", q(WhiteListModel="{}")),
    ("quickbi", "UpdateAuthorizationAttributes", q(ResourceId="r", ResourceType="cube", EditPermissionType="0")),
    ("quickbi", "DeleteDataLevelRuleConfig", q(CubeId="c", RuleId="r")),
    ("quickbi", "WithdrawAllUserGroups", q(UserId="1")),
    ("quickbi", "DeleteUserGroup", q(UserGroupId="a")),
    ("quickbi", "DeleteUser", q(UserId="1")),
    ("quickbi", "ChangeVisibilityModel", q(**_CANCEL)),
]  # fmt: skip


NO_TOKENS = ["", " ", "0", "000", "-1", "_a", "*", "all", "ALL", "Any", "everyone", "null", "None", "undefined", "true",
             "a b", "\u0661", "a" * 65]  # fmt: skip
BAD_ALIBABA += [
    *(("dms", "RevokeUserPermission", q(**{**_TABLE, name: value}))
      for name in ("UserId", "UserAccessId", "DbId", "TableId") for value in TEXTS),
    *(("dms", "RevokeUserPermission", q(**{**_INSTANCE, "InstanceId": value})) for value in TEXTS),
    *(("dms", "RevokeUserPermission", q(**_TABLE, Tid=value)) for value in TEXTS if value != "-1"),
    *(("dms", "RevokeUserPermission", q(**{**_TABLE, "TableName": value}))
      for value in ("", " ", " a", "a ", "a\nb", "a\x00b", "a\u200bb", "*", "**", "%", "a" * 1025)),
    ("dms", "RevokeUserPermission", q(**_INSTANCE, TableName="orders")),
    ("dms", "RevokeUserPermission", q(**_REV, TableName="orders")),
    *(("quickbi", "CancelAuthorizationMenu", q(**{**_CANCEL, "DataPortalId": value})) for value in NO_TOKENS),
    *(("quickbi", "CancelAuthorizationMenu", q(**{**_CANCEL, name: value}))
      for name in ("MenuIds", "UserIds") for value in NO_TOKENS),
    *(("quickbi", "CancelAuthorizationMenu", q(**{**_CANCEL, "MenuIds": f"a,{value}"})) for value in NO_TOKENS),
    *(("quickbi", "CancelAuthorizationMenu", q(**_CANCEL, UserGroupIds=value)) for value in NO_TOKENS),
]  # fmt: skip


@pytest.mark.parametrize(("service", "action", "query"), BAD_ALIBABA)
def test_dangerous_alibaba_writes_are_refused(service: str, action: str, query: str) -> None:
    with pytest.raises(Refusals):
        guard.check(alibaba(service, action, query))


def test_the_samples_of_the_refusals_pass() -> None:
    """What the lists above change one thing in is let through."""
    for query in (q(**_REV), q(**_TABLE, Tid="-1"), q(**_TABLE, InstanceId="3"), q(**_INSTANCE)):
        guard.check(alibaba("dms", "RevokeUserPermission", query))
    guard.check(
        alibaba("quickbi", "CancelAuthorizationMenu", q(DataPortalId="0d1", MenuIds="ABC-1_x", UserIds="allium"))
    )
    for kind, value in (("User", "1"), ("Project", "1"), ("Role", "1.2"), ("GlobalRole", "AllAccountUsers")):
        subjects = [{"SubjectType": kind, "SubjectValues": [value]}]
        guard.check(tencent("RevokePrivileges", rp(Subjects=subjects, Privileges=[{"Name": "ALL_PRIVILEGES"}])))


def entries(count: int, width: int = 1) -> list[dict[str, str]]:
    return [{"ResourceType": "Catalog", "ResourceUri": f"{number:0{width}}"} for number in range(count)]


@pytest.mark.parametrize(
    "at",
    [
        lambda n: tencent("RevokePrivileges", rp(Resources=entries(n))),
        lambda n: tencent("RevokePrivileges", rp(Subjects=_SUB * n, Privileges=_PRI * n)),
        lambda n: tencent("RevokePrivileges", rp(Subjects=[
            {"SubjectType": "User", "SubjectValues": [str(number + 1) for number in range(n)]}])),
        lambda n: tencent(ADS, {"DataSourceId": "1", "AuthUsers": [f"5_{number + 1}" for number in range(n)]}),
        lambda n: alibaba("quickbi", "CancelAuthorizationMenu", q(**{**_CANCEL, "MenuIds": many(n)})),
    ],
    ids=["resources", "pairs", "values", "users", "menus"],
)  # fmt: skip
def test_a_hundred_entries_pass_and_one_more_is_refused(at: Callable[[int], Prepared[Any]]) -> None:
    guard.check(at(100))
    with pytest.raises(BlastRadiusExceededError, match="more than 100"):
        guard.check(at(101))


@pytest.mark.parametrize(
    "at",
    [
        lambda n: tencent("RevokePrivileges", rp(Resources=entries(1, n))),
        lambda n: alibaba("dms", "RevokeUserPermission", q(**{**_TABLE, "TableName": "t" * n})),
    ],
    ids=["uri", "table"],
)
def test_a_path_has_at_most_1024_characters(at: Callable[[int], Prepared[Any]]) -> None:
    guard.check(at(1024))
    with pytest.raises(InputError, match="too long"):
        guard.check(at(1025))


def test_limits_are_inclusive() -> None:
    guard.check(alibaba("quickbi", "CancelAuthorizationMenu", q(
        DataPortalId="p", MenuIds=many(100), UserIds=many(200), UserGroupIds=many(200)
    )))  # fmt: skip


@pytest.mark.parametrize("odd", ["Name=a+b", "Name", "Name=a#b", "Name=a&Name=a", "Name=a&&"])
def test_a_query_that_can_be_read_in_two_ways_is_refused_for_reads_too(odd: str) -> None:
    guard.check(alibaba("dms", "ListUsers", "Name=a", write=False))
    with pytest.raises(BlastRadiusExceededError):
        guard.check(alibaba("dms", "ListUsers", odd, write=False))


def test_parameters_outside_the_query_are_refused() -> None:
    with pytest.raises(BlastRadiusExceededError):
        guard.check(alibaba("dms", "RevokeUserPermission", q(**_REV), body=b"UserAccessId=8"))
    with pytest.raises(BlastRadiusExceededError):
        guard.check(tencent("RevokePrivileges", rp(), url="https://h/?RevokeUser=1"))


def test_writes_are_posted() -> None:
    posted = alibaba("dms", "RevokeUserPermission", q(**_REV))
    guard.check(posted)
    with pytest.raises(BlastRadiusExceededError):
        guard.check(dataclasses.replace(posted, method="GET"))


def test_a_write_cannot_pass_as_a_read() -> None:
    for prepared in (
        tencent("RevokePrivileges", rp(), write=False),
        tencent("ListProjects", {}, write=False, header="RevokePrivileges"),
        tencent("ListProjects", rp(), header="RevokePrivileges"),
        tencent("DeleteProject", {}, write=False),
        tencent("AssumeRole", {}, write=False),
        tencent("listProjects", {}, write=False),
        tencent("ListProjects", {}, write=True),
        alibaba("dms", "SetOwners", "", write=False),
        alibaba("quickbi", "CheckOut", "", write=False),
        alibaba("quickbi", "QueryUserListX2", "", write=False),
        alibaba("sts", "ListUsers", "", write=False),
    ):
        with pytest.raises(BlastRadiusExceededError):
            guard.check(prepared)


@pytest.mark.parametrize(
    ("prepared", "change"),
    [
        (alibaba("quickbi", "QueryUserList", "", write=False), {"url": "https://h/?Action=DeleteUser&UserId=u"}),
        (alibaba("quickbi", "QueryUserList", "", write=False), {"url": "https://h/?%61ction=DeleteUser"}),
        (alibaba("quickbi", "QueryUserList", "", write=False), {"body": b"Action=DeleteUser&UserId=u"}),
        (alibaba("quickbi", "QueryUserList", "", write=False), {"body": b"UserId=u"}),
        (alibaba("quickbi", "QueryUserList", "", write=False), {"headers": {"X-Acs-Action": "DeleteUser"}}),
        (alibaba("quickbi", "AddDataLevelPermissionWhiteList", q(**_WHITE)), {"headers": {"X-ACS-Action": "Set"}}),
        (alibaba("sts", "GetCallerIdentity", "Action=GetCallerIdentity", write=False, header=False),
         {"body": b"Action=DeleteUser"}),
        (tencent("ListProjects", {}, write=False), {"headers": {"X-TC-Action": "DeleteProject"}}),
    ],
)  # fmt: skip
def test_a_second_action_beside_the_one_that_was_checked_is_refused(
    prepared: Prepared[Any], change: dict[str, Any]
) -> None:
    guard.check(prepared)
    if "headers" in change:
        change = {"headers": {**prepared.headers, **change["headers"]}}
    with pytest.raises(BlastRadiusExceededError, match=r"named twice|outside the query"):
        guard.check(dataclasses.replace(prepared, **change))


def test_the_guard_and_its_rules_import_no_message() -> None:
    package = Path(guard.__file__).parent
    files = [package / "guard.py", *sorted((package / "write_rules").glob("*.py"))]
    known = {"answers.strict_json", "base", "write_rules", "write_rules.shapes"}
    for file in files:
        tree = ast.parse(file.read_text(encoding="utf-8"))
        named = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        ours = {name.removeprefix("rescind.cloud.") for name in named if name.startswith("rescind.cloud")}
        assert len(files) > 4 and ours <= known, file
        assert not [a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names if "rescind" in a.name]


def test_reads_pass(client: Callable[..., CloudClient]) -> None:
    guard.check(client(never).prepare(ListProjects()))
    guard.check(alibaba("quickbi", "QueryUserList", q(PageNum="1"), write=False))
    guard.check(alibaba("quickbi", "CheckReadable", q(UserId="1", WorksId="1"), write=False))
    guard.check(alibaba("sts", "GetCallerIdentity", "", write=False))


def test_dispatch_asks_the_guard_before_anything_leaves(client: Callable[..., CloudClient]) -> None:
    import asyncio

    speaker = client(never)
    prepared = speaker.prepare(
        RevokeDataSourceAuthorization(DataSourceId="1", target=FromProject(project_id="2", whole_project=True))
    )
    widened = dataclasses.replace(prepared, body=b'{"DataSourceId":"1"}')
    with pytest.raises(BlastRadiusExceededError, match="selectors"):
        asyncio.run(speaker.dispatch(widened))


_VALUES = st.one_of(
    st.none(), st.text(max_size=6), st.integers(), st.lists(st.text(max_size=3), max_size=2), st.booleans()
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(["DataSourceId", "RevokeProjectId", "RevokeUser", "Other"]), _VALUES))
def test_whatever_passes_names_exactly_one_receiver(body: dict[str, Any]) -> None:
    try:
        guard.check(tencent(DS, body))
    except Refusals:
        return
    selectors = {"RevokeProjectId", "RevokeUser"} & set(body)
    assert len(selectors) == 1
    assert set(body) == {"DataSourceId", *selectors}
    assert all(isinstance(value, str) and value.replace("_", "").isdigit() for value in body.values())


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.text("ab1,_-\n\x00 %", max_size=4), max_size=3),
    st.lists(st.text("ab1,_-\n\x00 %", max_size=4), max_size=3),
)
def test_what_passes_splits_into_exactly_the_ids_that_went_in(menus: list[str], users: list[str]) -> None:
    query = q(DataPortalId="p", MenuIds=",".join(menus), UserIds=",".join(users))
    try:
        guard.check(alibaba("quickbi", "CancelAuthorizationMenu", query))
    except Refusals:
        return
    for ids in (menus, users):
        split = ",".join(ids).split(",")
        assert len(set(split)) == len(split)
        assert all(part and part.isascii() and not set(part) & set(", \n\x00%") for part in split)
