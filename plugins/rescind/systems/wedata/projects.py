"""Tencent WeData: projects with their members and roles, which both of its permission systems need."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from rescind.cloud.clients import WeDataClient
from rescind.cloud.wedata.inventory import ListProjectMembers, ListProjects, Project, ProjectMember
from rescind.cloud.wedata.projects import PROJECT_ADMINISTRATOR
from rescind.model import Grant, Membership, Principal, PrincipalType
from rescind.systems.base import Walker
from rescind.systems.population import Population
from rescind.systems.surfaces import NOT_COVERED, Gap, Surface, Untraceable

NAMELESS = "without id"
"""Stands for members that the vendor lists without an id."""
MEMBERS = Surface(
    "project members and roles",
    "ListProjectMembers",
    "members of a project with their roles; its owner and creator",
    "members carry a UIN and grants a user id: the roster's column wedata_uin joins them",
)
ROLE_HOLDERS = Surface(
    "platform role holders", "", "holders of platform roles", "the vendor lists platform roles without their holders"
)
LIMITS = (
    Surface("compute of a project", "", "resource groups and engines that a project reaches", NOT_COVERED),
    Surface("alarms and quality reports", "", "messages that are still sent to a person", NOT_COVERED),
    Surface("network paths", "", "endpoints that are connected to the catalog", NOT_COVERED),
    Surface(
        "other API versions",
        "",
        "2021-08-20: open approvals; 2025-10-10: workspaces and groups",
        NOT_COVERED,
    ),
)
"""Limits that all WeData systems share."""
UNTRACEABLE: Mapping[str, Untraceable] = {
    PrincipalType.PLATFORM_ROLE: Untraceable(ROLE_HOLDERS.name, ROLE_HOLDERS.cannot),
    PrincipalType.UNKNOWN: Untraceable("holders of unknown kind", "who stands behind the holder is not known"),
}
_STATUS = {0: "disabled", 1: "active"}


async def discover_projects(walker: Walker[WeDataClient], found: Population, system: str) -> list[str]:
    """Projects and their roles as principals, and who is in which: a role's id is ``<ProjectId>.<RoleId>``.

    :returns: the project ids.
    """
    projects = {project.ProjectId: project for project in await walker.rows(ListProjects())}
    found.shown(PrincipalType.PROJECT, projects)
    found.add_principals(_project(system, walker.account, project) for project in projects.values())

    def take(project: str, people: Iterable[ProjectMember]) -> None:
        people = list(people)
        found.add_memberships(_edges(system, walker.account, projects[project], people))
        found.note("members_without_id", sum(not person.UserUin for person in people))
        for person in people:
            if person.Roles is None:
                # Null is unknown, not "no role": access through roles stays unproven, without an id for everybody.
                why = f"ListProjectMembers names no roles for a member of project {project}"
                whom = (PrincipalType.USER, person.UserUin) if person.UserUin else ()
                found.could_not_tell(Gap(MEMBERS.name, why, principal=whom))
        found.add_principals(
            Principal(
                system,
                walker.account,
                PrincipalType.ROLE,
                f"{project}.{role.RoleId}",
                name=role.RoleDisplayName or role.RoleName or "",
                kind="system",
                owner=projects[project].ProjectOwnerUin or "",
            )
            for person in people
            for role in person.Roles or ()
        )

    await walker.for_each(sorted(projects), lambda project: walker.rows(ListProjectMembers(ProjectId=project)), take)
    found.asked(MEMBERS.name)
    return sorted(projects)


def holders(grants: Iterable[Grant]) -> Iterator[Principal]:
    """The holders of grants as principals: WeData lists no users, so their ids and names come from the grants."""
    for grant in grants:
        key = grant.key
        kind = "unknown" if key.principal_type in (PrincipalType.USER, PrincipalType.UNKNOWN) else "system"
        name = grant.principal_name
        yield Principal(key.system, key.account, key.principal_type, key.principal_id, name=name, kind=kind)


def _project(system: str, account: str, project: Project) -> Principal:
    return Principal(
        system,
        account,
        PrincipalType.PROJECT,
        project.ProjectId,
        name=project.DisplayName or project.ProjectName or "",
        kind="system",
        status="unknown" if project.Status is None else _STATUS.get(project.Status, "unknown"),
        owner=project.ProjectOwnerUin or "",
    )


def _edges(system: str, account: str, project: Project, people: Iterable[ProjectMember]) -> Iterator[Membership]:
    """Who is in the project and in its roles; its owner and creator are members whatever the list says."""
    ident = project.ProjectId
    for uin in {project.ProjectOwnerUin or "", project.CreatorUin or ""}:
        # Null is somebody who is not named.
        kind, member = (PrincipalType.USER, uin) if uin else (PrincipalType.UNKNOWN, NAMELESS)
        yield Membership(system, account, kind, member, PrincipalType.PROJECT, ident)
        # Whether owner and creator administer the project is not documented: the wider reading is assumed.
        administers = f"{ident}.{PROJECT_ADMINISTRATOR}"
        yield Membership(system, account, kind, member, PrincipalType.ROLE, administers)
    for person in people:
        kind = PrincipalType.USER if person.UserUin else PrincipalType.UNKNOWN
        member = person.UserUin or NAMELESS
        yield Membership(system, account, kind, member, PrincipalType.PROJECT, ident)
        for role in person.Roles or ():
            yield Membership(system, account, kind, member, PrincipalType.ROLE, f"{ident}.{role.RoleId}")
