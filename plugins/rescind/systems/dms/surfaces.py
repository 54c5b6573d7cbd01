"""Alibaba DMS: the ways to an object beside its permission records.

Roles of the tenant, owners, DBAs, accounts of secure access proxies, and the control mode of an instance reach every
object below. They enter the population as grants that no call of this version takes away.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

from rescind.cloud.clients import DmsClient
from rescind.cloud.dms.inventory import (
    DmsDatabase,
    DmsInstance,
    DmsLogicDatabase,
    DmsUser,
    ListDatabases,
    ListInstances,
    ListLogicDatabases,
)
from rescind.cloud.dms.proxies import ListProxies, ListProxyAccesses, Proxy, ProxyAccess
from rescind.errors import CloudError, InputError, ListingIncompleteError
from rescind.model import Cell, Grant, GrantKey, Membership, PrincipalType
from rescind.systems.population import Population
from rescind.systems.surfaces import NOT_COVERED, Gap, Surface, Untraceable
from rescind.systems.walker import Walker

SYSTEM = "dms_permissions"
TENANT = "tenant"
"""Resource type of the tenant, the parent of every object."""
PASSWORD_HOLDER = "password_holder"
"""Kind of principal: anyone who knows a database password of the instance that its id names."""

RECORDS = Surface(
    "permission records",
    "ListDatabaseUserPermssions",
    "records of users on instances, databases, tables and columns; instances by ListInstanceUserPermissions",
    "row permissions are in no list",
)
PARTS = Surface(
    "parts of logical databases",
    "ListLogicDatabases",
    "the databases behind a logical database, and who has the same right on them or on their instances",
    "no page says whether that reaches the logical database, so it leaves the access unproven; policies on the parts"
    " are not asked",
)
ROLES = Surface(
    "tenant roles",
    "ListUsers",
    "users with the role ADMIN or DBA, who reach every object of the tenant",
    "no page of the vendor gives SECURITY_ADMIN, STRUCT_READ_ONLY or a custom role access to data, so they are listed"
    " and do not count as a way in; a role of a disabled user ends as a way in once verification has read the state"
    " again, by ListUsers and by GetUser",
)
OWNERS = Surface(
    "owners and DBAs",
    "ListInstances",
    "owners and DBA of instances; owners of databases and logical databases by ListDatabases and ListLogicDatabases",
    "whether an object without owners has null or an empty list is not documented, so both count as no owner",
)
PROXIES = Surface(
    "secure access proxies",
    "ListProxyAccesses",
    "users with an account of a proxy, by the proxies of ListProxies",
    "what the database account behind the proxy may do is not known, so it counts for every privilege",
)
CONTROL_MODE = Surface(
    "control mode",
    "ListInstances",
    "instances where login with a database password is enough (NONE_CONTROL, STABLE)",
    "DMS does not know who has a database password",
)
OWNED = Surface(
    "owned objects",
    "ListUserOwnedResources",
    "tables that one user owns; owners of instances and databases are read again by object, and asked for by user where"
    " a listing does not tell them",
    "owners of tables are asked for the holders of the grants that went, not for everybody",
    asked_in="verification",
)
OWN_ANSWER = Surface(
    "the platform's own answer",
    "ListAuthorizedDatabasesForUser",
    "databases that one user reaches, whatever the reason; instances by ListAuthorizedInstancesForUser",
    "it names no tables; CheckBatchTableAccessPermission does, but answers for the caller only and is not used",
    asked_in="verification",
)
POLICIES = Surface(
    "policies",
    "ListAuthorizedDatabasesForUser",
    "databases that a policy gives to one user; instances by ListAuthorizedInstancesForUser",
    "a policy that names single tables is not seen; ListAbacPolicies and ListAbacAuthorizations are not asked: they"
    " tell who a policy is attached to, not what it allows",
    asked_in="verification",
)
SURFACES = (
    RECORDS,
    PARTS,
    ROLES,
    OWNERS,
    PROXIES,
    CONTROL_MODE,
    OWNED,
    OWN_ANSWER,
    POLICIES,
    Surface("row permissions", "", "rows that somebody may query", "no action lists them"),
    Surface("authority templates", "", "who holds a template", "no action lists the holders; their records are read"),
    Surface("workspaces and task flows", "", "members, cooperators and owners of running flows", NOT_COVERED),
    Surface("tickets and exports", "", "open tickets that will grant, finished exports, scheduled jobs", NOT_COVERED),
    Surface("masking rules", "", "columns that are shown unmasked", NOT_COVERED),
    Surface("other tenants", "", "the same person in another tenant", "a connection reads one tenant"),
)
OPTIONAL_READS = frozenset({"ListProxies", "ListProxyAccesses", "ListUserOwnedResources"})

OWNER = "owner"
DBA = "DBA"
PROXY_ACCOUNT = "proxy account"
PASSWORD_LOGIN = "login with a database password"
_REACHING_ROLES = frozenset({"ADMIN", DBA})
WIDE = frozenset({*_REACHING_ROLES, OWNER, PROXY_ACCOUNT, PASSWORD_LOGIN})
"""Entitlements that include every privilege on the object and on everything below it."""
UNTRACEABLE: Mapping[str, Untraceable] = {
    PASSWORD_HOLDER: Untraceable(
        CONTROL_MODE.name,
        "the control mode of the instance lets in anyone who knows a database password, or is not named",
    )
}
_DELETED = "DELETE"
_NO_ROLES_NEEDED = frozenset({_DELETED, "DISABLE"})
_COMMON = "COMMON"
_HOST = "HostInstance"
"""Attribute of a grant: the instance of its database, where the record does not name it."""
_PARTS, _PART_HOSTS = "Parts", "PartInstances"
"""Attributes of a grant on something logical: ids of the databases behind it and of their instances, with spaces."""


_Owned = DmsInstance | DmsDatabase | DmsLogicDatabase


class Objects(NamedTuple):
    """The instances, databases and logical databases of a tenant."""

    instances: tuple[DmsInstance, ...]
    databases: tuple[DmsDatabase, ...]
    logical: tuple[DmsLogicDatabase, ...]

    def attributes(self) -> dict[str, dict[str, str]]:
        """What a record's grant needs to know of its database, as attributes by database id."""
        instance_of = {database.DatabaseId: database.InstanceId for database in self.databases if database.InstanceId}
        facts = {ident: {_HOST: instance} for ident, instance in instance_of.items()}
        for database in self.logical:
            parts = database.part_ids
            hosts = sorted({instance_of[part] for part in parts if part in instance_of})
            facts[database.DatabaseId] = {_PARTS: " ".join(sorted(parts)), _PART_HOSTS: " ".join(hosts)}
        return facts


