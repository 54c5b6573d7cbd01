from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rescind.cloud.base import Answer, ListRequest
from rescind.cloud.dms.inventory import ListUserOwnedResources, ListUsers
from rescind.cloud.dms.permissions import ListAuthorizedUsersForInstance, ListUserPermissions
from rescind.cloud.paging import Bounds, Listing, collect
from rescind.cloud.quickbi.menus import ListPortalMenuAuthorization, QueryWorksByOrganization
from rescind.cloud.wedata.data_sources import ListDataSources
from rescind.cloud.wedata.inventory import ListCatalog, ListProjects, ListTenantRoles
from rescind.cloud.wedata.privileges import ListPermissions, PrivilegeResource
from rescind.cloud.wedata.studio import ListWorkflowPermissions
from rescind.errors import ListingIncompleteError, TransientError

Pages = Callable[[int, int], dict[str, Any]]


class Fake:
    """A reader that answers from a function of (page number, page size)."""

    def __init__(self, pages: Pages) -> None:
        self.pages = pages
        self.asked: list[tuple[int, int]] = []

    async def read(self, request: Any) -> Answer[Any]:
        number = int(getattr(request, request.page_field)) if request.page_field else 1
        size = int(getattr(request, request.size_field)) if request.size_field else 0
        self.asked.append((number, size))
        now = datetime.now(UTC)
        value = request.Answer.model_validate(self.pages(number, size))
        return Answer(value, f"r{len(self.asked)}", 200, now, now)


def walk(request: ListRequest[Any], pages: Pages, **options: Any) -> tuple[Listing[Any], Fake]:
    fake = Fake(pages)
    return asyncio.run(collect(fake, request, **options)), fake


def incomplete(request: ListRequest[Any], pages: Pages, **options: Any) -> str:
    with pytest.raises(ListingIncompleteError) as caught:
        walk(request, pages, **options)
    assert request.action in caught.value.what
    return caught.value.missing


def users(*ids: Any, total: Any = None) -> dict[str, Any]:
    page: dict[str, Any] = {"UserList": {"User": [{"UserId": each} for each in ids]}}
    return page if total is None else {**page, "TotalCount": total}


def slices(count: int, *, total: Any = None, cap: int | None = None) -> Pages:
    def page(number: int, size: int) -> dict[str, Any]:
        step = min(size, cap or size)
        return users(*range(count)[(number - 1) * step : number * step], total=count if total is None else total)

    return page


# --- complete listings --------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 25, 30])
def test_pages_are_read_to_the_end(count: int) -> None:
    listing, fake = walk(ListUsers(), slices(count), bounds=Bounds(page_size=10))
    assert [row.UserId for row in listing.rows] == [str(number) for number in range(count)]
    assert (listing.record.declared, listing.record.counted) == (count, count)
    # A full last page costs one more look; nothing else does.
    assert len(fake.asked) == count // 10 + 1
    assert listing.record.pages == len(fake.asked) == len(listing.record.page_digests)


def test_a_server_that_sends_smaller_pages_than_asked_for() -> None:
    listing, fake = walk(ListUsers(), slices(25, cap=10), bounds=Bounds(page_size=50))
    assert len(listing.rows) == 25
    assert [number for number, _ in fake.asked] == [1, 2, 3]


def test_a_server_that_repeats_its_last_page() -> None:
    def page(number: int, size: int) -> dict[str, Any]:
        return slices(20)(min(number, 2), size)

    listing, _ = walk(ListUsers(), page, bounds=Bounds(page_size=10))
    assert len(listing.rows) == 20
    assert listing.record.duplicates == 10


def test_text_paging_without_total_ends_at_the_second_empty_page() -> None:
    def page(number: int, size: int) -> dict[str, Any]:
        return {"Users": [{"UserId": each} for each in range(250)[(number - 1) * size : number * size]]}

    listing, fake = walk(ListAuthorizedUsersForInstance(InstanceId="1"), page)
    assert len(listing.rows) == 250
    assert [number for number, _ in fake.asked] == [1, 2, 3, 4, 5]
    assert listing.record.declared is None


