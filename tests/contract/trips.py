"""A round trip for each write: through the vendor's library, and read back through it.

``TRIPS`` maps a name to the trip and the actions that it makes. Together with the reads of
:mod:`tests.contract.picks` they hold every action that the emulator serves.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.contract.picks import (
    READS,
    Params,
    first,
    outsider_of,
    resource_of,
    some_database,
    some_dataset,
    some_dms_user,
    some_grant,
    some_group,
    some_instance,
    some_node,
    some_portal,
    some_project,
    some_proxy,
    some_source,
    some_space,
)

if TYPE_CHECKING:
    from emulator.world import World
    from tests.contract.libraries import Library

Trip = Callable[["Library", "World"], None]


@dataclass(frozen=True)
class RoundTrip:
    """A round trip and the actions that it makes, reads included."""

    product: str
    actions: tuple[str, ...]
    trip: Trip


TRIPS: dict[str, RoundTrip] = {}


def _trip(product: str, *actions: str) -> Callable[[Trip], Trip]:
    def register(trip: Trip) -> Trip:
        TRIPS[trip.__name__] = RoundTrip(product, actions, trip)
        return trip

    return register


def library_actions() -> set[tuple[str, str]]:
    """Every (product, action) that a library performs against the emulator."""
    return set(READS) | {(made.product, action) for made in TRIPS.values() for action in made.actions}


def _holds(library: Library, resource: Params, subject: str, name: str) -> bool:
    rows = library.call("ListPermissions", Resource=resource)["Data"]["Details"]
    return any(
        any(s["SubjectType"] == "User" and s["SubjectValue"] == subject for s in row["SubjectDetails"])
        and any(p["Name"] == name and not p["Inherited"] for p in row["PermissionDetails"])
        for row in rows
    )


@_trip("wedata", "AuthorizePrivileges", "RevokePrivileges", "ListPermissions")
def wedata_privileges(library: Library, world: World) -> None:
    resource, user, name = resource_of(some_grant(world)), "700099990001", "MODIFY_TABLE"
    batch = {
        "Resources": [resource],
        "Subjects": [{"SubjectType": "User", "SubjectValues": [user]}],
        "Privileges": [{"Name": name}],
    }
    assert not _holds(library, resource, user, name)
    for action, expected in (("AuthorizePrivileges", True), ("RevokePrivileges", False)):
        data = library.call(action, **batch)["Data"]
        assert data["OverallSuccess"] is True
        assert [result["Result"] for result in data["Results"]] == [True]
        assert _holds(library, resource, user, name) is expected


@_trip("wedata", "AuthorizeDataSource", "RevokeDataSourceAuthorization", "DescribeDataSourceAuthority")
def wedata_data_sources(library: Library, world: World) -> None:
    source = some_source(world)
    number, text = source.source_id, str(source.source_id)
    before = library.call("DescribeDataSourceAuthority", Id=number)["Data"]
    project = next(ident for ident in world.projects if ident not in (before["AuthProjectIds"] or []))
    pair = f"{project}_700099990001"

    def listed() -> tuple[bool, bool]:
        data = library.call("DescribeDataSourceAuthority", Id=number)["Data"]
        return project in (data["AuthProjectIds"] or []), pair in (data["AuthUsers"] or [])

    for given, taken, expected in (
        ({"AuthProjectId": project}, {"RevokeProjectId": project}, (True, False)),
        ({"AuthUsers": [pair]}, {"RevokeUser": pair}, (False, True)),
    ):
        assert library.call("AuthorizeDataSource", DataSourceId=text, **given)["Data"]["Status"] is True
        assert listed() == expected
        assert library.call("RevokeDataSourceAuthorization", DataSourceId=text, **taken)["Data"]["Status"] is True
        assert listed() == (False, False)
    assert library.call("DescribeDataSourceAuthority", Id=number)["Data"] == before


@_trip(
    "wedata",
    "CreateProjectMember",
    "GrantMemberProjectRole",
    "RemoveMemberProjectRole",
    "DeleteProjectMember",
    "ListProjectMembers",
    "ListProjectRoles",
)
def wedata_members(library: Library, world: World) -> None:
    project, uin = some_project(world), "100099990001"
    roles = [item["RoleId"] for item in library.call("ListProjectRoles", ProjectId=project)["Data"]["Items"]]

    def held() -> list[str] | None:
        page = library.call("ListProjectMembers", ProjectId=project, PageNumber=1, PageSize=100)["Data"]
        found = [item["Roles"] for item in page["Items"] if item["UserUin"] == uin]
        return sorted(role["RoleId"] for role in found[0]) if found else None

    assert held() is None
    library.call("CreateProjectMember", ProjectId=project, UserUins=[uin], RoleIds=[roles[0]])
    library.call("GrantMemberProjectRole", ProjectId=project, UserUin=uin, RoleIds=[roles[1]])
    assert held() == sorted(roles[:2])
    library.call("RemoveMemberProjectRole", ProjectId=project, UserUin=uin, RoleIds=[roles[0]])
    assert held() == [roles[1]]
    library.call("DeleteProjectMember", ProjectId=project, UserUins=[uin])
    assert held() is None


@_trip("wedata", "CreateCodePermissions", "DeleteCodePermissions", "ListCodePermissions")
def wedata_code(library: Library, world: World) -> None:
    node, user = some_node(world), "700099990001"
    place, resource = {"ProjectId": node.project_id}, {"ResourceType": "folder", "ResourceId": node.node_id}

    def held() -> list[str]:
        page = library.call("ListCodePermissions", Resource=resource, PageNumber=1, PageSize=100, **place)["Data"]
        return [name for row in page["Rows"] if row["RoleId"] == user for name in row["Privileges"]]

    subject = {"SubjectType": "user", "SubjectValues": [user], "Privileges": ["CAN_VIEW", "CAN_RUN"]}
    given = [{"Resource": resource, "AuthorizeSubjects": [subject]}]
    (result,) = library.call("CreateCodePermissions", AuthorizePermissionObjects=given, **place)["Data"]
    assert (result["Item"], result["Result"]) == (node.node_id, True)
    assert held() == ["CAN_VIEW", "CAN_RUN"]
    taken = [{"Resource": resource, "RecycleSubjects": [subject]}]
    assert library.call("DeleteCodePermissions", RecyclePolicySet=taken, **place)["Data"] == []
    assert held() == []


@_trip("wedata", "CreateWorkflowPermissions", "DeleteWorkflowPermissions", "ListWorkflowPermissions")
def wedata_workflows(library: Library, world: World) -> None:
    node, user = some_node(world, "workflow", "workflow"), "700099990001"
    place = {"ProjectId": node.project_id, "EntityId": node.node_id, "EntityType": "workflow"}
    target = {"PermissionTargetType": "user", "PermissionTargetId": user, "PermissionTypeList": ["CAN_MANAGE"]}

    def held() -> bool:
        page = library.call("ListWorkflowPermissions", PageNumber=1, PageSize=100, **place)["Data"]
        return target in page["Items"]

    assert library.call("CreateWorkflowPermissions", PermissionList=[target], **place)["Data"]["Status"] is True
    assert held()
    assert library.call("DeleteWorkflowPermissions", DeletePermissionList=[target], **place)["Data"]["Status"] is True
    assert not held()


def _dms_objects(world: World) -> list[tuple[str, Params, Params, str]]:
    """Of each kind: PermType of its list, fields of the object, filter, privilege."""
    instance, physical, logical = some_instance(world), some_database(world), some_database(world, logic=True)
    made: list[tuple[str, Params, Params, str]] = [
        ("INSTANCE", {"DsType": "INSTANCE", "InstanceId": instance.instance_id}, {}, "LOGIN")
    ]
    for database, logic in ((physical, False), (logical, True)):
        prefix = "LOGIC_" if logic else ""
        place = {"DbId": str(database.db_id), "Logic": logic}
        table = {"TableId": str(database.tables[0].table_id), "TableName": database.tables[0].name}
        made.append(("DATABASE", {"DsType": f"{prefix}DATABASE", **place}, {"Logic": logic}, "EXPORT"))
        made.append(("TABLE", {"DsType": f"{prefix}TABLE", **place, **table}, {"Logic": logic}, "CORRECT"))
    return made


@_trip("dms", "GrantUserPermission", "RevokeUserPermission", "ListUserPermissions")
def dms_permissions(library: Library, world: World) -> None:
    user, tid = some_dms_user(world).user_id, world.dms.tenant_id
    for kind, place, narrow, privilege in _dms_objects(world):

        def ids(kind: str = kind, narrow: Params = narrow) -> set[tuple[str, str]]:
            page = library.call("ListUserPermissions", UserId=user, PermType=kind, PageSize=100, Tid=tid, **narrow)
            assert page["Success"] is True
            return {
                (record["UserAccessId"], record["PermType"])
                for row in page["UserPermissions"]["UserPermission"]
                for record in row["PermDetails"]["PermDetail"]
            }

        before = ids()
        common = {"UserId": user, "PermTypes": privilege, "Tid": tid, **place}
        assert library.call("GrantUserPermission", ExpireDate="2099-12-31 00:00:00", **common)["Success"] is True
        ((access_id, listed_as),) = ids() - before
        assert listed_as == privilege
        assert library.call("RevokeUserPermission", UserAccessId=access_id, **common)["Success"] is True
        assert ids() == before


@_trip("dms", "GrantTemplateAuthority", "RevokeTemplateAuthority", "ListUserPermissions")
def dms_templates(library: Library, world: World) -> None:
    user, template = some_dms_user(world).user_id, first(world.dms.templates)

    def count() -> int:
        pages = [
            library.call("ListUserPermissions", UserId=user, PermType=kind, PageSize=100)["UserPermissions"]
            for kind in ("DATABASE", "TABLE")
        ]
        return sum(len(row["PermDetails"]["PermDetail"]) for page in pages for row in page["UserPermission"])

    before = count()
    common = {"TemplateId": template, "UserIds": user}
    assert library.call("GrantTemplateAuthority", ExpireDate="2099-12-31 00:00:00", **common)["Result"] is True
    assert count() > before
    assert library.call("RevokeTemplateAuthority", **common)["Result"] is True
    assert count() == before


@_trip("dms", "DisableUser", "EnableUser", "DeleteUser", "GetUser", "ListUserPermissions")
def dms_users(library: Library, world: World) -> None:
    holder = world.dms.users[next(iter(world.dms.records.values())).user_id]
    for action, state in (("DisableUser", "DISABLE"), ("EnableUser", "NORMAL"), ("DeleteUser", "DELETE")):
        assert library.call(action, Uid=holder.uid)["Success"] is True
        assert library.call("GetUser", UserId=holder.user_id)["User"]["State"] == state
        for kind in ("INSTANCE", "DATABASE", "TABLE"):  # enabling again brings nothing back
            assert library.call("ListUserPermissions", UserId=holder.user_id, PermType=kind)["TotalCount"] == 0


@_trip("dms", "SetOwners", "UpdateUser", "GetUser", "ListUserOwnedResources")
def dms_owners_and_roles(library: Library, world: World) -> None:
    user, table = some_dms_user(world), some_database(world).tables[0]
    others = ",".join(table.owners)
    for owners, expected in ((f"{others},{user.user_id}", True), (others, False)):
        done = library.call("SetOwners", OwnerIds=owners, OwnerType="TABLE", ResourceId=str(table.table_id))
        assert done["Success"] is True
        owned = library.call("ListUserOwnedResources", UserId=user.user_id, OwnerType="TABLE", PageSize=100)
        assert (str(table.table_id) in {row["TableId"] for row in owned["Data"]["resourceList"]}) is expected
    for roles in (["USER", "DBA"], ["USER"]):
        assert library.call("UpdateUser", Uid=int(user.uid), RoleNames=",".join(roles))["Success"] is True
        assert library.call("GetUser", UserId=user.user_id)["User"]["RoleNameList"]["RoleNames"] == roles


@_trip("dms", "CreateProxyAccess", "DeleteProxyAccess", "ListProxyAccesses")
def dms_proxies(library: Library, world: World) -> None:
    user, proxy = some_dms_user(world).user_id, some_proxy(world).proxy_id

    def listed() -> set[tuple[int, int]]:
        rows = library.call("ListProxyAccesses", ProxyId=proxy)["ProxyAccessList"]
        return {(row["ProxyAccessId"], row["UserId"]) for row in rows}

    before = listed()
    made = library.call("CreateProxyAccess", ProxyId=proxy, UserId=int(user))["ProxyAccessId"]
    assert listed() == before | {(made, int(user))}
    assert library.call("DeleteProxyAccess", ProxyAccessId=made)["Success"] is True
    assert listed() == before


@_trip("dms", "CreateAbacAuthorization", "DeleteAbacAuthorization", "ListAbacAuthorizations")
def dms_policies(library: Library, world: World) -> None:
    policy, role = world.dms.policies[0].policy_id, first(world.dms.custom_roles.values())

    def listed() -> dict[tuple[str, int], int]:
        rows = library.call("ListAbacAuthorizations", PolicyId=str(policy))["AuthorizationList"]
        return {(row["IdentityType"], row["IdentityId"]): row["AuthorizationId"] for row in rows}

    before = listed()
    users = {ident for kind, ident in before if kind == "USER"}
    user = next(int(ident) for ident in world.dms.users if int(ident) not in users)
    library.call("CreateAbacAuthorization", PolicyId=policy, IdentityType="USER", UserId=user)
    library.call("CreateAbacAuthorization", PolicyId=policy, IdentityType="ROLE", RoleId=role)
    added = {pair: number for pair, number in listed().items() if pair not in before}
    assert set(added) == {("USER", user), ("ROLE", role)}
    for (kind, _), number in added.items():
        library.call("DeleteAbacAuthorization", AuthorizationId=number, IdentityType=kind)
    assert listed() == before


@_trip("quickbi", "AddWorksAuthorization", "DeleteAuthorizationByUserId", "ListAuthConfigByResource")
def quickbi_authorizations(library: Library, world: World) -> None:
    work = first(world.quickbi.works)
    reached = {user for space in world.quickbi.workspaces.values() for user in space.members}
    user = outsider_of(world, reached | {one for group in world.quickbi.groups.values() for one in group.members})
    place = {"ResourceId": work, "ResourceType": "dashboard"}

    def listed() -> dict[str, list[str]]:
        asked = {"ResourceId": work, "WorksType": "dashboard", "ShareToType": 0, "HasAuth": True}
        rows = library.call("ListAuthConfigByResource", **asked)["Result"]
        return {row["AuthorizedId"]: row["Authorities"] for row in rows}

    before = listed()
    for points, rights in ((1, ["READ"]), (3, ["READ", "EXPORT"]), (11, ["READ", "EXPORT", "EDITE"])):
        given = {"AuthPoints": points, "AuthorizeScope": 0, "AuthorizedId": user, "ExpireDay": "2099-01-01"}
        assert library.call("AddWorksAuthorization", **place, **given)["Result"]
        assert listed() == {**before, user: rights}
    assert library.call("DeleteAuthorizationByUserId", QbiUserId=user, **place)["Result"] is True
    assert listed() == before


@_trip(
    "quickbi", "AddDataLevelPermissionWhiteList", "SetDataLevelPermissionWhiteList", "ListDataLevelPermissionWhiteList"
)
def quickbi_white_lists(library: Library, world: World) -> None:
    dataset, group = some_dataset(world).dataset_id, some_group(world).group_id
    user = outsider_of(world, [one.id for one in some_dataset(world).levels["ROW_LEVEL"].white])

    def listed() -> Params:
        row = library.call("ListDataLevelPermissionWhiteList", CubeId=dataset, RuleType="ROW_LEVEL")["Result"]
        assert (row["CubeId"], row["RuleType"]) == (dataset, "ROW_LEVEL")
        return dict(row["UsersModel"])

    before = listed()
    for target, name, ident in (("1", "Users", user), ("2", "UserGroups", group)):
        for how, expected in (("ADD", True), ("DELETE", False)):
            given = {"CubeId": dataset, "RuleType": "ROW_LEVEL", "OperateType": how, "TargetType": target}
            assert library.call("AddDataLevelPermissionWhiteList", TargetIds=ident, **given)["Result"] is True
            assert (ident in listed()[name]) is expected
    model = {"ruleType": "ROW_LEVEL", "cubeId": dataset, "usersModel": {"userGroups": [], "users": [user]}}
    assert library.call("SetDataLevelPermissionWhiteList", WhiteListModel=json.dumps(model))["Result"] is True
    assert listed() == {"Users": [user], "UserGroups": []} != before


@_trip(
    "quickbi",
    "AddDataLevelPermissionRuleUsers",
    "DeleteDataLevelPermissionRuleUsers",
    "DeleteDataLevelRuleConfig",
    "UpdateDataLevelPermissionStatus",
    "ListCubeDataLevelPermissionConfig",
)
def quickbi_rules(library: Library, world: World) -> None:
    dataset, user = some_dataset(world).dataset_id, first(world.quickbi.users)

    def config() -> Params:
        text = library.call("ListCubeDataLevelPermissionConfig", CubeId=dataset, RuleType="ROW_LEVEL")["Result"]
        return dict(json.loads(text))

    (rule,) = config()["ruleModels"]
    place, aimed = {"cubeId": dataset, "ruleId": rule["ruleId"]}, {"users": [user], "userGroups": []}
    added = json.dumps({**place, "addModel": aimed})
    assert library.call("AddDataLevelPermissionRuleUsers", AddUserModel=added)["Result"] is True
    assert config()["ruleModels"][0]["ruleUsersModel"] == {**rule["ruleUsersModel"], "users": [user]}
    removed = json.dumps({**place, "delModel": aimed})
    assert library.call("DeleteDataLevelPermissionRuleUsers", DeleteUserModel=removed)["Result"] is True
    assert config()["ruleModels"] == [rule]
    for state in (0, 1):
        given = {"CubeId": dataset, "RuleType": "ROW_LEVEL", "IsOpen": state}
        assert library.call("UpdateDataLevelPermissionStatus", **given)["Result"] is True
        assert config()["isOpen"] == state
    assert library.call("DeleteDataLevelRuleConfig", CubeId=dataset, RuleId=rule["ruleId"])["Result"] is True
    assert config()["ruleModels"] == []


@_trip("quickbi", "AddShareReport", "CancelReportShare", "QueryShareList")
def quickbi_shares(library: Library, world: World) -> None:
    portal, end = some_portal(world).portal_id, int(world.clock.now() + 86_400) * 1000
    group = some_group(world).group_id

    def listed() -> set[tuple[int, str, int, int]]:
        rows = library.call("QueryShareList", ReportId=portal)["Result"]
        return {(row["ShareToType"], row["ShareToId"], row["AuthPoint"], row["ExpireDate"]) for row in rows}

    before = listed()
    common = {"WorksId": portal, "AuthPoint": 3, "ShareToType": 1, "ShareToId": group}
    assert library.call("AddShareReport", ExpireDate=end, **common)["Result"] is True
    assert listed() == before | {(1, group, 3, end)}
    assert library.call("CancelReportShare", ReportId=portal, ShareToType=1, ShareToIds=group)["Result"] is True
    assert listed() == before


@_trip("quickbi", "AuthorizeMenu", "CancelAuthorizationMenu", "ListPortalMenuAuthorization")
def quickbi_menus(library: Library, world: World) -> None:
    portal = some_portal(world)
    menus = [menu.menu_id for menu in portal.leaves()][:2]
    users, groups = [], []
    for kind, ids, found in ((0, world.quickbi.users, users), (1, world.quickbi.groups, groups)):
        taken = {receiver.id for menu in menus for receiver in portal.menus[menu].receivers if receiver.kind == kind}
        found.append(next(i for i in ids if i not in taken))

    def listed() -> dict[str, set[tuple[int, str, int]]]:
        rows = library.call("ListPortalMenuAuthorization", DataPortalId=portal.portal_id)["Result"]
        return {
            row["MenuId"]: {(r["ReceiverType"], r["ReceiverId"], r["AuthPointsValue"]) for r in row["Receivers"]}
            for row in rows
        }

    before = listed()
    batch = {"DataPortalId": portal.portal_id, "MenuIds": ",".join(menus)}
    batch |= {"UserIds": ",".join(users), "UserGroupIds": ",".join(groups)}
    assert library.call("AuthorizeMenu", AuthPointsValue=1, **batch)["Result"] == 2
    added = {(0, users[0], 1), (1, groups[0], 1)}
    assert listed() == {menu: found | (added if menu in menus else set()) for menu, found in before.items()}
    assert library.call("CancelAuthorizationMenu", **batch)["Result"] == 2
    assert listed() == before


@_trip("quickbi", "ChangeVisibilityModel", "ListPortalMenuAuthorization")
def quickbi_visibility(library: Library, world: World) -> None:
    portal = some_portal(world)
    menu = first(menu for menu in portal.leaves() if menu.show_only_with_access)
    for only in (False, True):
        common = {"DataPortalId": portal.portal_id, "MenuIds": menu.menu_id}
        assert library.call("ChangeVisibilityModel", ShowOnlyWithAccess=only, **common)["Result"] == 1
        rows = library.call("ListPortalMenuAuthorization", DataPortalId=portal.portal_id)["Result"]
        assert [row["ShowOnlyWithAccess"] for row in rows if row["MenuId"] == menu.menu_id] == [only]


@_trip(
    "quickbi",
    "AddUserGroupMember",
    "AddUserGroupMembers",
    "DeleteUserGroupMember",
    "DeleteUserGroupMembers",
    "WithdrawAllUserGroups",
    "DeleteUserGroup",
    "ListUserGroupsByUserId",
)
def quickbi_groups(library: Library, world: World) -> None:
    group = some_group(world)
    user = outsider_of(world, {member for other in world.quickbi.groups.values() for member in other.members})

    def held() -> list[str]:
        return [row["UsergroupId"] for row in library.call("ListUserGroupsByUserId", UserId=user)["Result"]]

    one, several = {"UserGroupId": group.group_id}, {"UserGroupIds": group.group_id}
    assert held() == []
    for add, remove in (
        (("AddUserGroupMember", {**one, "UserIdList": user}), ("DeleteUserGroupMember", {**one, "UserId": user})),
        (("AddUserGroupMembers", {**several, "UserId": user}), ("DeleteUserGroupMembers", {**several, "UserId": user})),
        (("AddUserGroupMembers", {**several, "UserId": user}), ("WithdrawAllUserGroups", {"UserId": user})),
    ):
        assert library.call(add[0], **add[1])["Result"] is True
        assert held() == [group.group_id]
        assert library.call(remove[0], **remove[1])["Result"] is True
        assert held() == []
    leaf = next(
        g for g in world.quickbi.groups.values() if g.group_id not in {o.parent for o in world.quickbi.groups.values()}
    )
    assert library.call("DeleteUserGroup", UserGroupId=leaf.group_id)["Result"] is True
    assert leaf.group_id not in world.quickbi.groups


@_trip(
    "quickbi",
    "AddUserToWorkspace",
    "AddWorkspaceUsers",
    "UpdateWorkspaceUserRole",
    "DeleteUserFromWorkspace",
    "QueryWorkspaceUserList",
)
def quickbi_workspaces(library: Library, world: World) -> None:
    space = some_space(world)
    user, place = outsider_of(world, space.members), {"WorkspaceId": space.workspace_id}

    def role() -> int | None:
        page = library.call("QueryWorkspaceUserList", PageNum=1, PageSize=100, **place)["Result"]
        return next((row["Role"]["RoleId"] for row in page["Data"] if row["UserId"] == user), None)

    assert role() is None
    assert library.call("AddUserToWorkspace", UserId=user, RoleId=30, **place)["Result"] is True
    assert role() == 30
    assert library.call("UpdateWorkspaceUserRole", UserId=user, RoleId=27, **place)["Result"] is True
    assert role() == 27
    assert library.call("DeleteUserFromWorkspace", UserId=user, **place)["Result"] is True
    assert role() is None
    counted = library.call("AddWorkspaceUsers", UserIds=user, RoleId=26, **place)["Result"]
    assert (counted["Total"], counted["Success"], counted["Failure"]) == (1, 1, 0)
    assert role() == 26


@_trip("quickbi", "UpdateUser", "DeleteUser", "QueryUserInfoByUserId")
def quickbi_users(library: Library, world: World) -> None:
    user = outsider_of(world, {space.owner for space in world.quickbi.workspaces.values()})
    assert library.call("UpdateUser", UserId=user, IsDeleted=True)["Result"] is True
    assert library.call("QueryUserInfoByUserId", UserId=user)["Result"]["IsDeleted"] is True
    for space in world.quickbi.workspaces.values():
        space.members.pop(user, None)
    assert library.call("DeleteUser", UserId=user)["Result"] is True
    assert user not in world.quickbi.users
