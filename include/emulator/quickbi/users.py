"""Members of the organization."""

from __future__ import annotations

from typing import Any

from emulator.quickbi import QUICKBI
from emulator.quickbi.access import ORGANIZATION_ADMIN, PERMISSION_ADMIN
from emulator.quickbi.common import PAGE, check_caller, failure, find_user, page
from emulator.registry import Call
from emulator.store.quickbi import USER, BiUser, Portal, Receiver, Work

_ADMIN, _AUTH_ADMIN, _ORDINARY = ORGANIZATION_ADMIN, PERMISSION_ADMIN, 111111113
_FLAGS = {"AdminUser": _ADMIN, "AuthAdminUser": _AUTH_ADMIN}


def _user(call: Call, user: BiUser) -> dict[str, Any]:
    """A member. The two flags are deprecated in favor of the role ids: the mode keeps only one of both."""
    row = _whole(user)
    shown = call.world.modes["quickbi_admin_flags"]
    if shown == "roles_only":
        row |= dict.fromkeys(_FLAGS, False)
    elif shown == "flags_only":
        row["RoleIdList"] = None
    return row


def _whole(user: BiUser) -> dict[str, Any]:
    return {
        "UserId": user.user_id, "AccountId": user.account_id, "AccountName": user.account_name, "NickName": user.nick,
        "IsDeleted": user.deleted, "RoleIdList": list(user.roles), "UserType": 1, "CopilotModules": [],
        "AdminUser": _ADMIN in user.roles, "AuthAdminUser": _AUTH_ADMIN in user.roles,
    }  # fmt: skip


@QUICKBI.action("QueryUserList", f"{PAGE} Keyword", methods=("GET",))
def query_user_list(call: Call) -> dict[str, Any]:
    """Members by page, deactivated ones included. GET only."""
    check_caller(call)
    key = call.text("Keyword")
    found = [user for user in call.world.quickbi.users.values() if key in user.nick or key in user.account_name]
    result = page(call, found)
    result["Data"] = [
        {**_user(call, user), "JoinedDate": user.joined, "LastLoginTime": user.joined + 86_400_000}
        for user in result["Data"]
    ]
    return result


def _detailed(call: Call, user: BiUser) -> dict[str, Any]:
    return {**_user(call, user), "Email": user.email, "Phone": ""}


@QUICKBI.action("QueryUserInfoByUserId", "UserId!")
def user_by_id(call: Call) -> dict[str, Any]:
    """One member by Quick BI id."""
    return _detailed(call, find_user(call, call.text("UserId")))


@QUICKBI.action("QueryUserInfoByAccount", "Account! ParentAccountName")
def user_by_account(call: Call) -> dict[str, Any]:
    """One member by cloud account name or uid."""
    check_caller(call)
    wanted = call.text("Account")
    for user in call.world.quickbi.users.values():
        if wanted in (user.account_id, user.account_name):
            return _detailed(call, user)
    raise failure(call, "User.Not.In.Organization", "The specified user is not in the organizational unit.")


@QUICKBI.action("CheckOrganizationMember", "UserId!")
def check_member(call: Call) -> bool:
    """Whether an id belongs to the organization."""
    check_caller(call)
    return call.text("UserId") in call.world.quickbi.users


@QUICKBI.action(
    "UpdateUser", "UserId! IsDeleted:bool NickName RoleIds UserType:int AdminUser:bool AuthAdminUser:bool", write=True
)
def update_user(call: Call) -> bool:
    """Nickname, roles (as ids or as the two flags), active or not; other fields have no effect here."""
    user = find_user(call, call.text("UserId"))
    user.deleted = call.params.get("IsDeleted", user.deleted)
    user.nick = call.params.get("NickName", user.nick)
    if text := call.text("RoleIds"):
        roles = text.split(",")
        if len(roles) > 3 or not all(role.isdecimal() for role in roles):
            raise failure(call, "Invalid.Parameter.Error", "The parameter is invalid:RoleIds.")
        user.roles = [int(role) for role in roles]
    for flag, role in _FLAGS.items():
        if flag in call.params:
            others = [held for held in user.roles if held != role]
            user.roles = [role, *others] if call.params[flag] else others or [_ORDINARY]
    call.world.journal.effect("changed", "quickbi_users", {
        "user_id": user.user_id, "deleted": user.deleted, "roles": list(user.roles),
    })  # fmt: skip
    return True


@QUICKBI.action("DeleteUser", "UserId! TransferUserId", write=True)
def delete_user(call: Call) -> bool:
    """Remove a member with its records, shares and group memberships; refused while it is in a workspace.

    Its works go to ``TransferUserId``, else to the owner of their workspace.
    """
    user, store = find_user(call, call.text("UserId")), call.world.quickbi
    if any(user.user_id in space.members for space in store.workspaces.values()):
        raise failure(call, "Member.ExistInWorkspace.Error", "The user is still in a group workspace.")
    for group in store.groups.values():
        if user.user_id in group.members:
            del group.members[user.user_id]
            store.membership("removed", "group", group.group_id, user.user_id)
    store.forget(Receiver(USER, user.user_id))
    works: list[Portal | Work] = [*store.portals.values(), *store.works.values()]
    for work in works:
        if work.owner == user.user_id:
            work.owner = call.text("TransferUserId") or store.workspaces[work.workspace_id].owner
    del store.users[user.user_id]
    call.world.journal.effect("changed", "quickbi_users", {"user_id": user.user_id, "removed": True})
    return True


_ROLES = [
    (_ADMIN, "Organization administrator"),
    (_AUTH_ADMIN, "Permission administrator"),
    (_ORDINARY, "Ordinary user"),
]


@QUICKBI.action("ListOrganizationRoles")
def organization_roles(call: Call) -> list[dict[str, Any]]:
    """Roles of the organization: the preset ones."""
    check_caller(call)
    return [{"RoleId": role, "RoleName": name, "IsSystemRole": True, "AuthConfigList": []} for role, name in _ROLES]


@QUICKBI.action("ListOrganizationRoleUsers", f"RoleId!:int {PAGE} Keyword")
def organization_role_users(call: Call) -> dict[str, Any]:
    """Members with an organization role: the way to the last administrator."""
    check_caller(call)
    found = [user for user in call.world.quickbi.users.values()
             if call.params["RoleId"] in user.roles and call.text("Keyword") in user.nick]  # fmt: skip
    result = page(call, found)
    result["Data"] = [{"UserId": user.user_id, "NickName": user.nick} for user in result["Data"]]
    return result
