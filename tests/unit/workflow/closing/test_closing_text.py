"""What an approver reads about other paths: the right person, everybody who loses something, and true numbers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from rescind.evidence.report.figures import Figures
from rescind.ledger import Ledger, Run
from rescind.model import Cell, Grant, GrantKey
from rescind.plan.access_graph import Closing, Removal, Walk, Way
from rescind.systems import system_named
from rescind.workflow.closing.part import ClosingPart
from rescind.workflow.closing.proposal import NAMED, closing_notes
from rescind.workflow.closing.residual_access import STAYS_REACHABLE
from rescind.workflow.question import approval_text
from rescind.workflow.question.approval_text import _closing
from rescind.workflow.question.people_text import outlook
from rescind.workflow.question.plan_people import PersonLoss, PlanPeople

MENUS, GROUPS = "quickbi_menus", "quickbi_group_members"
PRODUCT = system_named(MENUS).hook
RUN: Any = SimpleNamespace(run_id="manual__1")


def membership(number: int, account: str) -> Grant:
    key = GrantKey(GROUPS, account, "user_group", f"g{number}", "user", "u1", "member")
    return Grant(key, Cell("", f"g{number}", "user", ("u1",)), principal_name="")


def part(account: str, own: int, *, shared: bool = False, left: int = 0) -> ClosingPart:
    """A proposal with memberships of user u1, the grant of a group with which zoe loses a menu, and open paths."""
    records = {f"m{number:03d}": (membership(number, account),) for number in range(own)}
    removals = [Removal(ident, 1, frozenset()) for ident in records]
    holders = dict.fromkeys(records, "u1")
    if shared:
        key = GrantKey(MENUS, account, "menu", "m1", "group", "g1", "view")
        records["zz"] = (Grant(key, Cell("p", "m1", "group", ("g1",))),)
        removals.append(Removal("zz", 2, frozenset({("zoe", "view on menu m1")})))
    way = Way(("everyone", "all"), "view on menu m1")
    end = Grant(GrantKey(MENUS, account, "menu", "m1", "everyone", "all", "view"), Cell("p", "m1", "everyone", ()))
    demands = {
        f"d{number}": Grant(
            GrantKey(MENUS, account, "menu", f"n{number}", "user", f"v{number}", "view"), Cell("p", "n", "user", ())
        )
        for number in range(left)
    }
    walks = {ident: Walk(ident, (("user", "v"), way.holder), "", way) for ident in demands}
    closing = Closing(tuple(removals), frozenset(), (), walks)
    return ClosingPart(
        PRODUCT, account, closing, demands, records, holders, {way: end}, {}, {"zoe": "Zoe"}, dict.fromkeys(walks, "x")
    )


def text(parts: Sequence[ClosingPart], names: dict[tuple[str, str, str], str] | None = None) -> str:
    scopes = [
        SimpleNamespace(system=system, account=account, notes={STAYS_REACHABLE: {"closing": note}})
        for (system, account), note in closing_notes(parts, frozenset()).items()
    ]
    ledger: Ledger = SimpleNamespace(scopes=SimpleNamespace(all=lambda _: scopes))  # type: ignore[assignment]
    run: Run = RUN
    return "\n".join(_closing(ledger, run, names or {})).replace("\\", "")


def test_a_name_of_another_account_is_not_taken_for_the_person() -> None:
    """Two accounts give the same id to two people."""
    names = {(PRODUCT, "one", "u1"): "Ada", (PRODUCT, "two", "u1"): "Bob"}
    assert "- Ada: member on user_group g0" in text([part("one", 1)], names)
    assert "- Bob: member on user_group g0" in text([part("two", 1)], names)
    assert "- u1: member on user_group g0" in text([part("three", 1)], names)


def test_everybody_who_loses_something_is_named_however_long_the_list_is() -> None:
    body = text([part("one", NAMED + 50, shared=True)])
    assert "Zoe (zoe): view on menu m1" in body
    assert f"- and {NAMED + 50 - 12} more" in body


def test_open_paths_are_counted_beyond_those_that_are_stored() -> None:
    body = text([part("one", 0, left=NAMED + 50)])
    assert f"this run cannot end it** ({NAMED + 50} grants)" in body and f"- and {NAMED + 50 - 12} more" in body


def test_a_scope_of_an_earlier_try_does_not_hide_what_stays_reachable() -> None:
    """The note is with the first scope of an account; another scope of the account has none."""
    note = {"grants": 3, "ways": [{"way": "group g1", "close": "leave it", "grants": 3}]}
    scopes = [
        SimpleNamespace(system=MENUS, account="one", state="complete", notes={STAYS_REACHABLE: note}),
        SimpleNamespace(system=MENUS, account="one", state="incomplete", notes={}),
    ]
    ledger: Ledger = SimpleNamespace(scopes=SimpleNamespace(all=lambda _: scopes))  # type: ignore[assignment]
    found = outlook(ledger, RUN)
    assert (found.grants, len(found.ways), found.unknown) == (3, 1, (system_named(MENUS).title,))


def test_the_question_counts_the_people_who_lose_something(monkeypatch: pytest.MonkeyPatch) -> None:
    """One person loses a grant; from the other everything is held back."""
    facts = ("", "user", True, "", "active", "", "roster")
    people = [PersonLoss(("P1",), *facts, going=1), PersonLoss(("P2",), *facts, held=1)]
    made = PlanPeople(people, going=1, held_total=1)
    monkeypatch.setattr(approval_text, "plan_people", lambda *_: made)
    nothing = SimpleNamespace(all=lambda _: [], per_system=lambda _: [])
    ledger: Any = SimpleNamespace(scopes=nothing, summary=nothing, narrowings=SimpleNamespace(earlier=lambda _: []))
    run: Any = SimpleNamespace(
        run_id="r", requester="rita", ticket="", reason="left", number=1, params={}, follows=None
    )
    plan: Any = SimpleNamespace(
        guards=[], calls=1, valid_until=datetime(2026, 1, 1, tzinfo=UTC), digest="d" * 64, operation="revoke"
    )
    subject, body = approval_text.approval_request(ledger, run, plan)
    assert "1 grant of 1 person or group" in subject and "1 grant** of 1 person or group" in body
    assert "1 held back" in body


def test_the_report_shows_every_grant_of_a_group_first_and_counts_what_is_not_stored() -> None:
    (((system, _), note), *_) = closing_notes([part("one", NAMED + 50)], frozenset()).items()
    ((_, shared),) = ((k, v) for k, v in closing_notes([part("one", 0, shared=True)], frozenset()).items())
    scopes = [{"system": system, "notes": {STAYS_REACHABLE: {"closing": one}}} for one in (note, shared)]
    figures: Any = SimpleNamespace(scopes=scopes)
    figures.closing = Figures.closing.fget(figures)  # type: ignore[attr-defined]
    assert figures.closing[0]["also_loses"] == ["Zoe (zoe): view on menu m1"]
    assert Figures.closing_shown.fget(figures) == 25  # type: ignore[attr-defined]
    assert Figures.closing_total.fget(figures) == NAMED + 51  # type: ignore[attr-defined]
