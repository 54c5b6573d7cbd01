"""Tencent WeData: projects with their members and roles, which its permission systems need."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from rescind.cloud.clients import WeDataClient
from rescind.cloud.wedata.inventory import ListProjectMembers, ListProjects, Project, ProjectMember
from rescind.cloud.wedata.projects import PROJECT_ADMINISTRATOR
from rescind.model import Grant, Membership, Principal, PrincipalType
from rescind.systems.population import Population
from rescind.systems.surfaces import NOT_COVERED, EndedMemberships, Gap, Surface, Untraceable
from rescind.systems.walker import Walker

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
    found.add_principals(project_principal(system, walker.account, project) for project in projects.values())

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


def project_principal(system: str, account: str, project: Project) -> Principal:
    """Return a project as a principal, with its owner."""
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


async def ended_memberships(client: WeDataClient, memberships: Collection[Membership]) -> EndedMemberships:
    """Return the memberships in projects and their roles that two readings of the project's members lack.

    The vendor has no listing by member. Nothing has ended where the project lists members without an id, or does not
    name its owner or its creator; owner and creator stay members whatever the list says.

    :raises CloudError: when a listing failed.
    :raises ListingIncompleteError: when a listing could not be read completely.
    """
    walker = Walker(client)
    homes = {edge: home for edge in memberships if edge.member_type == PrincipalType.USER and (home := _home(edge))}
    if not homes:
        return EndedMemberships()
    projects = {project.ProjectId: project for project in await walker.rows(ListProjects())}
    known = sorted({home for home in homes.values() if home in projects})
    shown: dict[str, list[set[tuple[str, str, str]] | None]] = {project: [] for project in known}
    for _ in range(2):
        listed = await walker.each(known, lambda project: walker.rows(ListProjectMembers(ProjectId=project)))
        for project, people in zip(known, listed, strict=True):
            shown[project].append(_shown(projects[project], people, homes))
    ended = [
        edge
        for edge, home in homes.items()
        if all(one is not None and _edge(edge) not in one for one in shown.get(home, [None]))
    ]
    return EndedMemberships(frozenset(ended), walker.calls)


def _home(edge: Membership) -> str:
    """Return the project whose members show this membership, or an empty text."""
    if edge.container_type == PrincipalType.PROJECT:
        return edge.container_id
    project, dot, role = edge.container_id.partition(".")
    return project if edge.container_type == PrincipalType.ROLE and dot and "." not in role else ""


def _edge(edge: Membership) -> tuple[str, str, str]:
    return (edge.container_type, edge.container_id, edge.member_id)


def _shown(
    project: Project, people: Sequence[ProjectMember], asked: Iterable[Membership]
) -> set[tuple[str, str, str]] | None:
    """Return the memberships that a listing shows, or None where it does not tell who is in the project."""
    if not (project.ProjectOwnerUin and project.CreatorUin) or not all(person.UserUin for person in people):
        return None
    shown = {_edge(edge) for edge in _edges("", "", project, people)}
    unknown = {person.UserUin for person in people if person.Roles is None}
    return shown | {_edge(edge) for edge in asked if edge.member_id in unknown}


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
