"""Alibaba Cloud DMS Enterprise 2018-11-01: permissions of users, granting and revoking.

Sources: the vendor's help page of RevokeUserPermission, the vendor's Python SDK models (3.0.0 and 1.77.0) and
CLI metadata. All ids are text here; ``InstanceId`` goes as a number in writes and as text in reads, which
is the same on the wire of a query string.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Generic, Literal

from pydantic import StringConstraints, model_validator

from rescind.cloud.base import ListRequest, Page, ReadRequest, Reply, ReplyT, Row, RowT, WriteRequest
from rescind.cloud.fields import Count, DateText, Flag, IdText, NameText, NumericId, OptionalId, Text, Token

VERSION = "2018-11-01"

TenantId = Annotated[str, StringConstraints(strict=True, pattern=r"^-?[0-9]{1,19}$")]
"""A tenant id; ``-1`` occurs in the vendor's examples."""

WriteTenantId = Annotated[str, StringConstraints(strict=True, pattern=r"^(?:-1|[1-9][0-9]{0,18})$")]
"""A tenant id of a write."""

ObjectType = Literal["INSTANCE", "DATABASE", "LOGIC_DATABASE", "TABLE", "LOGIC_TABLE"]
PrivilegeName = Literal["QUERY", "EXPORT", "CORRECT", "LOGIN", "PERF"]
ObjectKind = Literal["INSTANCE", "DATABASE", "TABLE", "COLUMN"]


class Product:
    """What every DMS message shares. The vendor publishes no rate limit for DMS; 5 per second is our choice."""

    vendor: ClassVar[str] = "alibaba"
    service: ClassVar[str] = "dms"
    version: ClassVar[str] = VERSION
    rate: ClassVar[float] = 5.0


class DmsRead(Product, ReadRequest[ReplyT], Generic[ReplyT]):
    """A DMS read; ``Tid`` is the tenant, always sent once known."""

    Tid: TenantId | None = None


class DmsList(Product, ListRequest[RowT], Generic[RowT]):
    """A DMS listing with integer paging."""

    page_field: ClassVar[str] = "PageNumber"
    size_field: ClassVar[str] = "PageSize"
    Tid: TenantId | None = None
    PageNumber: int | None = None
    PageSize: int | None = None


class DmsWhole(Product, ListRequest[RowT], Generic[RowT]):
    """A DMS listing without paging: one answer holds everything and declares no total."""

    Tid: TenantId | None = None


class DmsTextList(DmsList[RowT], Generic[RowT]):
    """A DMS listing whose paging fields are text, and whose answer has neither ``Success`` nor a total."""

    text_paging: ClassVar[bool] = True
    needs_success: ClassVar[bool] = False
    PageNumber: str | None = None  # type: ignore[assignment]
    PageSize: str | None = None  # type: ignore[assignment]


class CountedPage(Page[RowT], Generic[RowT]):
    """A page with ``TotalCount``."""

    TotalCount: Count | None = None

    def total(self) -> int | None:
        """``TotalCount``."""
        return self.TotalCount


class Envelope(Reply):
    """An answer without payload: the envelope was checked before."""


# --- writes -------------------------------------------------------------------------------------------


class _PermissionWrite(Product, WriteRequest[Envelope]):
    """Object fields as the listing row shows them; which ones are needed follows from ``DsType``."""

    Answer: ClassVar[type[Reply]] = Envelope
    UserId: NumericId
    DsType: ObjectType
    PermTypes: PrivilegeName
    InstanceId: NumericId | None = None
    DbId: NumericId | None = None
    Logic: bool | None = None
    TableId: NumericId | None = None
    TableName: NameText | None = None
    Tid: WriteTenantId | None = None

    @model_validator(mode="after")
    def _consistent(self) -> _PermissionWrite:
        table = self.DsType in ("TABLE", "LOGIC_TABLE")
        if self.TableName and set(self.TableName) <= {"*", "%"}:
            raise ValueError("TableName is a wildcard")
        if self.DsType == "INSTANCE":
            if not self.InstanceId:
                raise ValueError("InstanceId is needed for an instance permission")
            if self.DbId or self.TableId or self.TableName or self.Logic is not None:
                raise ValueError("an instance permission has no database and no table")
            return self
        if not self.DbId:
            raise ValueError(f"DbId is needed for {self.DsType}")
        if self.Logic is not self.DsType.startswith("LOGIC_"):
            raise ValueError(f"Logic must be {not self.Logic} for {self.DsType}")
        if table and not self.TableId:
            raise ValueError(f"TableId is needed for {self.DsType}")
        if not table and (self.TableId or self.TableName):
            raise ValueError(f"{self.DsType} has no table")
        return self

    def wire(self) -> dict[str, Any]:
        """The parameters that belong to the object kind, each one checked above."""
        out: dict[str, Any] = {"UserId": self.UserId, "DsType": self.DsType, "PermTypes": self.PermTypes}
        if self.Tid is not None:
            out["Tid"] = self.Tid
        if self.InstanceId is not None:
            out["InstanceId"] = self.InstanceId
        if self.DsType == "INSTANCE":
            return out
        out["DbId"] = self.DbId
        out["Logic"] = self.Logic
        if self.TableId is not None:
            out["TableId"] = self.TableId
        if self.TableName is not None:
            out["TableName"] = self.TableName
        return out


