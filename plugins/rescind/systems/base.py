"""Base class of the permission systems: how grants are found, revoked, re-listed and restored.

Each system is one module in this package with one subclass of :class:`PermissionSystem`. The vendor's spellings stop
here: no package above this one uses them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from rescind.cloud.base import Answer, Prepared, Request, WriteRequest
from rescind.cloud.client import CloudClient
from rescind.model import CallShape, Cell, Grant, GrantKey, ItemState, Membership, PlannedCall
from rescind.systems.named_people import NamedPeople
from rescind.systems.population import Population
from rescind.systems.surfaces import EndedMemberships, PlatformAnswer, Surface, Untraceable

ClientT = TypeVar("ClientT", bound=CloudClient)
T = TypeVar("T")
U = TypeVar("U")

ListingScope = tuple[str, ...]
"""The smallest thing whose complete listing proves a grant absent: a table, a portal, a data source."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A complete re-read of some listing scopes.

    :param grants: every grant that the platform shows now in these listing scopes.
    :param listings: the listing scopes that were read completely; only inside them does absence count.
    :param calls: how many list requests it took.
    :param pages: SHA-256 (hex) of the rows of each page that was read, in no order.
    """

    grants: tuple[Grant, ...]
    listings: frozenset[ListingScope]
    calls: int
    pages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PartOutcome:
    """What the vendor's answer says about a part of a call: never more than accepted."""

    cells: frozenset[Cell]
    state: ItemState
    detail: str = ""


