"""One small read for every action that a review needs, by vendor; ``permission_probe`` sends them."""

from __future__ import annotations

from typing import Any

from rescind.cloud.base import Request
from rescind.cloud.connection.permission_probe import Probe
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
