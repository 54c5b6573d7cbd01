"""Alibaba Cloud DMS Enterprise 2018-11-01: tenant, users, instances, databases, tables, ownership.

Account fields of instances (``DatabaseUser``, ``DatabasePassword``), phones, mails, robots and webhooks of users
are not modeled. Sources: the vendor's Python SDK models and CLI metadata.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, model_validator

from rescind.cloud.base import Reply, Row
from rescind.cloud.dms.permissions import CountedPage, DmsList, DmsRead
from rescind.cloud.fields import Flag, IdText, OptionalId, SearchText, Text, Token


def _told(value: object) -> object:
    """Return a flag as it is. Everything else says nothing, and makes no listing of instances unreadable."""
    return value if isinstance(value, bool) or value in ("true", "false") else None


class _OwnerIds(Reply):
    OwnerIds: tuple[IdText, ...] | None = None


class _OwnerNames(Reply):
    OwnerNames: tuple[Text, ...] | None = None


class _Owned(Row):
    OwnerIdList: _OwnerIds | None = None
    OwnerNameList: _OwnerNames | None = None

    @property
    def owner_ids(self) -> tuple[str, ...] | None:
        """DMS user ids of the owners; None when the answer does not say, which is not "no owner"."""
        return self.OwnerIdList.OwnerIds if self.OwnerIdList else None

    @property
    def owner_names(self) -> tuple[str, ...] | None:
        """Nicknames of the owners; None when the answer does not say."""
        return self.OwnerNameList.OwnerNames if self.OwnerNameList else None

    @property
    def tells_all_owners(self) -> bool:
        """Whether the ids are those of all owners. Without ids, the names must say too that there is no owner."""
        told = self.owner_ids or (self.owner_ids is not None and self.owner_names is not None)
        return bool(told) and not self.owner_without_id

    @property
    def owner_without_id(self) -> bool:
        """Whether there are more names than ids, so that the ids are not those of all owners."""
        return len(self.owner_names or ()) > len(self.owner_ids or ())


# --- tenant and users ---------------------------------------------------------------------------------


class DmsTenant(Reply):
    """A tenant. ``Status``: ACTIVE, IN_ACTIVE."""

    Tid: IdText
    TenantName: Text | None = None
    Status: Text | None = None


class GetUserActiveTenantAnswer(Reply):
    """The caller's active tenant."""

    Tenant: DmsTenant


class GetUserActiveTenant(DmsRead[GetUserActiveTenantAnswer]):
    """The tenant that the caller is using now."""

    action: ClassVar[str] = "GetUserActiveTenant"
    Answer: ClassVar[type[Reply]] = GetUserActiveTenantAnswer


class DmsUser(Row):
    """A DMS user. ``UserId`` is DMS's own id, ``Uid`` the cloud account's. ``State``: NORMAL, DISABLE, DELETE."""

    class _RoleIds(Reply):
        RoleIds: tuple[IdText, ...] | None = None

    class _RoleNames(Reply):
        RoleNames: tuple[Text, ...] | None = None

    UserId: IdText
    Uid: OptionalId = None
    NickName: Text | None = None
    State: Text | None = None
    LastLoginTime: Text | None = None
    ParentUid: OptionalId = None
    RoleIdList: _RoleIds | None = None
    RoleNameList: _RoleNames | None = None

    @property
    def role_names(self) -> tuple[str, ...] | None:
        """USER, DBA, ADMIN, SECURITY_ADMIN, STRUCT_READ_ONLY ...; None when the answer does not say."""
        return self.RoleNameList.RoleNames if self.RoleNameList else None

    def key(self) -> tuple[str, ...]:
        """The DMS user id."""
        return (self.UserId,)


class ListUsersAnswer(CountedPage[DmsUser]):
    """``UserList.User`` with ``TotalCount``."""

    class _Wrap(Reply):
        User: tuple[DmsUser, ...] | None = None

    UserList: _Wrap | None = None

    def rows(self) -> Sequence[DmsUser] | None:
        """The users, or None for null."""
        return self.UserList.User if self.UserList else None


class ListUsers(DmsList[DmsUser]):
    """Users of the tenant; page size 10, 20, 50 or 100."""

    action: ClassVar[str] = "ListUsers"
    Answer: ClassVar[type[Reply]] = ListUsersAnswer
    needs_total: ClassVar[bool] = True
    UserState: Literal["NORMAL", "DISABLE", "DELETE"] | None = None
    Role: Text | None = None


class GetUserAnswer(Reply):
    """One user."""

    User: DmsUser


class GetUser(DmsRead[GetUserAnswer]):
    """One user by DMS id or by cloud account id; exactly one of the two."""

    action: ClassVar[str] = "GetUser"
    Answer: ClassVar[type[Reply]] = GetUserAnswer
    UserId: Token | None = None
    Uid: Token | None = None

    @model_validator(mode="after")
    def _one(self) -> GetUser:
        if (self.UserId is None) == (self.Uid is None):
            raise ValueError("give exactly one of UserId and Uid")
        return self


# --- objects ------------------------------------------------------------------------------------------


class DmsInstance(_Owned):
    """A database instance. ``State``: NORMAL, DISABLE.

    ``StandardGroup.GroupMode``: COMMON (security collaboration), STABLE (stable change), NONE_CONTROL (flexible: a
    database password is enough); null means unknown. ``DbaId`` is the DMS user id of the instance's DBA.
    ``SellSitd``: sensitive data protection is on; None where the answer does not say it as a flag.
    """

    class _Standard(Reply):
        GroupMode: Text | None = None
        GroupName: Text | None = None

    InstanceId: IdText
    InstanceAlias: Text | None = None
    InstanceType: Text | None = None
    InstanceSource: Text | None = None
    EnvType: Text | None = None
    State: Text | None = None
    DbaId: OptionalId = None
    DbaNickName: Text | None = None
    StandardGroup: _Standard | None = None
    SellSitd: Annotated[Flag | None, BeforeValidator(_told)] = None

    def key(self) -> tuple[str, ...]:
        """The instance id."""
        return (self.InstanceId,)


