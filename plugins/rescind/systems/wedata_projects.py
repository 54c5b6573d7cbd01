"""Tencent WeData: projects with their members and roles, which both of its permission systems need."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rescind.cloud.clients import WeDataClient
from rescind.cloud.wedata.inventory import ListProjectMembers, ListProjects, Project, ProjectMember
from rescind.model import Grant, Membership, Principal, PrincipalType
from rescind.systems.base import Walker
from rescind.systems.population import Population

_STATUS = {0: "disabled", 1: "active"}


async def discover_projects(walker: Walker[WeDataClient], found: Population, system: str) -> list[str]:
    """Projects and their roles as principals, and who is in which: a role's id is ``<ProjectId>.<RoleId>``.

    :returns: the project ids.
    """
    projects = {project.ProjectId: project for project in await walker.rows(ListProjects())}
    found.shown(PrincipalType.PROJECT, projects)
    found.add_principals(_project(system, walker.account, project) for project in projects.values())

    def take(project: str, people: Iterable[ProjectMember]) -> None:
        found.add_memberships(_edges(system, walker.account, project, people))
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


def _edges(system: str, account: str, project: str, people: Iterable[ProjectMember]) -> Iterator[Membership]:
    for person in people:
        if not person.UserUin:
            continue
        yield Membership(system, account, PrincipalType.USER, person.UserUin, PrincipalType.PROJECT, project)
        for role in person.Roles or ():
            ident = f"{project}.{role.RoleId}"
            yield Membership(system, account, PrincipalType.USER, person.UserUin, PrincipalType.ROLE, ident)
