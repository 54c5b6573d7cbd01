"""Tencent Cloud WeData 2025-08-06: projects, members, roles, and the walk over catalog resources.

Sources: the vendor's Python SDK models and CLI metadata of version 2025-08-06.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Generic

from rescind.cloud.base import ListRequest, Page, Reply, Row, RowT
from rescind.cloud.fields import Digits, DigitsAsInt, Flag, IdText, NameText, Number, OptionalId, SearchText, Text
from rescind.cloud.wedata.base import ItemsPage, WeDataCall, WeDataList


class Project(Row):
    """A WeData project. ``Status``: 0 disabled, 1 enabled, -3 disabling, 2 enabling.

    A null ``CreatorUin`` or ``ProjectOwnerUin`` is unknown: the vendor's null says that no valid value was found.
    """

    ProjectId: IdText
    ProjectName: Text | None = None
    DisplayName: Text | None = None
    CreatorUin: OptionalId = None
    ProjectOwnerUin: OptionalId = None
    Status: Number | None = None
    ProjectModel: Text | None = None

    def key(self) -> tuple[str, ...]:
        """The project id."""
        return (self.ProjectId,)


class ListProjects(WeDataList[Project]):
    """Projects of the tenant, whatever the caller may see in them."""

    action: ClassVar[str] = "ListProjects"
    Answer: ClassVar[type[Reply]] = ItemsPage[Project]
    page_size: ClassVar[int] = 50
    null_at_zero: ClassVar[bool] = True
    PageNumber: int | None = None
    PageSize: int | None = None
    ProjectName: SearchText | None = None


class SystemRole(Row):
    """A role of a project or of the platform."""

    RoleId: IdText
    RoleName: Text | None = None
    RoleDisplayName: Text | None = None
    Description: Text | None = None

    def key(self) -> tuple[str, ...]:
        """The role id."""
        return (self.RoleId,)


class ProjectMember(Row):
    """A member with roles; phone and mail are not modeled.

    ``UserUin`` is null in an official sample: such a member is a person whose id is unknown. Null ``Roles`` and null
    flags are unknown too, not "none" and "no".
    """

    UserUin: OptionalId = None
    UserName: Text | None = None
    DisplayName: Text | None = None
    Roles: tuple[SystemRole, ...] | None = None
    IsCreator: Flag | None = None
    IsProjectOwner: Flag | None = None
    CreateTime: Text | None = None

    def key(self) -> tuple[str, ...]:
        """The user id. When the vendor left it out: all that tells two such members apart."""
        if self.UserUin:
            return (self.UserUin,)
        roles = sorted(role.RoleId for role in self.Roles or ())
        flags = (str(self.IsCreator), str(self.IsProjectOwner))
        return ("", self.UserName or "", self.DisplayName or "", self.CreateTime or "", *flags, *roles)


class ListProjectMembers(WeDataList[ProjectMember]):
    """Members of one project with their roles. The vendor's filters are fuzzy, so none is offered."""

    action: ClassVar[str] = "ListProjectMembers"
    Answer: ClassVar[type[Reply]] = ItemsPage[ProjectMember]
    page_size: ClassVar[int] = 50
    null_at_zero: ClassVar[bool] = True
    ProjectId: Digits
    PageNumber: int | None = None
    PageSize: int | None = None


class ListProjectRoles(WeDataList[SystemRole]):
    """Roles of one project."""

    action: ClassVar[str] = "ListProjectRoles"
    Answer: ClassVar[type[Reply]] = ItemsPage[SystemRole]
    page_size: ClassVar[int] = 50
    null_at_zero: ClassVar[bool] = True
    ProjectId: Digits
    PageNumber: int | None = None
    PageSize: int | None = None


class ListTenantRolesAnswer(Page[SystemRole]):
    """A plain list without paging and without a declared total."""

    Data: tuple[SystemRole, ...] | None = None

    def rows(self) -> Sequence[SystemRole] | None:
        """The roles, or None for null."""
        return self.Data


class ListTenantRoles(WeDataCall, ListRequest[SystemRole]):
    """Platform roles; their members cannot be listed through this version."""

    action: ClassVar[str] = "ListTenantRoles"
    Answer: ClassVar[type[Reply]] = ListTenantRolesAnswer


# --- the walk: catalog, database, schema, table -------------------------------------------------------


class _Walk(WeDataList[RowT], Generic[RowT]):
    """PageNumber and PageSize are required, at most 500; of the answer only ``TotalCount`` is reliable."""

    page_size: ClassVar[int] = 500
    PageNumber: int = 1
    PageSize: int = 500


class Catalog(Row):
    """A catalog: a name, nothing else."""

    Name: Text

    def key(self) -> tuple[str, ...]:
        """The name."""
        return (self.Name,)


class ListCatalog(_Walk[Catalog]):
    """Catalogs."""

    action: ClassVar[str] = "ListCatalog"
    Answer: ClassVar[type[Reply]] = ItemsPage[Catalog]


class Database(Row):
    """A database of a catalog or of a data source."""

    Name: Text
    Guid: Text | None = None
    CatalogName: Text | None = None
    DatasourceId: OptionalId = None
    DatasourceType: Text | None = None

    def key(self) -> tuple[str, ...]:
        """Guid and names."""
        return (self.Guid or "", self.CatalogName or "", self.DatasourceId or "", self.Name)


class ListDatabase(_Walk[Database]):
    """Databases, of one catalog or one data source."""

    action: ClassVar[str] = "ListDatabase"
    Answer: ClassVar[type[Reply]] = ItemsPage[Database]
    CatalogName: NameText | None = None
    DatasourceId: DigitsAsInt | None = None


class Schema(Row):
    """A schema of a database."""

    Name: Text
    Guid: Text | None = None
    DatabaseName: Text | None = None

    def key(self) -> tuple[str, ...]:
        """Guid and names."""
        return (self.Guid or "", self.DatabaseName or "", self.Name)


class ListSchema(_Walk[Schema]):
    """Schemas of a catalog, database or data source."""

    action: ClassVar[str] = "ListSchema"
    Answer: ClassVar[type[Reply]] = ItemsPage[Schema]
    CatalogName: NameText | None = None
    DatabaseName: NameText | None = None
    DatasourceId: DigitsAsInt | None = None


class Table(Row):
    """A table.

    A name may hold a dot; then its permission path cannot be told from that of another object. The second part of
    the path is ``SchemaName``, or ``DatabaseName`` when that is empty; which of
    them is not documented, so confirm it with ListPermissions.
    """

    class _Technical(Reply):
        Owner: Text | None = None

    Name: Text
    Guid: Text | None = None
    CatalogName: Text | None = None
    DatabaseName: Text | None = None
    SchemaName: Text | None = None
    TableType: Text | None = None
    DatasourceId: OptionalId = None
    TechnicalMetadata: _Technical | None = None

    @property
    def owner(self) -> str | None:
        """The owner in the vendor's technical metadata, in no documented form; None is unknown."""
        return self.TechnicalMetadata.Owner if self.TechnicalMetadata else None

    def key(self) -> tuple[str, ...]:
        """Guid and names."""
        return (self.Guid or "", self.CatalogName or "", self.DatabaseName or "", self.SchemaName or "", self.Name)


class ListTable(_Walk[Table]):
    """Tables of a catalog, database, schema or data source."""

    action: ClassVar[str] = "ListTable"
    Answer: ClassVar[type[Reply]] = ItemsPage[Table]
    CatalogName: NameText | None = None
    DatabaseName: NameText | None = None
    SchemaName: NameText | None = None
    DatasourceId: DigitsAsInt | None = None