class RevokeUserPermission(_PermissionWrite):
    """Take one permission record (``UserAccessId``) from a user. One record, one privilege per call."""

    action: ClassVar[str] = "RevokeUserPermission"
    UserAccessId: NumericId

    def wire(self) -> dict[str, Any]:
        """Object fields and the record id."""
        return {**super().wire(), "UserAccessId": self.UserAccessId}


class GrantUserPermission(_PermissionWrite):
    """Give one privilege until ``ExpireDate``. The new record gets a new ``UserAccessId``."""

    action: ClassVar[str] = "GrantUserPermission"
    ExpireDate: DateText

    def wire(self) -> dict[str, Any]:
        """Object fields and the end date."""
        return {**super().wire(), "ExpireDate": self.ExpireDate}


# --- records of permission ----------------------------------------------------------------------------


class PermRecord(Reply):
    """One record: one privilege of one user on one object. Dates are the vendor's text, without zone."""

    UserAccessId: IdText
    PermType: Text
    CreateDate: Text | None = None
    ExpireDate: Text | None = None
    OriginFrom: Text | None = None
    ExtraData: Text | None = None


class UserPermissionRow(Row):
    """All records of one user on one object. Instance rows carry no ``DsType`` in one of the listings."""

    class _Details(Reply):
        PermDetail: tuple[PermRecord, ...]

    UserId: IdText
    UserNickName: Text | None = None
    DsType: Text | None = None
    InstanceId: OptionalId = None
    DbId: OptionalId = None
    Logic: Flag | None = None
    TableId: OptionalId = None
    TableName: Text | None = None
    ColumnName: Text | None = None
    SchemaName: Text | None = None
    SearchName: Text | None = None
    Alias: Text | None = None
    EnvType: Text | None = None
    DbType: Text | None = None
    PermDetails: _Details

    @property
    def details(self) -> tuple[PermRecord, ...]:
        """The records."""
        return self.PermDetails.PermDetail

    def key(self) -> tuple[str, ...]:
        """User, object, and the ids of the records."""
        place = (self.DsType, self.InstanceId, self.DbId, str(self.Logic), self.TableId, self.TableName)
        records = sorted(detail.UserAccessId for detail in self.details)
        return (self.UserId, *(part or "" for part in place), self.ColumnName or "", *records)


class UserPermissionsAnswer(CountedPage[UserPermissionRow]):
    """``UserPermissions.UserPermission`` with ``TotalCount``, which counts rows (objects)."""

    class _Wrap(Reply):
        UserPermission: tuple[UserPermissionRow, ...] | None = None

    UserPermissions: _Wrap | None = None

    def rows(self) -> Sequence[UserPermissionRow] | None:
        """The rows, or None for null."""
        return self.UserPermissions.UserPermission if self.UserPermissions else None


class _Permissions(DmsList[UserPermissionRow]):
    Answer: ClassVar[type[Reply]] = UserPermissionsAnswer
    needs_total: ClassVar[bool] = True


class ListUserPermissions(_Permissions):
    """Records of one user for one object kind; a whole picture takes four walks (one per kind)."""

    action: ClassVar[str] = "ListUserPermissions"
    UserId: Token
    PermType: ObjectKind
    Logic: bool | None = None


