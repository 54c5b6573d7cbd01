"""Which actions the identity may call: what is tried, what is never sent, and how answers are read."""

from __future__ import annotations

import ast
import asyncio
import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx
import pytest

import rescind
from rescind.cloud.base import Request
from rescind.cloud.client import CloudClient
from rescind.cloud.clients import DmsClient, QuickBiClient, WeDataClient
from rescind.cloud.connection.permission_probe import Probe, allowed_actions, in_short
from rescind.cloud.guard import _WRITES as WRITES
from rescind.cloud.wedata.data_sources import FromProject, RevokeDataSourceAuthorization
from rescind.cloud.wedata.inventory import ListProjects, ListTenantRoles
from rescind.errors import ConfigurationError, LedgerError
from rescind.systems import REGISTRY, system_named

Client = Callable[..., CloudClient]
Make = Callable[..., httpx.Response]
CLIENTS: tuple[type[CloudClient], ...] = (WeDataClient, DmsClient, QuickBiClient)


def action_of(request: httpx.Request) -> str:
    return request.headers.get("x-tc-action") or request.headers["x-acs-action"]


def needed() -> dict[str, set[str]]:
    """Actions of every message that a system imports, and of every read that it declares, by service.

    Revocations are included. Restoring is another connection's permission, and last use is optional, so neither is
    asked for.
    """
    restores = {action for name in REGISTRY for action in system_named(name).restore_actions}
    given = {"", *restores.difference(*(system_named(name).revoke_actions for name in REGISTRY))}
    given |= {action for system in REGISTRY.values() for action in system.usage_reads}
    found: dict[str, set[str]] = {}
    for system in REGISTRY.values():
        found.setdefault(system.revoke_message.service, set()).update(system.reads)
    for path in (Path(rescind.__file__).parent / "systems").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith("rescind.cloud."):
                continue
            for alias in node.names:
                item = getattr(import_module(node.module or ""), alias.name)
                if isinstance(item, type) and issubclass(item, Request) and vars(item).get("action", "") not in given:
                    found.setdefault(item.service, set()).add(item.action)
    return found


def test_every_action_of_the_systems_is_probed_and_no_other() -> None:
    assert {kind.service: {probe.action for probe in kind.probes} for kind in CLIENTS} == needed()


def test_writes_have_nothing_that_could_be_sent() -> None:
    writes = {(kind.service, probe.action) for kind in CLIENTS for probe in kind.probes if probe.read is None}
    assert writes == {
        ("wedata", "RevokePrivileges"),
        ("wedata", "RevokeDataSourceAuthorization"),
        ("wedata", "RemoveMemberProjectRole"),
        ("wedata", "DeleteProjectMember"),
        ("wedata", "DeleteCodePermissions"),
        ("wedata", "DeleteWorkflowPermissions"),
        ("dms", "RevokeUserPermission"),
        ("dms", "DisableUser"),
        ("dms", "DeleteProxyAccess"),
        ("dms", "DeleteAbacAuthorization"),
        ("quickbi", "CancelAuthorizationMenu"),
        ("quickbi", "DeleteUserGroupMembers"),
        ("quickbi", "DeleteUserFromWorkspace"),
        ("quickbi", "CancelReportShare"),
        ("quickbi", "DeleteAuthorizationByUserId"),
        ("quickbi", "AddDataLevelPermissionWhiteList"),
    }
    assert writes <= set(WRITES)
    for kind in CLIENTS:
        names = [probe.action for probe in kind.probes]
        assert len(set(names)) == len(names)
        for position, probe in enumerate(kind.probes):
            assert not probe.after or probe.after in names[:position]


@pytest.mark.parametrize("name", REGISTRY)
def test_no_probe_of_a_system_waits_for_an_action_of_another(name: str) -> None:
    (kind,) = [kind for kind in CLIENTS if kind.service == REGISTRY[name].revoke_message.service]
    after = {probe.after for probe in kind.probes if probe.action in REGISTRY[name].reads}
    assert after - {""} <= REGISTRY[name].reads


PROJECT, SOURCE = {"ProjectId": "1470575647377821696"}, {"Id": 65377, "Name": "s"}
WEDATA: dict[str, Any] = {
    "ListProjects": {"Items": [PROJECT], "TotalCount": 40},
    "ListProjectMembers": {"Items": [], "TotalCount": 0},
    "ListProjectRoles": {"Items": [], "TotalCount": 0},
    "ListDataSources": {"Items": [SOURCE], "TotalCount": 1},
    "DescribeDataSourceAuthority": {"AuthProjectIds": [], "AuthUsers": []},
    "ListPermissions": {"Details": [], "TotalCount": 0},
    "ListCatalog": {"Items": [{"Name": "lake"}], "TotalCount": 1},
    "ListDatabase": {"Items": [], "TotalCount": 0},
    "ListSchema": {"Items": [], "TotalCount": 0},
    "ListTable": {"Items": [], "TotalCount": 0},
    "ListCodeFolderContents": [{"Id": "f1", "Type": "folder", "Path": "/f"}],
    "ListWorkflowFolders": {"Items": [{"FolderId": "w1", "FolderPath": "/w", **PROJECT}], "TotalCount": 1},
    "ListWorkflows": {"Items": [], "TotalCount": 0},
    "ListWorkflowPermissions": {"Items": [], "TotalCount": 0},
}


