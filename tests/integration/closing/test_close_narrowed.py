"""A plan that closes paths and from which people were left out: the second question says what closes paths, and how."""

from __future__ import annotations

from collections.abc import Callable

from tests.integration.approval.test_leave_out import choices_of
from tests.integration.closing.test_close_own_records import MENUS, SHARES, asked, bench_of, closing, shared_portal
from tests.support.reviews.review import ReviewBench

Bench = Callable[..., ReviewBench]


def test_the_second_question_names_what_goes_to_close_paths(bench: Bench) -> None:
    setup = bench_of(bench, MENUS, SHARES)
    user, portal, menu = shared_portal(setup)
    rows = setup.emulator.get("world")[MENUS]
    print(rows[:3])
    other = next(r["receiver_id"] for r in rows if r["menu_id"] == menu and r["receiver_type"] == 0 and r["receiver_id"] != user)
    review = asked(setup, user, menu, close_paths="own", principals=[user, other])
    review.through_plan()
    choices = choices_of(review)
    print(choices)
    (removal,) = closing(review)
    value = next(v for v, label in choices.items() if user not in label and "everything" in label)
    review.approve(leave_out=[value], comment="why")
    body = review.ask_again().body
    print(body)
    assert closing(review) == [removal]
    assert "The plan also ends these" in body and portal in body
