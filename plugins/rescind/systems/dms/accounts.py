"""Alibaba DMS: who can log on to the tenant.

A grant is one enabled account. To disable it ends every way of the person through DMS, and more than a restore brings
back: the vendor also ends the user's permission records, ownership and DBA settings, and enabling the user gives none
of them back. So the account of an owner or DBA is kept, and that of a holder of permission records is irreversible.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import chain
from typing import Any, ClassVar

from rescind.cloud.base import Prepared, WriteRequest
from rescind.cloud.clients import DmsClient
from rescind.cloud.dms.accounts import DisableUser, EnableUser
from rescind.cloud.dms.inventory import DmsUser, ListInstances, ListUsers
from rescind.cloud.dms.permissions import ListUserPermissions
from rescind.cloud.dms.proxies import ListProxies, ListProxyAccesses
from rescind.cloud.fields import UNNAMEABLE, is_numeric_id
from rescind.errors import BlastRadiusExceededError, CloudError, InputError, ListingIncompleteError
from rescind.model import CallShape, Cell, Grant, GrantKey, Membership, PlannedCall, PrincipalType
from rescind.systems.base import ListingScope, PermissionSystem, Reading
from rescind.systems.dms.access import owned_objects
from rescind.systems.dms.surfaces import TENANT, People, short
from rescind.systems.dms.users import ADMINISTRATOR_ROLE, NO_LOGIN, one_user, own_user_id, user_principal
from rescind.systems.final_bytes import query_fields
from rescind.systems.named_people import NamedPeople
from rescind.systems.population import Population
from rescind.systems.surfaces import NOT_COVERED, Gap, Surface
from rescind.systems.walker import Walker

ACCOUNT, ADMINISTRATOR = "account", "administrator account"
PROXIES = Surface(
    "secure access proxies",
    "ListProxyAccesses",
    "users with an account of a proxy, by the proxies of ListProxies",
    "no page says whether such an account ends with the user's, so it leaves the access unproven",
)
SURFACES = (
    Surface("accounts", "ListUsers", "users of the tenant with their state and roles"),
    Surface("account of a user", "GetUser", "state and roles of one user", asked_in="verification"),
    PROXIES,
    Surface("database passwords", "", "logins to a database past DMS", "DMS does not know who has a database password"),
    Surface("open sessions", "", "sessions from before the account was disabled", "no action lists them"),
    Surface("task flows and tickets", "", "flows that keep running, finished exports", NOT_COVERED),
    Surface("other tenants", "", "the same person in another tenant", "a connection reads one tenant"),
)
_NO_ROLES = "the listing names no roles, so this may be the last administrator"
_LAST = "is the last administrator who can log on"
_ENDS = "disabling an account also ends its permission records, ownership and DBA settings; a restore only enables it"
_KINDS = ("DATABASE", "TABLE", "COLUMN")
_NAMED = 3
_UNASKED = "what would end with this account was not listed: the run names other people"


class DmsAccounts(PermissionSystem[DmsClient]):
    """One call disables one account.

    ``DeleteUser`` would take the user out of the tenant for good. It is not used.
    """

    name: ClassVar[str] = "dms_accounts"
    title: ClassVar[str] = "DMS accounts"
    id_spaces: ClassVar[tuple[str, ...]] = ("dms_user_id", "alibaba_uid")
    vendor: ClassVar[str] = "alibaba"
    hook: ClassVar[str] = "rescind.hooks.dms.DmsHook"
    lists_people: ClassVar[bool] = True
    admin_entitlements: ClassVar[frozenset[str]] = frozenset({ADMINISTRATOR})
    shape: ClassVar[CallShape] = CallShape(max_rows=1, max_columns={ACCOUNT: 1}, max_cells=1)
    revoke_message: ClassVar[type[WriteRequest[Any]]] = DisableUser
    restore_message: ClassVar[type[WriteRequest[Any]]] = EnableUser
    restore_shape: ClassVar[CallShape] = shape
    not_restored: ClassVar[str] = _ENDS
    surfaces: ClassVar[tuple[Surface, ...]] = SURFACES
    reads: ClassVar[frozenset[str]] = frozenset(
        {
            "GetUser",
            "GetUserActiveTenant",
            "ListInstances",
            "ListProxies",
            "ListProxyAccesses",
            "ListUserOwnedResources",
            "ListUserPermissions",
            "ListUsers",
        }
    )
    optional_reads: ClassVar[frozenset[str]] = frozenset({"ListProxies", "ListProxyAccesses"})

    async def discover(self, client: DmsClient, found: Population) -> None:
        """List the users, and what each enabled one owns and holds: that would end with the account."""
        await self._discover(client, found, None)

    async def discover_named(self, client: DmsClient, found: Population, people: NamedPeople) -> None:
        """List all users, and what the named ones own and hold. The account of anybody else cannot be planned then."""
        await self._discover(client, found, people)

    async def _discover(self, client: DmsClient, found: Population, named: NamedPeople | None) -> None:
        walker = Walker(client, found)
        tid = await client.find_tenant()
        users = await walker.rows(ListUsers(Tid=tid))
        principals = [user_principal(self.name, walker.account, user) for user in users]
        found.shown(PrincipalType.USER, (user.UserId for user in users))
        found.shown(TENANT, [tid])
        found.add_principals(principals)
        people = People(users)
        dbas = await _dbas(walker, tid, people)
        asked = None if named is None else named.choose(principals)

        async def read(user: DmsUser) -> tuple[str, str]:
            return (
                await _ends_with(walker, tid, user, dbas) if asked is None or user.UserId in asked else (_UNASKED, "")
            )

        await walker.for_each(
            [user for user in users if _enabled(user)],
            read,
            lambda user, ends: found.add_grants([_grant(walker.account, tid, user, *ends)]),
        )
        found.asked(SURFACES[0].name)
        await _proxy_accounts(walker, tid, people, found)
        found.note("objects", len(users))

    def cell(self, key: GrantKey) -> Cell:
        """The cloud account in the tenant."""
        return Cell(TENANT, key.resource_id, ACCOUNT, (key.native_id,))

    def listing_scope(self, grant: Grant) -> ListingScope:
        """The tenant: one listing shows all users with their state."""
        return (TENANT, grant.key.resource_id)

    def principal_listing_scope(self, grant: Grant) -> ListingScope:
        """The one user."""
        return (PrincipalType.USER, grant.key.principal_id)

    async def reread(self, client: DmsClient, listings: Collection[ListingScope]) -> Reading:
        """List all users, or ask for one."""
        walker = Walker(client)
        tid = await client.find_tenant()

        async def read(scope: ListingScope) -> list[Grant]:
            alone = scope[0] == PrincipalType.USER
            users = [await one_user(walker, tid, scope[1])] if alone else await walker.rows(ListUsers(Tid=tid))
            return [_grant(walker.account, tid, user) for user in users if _enabled(user)]

        found = await walker.each(sorted(listings), read)
        return Reading(tuple(g for rows in found for g in rows), frozenset(listings), walker.calls, tuple(walker.pages))

    async def also_ended(self, client: DmsClient, grants: Collection[Grant]) -> Mapping[str, str]:
        """Keep the last administrator, and who owns something by now or got the first permission record."""
        walker = Walker(client)
        tid = await client.find_tenant()
        users = await walker.rows(ListUsers(Tid=tid))
        dbas = await _dbas(walker, tid, People(users))
        against: dict[str, str] = {}
        for grant in grants:
            user = next((one for one in users if one.UserId == grant.key.principal_id), None)
            if user is None or not _enabled(user):
                continue
            why, records = await _ends_with(walker, tid, user, dbas)
            if records != "0" and grant.attributes.get("Records") == "0":
                why = f"got {records} permission records since the plan, which a restore would not bring back"
            others = [one for one in users if one is not user and _administers(one)]
            if user.Uid != grant.key.native_id:
                why = "belongs to another cloud account now"
            elif not others and (_administers(user) or not user.role_names):
                why = _LAST
            if why:
                against[grant.grant_id] = why
        return against

    def request(self, call: PlannedCall, grants: Sequence[Grant]) -> DisableUser:
        """The call that disables the one account."""
        (grant,) = grants
        return DisableUser(Uid=grant.key.native_id, Tid=grant.key.resource_id)

    def blast_radius(self, prepared: Prepared[Any]) -> frozenset[Cell]:
        """The one account that the final query string names."""
        uid, tid = _named(prepared, "DisableUser")
        return frozenset({Cell(TENANT, tid, ACCOUNT, (uid,))})

    def inverse(self, grant: Grant) -> Mapping[str, Any] | None:
        """EnableUser, which restores the account and nothing of what it held."""
        return {"action": "EnableUser", "Uid": grant.key.native_id, "Tid": grant.key.resource_id}

    def unfaithful(self, grant: Grant) -> str:
        """Return a reason for an account with permission records, which would not come back."""
        records = grant.attributes.get("Records", "")
        return "" if records == "0" else f"it holds {records or 'an unknown number of'} permission records; {_ENDS}"

    def restore_request(self, inverses: Sequence[Mapping[str, Any]]) -> EnableUser:
        """The call that enables the one account."""
        (inverse,) = inverses
        return EnableUser(Uid=inverse["Uid"], Tid=inverse["Tid"])

    def given(self, prepared: Prepared[Any]) -> list[Mapping[str, Any]]:
        """The one account that the final query string enables."""
        uid, tid = _named(prepared, "EnableUser")
        return [{"action": "EnableUser", "Uid": uid, "Tid": tid}]

    def slot(self, key: GrantKey) -> tuple[str, ...]:
        """The account, whatever its roles."""
        return tuple(key._replace(entitlement=""))

    def includes(self, held: str, entitlement: str) -> bool:
        """Return True: an account that changed its roles is still an account."""
        return True

    def memberships(self, grant: Grant) -> tuple[Membership, ...]:
        """The roles of the tenant, in which a disabled user cannot act."""
        key = grant.key
        roles = filter(None, grant.attributes.get("Roles", "").split(","))
        user = (PrincipalType.USER, key.principal_id)
        return tuple(Membership(self.name, key.account, *user, PrincipalType.ROLE, role) for role in roles)

    async def gone_holders(self, client: DmsClient, grants: Collection[Grant]) -> Mapping[str, str]:
        """Users whom neither the listing of all nor that of disabled users shows."""
        walker, tid = Walker(client), await client.find_tenant()
        listed = [await walker.rows(ListUsers(Tid=tid)), await walker.rows(ListUsers(Tid=tid, UserState="DISABLE"))]
        there = {user.UserId for user in chain(*listed) if user.State != "DELETE"}
        return {grant.grant_id: "the user is deleted" for grant in grants if grant.key.principal_id not in there}

    async def own_ids(self, client: DmsClient) -> frozenset[str]:
        """The DMS user id of the calling account."""
        return await own_user_id(client)


def _enabled(user: DmsUser) -> bool:
    """Whether the user may be able to log on: every state but the two that say no."""
    return user.State not in NO_LOGIN


def _administers(user: DmsUser) -> bool:
    return user.State == "NORMAL" and ADMINISTRATOR_ROLE in _roles(user)


def _roles(user: DmsUser) -> list[str]:
    return sorted({name.upper() for name in user.role_names or ()} - {"USER"})


def _grant(account: str, tid: str, user: DmsUser, why_not: str = "", records: str = "") -> Grant:
    roles = _roles(user)
    right = ADMINISTRATOR if ADMINISTRATOR_ROLE in roles else ACCOUNT
    key = GrantKey(DmsAccounts.name, account, TENANT, tid, PrincipalType.USER, user.UserId, right, user.Uid or "")
    if not is_numeric_id(key.native_id):
        why_not = UNNAMEABLE
    elif user.State != "NORMAL":
        why_not = f"unknown state {user.State!r}"
    elif not user.role_names:
        why_not = _NO_ROLES
    return Grant(
        key=key,
        cell=Cell(TENANT, tid, ACCOUNT, (key.native_id,)),
        revocable=not why_not,
        why_not=why_not,
        principal_name=user.NickName or "",
        attributes={"Roles": ",".join(roles), "Records": records},
    )


async def _ends_with(
    walker: Walker[DmsClient], tid: str, user: DmsUser, dbas: Mapping[str, Sequence[str]]
) -> tuple[str, str]:
    """Return why the account must stay, and how many permission records would end with it."""
    owned = [f"{kind} {ident}" for kind, ident in await owned_objects(walker, tid, user.UserId)]
    owned += [f"instance {ident} as DBA" for ident in dbas.get(user.UserId, ())]
    more = f" and {len(owned) - _NAMED} more" if len(owned) > _NAMED else ""
    why = f"owns {', '.join(owned[:_NAMED])}{more}; hand it over first, the call ends ownership" if owned else ""
    kinds = [("INSTANCE", None), *((kind, logic) for kind in _KINDS for logic in (False, True))]
    records = 0
    for kind, logic in kinds:
        request = ListUserPermissions.model_validate(
            {"UserId": user.UserId, "PermType": kind, "Logic": logic, "Tid": tid}
        )
        records += sum(len(row.details) for row in await walker.rows(request))
    return why, str(records)


async def _dbas(walker: Walker[DmsClient], tid: str, people: People) -> Mapping[str, Sequence[str]]:
    """Return the instances of which each user is the DBA."""
    found: dict[str, list[str]] = {}
    for instance in await walker.rows(ListInstances(Tid=tid)):
        if instance.DbaId:
            found.setdefault(people.user(instance.DbaId), []).append(instance.InstanceId)
    return found


async def _proxy_accounts(walker: Walker[DmsClient], tid: str, people: People, found: Population) -> None:
    """Name the users who have an account of a proxy too."""
    try:
        proxies = await walker.rows(ListProxies(Tid=tid))
        listed = await walker.each(proxies, lambda one: walker.rows(ListProxyAccesses(ProxyId=one.ProxyId, Tid=tid)))
    except (CloudError, ListingIncompleteError, InputError) as error:
        found.could_not_ask(PROXIES.name, short(error))
        return
    for access in chain.from_iterable(listed):
        user = people.user(access.UserId or access.UserUid or "")
        why = f"whether proxy account {access.ProxyAccessId} ends with the user's account is not known"
        found.could_not_tell(Gap(PROXIES.name, why, principal=(PrincipalType.USER, user) if user else ()))
    found.asked(PROXIES.name)


def _named(prepared: Prepared[Any], action: str) -> tuple[str, str]:
    """Return cloud account and tenant of the final query string."""
    fields = query_fields(prepared)
    if prepared.action != action or set(fields) != {"Uid", "Tid"} or not all(map(_one_id, fields.values())):
        raise BlastRadiusExceededError(f"the final {prepared.action} query does not name one user of one tenant")
    return fields["Uid"], fields["Tid"]


def _one_id(value: str) -> bool:
    return value.removeprefix("-").isdigit() and value.isascii()
