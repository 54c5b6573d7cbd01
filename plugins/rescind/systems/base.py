"""What a permission system is: how its grants are found, revoked, re-read and given back.

One module per system beside this one holds exactly one subclass of :class:`PermissionSystem`. Everything
above speaks the field's words; the vendor's spellings stop here.
"""

from __future__ import annotations

import asyncio
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Generic, TypeVar

from rescind.cloud.base import Answer, ListRequest, Prepared, Request, Row, RowT, WriteRequest
from rescind.cloud.client import CloudClient
from rescind.cloud.paging import Listing, collect
from rescind.errors import ListingIncompleteError, first_of
from rescind.model import CallShape, Cell, Grant, GrantKey, ItemState, PlannedCall
from rescind.systems.population import Population
from rescind.systems.surfaces import PlatformAnswer, Surface, Untraceable

ClientT = TypeVar("ClientT", bound=CloudClient)
T = TypeVar("T")
U = TypeVar("U")

ListingScope = tuple[str, ...]
"""The smallest thing whose complete listing proves a grant absent: a table, a portal, a data source."""

READS_IN_FLIGHT = 16
"""List calls in the air at once per task; enough for 20 a second at 800 ms, and the pacer still decides."""

PASSES = 4
"""Most passes over one listing of several pages before discovery gives up on it."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A complete re-read of some places.

    :param grants: every grant that the platform shows now in the places that were read.
    :param listings: the places that were read completely; absence counts only inside them.
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


def account_of(client: CloudClient) -> str:
    """The account as grants name it: cloud account, region, and tenant where the vendor has several.

    Two regions of one account are two populations, so both are part of a grant's identity.
    """
    parts = (client.account, client.region, client.settings.tid or "")
    return "/".join(part for part in parts if part)


class Walker(Generic[ClientT]):
    """Reads listings through one client.

    :param found: for a discovery, the population that gets the record of each listing. A listing of several
        pages is then read until two passes in a row show the same rows: the vendors number pages and promise no
        order, so a row that goes while another comes between two pages is missed without any figure being wrong.
    :ivar pages: without one, SHA-256 (hex) of the rows of each page.
    """

    def __init__(self, client: ClientT, found: Population | None = None) -> None:
        self.client = client
        self.account = account_of(client)
        self.calls = 0
        self.pages: list[str] = []
        self._found = found
        self._gate = asyncio.Semaphore(READS_IN_FLIGHT)

    async def rows(self, request: ListRequest[RowT]) -> tuple[RowT, ...]:
        """Every row of one listing.

        :raises ListingIncompleteError: when it could not be read whole.
        """
        async with self._gate:
            if self._found is None:
                listing = await collect(self.client, request)
                self.calls += listing.record.pages
                self.pages += listing.record.page_digests
            else:
                listing = await self._settled(request)
                self._found.add_record(listing.record)
        return listing.rows

    async def _settled(self, request: ListRequest[RowT]) -> Listing[RowT]:
        """The listing once it holds still: one page, or two passes in a row with the same rows.

        Between two passes only a digest is kept.
        """
        before = b""
        for number in range(PASSES):
            try:
                listing = await collect(self.client, request)
            except ListingIncompleteError as error:
                if not error.shifted or number == PASSES - 1:
                    raise
                before = b""
                continue
            self.calls += listing.record.pages
            now = _digest_of(listing.rows)
            if listing.record.pages == 1 or now == before:
                return replace(listing, record=replace(listing.record, restarts=number))
            before = now
            del listing
        raise ListingIncompleteError(
            request.action, f"{PASSES} passes over its pages never showed the same rows twice in a row", shifted=True
        )

    async def for_each(
        self, items: Iterable[U], read: Callable[[U], Awaitable[T]], take: Callable[[U, T], None]
    ) -> None:
        """``read`` applied to every item, a few at once; ``take`` gets each result as it comes, in no order.

        No more than :data:`READS_IN_FLIGHT` results are in memory. The first failure cancels the rest and is
        raised as it is.
        """
        waiting = iter(items)

        async def work() -> None:
            for item in waiting:
                take(item, await read(item))

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(READS_IN_FLIGHT):
                    group.create_task(work())
        except BaseExceptionGroup as errors:
            raise first_of(errors) from errors

    async def each(self, items: Iterable[U], read: Callable[[U], Awaitable[T]]) -> list[T]:
        """The same with all results in the order of the items: for few and small ones."""
        results: dict[int, T] = {}

        def take(listing_scope: tuple[int, U], result: T) -> None:
            results[listing_scope[0]] = result

        await self.for_each(enumerate(items), lambda listing_scope: read(listing_scope[1]), take)
        return [results[number] for number in sorted(results)]


class PermissionSystem(ABC, Generic[ClientT]):
    """One permission system.

    :cvar name: name in code and ledger.
    :cvar title: name in reports, labels and messages.
    :cvar form_label: name in the trigger forms.
    :cvar id_spaces: the roster's id spaces of its principals: first the one of a grant's ``principal_id``, then those
        of ``Principal.other_ids``. Preflight stops for a system without any.
    :cvar default_connection: Airflow connection that reviews use when the setting ``connections`` is not given. Without
        one, the system is reviewed only where ``connections`` names it.
    :cvar vendor: ``tencent`` or ``alibaba``.
    :cvar hook: import path of the Airflow hook class that gives the client.
    :cvar shape: what one revoke call can cover.
    :cvar revoke_message: the typed message that revokes; its action and rate set the pace of a run.
    :cvar reads: the vendor's actions that discovery and verification need; the least a reading key must be allowed.
    :cvar admin_entitlements: entitlements whose last holder on a resource must stay.
    :cvar surfaces: every way in which the system gives access, and the action that shows it.
    :cvar untraceable: kinds of principal whose members the vendor does not list, each with the surface that stays
        unanswered where such a principal holds a grant.
    :cvar member_space: roster column with the id under which the vendor lists a person's memberships, where that is
        another one than grants carry and no listing says which belong together; else empty.
    :cvar restore_message: the typed message that restores.
    :cvar restore_shape: what one restore call can cover.
    :cvar restore_is_idempotent: True when restoring a grant that exists already adds nothing.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    form_label: ClassVar[str]
    id_spaces: ClassVar[tuple[str, ...]] = ()
    default_connection: ClassVar[str] = ""
    vendor: ClassVar[str]
    hook: ClassVar[str]
    shape: ClassVar[CallShape]
    revoke_message: ClassVar[type[WriteRequest[Any]]]
    reads: ClassVar[frozenset[str]]
    admin_entitlements: ClassVar[frozenset[str]] = frozenset()
    surfaces: ClassVar[tuple[Surface, ...]] = ()
    untraceable: ClassVar[Mapping[str, Untraceable]] = {}
    member_space: ClassVar[str] = ""
    restore_message: ClassVar[type[WriteRequest[Any]]]
    restore_shape: ClassVar[CallShape]
    restore_is_idempotent: ClassVar[bool] = True

    @abstractmethod
    async def discover(self, client: ClientT, found: Population) -> None:
        """Find every grant that the client's identity can see and hand it to ``found``, a listing at a time.

        :raises ListingIncompleteError: when any part could not be read whole.
        """

    @abstractmethod
    def cell(self, key: GrantKey) -> Cell:
        """Where a grant that can be revoked sits in the calls of this system, told by its identity alone."""

    @abstractmethod
    def listing_scope(self, grant: Grant) -> ListingScope:
        """The smallest place by resource whose complete listing proves this grant absent."""

    def principal_listing_scope(self, grant: Grant) -> ListingScope | None:
        """The listing by principal that proves it absent as well; None where the vendor lists by resource only."""
        return None

    @abstractmethod
    async def reread(self, client: ClientT, listings: Collection[ListingScope]) -> Reading:
        """Read these places again, completely, with one list call per place and page.

        :param listings: of :meth:`listing_scope` or :meth:`principal_listing_scope`, not of both at once.

        :raises ListingIncompleteError: when any part could not be read whole.
        """

    @abstractmethod
    def request(self, call: PlannedCall, grants: Sequence[Grant]) -> Request[Any]:
        """The typed revoke request for one planned call and the grants that it is to take away."""

    @abstractmethod
    def blast_radius(self, prepared: Prepared[Any]) -> frozenset[Cell]:
        """Every cell that the final request could take away, read from its bytes alone.

        Shares nothing with :meth:`request` or with the planner.

        :raises BlastRadiusExceededError: when the request names no selector or cannot be read.
        """

    def outcome(self, call: PlannedCall, answer: Answer[Any]) -> list[PartOutcome]:
        """What the vendor's answer says, part by part: accepted, refused or unknown."""
        return [PartOutcome(call.cells(), ItemState.ACCEPTED)]

    @abstractmethod
    def inverse(self, grant: Grant) -> Mapping[str, Any] | None:
        """What giving this grant back needs, captured before the act; None when it cannot be given back faithfully.

        One flat mapping of the vendor's field names (and ``action``) to text or numbers.
        """

    def restore_group(self, grant: Grant) -> str:
        """Grants of different kinds do not fit into one give-back call."""
        return ""

    @abstractmethod
    def restore_request(self, inverses: Sequence[Mapping[str, Any]]) -> Request[Any]:
        """The typed request that gives these back, made of nothing but their captured inverses.

        :param inverses: of the cells of one call, all of one :meth:`restore_group`.
        """

    @abstractmethod
    def given(self, prepared: Prepared[Any]) -> list[Mapping[str, Any]]:
        """Every single grant that the final give-back request could add, as inverses, read from its bytes alone.

        Shares nothing with :meth:`restore_request` or with the planner.

        :raises BlastRadiusExceededError: when the request cannot be read, or names nobody.
        """

    def slot(self, key: GrantKey) -> tuple[str, ...]:
        """What stays the same when a grant is given again: not the vendor's record id, not its terms."""
        return tuple(key)

    def terms(self, grant: Grant) -> tuple[str, ...]:
        """What a new grant in the same slot may have otherwise: a level, an end date."""
        return ()

    async def gone_holders(self, client: ClientT, grants: Collection[Grant]) -> Mapping[str, str]:
        """By grant id: why its principal cannot hold it any more, as far as a few listings can tell.

        :raises ListingIncompleteError: when a listing could not be read whole.
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

    async def own_ids(self, client: ClientT) -> frozenset[str]:
        """Principal ids of the calling identity in this system, as far as a read can tell."""
        return frozenset()

    def parents(self, grant: Grant) -> Iterable[tuple[str, str]]:
        """(resource type, resource id) of the objects from which the grant's resource inherits."""
        return ()

    def includes(self, held: str, entitlement: str) -> bool:
        """Whether holding ``held`` gives ``entitlement`` as well."""
        return held == entitlement


def _digest_of(rows: Sequence[Row]) -> bytes:
    """SHA-256 over the keys of the rows, in no order: the order may differ between passes."""
    total = hashlib.sha256()
    for key in sorted(hashlib.sha256(repr(row.key()).encode()).digest() for row in rows):
        total.update(key)
    return total.digest()
