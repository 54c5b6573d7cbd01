"""Pages of a roster: one that ends short, or goes on past its end, is not used."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rescind.errors import InputError
from rescind.review.roster.pages import PageFields, RosterPages


def plain(*pages: dict[str, Any], fields: PageFields | None = None) -> list[Any]:
    """The people of a plain JSON roster; a page after the end of the roster is not asked for."""
    roster = RosterPages("r", "json", fields or PageFields())
    for number, page in enumerate(pages, 1):
        roster.add(json.dumps(page).encode())
        assert (roster.next is None) == (number == len(pages))
    people: list[Any] = json.loads(roster.document())
    return people


def page(first: int, last: int, total: int, link: Any = None, **more: Any) -> dict[str, Any]:
    return {"items": [{"person_id": f"P{n}"} for n in range(first, last + 1)], "total": total, "next": link, **more}


def test_all_pages_together_are_the_roster() -> None:
    assert len(plain(page(1, 10, 10))) == 10
    assert len(plain(page(1, 5, 10, "/2"), page(6, 10, 10))) == 10
    without = {name: value for name, value in page(1, 10, 10).items() if name != "next"}
    assert len(plain(without)) == 10


@pytest.mark.parametrize("link", [None, "", "-"])
@pytest.mark.parametrize("before", [0, 1])
def test_a_roster_that_ends_short_without_a_next_link_is_not_used(link: str | None, before: int) -> None:
    last = page(6, 9, 10, link) if before else page(1, 5, 10, link)
    pages = [page(1, 5, 10, "/2"), last] if before else [last]
    if link == "-":
        del last["next"]
    with pytest.raises(InputError, match=f"{9 if before else 5} of 10 people and no further page"):
        plain(*pages)


def test_a_link_past_the_end_is_not_followed() -> None:
    with pytest.raises(InputError, match="10 of 10 people and a further page"):
        plain(page(1, 10, 10, "/2"))


@pytest.mark.parametrize("total", [None, True, -1, "10"])
def test_without_a_total_nothing_shows_that_the_roster_is_whole(total: Any) -> None:
    with pytest.raises(InputError, match="total"):
        plain(page(1, 10, total))


def test_a_total_that_changes_between_pages_stops_the_roster() -> None:
    for total in (9, 11):
        with pytest.raises(InputError, match=f"{total} people, and 10 on an earlier page"):
            plain(page(1, 5, 10, "/2"), page(6, total, total))


def test_a_scim_roster_that_ends_short_is_not_whole() -> None:
    roster = RosterPages("r", "scim")
    users = [{"id": f"P{n}"} for n in range(1, 6)]
    roster.add(json.dumps({"totalResults": 10, "startIndex": 1, "Resources": users}).encode())
    assert roster.next == "6"
    with pytest.raises(InputError, match="not all pages were read"):
        roster.document()
    for wrong in ({"startIndex": 5}, {"startIndex": True}, {"startIndex": 7}, {"totalResults": 9}, {"Resources": []}):
        more = {"totalResults": 10, "startIndex": 6, "Resources": [{"id": f"P{n}"} for n in range(6, 11)], **wrong}
        with pytest.raises(InputError):
            roster.add(json.dumps(more).encode())


def test_no_page_is_no_roster() -> None:
    with pytest.raises(InputError, match="not all pages were read"):
        RosterPages("r", "json").document()


def scim(*pages: dict[str, Any]) -> RosterPages:
    roster = RosterPages("r", "scim")
    for each in pages:
        roster.add(json.dumps(each).encode())
    return roster


def users(first: int, last: int, total: int) -> dict[str, Any]:
    return {"totalResults": total, "startIndex": first, "Resources": [{"id": str(n)} for n in range(first, last + 1)]}


@pytest.mark.parametrize("beyond", [{"Resources": []}, {}, {"Resources": [], "startIndex": 11}])
def test_scim_is_whole_when_the_page_beyond_its_total_is_empty(beyond: dict[str, Any]) -> None:
    roster = scim(users(1, 10, 10))
    assert roster.next == "11"
    with pytest.raises(InputError, match="not all pages were read"):
        roster.document()
    roster.add(json.dumps({"totalResults": 10, **beyond}).encode())
    assert roster.next is None and len(json.loads(roster.document())["Resources"]) == 10


def test_a_service_that_gives_the_size_of_a_page_as_its_total_is_not_used() -> None:
    with pytest.raises(InputError, match=r"20 people where the service declares 10.*size of a page"):
        scim(users(1, 10, 10), users(11, 20, 10))
    with pytest.raises(InputError, match="5 people, and 10 on an earlier page"):
        scim(users(1, 10, 10), users(11, 15, 5))