def authorized(pages: dict[int, list[int]]) -> Pages:
    return lambda number, _: {"Users": [{"UserId": each} for each in pages.get(number, [])]}


def test_nobody_is_said_by_two_empty_pages() -> None:
    listing, fake = walk(ListAuthorizedUsersForInstance(InstanceId="1"), authorized({}))
    assert listing.rows == ()
    assert [number for number, _ in fake.asked] == [1, 2]


@pytest.mark.parametrize("pages", [{2: [1]}, {1: [1], 3: [2]}, {1: [1, 2], 2: [3], 4: [4], 5: [5]}])
def test_rows_after_an_empty_page_prove_that_it_is_no_end(pages: dict[int, list[int]]) -> None:
    why = incomplete(ListAuthorizedUsersForInstance(InstanceId="1"), authorized(pages))
    assert "after an empty page" in why


def test_a_null_page_after_an_empty_one_is_no_second_empty_page() -> None:
    def page(number: int, size: int) -> dict[str, Any]:
        return {"Users": None if number == 3 else [{"UserId": 1}] if number == 1 else []}

    assert "page 3 is null" in incomplete(ListAuthorizedUsersForInstance(InstanceId="1"), page)


def test_a_hole_that_closes_is_read_again() -> None:
    reads = iter([{}, {2: [1]}, {1: [1]}, {}, {}])
    listing, fake = walk(
        ListAuthorizedUsersForInstance(InstanceId="1"),
        lambda number, size: authorized(next(reads))(number, size),
        restarts=1,
    )
    assert [row.UserId for row in listing.rows] == ["1"]
    assert (len(fake.asked), listing.record.restarts) == (5, 1)


def test_owned_resources_declare_nothing_with_a_zero() -> None:
    def page(number: int, size: int) -> dict[str, Any]:
        rows = [{"InstanceId": "1"}] if number == 1 else []
        return {"Data": {"resourceList": rows}, "TotalCount": 0}

    listing, _ = walk(ListUserOwnedResources(UserId="1", OwnerType="INSTANCE"), page)
    assert len(listing.rows) == 1


def test_whole_listings_take_one_read() -> None:
    menus = {
        "Result": [
            {"MenuId": "m", "ShowOnlyWithAccess": "true", "Receivers": [{"ReceiverId": "u", "ReceiverType": "9"}]}
        ]
    }
    listing, fake = walk(ListPortalMenuAuthorization(DataPortalId="p"), lambda *_: menus)
    assert listing.rows[0].receivers[0].ReceiverType == 9
    assert len(fake.asked) == 1
    roles, _ = walk(ListTenantRoles(), lambda *_: {"Data": []})
    assert roles.rows == ()


def test_the_record_is_plain_data() -> None:
    listing, _ = walk(ListUsers(Tid="7"), slices(3))
    record = json.loads(json.dumps(listing.record.as_dict()))
    assert (record["action"], record["pages"], record["counted"], record["request_ids"]) == ("ListUsers", 1, 3, ["r1"])
    again, _ = walk(ListUsers(Tid="7"), slices(3))
    assert again.record.page_digests == listing.record.page_digests
    assert again.record.parameters_digest == listing.record.parameters_digest
    other, _ = walk(ListUsers(Tid="8"), slices(4))
    assert other.record.page_digests != listing.record.page_digests
    assert other.record.parameters_digest != listing.record.parameters_digest


# --- listings that prove nothing ----------------------------------------------------------------------


def test_short() -> None:
    assert "30 rows declared, 25 distinct" in incomplete(ListUsers(), slices(25, total=30), bounds=Bounds(page_size=10))
    assert "3 rows declared, 0 distinct" in incomplete(ListUsers(), slices(0, total=3))


