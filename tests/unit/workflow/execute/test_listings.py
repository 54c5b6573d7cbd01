"""Listing scopes read one by one, and grants that came back: what counts as the same grant, and whose it is."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from rescind.ledger import Ledger, Watched
from rescind.model import Grant
from rescind.systems.base import ListingScope
from rescind.workflow.execute.listings import ListingsRead, answers, match_regranted, read_listings
from rescind.workflow.execute.verification.watch import watch_account
from tests.support.ledger.runs import begin, list_scope
from tests.support.scripted import BROKEN, CUT, NO_CLIENT, NOT_THERE, REFUSED, Answer, ScriptedDms, dms_record

ONE, TWO, THREE = (("TABLE", name, "false") for name in ("88", "89", "90"))
HERE, THERE, BEYOND = dms_record(1), dms_record(2, database="89"), dms_record(3, database="90")


def read(script: dict[ListingScope, list[Answer]], *scopes: ListingScope) -> ListingsRead:
    return asyncio.run(read_listings(ScriptedDms(script), NO_CLIENT, scopes))


def test_one_listing_that_is_incomplete_or_missing_says_nothing_of_the_others() -> None:
    found = read({ONE: [(HERE,)], TWO: [BROKEN], THREE: [NOT_THERE]}, ONE, TWO, THREE)
    assert found.shown == {ONE: (HERE,)} and found.failed == {TWO: BROKEN}
    assert found.gone == {THREE: "NotFoundError UserNotExist"} and found.not_found == {THREE}
    assert (found.calls, found.pages, list(found.grants())) == (1, ["page 1"], [HERE])
    assert found.why_gone(THREE) == "its resource no longer exists (NotFoundError UserNotExist)"


def test_a_refusal_is_no_proof_that_a_resource_is_not_there() -> None:
    found = read({ONE: [REFUSED]}, ONE)
    assert found.gone == {ONE: "RefusedError NotSupportYet"} and found.not_found == set() and found.shown == {}


def test_after_an_error_of_the_platform_the_rest_is_not_asked() -> None:
    system = ScriptedDms({ONE: [CUT], TWO: [(THERE,)], THREE: [(BEYOND,)]})
    found = asyncio.run(read_listings(system, NO_CLIENT, [THREE, TWO, ONE]))
    assert found.failed == dict.fromkeys((ONE, TWO, THREE), CUT) and found.shown == {}
    assert system.asked == [ONE]


def test_the_digest_of_the_answers_does_not_depend_on_their_order() -> None:
    assert answers(["b", "a"]) == answers(["a", "b"]) != answers(["a"])
    assert answers(iter(["a", "a"]))["answers"]["pages"] == 2


# --- what came back ------------------------------------------------------------------------------------


def again(grant: Grant, native: str, *, end: str = "") -> Grant:
    """The same right by another record, perhaps with another end."""
    return replace(grant, key=grant.key._replace(native_id=native), expires_raw=end)


def matched(
    items: list[Grant],
    shown: list[Grant],
    known: set[str] = frozenset(),  # type: ignore[assignment]
) -> tuple[dict[str, Grant], dict[str, Grant]]:
    return match_regranted(ScriptedDms(), items, shown, known)


def test_the_same_record_or_the_same_right_with_the_same_end_came_back() -> None:
    for now in (HERE, again(HERE, "r9")):
        assert matched([HERE], [now]) == ({HERE.grant_id: now}, {})


def test_another_end_is_the_same_right_otherwise() -> None:
    now = again(HERE, "r9", end="2031-01-01 00:00:00")
    assert matched([HERE], [now]) == ({}, {HERE.grant_id: now})
    best = again(HERE, "r8")
    assert matched([HERE], [now, best]) == ({HERE.grant_id: best}, {}), "the same terms come first"


def test_another_right_or_another_person_is_none_of_it() -> None:
    for field, value in (("entitlement", "EXPORT"), ("principal_id", "51002"), ("resource_id", "t9"), ("account", "b")):
        other = replace(HERE, key=HERE.key._replace(**{field: value, "native_id": "r9"}))
        assert matched([HERE], [other]) == ({}, {}), field


def test_a_record_of_the_snapshot_came_back_as_nobody_else() -> None:
    second = again(HERE, "r9")
    assert matched([HERE], [second], {second.grant_id}) == ({}, {})
    assert matched([HERE, second], [second], {second.grant_id, HERE.grant_id}) == ({second.grant_id: second}, {})


def test_the_same_record_with_another_end_is_its_own_item_otherwise() -> None:
    later, twin = again(HERE, "r1", end="2031-01-01 00:00:00"), again(HERE, "r2", end="2031-01-01 00:00:00")
    assert matched([twin, HERE], [later], {HERE.grant_id, twin.grant_id}) == ({}, {HERE.grant_id: later})
    best = again(HERE, "r9")
    assert matched([HERE], [later, best]) == ({HERE.grant_id: best}, {}), "the same terms come first"


def test_each_shown_record_stands_for_one_item_and_earlier_items_choose_first() -> None:
    second, now = again(HERE, "r2"), again(HERE, "r9")
    assert matched([HERE, second], [now]) == ({HERE.grant_id: now}, {})
    other = again(HERE, "r8", end="2031-01-01 00:00:00")
    assert matched([second, HERE], [now, other]) == ({second.grant_id: now}, {HERE.grant_id: other})


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("shown", "returned", "still_gone", "not_checked"),
    [
        ([()], 0, 1, 0),
        ([(HERE,)], 1, 0, 0),
        ([(again(HERE, "r9", end="2031-01-01 00:00:00"),)], 1, 0, 0),
        ([(dms_record(5),)], 0, 1, 0),
        ([BROKEN], 0, 0, 1),
        ([CUT], 0, 0, 1),
        ([NOT_THERE], 0, 0, 1),
    ],
)
def test_what_cannot_be_read_is_neither_gone_nor_back(
    ledger: Ledger, shown: list[Answer], returned: int, still_gone: int, not_checked: int
) -> None:
    run = begin(ledger)
    list_scope(ledger, run, [HERE, dms_record(5)])
    watched = [Watched(run.run_id, "dms_default", HERE)]
    check, regrants = asyncio.run(watch_account(ledger, ScriptedDms({ONE: shown}), NO_CLIENT, "acc", watched))
    assert (check.returned, check.still_gone, check.not_checked) == (returned, still_gone, not_checked)
    assert (check.watched, len(regrants), bool(check.problem)) == (1, returned, bool(not_checked))


@pytest.mark.postgres
def test_another_record_of_the_same_right_that_was_there_all_along_is_no_return(ledger: Ledger) -> None:
    run, beside = begin(ledger), again(HERE, "r9")
    list_scope(ledger, run, [HERE, beside])
    watched = [Watched(run.run_id, "dms_default", HERE)]
    check, regrants = asyncio.run(watch_account(ledger, ScriptedDms({ONE: [(beside,)]}), NO_CLIENT, "acc", watched))
    assert (check.returned, check.still_gone, regrants) == (0, 1, [])