class People:
    """Finds the DMS user id behind an id of another answer.

    Owners, DBAs and holders of proxy accounts are DMS user ids in the vendor's pages (SetOwners, UpdateInstance,
    CreateProxyAccess). An id that is none, and is a cloud account's id, is taken as that. An id of nobody stays.
    """

    def __init__(self, users: Iterable[DmsUser]) -> None:
        self._ids: set[str] = set()
        self._by_uid: dict[str, str] = {}
        for user in users:
            self._ids.add(user.UserId)
            if user.Uid:
                self._by_uid[user.Uid] = user.UserId

    def user(self, ident: str) -> str:
        """The DMS user id of somebody; an id that belongs to nobody stays as it is."""
        return ident if ident in self._ids else self._by_uid.get(ident, ident)


async def list_objects(walker: Walker[DmsClient], tid: str) -> Objects:
    """List instances, databases and logical databases.

    :raises ListingIncompleteError: when a listing could not be read completely.
    """
    instances = await walker.rows(ListInstances(Tid=tid))
    listed = await walker.each(instances, lambda i: walker.rows(ListDatabases(InstanceId=i.InstanceId, Tid=tid)))
    databases = (
        database if database.InstanceId else database.model_copy(update={"InstanceId": instance.InstanceId})
        for instance, rows in zip(instances, listed, strict=True)
        for database in rows
    )
    return Objects(instances, tuple(databases), await walker.rows(ListLogicDatabases(Tid=tid)))


def with_host(grant: Grant, attributes: Mapping[str, Mapping[str, str]]) -> Grant:
    """A record's grant with the instance of its database, or the parts of its logical database.

    The revoke call repeats the row as it was listed, so they go into attributes of their own.
    """
    facts = grant.attributes
    logical = facts["ListedLogic"] == "true"
    if (facts["InstanceId"] and not logical) or facts["DbId"] not in attributes:
        return grant
    return replace(grant, attributes={**facts, **attributes[facts["DbId"]]})


