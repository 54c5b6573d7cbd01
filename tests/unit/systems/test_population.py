"""What a population keeps of what it hands on, and how listings are read: bounded, and until they hold still."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rescind.cloud.base import Page, Reply, Row
from rescind.errors import ListingIncompleteError
from rescind.model import Cell, Grant, GrantKey, Principal
from rescind.systems.population import Population, Sentinel, _Seen, shape_of
from rescind.systems.walker import PASSES, READS_IN_FLIGHT, Walker
from tests.support.sink import Lists


def grant(user: str, menu: str = "m1", level: str = "view") -> Grant:
    return Grant(GrantKey("quickbi_menus", "acc", "menu", menu, "user", user, level), Cell("p", menu, "user", (user,)))


def test_everything_is_handed_on_once() -> None:
    sink = Lists()
    found = Population(sink)
    found.add_grants([grant("a"), grant("b"), grant("a")])
    found.add_grants(iter([grant("b"), grant("c")]))
    found.add_principals([Principal("s", "a", "user", "a", name="first"), Principal("s", "a", "user", "a", name="no")])
    assert [one.key.principal_id for one in sink.grants] == ["a", "b", "c"]
    assert (found.grants, found.repeats, found.principals) == (3, 2, 1)
    assert [one.name for one in sink.principals] == ["first"]


@pytest.mark.parametrize("first", [True, False])
def test_a_grant_that_contradicts_itself_is_not_believed_either_way(first: bool) -> None:
    found = Population(Lists())
    found.add_grants([replace(grant("a"), revocable=first)])
    with pytest.raises(ListingIncompleteError, match="once revocable and once not"):
        found.add_grants([replace(grant("a"), revocable=not first)])


def test_references_are_judged_only_against_kinds_that_a_listing_showed() -> None:
    found = Population(Lists())
    found.add_grants([grant("unknown", "m0")])
    found.shown("user", ["a", "b"])
    found.add_grants([grant("a", "m1"), grant("ghost-12", "m2"), grant("ghost-34", "m3")])
    found.shown("menu", ["m4"])
    found.add_grants([grant("b", "m4"), grant("b", "m5")])
    assert found.dangling == {"principal user": 2, "resource menu": 1}
    assert found.dangling_examples == ["principal user a{5}-9{2}", "resource menu a{1}9{1}"]


def test_every_sentinel_must_be_seen() -> None:
    found = Population(Lists(), [Sentinel("a", "m1", "view"), Sentinel("b", "m1", "edit")])
    found.add_grants([grant("a"), grant("b")])
    with pytest.raises(
        ListingIncompleteError, match=r"1 of 2 sentinels were not found among 2 grants.*edit of b on m1"
    ):
        found.close()
    found.add_grants([grant("b", level="edit")])
    found.close()


def test_a_surface_that_failed_once_was_not_asked_whatever_comes_after() -> None:
    found = Population(Lists())
    found.could_not_ask("shares", "refused")
    found.asked("shares")
    found.could_not_ask("shares", "refused again")
    found.asked("roles")
    found.could_not_ask("roles", "")
    assert found.surfaces == {"shares": "refused", "roles": "not answered"}


def test_the_shape_of_an_id_does_not_tell_the_id() -> None:
    assert shape_of("ab12-345.日本") == "a{2}9{2}-9{3}.a{2}"
    assert shape_of("") == "(empty)" and len(shape_of("a1" * 500)) <= 80


# --- reading -----------------------------------------------------------------------------------------


class _Row(Row):
    name: str

    def key(self) -> tuple[str, ...]:
        return (self.name,)


class _Page(Page[_Row]):
    items: tuple[_Row, ...]
    count: int | None

    def rows(self) -> Sequence[_Row]:
        return self.items

    def total(self) -> int | None:
        return self.count


@dataclass(frozen=True)
class _List:
    """A listing of two rows a page; ``at_page`` gives what the client is asked."""

    page: int = 1

    action: ClassVar[str] = "ListThings"
    page_field: ClassVar[str] = "Page"
    size_field: ClassVar[str] = "Size"
    page_size: ClassVar[int] = 2
    needs_total: ClassVar[bool] = True
    null_at_zero: ClassVar[bool] = False
    Answer: ClassVar[type[Reply]] = _Page

    def at_page(self, number: int, size: int) -> _List:
        return _List(number)

    def wire(self) -> dict[str, Any]:
        return {"Page": self.page}


class _Client:
    """Answers from scripted passes: each is the list as it stands at page 1, at page 2 ..."""

    account, region = "acc", ""
    settings = SimpleNamespace(tid=None)

    def __init__(self, *passes: Sequence[str]) -> None:
        self.passes, self.number = passes, -1

    async def read(self, request: _List) -> Any:
        self.number += request.page == 1
        now = self.passes[min(self.number, len(self.passes) - 1)]
        names = now[min(request.page, len(now)) - 1]
        rows = tuple(_Row(name=name) for name in names[2 * request.page - 2 : 2 * request.page])
        return SimpleNamespace(value=_Page(items=rows, count=len(names)), request_id="r")


def _read(*passes: Sequence[str]) -> tuple[str, int, int]:
    found = Population(Lists())
    client = _Client(*passes)
    walker: Walker[Any] = Walker(client, found)
    rows: tuple[_Row, ...] = asyncio.run(walker.rows(_List()))  # type: ignore[arg-type]
    return "".join(row.name for row in rows), client.number + 1, found.second_passes


def test_one_page_is_read_once_and_several_until_two_passes_agree() -> None:
    assert _read(["a"]) == ("a", 1, 0)
    assert _read(["abc"]) == ("abc", 2, 1)
    assert _read(["abc"], ["bca"]) == ("bca", 2, 1), "another order is the same listing"


def test_a_row_that_slips_between_pages_is_found() -> None:
    # At page 2 "a" has gone and "e" has come: "c" moved to the page that was read already, and the total stands.
    slipped = ["abcd", "bcde"]
    assert _read(slipped, ["bcde"]) == ("bcde", 3, 1)
    assert _read(["abcd", "bcd"], ["bcd"]) == ("bcd", 3, 1), "a total that changed is read again"


def test_a_broken_pass_between_two_equal_ones_is_not_passed_over() -> None:
    broken = ["abcd", "bcd"]  # the total changes between its pages
    assert _read(["abc"], broken, ["abc"]) == ("abc", 4, 1)
    assert _read(broken, broken, ["abc"]) == ("abc", 4, 1)
    with pytest.raises(ListingIncompleteError, match=f"{PASSES} passes"):
        _read(["abc"], broken, ["abc"], ["abd"])
    with pytest.raises(ListingIncompleteError, match="total went from 4 to 3"):
        _read(["abc"], broken, ["abc"], broken)


def test_what_cannot_be_read_whole_is_not_read_again() -> None:
    """Only rows that may have moved between two pages are worth another pass."""
    client = _Client(["abc"])

    async def cut(request: _List) -> Any:
        client.number += request.page == 1
        rows = tuple(_Row(name=name) for name in "ab")
        return SimpleNamespace(value=_Page(items=rows, count=None), request_id="r")

    client.read = cut  # type: ignore[method-assign]
    with pytest.raises(ListingIncompleteError, match="no total was declared"):
        asyncio.run(Walker(client, Population(Lists())).rows(_List()))  # type: ignore[arg-type]
    assert client.number == 0


def test_a_listing_that_never_holds_still_is_given_up() -> None:
    passes = [["abc"], ["abd"], ["abe"], ["abf"], ["abf"]]
    with pytest.raises(ListingIncompleteError, match=f"{PASSES} passes"):
        _read(*passes)
    with pytest.raises(ListingIncompleteError, match="total went from 4 to 3"):
        _read(["abcd", "bcd"])


def test_reading_ahead_is_bounded_and_the_first_failure_ends_it() -> None:
    started, waiting, most = 0, 0, 0

    async def read(item: int) -> int:
        nonlocal started, waiting, most
        started, waiting = started + 1, waiting + 1
        most = max(most, waiting)
        await asyncio.sleep(0)
        waiting -= 1
        if item == 100:
            raise ListingIncompleteError("listing 100", "half of it")
        return item * 2

    walker: Walker[Any] = Walker(_Client(["a"]))
    taken: dict[int, int] = {}
    asyncio.run(walker.for_each(range(90), read, taken.__setitem__))
    assert taken == {item: item * 2 for item in range(90)} and most <= READS_IN_FLIGHT
    assert asyncio.run(walker.each([3, 1, 2], read)) == [6, 2, 4]
    started = 0
    with pytest.raises(ListingIncompleteError, match="listing 100"):
        asyncio.run(walker.for_each(range(50, 5000), read, lambda *_: None))
    assert started < 50 + 3 * READS_IN_FLIGHT


def test_grants_are_told_apart_across_the_borders_of_stored_ids() -> None:
    """Ids that begin alike are stored one after the other; the end of one and the start of the next name nobody."""
    seen, tail = _Seen(), "0" * 40
    first, second = "abcd" + "11" * 10, "abcd" + "22" * 10
    across = "abcd" + "11" * 9 + "01"  # the last bytes of the first one with its flag
    shifted = "abcd" + "11" * 5 + "01" + "22" * 4
    assert [seen.add(name + tail, True) for name in (first, second)] == [None, None]
    assert [seen.add(name + tail, False) for name in (across, shifted)] == [None, None]
    assert [seen.add(name + tail, False) for name in (first, second, across, shifted)] == [True, True, False, False]
    assert seen.count == 4


@given(st.lists(st.tuples(st.text("01", min_size=20, max_size=20), st.booleans()), max_size=200))
def test_repeats_are_found_as_by_a_dictionary(adds: list[tuple[str, bool]]) -> None:
    seen, known = _Seen(), dict[str, bool]()
    for name, flag in adds:
        assert seen.add("abcd" + name + "0" * 40, flag) == known.get(name)
        known.setdefault(name, flag)
    assert seen.count == len(known)
