"""Alibaba Cloud Quick BI 2022-01-01: roles of the organization and of workspaces, and who holds them.

The preset role ids and the page sizes are from the vendor's Python SDK models (1.19.0).
"""

from __future__ import annotations

from typing import ClassVar

from rescind.cloud.base import Reply, Row
from rescind.cloud.fields import DigitsAsInt, Flag, IdText, OptionalId, Text, Token
from rescind.cloud.quickbi.menus import DataPage, QuickBiList, QuickBiWhole, WholePage

ORGANIZATION_ADMINISTRATOR = "111111111"
PERMISSION_ADMINISTRATOR = "111111112"
ORDINARY_USER = "111111113"
"""Preset roles of the organization; every other id is a custom role."""

WORKSPACE_ADMINISTRATOR = "25"
WORKSPACE_DEVELOPER = "26"
WORKSPACE_ANALYST = "27"
WORKSPACE_VIEWER = "30"
"""Preset roles of a workspace; every other id is a custom role."""


class AuthConfig(Reply):
    """One right of a role, such as ``developer_openapi`` or ``enterprise_safety``."""

    AuthKey: Text | None = None


class OrganizationRole(Row):
    """A role of the organization with its rights. A null list of rights is unknown, not "no rights"."""

    RoleId: IdText
    RoleName: Text | None = None
    IsSystemRole: Flag | None = None
    AuthConfigList: tuple[AuthConfig, ...] | None = None

    def key(self) -> tuple[str, ...]:
        """The role id."""
        return (self.RoleId,)


class ListOrganizationRoles(QuickBiWhole[OrganizationRole]):
    """Roles of the organization, preset and custom, in one answer."""

    action: ClassVar[str] = "ListOrganizationRoles"
    Answer: ClassVar[type[Reply]] = WholePage[OrganizationRole]


class OrganizationRoleUser(Row):
    """A holder of a role of the organization."""

    UserId: IdText
    NickName: Text | None = None

    def key(self) -> tuple[str, ...]:
        """The Quick BI user id."""
        return (self.UserId,)


class ListOrganizationRoleUsers(QuickBiList[OrganizationRoleUser]):
    """Holders of one role of the organization. The vendor states a default page size of 10 and no maximum."""

    action: ClassVar[str] = "ListOrganizationRoleUsers"
    Answer: ClassVar[type[Reply]] = DataPage[OrganizationRoleUser]
    RoleId: DigitsAsInt


class WorkspaceAuthConfig(Reply):
    """One right of a workspace role: a kind of object, and what may be done with it."""

    AuthKey: Text | None = None
    ActionAuthKeys: tuple[Text, ...] | None = None


class DefinedWorkspaceRole(Row):
    """A role that a workspace has, with its rights. A null list of rights is unknown, not "no rights"."""

    RoleId: IdText
    RoleName: Text | None = None
    IsSystemRole: Flag | None = None
    AuthConfigList: tuple[WorkspaceAuthConfig, ...] | None = None

    def key(self) -> tuple[str, ...]:
        """The role id."""
        return (self.RoleId,)


class ListWorkspaceRoles(QuickBiWhole[DefinedWorkspaceRole]):
    """Roles of one workspace, preset and custom, in one answer."""

    action: ClassVar[str] = "ListWorkspaceRoles"
    Answer: ClassVar[type[Reply]] = WholePage[DefinedWorkspaceRole]
    WorkspaceId: Token


class WorkspaceRoleUser(Row):
    """A holder of a workspace role in one workspace."""

    UserId: IdText
    NickName: Text | None = None
    WorkspaceId: OptionalId = None
    WorkspaceName: Text | None = None

    def key(self) -> tuple[str, ...]:
        """Workspace and Quick BI user id."""
        return (self.WorkspaceId or "", self.UserId)


class ListWorkspaceRoleUsers(QuickBiList[WorkspaceRoleUser]):
    """Holders of one workspace role, in one workspace or in all of them; page size at most 1000."""

    action: ClassVar[str] = "ListWorkspaceRoleUsers"
    Answer: ClassVar[type[Reply]] = DataPage[WorkspaceRoleUser]
    page_size: ClassVar[int] = 500
    RoleId: DigitsAsInt
    WorkspaceId: Token | None = None
