"""Find out with harmless reads which actions the calling identity may use.

A missing right that is found during discovery costs minutes and leaves an incomplete snapshot. Therefore each client
class names one small read for every action that its permission systems need (:data:`WEDATA`, :data:`DMS`,
:data:`QUICKBI`), and :func:`allowed_actions` sends them: all in a connection test, and before a run those that its
systems need. An action that needs an id is tried with the first id that an earlier read returned. Without such an id,
and for every write, the result is ``unknown``. "Allowed" is true for the object that was tried: both vendors can allow
an action on one object and refuse it on another.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from rescind.cloud.base import Answer, Page, Request
from rescind.cloud.dms.inventory import (
    GetUser,
    GetUserActiveTenant,
    ListDatabases,
    ListInstances,
    ListLogicDatabases,
    ListUserOwnedResources,
    ListUsers,
)
from rescind.cloud.dms.permissions import (
    ListAuthorizedDatabasesForUser,
    ListAuthorizedInstancesForUser,
    ListDatabaseUserPermssions,
    ListInstanceUserPermissions,
    ListUserPermissions,
)
from rescind.cloud.dms.policies import ListAbacAuthorizations, ListAbacPolicies
from rescind.cloud.dms.proxies import ListProxies, ListProxyAccesses
from rescind.cloud.quickbi.authorizations import ListAuthConfigByResource
from rescind.cloud.quickbi.datasets import ListDataLevelPermissionWhiteList, QueryDatasetList
from rescind.cloud.quickbi.inventory import (
    ROOT_GROUP,
    ListUserGroupsByUserId,
    ListWorkspaceUserRolesByUserId,
    QueryOrganizationWorkspaceList,
    QueryUserGroupListByParentId,
    QueryUserGroupMember,
    QueryUserInfoByAccount,
    QueryUserList,
    QueryWorkspaceUserList,
)
from rescind.cloud.quickbi.menus import (
    ListPortalMenuAuthorization,
    ListPortalMenus,
    ListWhitePortalMenu,
    QueryWorksByOrganization,
)
from rescind.cloud.quickbi.shares import CheckReadable, QueryShareList, QuerySharesToUserList
from rescind.cloud.wedata.data_sources import DescribeDataSourceAuthority, ListDataSources
from rescind.cloud.wedata.inventory import (
    ListCatalog,
    ListDatabase,
    ListProjectMembers,
    ListProjectRoles,
    ListProjects,
    ListSchema,
    ListTable,
)
from rescind.cloud.wedata.privileges import ListPermissions, PrivilegeResource
from rescind.cloud.wedata.studio import (
    ListCodeFolderContents,
    ListWorkflowFolders,
    ListWorkflowPermissions,
    ListWorkflows,
    WorkflowFolder,
)
from rescind.errors import CloudError, ExpiredSignatureError, InputError, UnauthorizedError, first_of


class ProbeClient(Protocol):
    """The part of a vendor client that probing needs."""

    @property
    def probes(self) -> tuple[Probe, ...]:
        """What the client's permission systems need."""

    async def read(self, request: Any, /) -> Answer[Any]:
        """Send one read."""


Right = Literal["allowed", "refused", "unknown"]


@dataclass(frozen=True, slots=True)
class Probe:
    """A harmless read that tests one action.

    :param action: the vendor's action.
    :param read: returns the read, built from the first row of the probe ``after`` (None when ``after`` is empty).
        It returns None when that row lacks a needed field. Writes have no read.
    :param after: the action whose first row is needed.
    """

    action: str
    read: Callable[[Any], Request[Any] | None] | None = None
    after: str = ""


def _workflow_permissions(folder: WorkflowFolder) -> Request[Any]:
    where = {"ProjectId": folder.ProjectId, "EntityId": folder.FolderId, "EntityType": "folder"}
    return ListWorkflowPermissions.model_validate({**where, "PageNumber": 1, "PageSize": 10})


