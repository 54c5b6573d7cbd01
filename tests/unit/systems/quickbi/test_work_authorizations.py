"""Authorizations of works and datasets: what a row means, what a call would end, and what a restore brings back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest

from rescind.cloud.quickbi.authorizations import AddWorksAuthorization, Authorization
from rescind.cloud.quickbi.menus import Work
from rescind.cloud.quickbi.shares import Share
from rescind.errors import BlastRadiusExceededError, InputError, ListingIncompleteError, NotFoundError
from rescind.model import Cell, Grant, GrantKey
from rescind.systems.population import Population
from rescind.systems.quickbi.authorized_resources import day_before, untold
from rescind.systems.quickbi.shares import QuickBiShares
from rescind.systems.quickbi.work_authorizations import QuickBiWorkAuthorizations
from rescind.workflow.closing.surroundings import is_membership
from rescind.workflow.execute.listings import match_regranted
from tests.support.sink import Lists

SYSTEM = QuickBiWorkAuthorizations()
END = "4000000000000"
ROW: dict[str, Any] = {"AuthorizedId": "u1", "Scope": 0, "Authorities": ["READ"], "ExpireDate": END, "ResourceId": "r1"}
EDIT = {**ROW, "Authorities": ["READ", "EDITE", "EXPORT"], "ExpireDate": None}


class _Walker:
    """The rows of users and of groups, whatever resource is asked for."""

    account, found = "a", None

    def __init__(self, *rows: dict[str, Any] | Exception) -> None:
        self._rows, self.asked = rows, []

    async def rows(self, request: Any) -> list[Any]:
        self.asked.append(request.wire())
        for row in self._rows:
            if isinstance(row, Exception):
                raise row
        read = [Authorization.model_validate(row) for row in self._rows]
        return [row for row in read if (row.Scope == 1) == (request.ShareToType == "1")]

    async def each(self, items: Iterable[Any], read: Callable[[Any], Awaitable[Any]]) -> list[Any]:
        return [await read(item) for item in items]


def grants(*rows: dict[str, Any], place: str = "dashboard/r1") -> list[Grant]:
    return asyncio.run(SYSTEM._grants(_Walker(*rows), (place, "Sales")))  # type: ignore[arg-type]


def changed(planned: list[Grant], *rows: dict[str, Any] | Exception) -> str:
    return asyncio.run(SYSTEM._changed(_Walker(*rows), planned[0], planned))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "level", "why_not", "restorable", "unfaithful"),
    [
        ({}, "view", "", True, "earlier end"),
        ({"Authorities": ["EXPORT", "READ"]}, "view_export", "", True, "earlier end"),
        ({"Authorities": EDIT["Authorities"], "ExpireDate": None}, "edit", "", True, ""),
        ({"Authorities": EDIT["Authorities"], "ExpireDate": ""}, "edit", "", True, ""),
        ({"Authorities": EDIT["Authorities"], "ExpireDate": "0"}, "edit", "", True, ""),
        ({"Authorities": EDIT["Authorities"]}, "edit", "", False, "no call grants exactly this again"),
        ({"Authorities": EDIT["Authorities"], "ExpireDate": "4102329600000"}, "edit", "", True, ""),
        ({"ExpireDate": "4102329600000"}, "view", "", True, ""),
        ({"Authorities": EDIT["Authorities"], "ExpireDate": "soon"}, "edit", "", False, "no call grants"),
        ({"ExpireDate": None}, "view", "", False, "no call grants"),
        ({"ExpireDate": "soon"}, "view", "", False, "no call grants"),
        ({"ExpireDate": "-1"}, "view", "", False, "no call grants"),
        (
            {"Authorities": ["READ", "DELETE"]},
            "level DELETE,READ",
            "authorities are not known",
            False,
            "no call grants",
        ),
        ({"Authorities": []}, "level", "authorities are not known", False, "no call grants"),
        ({"Authorities": None}, "level", "authorities are not known", False, "no call grants"),
        ({"Scope": 1}, "view", "users, not a group", True, "earlier end"),
        ({"Scope": 2}, "view", "users, not a organization", True, "earlier end"),
        ({"Scope": 3}, "view", "users, not a workspace", True, "earlier end"),
        ({"Scope": None}, "view", "users, not a unknown", True, "earlier end"),
        ({"AuthorizedId": ""}, "view", "no id", True, "earlier end"),
        ({"AuthorizedId": "all"}, "view", "cannot name one of its ids", True, "earlier end"),
    ],
)
def test_a_row_is_kept_whatever_it_says(
    change: dict[str, Any], level: str, why_not: str, restorable: bool, unfaithful: str
) -> None:
    (grant,) = grants({**ROW, **change})
    assert grant.key.entitlement == level and why_not in grant.why_not and grant.revocable == (not why_not)
    assert SYSTEM.cell(grant.key) == grant.cell
    assert (SYSTEM.inverse(grant) is not None) == restorable
    assert unfaithful in SYSTEM.unfaithful(grant) and bool(unfaithful) == bool(SYSTEM.unfaithful(grant))


def test_works_are_asked_for_users_and_groups_and_datasets_for_users() -> None:
    for place, receivers, kind in (("report/r1", [0, 1], "work"), ("cube/r1", [0], "dataset")):
        walker = _Walker(ROW)
        (grant,) = asyncio.run(SYSTEM._grants(walker, (place, "Sales")))  # type: ignore[arg-type]
        assert [asked["ShareToType"] for asked in walker.asked] == receivers
        assert {asked["WorksType"] for asked in walker.asked} == {place.partition("/")[0]}
        assert all(asked["HasAuth"] is True for asked in walker.asked)
        assert (grant.key.resource_type, grant.key.resource_id) == (kind, "r1")
        assert SYSTEM.listing_scope(grant) == (place, "Sales")


def test_a_row_about_another_resource_makes_the_listing_unusable() -> None:
    with pytest.raises(ListingIncompleteError, match="another resource"):
        grants(ROW, {**ROW, "AuthorizedId": "u2", "ResourceId": "r2"})
    assert len(grants({**ROW, "ResourceId": None})) == 1


def test_a_call_ends_exactly_the_planned_authorizations() -> None:
    group, other = {**ROW, "Scope": 1}, {**ROW, "AuthorizedId": "u2"}
    planned = grants(ROW)
    assert changed(planned, ROW) == changed(planned, ROW, group, other) == changed(planned, other) == ""
    assert changed(grants(ROW, EDIT), ROW, EDIT) == ""


@pytest.mark.parametrize(
    "rows",
    [(ROW, EDIT), (EDIT,), ({**ROW, "ExpireDate": "4000000000001"},), ({**ROW, "Authorities": ["READ", "EXPORT"]},)],
    ids=["one more", "edit", "end", "level"],
)
def test_an_authorization_that_was_given_since_the_plan_is_not_ended(rows: tuple[dict[str, Any], ...]) -> None:
    assert "the call would end all of it" in changed(grants(ROW), *rows)


def test_a_listing_that_is_refused_or_fails_sends_nothing() -> None:
    gone = NotFoundError("gone", vendor="alibaba", action="ListAuthConfigByResource", code="Report.NotExist.Error")
    assert "does not show" in changed(grants(ROW), gone)
    with pytest.raises(ListingIncompleteError):
        changed(grants(ROW), ListingIncompleteError("ListAuthConfigByResource", "null"))


def test_every_authorization_of_a_user_on_a_resource_is_one_cell() -> None:
    cells = {grant.cell for grant in grants(ROW, EDIT, {**ROW, "Authorities": ["NEW"]})}
    assert cells == {Cell("work", "r1", "user", ("u1",))}
    (dataset,) = grants(ROW, place="cube/r1")
    assert dataset.cell == Cell("dataset", "r1", "user", ("u1",))


def test_the_request_names_the_type_of_the_vendor() -> None:
    call = SimpleNamespace(rows=("r1",), columns=(("user", ("u1",)),), container="work")
    wire = SYSTEM.request(call, grants(ROW, place="dataForm/r1")).wire()  # type: ignore[arg-type]
    assert wire == {"ResourceType": "dataForm", "ResourceId": "r1", "QbiUserId": "u1"}


@pytest.mark.parametrize("hours", range(-12, 15))
@pytest.mark.parametrize("moment", ["2026-09-09T16:00:00", "2026-03-01T00:00:00", "2027-01-01T11:59:59.999"])
def test_the_day_of_a_restore_is_over_before_the_former_end_in_every_zone(hours: int, moment: str) -> None:
    end = datetime.fromisoformat(moment).replace(tzinfo=UTC)
    day = datetime.fromisoformat(day_before(end)).replace(tzinfo=timezone(timedelta(hours=hours)))
    assert timedelta(0) <= end - (day + timedelta(days=1)) and end - day <= timedelta(days=4)


def test_a_restored_authorization_is_the_same_with_an_earlier_end_and_another_level_is_not() -> None:
    (before,) = grants(ROW)
    (earlier,) = grants({**ROW, "ExpireDate": "3999900000000"})
    (level,) = grants({**ROW, "Authorities": ["READ", "EXPORT"]})
    (forever,) = grants({**ROW, "ExpireDate": None})
    same, otherwise = match_regranted(SYSTEM, [before], [earlier], set())
    assert set(same) == {before.grant_id} and not otherwise
    for one in (level, forever):
        same, otherwise = match_regranted(SYSTEM, [before], [one], set())
        assert not same and set(otherwise) == {before.grant_id}


def test_only_edit_has_no_end() -> None:
    given: dict[str, Any] = {"ResourceType": "cube", "ResourceId": "r", "AuthorizedId": "u"}
    for level, end in ((1, None), (3, None), (11, "2099-12-31"), (1, "2099-1-1"), (10, "2099-12-31")):
        with pytest.raises(InputError):
            AddWorksAuthorization(**given, AuthPoints=level, ExpireDay=end)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("action", "query"),
    [
        ("DeleteAuthorizationByUserId", "ResourceType=dashboard&ResourceId=r1"),
        ("DeleteAuthorizationByUserId", "ResourceType=dashboard&ResourceId=r1&QbiUserId="),
        ("DeleteAuthorizationByUserId", "ResourceType=dashboard&ResourceId=r1&QbiUserId=a,b"),
        ("DeleteAuthorizationByUserId", "ResourceType=dashboard&ResourceId=r1&QbiUserId=a&QbiUserId=b"),
        ("DeleteAuthorizationByUserId", "ResourceType=dashboard&ResourceId=r1&QbiUserId=a&Scope=1"),
        ("AddWorksAuthorization", "ResourceType=cube&ResourceId=r&AuthorizeScope=1&AuthorizedId=g&AuthPoints=11"),
        ("AddWorksAuthorization", "ResourceType=cube&ResourceId=r&AuthorizeScope=0&AuthorizedId=g&AuthPoints=10"),
    ],
)
def test_a_request_that_does_not_name_one_user_is_refused(action: str, query: str) -> None:
    prepared: Any = SimpleNamespace(action=action, url=f"https://q/?{query}")
    with pytest.raises(BlastRadiusExceededError):
        SYSTEM.blast_radius(prepared)
    with pytest.raises(BlastRadiusExceededError):
        SYSTEM.given(prepared)


def test_an_authorization_is_no_membership() -> None:
    (grant,) = grants(ROW)
    assert SYSTEM.memberships(grant) == () and not is_membership(grant)


def test_what_is_not_told_is_a_gap() -> None:
    found = Population(Lists())
    untold(Work.model_validate({"WorksId": "c1", "WorkType": "cube"}), found)
    untold(Work.model_validate({"WorksId": "r1", "WorkType": "PAGE"}), found)
    assert [gap.resource for gap in found.gaps] == [("dataset", "c1"), *[("work", "r1")] * 3]
    untold(Work.model_validate({"WorksId": "c2", "WorkType": "cube", "OwnerId": "u"}), found)
    assert len(found.gaps) == 4


SHARE = {"ShareToType": 0, "ShareToId": "u1", "AuthPoint": 1, "ExpireDate": 4_000_000_000_000}


class _Shared(_Walker):
    """A work with one authorization of a user, and these shares."""

    def __init__(self, *shares: dict[str, Any]) -> None:
        super().__init__(ROW)
        self._shares = shares

    async def rows(self, request: Any) -> list[Any]:
        if request.action == "QueryShareList":
            return [Share.model_validate(share) for share in self._shares]
        return await super().rows(request)


def _found(*shares: dict[str, Any]) -> tuple[Grant, list[Grant]]:
    """The authorization, and the shares as ways in."""
    work = Work.model_validate({"WorksId": "r1", "WorkType": "PAGE"})
    found = asyncio.run(SYSTEM._authorizations(_Shared(*shares), work, Population(Lists())))  # type: ignore[arg-type]
    return found[-1], found[:-1]


def test_shares_are_ways_in_that_another_system_ends() -> None:
    unknown, group = {**SHARE, "ShareToType": None}, {**SHARE, "ShareToType": 1}
    _, ways = _found(SHARE, {**SHARE, "AuthPoint": 3}, group, unknown)
    place = (SYSTEM.name, "a", "work", "r1")
    kinds = ("group", "unknown", "user")
    assert [way.key for way in ways] == [GrantKey(*place, kind, "u1", "share") for kind in kinds]
    assert {(way.revocable, SYSTEM.listing_scope(way)) for way in ways} == {(False, ("", ""))}


def test_an_authorization_beside_a_share_goes_only_if_the_share_goes_too() -> None:
    alone, none = _found({**SHARE, "ShareToType": 1}, {**SHARE, "ShareToId": "u2"})
    assert SYSTEM.ended_besides([alone], [alone, *none]) == {}
    grant, ways = _found(SHARE)
    assert "end the share first" in SYSTEM.ended_besides([grant], [grant, *ways])[grant.grant_id]
    shares = QuickBiShares()
    (share,) = asyncio.run(shares._grants(_Shared(SHARE), ("r1", "Sales")))  # type: ignore[arg-type]
    planned = {key.grant_id for key in shares.same_access(share)}
    assert SYSTEM.ended_besides([grant], [grant, *ways], planned) == {}
    several, ways = _found(SHARE, {**SHARE, "AuthPoint": 3})
    assert set(SYSTEM.ended_besides([several], [several, *ways], planned)) == {several.grant_id}


@pytest.mark.parametrize(
    ("before", "now", "stale"),
    [
        ((), (), False),
        ((SHARE,), (SHARE,), False),
        ((SHARE,), (), False),
        ((), ({**SHARE, "ShareToId": "u2"}, {**SHARE, "ShareToType": 1}), False),
        ((), (SHARE,), True),
        ((SHARE,), ({**SHARE, "AuthPoint": 3},), True),
        ((SHARE,), ({**SHARE, "ExpireDate": 4_000_000_000_001},), True),
    ],
)
def test_a_share_that_was_given_since_the_plan_stops_the_call(
    before: tuple[dict[str, Any], ...], now: tuple[dict[str, Any], ...], stale: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    grant, _ = _found(*before)
    monkeypatch.setattr("rescind.systems.membership.Walker", lambda client: client)
    monkeypatch.setattr("rescind.systems.quickbi.work_authorizations.Walker", lambda client: client)
    found = asyncio.run(SYSTEM.also_ended(_Shared(*now), [grant]))  # type: ignore[arg-type]
    assert bool(found) == stale and (not stale or "another share now" in found[grant.grant_id])


def test_shares_that_are_not_listed_leave_the_work_out() -> None:
    found, work = Population(Lists()), Work.model_validate({"WorksId": "r1", "WorkType": "PAGE"})
    failing = _Walker(ListingIncompleteError("QueryShareList", "null"))
    assert asyncio.run(SYSTEM._authorizations(failing, work, found)) == []  # type: ignore[arg-type]
    unknown = Work.model_validate({"WorksId": "r2", "WorkType": "FULLPAGE"})
    assert asyncio.run(SYSTEM._authorizations(_Walker(), unknown, found)) == []  # type: ignore[arg-type]
    assert [one["id"] for one in found.left_out] == ["r1", "r2"] and "FULLPAGE" in found.left_out[1]["why"]
