"""Calls that contain cells without a grant, judged by the emulator's ground truth."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from rescind.model import Cell, Mode
from rescind.plan.approved import Approved, read_approved
from rescind.workflow.question.approval_text import approval_request
from tests.support.reviews.narrower import narrower_plans
from tests.support.reviews.review import Review, ReviewBench

pytestmark = pytest.mark.sockets

Bench = Callable[..., ReviewBench]
Pair = tuple[ReviewBench, dict[str, Any], list[Cell], Cell]
SYSTEM = "quickbi_menus"
RECEIVERS = {"user": 0, "group": 1}


def _approved(review: Review) -> Approved:
    with review.ledger() as ledger:
        run = ledger.runs.find("access_review", review.run_id)
        plan = ledger.plans.get(run.run_id)
        account = next(batch.account for batch in ledger.plans.batches(run.run_id))
        return read_approved(ledger.plans.effects(run.run_id, plan.digest), SYSTEM, account, ())


def _asked(review: Review) -> str:
    """What the approver reads."""
    with review.ledger() as ledger:
        run = ledger.runs.find("access_review", review.run_id)
        return approval_request(ledger, run, ledger.plans.get(run.run_id))[1]


def _listing_scopes(review: Review) -> tuple[set[Cell], set[Cell]]:
    """(cells with a grant that goes, other cells inside calls)."""
    with review.ledger() as ledger:
        run = ledger.runs.find("access_review", review.run_id)
        calls = list(ledger.plans.calls(run.run_id))
        going = {g.cell for call in calls for _, g in ledger.plans.item_grants(run.run_id, call.call_id)}
        return going, {cell for call in calls for cell in call.planned.cells()} - going


def _change(bench: ReviewBench, *cells: Cell, operation: str = "grant") -> None:
    """Somebody else gives or takes access."""
    operations = [
        {
            "op": operation,
            "system": SYSTEM,
            "portal_id": cell.container,
            "menu_id": cell.row,
            "receiver_type": RECEIVERS[cell.kind],
            "receiver_id": cell.column[0],
            "auth_points": 1,
        }
        for cell in cells
    ]
    bench.emulator.post("mutate", {"actor": "somebody", "ops": operations})


def _held(bench: ReviewBench) -> set[Cell]:
    """Every cell of a user or group that holds a grant now."""
    kinds = {number: kind for kind, number in RECEIVERS.items()}
    return {
        Cell(row["portal_id"], row["menu_id"], kinds[row["receiver_type"]], (row["receiver_id"],))
        for row in bench.emulator.get("truth")[SYSTEM]
        if row["receiver_type"] in kinds
    }


def _planned(setup: ReviewBench, **params: Any) -> Review:
    review = setup.run(dry_run=False, systems=[SYSTEM], **params)
    review.through_plan()
    review.approve()
    return review


def test_leavers_go_with_the_places_that_they_did_not_hold(bench: Bench) -> None:
    setup = bench()
    before = _held(setup)
    review = _planned(setup)
    going, absent = _listing_scopes(review)
    approved = _approved(review)
    assert approved.mode is Mode.EMPTYING and absent
    assert {(cell.container, cell.kind, cell.column) for cell in absent} == approved.emptied
    beside = _asked(review).partition("**In addition to these grants**")[2]
    assert "lose every grant there" in beside and min(absent).container[:8] in beside
    assert min(absent).column[0] not in beside, "by name, not by an id of 32 digits"
    late = min(absent)
    _change(setup, late)
    review.revoke()
    assert _held(setup) == before - going, "what a leaver was given meanwhile is gone as well, and nothing else"


def test_a_column_in_which_something_stays_is_not_emptied(bench: Bench) -> None:
    setup = bench()
    probe = setup.run("probe", systems=[SYSTEM])
    probe.through_plan()
    going, _ = _listing_scopes(probe)
    one = min(going)
    exceptions = setup.folder / "exceptions.yaml"
    match = f"{{system: {SYSTEM}, principal_id: {one.column[0]}, resource_id: {one.row}}}"
    entry = f"  - {{id: one, owner: rita, reason: handover, end: 2099-01-01T00:00:00Z, match: {match}}}\n"
    exceptions.write_text("format: 1\nexceptions:\n" + entry)
    setup.configure(exceptions=str(exceptions))
    before = _held(setup)
    review = _planned(setup)
    going, absent = _listing_scopes(review)
    assert one not in going and {cell for cell in absent if cell.column == one.column} == set()
    assert not [column for column in _approved(review).emptied if column[2] == one.column]
    review.revoke()
    assert _held(setup) == before - going and one in _held(setup)


@pytest.fixture
def pair(bench: Bench) -> Pair:
    """Two people and two menus: all of it is to go, one of the four places holds nothing."""
    setup = bench(allow_sparse=True)
    people = [
        person
        for person in setup.emulator.get("org")["people"]
        if person["status"] == "active" and not person["protected"] and person["kind"] == "human"
    ]
    people = [person for person in people if person["quickbi_user_id"]][:2]
    one, two = (("user", (person["quickbi_user_id"],)) for person in people)
    first, *others = sorted(_held(setup))
    portal, row = first.container, first.row
    other = next(cell.row for cell in others if cell.container == portal and cell.row != row)
    going = [Cell(portal, row, *one), Cell(portal, other, *one), Cell(portal, row, *two)]
    empty = Cell(portal, other, *two)
    _change(setup, *going, empty, operation="revoke")
    _change(setup, *going)
    params = {
        "kind": "targets",
        "principals": [person["person_id"] for person in people],
        "resources": [row, other],
        "reason": "these menus only",
    }
    return setup, params, going, empty


def test_sparse_calls_are_shorter_and_only_on_request(pair: Pair) -> None:
    setup, params, going, empty = pair
    before = _held(setup)
    probe = setup.run("probe", systems=[SYSTEM], **params)
    probe.through_plan()
    assert _approved(probe).mode is Mode.STRICT and "In addition to these grants" not in _asked(probe)
    review = _planned(setup, sparse=True, **params)
    assert _approved(review).mode is Mode.SPARSE and _listing_scopes(review) == (set(going), {empty})
    review.revoke()
    assert len(setup.emulator.writes("CancelAuthorizationMenu")) == 1
    assert _held(setup) == before - set(going)


def test_what_is_left_out_of_a_sparse_plan_is_in_none_of_its_calls(pair: Pair) -> None:
    setup, params, *_ = pair
    assert narrower_plans(_planned(setup, sparse=True, **params), (1, 1, 1, 2)) == {"sparse"}


def test_who_was_given_access_after_the_plan_keeps_it(
    pair: Pair,
) -> None:
    setup, params, going, empty = pair
    before = _held(setup)
    review = _planned(setup, sparse=True, **params)
    _change(setup, empty)
    review.revoke()
    assert _held(setup) == (before - set(going)) | {empty}
    assert len(setup.emulator.writes("CancelAuthorizationMenu")) == 2


def test_sparse_calls_need_the_deployment_to_allow_them(bench: Bench) -> None:
    setup = bench()
    with pytest.raises(Exception, match=r"sparse.*allow_sparse"):
        setup.run(systems=[SYSTEM], sparse=True).preflight()
