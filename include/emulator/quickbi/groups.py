"""User groups and their members. The spelling of the fields differs between actions, as at the vendor."""

from __future__ import annotations

from typing import Any

from emulator.quickbi import QUICKBI
from emulator.quickbi.common import check_caller, failure, find_group, find_user
from emulator.registry import Call
from emulator.store.quickbi import Group
from emulator.store.receivers import GROUP, Receiver

_ROOT = "-1"


def _path(call: Call, group: Group) -> str:
    names, current = [group.group_id], group.parent
    while current in call.world.quickbi.groups:
        names.append(current)
        current = call.world.quickbi.groups[current].parent
    return "/".join(reversed(names))


def _common(call: Call, group: Group) -> dict[str, Any]:
    return {
        "CreateTime": group.created, "ModifiedTime": group.created, "CreateUser": "rescind-bot",
        "ModifyUser": "rescind-bot", "IdentifiedPath": _path(call, group),
    }  # fmt: skip


def _small_g(call: Call, group: Group) -> dict[str, Any]:
    """``UsergroupId`` and relatives."""
    return {
        "UsergroupId": group.group_id, "UsergroupName": group.name, "UsergroupDesc": "",
        "ParentUsergroupId": group.parent, **_common(call, group),
    }  # fmt: skip


def _large_g(call: Call, group: Group) -> dict[str, Any]:
    """``UserGroupId`` and relatives."""
    return {
        "UserGroupId": group.group_id, "UserGroupName": group.name, "UserGroupDescription": "",
        "ParentUserGroupId": group.parent, **_common(call, group),
    }  # fmt: skip


@QUICKBI.action("ListUserGroupsByUserId", "UserId!")
def groups_of_user(call: Call) -> list[dict[str, Any]]:
    """Groups that a user is a direct member of."""
    user = find_user(call, call.text("UserId"))
    store = call.world.quickbi
    return [_small_g(call, group) for group in store.groups.values() if user.user_id in store.listed_members(group)]


@QUICKBI.action("QueryUserGroupMember", "UserGroupId! Keyword")
def group_members(call: Call) -> list[dict[str, Any]]:
    """Users and sub-groups of a group."""
    group = find_group(call, call.text("UserGroupId"))
    store, key = call.world.quickbi, call.text("Keyword")
    users = [store.users[user_id] for user_id in store.listed_members(group) if user_id in store.users]
    members = [(user.user_id, user.nick, False) for user in users]
    members += [(child.group_id, child.name, True) for child in store.groups.values() if child.parent == group.group_id]
    return [
        {"Id": member, "Name": name, "IsUserGroup": is_group, "ParentUserGroupId": group.group_id,
         "ParentUserGroupName": group.name}
        for member, name, is_group in members
        if key in name
    ]  # fmt: skip


@QUICKBI.action("QueryUserGroupListByParentId", "ParentUserGroupId!")
def groups_by_parent(call: Call) -> list[dict[str, Any]]:
    """Child groups; ``-1`` is the root."""
    check_caller(call)
    parent = call.text("ParentUserGroupId")
    if parent != _ROOT:
        find_group(call, parent)
    return [_large_g(call, group) for group in call.world.quickbi.groups.values() if group.parent == parent]


@QUICKBI.action("GetUserGroupInfo", "Keyword!")
def group_info(call: Call) -> list[dict[str, Any]]:
    """Groups whose name contains a keyword."""
    check_caller(call)
    return [_small_g(call, group) for group in call.world.quickbi.groups.values() if call.text("Keyword") in group.name]


@QUICKBI.action("ListByUserGroupId", "UserGroupIds!")
def groups_by_id(call: Call) -> dict[str, Any]:
    """Groups by ids; unknown ones come back apart."""
    check_caller(call)
    groups = call.world.quickbi.groups
    ids = call.text("UserGroupIds").split(",")
    return {
        "UserGroupModels": [_small_g(call, groups[group_id]) for group_id in ids if group_id in groups],
        "FailedUserGroupIds": [group_id for group_id in ids if group_id not in groups],
    }


@QUICKBI.action("AddUserGroupMember", "UserGroupId! UserIdList!", write=True)
def add_member(call: Call) -> bool:
    """Add users, at most 1000, to a group."""
    group, ids = find_group(call, call.text("UserGroupId")), call.text("UserIdList").split(",")
    if len(ids) > 1000:
        raise failure(call, "Invalid.Parameter.Error", "The parameter is invalid:UserIdList.")
    for user in [find_user(call, user_id) for user_id in ids]:
        call.world.quickbi.join(group, user.user_id)
    return True


def _several(call: Call) -> list[Group]:
    return [find_group(call, group_id) for group_id in call.text("UserGroupIds").split(",")]


@QUICKBI.action("AddUserGroupMembers", "UserGroupIds! UserId!", write=True)
def add_members(call: Call) -> bool:
    """Add one user to several groups."""
    user, groups = find_user(call, call.text("UserId")), _several(call)
    for group in groups:
        call.world.quickbi.join(group, user.user_id)
    return True


@QUICKBI.action("DeleteUserGroupMember", "UserGroupId! UserId!", write=True)
def delete_member(call: Call) -> bool:
    """Take one user out of one group."""
    group, user = find_group(call, call.text("UserGroupId")), find_user(call, call.text("UserId"))
    call.world.quickbi.leave(group, user.user_id)
    return True


@QUICKBI.action("DeleteUserGroupMembers", "UserGroupIds! UserId!", write=True)
def delete_members(call: Call) -> bool:
    """Take one user out of several groups."""
    user, groups = find_user(call, call.text("UserId")), _several(call)
    for group in groups:
        call.world.quickbi.leave(group, user.user_id)
    return True


@QUICKBI.action("WithdrawAllUserGroups", "UserId!", write=True)
def withdraw_all(call: Call) -> bool:
    """Take a user out of all groups."""
    user = find_user(call, call.text("UserId"))
    for group in call.world.quickbi.groups.values():
        call.world.quickbi.leave(group, user.user_id)
    return True


@QUICKBI.action("DeleteUserGroup", "UserGroupId!", write=True)
def delete_group(call: Call) -> bool:
    """Delete a group: its members and its menu records go; its sub-groups move up to its parent."""
    group, store = find_group(call, call.text("UserGroupId")), call.world.quickbi
    for user_id in list(group.members):
        store.leave(group, user_id)
    for child in store.groups.values():
        if child.parent == group.group_id:
            child.parent = group.parent
    store.forget(Receiver(GROUP, group.group_id))
    del store.groups[group.group_id]
    return True
