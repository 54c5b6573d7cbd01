"""Alibaba DMS: who has an account of a secure access proxy, and so reaches an instance with a database client.

A deleted account cannot be restored faithfully: a new one has another id and another secret. Where the account was one
of the database's own, its password would be needed, so it is not restored at all.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from rescind.cloud.base import Prepared, WriteRequest
from rescind.cloud.clients import DmsClient
from rescind.cloud.dms.inventory import ListUsers
from rescind.cloud.dms.proxies import CreateProxyAccess, DeleteProxyAccess, ListProxies, ListProxyAccesses, ProxyAccess
from rescind.cloud.fields import UNNAMEABLE, is_numeric_id
from rescind.errors import BlastRadiusExceededError, ListingIncompleteError
from rescind.model import CallShape, Cell, Grant, GrantKey, PlannedCall, PrincipalType
from rescind.systems.base import ListingScope, PermissionSystem, Reading
from rescind.systems.dms.surfaces import PROXY_ACCOUNT, People
from rescind.systems.dms.surfaces import SYSTEM as RECORDS_SYSTEM
from rescind.systems.dms.users import own_user_id, user_principal
from rescind.systems.final_bytes import query_fields
from rescind.systems.population import Population
from rescind.systems.surfaces import NOT_COVERED, Surface
from rescind.systems.walker import Walker

PROXY = "proxy"
_INSTANCES = "Instances"
"""Attribute of a grant: ids of the instances that the account reaches, with spaces."""
SURFACES = (
    Surface("proxy accounts", "ListProxyAccesses", "users with an account of a proxy, by the proxies of ListProxies"),
    Surface("permission records", "", "the same instance inside DMS", "dms_permissions reads them"),
    Surface("database passwords", "", "logins to a database past DMS", "DMS does not know who has a database password"),
    Surface("open tickets", "", "tickets that will open an account when approved", NOT_COVERED),
)
_NEW_SECRET = "a deleted proxy account does not come back: a restore opens a new one with another secret"
_PASSWORD = "it is an account of the database, whose password a restore would need"


class DmsProxyAccesses(PermissionSystem[DmsClient]):
    """One call closes one account of one proxy."""

    name: ClassVar[str] = "dms_proxy_accesses"
    title: ClassVar[str] = "DMS proxy accounts"
    id_spaces: ClassVar[tuple[str, ...]] = ("dms_user_id", "alibaba_uid")
    vendor: ClassVar[str] = "alibaba"
    hook: ClassVar[str] = "rescind.hooks.dms.DmsHook"
    shape: ClassVar[CallShape] = CallShape(max_rows=1, max_columns={PROXY: 1}, max_cells=1)
    revoke_message: ClassVar[type[WriteRequest[Any]]] = DeleteProxyAccess
    restore_message: ClassVar[type[WriteRequest[Any]]] = CreateProxyAccess
    restore_shape: ClassVar[CallShape] = shape
    restore_is_idempotent: ClassVar[bool] = False
    not_restored: ClassVar[str] = _NEW_SECRET
    surfaces: ClassVar[tuple[Surface, ...]] = SURFACES
    reads: ClassVar[frozenset[str]] = frozenset(
        {"GetUser", "GetUserActiveTenant", "ListProxies", "ListProxyAccesses", "ListUsers"}
    )

    async def discover(self, client: DmsClient, found: Population) -> None:
        """List users, proxies, and the accounts of each proxy."""
        walker = Walker(client, found)
        tid = await client.find_tenant()
        users = await walker.rows(ListUsers(Tid=tid))
        found.shown(PrincipalType.USER, (user.UserId for user in users))
        found.add_principals(user_principal(self.name, walker.account, user) for user in users)
        people = People(users)
        proxies = {proxy.ProxyId: proxy for proxy in await walker.rows(ListProxies(Tid=tid))}
        found.shown(PROXY, proxies)

        def take(ident: str, grants: list[Grant]) -> None:
            found.add_grants(_at_instance(grant, proxies[ident].InstanceId or "") for grant in grants)

        await walker.for_each(sorted(proxies), lambda ident: _accounts(walker, tid, ident, people), take)
        found.asked(SURFACES[0].name)
        found.note("objects", len(proxies))

    def cell(self, key: GrantKey) -> Cell:
        """The one account, in its tenant."""
        return Cell(PROXY, key.native_id, PROXY, (key.native_id,))

    def listing_scope(self, grant: Grant) -> ListingScope:
        """The proxy: one listing shows all its accounts."""
        return (PROXY, grant.key.resource_id)

    async def reread(self, client: DmsClient, listings: Collection[ListingScope]) -> Reading:
        """List the accounts of each proxy again."""
        walker = Walker(client)
        tid = await client.find_tenant()
        people = People(await walker.rows(ListUsers(Tid=tid)))
        found = await walker.each(sorted(listings), lambda scope: _accounts(walker, tid, scope[1], people))
        return Reading(tuple(g for rows in found for g in rows), frozenset(listings), walker.calls, tuple(walker.pages))

    def request(self, call: PlannedCall, grants: Sequence[Grant]) -> DeleteProxyAccess:
        """The call that closes the one account."""
        (access,) = call.rows
        return DeleteProxyAccess(ProxyAccessId=access, Tid=grants[0].attributes["Tid"])

    def blast_radius(self, prepared: Prepared[Any]) -> frozenset[Cell]:
        """The one account that the final query string names."""
        fields = _named(prepared, "DeleteProxyAccess", {"ProxyAccessId", "Tid"})
        return frozenset({Cell(PROXY, fields["ProxyAccessId"], PROXY, (fields["ProxyAccessId"],))})

    def inverse(self, grant: Grant) -> Mapping[str, Any] | None:
        """A new account of the same proxy for the same user; None for an account with a database's own password."""
        facts = grant.attributes
        if facts["IndepAccount"]:
            return None
        ids = {"ProxyId": grant.key.resource_id, "UserId": grant.key.principal_id, "Tid": facts["Tid"]}
        return {"action": "CreateProxyAccess", **ids}

    def unfaithful(self, grant: Grant) -> str:
        """Return a reason for every account."""
        return _PASSWORD if grant.attributes["IndepAccount"] else _NEW_SECRET

    def restore_request(self, inverses: Sequence[Mapping[str, Any]]) -> CreateProxyAccess:
        """The call that opens one account."""
        (inverse,) = inverses
        return CreateProxyAccess(ProxyId=inverse["ProxyId"], UserId=inverse["UserId"], Tid=inverse["Tid"])

    def given(self, prepared: Prepared[Any]) -> list[Mapping[str, Any]]:
        """The one account that the final query string describes."""
        fields = _named(prepared, "CreateProxyAccess", {"ProxyId", "UserId", "Tid"})
        return [{"action": "CreateProxyAccess", **fields}]

    def slot(self, key: GrantKey) -> tuple[str, ...]:
        """The user's account of the proxy, whatever its id."""
        return tuple(key._replace(native_id=""))

    def terms(self, grant: Grant) -> tuple[str, ...]:
        """The account of the database, where it is one."""
        return (grant.attributes["IndepAccount"],)

    async def gone_holders(self, client: DmsClient, grants: Collection[Grant]) -> Mapping[str, str]:
        """Users who are deleted or whom no listing shows."""
        users = await Walker(client).rows(ListUsers(Tid=await client.find_tenant()))
        there = {user.UserId for user in users if user.State != "DELETE"}
        return {grant.grant_id: "the user is deleted" for grant in grants if grant.key.principal_id not in there}

    def same_access(self, grant: Grant) -> tuple[GrantKey, ...]:
        """Return the account on its instance, as the system of permission records knows it."""
        key = grant.key._replace(system=RECORDS_SYSTEM, resource_type="instance")
        return tuple(key._replace(resource_id=one) for one in grant.attributes.get(_INSTANCES, "").split())

    def could_end_access(self, key: GrantKey) -> bool:
        """Return whether it is the account of a proxy."""
        return (key.system, key.entitlement) == (RECORDS_SYSTEM, PROXY_ACCOUNT)

    async def own_ids(self, client: DmsClient) -> frozenset[str]:
        """The DMS user id of the calling account."""
        return await own_user_id(client)


