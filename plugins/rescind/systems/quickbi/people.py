"""Alibaba Quick BI: groups and workspaces with their members, as the population of menus needs them."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from rescind.cloud.clients import QuickBiClient
from rescind.cloud.quickbi.inventory import (
    ListUserGroupsByUserId,
    QueryOrganizationWorkspaceList,
    QueryUserGroupMember,
    QueryWorkspaceUserList,
    Workspace,
    WorkspaceUser,
)
from rescind.model import Membership, Principal, PrincipalType
from rescind.systems.base import Walker
from rescind.systems.population import Population
from rescind.systems.quickbi.access import GROUPS, WORKSPACES, workspace_roles
from rescind.systems.quickbi.users import user_groups
from rescind.systems.surfaces import EndedMemberships


async def discover_groups(walker: Walker[QuickBiClient], found: Population) -> None:
    """Report users in groups and groups in groups."""
    names, edges = await user_groups(walker)
    found.add_principals(_container(walker, "group", ident, name) for ident, name in names.items())
    found.add_memberships(membership(walker, "group", group, "group", parent) for group, parent in edges)
    found.shown(PrincipalType.GROUP, names)
    found.asked(GROUPS.name)
    await walker.for_each(
        sorted(names),
        lambda ident: walker.rows(QueryUserGroupMember(UserGroupId=ident)),
        lambda ident, people: found.add_memberships(
            membership(walker, "group" if m.IsUserGroup else "user", m.Id, "group", ident) for m in people
        ),
    )


async def discover_workspaces(walker: Walker[QuickBiClient], found: Population) -> dict[str, set[str]]:
    """Report workspaces and their members; return the roles that somebody holds, by workspace."""
    roles: dict[str, set[str]] = {}
    workspaces = await walker.rows(QueryOrganizationWorkspaceList())
    found.shown(PrincipalType.WORKSPACE, (space.WorkspaceId for space in workspaces))
    found.add_principals(
        _container(walker, "workspace", space.WorkspaceId, space.WorkspaceName, space.Owner) for space in workspaces
    )

    def take(space: Workspace, people: Sequence[WorkspaceUser]) -> None:
        edges = (membership(walker, "user", member.UserId, "workspace", space.WorkspaceId) for member in people)
        found.add_memberships(edges)
        roles[space.WorkspaceId] = workspace_roles(walker.account, space, people, found)

    await walker.for_each(
        workspaces,
        lambda space: walker.rows(QueryWorkspaceUserList(WorkspaceId=space.WorkspaceId)),
        take,
    )
    found.asked(WORKSPACES.name)
    return roles


async def ended_memberships(client: QuickBiClient, memberships: Collection[Membership]) -> EndedMemberships:
    """Return the users in groups whom neither the group nor the user lists as a member any more.

    :raises CloudError: when a listing failed.
    :raises ListingIncompleteError: when a listing could not be read completely.
    """
    walker = Walker(client)
    edges = [e for e in memberships if (e.member_type, e.container_type) == (PrincipalType.USER, PrincipalType.GROUP)]
    groups = sorted({edge.container_id for edge in edges})
    listed = await walker.each(groups, lambda group: walker.rows(QueryUserGroupMember(UserGroupId=group)))
    members = {(group, row.Id) for group, rows in zip(groups, listed, strict=True) for row in rows}
    absent = [edge for edge in edges if (edge.container_id, edge.member_id) not in members]
    users = sorted({edge.member_id for edge in absent})
    held = await walker.each(users, lambda user: walker.rows(ListUserGroupsByUserId(UserId=user)))
    still = {(row.UserGroupId, user) for user, rows in zip(users, held, strict=True) for row in rows}
    ended = frozenset(edge for edge in absent if (edge.container_id, edge.member_id) not in still)
    return EndedMemberships(ended, walker.calls)


def membership(
    walker: Walker[QuickBiClient], member_type: str, member: str, container_type: str, container: str
) -> Membership:
    """Return an edge from a user or group to what it is in."""
    return Membership("quickbi_menus", walker.account, member_type, member, container_type, container)


def _container(
    walker: Walker[QuickBiClient], kind: str, ident: str, name: str | None, owner: str | None = None
) -> Principal:
    return Principal("quickbi_menus", walker.account, kind, ident, name=name or "", kind="system", owner=owner or "")