class DmsDatabase(_Owned):
    """A physical database; its id is called ``DatabaseId`` here and ``DbId`` elsewhere.

    ``State``: NORMAL, DISABLE, OFFLINE, NOT_EXIST.
    """

    DatabaseId: IdText
    InstanceId: OptionalId = None
    SchemaName: Text | None = None
    CatalogName: Text | None = None
    SearchName: Text | None = None
    DbType: Text | None = None
    EnvType: Text | None = None
    State: Text | None = None
    DbaId: OptionalId = None
    DbaName: Text | None = None

    def key(self) -> tuple[str, ...]:
        """The database id."""
        return (self.DatabaseId,)


class DmsLogicDatabase(_Owned):
    """A logical database made of physical ones."""

    class _Parts(Reply):
        DatabaseIds: tuple[IdText, ...] | None = None

    DatabaseId: IdText
    Alias: Text | None = None
    SchemaName: Text | None = None
    SearchName: Text | None = None
    DbType: Text | None = None
    EnvType: Text | None = None
    Logic: Flag | None = None
    DatabaseIds: _Parts | None = None

    @property
    def part_ids(self) -> tuple[str, ...]:
        """Ids of its physical databases; empty when the vendor names none."""
        return (self.DatabaseIds.DatabaseIds if self.DatabaseIds else None) or ()

    def key(self) -> tuple[str, ...]:
        """The logical database id."""
        return (self.DatabaseId,)


class ListInstancesAnswer(CountedPage[DmsInstance]):
    """``InstanceList.Instance`` with ``TotalCount``."""

    class _Wrap(Reply):
        Instance: tuple[DmsInstance, ...] | None = None

    InstanceList: _Wrap | None = None

    def rows(self) -> Sequence[DmsInstance] | None:
        """The instances, or None for null."""
        return self.InstanceList.Instance if self.InstanceList else None


class ListDatabasesAnswer(CountedPage[DmsDatabase]):
    """``DatabaseList.Database`` with ``TotalCount``."""

    class _Wrap(Reply):
        Database: tuple[DmsDatabase, ...] | None = None

    DatabaseList: _Wrap | None = None

    def rows(self) -> Sequence[DmsDatabase] | None:
        """The databases, or None for null."""
        return self.DatabaseList.Database if self.DatabaseList else None


class ListLogicDatabasesAnswer(CountedPage[DmsLogicDatabase]):
    """``LogicDatabaseList.LogicDatabase`` with ``TotalCount``."""

    class _Wrap(Reply):
        LogicDatabase: tuple[DmsLogicDatabase, ...] | None = None

    LogicDatabaseList: _Wrap | None = None

    def rows(self) -> Sequence[DmsLogicDatabase] | None:
        """The logical databases, or None for null."""
        return self.LogicDatabaseList.LogicDatabase if self.LogicDatabaseList else None


class ListInstances(DmsList[DmsInstance]):
    """Instances of the tenant; page size at most 100."""

    action: ClassVar[str] = "ListInstances"
    Answer: ClassVar[type[Reply]] = ListInstancesAnswer
    needs_total: ClassVar[bool] = True
    SearchKey: SearchText | None = None


class ListDatabases(DmsList[DmsDatabase]):
    """Physical databases of one instance."""

    action: ClassVar[str] = "ListDatabases"
    Answer: ClassVar[type[Reply]] = ListDatabasesAnswer
    needs_total: ClassVar[bool] = True
    InstanceId: Token


class ListLogicDatabases(DmsList[DmsLogicDatabase]):
    """Logical databases of the tenant."""

    action: ClassVar[str] = "ListLogicDatabases"
    Answer: ClassVar[type[Reply]] = ListLogicDatabasesAnswer
    needs_total: ClassVar[bool] = True


class OwnedResource(Row):
    """Something that a user owns."""

    InstanceId: OptionalId = None
    DbId: OptionalId = None
    TableId: OptionalId = None
    TableName: Text | None = None
    SchemaName: Text | None = None
    SearchName: Text | None = None
    Alias: Text | None = None
    EnvType: Text | None = None
    DbType: Text | None = None
    Logic: Flag | None = None

    def key(self) -> tuple[str, ...]:
        """The ids of the object."""
        return (self.InstanceId or "", self.DbId or "", str(self.Logic), self.TableId or "", self.TableName or "")


class ListUserOwnedResourcesAnswer(CountedPage[OwnedResource]):
    """``Data.resourceList``; ``TotalCount`` is usually not returned."""

    class _Data(Reply):
        resourceList: tuple[OwnedResource, ...] | None = None  # noqa: N815 - the vendor's spelling

    Data: _Data | None = None

    def rows(self) -> Sequence[OwnedResource] | None:
        """The resources, or None for null."""
        return self.Data.resourceList if self.Data else None

    def total(self) -> int | None:
        """``TotalCount``, when there is one. The vendor leaves it at 0 by default, so 0 declares nothing."""
        return self.TotalCount or None


class ListUserOwnedResources(DmsList[OwnedResource]):
    """What a user owns, by kind of object; no kind stands for logical tables. The total is usually left out."""

    action: ClassVar[str] = "ListUserOwnedResources"
    Answer: ClassVar[type[Reply]] = ListUserOwnedResourcesAnswer
    UserId: Token
    OwnerType: Literal["INSTANCE", "DATABASE", "TABLE"]
    Logic: bool | None = None