async def _accounts(walker: Walker[DmsClient], tid: str, proxy: str, people: People) -> list[Grant]:
    """Return the accounts of one proxy.

    :raises ListingIncompleteError: when the listing failed, or a row is about another proxy.
    """
    rows = await walker.rows(ListProxyAccesses(ProxyId=proxy, Tid=tid))
    if any(row.ProxyId not in (None, proxy) for row in rows):
        raise ListingIncompleteError(f"ListProxyAccesses({proxy})", "a row is about another proxy")
    return [_grant(walker.account, tid, proxy, row, people) for row in rows]


def _grant(account: str, tid: str, proxy: str, row: ProxyAccess, people: People) -> Grant:
    user = people.user(row.UserId or row.UserUid or "")
    key = GrantKey(
        DmsProxyAccesses.name,
        account,
        PROXY,
        proxy,
        PrincipalType.USER if user else PrincipalType.UNKNOWN,
        user,
        PROXY_ACCOUNT,
        row.ProxyAccessId,
    )
    named = all(map(is_numeric_id, (user, proxy, row.ProxyAccessId)))
    return Grant(
        key=key,
        cell=Cell(PROXY, key.native_id, PROXY, (key.native_id,)),
        revocable=named,
        why_not="" if named else UNNAMEABLE if user else "the row names no user",
        created_raw=row.GmtCreate or "",
        origin=row.OriginInfo or "",
        principal_name=row.UserName or "",
        resource_name=f"instance {row.InstanceId}" if row.InstanceId else "",
        attributes={"Tid": tid, "IndepAccount": row.IndepAccount or "", _INSTANCES: row.InstanceId or ""},
    )


def _at_instance(grant: Grant, instance: str) -> Grant:
    """Return a grant with the instances that the account and its proxy name."""
    instances = sorted({*grant.attributes[_INSTANCES].split(), instance} - {""})
    return replace(grant, attributes={**grant.attributes, _INSTANCES: " ".join(instances)})


def _named(prepared: Prepared[Any], action: str, wanted: set[str]) -> dict[str, str]:
    """Return the fields of the final query string, each one id."""
    fields = query_fields(prepared)
    one = all(value.removeprefix("-").isdigit() and value.isascii() for value in fields.values())
    if prepared.action != action or set(fields) != wanted or not one:
        raise BlastRadiusExceededError(f"the final {prepared.action} query does not name one account of a proxy")
    return fields
