"""One grant of each vendor call: how it is revoked, which listing shows it, and which rows of that listing are it.

The field names are the parameters of the revoke operators, so the same mapping describes a grant to the revoke
operator, to the verify operator and to the sensor.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, ClassVar, get_args

from pydantic import Field, model_validator

from rescind.cloud.base import ListRequest, Part, WriteRequest
from rescind.cloud.dms.permissions import (
    ListUserPermissions,
    ObjectType,
    PrivilegeName,
    RevokeUserPermission,
    UserPermissionRow,
)
from rescind.cloud.quickbi.menus import CancelAuthorizationMenu, ListPortalMenuAuthorization, MenuAuthorization
from rescind.cloud.wedata.data_sources import (
    DescribeDataSourceAuthority,
    FromProject,
    FromUser,
    RevokeDataSourceAuthorization,
)
from rescind.cloud.wedata.privileges import (
    ListPermissions,
    PermissionRow,
    Privilege,
    PrivilegeResource,
    RevokePrivileges,
    Subject,
)
from rescind.errors import ListingIncompleteError
from rescind.hooks.base import CloudHook
from rescind.hooks.dms import DmsHook
from rescind.hooks.quickbi import QuickBiHook
from rescind.hooks.single_calls.grant_listing import AuthorizationRow
from rescind.hooks.wedata import WeDataHook
from rescind.model import GrantKey, PrincipalType
from rescind.systems.quickbi.menu_listing import LEVELS
from rescind.systems.wedata.permission_grants import inherited_from, principal_type

_USER, _GROUP = 0, 1
"""Receiver types of Quick BI that its revoke call can name."""


class VendorGrant(Part):
    """Base of the four descriptions. Unknown fields and wrong types raise an ``InputError``.

    :cvar hook: hook class of the vendor product.
    :cvar system: name of the permission system that reviews know these grants by.
    """

    hook: ClassVar[type[CloudHook]]
    system: ClassVar[str]

    @abstractmethod
    def revoke_request(self) -> WriteRequest[Any]:
        """Return the request that revokes this grant.

        :raises InputError: for a value that no such request can have.
        """

    @abstractmethod
    def keys(self, account: str) -> Iterator[GrantKey]:
        """Yield the identity of each grant that the request can revoke, as reviews name it."""

    @abstractmethod
    def listing(self) -> ListRequest[Any] | DescribeDataSourceAuthority:
        """Return the complete listing that shows this grant while it exists."""

    @abstractmethod
    def found_in(self, rows: Sequence[Any]) -> list[str]:
        """Return one text for each place where the listing still shows this grant; empty if nowhere.

        :raises ListingIncompleteError: for a row that does not belong to the listing.
        """

    @classmethod
    @abstractmethod
    def from_row(cls, request: Any, row: Any) -> Iterator[VendorGrant]:
        """Yield each grant of a listed row that one revoke call can remove. Other grants are left out."""

    def described(self) -> dict[str, Any]:
        """Return the fields that were given, as JSON values."""
        return self.model_dump(mode="json", exclude_defaults=True)


class WeDataPrivilege(VendorGrant):
    """One privilege of one subject on one catalog-mode object."""

    hook: ClassVar[type[CloudHook]] = WeDataHook
    system: ClassVar[str] = "wedata_privileges"
    resource_type: str
    resource_uri: str
    subject_type: str
    subject_value: str
    privilege: str

    def revoke_request(self) -> RevokePrivileges:
        """One object, one subject, one privilege."""
        subject: dict[str, Any] = {"SubjectType": self.subject_type, "SubjectValues": (self.subject_value,)}
        return RevokePrivileges(
            Resources=(self._resource(),), Subjects=(Subject(**subject),), Privileges=(Privilege(Name=self.privilege),)
        )

    def keys(self, account: str) -> Iterator[GrantKey]:
        """The one privilege."""
        receiver = (principal_type(self.subject_type, self.subject_value), self.subject_value)
        yield GrantKey(self.system, account, self.resource_type.lower(), self.resource_uri, *receiver, self.privilege)

    def listing(self) -> ListPermissions:
        """The permissions on the object."""
        return ListPermissions(Resource=self._resource())

    def found_in(self, rows: Sequence[PermissionRow]) -> list[str]:
        """A privilege that the object inherits counts as found: it remains effective there."""
        wanted = (self.subject_type.casefold(), self.subject_value, self.privilege.casefold())
        found = []
        for row in rows:
            about = ((row.Resource.ResourceType or "").casefold(), row.Resource.ResourceUri)
            if about != (self.resource_type.casefold(), self.resource_uri):
                raise ListingIncompleteError("ListPermissions", "a row is about another object")
            for subject in row.SubjectDetails:
                for detail in row.PermissionDetails:
                    if (subject.SubjectType.casefold(), subject.SubjectValue, detail.Name.casefold()) == wanted:
                        source = inherited_from(self.resource_uri, detail)
                        found.append(f"inherited from {source}" if source else "direct grant")
        return found

    @classmethod
    def from_row(cls, request: Any, row: PermissionRow) -> Iterator[WeDataPrivilege]:
        """Every subject of the row with every privilege that is granted on this object itself."""
        kind, uri = row.Resource.ResourceType or "", row.Resource.ResourceUri or ""
        for subject in row.SubjectDetails:
            for detail in row.PermissionDetails:
                if subject.SubjectType in _SUBJECT_TYPES and not inherited_from(uri, detail):
                    yield cls(
                        resource_type=kind,
                        resource_uri=uri,
                        subject_type=subject.SubjectType,
                        subject_value=subject.SubjectValue,
                        privilege=detail.Name,
                    )

    def _resource(self) -> PrivilegeResource:
        return PrivilegeResource(ResourceType=self.resource_type, ResourceUri=self.resource_uri)


_SUBJECT_TYPES = get_args(Subject.model_fields["SubjectType"].annotation)


class WeDataDataSourceAuthorization(VendorGrant):
    """A data source, authorized to one user inside one project, or to a whole project.

    :param user_id: the user. It may be missing only with ``whole_project``, never because a template found none.
    :param whole_project: the authorization of the project itself.
    """

    hook: ClassVar[type[CloudHook]] = WeDataHook
    system: ClassVar[str] = "wedata_data_sources"
    data_source_id: str
    project_id: str
    user_id: str | None = None
    whole_project: Annotated[bool, Field(strict=True)] = False

    @model_validator(mode="after")
    def _names_one_receiver(self) -> WeDataDataSourceAuthorization:
        if self.whole_project == (self.user_id is not None):
            given = "both" if self.whole_project else "neither"
            raise ValueError(f"user_id or whole_project=True is needed, and {given} is given")
        return self

    def revoke_request(self) -> RevokeDataSourceAuthorization:
        """Exactly one selector. An empty user id, as a template may render it, is refused."""
        target: FromProject | FromUser
        if self.whole_project:
            target = FromProject(project_id=self.project_id, whole_project=True)
        else:
            target = FromUser(project_id=self.project_id, user_id=self.user_id or "")
        return RevokeDataSourceAuthorization(DataSourceId=self.data_source_id, target=target)

    def keys(self, account: str) -> Iterator[GrantKey]:
        """The one authorization."""
        resource = (self.system, account, "data_source", self.data_source_id)
        if self.user_id is None:
            yield GrantKey(*resource, PrincipalType.PROJECT, self.project_id, "use")
        else:
            entry = f"{self.project_id}_{self.user_id}"
            yield GrantKey(*resource, PrincipalType.USER, self.user_id, "use", entry)

    def listing(self) -> DescribeDataSourceAuthority:
        """Every project and user that the data source is authorized to, in one answer."""
        return DescribeDataSourceAuthority(Id=self.data_source_id)

    def found_in(self, rows: Sequence[AuthorizationRow]) -> list[str]:
        """The entry itself. Users of an authorized project are separate entries."""
        wanted = (self.project_id, self.user_id)
        return [f"entry {row.entry}" for row in rows if (row.project_id, row.user_id) == wanted]

    @classmethod
    def from_row(cls, request: Any, row: AuthorizationRow) -> Iterator[WeDataDataSourceAuthorization]:
        """The entry, unless it has a form that the revoke call cannot name."""
        if row.project_id is not None:
            whole = row.user_id is None
            yield cls(data_source_id=request.Id, project_id=row.project_id, user_id=row.user_id, whole_project=whole)


class DmsPermission(VendorGrant):
    """One permission record of one user: one privilege on one object."""

    hook: ClassVar[type[CloudHook]] = DmsHook
    system: ClassVar[str] = "dms_permissions"
    user_id: str
    user_access_id: str
    ds_type: str
    perm_type: str
    instance_id: str | None = None
    db_id: str | None = None
    table_id: str | None = None
    table_name: str | None = None

    def revoke_request(self) -> RevokeUserPermission:
        """The record, with the object that it is on."""
        fields: dict[str, Any] = {
            "UserId": self.user_id,
            "UserAccessId": self.user_access_id,
            "DsType": self.ds_type,
            "PermTypes": self.perm_type,
            "InstanceId": self.instance_id,
            "DbId": self.db_id,
            "Logic": None if self.ds_type == "INSTANCE" else self.ds_type.startswith("LOGIC_"),
            "TableId": self.table_id,
            "TableName": self.table_name,
        }
        return RevokeUserPermission(**fields)

    def keys(self, account: str) -> Iterator[GrantKey]:
        """The one record."""
        ident = self.instance_id if self.ds_type == "INSTANCE" else self.table_id or self.db_id
        holder = (PrincipalType.USER, self.user_id, self.perm_type, self.user_access_id)
        yield GrantKey(self.system, account, self.ds_type.lower(), ident or "", *holder)

    def listing(self) -> ListUserPermissions:
        """The user's records for this kind of object."""
        fields: dict[str, Any] = {"UserId": self.user_id, "PermType": self.ds_type.removeprefix("LOGIC_")}
        if self.ds_type != "INSTANCE":
            fields["Logic"] = self.ds_type.startswith("LOGIC_")
        return ListUserPermissions(**fields)

    def found_in(self, rows: Sequence[UserPermissionRow]) -> list[str]:
        """The record, or another record of the same privilege on the same object (a regrant has a new id)."""
        found = []
        for row in rows:
            if row.UserId != self.user_id:
                raise ListingIncompleteError("ListUserPermissions", "a row is about another user")
            for record in row.details:
                if record.UserAccessId == self.user_access_id:
                    found.append(f"record {record.UserAccessId}")
                elif record.PermType == self.perm_type and self._same_object(row):
                    found.append(f"another record of the same permission, {record.UserAccessId}")
        return found

    @classmethod
    def from_row(cls, request: Any, row: UserPermissionRow) -> Iterator[DmsPermission]:
        """Every record of the row, unless the revoke call has no name for its object or privilege."""
        ds_type = row.DsType or ("INSTANCE" if request.PermType == "INSTANCE" else "")
        if row.ColumnName or ds_type not in get_args(ObjectType):
            return
        table = ds_type.endswith("TABLE")
        for record in row.details:
            if record.PermType in get_args(PrivilegeName):
                yield cls(
                    user_id=row.UserId,
                    user_access_id=record.UserAccessId,
                    ds_type=ds_type,
                    perm_type=record.PermType,
                    instance_id=row.InstanceId,
                    db_id=None if ds_type == "INSTANCE" else row.DbId,
                    table_id=row.TableId if table else None,
                    table_name=row.TableName if table else None,
                )

    def _same_object(self, row: UserPermissionRow) -> bool:
        if row.ColumnName or (row.DsType or "INSTANCE") != self.ds_type:
            return False
        if self.ds_type == "INSTANCE":
            return row.InstanceId == self.instance_id
        return row.DbId == self.db_id and (not self.ds_type.endswith("TABLE") or row.TableId == self.table_id)