def test_wedata(client: Client, tencent: Make) -> None:
    sent: dict[str, Any] = {}

    def network(request: httpx.Request) -> httpx.Response:
        action = action_of(request)
        assert action not in sent, "one read for each action"
        sent[action] = json.loads(request.content)
        return tencent(Data=WEDATA[action])

    rights = asyncio.run(allowed_actions(client(network)))
    assert rights == {**dict.fromkeys(WEDATA, "allowed"), "RevokePrivileges": "unknown",
                      "RevokeDataSourceAuthorization": "unknown", "RemoveMemberProjectRole": "unknown",
                      "DeleteProjectMember": "unknown", "DeleteCodePermissions": "unknown",
                      "DeleteWorkflowPermissions": "unknown", "ListCodePermissions": "unknown"}  # fmt: skip
    assert list(rights) == [probe.action for probe in WeDataClient.probes]
    assert sent["ListDataSources"]["ProjectId"] == PROJECT["ProjectId"]
    assert sent["DescribeDataSourceAuthority"] == {"Id": 65377}
    assert {sent[name]["CatalogName"] for name in ("ListDatabase", "ListSchema", "ListTable")} == {"lake"}
    assert sent["ListCodeFolderContents"]["ParentFolderPath"] == "/"
    assert sent["ListWorkflowPermissions"]["EntityId"] == "w1"
    assert max(body.get("PageSize", 0) for body in sent.values()) == 10


DMS: dict[str, dict[str, Any]] = {
    "GetUserActiveTenant": {"Tenant": {"Tid": 3001}},
    "ListUsers": {"UserList": {"User": [{"UserId": 51001, "Uid": 1968}]}, "TotalCount": 9},
    "GetUser": {"User": {"UserId": 51001}},
    "ListUserPermissions": {"UserPermissions": {"UserPermission": []}, "TotalCount": 0},
    "ListAuthorizedDatabasesForUser": {"Databases": []},
    "ListAuthorizedInstancesForUser": {"Instances": []},
    "ListUserOwnedResources": {"Data": {"resourceList": []}},
    "ListProxies": {"ProxyList": [{"ProxyId": 5}]},
    "ListProxyAccesses": {"ProxyAccessList": []},
    "ListAbacPolicies": {"PolicyList": [{"AbacPolicyId": 6}], "TotalCount": 1},
    "ListAbacAuthorizations": {"AuthorizationList": [], "TotalCount": 0},
    "ListInstances": {"InstanceList": {"Instance": [{"InstanceId": 17}]}, "TotalCount": 1},
    "ListInstanceUserPermissions": {"UserPermissions": {"UserPermission": []}, "TotalCount": 0},
    "ListDatabases": {"DatabaseList": {"Database": [{"DatabaseId": 88}]}, "TotalCount": 1},
    "ListLogicDatabases": {"LogicDatabaseList": {"LogicDatabase": []}, "TotalCount": 0},
    "ListDatabaseUserPermssions": {"UserPermissions": {"UserPermission": []}, "TotalCount": 0},
}
QUICKBI: dict[str, dict[str, Any]] = {
    "QueryWorksByOrganization": {"Result": {"Data": [{"WorksId": "portal-1", "OwnerId": "u1"}], "TotalNum": 1}},
    "ListPortalMenus": {"Result": "[]"},
    "ListPortalMenuAuthorization": {"Result": []},
    "ListWhitePortalMenu": {"Result": []},
    "QueryShareList": {"Result": []},
    "QueryUserList": {"Result": {"Data": [{"UserId": "u1", "AccountId": "1968"}], "TotalNum": 1}},
    "QueryUserInfoByAccount": {"Result": {"UserId": "u1"}},
    "QueryUserGroupListByParentId": {"Result": [{"UserGroupId": "g1"}]},
    "QueryUserGroupMember": {"Result": []},
    "QueryOrganizationWorkspaceList": {"Result": {"Data": [{"WorkspaceId": "w1"}], "TotalNum": 1}},
    "QueryWorkspaceUserList": {"Result": {"Data": [], "TotalNum": 0}},
    "ListUserGroupsByUserId": {"Result": []},
    "ListWorkspaceUserRolesByUserId": {"Result": []},
    "QuerySharesToUserList": {"Result": []},
    "CheckReadable": {"Result": True},
    "QueryDatasetList": {"Result": {"Data": [{"DatasetId": "c1"}], "TotalNum": 1}},
    "ListAuthConfigByResource": {"Result": []},
    "ListDataLevelPermissionWhiteList": {
        "Result": {"CubeId": "c1", "RuleType": "ROW_LEVEL", "UsersModel": {"UserGroups": [], "Users": []}}
    },
}


