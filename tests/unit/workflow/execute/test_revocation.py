"""The direction that revokes: what one final request may touch, and which cells without a grant it may contain."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from rescind.errors import BlastRadiusExceededError, PlanError
from rescind.model import Cell, Grant, GrantKey, ItemState, Mode, PlannedCall
from rescind.plan.approved import Approved
from rescind.workflow.execute.revocation import Revocation
from tests.support.scripted import BROKEN, NOT_THERE, REFUSED, Answer, ScriptedMenus


def menu(row: str, user: str, level: str = "view") -> Grant:
    key = GrantKey("quickbi_menus", "acc", "menu", row, "user", user, level, "p")
    return Grant(key, Cell("p", row, "user", (user,)))


M1U1, M1U2, M2U1, M2U2 = (menu(row, user) for row in ("m1", "m2") for user in ("u1", "u2"))
PORTAL = ("p",)


class _Client:
    """Signs nothing."""

    def prepare(self, request: Any) -> Any:
        return request


class _Portal(ScriptedMenus):
    """A portal whose requests touch what the test says."""

    touched: frozenset[Cell] = frozenset()

    def request(self, call: PlannedCall, grants: Any) -> Any:
        return SimpleNamespace(grants=tuple(grants))

    def blast_radius(self, prepared: Any) -> frozenset[Cell]:
        return self.touched

    async def reread(self, client: Any, listings: Any) -> Any:
        await asyncio.sleep(0)
        return await super().reread(client, listings)


def way(
    shown: tuple[Grant, ...] | Exception = (),
    *,
    mode: Mode = Mode.STRICT,
    emptied: frozenset[Any] = frozenset(),
    protected: dict[str, str] | None = None,
) -> tuple[Revocation, _Portal]:
    answers: list[Answer] = [shown]
    system = _Portal({PORTAL: answers})
    batch: Any = SimpleNamespace(system=system, client=_Client())
    approved = Approved(mode, frozenset(), emptied)
    return Revocation(batch, lambda one: (protected or {}).get(one.grant_id, ""), approved), system


def call(rows: tuple[str, ...], users: tuple[str, ...]) -> Any:
    columns = tuple(("user", (user,)) for user in users)
    return SimpleNamespace(planned=PlannedCall("quickbi_menus", "acc", "p", rows, columns))


WHOLE = call(("m1", "m2"), ("u1", "u2"))
EMPTY_U2 = frozenset({("p", "user", ("u2",))})


def test_a_request_that_touches_exactly_its_grants_is_prepared() -> None:
    revocation, portal = way()
    portal.touched = frozenset({M1U1.cell, M2U1.cell})
    assert revocation.prepare(WHOLE, [M1U1, M2U1], frozenset()).grants == (M1U1, M2U1)


@pytest.mark.parametrize(
    ("touched", "grants", "absent"),
    [
        ({M1U1.cell, M1U2.cell}, [M1U1], frozenset()),
        ({M1U2.cell}, [M1U1], frozenset()),
        ({M1U1.cell, M2U2.cell}, [M1U1], frozenset({M1U2.cell})),
        (set(), [M1U1], frozenset()),
    ],
    ids=["more", "another", "more than what is absent", "nothing named"],
)
def test_a_request_that_touches_anything_else_is_refused(touched: Any, grants: list[Grant], absent: Any) -> None:
    revocation, portal = way()
    portal.touched = frozenset(touched)
    with pytest.raises(BlastRadiusExceededError):
        revocation.prepare(WHOLE, grants, absent)


def test_a_request_for_nothing_that_is_left_is_refused() -> None:
    revocation, portal = way(mode=Mode.SPARSE)
    portal.touched = frozenset({M1U2.cell})
    with pytest.raises(PlanError):
        revocation.prepare(WHOLE, [], frozenset({M1U2.cell}))


def test_an_emptied_column_may_be_touched_beside_a_grant_and_nowhere_else() -> None:
    revocation, portal = way(mode=Mode.EMPTYING, emptied=EMPTY_U2)
    portal.touched = frozenset({M1U1.cell, M1U2.cell})
    revocation.prepare(WHOLE, [M1U1], frozenset())
    for beyond in (M2U2.cell, Cell("q", "m1", "user", ("u2",)), Cell("p", "m1", "group", ("u2",))):
        portal.touched = frozenset({M1U1.cell, beyond})
        with pytest.raises(BlastRadiusExceededError):
            revocation.prepare(WHOLE, [M1U1], frozenset())


def absent(revocation: Revocation, planned: Any, grants: list[Grant], own: list[Grant]) -> frozenset[Cell] | None:
    return asyncio.run(revocation.absent_cells(planned, grants, {grant.cell for grant in own}))


def test_in_sparse_mode_the_cells_beside_are_listed_again_right_before_the_send() -> None:
    revocation, portal = way((M1U1, M2U1), mode=Mode.SPARSE)
    assert absent(revocation, WHOLE, [M1U1, M2U1], [M1U1, M2U1]) == {M1U2.cell, M2U2.cell}
    assert portal.asked == [PORTAL]
    given_since, _ = way((M1U1, M2U1, M2U2), mode=Mode.SPARSE)
    assert absent(given_since, WHOLE, [M1U1, M2U1], [M1U1, M2U1]) is None, "split: somebody was given access"
    blind, _ = way(BROKEN, mode=Mode.SPARSE)
    with pytest.raises(type(BROKEN)):
        absent(blind, WHOLE, [M1U1, M2U1], [M1U1, M2U1])


def test_a_call_without_other_cells_is_not_listed_again() -> None:
    revocation, portal = way(mode=Mode.SPARSE)
    every = [M1U1, M1U2, M2U1, M2U2]
    assert absent(revocation, WHOLE, every, every) == frozenset() and portal.asked == []
    assert absent(revocation, WHOLE, [], every) == frozenset() and portal.asked == []


def test_outside_sparse_mode_no_cell_counts_as_absent() -> None:
    strict, portal = way()
    every = [M1U1, M1U2, M2U1, M2U2]
    assert absent(strict, WHOLE, [M1U1], every) is None, "the others of the plan are settled: split"
    assert absent(strict, WHOLE, [M1U1], [M1U1]) == frozenset(), "left to the check of the final request"
    emptying, _ = way(mode=Mode.EMPTYING, emptied=EMPTY_U2)
    assert absent(emptying, WHOLE, [M1U1, M2U1], [M1U1, M2U1]) == frozenset()
    assert absent(emptying, WHOLE, [M1U1], [M1U1, M2U1]) is None
    row_without_grant = call(("m1", "m2"), ("u2",))
    assert absent(emptying, row_without_grant, [M1U2], [M1U2]) is None, "a row that holds nothing any more: split"
    assert portal.asked == []


def test_one_protected_grant_holds_its_whole_call() -> None:
    revocation, _ = way(protected={M1U2.grant_id: "owner"})
    screened = asyncio.run(revocation.screen([M1U1, M1U2]))
    assert (screened.send, screened.outcome) == ([], "held") and "owner" in screened.reason
    assert screened.moves == {
        M1U1.grant_id: (ItemState.HELD, "shares a call with a protected grant"),
        M1U2.grant_id: (ItemState.HELD, "owner"),
    }
    assert asyncio.run(revocation.screen([M1U1])).send == [M1U1]


def test_a_call_that_would_end_more_than_planned_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    revocation, portal = way()
    revocation.batch = SimpleNamespace(system=portal, client=_Client())  # type: ignore[assignment]
    assert asyncio.run(revocation.screen([M1U1, M1U2])).send == [M1U1, M1U2]

    async def more(client: object, grants: list[Grant]) -> dict[str, str]:
        assert grants == [M1U1, M1U2]
        return {M1U2.grant_id: "it would end edit"}

    monkeypatch.setattr(portal, "also_ended", more)
    screening = asyncio.run(revocation.screen([M1U1, M1U2]))
    assert screening.send == []
    assert screening.moves == {
        M1U1.grant_id: (ItemState.STALE, "shares a call with a grant that changed"),
        M1U2.grant_id: (ItemState.STALE, "it would end edit"),
    }
    assert (screening.outcome, screening.reason) == ("stale", "changed since the plan: it would end edit")


def test_a_level_of_a_menu_that_changed_since_the_plan_stays() -> None:
    """A call names the receiver only, so it would end the new level, and a restore would give the old one."""
    export = menu("m1", "u2", "view_export")
    for now, stale in (
        ((M1U1, M1U2), False),
        ((M1U1,), False),
        ((M1U1, export), True),
        ((M1U1, M1U2, export), True),
        ((M1U1, M1U2, menu("m2", "u2", "edit")), False),
    ):
        revocation, portal = way(now)
        screening = asyncio.run(revocation.screen([M1U1, M1U2]))
        assert (screening.send == []) is stale and portal.asked == [PORTAL]
        if stale:
            why = "the vendor shows view_export for this receiver now"
            assert screening.moves[M1U2.grant_id] == (ItemState.STALE, why)
    both, _ = way((M1U2, export))
    assert asyncio.run(both.screen([M1U2, export])).send == [M1U2, export]
    blind, _ = way(BROKEN)
    with pytest.raises(type(BROKEN)):
        asyncio.run(blind.screen([M1U1]))


@pytest.mark.parametrize("answer", [NOT_THERE, REFUSED], ids=["gone", "refused"])
def test_a_portal_that_the_vendor_does_not_show_any_more_stops_its_calls_and_not_the_batch(answer: Exception) -> None:
    revocation, _ = way(answer)
    screening = asyncio.run(revocation.screen([M1U1]))
    assert screening.send == [] and screening.reason
    assert screening.moves[M1U1.grant_id][0] is ItemState.STALE


def test_a_menu_without_a_list_of_receivers_stops_the_calls_that_name_it_and_not_those_of_its_portal() -> None:
    revocation, portal = way((M1U1, M1U2))
    portal.unlisted = frozenset({"m2", "m3"})
    assert asyncio.run(revocation.screen([M1U1, M1U2])).send == [M1U1, M1U2]
    screening = asyncio.run(revocation.screen([M1U1, M2U1]))
    why = "the vendor does not list the receivers of this menu now"
    assert screening.send == [] and screening.moves[M2U1.grant_id] == (ItemState.STALE, why)


def test_calls_share_a_slow_reading_that_began_when_they_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rescind.systems.quickbi.menus._NOW_SECONDS", 0.0)
    revocation, portal = way((M1U1, M1U2))

    async def together() -> None:
        await asyncio.gather(*(revocation.screen([M1U1]) for _ in range(10)))

    asyncio.run(together())
    assert len(portal.asked) <= 2


def test_calls_of_a_portal_that_are_sent_together_share_a_reading_and_a_later_one_reads_again() -> None:
    revocation, portal = way((M1U1, M1U2))

    async def together() -> None:
        await asyncio.gather(*(revocation.screen([grant]) for grant in (M1U1, M1U2)))
        await revocation.screen([M1U1])

    asyncio.run(together())
    assert portal.asked == [PORTAL, PORTAL]


def test_what_ended_with_an_earlier_call_is_not_sent_and_the_rest_of_its_call_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    revocation, portal = way((M1U1, M1U2))

    async def ended(client: object, grants: list[Grant]) -> dict[str, str]:
        return {one.grant_id: "it was inherited, and ended with it" for one in grants if one == M1U2}

    monkeypatch.setattr(portal, "ended_with_others", ended)
    screening = asyncio.run(revocation.screen([M1U1, M1U2]))
    assert (screening.send, screening.moves) == ([M1U1], {})
    alone = asyncio.run(revocation.screen([M1U2]))
    assert (alone.send, alone.moves, alone.reason) == ([], {}, "it was inherited, and ended with it")
    assert asyncio.run(revocation.screen([])).reason == ""
