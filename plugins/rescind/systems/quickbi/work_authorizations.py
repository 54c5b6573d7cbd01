"""Alibaba Quick BI: which users are authorized to collaborate on which works and datasets.

A grant is one authorization of one resource. The call ends every authorization of one user on one resource, whatever
their level and end. It names users only: authorizations of groups, workspaces and the organization are reported. A
restore names the end as a day, and no page says when that day ends, so the end that comes back is earlier.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from rescind.cloud.base import Prepared, WriteRequest
from rescind.cloud.clients import QuickBiClient
from rescind.cloud.quickbi.authorizations import (
    AddWorksAuthorization,
    Authorization,
    DeleteAuthorizationByUserId,
    ListAuthConfigByResource,
)
from rescind.cloud.quickbi.menus import QueryWorksByOrganization, Work
from rescind.errors import BlastRadiusExceededError, InputError, ListingIncompleteError, NotFoundError, RefusedError
from rescind.model import CallShape, Cell, Grant, GrantKey, PlannedCall, Principal, PrincipalType
from rescind.systems.base import ListingScope
from rescind.systems.final_bytes import query_fields
from rescind.systems.membership import Container as Listed
from rescind.systems.membership import Member, MembershipSystem, Named
from rescind.systems.population import Population
from rescind.systems.quickbi.access import SHARED
from rescind.systems.quickbi.authorized_resources import (
    AUTHORIZATIONS,
    CUBE,
    DATASET,
    DATASETS,
    SURFACES,
    SYSTEM,
    TYPES,
    authorized_member,
    authorized_resources,
    day_before,
    is_far,
    kind_of,
    kind_of_type,
    shares_of,
    shares_with,
    untold,
)
from rescind.systems.quickbi.people import PEOPLE_READS, discover_people, organization_members
from rescind.systems.quickbi.users import organization_users
from rescind.systems.quickbi.work_access import SHARES, WORK, WORKS, WorkSystem, other_ways, share_ways, what_users_open
from rescind.systems.surfaces import UNNAMED, PlatformAnswer, Surface, Untraceable
from rescind.systems.walker import Walker

_POINTS: Mapping[str, Any] = {"view": 1, "view_export": 3, "edit": 11}
_SHARES = "Shares"
"""Attribute: level and end of each share of the work with the user, when the grant was discovered."""
_SHARED_TOO = "the user has a share of this work too, and no page says whether the call ends it; end the share first"
_EARLIER = "an authorization with an end comes back with an earlier end, by up to four days"


class QuickBiWorkAuthorizations(WorkSystem, MembershipSystem[QuickBiClient]):
    """Authorizations of works and datasets; one call ends those of one user on one resource."""

    name: ClassVar[str] = SYSTEM
    title: ClassVar[str] = "Quick BI work authorizations"
    id_spaces: ClassVar[tuple[str, ...]] = ("quickbi_user_id", "alibaba_uid")
    vendor: ClassVar[str] = "alibaba"
    hook: ClassVar[str] = "rescind.hooks.quickbi.QuickBiHook"
    container_type: ClassVar[str] = WORK
    container_kind: ClassVar[PrincipalType] = PrincipalType.UNKNOWN
    shape: ClassVar[CallShape] = CallShape(max_rows=1, max_columns={PrincipalType.USER: 1})
    revoke_message: ClassVar[type[WriteRequest[Any]]] = DeleteAuthorizationByUserId
    restore_message: ClassVar[type[WriteRequest[Any]]] = AddWorksAuthorization
    restore_shape: ClassVar[CallShape] = shape
    not_restored: ClassVar[str] = _EARLIER
    comes_after: ClassVar[frozenset[str]] = frozenset(
        {"quickbi_group_members", "quickbi_shares", "quickbi_workspace_members"}
    )
    surfaces: ClassVar[tuple[Surface, ...]] = SURFACES
    untraceable: ClassVar[Mapping[str, Untraceable]] = {PrincipalType.UNKNOWN: UNNAMED}
    optional_reads: ClassVar[frozenset[str]] = frozenset({"CheckReadable"})
    reads: ClassVar[frozenset[str]] = (
        optional_reads
        | PEOPLE_READS
        | {"ListAuthConfigByResource", "QueryDatasetList", "QueryShareList", "QueryWorksByOrganization"}
    )

    async def discover(self, client: QuickBiClient, found: Population) -> None:
        """List users, groups and workspaces with their members; then works and datasets with their authorizations."""
        walker = Walker(client, found)
        users, roles = await discover_people(walker, found, self.name)
        listed = await authorized_resources(walker, roles)
        listed = [work for work in listed if not found.leaves_out(kind_of(work), work.WorksId)]
        for kind in (WORK, DATASET):
            found.shown(kind, (work.WorksId for work in listed if kind_of(work) == kind))
        organizations: set[str] = set()

        def take(work: Work, grants: list[Grant]) -> None:
            held = roles.get(work.WorkspaceId or "", ())
            found.add_grants([*grants, *other_ways(walker.account, work, held, kind_of(work), self.name)])
            untold(work, found)
            kinds = (grant.key for grant in grants)
            organizations.update(key.principal_id for key in kinds if key.principal_type == PrincipalType.ORGANIZATION)

        await walker.for_each(listed, lambda work: self._authorizations(walker, work, found), take)
        found.add_memberships(organization_members(walker, users, organizations, self.name))
        for surface in (AUTHORIZATIONS, WORKS, DATASETS, SHARES):
            found.asked(surface.name)
        found.note("objects", len(listed))

    async def _authorizations(self, walker: Walker[QuickBiClient], work: Work, found: Population) -> list[Grant]:
        """Return authorizations and shares of one resource. One of which they are not listed is not reviewed."""
        kind = TYPES.get(work.WorkType or "")
        try:
            if kind is None:
                raise ListingIncompleteError(ListAuthConfigByResource.action, f"it knows no type {work.WorkType}")
            shares = await shares_of(walker, work)
            grants = await self._grants(walker, (f"{kind}/{work.WorksId}", work.WorkName or ""))
        except (NotFoundError, RefusedError, ListingIncompleteError, InputError) as error:
            why = f"its authorizations are not listed: {type(error).__name__}: {error}"[:300]
            found.not_reviewed(kind_of(work), work.WorksId, why)
            return []

        def marked(grant: Grant) -> Grant:
            held = ",".join(sorted(shares_with(grant.key.principal_id, shares)))
            return replace(grant, attributes={**grant.attributes, _SHARES: held})

        return [*share_ways(walker.account, work, shares, self.name), *map(marked, grants)]

    async def people(self, walker: Walker[QuickBiClient]) -> Sequence[Principal]:
        """Return the users of the organization."""
        return await organization_users(walker, self.name)

    async def containers(self, walker: Walker[QuickBiClient]) -> Mapping[str, Listed]:
        """Return every work of a known type, as type/id; datasets are listed by workspace."""
        works = [(TYPES.get(work.WorkType or ""), work) for work in await walker.rows(QueryWorksByOrganization())]
        return {f"{kind}/{work.WorksId}": Listed(work.WorkName or "") for kind, work in works if kind}

    async def members(self, walker: Walker[QuickBiClient], container: str) -> list[Member]:
        """Return the authorizations of one resource, given as type/id. Datasets are authorized to users only.

        :raises ListingIncompleteError: when a row is about another resource.
        """
        kind: Any
        kind, _, ident = container.partition("/")
        rows: list[Authorization] = []
        receivers: tuple[Any, ...] = ("0",) if kind == CUBE else ("0", "1")
        for receiver in receivers:
            asks = ListAuthConfigByResource(ResourceId=ident, WorksType=kind, ShareToType=receiver)
            rows += await walker.rows(asks)
        if any(row.ResourceId not in (None, ident) for row in rows):
            raise ListingIncompleteError(f"ListAuthConfigByResource({ident})", "a row is about another resource")
        return [authorized_member(kind, ident, row) for row in rows]

    def _grant(self, account: str, container: str, name: str, member: Member) -> Grant:
        """Return the grant of one row, on a resource of the kind that people know."""
        kind = member.attributes["ResourceType"]
        grant = super()._grant(account, container.removeprefix(f"{kind}/"), name, member)
        key = grant.key._replace(resource_type=kind_of_type(kind))
        return replace(grant, key=key, cell=self.cell(key))

    async def ended_with(self, walker: Walker[QuickBiClient], grant: Grant) -> list[Member]:
        """Return every authorization of the user on the resource: the call ends them all."""
        receiver = (grant.key.principal_type, grant.key.principal_id)
        members = await self.members(walker, self.listing_scope(grant)[0])
        return [one for one in members if (one.kind, one.ident) == receiver]

    def ended_besides(
        self, planned: Collection[Grant], there: Iterable[Grant], elsewhere: Container[str] = ()
    ) -> Mapping[str, str]:
        """Hold what the call would end together with a share that stays: no page says whether it ends shares too."""
        kept = {one.cell.row: set[str]() for one in planned}
        for one in there:
            user = one.key.principal_type == PrincipalType.USER and one.key.entitlement == SHARED
            if user and one.key.resource_id in kept and one.grant_id not in elsewhere:
                kept[one.key.resource_id].add(one.key.principal_id)
        several = {one.grant_id for one in planned if "," in one.attributes.get(_SHARES, "")}
        return {
            one.grant_id: _SHARED_TOO
            for one in planned
            if one.grant_id in several or one.key.principal_id in kept[one.cell.row]
        }

    async def also_ended(self, client: QuickBiClient, grants: Collection[Grant]) -> Mapping[str, str]:
        """Compare authorizations, and then shares, with those of the plan."""
        found, walker = dict(await super().also_ended(client, grants)), Walker(client)
        for grant in (one for one in grants if one.key.resource_type == WORK):
            work = Work(WorksId=grant.key.resource_id)
            now = shares_with(grant.key.principal_id, await shares_of(walker, work))
            if now - set(grant.attributes.get(_SHARES, "").split(",")):
                found[grant.grant_id] = f"the vendor shows another share now: {_SHARED_TOO}"
        return found

    def cell(self, key: GrantKey) -> Cell:
        """Return the cell of one receiver on one resource, whatever the level and the end."""
        return Cell(key.resource_type, key.resource_id, key.principal_type, (key.principal_id,))

    def listing_scope(self, grant: Grant) -> ListingScope:
        """Return type/id of the resource and its name; no listing of authorizations shows the other ways in."""
        kind = grant.attributes.get("ResourceType")
        return (f"{kind}/{grant.key.resource_id}", grant.resource_name) if kind else ("", "")

    def request(self, call: PlannedCall, grants: Sequence[Grant]) -> DeleteAuthorizationByUserId:
        """Return the call that ends the authorizations of the one user on the one resource."""
        members = tuple(column[0] for _, column in call.columns)
        return self.remove(call.rows, members, grants[0].attributes["ResourceType"])

    def remove(self, containers: tuple[str, ...], members: tuple[str, ...], group: str) -> DeleteAuthorizationByUserId:
        """Return the call for one user and one resource.

        :param group: the vendor's type of the resource.
        """
        (resource,), (user,) = containers, members
        kind: Any = group
        return DeleteAuthorizationByUserId(ResourceType=kind, ResourceId=resource, QbiUserId=user)

    def add(
        self, containers: tuple[str, ...], members: tuple[str, ...], like: Mapping[str, Any]
    ) -> AddWorksAuthorization:
        """Return the call that authorizes the one user on the one resource, at the same level."""
        (resource,), (user,) = containers, members
        return AddWorksAuthorization(
            ResourceType=like["ResourceType"],
            ResourceId=resource,
            AuthorizedId=user,
            AuthPoints=_POINTS[like["role"]],
            ExpireDay=like.get("ExpireDay"),
        )

    def named(self, prepared: Prepared[Any]) -> Named:
        """Return resource, user and, where they are given, level and day of the final query string."""
        fields = query_fields(prepared)
        adds, level = prepared.action == "AddWorksAuthorization", {"1": "view", "3": "view_export", "11": "edit"}
        user = "AuthorizedId" if adds else "QbiUserId"
        names = {"ResourceType", "ResourceId", user, *(("AuthorizeScope", "AuthPoints") if adds else ())}
        day = {"ExpireDay": fields["ExpireDay"]} if adds and "ExpireDay" in fields else {}
        right = not adds or (fields.get("AuthorizeScope") == "0" and fields.get("AuthPoints") in level)
        if set(fields) != names | set(day) or not right or any("," in text for text in fields.values()):
            raise BlastRadiusExceededError(f"the final {prepared.action} query does not name one user of one resource")
        role = level[fields["AuthPoints"]] if adds else "member"
        terms = {"ResourceType": fields["ResourceType"], **day}
        return Named((fields["ResourceId"],), (fields[user],), PrincipalType.USER, role, terms)

    def blast_radius(self, prepared: Prepared[Any]) -> frozenset[Cell]:
        """Return the one user on the one resource of the final query string."""
        named = self._checked(prepared)
        kind = kind_of_type(named.terms["ResourceType"])
        return frozenset({Cell(kind, named.containers[0], named.kind, named.members)})

    def inverse(self, grant: Grant) -> Mapping[str, Any] | None:
        """Return the same level. View and export need an end, and edit cannot have one."""
        level, ends = grant.key.entitlement, grant.expires_at is not None
        known = is_far(grant.attributes["ExpireDate"]) if level == "edit" else ends and level in _POINTS
        return super().inverse(grant) if known else None

    def unfaithful(self, grant: Grant) -> str:
        """Return a reason for every authorization with an end that people wait for."""
        return super().unfaithful(grant) or ("" if is_far(grant.attributes["ExpireDate"]) else _EARLIER)

    def restore_terms(self, grant: Grant) -> Mapping[str, Any]:
        """Return the type, and a day that is over before the former end in every time zone."""
        ends = grant.expires_at if grant.key.entitlement != "edit" else None
        day = {"ExpireDay": day_before(ends)} if ends else {}
        return {"ResourceType": grant.attributes["ResourceType"], **day}

    def slot(self, key: GrantKey) -> tuple[str, ...]:
        """Return the receiver on the resource, whatever the level and the end."""
        return tuple(key._replace(native_id="", entitlement=""))

    def terms(self, grant: Grant) -> tuple[str, ...]:
        """Return the level, and whether it has an end: a restored one ends earlier."""
        return (grant.key.entitlement, "" if is_far(grant.attributes["ExpireDate"]) else "ends")

    async def ask_platform(self, client: QuickBiClient, grants: Collection[Grant]) -> PlatformAnswer:
        """Ask for each user and work whether the user can read it."""
        return await what_users_open(client, grants)