def test_more_than_declared() -> None:
    assert "5 rows declared" in incomplete(ListUsers(), slices(7, total=5))
    assert "10 rows declared" in incomplete(ListUsers(), slices(20, total=10), bounds=Bounds(page_size=10))


def test_repeated_page() -> None:
    def page(number: int, size: int) -> dict[str, Any]:
        return slices(30)(1, size)

    assert "came twice" in incomplete(ListUsers(), page, bounds=Bounds(page_size=10))


def test_a_shifted_row_shows_as_a_repeat() -> None:
    """Somebody was added in front while pages were read: the last row of page 1 comes again on page 2."""

    def page(number: int, size: int) -> dict[str, Any]:
        rows = list(range(25)) if number == 1 else [-1, *range(25)]
        return users(*rows[(number - 1) * size : number * size], total=25)

    assert "came twice" in incomplete(ListUsers(), page, bounds=Bounds(page_size=10))


def test_a_lost_row_shows_in_the_count() -> None:
    """Somebody was removed in front: one row is never seen."""

    def page(number: int, size: int) -> dict[str, Any]:
        rows = list(range(25)) if number == 1 else list(range(1, 25))
        return users(*rows[(number - 1) * size : number * size], total=25)

    assert "25 rows declared, 24 distinct" in incomplete(ListUsers(), page, bounds=Bounds(page_size=10))


def _permissions(*ids: str | None, total: int) -> dict[str, Any]:
    rows = [{"PermissionTargetType": "user", "PermissionTargetId": one, "PermissionTypeList": ["CAN_MANAGE"]}
            for one in ids]  # fmt: skip
    return {"Data": {"Items": rows, "TotalCount": total}}


def test_a_permission_that_is_inherited_too_comes_twice_and_is_read_twice() -> None:
    """Only where one page holds as many rows as declared; elsewhere the list may have shifted, or hides a holder."""
    request = ListWorkflowPermissions(ProjectId="1", EntityId="w1", EntityType="workflow")
    listing, fake = walk(request, lambda *_: _permissions("1", "1", "2", total=3))
    assert [row.PermissionTargetId for row in listing.rows] == ["1", "2"] and len(fake.asked) == 2
    record = listing.record
    assert (record.declared, record.counted, record.duplicates, record.confirmed) == (3, 2, 1, True)
    for rows, total in ((("1", "1"), 3), (("1", "1", "2"), 2), ((None, None), 2), (("1", "1", None, None), 4)):
        assert "came twice" in incomplete(request, lambda *_, r=rows, t=total: _permissions(*r, total=t))
    full = Bounds(page_size=3)
    assert "came twice" in incomplete(request, lambda *_: _permissions("1", "1", "2", total=3), bounds=full)
    later = lambda number, _: _permissions(*(("1",) if number == 1 else ("2", "2", "3")), total=3)  # noqa: E731
    assert "came twice" in incomplete(request, later, bounds=Bounds(page_size=4))
    for second in (("1", "1", "3"), ("1", "2", "2")):
        answers = iter([("1", "1", "2"), second])
        assert "two readings differ" in incomplete(request, lambda *_, a=answers: _permissions(*next(a), total=3))
    assert "came twice" in incomplete(ListUsers(), lambda *_: users("1", "1", total=2))


def test_a_changing_total() -> None:
    def page(number: int, size: int) -> dict[str, Any]:
        return slices(25, total=25 if number == 1 else 24)(number, size)

    assert "from 25 to 24" in incomplete(ListUsers(), page, bounds=Bounds(page_size=10))


def test_no_total_where_one_belongs() -> None:
    assert "no total" in incomplete(ListUsers(), lambda *_: users(1, 2))
    assert "no total" in incomplete(QueryWorksByOrganization(), lambda *_: {"Result": {"Data": []}})
    assert "no total" in incomplete(ListCatalog(), lambda *_: {"Data": {"Items": []}})


