"""Workspaces, their members and roles."""

from __future__ import annotations

from typing import Any

from emulator.quickbi import QUICKBI
from emulator.quickbi.common import PAGE, check_caller, failure, find_user, find_workspace, page
from emulator.registry import Call
from emulator.store.quickbi import WORKSPACE_ROLES, Workspace


def _role(role_id: int, *, text: bool = False) -> dict[str, Any]:
    code, name = WORKSPACE_ROLES.get(role_id, ("role_custom", "Custom role"))
    return {"RoleCode": code, "RoleId": str(role_id) if text else role_id, "RoleName": name}


def _workspace(call: Call, space: Workspace) -> dict[str, Any]:
    users, creator = call.world.quickbi.users, space.creator or space.owner
    name = users[space.owner].account_name if space.owner in users else ""
    made_by = users[creator].account_name if creator in users else ""
    return {
        "WorkspaceId": space.workspace_id, "WorkspaceName": space.name, "WorkspaceDescription": "",
        "OrganizationId": call.world.quickbi.organization_id, "Owner": space.owner, "OwnerAccountName": name,
        "RealOwnerAccountName": name, "CreateUser": creator, "CreateUserAccountName": made_by,
        "ModifyUser": space.owner, "ModifyUserAccountName": name, "CreateTime": "2025-03-01 10:00:00",
        "ModifiedTime": "2025-03-01 10:00:00", "AllowPublishOperation": True, "AllowShareOperation": True,
    }  # fmt: skip


@QUICKBI.action("QueryOrganizationWorkspaceList", f"{PAGE} Keyword UserId")
def workspace_list(call: Call) -> dict[str, Any]:
    """Workspaces, optionally those of one user."""
    check_caller(call)
    user_id, key = call.text("UserId"), call.text("Keyword")
    found = [
        space
        for space in call.world.quickbi.workspaces.values()
        if key in space.name and (not user_id or user_id in space.members)
    ]
    result = page(call, found)
    result["Data"] = [_workspace(call, space) for space in result["Data"]]
    return result


@QUICKBI.action("QueryWorkspaceUserList", f"WorkspaceId! {PAGE} Keyword")
def workspace_users(call: Call) -> dict[str, Any]:
    """Members of a workspace with the preset role."""
    space, users = find_workspace(call, call.text("WorkspaceId")), call.world.quickbi.users
    found = [(users[user_id], role) for user_id, role in call.world.quickbi.listed_members(space).items()
             if user_id in users and call.text("Keyword") in users[user_id].nick]  # fmt: skip
    result = page(call, found)
    result["Data"] = [
        {"UserId": user.user_id, "AccountId": user.account_id, "AccountName": user.account_name,
         "NickName": user.nick, "Role": _role(role)}
        for user, role in result["Data"]
    ]  # fmt: skip
    return result


@QUICKBI.action("ListWorkspaceUserRolesByUserId", "UserId!")
def roles_of_user(call: Call) -> list[dict[str, Any]]:
    """All workspace roles of a user; role ids are text here."""
    user, store = find_user(call, call.text("UserId")), call.world.quickbi
    held = [(space, store.listed_members(space)) for space in store.workspaces.values()]
    return [
        {"WorkspaceId": space.workspace_id, "WorkspaceName": space.name,
         "RoleModel": _role(members[user.user_id], text=True)}
        for space, members in held
        if user.user_id in members
    ]  # fmt: skip


@QUICKBI.action("QueryUserRoleInfoInWorkspace", "UserId! WorkspaceId!")
def role_in_workspace(call: Call) -> dict[str, Any]:
    """Preset role of a user in one workspace."""
    user, space = find_user(call, call.text("UserId")), find_workspace(call, call.text("WorkspaceId"))
    if user.user_id not in space.members:
        raise failure(call, "User.Not.In.Workspace", "The user is not in the workspace.")
    return _role(space.members[user.user_id])


@QUICKBI.action("AddUserToWorkspace", "RoleId!:int UserId! WorkspaceId!", write=True)
def add_user(call: Call) -> bool:
    """Add a member."""
    user, space = find_user(call, call.text("UserId")), find_workspace(call, call.text("WorkspaceId"))
    if user.user_id not in space.members:
        call.world.quickbi.join(space, user.user_id, call.params["RoleId"])
    return True


@QUICKBI.action("UpdateWorkspaceUserRole", "RoleId:int RoleIds UserId! WorkspaceId!", write=True)
def update_role(call: Call) -> bool:
    """Overwrite a member's role; of several ``RoleIds`` the first counts here."""
    user, space = find_user(call, call.text("UserId")), find_workspace(call, call.text("WorkspaceId"))
    text = (call.text("RoleIds") or call.text("RoleId")).split(",")[0]
    if not text.isdecimal() or user.user_id not in space.members:
        raise failure(call, "Invalid.Parameter.Error", "The parameter is invalid:RoleId or UserId.")
    call.world.quickbi.join(space, user.user_id, int(text))
    return True


@QUICKBI.action("DeleteUserFromWorkspace", "UserId! WorkspaceId!", write=True)
def delete_user(call: Call) -> bool:
    """Take a member out."""
    user, space = find_user(call, call.text("UserId")), find_workspace(call, call.text("WorkspaceId"))
    call.world.quickbi.leave(space, user.user_id)
    return True


@QUICKBI.action("AddWorkspaceUsers", "RoleId!:int UserIds! WorkspaceId!", write=True)
def add_users(call: Call) -> dict[str, Any]:
    """Add several members; ``Success`` inside ``Result`` is a count, failures stand beside it."""
    space, store = find_workspace(call, call.text("WorkspaceId")), call.world.quickbi
    failed: dict[str, str] = {}
    ids = call.text("UserIds").split(",")
    for user_id in ids:
        if user_id not in store.users or user_id in space.members:
            failed[user_id] = "not in the organization" if user_id not in store.users else "already in the workspace"
            continue
        store.join(space, user_id, call.params["RoleId"])
    return {"Total": len(ids), "Success": len(ids) - len(failed), "Failure": len(failed), "FailureDetail": failed}


@QUICKBI.action("ListWorkspaceRoles", "WorkspaceId!")
def workspace_roles(call: Call) -> list[dict[str, Any]]:
    """Roles of a workspace with their rights; the keys of the rights are invented."""
    find_workspace(call, call.text("WorkspaceId"))
    return [
        {"RoleId": role_id, "RoleName": name, "IsSystemRole": True, "AuthConfigList": [
            {"AuthKey": "dataProduct", "ActionAuthKeys": ["view", "edit"] if role_id in (25, 26) else ["view"]}]}
        for role_id, (_, name) in WORKSPACE_ROLES.items()
    ]  # fmt: skip


@QUICKBI.action("ListWorkspaceRoleUsers", f"RoleId!:int WorkspaceId {PAGE} Keyword")
def workspace_role_users(call: Call) -> dict[str, Any]:
    """Members with a workspace role, in one workspace or in all."""
    check_caller(call)
    store, wanted = call.world.quickbi, call.text("WorkspaceId")
    if wanted:
        find_workspace(call, wanted)
    found = [
        (space, store.users[user_id])
        for space in store.workspaces.values()
        for user_id, role in store.listed_members(space).items()
        if wanted in ("", space.workspace_id) and role == call.params["RoleId"] and user_id in store.users
        and call.text("Keyword") in store.users[user_id].nick
    ]  # fmt: skip
    result = page(call, found)
    result["Data"] = [
        {"UserId": user.user_id, "NickName": user.nick, "WorkspaceId": space.workspace_id, "WorkspaceName": space.name}
        for space, user in result["Data"]
    ]
    return result