WEDATA = (
    Probe("ListProjects", lambda _: ListProjects(PageNumber=1, PageSize=10)),
    Probe(
        "ListProjectMembers",
        lambda project: ListProjectMembers(ProjectId=project.ProjectId, PageNumber=1, PageSize=10),
        after="ListProjects",
    ),
    Probe(
        "ListProjectRoles",
        lambda project: ListProjectRoles(ProjectId=project.ProjectId, PageNumber=1, PageSize=10),
        after="ListProjects",
    ),
    Probe(
        "ListDataSources",
        lambda project: ListDataSources(ProjectId=project.ProjectId, PageNumber=1, PageSize=10),
        after="ListProjects",
    ),
    Probe(
        "DescribeDataSourceAuthority",
        lambda source: DescribeDataSourceAuthority(Id=source.Id),
        after="ListDataSources",
    ),
    Probe(
        "ListPermissions",
        lambda _: ListPermissions(Resource=PrivilegeResource(ResourceType="Metalake", ResourceUri="default")),
    ),
    Probe("ListCatalog", lambda _: ListCatalog(PageNumber=1, PageSize=10)),
    Probe("ListDatabase", lambda c: ListDatabase(CatalogName=c.Name, PageNumber=1, PageSize=10), after="ListCatalog"),
    Probe("ListSchema", lambda c: ListSchema(CatalogName=c.Name, PageNumber=1, PageSize=10), after="ListCatalog"),
    Probe("ListTable", lambda c: ListTable(CatalogName=c.Name, PageNumber=1, PageSize=10), after="ListCatalog"),
    Probe(
        "ListCodeFolderContents",
        lambda project: ListCodeFolderContents(ProjectId=project.ProjectId, ParentFolderPath="/"),
        after="ListProjects",
    ),
    Probe("ListCodePermissions", lambda _: None, after="ListCodeFolderContents"),  # a row names no project
    Probe(
        "ListWorkflowFolders",
        lambda project: ListWorkflowFolders(
            ProjectId=project.ProjectId, ParentFolderPath="/", PageNumber=1, PageSize=10
        ),
        after="ListProjects",
    ),
    Probe(
        "ListWorkflows",
        lambda project: ListWorkflows(ProjectId=project.ProjectId, PageNumber=1, PageSize=10),
        after="ListProjects",
    ),
    Probe(
        "ListWorkflowPermissions",
        lambda folder: _workflow_permissions(folder) if folder.ProjectId else None,
        after="ListWorkflowFolders",
    ),
    Probe("RevokePrivileges"),
    Probe("RevokeDataSourceAuthorization"),
    Probe("RemoveMemberProjectRole"),
    Probe("DeleteProjectMember"),
    Probe("DeleteCodePermissions"),
    Probe("DeleteWorkflowPermissions"),
)
"""Tencent WeData: privileges, data sources, roles in projects, and permissions in Studio."""

DMS = (
    Probe("GetUserActiveTenant", lambda _: GetUserActiveTenant()),
    Probe("ListUsers", lambda _: ListUsers(PageNumber=1, PageSize=10)),
    Probe("GetUser", lambda user: GetUser(UserId=user.UserId), after="ListUsers"),
    Probe(
        "ListUserPermissions",
        lambda user: ListUserPermissions(
            UserId=user.UserId, PermType="DATABASE", Logic=False, PageNumber=1, PageSize=10
        ),
        after="ListUsers",
    ),
    Probe(
        "ListAuthorizedDatabasesForUser",
        lambda user: ListAuthorizedDatabasesForUser(UserId=user.UserId, Logic=False, PageNumber="1", PageSize="10"),
        after="ListUsers",
    ),
    Probe(
        "ListAuthorizedInstancesForUser",
        lambda user: ListAuthorizedInstancesForUser(UserId=user.UserId, PageNumber="1", PageSize="10"),
        after="ListUsers",
    ),
    Probe(
        "ListUserOwnedResources",
        lambda user: ListUserOwnedResources(UserId=user.UserId, OwnerType="INSTANCE", PageNumber=1, PageSize=10),
        after="ListUsers",
    ),
    Probe("ListProxies", lambda _: ListProxies()),
    Probe("ListProxyAccesses", lambda proxy: ListProxyAccesses(ProxyId=proxy.ProxyId), after="ListProxies"),
    Probe("ListAbacPolicies", lambda _: ListAbacPolicies(PageNumber=1, PageSize=10)),
    Probe(
        "ListAbacAuthorizations",
        lambda policy: ListAbacAuthorizations(PolicyId=policy.AbacPolicyId, PageNumber=1, PageSize=10),
        after="ListAbacPolicies",
    ),
    Probe("ListInstances", lambda _: ListInstances(PageNumber=1, PageSize=10)),
    Probe(
        "ListInstanceUserPermissions",
        lambda instance: ListInstanceUserPermissions(InstanceId=instance.InstanceId, PageNumber=1, PageSize=10),
        after="ListInstances",
    ),
    Probe(
        "ListDatabases",
        lambda instance: ListDatabases(InstanceId=instance.InstanceId, PageNumber=1, PageSize=10),
        after="ListInstances",
    ),
    Probe("ListLogicDatabases", lambda _: ListLogicDatabases(PageNumber=1, PageSize=10)),
    Probe(
        "ListDatabaseUserPermssions",
        lambda database: ListDatabaseUserPermssions(
            DbId=database.DatabaseId, PermType="DATABASE", Logic=False, PageNumber=1, PageSize=10
        ),
        after="ListDatabases",
    ),
    Probe("RevokeUserPermission"),
    Probe("DisableUser"),
    Probe("DeleteProxyAccess"),
    Probe("DeleteAbacAuthorization"),
)
"""Alibaba DMS: permission records with the ways in beside them, accounts, accounts of proxies, and policies."""

