"""Paths that stay open to what a plan ends: what would close them, and runs that close them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from rescind import cli
from rescind.model import Choice
from rescind.workflow.closing.residual_access import STAYS_REACHABLE
from rescind.workflow.question.approval_text import approval_request
from tests.integration.systems.test_group_members import items, only_through_a_group
from tests.integration.systems.test_workspace_members import (
    ADMINISTRATOR,
    ANALYST,
    DEVELOPER,
    members,
    mutate,
    through_a_workspace,
)
from tests.support.oracle.judge import effective
from tests.support.oracle.ways import Resource
from tests.support.reviews.journal_check import agree
from tests.support.reviews.review import Review, ReviewBench

Bench = Callable[..., ReviewBench]
MENUS, GROUPS, SPACES = "quickbi_menus", "quickbi_group_members", "quickbi_workspace_members"
ALL = (MENUS, GROUPS, SPACES)
POLICY = """
format: 1
policy: one_menu
description: One menu of one person
combine: first_match
rules:
  - id: one_menu
    description: The menu is no longer part of the work of this person.
    when: resource.id == '{menu}' && principal.id == '{user}'
    decide: revoke
    reason: changed_work
    severity: medium
    controls: [ISO 27001 A.5.18]
otherwise: keep
"""


@pytest.fixture
def bench(bench: Bench) -> Bench:
    """A bench whose reviews cover menus, group members and workspace members."""
    given: dict[str, Any] = {
        "connections": {name: ["quickbi_default"] for name in ALL},
        "granting_connections": {name: ["quickbi_granting"] for name in ALL},
    }
    return lambda **settings: bench("--preset", "tiny", "--size", "groups=6", **{**given, **settings})


def on(setup: ReviewBench, user: str, menu: str, **more: Any) -> Review:
    """A run that takes one menu from one person; the memberships are kept, because nobody names them."""
    given = {"principals": [user], "resources": [menu], "reason": "moved to another team", "systems": list(ALL)}
    return setup.run(kind="targets", dry_run=False, **{**given, **more})


def paths(setup: ReviewBench, user: str, menu: str) -> list[str]:
    """Every way in which the person sees the menu, by the independent oracle."""
    world = setup.emulator.get("world")
    portal = next(row["portal_id"] for row in world["quickbi_leaf_menus"] if row["menu_id"] == menu)
    return [str(one) for one in effective(world, MENUS, user, Resource("menu", menu, str(portal)), "view")]


def proposal(review: Review) -> list[dict[str, Any]]:
    with review.ledger() as ledger:
        run = ledger.runs.find(review.dag_id, review.run_id)
        return [n["closing"] for s in ledger.scopes.all(run.run_id) if "closing" in (n := s.notes[STAYS_REACHABLE])]


def text(review: Review) -> str:
    with review.ledger() as ledger:
        run = ledger.runs.find(review.dag_id, review.run_id)
        return approval_request(ledger, run, ledger.plans.get(run.run_id))[1]


def another_menu(setup: ReviewBench, group: str, menu: str) -> str:
    """A further menu that the group sees."""
    truth = setup.emulator.get("truth?extra=1")
    row = next(row for row in truth["quickbi_leaf_menus"] if row["menu_id"] != menu)
    place = {"system": MENUS, "portal_id": row["portal_id"], "menu_id": row["menu_id"]}
    grant = {"op": "grant", **place, "receiver_type": 1, "receiver_id": group, "auth_points": 3}
    setup.emulator.post("mutate", {"ops": [grant]})
    return str(row["menu_id"])


def test_report_names_the_membership_and_what_else_is_lost_and_removes_nothing(bench: Bench) -> None:
    setup = bench()
    user, group, menu = only_through_a_group(setup)
    other = another_menu(setup, group, menu)
    review = on(setup, user, menu)
    review.through_plan()

    (removal,) = [row for note in proposal(review) for row in note["removals"]]
    assert (removal["principal"], removal["what"].split(' "')[0]) == (user, f"member on user_group {group}")
    assert any(other in lost for lost in removal["also_loses"])
    assert removal["price"] == 1 + removal["also_loses_count"]
    assert not any(menu in lost for lost in removal["also_loses"])
    body = text(review).replace("\\", "")
    assert "Not part of this plan" in body and group in body and other in body
    review.approve()
    review.revoke()
    review.verify()
    summary = review.report()
    assert {row["system"] for row in items(summary)} == {MENUS}
    (row,) = items(summary)
    assert row["verdict"] == "still_effective"
    assert {entry["action"] for entry in setup.emulator.writes()} == {"CancelAuthorizationMenu"}
    assert paths(setup, user, menu)


def test_own_ends_the_membership_and_nothing_is_left(bench: Bench) -> None:
    setup = bench()
    user, group, menu = only_through_a_group(setup)
    before = setup.emulator.get("truth?extra=1")
    assert paths(setup, user, menu)
    review = on(setup, user, menu, close_paths="own")
    review.through_plan()
    with review.ledger() as ledger:
        run = ledger.runs.find(review.dag_id, review.run_id)
        closing = [d for _, d in ledger.decisions.each(run.run_id, choice=Choice.REVOKE) if d.rule == "closes_path"]
        effects = b"".join(ledger.plans.effects(run.run_id, ledger.plans.get(run.run_id).digest)).decode()
    assert len(closing) == 1 and f"group {group}" in closing[0].reason
    assert f'["{GROUPS}"' in effects and f'"user_group","{group}","user","{user}"' in effects
    assert "The plan also ends these (fewest removals" in text(review)
    review.approve()
    review.revoke()
    review.verify()
    summary = review.report()
    agree(review, summary)
    assert {(row["system"], row["verdict"]) for row in items(summary)} == {
        (MENUS, "verified_gone"),
        (GROUPS, "verified_gone"),
    }
    page = Path(summary["report"]).read_text(encoding="utf-8")
    assert "Other paths to the same access" in page and f"member on user_group {group}" in page
    assert paths(setup, user, menu) == []
    after = setup.emulator.get("truth?extra=1")["quickbi_group_members"]
    gone = [(r["group_id"], r["user_id"]) for r in before["quickbi_group_members"] if r not in after]
    assert gone == [(group, user)]


def test_explain_prints_and_draws_the_paths_of_a_person(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    setup = bench()
    user, group, menu = only_through_a_group(setup)
    review = on(setup, user, menu)
    review.through_plan()
    with review.ledger() as ledger:
        name = ledger.runs.find(review.dag_id, review.run_id).run_id
        groups = ledger.snapshot.container_names(name, MENUS, ledger.scopes.all(name)[0].account)
    monkeypatch.setenv("RESCIND_LEDGER_DSN", setup.ledger_dsn)
    drawing = tmp_path / "paths.svg"
    assert cli.main(["explain", name, "--principal", user, "--svg", str(drawing)]) == 0
    lines = capsys.readouterr().out.splitlines()
    own = [line for line in lines if menu in line and "on menu" in line and line.startswith("  [")]
    assert [line.partition(":")[0].strip() for line in own] == [
        f'[stays] group {group} "{groups["group", group]}"',
        "[will go] direct grant",
    ]
    (close,) = [line for line in lines if line.startswith("  Remove ")]
    assert f"member on user_group {group}" in close and "not in the plan" in close
    svg = ElementTree.parse(drawing)
    texts = ["".join(one.itertext()) for one in svg.iter("{http://www.w3.org/2000/svg}text")]
    assert f"group: {groups['group', group]}" in texts and texts.count("is in: stays") >= 1
    assert any(one.endswith(": will go") for one in texts) and any(one.endswith(": stays") for one in texts)
    lines_drawn = list(svg.iter("{http://www.w3.org/2000/svg}path"))
    assert all(("stroke-dasharray" in one.attrib) == (one.attrib["class"] in ("stays", "ends")) for one in lines_drawn)


def test_a_second_planning_starts_from_the_first_decisions(bench: Bench) -> None:
    setup = bench()
    user, _, menu = only_through_a_group(setup)
    review = on(setup, user, menu, close_paths="own")
    review.through_plan()
    review.freeze()
    with review.ledger() as ledger:
        run = ledger.runs.find(review.dag_id, review.run_id)
        closing = [d for _, d in ledger.decisions.each(run.run_id, choice=Choice.REVOKE) if d.rule == "closes_path"]
        assert len(closing) == 1 and closing[0].facts["decided_first"]["rule"] == "kept.not_requested"
        assert ledger.plans.get(run.run_id).items == 2


@pytest.mark.parametrize("why", ["protected", "has an exception"])
def test_a_protected_or_excepted_membership_stays_and_is_named(bench: Bench, why: str) -> None:
    setup = bench()
    user, group, menu = only_through_a_group(setup)
    if why == "protected":
        file = Path(setup.settings["protections"])
        resource = {"system": GROUPS, "type": "user_group", "id": group, "reason": "on call"}
        file.write_text(file.read_text().replace("resources: []", f"resources: [{json.dumps(resource)}]"))
    else:
        file = setup.folder / "exceptions.yaml"
        end = f"{datetime.now(UTC) + timedelta(days=9):%Y-%m-%d}"
        entry = {
            "id": "e1",
            "owner": "o",
            "reason": "on call",
            "end": end,
            "match": {"principal_id": user, "resource_id": group},
        }
        file.write_text(json.dumps({"format": 1, "exceptions": [entry]}))
        setup.configure(exceptions=str(file))
    review = on(setup, user, menu, close_paths="own")
    review.through_plan()
    assert [row for note in proposal(review) for row in note["removals"]] == []
    (left,) = [row for note in proposal(review) for row in note["open"]]
    assert left["principal"] == user and why in left["who"] and group in left["path"]
    assert "Stays reachable" in text(review)
    review.approve()
    review.revoke()
    assert {entry["action"] for entry in setup.emulator.writes()} == {"CancelAuthorizationMenu"}


@pytest.mark.parametrize(("why", "closing"), [("protected", "own"), ("excepted", "own"), ("excepted", "report")])
def test_a_membership_stays_where_the_person_would_lose_what_may_not_be_taken(
    bench: Bench, why: str, closing: str
) -> None:
    """The group shows a second menu too, and that one is protected, or the person has an exception for it.

    Such a membership is not proposed either.
    """
    setup = bench()
    user, group, menu = only_through_a_group(setup)
    other = another_menu(setup, group, menu)
    if why == "protected":
        file = Path(setup.settings["protections"])
        resource = {"system": MENUS, "type": "menu", "id": other, "reason": "on call"}
        file.write_text(file.read_text().replace("resources: []", f"resources: [{json.dumps(resource)}]"))
    else:
        file = setup.folder / "exceptions.yaml"
        end = f"{datetime.now(UTC) + timedelta(days=9):%Y-%m-%d}"
        match = {"principal_id": user, "resource_id": other}
        entry = {"id": "e1", "owner": "o", "reason": "on call", "end": end, "match": match}
        file.write_text(json.dumps({"format": 1, "exceptions": [entry]}))
        setup.configure(exceptions=str(file))
    review = on(setup, user, menu, close_paths=closing)
    review.through_plan()
    assert [row for note in proposal(review) for row in note["removals"]] == []
    (left,) = [row for note in proposal(review) for row in note["open"]]
    assert left["principal"] == user and other in left["who"] and "would be lost with it: on call" in left["who"]


def test_a_system_that_is_off_is_named_as_who_could_close_it(bench: Bench) -> None:
    setup = bench()
    user, _, menu = only_through_a_group(setup)
    review = on(setup, user, menu, close_paths="own", systems=[MENUS])
    review.through_plan()
    (left,) = [row for note in proposal(review) for row in note["open"]]
    assert f"enable the system {GROUPS}" in left["who"]
    with review.ledger() as ledger:
        run = ledger.runs.find(review.dag_id, review.run_id)
        assert ledger.plans.get(run.run_id).items == 1


def test_a_review_by_policy_ends_a_membership_that_the_policy_keeps(bench: Bench) -> None:
    setup = bench(max_percent=100)
    user, group, menu = only_through_a_group(setup)
    policy = setup.folder / "policy.yaml"
    policy.write_text(POLICY.format(menu=menu, user=user), encoding="utf-8")
    setup.configure(policy=str(policy))
    kept = setup.run(systems=list(ALL), dry_run=False)
    kept.through_plan()
    (removal,) = [row for note in proposal(kept) for row in note["removals"]]
    assert removal["what"].startswith(f"member on user_group {group}") and not proposal(kept)[0]["planned"]

    review = setup.run("manual__2", systems=list(ALL), dry_run=False, close_paths="own")
    summary = review.whole()
    assert {(row["system"], row["verdict"]) for row in items(summary)} == {
        (MENUS, "verified_gone"),
        (GROUPS, "verified_gone"),
    }
    assert paths(setup, user, menu) == [] and review.gate() == "succeeded"


def test_a_leaver_by_policy_ends_at_zero(bench: Bench) -> None:
    setup = bench(max_percent=100)
    _, group, menu = only_through_a_group(setup)
    left = next(p["quickbi_user_id"] for p in setup.emulator.get("org")["people"] if p["status"] == "left")
    portal = next(r["portal_id"] for r in setup.emulator.get("world")["quickbi_leaf_menus"] if r["menu_id"] == menu)
    place = {"system": MENUS, "portal_id": portal, "menu_id": menu}
    setup.emulator.post(
        "mutate",
        {
            "ops": [
                {"op": "grant", **place, "receiver_type": 0, "receiver_id": left, "auth_points": 1},
                {"op": "group_member", "group_id": group, "user_id": left},
                {"op": "quickbi_roles", "user_id": left, "role_ids": [111111113]},
            ]
        },
    )
    assert paths(setup, left, menu)
    summary = setup.run(systems=list(ALL), dry_run=False, close_paths="own").whole()
    row = next(one for one in items(summary) if one["principal_id"] == left and one["resource_id"] == menu)
    assert row["verdict"] == "verified_gone" and paths(setup, left, menu) == []


def test_a_role_in_a_workspace_is_closed_and_all_that_it_shows_is_named(bench: Bench) -> None:
    setup = bench()
    user, space, portal, menu = through_a_workspace(setup, DEVELOPER)
    review = on(setup, user, menu, close_paths="own")
    summary = review.whole()
    agree(review, summary)
    (removal,) = [row for note in proposal(review) for row in note["removals"]]
    assert removal["what"].startswith(f"developer on workspace {space}")
    assert any(f"workspace developer on portal {portal}" in lost for lost in removal["also_loses"])
    assert {(row["system"], row["verdict"]) for row in items(summary)} == {
        (MENUS, "verified_gone"),
        (SPACES, "verified_gone"),
    }
    assert paths(setup, user, menu) == []


def test_the_last_administrator_stays_and_nothing_is_removed_in_vain(bench: Bench) -> None:
    """A closing that a guard would hold is not proposed, nor is any other removal for the same access."""
    setup = bench()
    user, space, _, menu = through_a_workspace(setup, ADMINISTRATOR)
    others = [one for home, one, role in members(setup) if home == space and role == ADMINISTRATOR and one != user]
    mutate(
        setup,
        *({"op": "workspace_role", "workspace_id": space, "user_id": one, "role_id": ANALYST} for one in others),
    )
    review = on(setup, user, menu, close_paths="own")
    review.through_plan()
    assert [row for note in proposal(review) for row in note["removals"]] == []
    (left,) = [row for note in proposal(review) for row in note["open"]]
    assert "without a holder of administrator" in left["who"]
    with review.ledger() as ledger:
        run = ledger.runs.find(review.dag_id, review.run_id)
        assert ledger.plans.get(run.run_id).items == 1


def test_a_cap_counts_the_memberships_too(bench: Bench) -> None:
    setup = bench()
    user, _, menu = only_through_a_group(setup)
    review = on(setup, user, menu, close_paths="own", max_revocations=1)
    review.preflight()
    review.discover()
    with pytest.raises(Exception, match=r"cap_total .* 1 grants"):
        review.plan()
    assert not setup.emulator.writes()
