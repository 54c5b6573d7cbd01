"""Alibaba DMS: which policies are attached to users and to custom roles.

A grant is one attachment. A policy may also forbid: to take such a policy off somebody can give access. So only
attachments of policies whose text can be read, and whose every statement allows, are revoked. The text is read again
right before each call.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

from rescind.cloud.base import Prepared, WriteRequest
from rescind.cloud.clients import DmsClient
from rescind.cloud.dms.inventory import DmsUser, ListUsers
from rescind.cloud.dms.policies import (
    AbacAuthorization,
    AbacPolicy,
    CreateAbacAuthorization,
    DeleteAbacAuthorization,
    ListAbacAuthorizations,
    ListAbacPolicies,
)
from rescind.cloud.fields import UNNAMEABLE, is_numeric_id
from rescind.errors import BlastRadiusExceededError, ListingIncompleteError
from rescind.model import CallShape, Cell, Grant, GrantKey, Membership, PlannedCall, PrincipalType
from rescind.systems.base import ListingScope, PermissionSystem, Reading
from rescind.systems.dms.surfaces import People
from rescind.systems.dms.users import own_user_id, user_principal
from rescind.systems.final_bytes import query_fields
from rescind.systems.population import Population
from rescind.systems.surfaces import NOT_COVERED, UNNAMED, Gap, Surface, Untraceable
from rescind.systems.walker import Walker

POLICY, ATTACHED = "policy", "attached policy"
ROLES = Surface("roles of users", "ListUsers", "who is in a role that a policy is attached to, by role id")
ATTACHMENTS = Surface("attachments", "ListAbacAuthorizations", "users and custom roles that a policy is attached to")
SURFACES = (
    Surface("policies", "ListAbacPolicies", "policies of the tenant with their text"),
    ATTACHMENTS,
    ROLES,
    Surface("permission records", "", "the same objects without a policy", "dms_permissions reads them"),
    Surface("overlapping policies", "", "another policy that allows the same", "the texts are not compared"),
    Surface("tickets and exports", "", "open tickets that will grant, finished exports", NOT_COVERED),
    Surface("other tenants", "", "the same person in another tenant", "a connection reads one tenant"),
)
_KINDS = {"USER": PrincipalType.USER, "ROLE": PrincipalType.ROLE}
_SOURCES = ("USER_DEFINE", "SYSTEM")
_FORBIDS = "the policy does more than allow, so taking it away may give access"
_UNREAD = "the text of the policy cannot be read, and a policy that forbids must stay"
_NOBODY = "no listed user has the id of the row, so whose attachment it is is not known"
_NO_ROLE = "no listed user is in a role with the id of the row, so who would lose access is not known"
_NO_POLICY = "the row does not name its policy, which may be one that forbids"
_UNKNOWN_KIND = "the row names no user and no role"


class _Directory(NamedTuple):
    """Users of the tenant.

    :param ids: DMS user ids.
    :param roles: ids of the roles that a user is in.
    """

    people: People
    ids: frozenset[str]
    roles: frozenset[str]

    @classmethod
    def of(cls, users: Sequence[DmsUser]) -> _Directory:
        """Return the directory of a complete listing."""
        roles = frozenset(role for user in users for role in _roles(user))
        return cls(People(users), frozenset(user.UserId for user in users), roles)

    def gap(self, key: GrantKey) -> Gap | None:
        """Return what is not told of a policy: whose the attachment is, or who is in the role."""
        kind, ident, where = key.principal_type, key.principal_id, (POLICY, key.resource_id)
        if kind == PrincipalType.USER and ident not in self.ids:
            return Gap(ATTACHMENTS.name, f"user {ident}: {_NOBODY}", where)
        if kind == PrincipalType.ROLE and ident not in self.roles:
            return Gap(ROLES.name, f"role {ident}: {_NO_ROLE}", where)
        return None


class DmsAbacAuthorizations(PermissionSystem[DmsClient]):
    """One call detaches one policy from one user, or from one role."""

    name: ClassVar[str] = "dms_abac_authorizations"
    title: ClassVar[str] = "DMS policies"
    id_spaces: ClassVar[tuple[str, ...]] = ("dms_user_id", "alibaba_uid")
    vendor: ClassVar[str] = "alibaba"
    hook: ClassVar[str] = "rescind.hooks.dms.DmsHook"
    shape: ClassVar[CallShape] = CallShape(max_rows=1, max_columns={"USER": 1, "ROLE": 1}, max_cells=1)
    revoke_message: ClassVar[type[WriteRequest[Any]]] = DeleteAbacAuthorization
    restore_message: ClassVar[type[WriteRequest[Any]]] = CreateAbacAuthorization
    restore_shape: ClassVar[CallShape] = shape
    restore_is_idempotent: ClassVar[bool] = False
    surfaces: ClassVar[tuple[Surface, ...]] = SURFACES
    untraceable: ClassVar[Mapping[str, Untraceable]] = {PrincipalType.UNKNOWN: UNNAMED}
    reads: ClassVar[frozenset[str]] = frozenset(
        {"GetUser", "GetUserActiveTenant", "ListAbacAuthorizations", "ListAbacPolicies", "ListUsers"}
    )

    async def discover(self, client: DmsClient, found: Population) -> None:
        """List users with their roles, policies, and the attachments of each policy."""
        walker = Walker(client, found)
        tid = await client.find_tenant()
        users = await walker.rows(ListUsers(Tid=tid))
        found.shown(PrincipalType.USER, (user.UserId for user in users))
        found.add_principals(user_principal(self.name, walker.account, user) for user in users)
        found.add_memberships(_memberships(walker.account, users, found))
        policies = await walker.rows(ListAbacPolicies(Tid=tid))
        found.shown(POLICY, (policy.AbacPolicyId for policy in policies))
        reviewed = [one for one in policies if not found.leaves_out(POLICY, one.AbacPolicyId)]
        directory = _Directory.of(users)

        def take(_: AbacPolicy, grants: list[Grant]) -> None:
            found.add_grants(grants)
            for grant in grants:
                if gap := directory.gap(grant.key):
                    found.could_not_tell(gap)

        await walker.for_each(
            sorted(reviewed, key=lambda one: one.AbacPolicyId),
            lambda policy: _attachments(walker, tid, policy, directory),
            take,
        )
        for surface in SURFACES[:3]:
            found.asked(surface.name)
        found.note("objects", len(reviewed))

    def cell(self, key: GrantKey) -> Cell:
        """The one attachment."""
        kind = next((name for name, known in _KINDS.items() if known == key.principal_type), "")
        return Cell(POLICY, key.native_id, kind, (key.native_id,))

    def listing_scope(self, grant: Grant) -> ListingScope:
        """The policy: one listing shows everything that it is attached to."""
        return (POLICY, grant.key.resource_id)

    async def reread(self, client: DmsClient, listings: Collection[ListingScope]) -> Reading:
        """List users and policies again, then the attachments of each policy asked for.

        A policy that the listing of policies lacks is asked for all the same.
        """
        walker = Walker(client)
        tid = await client.find_tenant()
        directory = _Directory.of(await walker.rows(ListUsers(Tid=tid)))
        known = {policy.AbacPolicyId: policy for policy in await walker.rows(ListAbacPolicies(Tid=tid))}
        asked = [known.get(ident) or AbacPolicy(AbacPolicyId=ident) for _, ident in sorted(listings)]
        found = await walker.each(asked, lambda policy: _attachments(walker, tid, policy, directory))
        return Reading(tuple(g for rows in found for g in rows), frozenset(listings), walker.calls, tuple(walker.pages))

    async def also_ended(self, client: DmsClient, grants: Collection[Grant]) -> Mapping[str, str]:
        """Read the text of the policy again: one that has begun to forbid stays."""
        walker = Walker(client)
        now = {one.AbacPolicyId: one for one in await walker.rows(ListAbacPolicies(Tid=await client.find_tenant()))}
        texts = {grant.grant_id: now.get(grant.key.resource_id) for grant in grants}
        return {
            ident: why
            for ident, policy in texts.items()
            if (why := "the policy is not listed any more" if policy is None else _why_it_stays(policy))
        }

    def request(self, call: PlannedCall, grants: Sequence[Grant]) -> DeleteAbacAuthorization:
        """The call that detaches the one policy."""
        (grant,) = grants
        return DeleteAbacAuthorization.model_validate(
            {"AuthorizationId": grant.key.native_id, "IdentityType": grant.cell.kind, "Tid": grant.attributes["Tid"]}
        )

    def blast_radius(self, prepared: Prepared[Any]) -> frozenset[Cell]:
        """The one attachment that the final query string names."""
        fields = _named(prepared, "DeleteAbacAuthorization", {"AuthorizationId"})
        ident = fields["AuthorizationId"]
        return frozenset({Cell(POLICY, ident, fields["IdentityType"], (ident,))})

    def inverse(self, grant: Grant) -> Mapping[str, Any] | None:
        """The same policy for the same user or role; the attachment gets a new id."""
        key, kind = grant.key, grant.cell.kind
        whom = {"UserId" if kind == "USER" else "RoleId": key.principal_id}
        ids = {"PolicyId": key.resource_id, **whom, "Tid": grant.attributes["Tid"]}
        return {"action": "CreateAbacAuthorization", "IdentityType": kind, **ids}

    def restore_request(self, inverses: Sequence[Mapping[str, Any]]) -> CreateAbacAuthorization:
        """The call that attaches the one policy."""
        (inverse,) = inverses
        return CreateAbacAuthorization.model_validate({k: v for k, v in inverse.items() if k != "action"})

    def given(self, prepared: Prepared[Any]) -> list[Mapping[str, Any]]:
        """The one attachment that the final query string describes."""
        whom = "RoleId" if query_fields(prepared).get("IdentityType") == "ROLE" else "UserId"
        fields = _named(prepared, "CreateAbacAuthorization", {"PolicyId", whom})
        return [{"action": "CreateAbacAuthorization", **fields}]

    def slot(self, key: GrantKey) -> tuple[str, ...]:
        """The policy and its holder, whatever the id of the attachment."""
        return tuple(key._replace(native_id=""))

    async def gone_holders(self, client: DmsClient, grants: Collection[Grant]) -> Mapping[str, str]:
        """Users who are deleted or whom no listing shows, and policies that no listing shows."""
        walker, tid = Walker(client), await client.find_tenant()
        users = {user.UserId for user in await walker.rows(ListUsers(Tid=tid)) if user.State != "DELETE"}
        policies = {policy.AbacPolicyId for policy in await walker.rows(ListAbacPolicies(Tid=tid))}
        gone: dict[str, str] = {}
        for grant in grants:
            if grant.key.resource_id not in policies:
                gone[grant.grant_id] = "the policy is gone"
            elif grant.key.principal_type == PrincipalType.USER and grant.key.principal_id not in users:
                gone[grant.grant_id] = "the user is deleted"
        return gone

    async def own_ids(self, client: DmsClient) -> frozenset[str]:
        """The DMS user id of the calling account."""
        return await own_user_id(client)


def _roles(user: DmsUser) -> tuple[str, ...]:
    return (user.RoleIdList.RoleIds if user.RoleIdList else None) or ()


def _memberships(account: str, users: Iterable[DmsUser], found: Population) -> Iterable[Membership]:
    """Yield who is in which role. Fewer role ids than names leave the surface unanswered for that user."""
    for user in users:
        if user.State == "DELETE":
            continue
        ids, names = {*_roles(user)}, {*(user.role_names or ())} - {"USER"}
        if len(ids) < len(names) or (user.role_names is None and not ids):
            why = f"ListUsers names {len(ids)} role ids for user {user.UserId}"
            found.could_not_tell(Gap(ROLES.name, why, principal=(PrincipalType.USER, user.UserId)))
        for role in _roles(user):
            yield Membership(
                DmsAbacAuthorizations.name, account, PrincipalType.USER, user.UserId, PrincipalType.ROLE, role
            )


async def _attachments(walker: Walker[DmsClient], tid: str, policy: AbacPolicy, directory: _Directory) -> list[Grant]:
    """Return the attachments of one policy.

    :raises ListingIncompleteError: when the listing failed, or a row is about another policy.
    """
    source = policy.AbacPolicySource if policy.AbacPolicySource in _SOURCES else None
    request = {"PolicyId": policy.AbacPolicyId, "PolicySource": source, "Tid": tid}
    rows = await walker.rows(ListAbacAuthorizations.model_validate(request))
    if any(row.PolicyId not in (None, policy.AbacPolicyId) for row in rows):
        raise ListingIncompleteError(f"ListAbacAuthorizations({policy.AbacPolicyId})", "a row is about another policy")
    return [_grant(walker.account, tid, policy, row, directory) for row in rows]


def _grant(account: str, tid: str, policy: AbacPolicy, row: AbacAuthorization, directory: _Directory) -> Grant:
    kind = _KINDS.get(row.IdentityType or "", PrincipalType.UNKNOWN) if row.IdentityId else PrincipalType.UNKNOWN
    holder = row.IdentityId or ""
    if kind == PrincipalType.USER:
        holder = directory.people.user(holder)
    place = (DmsAbacAuthorizations.name, account, POLICY, policy.AbacPolicyId)
    key = GrantKey(*place, kind, holder, ATTACHED, row.AuthorizationId)
    why_not = _why_it_stays(policy) if row.PolicyId else _NO_POLICY
    if kind == PrincipalType.UNKNOWN:
        why_not = _UNKNOWN_KIND
    elif not all(map(is_numeric_id, (holder, policy.AbacPolicyId, row.AuthorizationId))):
        why_not = UNNAMEABLE
    elif kind == PrincipalType.USER and holder not in directory.ids:
        why_not = _NOBODY
    elif kind == PrincipalType.ROLE and holder not in directory.roles:
        why_not = _NO_ROLE
    return Grant(
        key=key,
        cell=Cell(
            POLICY, key.native_id, row.IdentityType or "" if kind != PrincipalType.UNKNOWN else "", (key.native_id,)
        ),
        revocable=not why_not,
        why_not=why_not,
        origin=policy.AbacPolicySource or "",
        principal_name=row.IdentityName or "",
        resource_name=row.PolicyName or policy.AbacPolicyName or "",
        attributes={"Tid": tid},
    )


def _why_it_stays(policy: AbacPolicy) -> str:
    return {True: "", False: _FORBIDS, None: _UNREAD}[policy.only_allows]


def _named(prepared: Prepared[Any], action: str, ids: set[str]) -> dict[str, str]:
    """Return the fields of the final query string: one id each, and a kind of holder."""
    fields = query_fields(prepared)
    numbers = [value for name, value in fields.items() if name != "IdentityType"]
    one = all(value.removeprefix("-").isdigit() and value.isascii() for value in numbers)
    known = fields.get("IdentityType") in _KINDS
    if prepared.action != action or set(fields) != {"IdentityType", "Tid", *ids} or not one or not known:
        raise BlastRadiusExceededError(f"the final {prepared.action} query does not name one attachment of a policy")
    return fields
