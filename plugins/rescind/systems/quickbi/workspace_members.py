"""Alibaba Quick BI: who is in which workspace, and with which role.

A grant is one user's role in one workspace. Administrators and developers of a workspace reach every portal in it, and
menus may name a workspace as a receiver, so that a membership is a way into portals.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from rescind.cloud.base import Prepared, WriteRequest
from rescind.cloud.clients import QuickBiClient
from rescind.cloud.quickbi.inventory import (
    ListWorkspaceUserRolesByUserId,
    QueryOrganizationWorkspaceList,
    QueryUserList,
    QueryWorkspaceUserList,
    WorkspaceRole,
)
from rescind.cloud.quickbi.members import AddUserToWorkspace, DeleteUserFromWorkspace
from rescind.cloud.quickbi.roles import (
    WORKSPACE_ADMINISTRATOR,
    WORKSPACE_ANALYST,
    WORKSPACE_DEVELOPER,
    WORKSPACE_VIEWER,
)
from rescind.errors import BlastRadiusExceededError
from rescind.model import CallShape, Grant, Membership, Principal, PrincipalType
from rescind.systems.final_bytes import query_fields
from rescind.systems.membership import MEMBER, Container, Member, MembershipSystem, Named
from rescind.systems.quickbi.access import ORGANIZATION, ORGANIZATION_ROLES, organization_roles, workspace_role
from rescind.systems.quickbi.people import QuickBiPeople
from rescind.systems.quickbi.users import user_principal
from rescind.systems.surfaces import Surface
from rescind.systems.walker import Walker

ADMINISTRATOR = "administrator"
ROLES = {
    WORKSPACE_ADMINISTRATOR: ADMINISTRATOR,
    WORKSPACE_DEVELOPER: "developer",
    WORKSPACE_ANALYST: "analyst",
    WORKSPACE_VIEWER: "viewer",
}
"""Preset roles by id. Another id is a custom role: the vendor lists it by user only, and it cannot be restored."""
_IDS = {name: role for role, name in ROLES.items()}
SURFACES = (
    Surface(
        "workspace members",
        "QueryWorkspaceUserList",
        "members of a workspace with their preset role",
        "custom roles; a member whose own list shows other roles is not revocable",
    ),
    ORGANIZATION_ROLES,
    Surface(
        "workspace roles of a user",
        "ListWorkspaceUserRolesByUserId",
        "every role of a user in every workspace, preset and custom",
        asked_in="verification",
    ),
)
_OWNER = "owns the workspace; hand it over first"
_OTHER_ROLES = "the user's own list shows other roles here; the call would end them too"


class QuickBiWorkspaceMembers(QuickBiPeople, MembershipSystem[QuickBiClient]):
    """Memberships in workspaces; one call takes one user out of one workspace, with every role there."""

    name: ClassVar[str] = "quickbi_workspace_members"
    title: ClassVar[str] = "Quick BI workspace members"
    id_spaces: ClassVar[tuple[str, ...]] = ("quickbi_user_id", "alibaba_uid")
    vendor: ClassVar[str] = "alibaba"
    hook: ClassVar[str] = "rescind.hooks.quickbi.QuickBiHook"
    container_type: ClassVar[str] = "workspace"
    container_kind: ClassVar[PrincipalType] = PrincipalType.WORKSPACE
    lists_by_member: ClassVar[bool] = True
    admin_entitlements: ClassVar[frozenset[str]] = frozenset({ADMINISTRATOR})
    shape: ClassVar[CallShape] = CallShape(max_rows=1, max_columns={"user": 1})
    revoke_message: ClassVar[type[WriteRequest[Any]]] = DeleteUserFromWorkspace
    restore_message: ClassVar[type[WriteRequest[Any]]] = AddUserToWorkspace
    restore_shape: ClassVar[CallShape] = shape
    surfaces: ClassVar[tuple[Surface, ...]] = SURFACES
    reads: ClassVar[frozenset[str]] = frozenset(
        {
            "ListWorkspaceUserRolesByUserId",
            "QueryOrganizationWorkspaceList",
            "QueryUserInfoByAccount",
            "QueryUserList",
            "QueryWorkspaceUserList",
        }
    )

    async def people(self, walker: Walker[QuickBiClient]) -> Sequence[Principal]:
        """Return the users of the organization; a discovery also learns who administers it."""
        users = await walker.rows(QueryUserList())
        if walker.found is not None:
            organization_roles(walker.account, users, walker.found, system=self.name)
        return [user_principal(self.name, walker.account, user) for user in users]

    async def containers(self, walker: Walker[QuickBiClient]) -> Mapping[str, Container]:
        """Return the workspaces; the owner of one must stay."""
        spaces = await walker.rows(QueryOrganizationWorkspaceList())
        return {
            space.WorkspaceId: Container(space.WorkspaceName or "", {space.Owner: _OWNER} if space.Owner else {})
            for space in spaces
        }

    async def members(self, walker: Walker[QuickBiClient], container: str) -> list[Member]:
        """Return the users in one workspace with their preset role. A discovery reads each user's own list too."""
        rows = await walker.rows(QueryWorkspaceUserList(WorkspaceId=container))
        members = [Member(row.UserId, name=row.NickName or "", entitlement=_role_name(row.Role)) for row in rows]
        if walker.found is None:
            return members
        # The call ends every role of the user there, so a grant may go only if it is the only one.
        listed = await walker.each(members, lambda one: self.memberships_of(walker, one.ident))
        return [
            one
            if {m.entitlement for space, _, m in held if space == container} == {one.entitlement}
            else replace(one, why_not=_OTHER_ROLES)
            for one, held in zip(members, listed, strict=True)
        ]

    async def memberships_of(self, walker: Walker[QuickBiClient], user: str) -> list[tuple[str, str, Member]]:
        """Return every role of the user in every workspace."""
        rows = await walker.rows(ListWorkspaceUserRolesByUserId(UserId=user))
        return [
            (row.WorkspaceId, row.WorkspaceName or "", Member(user, entitlement=_role_name(row.RoleModel)))
            for row in rows
        ]

    async def ended_with(self, walker: Walker[QuickBiClient], grant: Grant) -> list[Member]:
        """Return every role of the user in the workspace: the call ends them all."""
        held = await self.memberships_of(walker, grant.key.principal_id)
        return [member for space, _, member in held if space == grant.key.resource_id]

    def remove(self, containers: tuple[str, ...], members: tuple[str, ...], group: str) -> DeleteUserFromWorkspace:
        """Return the call that takes the one user out of the one workspace."""
        (workspace,), (user,) = containers, members
        return DeleteUserFromWorkspace(WorkspaceId=workspace, UserId=user)

    def add(self, containers: tuple[str, ...], members: tuple[str, ...], like: Mapping[str, Any]) -> AddUserToWorkspace:
        """Return the call that puts the one user into the one workspace with the role."""
        (workspace,), (user,) = containers, members
        role: Any = int(_IDS[like["role"]])
        return AddUserToWorkspace(WorkspaceId=workspace, UserId=user, RoleId=role)

    def named(self, prepared: Prepared[Any]) -> Named:
        """Return workspace, user and, where one is given, role of the final query string."""
        fields = query_fields(prepared)
        role = fields.pop("RoleId", None)
        if set(fields) != {"WorkspaceId", "UserId"} or "," in fields["WorkspaceId"] + fields["UserId"]:
            raise BlastRadiusExceededError(
                f"the final {prepared.action} query does not name one user and one workspace"
            )
        if (role is not None) != (prepared.action == "AddUserToWorkspace") or (role is not None and role not in ROLES):
            raise BlastRadiusExceededError(f"the final {prepared.action} query has no role that can be restored")
        return Named((fields["WorkspaceId"],), (fields["UserId"],), entitlement=MEMBER if role is None else ROLES[role])

    def inverse(self, grant: Grant) -> Mapping[str, Any] | None:
        """Return the same workspace, user and preset role. A custom role cannot be restored."""
        return super().inverse(grant) if grant.key.entitlement in _IDS else None

    def memberships(self, grant: Grant) -> tuple[Membership, ...]:
        """Return the membership and the role in the workspace."""
        (member,) = super().memberships(grant)
        role = workspace_role(grant.key.resource_id, _IDS.get(grant.key.entitlement, grant.key.entitlement))
        user = (member.member_type, member.member_id)
        return (member, Membership(self.name, member.account, *user, PrincipalType.ROLE, role))

    def could_end(self, membership: Membership) -> bool:
        """Return whether it is a workspace, or a role in one; ownership is handed over, not ended."""
        workspace, _, role = membership.container_id.rpartition(".")
        in_one = membership.container_type == PrincipalType.ROLE and bool(workspace) and role.isdigit()
        return in_one or super().could_end(membership)

    def parents(self, grant: Grant) -> Iterable[tuple[str, str]]:
        """Return the organization: who administers it reaches every workspace."""
        return (ORGANIZATION,)

    def includes(self, held: str, entitlement: str) -> bool:
        """Return True: every role is a way into the workspace."""
        return True


def _role_name(role: WorkspaceRole | None) -> str:
    """Return the preset role by name, a custom role by id, or plain membership where none is named."""
    ident = role.RoleId if role is not None else None
    return MEMBER if ident is None else ROLES.get(ident, f"role {ident}")
