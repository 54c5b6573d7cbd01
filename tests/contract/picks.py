"""One call for each read that the emulator serves: parameters picked from the emulator's world.

``READS`` maps (product, action) to a function of the world; :mod:`tests.contract.trips` has the writes.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emulator.world import World

Params = dict[str, Any]
Pick = Callable[["World"], Params]
READS: dict[tuple[str, str], Pick] = {}


def first(values: Any) -> Any:
    return next(iter(values))


def _nothing(world: World) -> Params:
    return {}


def _page(**more: Any) -> Pick:
    return lambda world: {"PageNumber": 1, "PageSize": 5, **more}


def _reads(product: str, **picks: Pick) -> None:
    READS.update({(product, action): pick for action, pick in picks.items()})


# --- WeData -------------------------------------------------------------------------------------------


def some_project(world: World) -> str:
    return str(first(world.projects))


def some_source(world: World) -> Any:
    return first(world.data_sources.sources.values())


def some_grant(world: World) -> Any:
    return next(row for row in world.privileges.rows() if row["resource_type"] == "Table")


def resource_of(row: Params) -> Params:
    return {"ResourceType": row["resource_type"], "ResourceUri": row["resource_uri"]}


_reads(
    "wedata",
    ListCatalog=_page(),
    ListDatabase=_page(),
    ListSchema=_page(),
    ListTable=_page(),
    GetTable=lambda world: {"TableGuid": first(world.table_details.values())["guid"]},
    ListPermissions=lambda world: {"Resource": resource_of(some_grant(world))},
    ListProjects=_page(),
    GetProject=lambda world: {"ProjectId": some_project(world)},
    ListProjectMembers=lambda world: {"ProjectId": some_project(world), "PageNumber": 1, "PageSize": 5},
    ListProjectRoles=lambda world: {"ProjectId": some_project(world)},
    ListTenantRoles=_nothing,
    ListDataSources=lambda world: {"ProjectId": some_source(world).project_id, "PageNumber": 1, "PageSize": 5},
    GetDataSource=lambda world: {"ProjectId": some_source(world).project_id, "Id": some_source(world).source_id},
    GetDataSourceRelatedTasks=lambda world: {"Id": some_source(world).source_id},
    DescribeDataSourceAuthority=lambda world: {"Id": some_source(world).source_id},
)


def some_node(world: World, tree: str = "code", kind: str = "folder") -> Any:
    """A node of Studio at the top, or the first of its kind."""
    return next(node for node in world.studio.values() if (node.tree, node.kind) == (tree, kind))


def _workflow_place(world: World) -> Params:
    node = some_node(world, "workflow")
    return {"ProjectId": node.project_id, "EntityId": node.node_id, "EntityType": "folder"}


_reads(
    "wedata",
    ListCodePermissions=lambda world: {
        "ProjectId": some_node(world).project_id,
        "Resource": {"ResourceType": "folder", "ResourceId": some_node(world).node_id},
        "PageNumber": 1,
        "PageSize": 20,
    },
    ListWorkflowPermissions=lambda world: {**_workflow_place(world), "PageNumber": 1, "PageSize": 10},
    ListCodeFolderContents=lambda world: {"ProjectId": some_node(world).project_id, "ParentFolderPath": "/"},
    ListWorkflowFolders=lambda world: {"ProjectId": some_project(world), "ParentFolderPath": "/"},
    ListWorkflows=lambda world: {"ProjectId": some_project(world), "PageNumber": 1, "PageSize": 10},
)

# --- token services -----------------------------------------------------------------------------------

_ALIBABA_ROLE = {"RoleArn": "acs:ram::1600000000000001:role/reviewer", "RoleSessionName": "night"}
_TENCENT_ROLE = {"RoleArn": "qcs::cam::uin/100000000001:roleName/reviewer", "RoleSessionName": "night"}
_reads(
    "tencent-sts",
    GetCallerIdentity=_nothing,
    AssumeRole=lambda world: {**_TENCENT_ROLE, "DurationSeconds": 3600},
    AssumeRoleWithWebIdentity=lambda world: {
        **_TENCENT_ROLE,
        "ProviderId": "demo",
        "WebIdentityToken": "token-of-the-demo",
    },
)
_reads(
    "alibaba-sts",
    GetCallerIdentity=_nothing,
    AssumeRole=lambda world: {**_ALIBABA_ROLE, "DurationSeconds": 3600},
    AssumeRoleWithOIDC=lambda world: {
        **_ALIBABA_ROLE,
        "OIDCProviderArn": "acs:ram::1600000000000001:oidc-provider/demo",
        "OIDCToken": "token-of-the-demo",
    },
)

# --- DMS ----------------------------------------------------------------------------------------------


def some_record(world: World, kind: str = "DATABASE") -> Any:
    return next(record for record in world.dms.records.values() if record.target.ds_type == kind)


def some_instance(world: World) -> Any:
    return first(instance for instance in world.dms.instances.values() if instance.mode == "COMMON")


def some_database(world: World, *, logic: bool = False) -> Any:
    wanted = some_instance(world).instance_id
    return first(d for d in world.dms.databases.values() if d.logic == logic and (logic or d.instance_id == wanted))


def some_proxy(world: World) -> Any:
    return first(world.dms.proxies.values())


def some_dms_user(world: World) -> Any:
    """A user who is nobody special."""
    return first(user for user in world.dms.users.values() if user.roles == ("USER",) and user.state == "NORMAL")


def _last_year(**more: Any) -> Pick:
    """A window of the audit logs, with the first page."""

    def pick(world: World) -> Params:
        first_day, form = world.clock.utc() - timedelta(days=365), "%Y-%m-%d %H:%M:%S"
        window = {"StartTime": first_day.strftime(form), "EndTime": world.today}
        return {**window, "PageNumber": 1, "PageSize": 30, **more}

    return pick


_reads(
    "dms",
    GetUserActiveTenant=_nothing,
    ListUserTenants=_nothing,
    ListUsers=lambda world: {"PageNumber": 1, "PageSize": 10},
    GetUser=lambda world: {"UserId": some_record(world).user_id},
    ListInstances=_page(),
    GetInstance=lambda world: {"Host": some_instance(world).host, "Port": some_instance(world).port},
    ListDatabases=lambda world: {"InstanceId": str(some_instance(world).instance_id), "PageNumber": 1, "PageSize": 5},
    GetDatabase=lambda world: {
        "Host": some_instance(world).host,
        "Port": some_instance(world).port,
        "SchemaName": some_database(world).schema,
    },
    ListLogicDatabases=_page(),
    GetLogicDatabase=lambda world: {"DbId": str(some_database(world, logic=True).db_id)},
    ListTables=lambda world: {"DatabaseId": str(some_database(world).db_id), "PageNumber": 1, "PageSize": 5},
    ListLogicTables=lambda world: {"DatabaseId": str(some_database(world, logic=True).db_id)},
    ListUserOwnedResources=lambda world: {"UserId": some_instance(world).owners[0], "OwnerType": "INSTANCE"},
    ListUserPermissions=lambda world: {"UserId": some_record(world).user_id, "PermType": "DATABASE", "Logic": False},
    ListDatabaseUserPermssions=lambda world: {"DbId": str(some_record(world).target.db_id), "PermType": "DATABASE"},
    ListInstanceUserPermissions=lambda world: {"InstanceId": str(some_record(world, "INSTANCE").target.instance_id)},
    ListAuthorizedInstancesForUser=lambda world: {"UserId": some_instance(world).owners[0], "PageSize": "10"},
    ListAuthorizedDatabasesForUser=lambda world: {"UserId": some_record(world).user_id, "PageNumber": "1"},
    ListAuthorizedUsersForInstance=lambda world: {"InstanceId": str(some_instance(world).instance_id)},
    ListAuthorizedUsersForDatabase=lambda world: {"DbId": str(some_database(world).db_id)},
    CheckBatchTableAccessPermission=lambda world: {
        "DbId": some_database(world).db_id,
        "PermissionType": "QUERY",
        "TableNameList": [table.name for table in some_database(world).tables],
    },
    ListStandardGroups=_nothing,
    ListProxies=_nothing,
    ListProxyAccesses=lambda world: {"ProxyId": some_proxy(world).proxy_id},
    GetProxyAccess=lambda world: {"ProxyAccessId": first(some_proxy(world).accesses)},
    ListAbacPolicies=_page(),
    GetAbacPolicy=lambda world: {"AbacPolicyId": world.dms.policies[0].policy_id},
    ListAbacAuthorizations=lambda world: {
        "PolicyId": str(world.dms.policies[-1].policy_id),
        "PolicySource": "USER_DEFINE",
    },
    ListAuthorityTemplate=_page(),
    GetAuthorityTemplate=lambda world: {"TemplateId": first(world.dms.templates)},
    ListSQLExecAuditLog=_last_year(),
    ListInstanceLoginAuditLog=_last_year(),
    GetOpLog=_last_year(Module="DATA_EXPORT"),
    GetAuthorityTemplateItem=lambda world: {"TemplateId": first(world.dms.templates)},
)

# --- Quick BI -----------------------------------------------------------------------------------------


def some_portal(world: World) -> Any:
    return first(world.quickbi.portals.values())


def some_share(world: World) -> Any:
    """A share of a work to a user that is in force."""
    now = world.clock.now() * 1000
    return next(s for s in world.quickbi.shares.values() if s.receiver.kind == 0 and s.expires > now)


def some_group(world: World) -> Any:
    return next(group for group in world.quickbi.groups.values() if group.members)


def some_space(world: World) -> Any:
    return first(world.quickbi.workspaces.values())


def some_dataset(world: World) -> Any:
    return first(world.quickbi.datasets.values())


def outsider_of(world: World, members: Any) -> str:
    return str(next(user for user in world.quickbi.users if user not in members))


_reads(
    "quickbi",
    QueryWorksByOrganization=lambda world: {"WorksType": "DATAPRODUCT", "PageNum": 1, "PageSize": 5},
    QueryWorksByWorkspace=lambda world: {"WorkspaceId": some_portal(world).workspace_id},
    QueryWorks=lambda world: {"WorksId": some_portal(world).portal_id},
    ListPortalMenus=lambda world: {"DataPortalId": some_portal(world).portal_id},
    ListPortalMenuAuthorization=lambda world: {"DataPortalId": some_portal(world).portal_id},
    ListWhitePortalMenu=lambda world: {"DataportalId": some_portal(world).portal_id},
    CheckReadable=lambda world: {"UserId": some_portal(world).owner, "WorksId": some_portal(world).portal_id},
    QueryReadableResourcesListByUserIdV2=lambda world: {"UserId": some_portal(world).owner, "WorkType": "DATAPRODUCT"},
    QueryShareList=lambda world: {"ReportId": some_share(world).works_id},
    QuerySharesToUserList=lambda world: {"UserId": some_share(world).receiver.id},
    ListAuthConfigByResource=lambda world: {
        "ResourceId": first(world.quickbi.authorizations).resource_id,
        "WorksType": "dashboard",
        "ShareToType": 0,
        "HasAuth": True,
    },
    QueryDatasetList=lambda world: {"WorkspaceId": some_dataset(world).workspace_id, "PageSize": 5},
    ListDataLevelPermissionWhiteList=lambda world: {"CubeId": some_dataset(world).dataset_id, "RuleType": "ROW_LEVEL"},
    ListCubeDataLevelPermissionConfig=lambda world: {
        "CubeId": some_dataset(world).dataset_id,
        "RuleType": "ROW_LEVEL",
    },
    QueryUserList=lambda world: {"PageNum": 1, "PageSize": 5},
    QueryUserInfoByUserId=lambda world: {"UserId": some_portal(world).owner},
    QueryUserInfoByAccount=lambda world: {"Account": world.quickbi.users[some_portal(world).owner].account_id},
    CheckOrganizationMember=lambda world: {"UserId": some_portal(world).owner},
    ListUserGroupsByUserId=lambda world: {"UserId": first(some_group(world).members)},
    QueryUserGroupMember=lambda world: {"UserGroupId": some_group(world).group_id},
    QueryUserGroupListByParentId=lambda world: {"ParentUserGroupId": "-1"},
    GetUserGroupInfo=lambda world: {"Keyword": some_group(world).name},
    ListByUserGroupId=lambda world: {"UserGroupIds": f"{some_group(world).group_id},no-such-group"},
    QueryOrganizationWorkspaceList=lambda world: {"PageNum": 1, "PageSize": 5},
    QueryWorkspaceUserList=lambda world: {"WorkspaceId": some_space(world).workspace_id},
    ListWorkspaceUserRolesByUserId=lambda world: {"UserId": first(some_space(world).members)},
    QueryUserRoleInfoInWorkspace=lambda world: {
        "WorkspaceId": some_space(world).workspace_id,
        "UserId": first(some_space(world).members),
    },
    ListWorkspaceRoles=lambda world: {"WorkspaceId": some_space(world).workspace_id},
    ListWorkspaceRoleUsers=lambda world: {"RoleId": 25, "WorkspaceId": some_space(world).workspace_id, "PageSize": 5},
    ListRecentViewReports=lambda world: {"UserId": world.usage.views[-1].user_id, "OffsetDay": 300},
    ListOrganizationRoles=_nothing,
    ListOrganizationRoleUsers=lambda world: {"RoleId": 111111111, "PageNum": 1, "PageSize": 5},
)