class ListDatabaseUserPermssions(_Permissions):
    """All users' records on one database, its tables or its columns. The name is the vendor's spelling."""

    action: ClassVar[str] = "ListDatabaseUserPermssions"
    DbId: Token
    PermType: Literal["DATABASE", "TABLE", "COLUMN"]
    Logic: bool | None = None


class ListInstanceUserPermissions(_Permissions):
    """All users' records on one instance; rows carry no ``DsType`` and no database fields."""

    action: ClassVar[str] = "ListInstanceUserPermissions"
    InstanceId: Token


# --- effective access, whatever its source ------------------------------------------------------------


class Right(Reply):
    """How a right came about: ordinary grants have the first three, policies carry ``Message``."""

    DsType: Text | None = None
    PermType: Text | None = None
    ExpireDate: Text | None = None
    Message: Text | None = None


class AuthorizedInstance(Row):
    """An instance that a user can reach."""

    InstanceId: IdText
    UserId: OptionalId = None
    InstanceAlias: Text | None = None
    EnvType: Text | None = None
    PermissionDetail: Right | None = None

    def key(self) -> tuple[str, ...]:
        """Instance and the right."""
        return (self.InstanceId, *_right(self.PermissionDetail))


class AuthorizedDatabase(Row):
    """A database that a user can reach."""

    DbId: IdText
    InstanceId: OptionalId = None
    UserId: OptionalId = None
    Logic: Flag | None = None
    SchemaName: Text | None = None
    SearchName: Text | None = None
    EnvType: Text | None = None
    PermissionDetail: Right | None = None

    def key(self) -> tuple[str, ...]:
        """Database and the right."""
        return (self.DbId, str(self.Logic), *_right(self.PermissionDetail))


class AuthorizedUser(Row):
    """A user that can reach an object."""

    UserId: IdText
    Uid: OptionalId = None
    UserNickName: Text | None = None

    def key(self) -> tuple[str, ...]:
        """The DMS user id."""
        return (self.UserId,)


def _right(detail: Right | None) -> tuple[str, ...]:
    parts = (detail.DsType, detail.PermType, detail.ExpireDate, detail.Message) if detail else ()
    return tuple(part or "" for part in parts)


class _InstancesAnswer(Page[AuthorizedInstance]):
    Instances: tuple[AuthorizedInstance, ...] | None = None

    def rows(self) -> Sequence[AuthorizedInstance] | None:
        return self.Instances


class _DatabasesAnswer(Page[AuthorizedDatabase]):
    Databases: tuple[AuthorizedDatabase, ...] | None = None

    def rows(self) -> Sequence[AuthorizedDatabase] | None:
        return self.Databases


class _UsersAnswer(Page[AuthorizedUser]):
    Users: tuple[AuthorizedUser, ...] | None = None

    def rows(self) -> Sequence[AuthorizedUser] | None:
        return self.Users


class ListAuthorizedInstancesForUser(DmsTextList[AuthorizedInstance]):
    """Instances that a user can reach, whatever the source of the right."""

    action: ClassVar[str] = "ListAuthorizedInstancesForUser"
    Answer: ClassVar[type[Reply]] = _InstancesAnswer
    UserId: Token


class ListAuthorizedDatabasesForUser(DmsTextList[AuthorizedDatabase]):
    """Databases that a user can reach, whatever the source of the right."""

    action: ClassVar[str] = "ListAuthorizedDatabasesForUser"
    Answer: ClassVar[type[Reply]] = _DatabasesAnswer
    UserId: Token
    Logic: bool | None = None


class ListAuthorizedUsersForInstance(DmsTextList[AuthorizedUser]):
    """Users that can reach an instance, whatever the source of the right."""

    action: ClassVar[str] = "ListAuthorizedUsersForInstance"
    Answer: ClassVar[type[Reply]] = _UsersAnswer
    InstanceId: Token


class ListAuthorizedUsersForDatabase(DmsTextList[AuthorizedUser]):
    """Users that can reach a database, whatever the source of the right."""

    action: ClassVar[str] = "ListAuthorizedUsersForDatabase"
    Answer: ClassVar[type[Reply]] = _UsersAnswer
    DbId: Token
    Logic: bool | None = None
