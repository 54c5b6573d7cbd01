"""Alibaba Quick BI: groups and workspaces with their members, as ways into portals and other works."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from rescind.cloud.clients import QuickBiClient
from rescind.cloud.quickbi.inventory import (
    ListUserGroupsByUserId,
    ListWorkspaceUserRolesByUserId,
    QueryOrganizationWorkspaceList,
    QueryUserGroupMember,
    QueryUserList,
    QueryWorkspaceUserList,
    QuickBiUser,
    Workspace,
    WorkspaceRole,
    WorkspaceUser,
)
from rescind.model import Membership, Principal, PrincipalType
from rescind.systems.population import Population
from rescind.systems.quickbi.access import (
    GROUPS,
    SYSTEM,
    WORKSPACE_ROLES,
    WORKSPACES,
    organization_roles,
    workspace_role,
    workspace_roles,
)
from rescind.systems.quickbi.users import own_user_id, user_groups, user_principal
from rescind.systems.surfaces import EndedMemberships
from rescind.systems.walker import Walker

PEOPLE_READS = frozenset(
    {
        "ListUserGroupsByUserId",
        "ListWorkspaceUserRolesByUserId",
        "QueryOrganizationWorkspaceList",
        "QueryUserGroupListByParentId",
        "QueryUserGroupMember",
        "QueryUserInfoByAccount",
        "QueryUserList",
        "QueryWorkspaceUserList",
    }
)
"""The actions that :func:`discover_people` and :class:`QuickBiPeople` need."""

_Edge = tuple[str, str, str]
"""(type of the container, its id, user)."""


async def discover_people(
    walker: Walker[QuickBiClient], found: Population, system: str
) -> tuple[Sequence[QuickBiUser], dict[str, set[str]]]:
    """Report users with their roles in the organization, groups, and workspaces with their members.

    :returns: the users; and the roles that somebody holds, by workspace.
    """
    users = await walker.rows(QueryUserList())
    found.shown(PrincipalType.USER, (user.UserId for user in users))
    found.add_principals(user_principal(system, walker.account, user) for user in users)
    organization_roles(walker.account, users, found, system=system)
    await discover_groups(walker, found, system)
    return users, await discover_workspaces(walker, found, system)


def organization_members(
    walker: Walker[QuickBiClient], users: Sequence[QuickBiUser], organizations: Iterable[str], system: str
) -> Iterator[Membership]:
    """Yield the membership of every user in each organization that holds a grant."""
    for organization in sorted(set(organizations) - {""}):
        for user in users:
            yield membership(walker, "user", user.UserId, "organization", organization, system)


async def discover_groups(walker: Walker[QuickBiClient], found: Population, system: str = SYSTEM) -> None:
    """Report users in groups and groups in groups."""
    names, edges = await user_groups(walker)
    found.add_principals(_container(system, walker, "group", ident, name) for ident, name in names.items())
    found.add_memberships(membership(walker, "group", group, "group", parent, system) for group, parent in edges)
    found.shown(PrincipalType.GROUP, names)
    found.asked(GROUPS.name)
    await walker.for_each(
        sorted(names),
        lambda ident: walker.rows(QueryUserGroupMember(UserGroupId=ident)),
        lambda ident, people: found.add_memberships(
            membership(walker, "group" if m.IsUserGroup else "user", m.Id, "group", ident, system) for m in people
        ),
    )


async def discover_workspaces(
    walker: Walker[QuickBiClient], found: Population, system: str = SYSTEM
) -> dict[str, set[str]]:
    """Report workspaces and their members; return the roles that somebody holds, by workspace."""
    roles: dict[str, set[str]] = {}
    workspaces = await walker.rows(QueryOrganizationWorkspaceList())
    found.shown(PrincipalType.WORKSPACE, (space.WorkspaceId for space in workspaces))
    found.add_principals(
        _container(system, walker, "workspace", space.WorkspaceId, space.WorkspaceName, space.Owner)
        for space in workspaces
    )

    def take(space: Workspace, people: Sequence[WorkspaceUser]) -> None:
        place = ("workspace", space.WorkspaceId, system)
        found.add_memberships(membership(walker, "user", member.UserId, *place) for member in people)
        roles[space.WorkspaceId] = workspace_roles(walker.account, space, people, found, system)

    await walker.for_each(
        workspaces,
        lambda space: walker.rows(QueryWorkspaceUserList(WorkspaceId=space.WorkspaceId)),
        take,
    )
    found.asked(WORKSPACES.name)
    return roles


async def ended_memberships(client: QuickBiClient, memberships: Collection[Membership]) -> EndedMemberships:
    """Return the memberships of users that neither the list of the container nor that of the user shows any more.

    Groups, workspaces and roles in workspaces are read again; other memberships stay as they were.

    :raises CloudError: when a listing failed.
    :raises ListingIncompleteError: when a listing could not be read completely.
    """
    walker = Walker(client)
    homes = {edge: home for edge in memberships if edge.member_type == PrincipalType.USER and (home := _home(edge))}
    listed = await walker.each(sorted(set(homes.values())), lambda home: _members(walker, *home))
    shown = frozenset[_Edge]().union(*listed)
    absent = [edge for edge in homes if _edge(edge) not in shown]
    users = sorted({(homes[edge][0], edge.member_id) for edge in absent})
    held = frozenset[_Edge]().union(*await walker.each(users, lambda user: _memberships(walker, *user)))
    return EndedMemberships(frozenset(edge for edge in absent if _edge(edge) not in held), walker.calls)


class QuickBiPeople:
    """What every system of Quick BI asks about people in the same way."""

    async def ended_memberships(self, client: QuickBiClient, memberships: Collection[Membership]) -> EndedMemberships:
        """Return memberships that ended since discovery, by the listings of both sides."""
        return await ended_memberships(client, memberships)

    async def own_ids(self, client: QuickBiClient) -> frozenset[str]:
        """Return the Quick BI user of the calling account, where it is a member of the organization."""
        return await own_user_id(client)


def _edge(membership: Membership) -> _Edge:
    return (membership.container_type, membership.container_id, membership.member_id)


def _home(membership: Membership) -> tuple[str, str] | None:
    """Return the group or workspace whose members show this membership, or None where no listing does."""
    kind, ident = membership.container_type, membership.container_id
    if kind in (PrincipalType.GROUP, PrincipalType.WORKSPACE):
        return kind, ident
    workspace, dot, role = ident.rpartition(".")
    return (PrincipalType.WORKSPACE, workspace) if kind == PrincipalType.ROLE and dot and role.isdigit() else None


async def _members(walker: Walker[QuickBiClient], kind: str, ident: str) -> frozenset[_Edge]:
    """Return who is in one group or workspace, and with which roles."""
    if kind == PrincipalType.GROUP:
        return frozenset((kind, ident, row.Id) for row in await walker.rows(QueryUserGroupMember(UserGroupId=ident)))
    rows = await walker.rows(QueryWorkspaceUserList(WorkspaceId=ident))
    return frozenset(edge for row in rows for edge in _workspace_edges(ident, row.Role, row.UserId))


async def _memberships(walker: Walker[QuickBiClient], kind: str, user: str) -> frozenset[_Edge]:
    """Return the groups, or the workspaces and roles, of one user."""
    if kind == PrincipalType.GROUP:
        groups = await walker.rows(ListUserGroupsByUserId(UserId=user))
        return frozenset((kind, row.UserGroupId, user) for row in groups)
    rows = await walker.rows(ListWorkspaceUserRolesByUserId(UserId=user))
    return frozenset(edge for row in rows for edge in _workspace_edges(row.WorkspaceId, row.RoleModel, user))


def _workspace_edges(workspace: str, role: WorkspaceRole | None, user: str) -> Iterator[_Edge]:
    """Yield the membership and the role. Without a named role the user may have any."""
    yield PrincipalType.WORKSPACE, workspace, user
    named = [role.RoleId] if role is not None and role.RoleId else WORKSPACE_ROLES
    for ident in named:
        yield PrincipalType.ROLE, workspace_role(workspace, ident), user


def membership(
    walker: Walker[QuickBiClient],
    member_type: str,
    member: str,
    container_type: str,
    container: str,
    system: str = SYSTEM,
) -> Membership:
    """Return an edge from a user or group to what it is in."""
    return Membership(system, walker.account, member_type, member, container_type, container)


def _container(
    system: str, walker: Walker[QuickBiClient], kind: str, ident: str, name: str | None, owner: str | None = None
) -> Principal:
    return Principal(system, walker.account, kind, ident, name=name or "", kind="system", owner=owner or "")