class PermissionSystem(ABC, Generic[ClientT]):
    """One permission system.

    :cvar name: name in code and ledger.
    :cvar title: name in reports, labels and messages.
    :cvar id_spaces: the roster's id spaces of its principals: first the one of a grant's ``principal_id``, then those
        of ``Principal.other_ids``. Preflight stops for a system without any.
    :cvar vendor: ``tencent`` or ``alibaba``.
    :cvar hook: import path of the Airflow hook class that gives the client.
    :cvar shape: what one revoke call can cover.
    :cvar revoke_message: the typed message that revokes; its action and rate set the pace of a run.
    :cvar revoke_also: further messages that a revocation may send.
    :cvar reads: the vendor's actions that discovery and verification call; what a reading key should be allowed.
    :cvar optional_reads: those of ``reads`` without which only a surface stays unanswered, so that a record that is
        gone is never called access that is gone.
    :cvar usage_reads: further actions that show when grants were last used, called only with the setting ``last_used``;
        none where the platform does not show that of one person.
    :cvar lists_people: True when :meth:`discover_named` needs fewer calls than :meth:`discover` for a few people, and
        the vendor's listing by principal shows every grant that a call can revoke from them.
    :cvar reads_known: True when :meth:`discover_known` reads single containers, each completely, with fewer calls than
        :meth:`discover` needs for all of them.
    :cvar admin_entitlements: entitlements whose last holder on a resource must stay.
    :cvar surfaces: every way in which the system gives access, and the action that shows it.
    :cvar untraceable: kinds of principal whose members the vendor does not list, each with the surface that stays
        unanswered where such a principal holds a grant.
    :cvar member_space: roster column with the id under which the vendor lists a person's memberships, where that is
        another one than grants carry and no listing says which belong together; else empty.
    :cvar restore_message: the typed message that restores.
    :cvar restore_also: further messages that a restore may send.
    :cvar restore_shape: what one restore call can cover.
    :cvar not_restored: what a revocation ends that a restore does not bring back, for the approval request; else empty.
    :cvar restore_is_idempotent: True when restoring a grant that exists already adds nothing.
    :cvar covering: resource types whose grants reach what is in them, where the listings of that do not show it.
    :cvar relists_inherited: True when a re-read shows inherited grants too, so that one that it lacks has ended.
    :cvar platform_denies: True when :meth:`ask_platform` may deny access, so that it is worth asking again about access
        that it showed.
    :cvar comes_after: systems whose calls have to be over first: the vendor refuses a call while they give the same.
    :cvar in_turns: True when some calls of the system have to be over before others; see :meth:`turn`.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    id_spaces: ClassVar[tuple[str, ...]] = ()
    vendor: ClassVar[str]
    hook: ClassVar[str]
    shape: ClassVar[CallShape]
    revoke_message: ClassVar[type[WriteRequest[Any]]]
    revoke_also: ClassVar[tuple[type[WriteRequest[Any]], ...]] = ()
    reads: ClassVar[frozenset[str]]
    optional_reads: ClassVar[frozenset[str]] = frozenset()
    usage_reads: ClassVar[frozenset[str]] = frozenset()
    lists_people: ClassVar[bool] = False
    reads_known: ClassVar[bool] = False
    admin_entitlements: ClassVar[frozenset[str]] = frozenset()
    surfaces: ClassVar[tuple[Surface, ...]] = ()
    untraceable: ClassVar[Mapping[str, Untraceable]] = {}
    member_space: ClassVar[str] = ""
    restore_message: ClassVar[type[WriteRequest[Any]]]
    restore_also: ClassVar[tuple[type[WriteRequest[Any]], ...]] = ()
    restore_shape: ClassVar[CallShape]
    not_restored: ClassVar[str] = ""
    restore_is_idempotent: ClassVar[bool] = True
    covering: ClassVar[frozenset[str]] = frozenset()
    relists_inherited: ClassVar[bool] = False
    platform_denies: ClassVar[bool] = True
    comes_after: ClassVar[frozenset[str]] = frozenset()
    in_turns: ClassVar[bool] = False

    @property
    def revoke_actions(self) -> frozenset[str]:
        """The vendor's actions that a revocation may call."""
        return frozenset(message.action for message in (self.revoke_message, *self.revoke_also))

    @property
    def restore_actions(self) -> frozenset[str]:
        """The vendor's actions that a restore may call."""
        return frozenset(message.action for message in (self.restore_message, *self.restore_also))

    @abstractmethod
    async def discover(self, client: ClientT, found: Population) -> None:
        """Find every grant that the client's identity can see and pass it to ``found``, one listing at a time.

        :raises ListingIncompleteError: when any part could not be read completely.
        """

    async def discover_named(self, client: ClientT, found: Population, people: NamedPeople) -> None:
        """Find every grant of some people, and every grant on the objects on which they hold something.

        All other ways in are listed as by :meth:`discover`. Where the vendor has no listing by principal, the whole
        population is listed.

        :raises ListingIncompleteError: when any part could not be read completely, or the listings by principal and by
            object contradict each other.
        """
        await self.discover(client, found)

    def container(self, grant: Grant) -> str:
        """Return the id of the container of a revocable grant, which :meth:`discover_known` reads as a whole."""
        return grant.cell.container

    async def discover_known(self, client: ClientT, found: Population, containers: Collection[str]) -> None:
        """Find every grant in some containers, and all other ways into them, as :meth:`discover` does.

        A container that the platform does not show any more is left out. What is in others is not read.

        :param containers: see :meth:`container`.
        :raises ListingIncompleteError: when any part could not be read completely.
        """
        raise NotImplementedError(self.name)

    @abstractmethod
    def cell(self, key: GrantKey) -> Cell:
        """Return the cell of a revocable grant in the calls of this system, from its identity alone."""

    @abstractmethod
    def listing_scope(self, grant: Grant) -> ListingScope:
        """Return the smallest listing by resource that proves this grant absent."""

    def principal_listing_scope(self, grant: Grant) -> ListingScope | None:
        """Return the listing by principal that also proves it absent, or None where the vendor has none."""
        return None

    def listed_by(self, listings: Collection[ListingScope]) -> Mapping[str, Collection[str]] | None:
        """Return where every grant of these listing scopes is found in the ledger.

        :returns: values by name, see :data:`rescind.ledger.population.decisions.PLACES`. Each grant of the listing
            scopes has one of them; other grants may too. None: any grant may be in these listing scopes.
        """
        return None

    @abstractmethod
    async def reread(self, client: ClientT, listings: Collection[ListingScope]) -> Reading:
        """Read these listing scopes again, completely, with one list call per scope and page.

        :param listings: from :meth:`listing_scope` or from :meth:`principal_listing_scope`, never from both.
        :raises ListingIncompleteError: when any part could not be read completely.
        """

    @abstractmethod
    def request(self, call: PlannedCall, grants: Sequence[Grant]) -> Request[Any]:
        """Return the typed revoke request for one planned call and the grants that it revokes."""

    def divisible(self, call: PlannedCall) -> bool:
        """Return whether smaller calls could do what the vendor refused as a whole."""
        return len(call.cells()) > 1

    @abstractmethod
    def blast_radius(self, prepared: Prepared[Any]) -> frozenset[Cell]:
        """Return every cell that the final request could revoke, read from its bytes alone.

        Shares no code with :meth:`request` or with the planner.

        :raises BlastRadiusExceededError: when the request names no selector or cannot be read.
        """

    def ended_besides(
        self, planned: Collection[Grant], there: Iterable[Grant], elsewhere: Container[str] = ()
    ) -> Mapping[str, str]:
        """Return by grant id why a planned grant must stay, where its call would end more than the planned grants.

        The planner holds these grants. Where the platform may have changed since, see :meth:`also_ended`.

        :param planned: every grant that is to be revoked, of one account.
        :param there: every grant of the account as the listings show it, the planned ones among them.
        :param elsewhere: ids of grants of ``there`` that the plan takes away by other systems; see :meth:`same_access`.
        """
        return {}

    async def also_ended(self, client: ClientT, grants: Collection[Grant]) -> Mapping[str, str]:
        """Return by grant id what its call would end beside the grants of the plan, for people.

        Asked right before a send, for calls that end more than the listings of :meth:`discover` and the cells of the
        call show. Such a call is not sent.

        :param grants: every grant of one call that is still to be sent.
        :raises NotFoundError: when what it names is gone. The call is not sent then; so with a RefusedError.
        :raises CloudError: when a listing failed; nothing of the batch is sent then.
        :raises ListingIncompleteError: likewise.
        """
        return {}

    def turn(self, grant: Grant) -> int:
        """Return after how many rounds of other calls of the system the grant's call is sent; 0 for the first round."""
        return 0

    async def ended_with_others(self, client: ClientT, grants: Collection[Grant]) -> Mapping[str, str]:
        """Return by grant id why nothing of a grant is left, where it may have ended with an earlier call of the plan.

        Asked right before a send, after :meth:`also_ended`. Such a grant is not sent, so a restore does not give it.

        :param grants: every grant of one call that is still to be sent.
        :raises NotFoundError: when what it names is gone. The call is not sent then; so with a RefusedError.
        :raises CloudError: when a listing failed; nothing of the batch is sent then.
        :raises ListingIncompleteError: likewise.
        """
        return {}

    def outcome(self, call: PlannedCall, answer: Answer[Any]) -> list[PartOutcome]:
        """Return what the vendor's answer says about each part: accepted, refused or unknown."""
        return [PartOutcome(call.cells(), ItemState.ACCEPTED)]

    @abstractmethod
    def inverse(self, grant: Grant) -> Mapping[str, Any] | None:
        """Return what a restore needs, captured before the revocation, or None if the grant cannot be restored at all.

        :returns: one flat mapping of the vendor's field names (and ``action``) to text or numbers.
        """

    def unfaithful(self, grant: Grant) -> str:
        """Return why a restore would not bring back exactly what the revocation ends, or an empty text.

        A grant with a reason is held at planning time, unless irreversible revocations are allowed.
        """
        return "" if self.inverse(grant) is not None else "no call grants exactly this again"

    def restore_group(self, grant: Grant) -> str:
        """Return a group name. Grants of different groups do not fit into one restore call."""
        return ""

    @abstractmethod
    def restore_request(self, inverses: Sequence[Mapping[str, Any]]) -> Request[Any]:
        """Return the typed request that restores these grants, made from their captured inverses only.

        :param inverses: of the cells of one call, all of one :meth:`restore_group`.
        """

    @abstractmethod
    def given(self, prepared: Prepared[Any]) -> list[Mapping[str, Any]]:
        """Return every grant that the final restore request could add, as inverses, read from its bytes alone.

        Shares no code with :meth:`restore_request` or with the planner.

        :raises BlastRadiusExceededError: when the request cannot be read, or names nobody.
        """

    def slot(self, key: GrantKey) -> tuple[str, ...]:
        """Return the identity that a regrant shares: without the vendor's record id and without the terms."""
        return tuple(key)

    def terms(self, grant: Grant) -> tuple[str, ...]:
        """Return what may differ in a regrant of the same slot, such as a level or an end date."""
        return ()

    async def gone_holders(self, client: ClientT, grants: Collection[Grant]) -> Mapping[str, str]:
        """Return by grant id why its principal cannot hold the grant any more, as far as a few listings show.

        :raises ListingIncompleteError: when a listing could not be read completely.
        """
        return {}

    async def ask_platform(self, client: ClientT, grants: Collection[Grant]) -> PlatformAnswer:
        """Ask the platform itself what the holders of these grants can still reach.

        Surfaces with ``asked_in="verification"`` are asked here. A question that fails for some grants is noted for
        those; it never hides the others.

        :param grants: grants whose records are gone.
        :raises CloudError: when nothing could be asked; then these surfaces are unanswered for every grant.
        :raises ListingIncompleteError: likewise.
        """
        return PlatformAnswer()

    async def ask_objects(self, client: ClientT, grants: Collection[Grant]) -> PlatformAnswer:
        """Ask the platform whom the objects of these grants let in, where one listing tells it for all holders.

        It is asked once, about all grants that are gone, and takes about as many calls for many holders as for one. As
        for :meth:`ask_platform`, a question that fails for some grants is noted for those.

        :raises CloudError: as :meth:`ask_platform`.
        :raises ListingIncompleteError: likewise.
        """
        return PlatformAnswer()

    def memberships(self, grant: Grant) -> tuple[Membership, ...]:
        """Return the memberships that end with the grant; none where grants are no memberships."""
        return ()

    def could_end(self, membership: Membership) -> bool:
        """Return whether a call of this system ends memberships of that kind; see :meth:`also_needed`."""
        return False

    def also_needed(self, planned: Collection[Grant], there: Iterable[Grant]) -> Mapping[str, Sequence[Grant]]:
        """Return, by id of a planned grant, further grants of its holder that have to go so that it can go.

        :param planned: every grant of some people that is to be revoked.
        :param there: every grant of these people in this system, the planned ones among them.
        """
        return {}

    def could_end_access(self, key: GrantKey) -> bool:
        """Return whether another system knows by such a key what a call of this system ends; see :meth:`same_access`.

        :param key: of a grant of any system of the product.
        """
        return False

    def same_access(self, grant: Grant) -> tuple[GrantKey, ...]:
        """Return the grants by which other systems of the vendor know the access that this grant is."""
        return ()

    async def ended_memberships(self, client: ClientT, memberships: Collection[Membership]) -> EndedMemberships:
        """Read memberships on remaining paths again, and return those that have ended since discovery.

        A membership has ended only if two listings that can check each other lack it: that of the container and that
        of the member, or two readings of the container where the vendor lists by container only. Every other one stays.

        :raises CloudError: when a listing failed.
        :raises ListingIncompleteError: when a listing could not be read completely.
        """
        return EndedMemberships()

    async def own_ids(self, client: ClientT) -> frozenset[str]:
        """Return the principal ids of the calling identity in this system, as far as a read shows them."""
        return frozenset()

    def parents(self, grant: Grant) -> Iterable[tuple[str, str]]:
        """Return (resource type, resource id) of the objects from which the grant's resource inherits."""
        return ()

    def perhaps_parents(self, grant: Grant) -> tuple[str, Sequence[tuple[str, str]]]:
        """Return objects whose holders may reach the grant's resource, where the vendor does not say whether they do.

        :returns: name of the surface that stays unanswered when somebody holds the right there, and (resource type,
            resource id) of the objects.
        """
        return "", ()

    def includes(self, held: str, entitlement: str) -> bool:
        """Return whether ``held`` includes ``entitlement``."""
        return held == entitlement