class QuickBiMenuAuthorization(VendorGrant):
    """Every given menu for every given user and user group of one portal; gone when none of the pairs is listed."""

    hook: ClassVar[type[CloudHook]] = QuickBiHook
    system: ClassVar[str] = "quickbi_menus"
    portal_id: str
    menu_ids: tuple[str, ...]
    user_ids: tuple[str, ...] = ()
    user_group_ids: tuple[str, ...] = ()

    def revoke_request(self) -> CancelAuthorizationMenu:
        """All menus times all receivers."""
        return CancelAuthorizationMenu(
            DataPortalId=self.portal_id,
            MenuIds=self.menu_ids,
            UserIds=self.user_ids,
            UserGroupIds=self.user_group_ids,
        )

    def keys(self, account: str) -> Iterator[GrantKey]:
        """Every pair, with every level that it may have: the call takes whichever there is."""
        receivers = [(PrincipalType.USER, user) for user in self.user_ids]
        receivers += [(PrincipalType.GROUP, group) for group in self.user_group_ids]
        for menu in self.menu_ids:
            for kind, ident in receivers:
                for level in LEVELS.values():
                    yield GrantKey(self.system, account, "menu", menu, kind, ident, level, self.portal_id)

    def listing(self) -> ListPortalMenuAuthorization:
        """The receivers of all menus of the portal."""
        return ListPortalMenuAuthorization(DataPortalId=self.portal_id)

    def found_in(self, rows: Sequence[MenuAuthorization]) -> list[str]:
        """The pairs that are still listed, whatever their level. Null receivers need the second, equal listing."""
        named = {*((_USER, user) for user in self.user_ids), *((_GROUP, group) for group in self.user_group_ids)}
        return [
            f"menu {row.MenuId} for {'user' if receiver.ReceiverType == _USER else 'group'} {receiver.ReceiverId}"
            for row in rows
            if row.MenuId in self.menu_ids
            for receiver in row.receivers
            if (receiver.ReceiverType, receiver.ReceiverId) in named
        ]

    @classmethod
    def from_row(cls, request: Any, row: MenuAuthorization) -> Iterator[QuickBiMenuAuthorization]:
        """One menu for one user or user group. Organization and workspace receivers are left out."""
        for receiver in row.receivers:
            fields = {_USER: "user_ids", _GROUP: "user_group_ids"}.get(receiver.ReceiverType)
            if fields and receiver.ReceiverId:
                named: dict[str, Any] = {fields: (receiver.ReceiverId,)}
                yield cls(portal_id=request.DataPortalId, menu_ids=(row.MenuId,), **named)


_ALL = (WeDataPrivilege, WeDataDataSourceAuthorization, DmsPermission, QuickBiMenuAuthorization)
KINDS: dict[str, type[VendorGrant]] = {kind.__name__: kind for kind in _ALL}
"""The descriptions by class name: what a serialized trigger names."""
