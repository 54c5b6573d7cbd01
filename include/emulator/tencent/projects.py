"""Projects, their members and roles, and the platform's roles."""

from __future__ import annotations

from typing import Any

from emulator.build.wedata import TENANT_ROLES
from emulator.errors import ApiError
from emulator.keys import TENCENT_ACCOUNT
from emulator.registry import Call
from emulator.store.people import Person
from emulator.store.wedata import Project
from emulator.tencent import WEDATA
from emulator.tencent.paging import PAGE, paged


def find_project(call: Call, project_id: str) -> Project:
    """A project by id.

    :raises ApiError: InvalidParameter.WorkspaceNotExist.
    """
    project = call.world.projects.get(project_id)
    if project is None:
        raise ApiError("InvalidParameter.WorkspaceNotExist", f"The project {project_id} does not exist.")
    return project


def _project(call: Call, project: Project) -> dict[str, Any]:
    return {
        "ProjectId": project.project_id, "ProjectName": project.name, "DisplayName": project.name.title(),
        "Description": "", "CreateTime": "2025-09-03T00:11:03+08:00", "CreatorUin": creator_id(call, project.creator),
        "ProjectOwnerUin": creator_id(call, project.owner), "Status": 1, "ProjectModel": "SIMPLE",
    }  # fmt: skip


@WEDATA.action("ListProjects", {"ProjectIds": [str], "ProjectName": str, "Status": int, "ProjectModel": str, **PAGE})
def list_projects(call: Call) -> dict[str, Any]:
    """All projects of the tenant."""
    params = call.params
    items = [
        _project(call, project)
        for project in call.world.projects.values()
        if project.project_id in params.get("ProjectIds", [project.project_id])
        and params.get("ProjectName", "") in project.name
        and params.get("Status", 1) == 1
    ]
    return {"Data": paged(call, items)}


@WEDATA.action("GetProject", {"ProjectId!": str})
def get_project(call: Call) -> dict[str, Any]:
    """One project."""
    return {"Data": _project(call, find_project(call, call.params["ProjectId"]))}


def creator_id(call: Call, uin: str) -> str | None:
    """A creator or owner as the answers name it: by uin (1000...), by user id (7000...), by login name, or null."""
    form = call.world.modes["wedata_creator_form"]
    person = _by_uin(call).get(uin)
    if form == "null":
        return None
    if person is None or form == "uin":
        return uin
    return person.wedata_user_id if form == "user_id" else person.email.partition("@")[0]


def _role(role_id: str, names: tuple[str, str]) -> dict[str, Any]:
    return {"RoleId": role_id, "RoleName": names[0], "RoleDisplayName": names[1], "Description": ""}


def _by_uin(call: Call) -> dict[str, Person]:
    people: dict[str, Person] | None = call.world.cache.get("people_by_uin")
    if people is None:
        people = call.world.cache["people_by_uin"] = {person.wedata_uin: person for person in call.world.people}
    return people


@WEDATA.action("ListProjectMembers", {"ProjectId!": str, "UserName": str, "UserUin": str, **PAGE})
def list_members(call: Call) -> dict[str, Any]:
    """Members with their roles. Both filters are fuzzy; the page number comes back as 0, as in the sample."""
    project = find_project(call, call.params["ProjectId"])
    people, modes = _by_uin(call), call.world.modes
    members = call.world.members.listed(project)
    if modes["wedata_owner_listed"] == "always":
        for uin in (project.owner, project.creator):
            members.setdefault(uin, set())
    items = []
    for uin, role_ids in members.items():
        roles = [_role(role_id, project.roles.get(role_id, ("", ""))) for role_id in sorted(role_ids)]
        person = people.get(uin)
        name = person.name if person else uin
        if call.text("UserUin") not in uin or call.text("UserName").lower() not in name.lower():
            continue
        items.append({
            "AppId": "1300000001", "RootAccountId": TENCENT_ACCOUNT, "UserUin": _member_uin(call, uin),
            "UserName": person.email.partition("@")[0] if person else uin, "DisplayName": name,
            "Roles": None if not roles and modes["wedata_empty_roles"] == "null" else roles,
            "IsCreator": uin == project.creator, "CreateTime": "2025-09-03T00:11:03+08:00",
            "IsProjectOwner": uin == project.owner, "PhoneNum": "13800000000",
            "Email": person.email if person else None,
        })  # fmt: skip
    return {"Data": paged(call, items, echo_number=False)}


def _member_uin(call: Call, uin: str) -> str | None:
    """``UserUin`` of a member; ``mixed`` leaves out every third one."""
    mode = call.world.modes["wedata_member_uin"]
    return None if mode == "null" or (mode == "mixed" and uin.isdecimal() and int(uin) % 3 == 0) else uin


@WEDATA.action("ListProjectRoles", {"ProjectId!": str, "RoleDisplayName": str, **PAGE})
def list_project_roles(call: Call) -> dict[str, Any]:
    """Roles of a project, the built-in ones among them."""
    project = find_project(call, call.params["ProjectId"])
    items = [_role(role_id, names) for role_id, names in project.roles.items()
             if call.text("RoleDisplayName") in names[1]]  # fmt: skip
    return {"Data": paged(call, items)}


@WEDATA.action("ListTenantRoles", {"RoleDisplayName": str})
def list_tenant_roles(call: Call) -> dict[str, Any]:
    """Roles of the platform: a plain list. Their members cannot be listed."""
    return {"Data": [_role(role_id, (name, label)) for role_id, name, label in TENANT_ROLES
                     if call.text("RoleDisplayName") in label]}  # fmt: skip
