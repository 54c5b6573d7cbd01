"""Alibaba Cloud Quick BI 2022-01-01: users, user groups, workspaces.

Phones and mails are not modeled. Sources: the vendor's Python SDK models (1.19.0) and Go SDK examples.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import AliasChoices, ConfigDict, Field

from rescind.cloud.base import Reply, Row
from rescind.cloud.fields import Flag, IdText, NameText, Number, OptionalId, Text, Token
from rescind.cloud.quickbi.menus import DataPage, QuickBiList, QuickBiRead, QuickBiWhole, WholePage

ROOT_GROUP = "-1"
"""Parent id of the top user groups."""


class QuickBiUser(Row):
    """A member of the organization. ``UserId`` is Quick BI's own id, ``AccountId`` the cloud account's.

    ``RoleIdList`` has the organization roles (see :mod:`rescind.cloud.quickbi.roles`); null means unknown, not none.
    ``AdminUser`` and ``AuthAdminUser`` are deprecated in its favor. ``UserType``: 1 developer, 2 visitor, 3 analyst.
    """

    UserId: IdText
    AccountId: OptionalId = None
    AccountName: Text | None = None
    NickName: Text | None = None
    UserType: Number | None = None
    IsDeleted: Flag | None = None
    RoleIdList: tuple[IdText, ...] | None = None
    AdminUser: Flag | None = None
    AuthAdminUser: Flag | None = None
    LastLoginTime: Number | None = None
    JoinedDate: Number | None = None

    def key(self) -> tuple[str, ...]:
        """The Quick BI user id."""
        return (self.UserId,)


class QueryUserList(QuickBiList[QuickBiUser]):
    """Members of the organization; page size at most 1000. A GET action."""

    action: ClassVar[str] = "QueryUserList"
    method: ClassVar[str] = "GET"
    Answer: ClassVar[type[Reply]] = DataPage[QuickBiUser]
    page_size: ClassVar[int] = 500
    Keyword: NameText | None = None


class QueryUserInfoAnswer(Reply):
    """One member."""

    Result: QuickBiUser


class QueryUserInfoByAccount(QuickBiRead[QueryUserInfoAnswer]):
    """One member by cloud account name or UID; of a RAM user only the part before ``@``."""

    action: ClassVar[str] = "QueryUserInfoByAccount"
    Answer: ClassVar[type[Reply]] = QueryUserInfoAnswer
    Account: NameText
    ParentAccountName: NameText | None = None


class UserGroup(Row):
    """A user group. The vendor spells the fields ``UserGroup...`` in one action and ``Usergroup...`` in another."""

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True, populate_by_name=True)

    UserGroupId: IdText = Field(validation_alias=AliasChoices("UserGroupId", "UsergroupId"))
    UserGroupName: Text | None = Field(None, validation_alias=AliasChoices("UserGroupName", "UsergroupName"))
    ParentUserGroupId: OptionalId = Field(None, validation_alias=AliasChoices("ParentUserGroupId", "ParentUsergroupId"))
    IdentifiedPath: Text | None = None

    def key(self) -> tuple[str, ...]:
        """The group id."""
        return (self.UserGroupId,)


class ListUserGroupsByUserId(QuickBiWhole[UserGroup]):
    """Groups of a user, in one answer."""

    action: ClassVar[str] = "ListUserGroupsByUserId"
    Answer: ClassVar[type[Reply]] = WholePage[UserGroup]
    UserId: Token


class QueryUserGroupListByParentId(QuickBiWhole[UserGroup]):
    """Child groups of a group; :data:`ROOT_GROUP` for the top."""

    action: ClassVar[str] = "QueryUserGroupListByParentId"
    Answer: ClassVar[type[Reply]] = WholePage[UserGroup]
    ParentUserGroupId: Token


class GroupMember(Row):
    """A user or a sub-group inside a group."""

    Id: IdText
    IsUserGroup: Flag
    Name: Text | None = None
    ParentUserGroupId: Text | None = None

    def key(self) -> tuple[str, ...]:
        """Kind and id."""
        return (str(self.IsUserGroup), self.Id)


class QueryUserGroupMember(QuickBiWhole[GroupMember]):
    """Members (users and sub-groups) of a group, in one answer."""

    action: ClassVar[str] = "QueryUserGroupMember"
    Answer: ClassVar[type[Reply]] = WholePage[GroupMember]
    UserGroupId: Token


class Workspace(Row):
    """A workspace. ``Owner`` and ``CreateUser`` are Quick BI user ids."""

    WorkspaceId: IdText
    WorkspaceName: Text | None = None
    OrganizationId: OptionalId = None
    Owner: OptionalId = None
    OwnerAccountName: Text | None = None
    CreateUser: OptionalId = None
    CreateUserAccountName: Text | None = None

    def key(self) -> tuple[str, ...]:
        """The workspace id."""
        return (self.WorkspaceId,)


class QueryOrganizationWorkspaceList(QuickBiList[Workspace]):
    """Workspaces of the organization, or those of one user; page size at most 1000."""

    action: ClassVar[str] = "QueryOrganizationWorkspaceList"
    Answer: ClassVar[type[Reply]] = DataPage[Workspace]
    page_size: ClassVar[int] = 500
    UserId: Token | None = None


class WorkspaceRole(Reply):
    """A workspace role: 25 administrator, 26 developer, 27 analyst, 30 viewer, others custom."""

    RoleId: OptionalId = None
    RoleCode: Text | None = None
    RoleName: Text | None = None


class WorkspaceUser(Row):
    """A member of a workspace with the preset role (custom roles: :class:`ListWorkspaceUserRolesByUserId`)."""

    UserId: IdText
    AccountId: OptionalId = None
    AccountName: Text | None = None
    NickName: Text | None = None
    Role: WorkspaceRole | None = None

    def key(self) -> tuple[str, ...]:
        """The Quick BI user id."""
        return (self.UserId,)


class QueryWorkspaceUserList(QuickBiList[WorkspaceUser]):
    """Members of one workspace; page size at most 1000."""

    action: ClassVar[str] = "QueryWorkspaceUserList"
    Answer: ClassVar[type[Reply]] = DataPage[WorkspaceUser]
    page_size: ClassVar[int] = 500
    WorkspaceId: Token


class UserWorkspaceRole(Row):
    """One workspace role of a user."""

    WorkspaceId: IdText
    WorkspaceName: Text | None = None
    RoleModel: WorkspaceRole | None = None

    def key(self) -> tuple[str, ...]:
        """Workspace and role."""
        return (self.WorkspaceId, (self.RoleModel.RoleId or "") if self.RoleModel else "")


class ListWorkspaceUserRolesByUserId(QuickBiWhole[UserWorkspaceRole]):
    """All workspace roles of a user, preset and custom, in one answer."""

    action: ClassVar[str] = "ListWorkspaceUserRolesByUserId"
    Answer: ClassVar[type[Reply]] = WholePage[UserWorkspaceRole]
    UserId: Token
