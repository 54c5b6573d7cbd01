"""The page of one person: accounts, access paths with what becomes of each, what would close them, history."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode
from xml.etree import ElementTree

import pytest

from rescind.workflow.closing.person_access import person_access
from tests.integration.test_close_paths import ALL, GROUPS, on, only_through_a_group, proposal
from tests.integration.test_page import page
from tests.support.markup import Markup
from tests.support.review import Review, ReviewBench

Bench = Callable[..., ReviewBench]


@pytest.fixture
def bench(bench: Bench) -> Bench:
    """A bench whose reviews cover menus, group members and workspace members."""
    where = {name: ["quickbi_default"] for name in ALL}
    return lambda **settings: bench("--preset", "tiny", "--size", "groups=6", **{"connections": where, **settings})


def person_of(setup: ReviewBench, user: str) -> dict[str, Any]:
    people = setup.emulator.get("org")["people"]
    found: dict[str, Any] = next(one for one in people if one["quickbi_user_id"] == user)
    return found


def shown(setup: ReviewBench, ident: str, run: int = 1) -> str:
    answer = page(setup, f"/runs/{run}/person?{urlencode({'id': ident})}")
    assert answer.status_code == 200
    return answer.text


def name_of(review: Review) -> str:
    with review.ledger() as ledger:
        run = ledger.runs.find(review.dag_id, review.run_id)
        assert run is not None
        return str(run.run_id)


def test_a_person_s_page_shows_accounts_paths_the_way_to_close_them_and_history(bench: Bench) -> None:
    setup = bench()
    user, group, menu = only_through_a_group(setup)
    one = person_of(setup, user)
    review = on(setup, user, menu)
    review.through_plan()
    html = shown(setup, one["person_id"])
    text = re.sub(r"\s+", " ", Markup.of(html).text)
    assert one["name"] in text and f"roster: {one['status']}" in text and user in text
    assert Markup.of(html).acting == []
    (removal,) = [row for note in proposal(review) for row in note["removals"]]
    assert removal["what"] in text and "What would close the remaining paths" in text
    assert f"member on user_group {group}" in Markup.of(page(setup, "/runs/1").text).text, "also on the run's page"

    with review.ledger() as ledger:
        known = person_access(ledger, name_of(review), one["person_id"])
    own = [line for part in known.parts for line in part.lines if line.fate == "goes"]
    assert [line.words for line in own] == ["will go"] and "direct grant" in own[0].path
    assert known.stays == sum(len(part.lines) for part in known.parts) - 1
    drawing = ElementTree.fromstring(known.parts[0].drawing)
    kinds = [line.attrib["class"] for line in drawing.iter("{http://www.w3.org/2000/svg}path")]
    assert kinds.count("goes") == 2, "a line and its cross"

    review.approve()
    review.revoke()
    review.verify()
    review.report()
    text = re.sub(r"\s+", " ", Markup.of(shown(setup, one["person_id"])).text)
    assert "record gone: a direct grant" in text and "approved by" in text and "first call sent" in text
    with review.ledger() as ledger:
        after = person_access(ledger, name_of(review), one["person_id"])
    assert after.stays == known.stays, "the path through the group stays"


def test_a_membership_that_ends_closes_what_it_leads_to_and_nothing_else(bench: Bench) -> None:
    setup = bench()
    user, group, menu = only_through_a_group(setup)
    review = on(setup, user, menu, close_paths="own")
    review.through_plan()
    with review.ledger() as ledger:
        known = person_access(ledger, name_of(review), person_of(setup, user)["person_id"])
        snapshot = [one for one in ledger.snapshot.grants(name_of(review)) if one.key.principal_id == group]
    going = {line.path for part in known.parts for line in part.lines if line.fate == "goes"}
    through = [one for one in snapshot if one.key.principal_type == "group"]
    assert len(going) == 1 + len(through), "the direct grant, and all that the group holds"
    assert sum(path.startswith("group ") for path in going) == len(through)
    drawing = ElementTree.fromstring(known.parts[0].drawing)
    kinds = [line.attrib["class"] for line in drawing.iter("{http://www.w3.org/2000/svg}path")]
    assert kinds.count("ends") == len(through) and kinds.count("goes") == 4, "two lines, each with its cross"


def test_an_account_that_the_roster_does_not_know_has_a_page_too(bench: Bench) -> None:
    setup = bench()
    user, _, menu = only_through_a_group(setup)
    review = on(setup, user, menu)
    review.through_plan()
    with review.ledger() as ledger:
        account = ledger.scopes.all(name_of(review))[0].account
    html = shown(setup, f"{GROUPS}/{account}/user/{user}")
    assert "does not know this account" in html and "<svg" in html
    for ident in ("P-nobody", f"{GROUPS}/{account}/user/nobody", "a/b/c/d", "x" * 500):
        assert page(setup, f"/runs/1/person?{urlencode({'id': ident})}").status_code == 404
    assert page(setup, "/runs/1/person").text == page(setup, "/runs/1/people").text
    assert page(setup, "/runs/2/person?id=P1").status_code == 404


def test_rows_that_the_database_selects_are_those_that_are_read(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    setup = bench()
    user, _, menu = only_through_a_group(setup)
    review = on(setup, user, menu)
    review.through_plan()
    ident = person_of(setup, user)["person_id"]
    with review.ledger() as ledger:
        selected = person_access(ledger, name_of(review), ident)
        monkeypatch.setattr("rescind.workflow.closing.surroundings.FEW", 0)
        assert selected.parts and person_access(ledger, name_of(review), ident) == selected
