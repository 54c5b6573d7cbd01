"""Alibaba Quick BI: which works are shared with whom, at which level and until when.

A grant is one share of one work; portals are works too. The call ends every share of one receiver on one work. Only
shares in force are listed: one whose end has passed disappears by itself.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar

from rescind.cloud.base import Prepared, WriteRequest
from rescind.cloud.clients import QuickBiClient
from rescind.cloud.fields import UNNAMEABLE, is_named_id
from rescind.cloud.quickbi.menus import QueryWorksByOrganization, Work
from rescind.cloud.quickbi.shares import (
    FIRST_END,
    AddShareReport,
    CancelReportShare,
    QueryShareList,
    Share,
)
from rescind.errors import BlastRadiusExceededError, ListingIncompleteError, NotFoundError, RefusedError
from rescind.model import CallShape, Grant, GrantKey, Principal, PrincipalType
from rescind.systems.base import ListingScope
from rescind.systems.final_bytes import query_fields
from rescind.systems.membership import Container, Member, MembershipSystem, Named
from rescind.systems.population import Population
from rescind.systems.quickbi.access import SHARED, receiver_kind
from rescind.systems.quickbi.access import SYSTEM as MENUS
from rescind.systems.quickbi.authorized_resources import SYSTEM as AUTHORIZATIONS
from rescind.systems.quickbi.people import PEOPLE_READS, discover_people, organization_members
from rescind.systems.quickbi.users import moment, organization_users
from rescind.systems.quickbi.work_access import (
    SHARES,
    SURFACES,
    SYSTEM,
    WORK,
    WORKS,
    WorkSystem,
    other_ways,
    unknowns,
    what_users_read,
)
from rescind.systems.surfaces import UNNAMED, PlatformAnswer, Surface, Untraceable
from rescind.systems.walker import Walker

LEVELS = {1: "view", 3: "view_export"}
_POINTS = {name: points for points, name in LEVELS.items()}
_TYPES: Mapping[str, Any] = {PrincipalType.USER: 0, PrincipalType.GROUP: 1, PrincipalType.ORGANIZATION: 2}
"""Kinds of receiver that the two writes can name."""


class QuickBiShares(WorkSystem, MembershipSystem[QuickBiClient]):
    """Shares of works; one call ends the shares of one user, one group or the organization on one work."""

    name: ClassVar[str] = SYSTEM
    title: ClassVar[str] = "Quick BI shares"
    id_spaces: ClassVar[tuple[str, ...]] = ("quickbi_user_id", "alibaba_uid")
    vendor: ClassVar[str] = "alibaba"
    hook: ClassVar[str] = "rescind.hooks.quickbi.QuickBiHook"
    container_type: ClassVar[str] = WORK
    container_kind: ClassVar[PrincipalType] = PrincipalType.UNKNOWN
    shape: ClassVar[CallShape] = CallShape(max_rows=1, max_columns=dict.fromkeys(map(str, _TYPES), 1))
    revoke_message: ClassVar[type[WriteRequest[Any]]] = CancelReportShare
    restore_message: ClassVar[type[WriteRequest[Any]]] = AddShareReport
    restore_shape: ClassVar[CallShape] = shape
    surfaces: ClassVar[tuple[Surface, ...]] = SURFACES
    untraceable: ClassVar[Mapping[str, Untraceable]] = {PrincipalType.UNKNOWN: UNNAMED}
    optional_reads: ClassVar[frozenset[str]] = frozenset({"CheckReadable", "QuerySharesToUserList"})
    reads: ClassVar[frozenset[str]] = optional_reads | PEOPLE_READS | {"QueryShareList", "QueryWorksByOrganization"}

    async def discover(self, client: QuickBiClient, found: Population) -> None:
        """List users, groups and workspaces with their members; then every work with its shares."""
        walker = Walker(client, found)
        users, roles = await discover_people(walker, found, self.name)
        works = await walker.rows(QueryWorksByOrganization())
        works = tuple(work for work in works if not found.leaves_out(self.container_type, work.WorksId))
        found.shown(self.container_type, (work.WorksId for work in works))
        organizations: set[str] = set()

        def take(work: Work, grants: list[Grant]) -> None:
            found.add_grants(grants)
            found.add_grants(other_ways(walker.account, work, roles.get(work.WorkspaceId or "", ())))
            unknowns(work, found)
            kinds = (grant.key for grant in grants)
            organizations.update(key.principal_id for key in kinds if key.principal_type == PrincipalType.ORGANIZATION)

        await walker.for_each(works, lambda work: self._shares(walker, work), take)
        found.add_memberships(organization_members(walker, users, organizations, self.name))
        found.asked(SHARES.name)
        found.asked(WORKS.name)
        found.note("objects", len(works))

    async def _shares(self, walker: Walker[QuickBiClient], work: Work) -> list[Grant]:
        """Return the shares of one work. A work whose shares the vendor does not list is not reviewed."""
        try:
            return await self._grants(walker, (work.WorksId, work.WorkName or ""))
        except (NotFoundError, RefusedError, ListingIncompleteError) as error:
            if walker.found is not None:
                why = f"its shares are not listed: {type(error).__name__}: {error}"[:300]
                walker.found.not_reviewed(self.container_type, work.WorksId, why)
            return []

    async def people(self, walker: Walker[QuickBiClient]) -> Sequence[Principal]:
        """Return the users of the organization."""
        return await organization_users(walker, self.name)

    async def containers(self, walker: Walker[QuickBiClient]) -> Mapping[str, Container]:
        """Return every work."""
        works = await walker.rows(QueryWorksByOrganization())
        return {work.WorksId: Container(work.WorkName or "") for work in works}

    async def members(self, walker: Walker[QuickBiClient], container: str) -> list[Member]:
        """Return the shares of one work that are in force."""
        return [_member(container, share) for share in await walker.rows(QueryShareList(ReportId=container))]

    async def ended_with(self, walker: Walker[QuickBiClient], grant: Grant) -> list[Member]:
        """Return every share of the receiver on the work: the call ends them all, whatever their level and end."""
        receiver = (grant.key.principal_type, grant.key.principal_id)
        return [one for one in await self.members(walker, grant.key.resource_id) if (one.kind, one.ident) == receiver]

    def call_group(self, kind: str, role: str) -> str:
        """Return the kind of receiver: one call names receivers of one kind."""
        return kind

    def listing_scope(self, grant: Grant) -> ListingScope:
        """Return the work and its name; no listing of shares shows the other ways into it."""
        return super().listing_scope(grant) if grant.cell.container else ("", "")

    def remove(self, containers: tuple[str, ...], members: tuple[str, ...], group: str) -> CancelReportShare:
        """Return the call that ends the shares of the one receiver on the one work."""
        (work,), (receiver,) = containers, members
        return CancelReportShare(ReportId=work, ShareToType=_TYPES[group], ShareToIds=receiver)

    def add(self, containers: tuple[str, ...], members: tuple[str, ...], like: Mapping[str, Any]) -> AddShareReport:
        """Return the call that shares the one work with the one receiver, at the same level until the same end."""
        (work,), (receiver,) = containers, members
        points: Any = _POINTS[like["role"]]
        return AddShareReport(
            WorksId=work,
            ShareToType=_TYPES[like["member_type"]],
            ShareToId=receiver,
            AuthPoint=points,
            ExpireDate=like["ExpireDate"],
        )

    def named(self, prepared: Prepared[Any]) -> Named:
        """Return work, receiver and, where they are given, level and end of the final query string."""
        fields = query_fields(prepared)
        kinds = {"0": PrincipalType.USER, "1": PrincipalType.GROUP, "2": PrincipalType.ORGANIZATION}
        adds = prepared.action == "AddShareReport"
        names = ("WorksId", "ShareToId", "AuthPoint", "ExpireDate") if adds else ("ReportId", "ShareToIds")
        kind = kinds.get(fields.get("ShareToType", ""))
        if kind is None or set(fields) != {*names, "ShareToType"} or any("," in text for text in fields.values()):
            raise BlastRadiusExceededError(f"the final {prepared.action} query does not name one work and one receiver")
        work, receiver = fields[names[0]], fields[names[1]]
        if not adds:
            return Named((work,), (receiver,), kind)
        level = {"1": "view", "3": "view_export"}.get(fields["AuthPoint"])
        if level is None or not fields["ExpireDate"].isdecimal():
            raise BlastRadiusExceededError(
                f"the final {prepared.action} query has no level or end that can be restored"
            )
        return Named((work,), (receiver,), kind, level, {"ExpireDate": int(fields["ExpireDate"])})

    def inverse(self, grant: Grant) -> Mapping[str, Any] | None:
        """Return the same share. One whose level or end is not told cannot be restored."""
        return super().inverse(grant) if grant.key.entitlement in _POINTS and grant.expires_raw else None

    def restore_terms(self, grant: Grant) -> Mapping[str, Any]:
        """Return the end in milliseconds since 1970."""
        return {"ExpireDate": int(grant.attributes["ExpireDate"])} if grant.expires_raw else {}

    def slot(self, key: GrantKey) -> tuple[str, ...]:
        """Return the receiver on the work, whatever the level."""
        return tuple(key._replace(native_id="", entitlement=""))

    def terms(self, grant: Grant) -> tuple[str, ...]:
        """Return level and end."""
        return (grant.key.entitlement, grant.attributes.get("ExpireDate", ""))

    def same_access(self, grant: Grant) -> tuple[GrantKey, ...]:
        """Return the share as the systems of menus and of authorizations know it; one that does not has none there."""
        key = grant.key
        homes = ((MENUS, "portal"), (AUTHORIZATIONS, WORK))
        holder = (key.resource_id, key.principal_type, key.principal_id, SHARED)
        return tuple(GrantKey(system, key.account, kind, *holder) for system, kind in homes)

    def could_end_access(self, key: GrantKey) -> bool:
        """Return whether it is the share of a portal."""
        return (key.system, key.entitlement) == (MENUS, SHARED) and key.principal_type in _TYPES

    async def ask_platform(self, client: QuickBiClient, grants: Collection[Grant]) -> PlatformAnswer:
        """Ask for each user which works are shared with them, and for each work whether they can read it."""
        return await what_users_read(client, grants)


def _member(work: str, share: Share) -> Member:
    kind = receiver_kind(share.ShareToType)
    ident, known = share.ShareToId or "", share.AuthPoint is None or share.AuthPoint in LEVELS
    end = moment(share.ExpireDate) if (share.ExpireDate or 0) >= FIRST_END else None
    if kind not in _TYPES:
        why_not = f"the call cannot name a {kind} receiver"
    elif not known:
        why_not = f"unknown level {share.AuthPoint}"
    else:
        nameable = is_named_id(work) and is_named_id(ident)
        why_not = "the receiver has no id" if not ident else "" if nameable else UNNAMEABLE
    return Member(
        ident,
        kind,
        share.ShareToName or "",
        LEVELS.get(share.AuthPoint or 0, f"level {share.AuthPoint}"),
        why_not,
        share.ShareId or "",
        end,
        end.isoformat(" ", "milliseconds") if end else "",
        {"ExpireDate": str(share.ExpireDate), "ShareType": share.ShareType or ""},
    )