@pytest.mark.parametrize(("service", "answers", "writes"), [
    ("dms", DMS, ["RevokeUserPermission", "DisableUser", "DeleteProxyAccess", "DeleteAbacAuthorization"]),
    ("quickbi", QUICKBI, ["CancelAuthorizationMenu", "DeleteUserGroupMembers", "DeleteUserFromWorkspace",
                          "CancelReportShare", "DeleteAuthorizationByUserId", "AddDataLevelPermissionWhiteList"]),
])  # fmt: skip
def test_alibaba(
    client: Client, alibaba: Make, service: str, answers: dict[str, dict[str, Any]], writes: list[str]
) -> None:
    sent: dict[str, dict[str, str]] = {}

    def network(request: httpx.Request) -> httpx.Response:
        sent[action_of(request)] = dict(request.url.params)
        return alibaba(**answers[action_of(request)])

    rights = asyncio.run(allowed_actions(client(network, service)))
    assert rights == {**dict.fromkeys(answers, "allowed"), **dict.fromkeys(writes, "unknown")}
    assert set(sent) == set(answers)
    if service == "dms":
        assert sent["GetUser"]["UserId"] == "51001"
        assert sent["ListDatabaseUserPermssions"]["DbId"] == "88"
        assert (sent["ListUserOwnedResources"]["UserId"], sent["ListProxyAccesses"]["ProxyId"]) == ("51001", "5")
        assert sent["ListAbacAuthorizations"]["PolicyId"] == "6"
    else:
        assert sent["ListPortalMenus"]["DataPortalId"] == "portal-1"
        assert sent["QueryUserGroupMember"]["UserGroupId"] == "g1"


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ({"Error": {"Code": "UnauthorizedOperation.UserNotInProject"}}, "refused"),
        ({"Error": {"Code": "UnauthorizedOperation"}}, "refused"),
        ({"Error": {"Code": "ResourceNotFound"}}, "unknown"),
        ({"Error": {"Code": "InvalidParameter"}}, "unknown"),
        ({"Error": {"Code": "InternalError"}}, "unknown"),
        ({"Error": {"Code": "RequestLimitExceeded"}}, "unknown"),
        ({"Data": "garbled"}, "unknown"),
        ({"Data": {"Items": [], "TotalCount": 0}}, "allowed"),
    ],
)
def test_answers(client: Client, tencent: Make, answer: dict[str, Any], right: str) -> None:
    rights = asyncio.run(allowed_actions(client(lambda request: tencent(**answer)), [ListProjects()]))
    assert rights == {"ListProjects": right}


def test_what_hangs_on_a_refused_or_empty_listing_cannot_be_told(client: Client, tencent: Make) -> None:
    asked = []

    def network(request: httpx.Request) -> httpx.Response:
        asked.append(action_of(request))
        if asked[-1] == "ListCatalog":
            return tencent(Error={"Code": "UnauthorizedOperation"})
        return tencent(Data={"Items": [], "Details": [], "TotalCount": 0})

    rights = asyncio.run(allowed_actions(client(network)))
    assert sorted(asked) == ["ListCatalog", "ListPermissions", "ListProjects"]
    assert {action for action, right in rights.items() if right == "allowed"} == {"ListProjects", "ListPermissions"}
    assert {action for action, right in rights.items() if right == "refused"} == {"ListCatalog"}
    said = in_short(rights)
    assert said.startswith("2 of 21 needed actions seen to be allowed; refused: ListCatalog; cannot be told: ")
    assert "RevokePrivileges" in said


def test_a_write_is_never_sent(client: Client) -> None:
    write = RevokeDataSourceAuthorization(DataSourceId="65377", target=FromProject(project_id="29", whole_project=True))
    speaker = client(lambda request: pytest.fail("something was sent"))
    given = [write, Probe("Disguised", lambda _: write), Probe("Lost", lambda _: write, after="Nobody")]
    assert asyncio.run(allowed_actions(speaker, given)) == {
        "RevokeDataSourceAuthorization": "unknown",
        "Disguised": "unknown",
        "Lost": "unknown",
    }


def test_a_row_that_fits_no_request_cannot_be_told(client: Client, tencent: Make) -> None:
    answer = {"Items": [{"ProjectId": "not-a-number"}], "TotalCount": 1}
    rights = asyncio.run(allowed_actions(client(lambda request: tencent(Data=answer)), WeDataClient.probes[:2]))
    assert rights == {"ListProjects": "allowed", "ListProjectMembers": "unknown"}


@pytest.mark.parametrize("error", [LedgerError("the ledger is away"), ConfigurationError("no key")])
def test_our_own_errors_come_through_plain(client: Client, error: Exception) -> None:
    class Pacer:
        async def slot(self, bucket: Any, *, write: bool) -> None:
            raise error

    with pytest.raises(type(error)):
        asyncio.run(allowed_actions(client(lambda request: pytest.fail("sent"), pacer=Pacer()), [ListTenantRoles()]))


def test_all_allowed_is_short() -> None:
    assert in_short({"A": "allowed", "B": "allowed"}) == "2 of 2 needed actions seen to be allowed"