def parts_unknown(objects: Objects, found: Population) -> None:
    """Name the logical databases whose parts the vendor does not name or does not list."""
    listed = {database.DatabaseId for database in objects.databases}
    for database in objects.logical:
        parts = database.part_ids
        if not parts or not listed.issuperset(parts):
            what = "not all listed" if parts else "not named"
            why = f"the parts of logical database {database.DatabaseId} are {what}"
            found.could_not_tell(Gap(PARTS.name, why, ("logic_database", database.DatabaseId)))
    found.asked(PARTS.name)


def objects_above(grant: Grant) -> Iterator[tuple[str, str]]:
    """A table's database, the instance of either, and the tenant, as (type, id)."""
    kind, facts = grant.key.resource_type, grant.attributes
    if kind in ("table", "column"):
        yield "database", facts["DbId"]
    if kind == "logic_table":
        yield "logic_database", facts["DbId"]
    instance = facts.get("InstanceId") or facts.get(_HOST)
    if kind != "instance" and instance and not _logical(grant):
        yield "instance", instance
    if kind != TENANT:
        yield TENANT, facts["Tid"]


def behind(grant: Grant) -> list[tuple[str, str]]:
    """The databases behind something logical, and their instances, as (type, id)."""
    if not _logical(grant):
        return []
    facts = grant.attributes
    hosts = {*facts.get(_PART_HOSTS, "").split(), facts.get("InstanceId", "")} - {""}
    parts = facts.get(_PARTS, "").split()
    return [*(("database", part) for part in parts), *(("instance", host) for host in sorted(hosts))]


def _logical(grant: Grant) -> bool:
    return grant.attributes.get("ListedLogic") == "true"


def tenant_roles(account: str, tid: str, users: Iterable[DmsUser], found: Population) -> None:
    """Users as members of their roles, and what the roles hold on the tenant. A deleted user has none.

    Every active user has a role, USER at least (RegisterUser), so an answer without roles leaves the surface
    unanswered for that user.
    """
    held: set[str] = set()
    for user in users:
        if user.State == _DELETED:
            continue
        roles = {name.upper() for name in user.role_names or ()} - {"USER"}
        ids = user.RoleIdList.RoleIds if user.RoleIdList else None
        unnamed = not user.role_names and bool(ids)
        if unnamed or (user.role_names is None and not ids and user.State not in _NO_ROLES_NEEDED):
            why = f"ListUsers names no roles for user {user.UserId}"
            found.could_not_tell(Gap(ROLES.name, why, principal=(PrincipalType.USER, user.UserId)))
        held |= roles
        found.add_memberships(
            Membership(SYSTEM, account, PrincipalType.USER, user.UserId, PrincipalType.ROLE, role)
            for role in sorted(roles)
        )
    found.add_grants(
        _fixed(account, tid, (TENANT, tid), (PrincipalType.ROLE, role), role, "a role of the tenant")
        for role in sorted(held)
    )
    found.asked(ROLES.name)


def owners(account: str, tid: str, objects: Objects, people: People, found: Population) -> None:
    """Owners of instances, databases and logical databases, and DBAs of instances.

    A name of an owner or DBA without the id proves that somebody is not listed: then the surface stays unanswered for
    that object.
    """
    rows: list[tuple[str, str, str, _Owned]] = [
        *(("instance", row.InstanceId, row.InstanceAlias or "", row) for row in objects.instances),
        *(("database", row.DatabaseId, row.SearchName or "", row) for row in objects.databases),
        *(("logic_database", row.DatabaseId, row.SearchName or "", row) for row in objects.logical),
    ]
    dba_of = {instance.InstanceId: instance.DbaId for instance in objects.instances}
    for kind, ident, name, row in rows:
        held = [(people.user(owner), OWNER, f"owns the {kind}") for owner in row.owner_ids or ()]
        dba = _dba(row, dba_of)
        held += [(people.user(dba), DBA, f"the DBA of the {kind}")] if dba else []
        if row.owner_without_id or (isinstance(row, DmsInstance) and bool(row.DbaNickName) and not row.DbaId):
            why = f"{kind} {ident} has a named owner or DBA without an id"
            found.could_not_tell(Gap(OWNERS.name, why, (kind, ident)))
        found.add_grants(
            _fixed(account, tid, (kind, ident), (PrincipalType.USER, user), right, why_not, name)
            for user, right, why_not in held
        )
    found.asked(OWNERS.name)


