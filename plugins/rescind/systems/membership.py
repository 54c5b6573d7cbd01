"""Base of the systems whose grants are memberships: a principal is in a group, a workspace, a project or a role.

A subclass names its containers, lists their members, and gives the two writes. Everything else is here.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple

from rescind.cloud.base import Prepared, WriteRequest
from rescind.errors import BlastRadiusExceededError, NotFoundError, PlanError, RefusedError
from rescind.model import Cell, Grant, GrantKey, Membership, PlannedCall, Principal, PrincipalType
from rescind.systems.base import ClientT, ListingScope, PermissionSystem, Reading
from rescind.systems.population import Population
from rescind.systems.walker import Walker

MEMBER = "member"
_WHOLE_ACCOUNT = "account"
_BY_MEMBER = "member"


@dataclass(frozen=True, slots=True)
class Member:
    """One member of a container, as its listing shows it.

    :param entitlement: the role in the container, where the vendor has several.
    :param why_not: why the remove call cannot take this member away; empty when it can.
    :param native_id: the vendor's id of the record, where there is one.
    :param expires_at: end of the membership; ``expires_raw`` is the same as text, for people.
    :param attributes: further vendor fields that a restore needs.
    """

    ident: str
    kind: str = PrincipalType.USER
    name: str = ""
    entitlement: str = MEMBER
    why_not: str = ""
    native_id: str = ""
    expires_at: datetime | None = None
    expires_raw: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)


class Container(NamedTuple):
    """One container.

    :param name: its name, for people.
    :param kept: by member id, why that member must stay; a remove call is never made for them.
    """

    name: str
    kept: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Named:
    """What the final bytes of a write name: every one of the containers times every one of the members.

    :param terms: what else a write that adds members names; see :meth:`MembershipSystem.restore_terms`.
    """

    containers: tuple[str, ...]
    members: tuple[str, ...]
    kind: str = PrincipalType.USER
    entitlement: str = MEMBER
    terms: Mapping[str, Any] = field(default_factory=dict)


class MembershipSystem(PermissionSystem[ClientT]):
    """A permission system of containers and members.

    A call of ``shape`` takes containers (rows) times members (columns); :attr:`shape` says how many of each.

    :cvar container_type: resource type of the containers.
    :cvar container_kind: kind of the containers as principals: what they hold, their members hold.
    :cvar lists_by_member: True when :meth:`memberships_of` can list the containers of one user.
    :cvar removes_one_role: True when the remove call names the role. A call then holds members of one role only.
        False when it ends the membership whatever the role is.
    """

    container_type: ClassVar[str]
    container_kind: ClassVar[PrincipalType]
    lists_by_member: ClassVar[bool] = False
    removes_one_role: ClassVar[bool] = False

    @abstractmethod
    async def containers(self, walker: Walker[ClientT]) -> Mapping[str, Container]:
        """Return every container by id.

        :raises ListingIncompleteError: when a listing could not be read whole.
        """

    @abstractmethod
    async def members(self, walker: Walker[ClientT], container: str) -> Iterable[Member]:
        """Return every member of one container.

        :raises ListingIncompleteError: when the listing could not be read whole.
        """

    async def memberships_of(self, walker: Walker[ClientT], user: str) -> Iterable[tuple[str, str, Member]]:
        """Return (container id, name, member) for every direct membership of one user. See :attr:`lists_by_member`.

        :raises ListingIncompleteError: when the listing could not be read whole.
        """
        raise NotImplementedError

    async def people(self, walker: Walker[ClientT]) -> Sequence[Principal] | None:
        """Return every user of the account, or None where the vendor has no such listing.

        :raises ListingIncompleteError: when the listing could not be read whole.
        """
        return None

    async def ended_with(self, walker: Walker[ClientT], grant: Grant) -> Iterable[Member] | None:
        """Return everything that the remove call ends for the member of this grant in its container.

        None where it ends nothing but the grant. Otherwise it is read again right before each call.

        :raises ListingIncompleteError: when the listing could not be read whole.
        """
        return None

    @abstractmethod
    def remove(self, containers: tuple[str, ...], members: tuple[str, ...], group: str) -> WriteRequest[Any]:
        """Return the request that takes the members out of the containers.

        :param group: what they share; see :meth:`call_group`.
        """

    @abstractmethod
    def add(self, containers: tuple[str, ...], members: tuple[str, ...], like: Mapping[str, Any]) -> WriteRequest[Any]:
        """Return the request that puts the members into the containers.

        :param like: the inverse of one of them. Its role, kind of member and terms are those of all.
        """

    @abstractmethod
    def named(self, prepared: Prepared[Any]) -> Named:
        """Return what the final bytes of either write name. Written from the vendor's page, not from the messages.

        :raises BlastRadiusExceededError: when they cannot be read, or a selector is missing or unknown.
        """

    async def discover(self, client: ClientT, found: Population) -> None:
        """List people, containers, and the members of each container."""
        walker = Walker(client, found)
        people = await self.people(walker)
        if people is not None:
            found.shown(PrincipalType.USER, (person.principal_id for person in people))
            found.add_principals(people)
        containers = await self.containers(walker)
        found.shown(self.container_type, containers)
        await walker.for_each(
            sorted(containers),
            lambda ident: self._grants(walker, (ident, containers[ident].name), containers[ident].kept),
            lambda _, grants: self._found(found, grants),
        )
        for surface in self.surfaces:
            if surface.asked_in == "discovery" and surface.action:
                found.asked(surface.name)
        found.note("objects", len(containers))

    def _found(self, found: Population, grants: Sequence[Grant]) -> None:
        found.add_grants(grants)
        found.add_memberships(edge for grant in grants for edge in self.memberships(grant))

    async def reread(self, client: ClientT, listings: Collection[ListingScope]) -> Reading:
        """List the members of each container again, or the containers of each user."""
        walker = Walker(client)
        listed = await walker.each(sorted(listings), lambda scope: self._listed(walker, scope))
        grants = tuple(grant for found in listed for grant in found)
        return Reading(grants, frozenset(listings), walker.calls, tuple(walker.pages))

    async def _listed(self, walker: Walker[ClientT], scope: ListingScope) -> list[Grant]:
        if len(scope) == len((_BY_MEMBER, "user", "")):
            listed = await self.memberships_of(walker, scope[1])
            return [self._grant(walker.account, ident, name, member) for ident, name, member in listed]
        return await self._grants(walker, scope)

    async def _grants(
        self, walker: Walker[ClientT], scope: ListingScope, kept: Mapping[str, str] = MappingProxyType({})
    ) -> list[Grant]:
        container, name = scope
        members = await self.members(walker, container)
        members = [replace(one, why_not=kept.get(one.ident, "") or one.why_not) for one in members]
        return [self._grant(walker.account, container, name, one) for one in members]

    def _grant(self, account: str, container: str, name: str, member: Member) -> Grant:
        place = (self.name, account, self.container_type, container)
        key = GrantKey(*place, member.kind, member.ident, member.entitlement, member.native_id)
        return Grant(
            key=key,
            cell=self.cell(key),
            revocable=not member.why_not,
            why_not=member.why_not,
            expires_at=member.expires_at,
            expires_raw=member.expires_raw,
            attributes=member.attributes,
            principal_name=member.name,
            resource_name=name,
        )

    def call_group(self, kind: str, role: str) -> str:
        """Return what all members of one remove call share: their role if the call names it, else nothing.

        :param kind: principal type of a member.
        """
        return role if self.removes_one_role else _WHOLE_ACCOUNT

    def cell(self, key: GrantKey) -> Cell:
        """Return the cell of one member in one container; calls span all containers of the account."""
        group = self.call_group(key.principal_type, key.entitlement)
        return Cell(group, key.resource_id, key.principal_type, (key.principal_id,))

    def listing_scope(self, grant: Grant) -> ListingScope:
        """Return the container and its name: one listing shows all its members."""
        return (grant.key.resource_id, grant.resource_name)

    def principal_listing_scope(self, grant: Grant) -> ListingScope | None:
        """Return the user, where the vendor lists the containers of one."""
        user = self.lists_by_member and grant.key.principal_type == PrincipalType.USER
        return (_BY_MEMBER, grant.key.principal_id, "") if user else None

    def memberships(self, grant: Grant) -> tuple[Membership, ...]:
        """Return the membership that the grant is."""
        key = grant.key
        member = (key.principal_type, key.principal_id)
        return (Membership(self.name, key.account, *member, self.container_kind, key.resource_id),)

    def could_end(self, membership: Membership) -> bool:
        """Return whether the container is of the kind of this system."""
        known = self.container_kind != PrincipalType.UNKNOWN
        return known and membership.container_type == self.container_kind

    def request(self, call: PlannedCall, grants: Sequence[Grant]) -> WriteRequest[Any]:
        """Return the remove request for the rows and columns of the call."""
        members = tuple(column[0] for _, column in call.columns)
        return self.remove(call.rows, members, call.container)

    def blast_radius(self, prepared: Prepared[Any]) -> frozenset[Cell]:
        """Return every container times every member of the final bytes."""
        named = self._checked(prepared)
        group = self.call_group(named.kind, named.entitlement)
        return frozenset(
            Cell(group, container, named.kind, (member,)) for container in named.containers for member in named.members
        )

    async def also_ended(self, client: ClientT, grants: Collection[Grant]) -> Mapping[str, str]:
        """Compare what :meth:`ended_with` shows now with the grants of the call."""
        walker = Walker(client)
        found = await walker.each(grants, lambda grant: self._changed(walker, grant, grants))
        return {grant.grant_id: why for grant, why in zip(grants, found, strict=True) if why}

    async def _changed(self, walker: Walker[ClientT], grant: Grant, grants: Collection[Grant]) -> str:
        """Return why the call would end something else than the plan says, or an empty text."""
        scope = self.listing_scope(grant)
        try:
            members = await self.ended_with(walker, grant)
            if members is None:
                return ""
            container, name = grant.key.resource_id, grant.resource_name
            shown = [self._grant(walker.account, container, name, member) for member in members]
            planned = {(one.key, self.terms(one)) for one in grants if one.cell == grant.cell}
            if {(one.key, self.terms(one)) for one in shown} == planned:
                return ""
            if not shown and all(one.cell != grant.cell for one in await self._grants(walker, scope)):
                return ""  # nothing is left to end: verification finds it absent
        except (NotFoundError, RefusedError) as error:
            return f"the vendor does not show what the call would end ({error.code})"
        named = ", ".join(sorted(one.key.entitlement for one in shown)) or "nothing"
        return f"the vendor shows {named} for this member now, and the call would end all of it"

    def inverse(self, grant: Grant) -> Mapping[str, Any] | None:
        """Return the same member, role and container."""
        key = grant.key
        return {
            "action": self.restore_message.action,
            "container": key.resource_id,
            "member_type": str(key.principal_type),
            "member": key.principal_id,
            "role": key.entitlement,
            **self.restore_terms(grant),
        }

    def restore_terms(self, grant: Grant) -> Mapping[str, Any]:
        """Return what the add call names beside the role, by the vendor's field names."""
        return {}

    def restore_group(self, grant: Grant) -> str:
        """Return the role, and the terms if there are any: one add call gives the same to all."""
        return "/".join((grant.key.entitlement, *map(str, self.restore_terms(grant).values())))

    def restore_request(self, inverses: Sequence[Mapping[str, Any]]) -> WriteRequest[Any]:
        """Return the add request for every container times every member, with their one role and terms."""
        like, *_ = inverses
        varies = ("container", "member")
        if any(dict(like) != {**one, **{name: like[name] for name in varies}} for one in inverses):
            raise PlanError("the grants of one call to restore have different roles or terms; it was not sent")
        containers, members = (tuple(sorted({inverse[name] for inverse in inverses})) for name in varies)
        return self.add(containers, members, like)

    def given(self, prepared: Prepared[Any]) -> list[Mapping[str, Any]]:
        """Return every container times every member of the final bytes."""
        named = self._checked(prepared)
        return [
            {
                "action": self.restore_message.action,
                "container": container,
                "member_type": str(named.kind),
                "member": member,
                "role": named.entitlement,
                **named.terms,
            }
            for container in named.containers
            for member in named.members
        ]

    def _checked(self, prepared: Prepared[Any]) -> Named:
        named = self.named(prepared)
        if not named.containers or not named.members or not all((*named.containers, *named.members, named.entitlement)):
            raise BlastRadiusExceededError(f"the final {prepared.action} has an empty selector; it was not sent")
        return named

    async def gone_holders(self, client: ClientT, grants: Collection[Grant]) -> Mapping[str, str]:
        """Return the grants of users whom the listing of people does not show or shows as deleted."""
        people = await self.people(Walker(client))
        if people is None:
            return {}
        there = {person.principal_id for person in people if person.status != "deleted"}
        users = [grant for grant in grants if grant.key.principal_type == PrincipalType.USER]
        return {g.grant_id: "the user is deleted" for g in users if g.key.principal_id not in there}
