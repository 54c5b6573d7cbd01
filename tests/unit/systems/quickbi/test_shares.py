"""Shares of works: what a row means, what a call would end, and what is told of a work."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from types import SimpleNamespace
from typing import Any

import pytest

from rescind.cloud.quickbi.menus import Work
from rescind.cloud.quickbi.shares import Share
from rescind.errors import ListingIncompleteError, NotFoundError
from rescind.model import Grant, GrantKey, Membership
from rescind.systems.population import Population
from rescind.systems.quickbi.shares import QuickBiShares
from rescind.systems.quickbi.work_access import other_ways, unknowns
from rescind.workflow.closing.surroundings import is_membership
from tests.support.sink import Lists

SYSTEM = QuickBiShares()
MENUS = "quickbi_menus"
END = 4_000_000_000_000
ROW = {"ShareId": "s1", "ReportId": "r1", "ShareToType": 0, "ShareToId": "u1", "AuthPoint": 1, "ExpireDate": END}


class _Walker:
    """One listing, whatever is asked."""

    account, found = "a", None

    def __init__(self, *rows: dict[str, Any] | Exception) -> None:
        self._rows = rows

    async def rows(self, request: Any) -> list[Any]:
        for row in self._rows:
            if isinstance(row, Exception):
                raise row
        return [Share.model_validate(row) for row in self._rows]

    async def each(self, items: Iterable[Any], read: Callable[[Any], Awaitable[Any]]) -> list[Any]:
        return [await read(item) for item in items]


def grants(*rows: dict[str, Any]) -> list[Grant]:
    return asyncio.run(SYSTEM._grants(_Walker(*rows), ("r1", "Sales")))  # type: ignore[arg-type]


def changed(planned: list[Grant], *rows: dict[str, Any] | Exception) -> str:
    return asyncio.run(SYSTEM._changed(_Walker(*rows), planned[0], planned))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "level", "why_not", "restorable"),
    [
        ({}, "view", "", True),
        ({"AuthPoint": 3}, "view_export", "", True),
        ({"ShareToType": 1}, "view", "", True),
        ({"ShareToType": 2}, "view", "", True),
        ({"ShareToType": 3}, "view", "cannot name a workspace", True),
        ({"ShareToType": 7}, "view", "cannot name a unknown", True),
        ({"ShareToType": None}, "view", "cannot name a unknown", True),
        ({"ShareToId": ""}, "view", "no id", True),
        ({"ShareToId": "-1"}, "view", "cannot name one of its ids", True),
        ({"ShareToId": "all"}, "view", "cannot name one of its ids", True),
        ({"AuthPoint": 11}, "level 11", "unknown level", False),
        ({"AuthPoint": None}, "level None", "", False),
        ({"ExpireDate": None}, "view", "", False),
        ({"ExpireDate": 0}, "view", "", False),
        ({"ExpireDate": -1}, "view", "", False),
    ],
)
def test_a_row_is_kept_whatever_it_says(change: dict[str, Any], level: str, why_not: str, restorable: bool) -> None:
    (grant,) = grants({**ROW, **change})
    assert grant.key.entitlement == level and why_not in grant.why_not and grant.revocable == (not why_not)
    assert SYSTEM.cell(grant.key) == grant.cell
    assert (SYSTEM.inverse(grant) is not None) == restorable


def test_a_call_ends_exactly_the_planned_shares() -> None:
    one, other = ROW, {**ROW, "ShareId": "s2", "AuthPoint": 3}
    elsewhere = {**ROW, "ShareId": "s3", "ShareToId": "u2"}
    same_id = {**ROW, "ShareId": "s4", "ShareToType": 1}
    planned = grants(one)
    assert changed(planned, one) == changed(planned, one, elsewhere, same_id) == changed(planned, elsewhere) == ""
    assert changed(grants(one, other), one, other) == ""


@pytest.mark.parametrize(
    "rows",
    [
        (ROW, {**ROW, "ShareId": "s2", "AuthPoint": 3}),
        ({**ROW, "AuthPoint": 3},),
        ({**ROW, "ExpireDate": END + 1},),
        ({**ROW, "ShareId": "s2"},),
    ],
    ids=["one more", "level", "end", "given again"],
)
def test_a_share_that_was_given_since_the_plan_is_not_ended(rows: tuple[dict[str, Any], ...]) -> None:
    assert "the call would end all of it" in changed(grants(ROW), *rows)


def test_a_listing_that_is_refused_or_fails_sends_nothing() -> None:
    planned = grants(ROW)
    assert "does not show" in changed(
        planned, NotFoundError("gone", vendor="alibaba", action="QueryShareList", code="Report.NotExist.Error")
    )
    with pytest.raises(ListingIncompleteError):
        changed(planned, ListingIncompleteError("QueryShareList", "null"))


def test_a_work_is_open_by_owner_link_roles_and_its_workspace() -> None:
    row = {"WorksId": "r1", "OwnerId": "u9", "PublicFlag": True, "SecurityLevel": "11", "WorkspaceId": "w"}
    ways = list(other_ways("a", Work.model_validate(row), ["25"]))
    assert [(way.key.principal_type, way.key.principal_id) for way in ways] == [
        ("user", "u9"),
        ("everyone", "everyone"),
        ("role", "w.25"),
        ("workspace", "w"),
    ]
    assert {(way.key.system, way.key.resource_type, way.revocable) for way in ways} == {(SYSTEM.name, "work", False)}
    assert {SYSTEM.listing_scope(way) for way in ways} == {("", "")}
    closed = {**row, "PublicFlag": False, "SecurityLevel": "12"}
    assert len(list(other_ways("a", Work.model_validate(closed), []))) == 1


def test_what_is_not_told_of_a_work_is_a_gap() -> None:
    found = Population(Lists())
    unknowns(Work.model_validate({"WorksId": "r1"}), found)
    assert [gap.resource for gap in found.gaps] == [("work", "r1")] * 3
    unknowns(Work.model_validate({"WorksId": "r2", "OwnerId": "u", "PublicFlag": False, "SecurityLevel": 0}), found)
    assert len(found.gaps) == 3


def test_a_share_is_no_membership() -> None:
    (grant,) = grants(ROW)
    assert SYSTEM.memberships(grant) == () and not is_membership(grant)
    assert not SYSTEM.could_end(Membership(MENUS, "a", "user", "u1", "unknown", "x"))


def test_a_share_is_known_to_the_systems_of_menus_and_of_authorizations() -> None:
    (grant,) = grants(ROW)
    assert SYSTEM.same_access(grant) == (
        GrantKey(MENUS, "a", "portal", "r1", "user", "u1", "share"),
        GrantKey("quickbi_work_authorizations", "a", "work", "r1", "user", "u1", "share"),
    )


def test_groups_of_one_call_are_of_one_kind() -> None:
    cells = {grant.cell.container for grant in grants(ROW, {**ROW, "ShareToType": 1}, {**ROW, "ShareToType": 2})}
    assert cells == {"user", "group", "organization"}
    call = SimpleNamespace(rows=("r1",), columns=(("group", ("g",)),), container="group")
    wire = SYSTEM.request(call, []).wire()  # type: ignore[arg-type]
    assert wire == {"ReportId": "r1", "ShareToType": 1, "ShareToIds": "g"}
