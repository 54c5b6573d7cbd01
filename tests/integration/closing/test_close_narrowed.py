"""A plan that closes paths and from which people were left out: the second question says what closes paths, and how."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rescind.workflow.narrowing.narrow import narrow_plan
from tests.integration.approval.test_leave_out import choices_of
from tests.integration.closing.test_close_own_records import (
    MENUS,
    SHARES,
    asked,
    bench_of,
    closing,
    mutate,
    shared_portal,
)
from tests.support.reviews.approval import KEYS
from tests.support.reviews.review import ReviewBench

pytestmark = pytest.mark.sockets

Bench = Callable[..., ReviewBench]


def test_the_second_question_names_what_goes_to_close_paths(bench: Bench) -> None:
    setup = bench_of(bench, MENUS, SHARES)
    user, portal, menu = shared_portal(setup)
    world = setup.emulator.get("world")
    other = next(
        p["quickbi_user_id"]
        for p in world["people"]
        if p["quickbi_user_id"] not in (None, "", user) and p.get("status", "active") == "active"
    )
    own = {"op": "grant", "system": MENUS, "portal_id": portal, "menu_id": menu}
    mutate(setup, {**own, "receiver_type": 0, "receiver_id": other, "auth_points": 1})
    review = asked(setup, user, menu, close_paths="own", principals=[user, other])
    review.through_plan()
    choices = choices_of(review)
    (removal,) = closing(review)
    mine = next(p["person_id"] for p in world["people"] if p["quickbi_user_id"] == user)
    value = next(v for v, label in choices.items() if mine not in label)
    review.approve(leave_out=[value], comment="why")
    with review.ledger() as ledger:  # a first try of the task ends right after it has made the plan
        ledger.approvals.keys = KEYS
        run = ledger.runs.find(review.dag_id, review.run_id)
        narrow_plan(ledger, run, review.second().settings_of(ledger, run), ledger.narrowings.find(run.run_id))
    body = review.ask_again().body
    assert closing(review) == [removal]
    assert "The plan also ends these" in body and portal in body
