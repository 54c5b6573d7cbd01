"""Quick BI: a view that is listed is a use; what is not listed is not known, never not seen."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, date, datetime
from typing import Any

import pytest

from rescind.model import Grant
from rescind.systems.last_use import CAPPED, NOT_READ, OTHERS, REFUSED, UsageRequest, not_known
from rescind.systems.population import Population
from rescind.systems.quickbi.last_use import NO_WORK, NOT_VIEWED, VIEWS
from tests.support.sink import Lists
from tests.unit.systems.test_odd_rows import MENUS, Answers, menu, page, quickbi

TODAY = date(2026, 6, 30)
MOMENT = str(int(datetime(2026, 6, 9, 12, tzinfo=UTC).timestamp() * 1000))
ANN = {"ReceiverId": "ann", "ReceiverType": 0, "AuthPointsValue": 3}
STAFF = {"ReceiverId": "g1", "ReceiverType": 1, "AuthPointsValue": 1}
TREE = [
    {"menuId": "m1", "menuType": 0, "uri": "work-1"},
    {"menuId": "m2", "menuType": 2, "uri": "work-2"},
    {"menuId": "m3", "menuType": 1, "uri": "work-1"},
    {"menuId": "m4", "menuType": 0, "uri": None},
    {"menuId": "m5", "menuType": 0, "uri": 7},
]


def views(*rows: Answers, **more: Any) -> Answers:
    return {"Result": {"Data": list(rows), **more}}


def view(work: str, moment: str | None = MOMENT) -> Answers:
    return {"TreeId": work, "Type": "PAGE", "LatestViewTime": moment, "Name": "Margin"}


def found(answer: Answers, *, max_calls: int = 10) -> tuple[dict[str, Grant], UsageRequest]:
    """The grants of ann by menu, and what was read."""
    sink, usage = Lists(), UsageRequest(90, max_calls, today=TODAY)
    known = {
        "QueryUserList": page({"UserId": "ann", "RoleIdList": [1]}, {"UserId": "bea", "IsDeleted": True}),
        "ListPortalMenus": {"Result": json.dumps(TREE)},
        "ListPortalMenuAuthorization": {"Result": [menu(f"m{n}", ANN, STAFF) for n in range(1, 6)]},
        "ListRecentViewReports": answer,
    }
    population = Population(sink)
    population.usage = usage
    asyncio.run(MENUS.discover(quickbi(known), population))
    mine = [g for g in sink.grants if (g.key.principal_id, g.key.resource_type) == ("ann", "menu")]
    grants = {g.key.resource_id: g for g in mine}
    groups = {g.use for g in sink.grants if g.key.principal_type == "group"}
    assert groups == {not_known(OTHERS)}
    return grants, usage


def test_a_view_of_the_work_behind_the_menu_is_a_use() -> None:
    grants, usage = found(views(view("work-1"), view("work-9"), TotalNum=2))
    assert grants["m1"].use == (0, "2026-06-09", VIEWS), "a later view inside the portal may not be listed"
    assert grants["m2"].use == not_known(NOT_VIEWED), "no list of views proves that there was none"
    assert {grants[name].use for name in ("m3", "m4", "m5")} == {not_known(NO_WORK)}
    assert usage.calls == 1, "a deleted user is not asked about"
    assert usage.notes["Quick BI views"]["complete"]


@pytest.mark.parametrize("moment", ["", None, "yesterday", "9" * 30, "0"])
def test_a_view_without_a_time_is_no_use(moment: str | None) -> None:
    assert found(views(view("work-1", moment)))[0]["m1"].use == not_known(NOT_VIEWED)


FAILURES: dict[str, tuple[Answers, str]] = {
    "null": ({"Result": None}, NOT_READ),
    "null in place of the list": ({"Result": {"Data": None}}, NOT_READ),
    "refused": ({"Success": False, "Code": "NoPermission"}, REFUSED),
}


@pytest.mark.parametrize("name", FAILURES)
def test_what_cannot_be_read_of_a_user_is_not_known(name: str) -> None:
    answer, why = FAILURES[name]
    grants, usage = found(answer)
    assert grants["m1"].use == not_known(why) and not usage.notes["Quick BI views"]["complete"]


def test_reading_ends_at_the_limit_of_calls() -> None:
    assert found(views(view("work-1")), max_calls=0)[0]["m1"].use == not_known(CAPPED)