def test_endless() -> None:
    counter = iter(range(10**9))

    def page(number: int, size: int) -> dict[str, Any]:
        return {"Users": [{"UserId": next(counter)} for _ in range(size)]}

    request = ListAuthorizedUsersForInstance(InstanceId="1")
    assert "after 7 pages" in incomplete(request, page, bounds=Bounds(pages=7))
    assert "more than 250 rows" in incomplete(request, page, bounds=Bounds(rows=250))
    ticks = iter(range(10**6))
    assert "after 5 s" in incomplete(request, page, bounds=Bounds(seconds=5), clock=lambda: float(next(ticks)))


def test_a_page_that_repeats_without_total() -> None:
    request = ListAuthorizedUsersForInstance(InstanceId="1")
    assert "came twice" in incomplete(request, lambda *_: {"Users": [{"UserId": "1"}]})


@pytest.mark.parametrize(
    ("request_", "page"),
    [
        (ListUsers(), {"UserList": None, "TotalCount": 0}),
        (ListUsers(), {"UserList": {}, "TotalCount": 0}),
        (ListUsers(), {"TotalCount": 3}),
        (ListUserPermissions(UserId="1", PermType="TABLE"), {"UserPermissions": None, "TotalCount": 0}),
        (ListPortalMenuAuthorization(DataPortalId="p"), {"Result": None}),
        (ListPortalMenuAuthorization(DataPortalId="p"), {}),
        (ListTenantRoles(), {"Data": None}),
        (ListAuthorizedUsersForInstance(InstanceId="1"), {}),
        (ListProjects(), {"Data": {"Items": None, "TotalCount": 5}}),
        (ListCatalog(), {"Data": {"Items": None, "TotalCount": 0}}),
    ],
    ids=lambda value: getattr(value, "action", ""),
)
def test_null_is_not_empty(request_: ListRequest[Any], page: dict[str, Any]) -> None:
    assert "null" in incomplete(request_, lambda *_: page)


def test_null_beside_a_declared_zero_is_empty_for_documented_inventories() -> None:
    listing, _ = walk(ListDataSources(ProjectId="1"), lambda *_: {"Data": {"Items": None, "TotalCount": 0}})
    assert listing.rows == ()
    assert listing.record.null_as_empty
    assert "no total" in incomplete(ListDataSources(ProjectId="1"), lambda *_: {"Data": {"Items": None}})
    assert "no total" in incomplete(ListDataSources(ProjectId="1"), lambda *_: {"Data": None})


# --- ListPermissions: no paging, so the total must match the rows -------------------------------------

RESOURCE = PrivilegeResource(ResourceType="Catalog", ResourceUri="demo")


def grant(user: str) -> dict[str, Any]:
    return {
        "Resource": {"ResourceType": "Catalog", "ResourceUri": "demo"},
        "SubjectDetails": [{"SubjectType": "User", "SubjectValue": user}],
        "PermissionDetails": [{"Name": "BROWSE", "Granted": False, "Inherited": False}],
    }


def test_permissions_must_match_their_total() -> None:
    rows = [grant("1"), grant("2")]
    listing, _ = walk(ListPermissions(Resource=RESOURCE), lambda *_: {"Data": {"Details": rows, "TotalCount": 2}})
    assert [row.SubjectDetails[0].SubjectValue for row in listing.rows] == ["1", "2"]
    for total in (0, 1, 3, 4):
        missing = incomplete(
            ListPermissions(Resource=RESOURCE), lambda *_, t=total: {"Data": {"Details": rows, "TotalCount": t}}
        )
        assert f"{total} rows declared" in missing
    for data in (None, {}, {"Details": None, "TotalCount": 0}, {"Details": [], "TotalCount": None}, {"Details": []}):
        incomplete(ListPermissions(Resource=RESOURCE), lambda *_, d=data: {"Data": d})
    empty, _ = walk(ListPermissions(Resource=RESOURCE), lambda *_: {"Data": {"Details": [], "TotalCount": 0}})
    assert empty.rows == ()


