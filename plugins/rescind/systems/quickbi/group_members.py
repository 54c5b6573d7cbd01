"""Alibaba Quick BI: who is in which user group.

A grant is one user's membership in one group. What the group may see, its members may see, so that a membership is a
way into every menu of the group.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from rescind.cloud.base import Prepared, WriteRequest
from rescind.cloud.clients import QuickBiClient
from rescind.cloud.quickbi.inventory import ListUserGroupsByUserId, QueryUserGroupMember
from rescind.cloud.quickbi.members import MAX_GROUPS, AddUserGroupMembers, DeleteUserGroupMembers
from rescind.errors import BlastRadiusExceededError
from rescind.model import CallShape, Principal, PrincipalType
from rescind.systems.final_bytes import query_fields
from rescind.systems.membership import Container, Member, MembershipSystem, Named
from rescind.systems.quickbi.people import QuickBiPeople
from rescind.systems.quickbi.users import organization_users, user_groups
from rescind.systems.surfaces import Surface
from rescind.systems.walker import Walker

SURFACES = (
    Surface("group members", "QueryUserGroupMember", "users in a group, and groups in a group"),
    Surface(
        "groups of a user",
        "ListUserGroupsByUserId",
        "the groups that a user is a direct member of",
        asked_in="verification",
    ),
    Surface(
        "synchronized groups", "", "groups that an identity provider fills again", "the vendor does not name the source"
    ),
)
_NESTED = "a group inside a group is moved, not taken out"


class QuickBiGroupMembers(QuickBiPeople, MembershipSystem[QuickBiClient]):
    """Memberships in user groups; one call takes one user out of several groups.

    ``WithdrawAllUserGroups`` would take every group of a user, also groups that nobody reviewed. It is not used.
    """

    name: ClassVar[str] = "quickbi_group_members"
    title: ClassVar[str] = "Quick BI group members"
    id_spaces: ClassVar[tuple[str, ...]] = ("quickbi_user_id", "alibaba_uid")
    vendor: ClassVar[str] = "alibaba"
    hook: ClassVar[str] = "rescind.hooks.quickbi.QuickBiHook"
    container_type: ClassVar[str] = "user_group"
    container_kind: ClassVar[PrincipalType] = PrincipalType.GROUP
    lists_by_member: ClassVar[bool] = True
    shape: ClassVar[CallShape] = CallShape(max_rows=MAX_GROUPS, max_columns={"user": 1})
    revoke_message: ClassVar[type[WriteRequest[Any]]] = DeleteUserGroupMembers
    restore_message: ClassVar[type[WriteRequest[Any]]] = AddUserGroupMembers
    restore_shape: ClassVar[CallShape] = shape
    surfaces: ClassVar[tuple[Surface, ...]] = SURFACES
    reads: ClassVar[frozenset[str]] = frozenset(
        {
            "ListUserGroupsByUserId",
            "QueryUserGroupListByParentId",
            "QueryUserGroupMember",
            "QueryUserInfoByAccount",
            "QueryUserList",
        }
    )

    async def people(self, walker: Walker[QuickBiClient]) -> Sequence[Principal]:
        """Return the users of the organization."""
        return await organization_users(walker, self.name)

    async def containers(self, walker: Walker[QuickBiClient]) -> Mapping[str, Container]:
        """Return the groups of the tree."""
        names, _ = await user_groups(walker)
        return {ident: Container(name) for ident, name in names.items()}

    async def members(self, walker: Walker[QuickBiClient], container: str) -> list[Member]:
        """Return users and groups in one group. A group in a group is kept: the call takes users only."""
        rows = await walker.rows(QueryUserGroupMember(UserGroupId=container))
        return [
            Member(row.Id, PrincipalType.GROUP, row.Name or "", why_not=_NESTED)
            if row.IsUserGroup
            else Member(row.Id, name=row.Name or "")
            for row in rows
        ]

    async def memberships_of(self, walker: Walker[QuickBiClient], user: str) -> list[tuple[str, str, Member]]:
        """Return the groups that list the user as a direct member."""
        rows = await walker.rows(ListUserGroupsByUserId(UserId=user))
        return [(row.UserGroupId, row.UserGroupName or "", Member(user)) for row in rows]

    def remove(self, containers: tuple[str, ...], members: tuple[str, ...], group: str) -> DeleteUserGroupMembers:
        """Return the call that takes the one user out of these groups."""
        (user,) = members
        return DeleteUserGroupMembers(UserGroupIds=containers, UserId=user)

    def add(
        self, containers: tuple[str, ...], members: tuple[str, ...], like: Mapping[str, Any]
    ) -> AddUserGroupMembers:
        """Return the call that puts the one user into these groups."""
        (user,) = members
        return AddUserGroupMembers(UserGroupIds=containers, UserId=user)

    def named(self, prepared: Prepared[Any]) -> Named:
        """Return groups and user of the final query string."""
        fields = query_fields(prepared)
        user = fields.get("UserId", "")
        if set(fields) != {"UserGroupIds", "UserId"} or "," in user:
            raise BlastRadiusExceededError(f"the final {prepared.action} query does not name one user and its groups")
        return Named(tuple(fields["UserGroupIds"].split(",")), (user,))
