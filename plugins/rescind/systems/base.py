"""What a permission system is: how its grants are found, revoked, re-read and given back.

One module per system beside this one holds exactly one subclass of :class:`PermissionSystem`. Everything
above speaks the field's words; the vendor's spellings stop here.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, TypeVar

from rescind.cloud.base import Answer, ListRequest, Prepared, Request, RowT
from rescind.cloud.client import CloudClient
from rescind.cloud.paging import ListingRecord, collect
from rescind.errors import first_of
from rescind.model import CallShape, Cell, Grant, ItemState, Membership, PlannedCall, Principal

ClientT = TypeVar("ClientT", bound=CloudClient)
T = TypeVar("T")
U = TypeVar("U")

Place = tuple[str, ...]
"""The smallest thing whose complete listing proves a grant absent: a table, a portal, a data source."""

READS_IN_FLIGHT = 16
"""List calls in the air at once per task; enough for 20 a second at 800 ms, and the pacer still decides."""


@dataclass(slots=True)
class Discovery:
    """All that one discovery of a scope found; complete, or an error was raised instead.

    :param records: one record per listing that was read: pages, declared and counted rows, digests.
    :param notes: figures for the population certificate that no listing carries.
    """

    grants: list[Grant] = field(default_factory=list)
    principals: list[Principal] = field(default_factory=list)
    memberships: list[Membership] = field(default_factory=list)
    records: list[ListingRecord] = field(default_factory=list)
    notes: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reading:
    """A complete re-read of some places.

    :param grants: every grant that the platform shows now in the places that were read.
    :param places: the places that were read completely; absence counts only inside them.
    :param calls: how many list requests it took.
    """

    grants: tuple[Grant, ...]
    places: frozenset[Place]
    calls: int


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
    """Reads listings through one client and keeps the record of each."""

    def __init__(self, client: ClientT) -> None:
        self.client = client
        self.account = account_of(client)
        self.records: list[ListingRecord] = []
        self._gate = asyncio.Semaphore(READS_IN_FLIGHT)

    async def rows(self, request: ListRequest[RowT]) -> tuple[RowT, ...]:
        """Every row of one listing.

        :raises ListingIncomplete: when it could not be read whole.
        """
        async with self._gate:
            listing = await collect(self.client, request)
        self.records.append(listing.record)
        return listing.rows

    async def each(self, items: Iterable[U], read: Callable[[U], Awaitable[T]]) -> list[T]:
        """``read`` applied to every item at once; the first failure cancels the rest and is raised as it is."""
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(_run(read, item)) for item in items]
        except BaseExceptionGroup as errors:
            raise first_of(errors) from errors
        return [task.result() for task in tasks]

    @property
    def calls(self) -> int:
        """How many list requests were answered so far."""
        return sum(record.pages for record in self.records)


class PermissionSystem(ABC, Generic[ClientT]):
    """One permission system.

    :cvar name: name in code and ledger.
    :cvar title: name for people.
    :cvar vendor: ``tencent`` or ``alibaba``.
    :cvar hook: import path of the Airflow hook class that gives the client.
    :cvar shape: what one revoke call can cover.
    :cvar revoke_action: the vendor's action, which names the rate-limit lane.
    :cvar reads: the vendor's actions that discovery and verification need; the least a reading key must be allowed.
    :cvar admin_entitlements: entitlements whose last holder on a resource must stay.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    vendor: ClassVar[str]
    hook: ClassVar[str]
    shape: ClassVar[CallShape]
    revoke_action: ClassVar[str]
    reads: ClassVar[frozenset[str]]
    admin_entitlements: ClassVar[frozenset[str]] = frozenset()

    @abstractmethod
    async def discover(self, client: ClientT) -> Discovery:
        """Find every grant that the client's identity can see.

        :raises ListingIncomplete: when any part could not be read whole.
        """

    @abstractmethod
    def place(self, grant: Grant) -> Place:
        """The smallest place whose complete listing proves this grant absent."""

    @abstractmethod
    async def reread(self, client: ClientT, places: Collection[Place]) -> Reading:
        """Read these places again, completely, with one list call per place and page.

        :raises ListingIncomplete: when any part could not be read whole.
        """

    @abstractmethod
    def request(self, call: PlannedCall, grants: Sequence[Grant]) -> Request[Any]:
        """The typed revoke request for one planned call and the grants that it is to take away."""

    @abstractmethod
    def blast_set(self, prepared: Prepared[Any]) -> frozenset[Cell]:
        """Every cell that the final request could take away, read from its bytes alone.

        Shares nothing with :meth:`request` or with the planner.

        :raises BlastSetExceeded: when the request names no selector or cannot be read.
        """

    def outcome(self, call: PlannedCall, answer: Answer[Any]) -> list[PartOutcome]:
        """What the vendor's answer says, part by part: accepted, refused or unknown."""
        return [PartOutcome(call.cells(), ItemState.ACCEPTED)]

    @abstractmethod
    def inverse(self, grant: Grant) -> Mapping[str, Any] | None:
        """What giving this grant back needs, captured before the act; None when it cannot be given back faithfully."""

    async def own_ids(self, client: ClientT) -> frozenset[str]:
        """Principal ids of the calling identity in this system, as far as a read can tell."""
        return frozenset()

    def parents(self, grant: Grant) -> Iterable[tuple[str, str]]:
        """(resource type, resource id) of the objects from which the grant's resource inherits."""
        return ()

    def includes(self, held: str, entitlement: str) -> bool:
        """Whether holding ``held`` gives ``entitlement`` as well."""
        return held == entitlement


async def _run(read: Callable[[U], Awaitable[T]], item: U) -> T:
    return await read(item)
