"""Changes of the members of a project and of their roles."""

from __future__ import annotations

from typing import Any

from emulator.errors import ApiError
from emulator.registry import Call
from emulator.store.wedata import ADMINISTRATOR_ROLE, Project
from emulator.tencent import WEDATA
from emulator.tencent.projects import find_project


def _check_roles(call: Call, project: Project) -> set[str]:
    role_ids = call.params["RoleIds"]
    if not role_ids or any(role_id not in project.roles for role_id in role_ids):
        raise ApiError("InvalidParameter", "RoleIds must name roles of the project.")
    return set(role_ids)


def _check_users(call: Call) -> list[str]:
    if not call.params["UserUins"]:
        raise ApiError("InvalidParameter", "UserUins must name users.")
    return list(call.params["UserUins"])


def _check_administrators(call: Call, project: Project, changed: dict[str, set[str] | None]) -> None:
    """Refuse a change after which the project would have no administrator, where the mode says so."""
    after = {**project.members, **changed}
    left = any(roles is not None and ADMINISTRATOR_ROLE in roles for roles in after.values())
    had = any(ADMINISTRATOR_ROLE in roles for roles in project.members.values())
    if had and not left and call.world.modes["wedata_last_administrator"] == "refused":
        raise ApiError("OperationDenied", "A project needs an administrator.")


@WEDATA.action("CreateProjectMember", {"ProjectId!": str, "UserUins!": [str], "RoleIds!": [str]}, write=True)
def create_members(call: Call) -> dict[str, Any]:
    """Add members with roles. Who is a member gets them in addition or instead of its own, or is refused, by mode."""
    project, uins, modes = find_project(call, call.params["ProjectId"]), _check_users(call), call.world.modes
    roles, again = _check_roles(call, project), modes["wedata_existing_member"]
    known = {person.wedata_uin for person in call.world.people}
    if modes["wedata_unknown_member"] == "refused" and not known.issuperset(uins):
        raise ApiError("InvalidParameter", "UserUins names a user who does not exist.")
    if again == "refused" and project.members.keys() & set(uins):
        raise ApiError("InvalidParameter", "The user is a member of the project already.")
    for uin in uins:
        held = project.members.get(uin, set()) if again == "add" else set()
        call.world.members.change(project, uin, held | roles)
    return {"Data": {"Status": True}}


@WEDATA.action("DeleteProjectMember", {"ProjectId!": str, "UserUins!": [str]}, write=True)
def delete_members(call: Call) -> dict[str, Any]:
    """Remove members with all their roles; the owner and the creator are refused, who is no member is skipped."""
    project, uins, modes = find_project(call, call.params["ProjectId"]), _check_users(call), call.world.modes
    if modes["wedata_remove_head"] == "refused" and {project.owner, project.creator} & set(uins):
        raise ApiError("OperationDenied", "The owner or creator of a project cannot be removed.")
    if modes["wedata_absent_member"] == "refused" and not project.members.keys() >= set(uins):
        raise ApiError("UnauthorizedOperation.UserNotInProject", "The user is not a member of the project.")
    _check_administrators(call, project, dict.fromkeys(uins, None))
    for uin in uins:
        if call.world.members.change(project, uin, None) and modes["wedata_member_entries"] == "removed":
            _drop_entries(call, project, uin)
    return {}


def _drop_entries(call: Call, project: Project, uin: str) -> None:
    """Take the entries of data sources that name a user of the project."""
    users = {person.wedata_user_id for person in call.world.people if person.wedata_uin == uin}
    for source in call.world.data_sources.sources.values():
        for place, user in list(source.users):
            if place == project.project_id and user in users:
                call.world.data_sources.remove(source, place, user)


def _member(call: Call) -> tuple[Project, str, set[str]]:
    project, uin = find_project(call, call.params["ProjectId"]), call.params["UserUin"]
    roles = _check_roles(call, project)
    if uin not in project.members:
        raise ApiError("UnauthorizedOperation.UserNotInProject", "The user is not a member of the project.")
    return project, uin, roles


@WEDATA.action("GrantMemberProjectRole", {"ProjectId!": str, "UserUin!": str, "RoleIds!": [str]}, write=True)
def grant_role(call: Call) -> dict[str, Any]:
    """Add roles to a member; or replace them, by mode."""
    project, uin, roles = _member(call)
    if call.world.modes["wedata_grant_role"] == "add":
        roles |= project.members[uin]
    _check_administrators(call, project, {uin: roles})
    call.world.members.change(project, uin, roles)
    return {}


@WEDATA.action("RemoveMemberProjectRole", {"ProjectId!": str, "UserUin!": str, "RoleIds!": [str]}, write=True)
def remove_role(call: Call) -> dict[str, Any]:
    """Take roles off a member. With the last one it stays without any, leaves the project, or is refused, by mode."""
    project, uin, roles = _member(call)
    held, modes = project.members[uin], call.world.modes
    if modes["wedata_absent_role"] == "refused" and not roles <= held:
        raise ApiError("InvalidParameter", "The user does not hold the role.")
    left: set[str] | None = held - roles
    if not left and roles & held:
        if modes["wedata_last_role"] == "refused":
            raise ApiError("OperationDenied", "A member needs a role.")
        left = set() if modes["wedata_last_role"] == "stays" else None
    _check_administrators(call, project, {uin: left})
    call.world.members.change(project, uin, left)
    return {}
