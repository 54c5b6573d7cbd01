"""Alibaba DMS: permission records of users on instances, databases and tables.

One record (``UserAccessId``) is one privilege of one user on one object. One revoke call takes exactly one record.
Discovery lists by object: three listings per database and one per instance show the records of all users. Listing by
user takes seven listings per user, which is less for a few people. Verification asks both.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, ClassVar

from rescind.cloud.base import Prepared, WriteRequest
from rescind.cloud.clients import DmsClient
from rescind.cloud.dms.inventory import ListUsers
from rescind.cloud.dms.permissions import (
    GrantUserPermission,
    ListDatabaseUserPermssions,
    ListInstanceUserPermissions,
    ListUserPermissions,
    RevokeUserPermission,
    UserPermissionRow,
)
from rescind.errors import BlastRadiusExceededError, ListingIncompleteError, NotFoundError, UnauthorizedError
from rescind.model import CallShape, Cell, Grant, GrantKey, Membership, PlannedCall, Principal, PrincipalType
from rescind.systems.base import ListingScope, PermissionSystem, Reading
from rescind.systems.dms.access import what_users_reach
from rescind.systems.dms.last_use import USAGE_READS, last_use
from rescind.systems.dms.named_records import discover_records
from rescind.systems.dms.owners import who_owns
from rescind.systems.dms.record_grants import PRIVILEGES, grant_of
from rescind.systems.dms.surfaces import (
    OPTIONAL_READS,
    PARTS,
    RECORDS,
    SURFACES,
    UNTRACEABLE,
    WIDE,
    Objects,
    People,
    behind,
    control_modes,
    list_objects,
    objects_above,
    owners,
    parts_unknown,
    proxy_accounts,
    tenant_roles,
    with_host,
)
from rescind.systems.dms.users import ended_roles, no_such_user, own_user_id, user_principal
from rescind.systems.final_bytes import query_fields
from rescind.systems.last_use import marked
from rescind.systems.named_people import NamedPeople
from rescind.systems.population import Population
from rescind.systems.surfaces import EndedMemberships, PlatformAnswer, Surface, Untraceable
from rescind.systems.walker import Walker

_OBJECT = ("DsType", "InstanceId", "DbId", "Logic", "TableId", "TableName", "Tid")
_KINDS = ("DATABASE", "TABLE", "COLUMN")
_LISTED = {("INSTANCE", "false"): "instance"}
_LISTED |= {(kind, "false"): "database" for kind in _KINDS} | {(kind, "true"): "logic_database" for kind in _KINDS}
_BY_USER = "by user"


class DmsPermissions(PermissionSystem[DmsClient]):
    """One call takes exactly one record."""

    name: ClassVar[str] = "dms_permissions"
    title: ClassVar[str] = "DMS permissions"
    id_spaces: ClassVar[tuple[str, ...]] = ("dms_user_id", "alibaba_uid")
    vendor: ClassVar[str] = "alibaba"
    hook: ClassVar[str] = "rescind.hooks.dms.DmsHook"
    shape: ClassVar[CallShape] = CallShape(max_rows=1, max_columns={"record": 1}, max_cells=1)
    revoke_message: ClassVar[type[WriteRequest[Any]]] = RevokeUserPermission
    restore_message: ClassVar[type[WriteRequest[Any]]] = GrantUserPermission
    restore_shape: ClassVar[CallShape] = shape
    restore_is_idempotent: ClassVar[bool] = False
    platform_denies: ClassVar[bool] = False
    surfaces: ClassVar[tuple[Surface, ...]] = SURFACES
    untraceable: ClassVar[Mapping[str, Untraceable]] = UNTRACEABLE
    reads: ClassVar[frozenset[str]] = frozenset(
        {
            "GetUser",
            "GetUserActiveTenant",
            "ListAuthorizedDatabasesForUser",
            "ListAuthorizedInstancesForUser",
            "ListDatabaseUserPermssions",
            "ListDatabases",
            "ListInstanceUserPermissions",
            "ListInstances",
            "ListLogicDatabases",
            "ListProxies",
            "ListProxyAccesses",
            "ListUserOwnedResources",
            "ListUserPermissions",
            "ListUsers",
        }
    )

    optional_reads: ClassVar[frozenset[str]] = OPTIONAL_READS
    usage_reads: ClassVar[frozenset[str]] = USAGE_READS
    lists_people: ClassVar[bool] = True

    async def discover(self, client: DmsClient, found: Population) -> None:
        """Users and their roles, objects and their owners, proxies; then the records on every object."""
        walker, tid = Walker(client, found), await client.find_tenant()
        users, objects = await self._surroundings(walker, tid, found)
        listings, attributes = _listing_scopes(objects), objects.attributes()
        judge = await last_use(client, tid, users, objects, found.usage)
        await walker.for_each(
            listings,
            lambda scope: self._records(walker, tid, scope),
            lambda _, rows: found.add_grants(marked((with_host(grant, attributes) for grant in rows), judge)),
        )
        found.asked(RECORDS.name)
        found.note("objects", len(listings))

    async def discover_named(self, client: DmsClient, found: Population, people: NamedPeople) -> None:
        """The same, but of the records those of some users, and all on the objects on which these hold one."""
        walker, tid = Walker(client, found), await client.find_tenant()
        principals, objects = await self._surroundings(walker, tid, found)
        listings, attributes = _listing_scopes(objects), objects.attributes()
        users = people.choose(principals)
        await discover_records(
            walker,
            found,
            lambda scope: self._read(walker, tid, scope),
            [(_BY_USER, user, *kind) for user in users for kind in _LISTED],
            listings,
            [self.listing_scope(grant) for grant in await people.known(users)],
            lambda rows: found.add_grants(with_host(grant, attributes) for grant in rows),
        )
        found.asked(RECORDS.name)
        found.note("users", len(users))

    async def _surroundings(
        self, walker: Walker[DmsClient], tid: str, found: Population
    ) -> tuple[list[Principal], Objects]:
        """Users and objects, and everything but the records: roles, owners, control modes and proxies."""
        users = await walker.rows(ListUsers(Tid=tid))
        principals = [user_principal(self.name, walker.account, user) for user in users]
        found.shown(PrincipalType.USER, (user.UserId for user in users))
        found.add_principals(principals)
        objects = await list_objects(walker, tid)
        listings = _listing_scopes(objects)
        for kind in ("instance", "database", "logic_database"):
            found.shown(kind, (ident for listing, ident, logic in listings if _LISTED[listing, logic] == kind))
        people = People(users)
        tenant_roles(walker.account, tid, users, found)
        owners(walker.account, tid, objects, people, found)
        control_modes(walker.account, tid, objects.instances, found)
        await proxy_accounts(walker, tid, people, found)
        parts_unknown(objects, found)
        return principals, objects

    async def _read(self, walker: Walker[DmsClient], tid: str, scope: ListingScope) -> list[Grant]:
        listed = self._records_of if scope[0] == _BY_USER else self._records
        return await listed(walker, tid, scope)

    async def _records(self, walker: Walker[DmsClient], tid: str, scope: ListingScope) -> list[Grant]:
        kind, ident, logic = scope
        if kind == "INSTANCE":
            rows = await walker.rows(ListInstanceUserPermissions(InstanceId=ident, Tid=tid))
        else:
            fields = {"DbId": ident, "PermType": kind, "Logic": logic == "true", "Tid": tid}
            rows = await walker.rows(ListDatabaseUserPermssions.model_validate(fields))
        return [grant_of(walker.account, tid, scope, row, record) for row in rows for record in row.details]

    async def _records_of(self, walker: Walker[DmsClient], tid: str, scope: ListingScope) -> list[Grant]:
        """One user's records of one kind, as the listings by object show them."""
        _, user, kind, logic = scope
        fields: dict[str, Any] = {"UserId": user, "PermType": kind, "Tid": tid}
        if kind != "INSTANCE":
            fields["Logic"] = logic == "true"
        try:
            rows = await walker.rows(ListUserPermissions.model_validate(fields))
        except UnauthorizedError as error:
            if not no_such_user(error):
                raise
            # The missing user is the one asked about: without our own user, no listing by object would answer either.
            raise NotFoundError("no such user", vendor=error.vendor, action=error.action, code=error.code) from error
        if any(row.UserId != user for row in rows):
            raise ListingIncompleteError(f"ListUserPermissions({kind})", "a row is about another user")
        return [
            grant_of(walker.account, tid, (kind, _listed_in(kind, row), logic), row, record)
            for row in rows
            for record in row.details
        ]

    def cell(self, key: GrantKey) -> Cell:
        """The record of one privilege."""
        return Cell(key.principal_id, key.native_id, "record", (key.principal_id, key.entitlement))

    def listing_scope(self, grant: Grant) -> ListingScope:
        """The listing that shows the record: an instance, or one kind of object of one database; else empty."""
        facts = grant.attributes
        return (facts.get("Listing", ""), facts.get("ListedIn", ""), facts.get("ListedLogic", ""))

    def principal_listing_scope(self, grant: Grant) -> ListingScope | None:
        """The user's records of one kind; None for what is no record."""
        facts = grant.attributes
        return (
            (_BY_USER, grant.key.principal_id, facts["Listing"], facts["ListedLogic"]) if "Listing" in facts else None
        )

    def listed_by(self, listings: Collection[ListingScope]) -> Mapping[str, Collection[str]]:
        """By instance or database, and by user."""
        users = {scope[1] for scope in listings if scope[0] == _BY_USER}
        return {"principals": users, "listed_in": {scope[1] for scope in listings if scope[0] != _BY_USER}}

    async def reread(self, client: DmsClient, listings: Collection[ListingScope]) -> Reading:
        """One listing per touched instance or database and kind, or per touched user and kind."""
        walker, tid = Walker(client), await client.find_tenant()
        found = await walker.each(sorted(listings), lambda scope: self._read(walker, tid, scope))
        return Reading(tuple(g for rows in found for g in rows), frozenset(listings), walker.calls, tuple(walker.pages))

    def request(self, call: PlannedCall, grants: Sequence[Grant]) -> RevokeUserPermission:
        """Return the fields of the listed row, so that object and record cannot disagree."""
        (grant,) = grants
        facts = grant.attributes
        instance = facts["DsType"] == "INSTANCE"
        fields: dict[str, object] = {
            "UserId": grant.key.principal_id,
            "DsType": facts["DsType"],
            "PermTypes": grant.key.entitlement,
            "UserAccessId": grant.key.native_id,
            "InstanceId": facts["InstanceId"] or None,
            "DbId": None if instance else facts["DbId"],
            "Logic": None if instance else facts["Logic"] == "true",
            "TableId": facts["TableId"] or None,
            "TableName": facts["TableName"] or None,
            "Tid": facts["Tid"],
        }
        return RevokeUserPermission.model_validate(fields)

    def blast_radius(self, prepared: Prepared[Any]) -> frozenset[Cell]:
        """The one record that the final query string names."""
        fields = query_fields(prepared)
        user, record, privilege = fields.get("UserId", ""), fields.get("UserAccessId", ""), fields.get("PermTypes", "")
        if not user or not record or privilege not in PRIVILEGES:
            raise BlastRadiusExceededError("the final RevokeUserPermission query names no single record of one user")
        return frozenset({Cell(user, record, "record", (user, privilege))})

    def inverse(self, grant: Grant) -> Mapping[str, Any] | None:
        """GrantUserPermission with the same object, privilege and end date; the record gets a new id."""
        if not grant.expires_raw:
            return None
        facts = grant.attributes
        wanted = ("DsType", "InstanceId", "Tid") if facts["DsType"] == "INSTANCE" else _OBJECT
        return {
            "action": "GrantUserPermission",
            "UserId": grant.key.principal_id,
            "PermTypes": grant.key.entitlement,
            "ExpireDate": grant.expires_raw,
            **dict.fromkeys(_OBJECT, ""),
            **{name: facts[name] for name in wanted},
        }

    def restore_request(self, inverses: Sequence[Mapping[str, Any]]) -> GrantUserPermission:
        """One record; fields that the object kind does not have are left out."""
        (inverse,) = inverses
        fields = {name: value for name, value in inverse.items() if value and name not in ("action", "Logic")}
        if inverse["Logic"]:
            fields["Logic"] = inverse["Logic"] == "true"
        return GrantUserPermission.model_validate(fields)

    def given(self, prepared: Prepared[Any]) -> list[Mapping[str, Any]]:
        """The one record that the final query string describes."""
        fields = query_fields(prepared)
        if not fields.get("UserId") or fields.get("PermTypes") not in PRIVILEGES or not fields.get("ExpireDate"):
            raise BlastRadiusExceededError("the final GrantUserPermission query describes no single record of one user")
        names = ("UserId", "PermTypes", "ExpireDate", *_OBJECT)
        return [{"action": "GrantUserPermission", **{name: fields.get(name, "") for name in names}}]

    def slot(self, key: GrantKey) -> tuple[str, ...]:
        """The same privilege of the same user on the same object, whatever the record's id."""
        return tuple(key._replace(native_id=""))

    def terms(self, grant: Grant) -> tuple[str, ...]:
        """The end date."""
        return (grant.expires_raw,)

    async def gone_holders(self, client: DmsClient, grants: Collection[Grant]) -> Mapping[str, str]:
        """Users who are deleted or whom no listing shows."""
        users = await Walker(client).rows(ListUsers(Tid=await client.find_tenant()))
        there = {user.UserId for user in users if user.State != "DELETE"}
        return {grant.grant_id: "the user is deleted" for grant in grants if grant.key.principal_id not in there}

    async def ask_platform(self, client: DmsClient, grants: Collection[Grant]) -> PlatformAnswer:
        """What each touched user reaches by policies and ownership, and the tables that the user owns."""
        return await what_users_reach(Walker(client), await client.find_tenant(), grants, self._objects)

    async def ask_objects(self, client: DmsClient, grants: Collection[Grant]) -> PlatformAnswer:
        """The owners and DBAs of the touched instances and databases."""
        return await who_owns(Walker(client), await client.find_tenant(), grants, self._objects)

    def _objects(self, grant: Grant) -> list[tuple[str, str]]:
        return [(grant.key.resource_type, grant.key.resource_id), *self.parents(grant)]

    async def own_ids(self, client: DmsClient) -> frozenset[str]:
        """The DMS user id of the calling account."""
        return await own_user_id(client)

    async def ended_memberships(self, client: DmsClient, memberships: Collection[Membership]) -> EndedMemberships:
        """Users who lost a role of the tenant since discovery, or whose account is disabled."""
        return await ended_roles(client, memberships)

    def parents(self, grant: Grant) -> Iterable[tuple[str, str]]:
        """A table's database, the instance of either, and the tenant."""
        return objects_above(grant)

    def perhaps_parents(self, grant: Grant) -> tuple[str, Sequence[tuple[str, str]]]:
        """The databases behind something logical, and their instances."""
        return PARTS.name, behind(grant)

    def includes(self, held: str, entitlement: str) -> bool:
        """Owners, DBAs, administrators and proxy accounts have every privilege; a record has its own."""
        return held == entitlement or held in WIDE


def _listing_scopes(objects: Objects) -> list[ListingScope]:
    """Every listing of records that discovery has to read."""
    physical = {database.DatabaseId for database in objects.databases}
    logical = {database.DatabaseId for database in objects.logical}
    listings: list[ListingScope] = [("INSTANCE", instance.InstanceId, "false") for instance in objects.instances]
    listings += [(kind, ident, "false") for ident in sorted(physical) for kind in _KINDS]
    listings += [(kind, ident, "true") for ident in sorted(logical) for kind in _KINDS]
    return listings


def _listed_in(kind: str, row: UserPermissionRow) -> str:
    """The object whose listing shows this row of a user's listing."""
    return (row.InstanceId if kind == "INSTANCE" else row.DbId) or ""