QUICKBI = (
    Probe(
        "QueryWorksByOrganization",
        lambda _: QueryWorksByOrganization(WorksType="DATAPRODUCT", PageNum=1, PageSize=1),
    ),
    Probe(
        "ListPortalMenus",
        lambda portal: ListPortalMenus(DataPortalId=portal.WorksId),
        after="QueryWorksByOrganization",
    ),
    Probe(
        "ListPortalMenuAuthorization",
        lambda portal: ListPortalMenuAuthorization(DataPortalId=portal.WorksId),
        after="QueryWorksByOrganization",
    ),
    Probe(
        "ListWhitePortalMenu",
        lambda portal: ListWhitePortalMenu(DataportalId=portal.WorksId),
        after="QueryWorksByOrganization",
    ),
    Probe(
        "QueryShareList",
        lambda portal: QueryShareList(ReportId=portal.WorksId),
        after="QueryWorksByOrganization",
    ),
    Probe("QueryUserList", lambda _: QueryUserList(PageNum=1, PageSize=1)),
    Probe(
        "QueryUserInfoByAccount",
        lambda user: QueryUserInfoByAccount(Account=user.AccountId) if user.AccountId else None,
        after="QueryUserList",
    ),
    Probe("QueryUserGroupListByParentId", lambda _: QueryUserGroupListByParentId(ParentUserGroupId=ROOT_GROUP)),
    Probe(
        "QueryUserGroupMember",
        lambda group: QueryUserGroupMember(UserGroupId=group.UserGroupId),
        after="QueryUserGroupListByParentId",
    ),
    Probe("QueryOrganizationWorkspaceList", lambda _: QueryOrganizationWorkspaceList(PageNum=1, PageSize=1)),
    Probe(
        "QueryWorkspaceUserList",
        lambda space: QueryWorkspaceUserList(WorkspaceId=space.WorkspaceId, PageNum=1, PageSize=1),
        after="QueryOrganizationWorkspaceList",
    ),
    Probe(
        "ListUserGroupsByUserId",
        lambda user: ListUserGroupsByUserId(UserId=user.UserId),
        after="QueryUserList",
    ),
    Probe(
        "ListWorkspaceUserRolesByUserId",
        lambda user: ListWorkspaceUserRolesByUserId(UserId=user.UserId),
        after="QueryUserList",
    ),
    Probe(
        "QuerySharesToUserList",
        lambda user: QuerySharesToUserList(UserId=user.UserId),
        after="QueryUserList",
    ),
    Probe(
        "CheckReadable",
        lambda portal: CheckReadable(UserId=portal.OwnerId, WorksId=portal.WorksId) if portal.OwnerId else None,
        after="QueryWorksByOrganization",
    ),
    Probe(
        "QueryDatasetList",
        lambda space: QueryDatasetList(WorkspaceId=space.WorkspaceId, PageNum=1, PageSize=1),
        after="QueryOrganizationWorkspaceList",
    ),
    Probe(
        "ListAuthConfigByResource",
        lambda dataset: ListAuthConfigByResource(ResourceId=dataset.DatasetId, WorksType="cube", ShareToType="0"),
        after="QueryDatasetList",
    ),
    Probe(
        "ListDataLevelPermissionWhiteList",
        lambda dataset: ListDataLevelPermissionWhiteList(CubeId=dataset.DatasetId, RuleType="ROW_LEVEL"),
        after="QueryDatasetList",
    ),
    Probe("CancelAuthorizationMenu"),
    Probe("DeleteUserGroupMembers"),
    Probe("DeleteUserFromWorkspace"),
    Probe("CancelReportShare"),
    Probe("DeleteAuthorizationByUserId"),
    Probe("AddDataLevelPermissionWhiteList"),
)
"""Alibaba Quick BI: menus, members of groups and workspaces, shares and authorizations of works, white lists."""


