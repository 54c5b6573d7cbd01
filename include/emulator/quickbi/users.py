"""Members of the organization."""

from __future__ import annotations

from typing import Any

from emulator.quickbi import QUICKBI
from emulator.quickbi.access import ORGANIZATION_ADMIN, PERMISSION_ADMIN
from emulator.quickbi.common import PAGE, check_caller, failure, find_user, page
from emulator.registry import Call
from emulator.store.datasets import Dataset
from emulator.store.quickbi import BiUser, Portal, Work
from emulator.store.receivers import USER, Receiver

_ADMIN, _AUTH_ADMIN, _ORDINARY = ORGANIZATION_ADMIN, PERMISSION_ADMIN, 111111113
_FLAGS = {"AdminUser": _ADMIN, "AuthAdminUser": _AUTH_ADMIN}


_ROLES = [
    (_ADMIN, "Organization administrator"),
    (_AUTH_ADMIN, "Permission administrator"),
    (_ORDINARY, "Ordinary user"),
]


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
    found = [user for user in call.world.quickbi.listed_users() if key in user.nick or key in user.account_name]
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
    user = find_user(call, call.text("UserId"))
    return _detailed(call, call.world.quickbi.listed_users(user.user_id)[0])


@QUICKBI.action("QueryUserInfoByAccount", "Account! ParentAccountName")
def user_by_account(call: Call) -> dict[str, Any]:
    """One member by cloud account name or uid."""
    check_caller(call)
    wanted = call.text("Account")
    for user in call.world.quickbi.listed_users():
        if wanted in (user.account_id, user.account_name):
            return _detailed(call, user)
    raise failure(call, "User.Not.In.Organization", "The specified user is not in the organizational unit.")


@QUICKBI.action("CheckOrganizationMember", "UserId!")
def check_member(call: Call) -> bool:
    """Whether an id belongs to the organization."""
    check_caller(call)
    return call.text("UserId") in call.world.quickbi.users


def _check_administrator(call: Call) -> None:
    """Refuse a caller who is a member of the organization and not its administrator.

    :raises ApiError: Invalid.User.Admin.
    """
    me = next((user for user in call.world.quickbi.users.values() if user.account_id == call.identity.user), None)
    if me is not None and _ADMIN not in me.roles:
        raise failure(call, "Invalid.User.Admin", "You are not an administrator of this organization.")


def _wanted_roles(call: Call, user: BiUser) -> list[int]:
    """The roles that UpdateUser asks for. With ``RoleIds`` the two flags have no effect.

    :raises ApiError: for more than three ids, or unknown ones.
    """
    store, modes = call.world.quickbi, call.world.modes
    if text := call.text("RoleIds"):
        given = list(dict.fromkeys(text.split(",")))
        known = {str(role) for role in (*(role for role, _ in _ROLES), *store.custom_roles)}
        if len(given) > 3 or not known.issuperset(given):
            raise failure(call, "Invalid.Parameter.Error", "The parameter is invalid:RoleIds.")
        roles = [int(role) for role in given]
        added = modes["quickbi_update_roles"] == "add"
        return [*user.roles, *(role for role in roles if role not in user.roles)] if added else roles
    roles = list(user.roles)
    if modes["quickbi_update_omitted"] == "reset":
        roles = [role for role in roles if role not in _FLAGS.values()] or [_ORDINARY]
    for flag, role in _FLAGS.items():
        if flag in call.params:
            others = [held for held in roles if held != role]
            roles = [role, *others] if call.params[flag] else others or [_ORDINARY]
    return roles


@QUICKBI.action(
    "UpdateUser", "UserId! IsDeleted:bool NickName RoleIds UserType:int AdminUser:bool AuthAdminUser:bool", write=True
)
def update_user(call: Call) -> bool:
    """Nickname, roles (as ids or as the two flags), active or not; other fields have no effect here."""
    user, store = find_user(call, call.text("UserId")), call.world.quickbi
    _check_administrator(call)
    roles = _wanted_roles(call, user)
    if user.user_id == store.owner and _ADMIN in set(user.roles) - set(roles):
        raise failure(call, "Fobbiden.Action", "The organization owner must have the administrator role.")
    store.set_deleted(user, call.params.get("IsDeleted", user.deleted))
    user.nick = call.params.get("NickName", user.nick)
    store.set_roles(user, roles)
    return True


@QUICKBI.action("DeleteUser", "UserId! TransferUserId", write=True)
def delete_user(call: Call) -> bool:
    """Remove a member with its records, shares and group memberships; refused while it is in a workspace.

    Its works go to ``TransferUserId``, else to the owner of their workspace.
    """
    user, store = find_user(call, call.text("UserId")), call.world.quickbi
    if any(user.user_id in space.members for space in store.workspaces.values()):
        raise failure(call, "Member.ExistInWorkspace.Error", "The user is still in a group workspace.")
    _check_administrator(call)
    for group in store.groups.values():
        store.leave(group, user.user_id)
    store.forget(Receiver(USER, user.user_id))
    works: list[Portal | Work | Dataset] = [*store.portals.values(), *store.works.values(), *store.datasets.values()]
    for work in works:
        if work.owner == user.user_id:
            work.owner = call.text("TransferUserId") or store.workspaces[work.workspace_id].owner
    store.set_roles(user, [])
    del store.users[user.user_id]
    store.changed("users", {"user_id": user.user_id, "removed": True})
    return True


@QUICKBI.action("ListOrganizationRoles")
def organization_roles(call: Call) -> list[dict[str, Any]]:
    """Roles of the organization: the preset ones and its own."""
    check_caller(call)
    own = call.world.quickbi.custom_roles
    return [
        *({"RoleId": role, "RoleName": name, "IsSystemRole": True, "AuthConfigList": []} for role, name in _ROLES),
        *({"RoleId": role, "RoleName": name, "IsSystemRole": False, "AuthConfigList": [{"AuthKey": "data_service"}]}
          for role, name in own.items()),
    ]  # fmt: skip


@QUICKBI.action("ListOrganizationRoleUsers", f"RoleId!:int {PAGE} Keyword")
def organization_role_users(call: Call) -> dict[str, Any]:
    """Members with an organization role, deactivated ones included unless the mode leaves them out."""
    check_caller(call)
    every = call.world.modes["quickbi_role_users"] == "all"
    found = [user for user in call.world.quickbi.listed_users()
             if call.params["RoleId"] in user.roles and call.text("Keyword") in user.nick
             and (every or not user.deleted)]  # fmt: skip
    result = page(call, found)
    result["Data"] = [{"UserId": user.user_id, "NickName": user.nick} for user in result["Data"]]
    return result
