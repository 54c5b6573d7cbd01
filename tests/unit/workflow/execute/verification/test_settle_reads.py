"""Reading until the platform has settled: which reads prove an item absent, and how long is waited."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

import pytest

from rescind.cloud.client import CloudClient
from rescind.model import Cell, Grant, GrantKey
from rescind.systems.base import ListingScope, Reading
from rescind.workflow.execute.verification.settle_reads import Settling
from tests.support.scripted import (
    BY_RESOURCE,
    BY_USER,
    FAILURES,
    NO_CLIENT,
    NOT_THERE,
    Answer,
    ScriptedDms,
    ScriptedWeData,
    dms_record,
)

MINE = dms_record()
SHOWN = (MINE,)
ABSENT: tuple[Grant, ...] = ()


def settled(
    script: dict[ListingScope, list[Answer]], *items: Grant, limit: float = 1.0, unsent: Collection[str] = ()
) -> tuple[Settling, list[ListingScope]]:
    """What is known once the platform has settled, and the listings that were read, in order."""
    system = (ScriptedDms if BY_RESOURCE in script else ScriptedWeData)(script)
    settling = Settling(system, NO_CLIENT, 0.001, limit)
    settling.add({grant.grant_id: grant for grant in items or (MINE,)}, unsent)
    asyncio.run(asyncio.wait_for(settling.run(), 30))
    return settling, system.asked


def test_each_side_is_read_once_when_nothing_lags() -> None:
    settling, asked = settled({BY_RESOURCE: [ABSENT], BY_USER: [ABSENT]})
    assert settling.gone() == {MINE.grant_id} and sorted(asked) == [BY_RESOURCE, BY_USER]
    assert settling.absent(settling.items[MINE.grant_id]) == {"by_resource": True, "by_principal": True}


@pytest.mark.parametrize("how", FAILURES)
@pytest.mark.parametrize(
    ("broken", "name"), [(BY_RESOURCE, "by_resource"), (BY_USER, "by_principal")], ids=["resource", "principal"]
)
@pytest.mark.parametrize("first", ["resource", "principal"])
def test_when_one_side_fails_the_other_alone_proves_nothing(
    broken: ListingScope, name: str, how: str, first: str
) -> None:
    """Neither two readings of the other side, nor a listing that answers when it is asked again."""
    whole = BY_USER if broken == BY_RESOURCE else BY_RESOURCE
    # A second item in the same database makes the listing by resource the side with fewer listings.
    beside = dms_record(2, "51002") if first == "resource" else dms_record(2, database="89")
    script: dict[ListingScope, list[Answer]] = {broken: [FAILURES[how], ABSENT], whole: [ABSENT]}
    settling, asked = settled(script, MINE, beside)
    assert MINE.grant_id not in settling.gone()
    assert asked.count(broken) == 1, "a listing that failed is not asked again"
    item = settling.items[MINE.grant_id]
    said = settling.absent(item)
    assert said[name] == "the listing failed" and settling.problem()
    assert not settling.shows(item) and settling.lagging() == 0


def test_a_user_who_is_not_there_is_proven_by_two_readings_of_the_resource() -> None:
    settling, asked = settled({BY_RESOURCE: [ABSENT], BY_USER: [NOT_THERE]})
    assert settling.gone() == {MINE.grant_id}
    assert asked.count(BY_RESOURCE) == 2 and asked.count(BY_USER) == 1
    assert settling.problem() == ""
    assert (
        settling.absent(settling.items[MINE.grant_id])["by_principal"]
        == "the vendor does not list it (NotFoundError UserNotExist)"
    )


def test_one_reading_of_one_side_is_no_proof() -> None:
    settling, asked = settled({BY_RESOURCE: [ABSENT], BY_USER: [NOT_THERE]}, limit=0.0)
    assert settling.gone() == set() and asked.count(BY_RESOURCE) == 1
    settling, asked = settled({BY_RESOURCE: [ABSENT], BY_USER: [ABSENT]}, limit=0.0)
    assert settling.gone() == set() and len(asked) == 2, "both are read for what was to stay"


@pytest.mark.parametrize("scope", [BY_RESOURCE, BY_USER], ids=["resource", "principal"])
def test_either_side_that_shows_an_item_outweighs_the_other(scope: ListingScope) -> None:
    script: dict[ListingScope, list[Answer]] = {BY_RESOURCE: [ABSENT], BY_USER: [ABSENT]}
    script[scope] = [SHOWN]
    settling, _ = settled(script, limit=0.02)
    item = settling.items[MINE.grant_id]
    assert settling.gone() == set() and settling.shows(item) and settling.lagging() == 1
    said = settling.absent(item)
    assert (said["by_resource"], said["by_principal"]) == (scope != BY_RESOURCE, scope != BY_USER)


def test_an_item_that_is_shown_again_starts_from_the_beginning() -> None:
    key = GrantKey("wedata_privileges", "acc", "table", "c.s.t", "user", "700", "SELECT_TABLE")
    mine = Grant(
        key, Cell("table", "c.s.t", "pair", ("User", "700", "SELECT_TABLE")), attributes={"ResourceType": "Table"}
    )
    scope = ScriptedWeData().listing_scope(mine)
    settling, asked = settled({scope: [ABSENT, (mine,), ABSENT, (mine,), ABSENT]}, mine)
    assert settling.gone() == {mine.grant_id} and len(asked) == 6


@pytest.mark.parametrize(("limit", "reads"), [(0.0, 1), (0.0009, 1), (0.001, 2), (0.0024, 2), (0.0025, 3), (0.004, 3)])
def test_all_pauses_together_keep_to_the_limit(limit: float, reads: int) -> None:
    """Pauses of 1, 1.5 and 2.25 thousandths of a second: the next one is taken only where it ends within the limit."""
    settling, asked = settled({BY_RESOURCE: [SHOWN], BY_USER: [SHOWN]}, limit=limit)
    assert asked.count(asked[0]) == reads and settling.gone() == set()


def test_nothing_is_waited_for_where_nothing_was_sent() -> None:
    settling, asked = settled({BY_RESOURCE: [SHOWN], BY_USER: [SHOWN]}, unsent={MINE.grant_id})
    assert sorted(asked) == [BY_RESOURCE, BY_USER] and settling.lagging() == 0
    absent, asked = settled({BY_RESOURCE: [ABSENT], BY_USER: [ABSENT]}, unsent={MINE.grant_id})
    assert absent.gone() == {MINE.grant_id} and len(asked) == 2


class Timed(ScriptedDms):
    """Notes when each listing was asked; the listing of one resource waits until another listing was asked.

    :ivar at: when each listing was asked, by the clock of the loop.
    """

    def __init__(self, script: dict[ListingScope, list[Answer]], held: ListingScope, until: ListingScope) -> None:
        super().__init__(script)
        self.held, self.until = held, until
        self.at: dict[ListingScope, float] = {}
        self.released = asyncio.Event()

    async def reread(self, client: CloudClient, listings: Collection[ListingScope]) -> Reading:
        (scope,) = listings
        self.at[scope] = asyncio.get_running_loop().time()
        if scope == self.until:
            self.released.set()
        if scope == self.held:
            await self.released.wait()
        return await super().reread(client, listings)


def test_the_second_side_does_not_wait_for_the_whole_first_side() -> None:
    """User 51001 is read while a database of user 51002 is still being read, and one pause after the own database."""
    beside = [dms_record(2, "51002", "89"), dms_record(3, "51003", "89"), dms_record(4, "51003", "90")]
    other: ListingScope = ("TABLE", "89", "false")
    system = Timed({BY_RESOURCE: [ABSENT], BY_USER: [ABSENT]}, other, BY_USER)
    settling = Settling(system, NO_CLIENT, 0.05, 1.0)
    settling.add({grant.grant_id: grant for grant in [MINE, *beside]})
    asyncio.run(asyncio.wait_for(settling.run(), 30))
    assert len(settling.gone()) == 4 and len(system.asked) == len(set(system.asked)) == 6
    assert system.at[BY_USER] - system.at[BY_RESOURCE] >= 0.05


def test_a_listing_of_the_second_side_waits_for_all_of_its_items() -> None:
    """User 51001 has a record in two databases, and one of them still shows it: one reading of the user is enough."""
    twice = dms_record(2, database="89")
    other: ListingScope = ("TABLE", "89", "false")
    third = dms_record(3, "51002")
    script: dict[ListingScope, list[Answer]] = {BY_RESOURCE: [ABSENT], other: [(twice,), ABSENT], BY_USER: [ABSENT]}
    fourth = dms_record(4, "51003", "89")
    settling, asked = settled(script, MINE, twice, third, fourth)
    assert len(settling.gone()) == 4
    assert (asked.count(other), asked.count(BY_USER)) == (2, 2), "a reading for the first item, one for the late one"
    assert asked.index(BY_USER) > asked.index(("by user", "51002", "TABLE", "false"))


def test_a_listing_that_failed_is_not_made_up_for_by_one_that_was_read_for_another_item() -> None:
    """User 51001 cannot be listed any more when the database of the first item is read again for user 51002."""
    lags, late = dms_record(2, database="89"), dms_record(3, "51002")
    script: dict[ListingScope, list[Answer]] = {
        BY_RESOURCE: [(late,), ABSENT],
        ("TABLE", "89", "false"): [(lags,), ABSENT],
        BY_USER: [FAILURES["incomplete"]],
    }
    settling, asked = settled(script, MINE, lags, late)
    assert settling.gone() == {late.grant_id} and asked.count(BY_RESOURCE) == 2


def test_an_item_that_was_absent_once_is_read_again_though_nothing_was_sent() -> None:
    """The listing of its user waited for a second item, which is still there and for which nothing was sent either."""
    there = dms_record(2, database="89")
    script: dict[ListingScope, list[Answer]] = {
        BY_RESOURCE: [ABSENT],
        ("TABLE", "89", "false"): [(there,)],
        BY_USER: [(there,)],
    }
    beside = dms_record(3, "51002")
    settling, _ = settled(script, MINE, there, beside, unsent={one.grant_id for one in (MINE, there, beside)})
    assert settling.gone() == {MINE.grant_id, beside.grant_id}


class ScriptedRoles(ScriptedDms):
    """Lists one user alone by resource, as a vendor does that has no listing by role or group."""

    def principal_listing_scope(self, grant: Grant) -> ListingScope | None:
        return None if grant.key.principal_id == "51002" else super().principal_listing_scope(grant)


class TimedRoles(ScriptedRoles, Timed):
    """The same, and the listing of one resource waits."""


@pytest.mark.parametrize("answer", ["incomplete", "shown"])
def test_two_readings_of_one_side_for_an_item_beside_are_no_proof(answer: str) -> None:
    """The database is read twice for an item without a second side; the user of the other item proves it by itself."""
    beside = dms_record(2, "51002")
    second: list[Answer] = [SHOWN] if answer == "shown" else [FAILURES[answer]]
    system = ScriptedRoles({BY_RESOURCE: [ABSENT], BY_USER: second})
    settling = Settling(system, NO_CLIENT, 0.001, 0.01)
    settling.add({grant.grant_id: grant for grant in (MINE, beside)})
    asyncio.run(asyncio.wait_for(settling.run(), 30))
    assert settling.gone() == {beside.grant_id}
    assert system.asked[:1] == [BY_RESOURCE] and system.asked.count(BY_RESOURCE) >= 2


def test_a_listing_that_showed_an_item_meanwhile_is_no_second_proof() -> None:
    """The user lacks the item; its database, read first for an item beside, shows it, and lacks it when read again."""
    beside = dms_record(2, "51002")
    more = dms_record(3, "51001", "89"), dms_record(4, "51002", "90")
    system = TimedRoles({BY_USER: [ABSENT], BY_RESOURCE: [SHOWN, ABSENT]}, BY_RESOURCE, BY_USER)
    settling = Settling(system, NO_CLIENT, 0.001, 1.0)
    settling.add({grant.grant_id: grant for grant in (MINE, beside, *more)})
    asyncio.run(asyncio.wait_for(settling.run(), 30))
    assert settling.gone() == {grant.grant_id for grant in (MINE, beside, *more)}
    order = [scope for scope in system.asked if scope in (BY_RESOURCE, BY_USER)]
    assert order[-2:] == [BY_USER, BY_RESOURCE], "after it was shown, both sides are read again"