def pairs(*holders: tuple[int, int]) -> list[dict[str, Any]]:
    """Rows with so many subjects and privileges each."""
    rows = []
    for number, (subjects, rights) in enumerate(holders):
        row = grant(str(number))
        row["SubjectDetails"] = [{"SubjectType": "User", "SubjectValue": f"{number}{one}"} for one in range(subjects)]
        row["PermissionDetails"] = [{"Name": f"P{one}", "Inherited": False} for one in range(rights)]
        rows.append(row)
    return rows


def test_a_total_of_pairs_is_complete_when_two_readings_are_the_same() -> None:
    request, rows = ListPermissions(Resource=RESOURCE), pairs((2, 3), (1, 1))

    def told(total: int, *later: list[dict[str, Any]]) -> Pages:
        answers = iter([rows, *later])
        return lambda *_: {"Data": {"Details": next(answers), "TotalCount": total}}

    listing, fake = walk(request, told(7, rows), other_unit=True)
    assert (len(listing.rows), len(fake.asked), listing.record.unit) == (2, 2, "other")
    assert (listing.record.declared, listing.record.counted, listing.record.pages) == (7, 2, 2)
    listing, fake = walk(request, told(2), other_unit=True)
    assert (len(fake.asked), listing.record.unit) == (1, "rows")
    assert "7 rows declared" in incomplete(request, told(7, rows))
    for total in (1, 3, 6, 8):
        assert f"{total} rows declared" in incomplete(request, told(total, rows), other_unit=True)
    for later in (rows[:1], pairs((2, 3), (1, 2)), pairs((2, 3), (1, 1), (1, 1))):
        incomplete(request, told(7, later), other_unit=True)
    assert "two readings differ" in incomplete(request, told(7, pairs((7, 1))), other_unit=True)


def test_one_pair_in_each_row_says_nothing_about_the_unit() -> None:
    answer = {"Data": {"Details": pairs((1, 1), (1, 1)), "TotalCount": 2}}
    listing, fake = walk(ListPermissions(Resource=RESOURCE), lambda *_: answer, other_unit=True)
    assert (listing.record.unit, len(fake.asked)) == ("", 1)


# --- beginning again ----------------------------------------------------------------------------------


def test_restarts_read_everything_again() -> None:
    calls = {"count": 0}

    def page(number: int, size: int) -> dict[str, Any]:
        calls["count"] += 1
        return slices(25, total=99 if calls["count"] == 2 else 25)(number, size)

    listing, _ = walk(ListUsers(), page, bounds=Bounds(page_size=10), restarts=1)
    assert (len(listing.rows), listing.record.restarts, listing.record.pages) == (25, 1, 3)


def test_vendor_errors_pass_through() -> None:
    class Broken:
        async def read(self, request: Any) -> Any:
            raise TransientError("no", vendor="alibaba", action="ListUsers")

    with pytest.raises(TransientError):
        asyncio.run(collect(Broken(), ListUsers()))


# --- property: complete or incomplete, never wrong ----------------------------------------------------


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 12), max_size=5), max_size=6),
    st.lists(st.one_of(st.none(), st.integers(0, 14)), min_size=1, max_size=6),
)
def test_whatever_the_pages_say_a_listing_is_complete_or_refused(
    pages: list[list[int]], totals: list[int | None]
) -> None:
    def page(number: int, size: int) -> dict[str, Any]:
        rows = pages[number - 1] if number <= len(pages) else []
        return users(*rows, total=totals[min(number, len(totals)) - 1])

    try:
        listing, fake = walk(ListUsers(), page, bounds=Bounds(page_size=5, pages=50))
    except ListingIncompleteError:
        return
    read = [each for number, _ in fake.asked for each in (pages[number - 1] if number <= len(pages) else [])]
    assert {row.UserId for row in listing.rows} == {str(each) for each in read}
    assert listing.record.declared == len(listing.rows)
    assert {totals[min(number, len(totals)) - 1] for number, _ in fake.asked} == {len(listing.rows)}
