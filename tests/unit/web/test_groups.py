"""Items of a run in groups: they stand together, their heads count all of them, filters and the export keep them."""

from __future__ import annotations

import csv
import dataclasses
import io
from itertools import groupby
from typing import Any

import pytest

from rescind.ledger import Ledger, VerdictRecord
from rescind.ledger.read_models.item_rows import NO_DEPARTMENT, ItemFilter, ItemLine
from rescind.model import Cell, Choice, Decision, Grant, Verdict
from rescind.web.app import create_app
from rescind.workflow.question.risk import risk_level
from tests.support.ledger import runs as ledger_runs
from tests.support.ledger.web_runs import HOSTILE, NOW
from tests.support.markup import Markup

ALL = {"access_review"}
PEOPLE, COUNT = 7, 130
SYSTEMS = ("dms_permissions", "quickbi_menus")
RIGHTS = ("query", "correct", "export")


def grants() -> list[Grant]:
    """Grants of seven people, one of them of no department, on 13 resources in two systems."""
    found = []
    for number in range(COUNT):
        one = ledger_runs.grant(number % PEOPLE, system=SYSTEMS[number % 2])
        key = one.key._replace(resource_id=f"p/{number % 13}", entitlement=RIGHTS[number % 3], native_id=str(number))
        names = {"principal_name": HOSTILE[number % PEOPLE], "resource_name": HOSTILE[(number % 13) % len(HOSTILE)]}
        cell = Cell("p", f"m{number}", "user", (key.principal_id,))
        found.append(dataclasses.replace(one, key=key, cell=cell, **names))
    return found


def facts(number: int) -> dict[str, str]:
    person = number % PEOPLE
    known = {"person.id": f"P{person}", "person.status": "left" if person == 1 else "active", "matched_by": "uid"}
    return known if person == 0 else {**known, "person.department": ("Finance", "Sales <b>")[person % 2]}