def _dba(row: _Owned, dba_of: Mapping[str, str | None]) -> str | None:
    """The DBA of an instance, and of a database where it is not the one of its instance."""
    if isinstance(row, DmsLogicDatabase):
        return None
    return row.DbaId if isinstance(row, DmsInstance) or row.DbaId != dba_of.get(row.InstanceId or "") else None


def control_modes(account: str, tid: str, instances: Iterable[DmsInstance], found: Population) -> None:
    """Anyone who knows a database password, on each instance that is not in security collaboration (COMMON).

    A mode that is not named counts like one that lets them in.
    """
    for instance in instances:
        mode = instance.StandardGroup.GroupMode if instance.StandardGroup else None
        if mode == _COMMON:
            continue
        resource = ("instance", instance.InstanceId)
        why_not = f"control mode {mode}" if mode else "the control mode is not named"
        holder = (PASSWORD_HOLDER, instance.InstanceId)
        name = instance.InstanceAlias or ""
        found.add_grants([_fixed(account, tid, resource, holder, PASSWORD_LOGIN, why_not, name)])
    found.asked(CONTROL_MODE.name)


async def proxy_accounts(walker: Walker[DmsClient], tid: str, people: People, found: Population) -> None:
    """Accounts of secure access proxies, as grants on the instance.

    An answer without a list is not an empty list. Without the list of proxies, any instance may have one, and the
    surface stays unanswered for everybody. What one proxy does not tell concerns its instance, or one user.
    """
    try:
        proxies = await walker.rows(ListProxies(Tid=tid))
    except (CloudError, ListingIncompleteError) as error:
        found.could_not_ask(PROXIES.name, short(error))
        return

    async def read(proxy: Proxy) -> tuple[ProxyAccess, ...]:
        try:
            return await walker.rows(ListProxyAccesses(ProxyId=proxy.ProxyId, Tid=tid))
        except (CloudError, ListingIncompleteError, InputError) as error:
            about = ("instance", proxy.InstanceId) if proxy.InstanceId else ()
            found.could_not_tell(Gap(PROXIES.name, f"proxy {proxy.ProxyId}: {short(error)}", about))
            return ()

    def take(proxy: Proxy, accesses: tuple[ProxyAccess, ...]) -> None:
        for access in accesses:
            user = people.user(access.UserId or access.UserUid or "")
            instances = sorted({ident for ident in (access.InstanceId, proxy.InstanceId) if ident})
            if not user or not instances:
                why = f"proxy {proxy.ProxyId} names no {'instance' if user else 'user'} of an account"
                whom = (PrincipalType.USER, user) if user else ()
                for instance in instances or ("",):
                    found.could_not_tell(Gap(PROXIES.name, why, ("instance", instance) if instance else (), whom))
                continue
            found.add_grants(
                _fixed(
                    walker.account,
                    tid,
                    ("instance", instance),
                    (PrincipalType.USER, user),
                    PROXY_ACCOUNT,
                    "an account of a secure access proxy",
                    native_id=access.ProxyAccessId,
                )
                for instance in instances
            )

    await walker.for_each(proxies, read, take)
    found.asked(PROXIES.name)


def short(error: Exception) -> str:
    """An error as the reason why a surface stays unanswered."""
    return f"{type(error).__name__}: {error}"[:300]


def _fixed(
    account: str,
    tid: str,
    resource: tuple[str, str],
    principal: tuple[str, str],
    entitlement: str,
    why_not: str,
    name: str = "",
    *,
    native_id: str = "",
) -> Grant:
    """A grant that no call of this version takes away; resource and principal are (type, id)."""
    key = GrantKey(SYSTEM, account, *resource, *principal, entitlement, native_id)
    # No listing of records shows it, so its cell is of no user's record.
    cell = Cell("", resource[1], resource[0], (*principal, entitlement, native_id))
    return Grant(key=key, cell=cell, revocable=False, why_not=why_not, resource_name=name, attributes={"Tid": tid})