async def allowed_actions(
    client: ProbeClient, requests: Iterable[Request[Any] | Probe] | None = None
) -> dict[str, Right]:
    """Which actions the client's identity may call. Reads are paced and retried as always; no write is sent.

    :param requests: what to try, as ready requests or as probes; None for all that the client's systems need
        (:attr:`~rescind.cloud.client.CloudClient.probes`). A probe's ``after`` must stand before it; where it is left
        out, the probe's result is ``unknown``.
    :return: by action, in the order given: ``allowed`` (the vendor answered), ``refused`` (the vendor says that the
        identity may not), or ``unknown`` (a write, nothing to try it on, or any other answer).
    :raises LedgerError: from the pacer. So with :class:`RunStoppedError`.
    :raises ConfigurationError: when there is no key.
    :raises ExpiredSignatureError: when key or clock are not accepted any more.
    """
    probes = [_as_probe(each) for each in (client.probes if requests is None else requests)]
    tasks: dict[str, asyncio.Task[tuple[Right, Any]]] = {}
    try:
        async with asyncio.TaskGroup() as group:
            for probe in probes:
                tasks[probe.action] = group.create_task(_try(client, probe, tasks.get(probe.after)))
    except BaseExceptionGroup as errors:
        raise first_of(errors) from errors
    return {action: task.result()[0] for action, task in tasks.items()}


def _as_probe(given: Request[Any] | Probe) -> Probe:
    if isinstance(given, Probe):
        return given
    return Probe(given.action, None if given.write else lambda _: given)


async def _try(client: ProbeClient, probe: Probe, before: asyncio.Task[tuple[Right, Any]] | None) -> tuple[Right, Any]:
    """The right, and the first row of what was seen."""
    row = (await before)[1] if before else None
    if probe.read is None or (probe.after and row is None):
        return "unknown", None
    try:
        request: Any = probe.read(row)
        if request is None or request.write:
            return "unknown", None
        seen = (await client.read(request)).value
    except ExpiredSignatureError:
        raise  # the key has ended: that says nothing about its rights
    except UnauthorizedError:
        return "refused", None
    except (CloudError, InputError):  # InputError: an id of the row has a shape that no request takes
        return "unknown", None
    rows = seen.rows() if isinstance(seen, Page) else None
    return "allowed", rows[0] if rows else None


def in_short(rights: Mapping[str, Right]) -> str:
    """The rights in one sentence for people.

    For example ``7 of 11 needed actions seen to be allowed; refused: ListCatalog; cannot be told: ListTable, ...``.
    """
    named = {kind: [action for action, right in rights.items() if right == kind] for kind in ("refused", "unknown")}
    allowed = sum(right == "allowed" for right in rights.values())
    parts = [f"{allowed} of {len(rights)} needed actions seen to be allowed"]
    if named["refused"]:
        parts.append(f"refused: {', '.join(named['refused'])}")
    if named["unknown"]:
        parts.append(f"cannot be told: {', '.join(named['unknown'])}")
    return "; ".join(parts)