@pytest.fixture
def filled(ledger: Ledger) -> Ledger:
    """Run 1: approved, the first half of its items proven gone."""
    run, found = ledger_runs.begin(ledger), grants()
    for system in SYSTEMS:
        ledger_runs.list_scope(ledger, run, [one for one in found if one.key.system == system])
    ledger.decisions.write(
        run.run_id,
        [
            Decision(one.grant_id, Choice.REVOKE, "leaver", "left", "high", (), facts(number))
            for number, one in enumerate(found)
        ],
    )
    ledger_runs.approve(ledger, ledger_runs.freeze(ledger, run, [[one] for one in found], batches=2))
    gone = [VerdictRecord(one.grant_id, Verdict.VERIFIED_GONE, "list", NOW) for one in found[: COUNT // 2]]
    ledger.verdicts.record(run.run_id, gone)
    return ledger


KEYS: dict[str, Any] = {
    "person": lambda row: row.person,
    "resource": lambda row: (row.system, row.account, row.resource_type, row.resource_id),
    "system": lambda row: (row.system, row.account),
}


def pages(ledger: Ledger, wanted: ItemFilter) -> list[ItemLine]:
    """All items of a filter, read page by page."""
    rows: list[ItemLine] = []
    while True:
        page = ledger.views.items(1, ALL, wanted, offset=len(rows), limit=30)
        rows += page.rows
        if len(rows) >= page.total:
            return rows


@pytest.mark.parametrize("by", KEYS)
@pytest.mark.parametrize("more", [{}, {"verdict": "open", "sort": "right"}, {"text": "p/1"}, {"department": "Finance"}])
def test_groups_stand_together_and_their_heads_count_what_matches(
    filled: Ledger, by: str, more: dict[str, str]
) -> None:
    rows = pages(filled, ItemFilter(by=by, **more))
    plain = pages(filled, ItemFilter(**more))
    assert sorted(row.grant_id for row in rows) == sorted(row.grant_id for row in plain) and len(rows) > 30
    runs = [(key, list(group)) for key, group in groupby(rows, key=KEYS[by])]
    assert len(runs) == len({key for key, _ in runs}) > 1, "every group stands in one place"
    for _, group in runs:
        assert len({row.group_key for row in group}) == 1
        for parts in (row.group_parts for row in group):
            assert sum(part[5] for part in parts) == len(group)
            assert sum(part[6] for part in parts) == sum(row.verdict == "verified_gone" for row in group)
    assert {row.group_key for row in plain} == {""}


def test_a_department_is_a_filter(filled: Ledger) -> None:
    departments = {number: facts(number).get("person.department", NO_DEPARTMENT) for number in range(COUNT)}
    for name in set(departments.values()):
        expected = sum(one == name for one in departments.values())
        assert filled.views.items(1, ALL, ItemFilter(department=name)).total == expected
    assert filled.views.items(1, ALL, ItemFilter(department="finance")).total == 0, "it is no search"
    assert filled.views.items(1, {"other"}, ItemFilter(by="person")).rows == []


def test_the_page_shows_heads_and_every_link_keeps_the_choice(
    browser_of: Any, ledger_dsn: str, filled: Ledger, anybody: Any
) -> None:
    app = create_app(
        lambda: ledger_dsn, list, {}, identify=anybody, readable=lambda _, dags: frozenset(dags), risk_level=risk_level
    )
    browser = browser_of(app)
    for by in KEYS:
        html = browser.get(f"runs/1/items?by={by}&department=Finance").text
        rows = filled.views.items(1, ALL, ItemFilter(by=by, department="Finance")).rows
        assert html.count('scope="rowgroup"') == len({row.group_key for row in rows})
        assert "Only the department Finance" in Markup.of(html).text
        addresses = [link for _, link in Markup.of(html).addresses]
        following = [link for link in addresses if "offset=" in link or "items.csv" in link]
        assert len(following) == 2
        assert all(f"by={by}" in link and "department=Finance" in link for link in following)
        exported = browser.get(f"runs/1/items.csv?by={by}").text.removeprefix("\ufeff")
        order = [row["grant id"] for row in csv.DictReader(io.StringIO(exported))]
        assert order == [row.grant_id for row in pages(filled, ItemFilter(by=by))]
    text = " ".join(Markup.of(browser.get("runs/1/items?by=person").text).text.split())
    mine = [number for number in range(COUNT) if number % PEOPLE == 1]
    high = sum(number % 3 != 0 for number in mine)
    gone = sum(number < COUNT // 2 for number in mine)
    assert f"{len(mine)} items, {high} of high risk, {gone} proven gone, {len(mine) - gone} to do" in text
    assert 'scope="rowgroup"' not in browser.get("runs/1/items?by=nothing").text
    assert browser.get("runs/1/items?by=../x").status_code == 422
    assert "?department=Sales+%3Cb%3E&amp;by=person" in browser.get("runs/1/people").text


@pytest.mark.parametrize("by", ["", *KEYS])
def test_a_page_near_the_end_is_the_same_read_from_either_end(filled: Ledger, by: str) -> None:
    """With a known number of items a page may be read backwards; without one its first pass counts."""
    for more in ({}, {"verdict": "open"}, {"text": "p/1"}):
        for sort in ("", "resource", "right"):
            wanted = ItemFilter(by=by, sort=sort, **more)
            every = filled.views.items(1, ALL, wanted, limit=200)
            assert every.total == len(every.rows) > 30
            for offset in range(0, every.total + 20, 17):
                found = filled.views.items(1, ALL, wanted, offset=offset, limit=20, total=every.total)
                counted = filled.views.items(1, ALL, wanted, offset=offset, limit=20)
                expected = [row.grant_id for row in every.rows[offset : offset + 20]]
                for page in (found, counted):
                    assert [row.grant_id for row in page.rows] == expected and page.total == every.total
