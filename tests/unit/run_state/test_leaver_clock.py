"""How long people kept their access, in words that are true while something is open."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rescind.run_state.leaver_clock import Moments, clock_line, leaver_clock, moments, span
from rescind.run_state.states import Counts

EVENT = datetime(2026, 3, 2, 9, tzinfo=UTC)
END = datetime(2026, 3, 1, 16, tzinfo=UTC)
ALL = Moments(
    EVENT, "event", (END,), 1, *(EVENT + timedelta(seconds=s) for s in (20, 200, 245))
)  # asked, approved, verified
GONE = Counts(items=3, proven=3)


def words(known: Moments = ALL, counts: Counts = GONE, **more: Any) -> list[str]:
    facts: dict[str, Any] = {"dry_run": False, "answer": "approve", "planned": True, "listed": True} | more
    return [step.words for step in leaver_clock(known, counts, **facts)]


def test_every_step_from_the_event_and_from_the_end_of_employment() -> None:
    steps = leaver_clock(ALL, GONE, dry_run=False, answer="approve", planned=True, listed=True)
    assert [step.at for step in steps] == [ALL.asked, ALL.approved, ALL.verified]
    assert clock_line((step.name, step.words) for step in steps) == (
        "Clock: asked 20 s after the event, 17 h 20 s after the end of employment; "
        "approved 3 min 20 s after the event, 17 h 3 min after the end of employment; "
        "verified gone 4 min 5 s after the event, 17 h 4 min after the end of employment"
    )


@pytest.mark.parametrize(
    ("counts", "why"),
    [
        (Counts(items=3, proven=2), "not yet: 1 of 3 grants are not proven gone"),
        (Counts(items=3, proven=2, unproven=1), "not yet: 1 of 3 grants are not proven gone"),
        (Counts(items=3, proven=2, held=1), "not yet: 1 of 3 grants are not proven gone"),
        (Counts(items=3, proven=2, effective=1), "not yet: 1 of 3 grants are not proven gone"),
        (Counts(items=3, proven=3, kept=2), "not yet: no call of the run can remove 2 more"),
        (Counts(kept=2), "not yet: no call of the run can remove 2 more"),
    ],
)
def test_it_is_never_verified_while_something_is_open(counts: Counts, why: str) -> None:
    steps = leaver_clock(ALL, counts, dry_run=False, answer="approve", planned=True, listed=True)
    assert (steps[2].at, steps[2].words) == (None, why)


def test_an_event_of_which_something_was_left_out_is_open() -> None:
    events = [{"at": "2026-06-01T06:00:00Z", "people": 1, "aside": ["name 2: nobody has it"]}]
    known = moments(EVENT, {"events": events}, asked=EVENT, approved=EVENT, verified=EVENT)
    assert words(known)[2] == "not yet: 1 event was not used or only in part"


@pytest.mark.parametrize(
    ("left", "why"),
    [
        ({"aside": 1}, "not yet: 1 event was not used or only in part"),
        ({"open": 2}, "not yet: 2 of the run before are not proven gone"),
        ({}, "4 min 5 s after the event"),
    ],
)
def test_the_run_over_everybody_answers_for_what_the_first_one_left_open(left: dict[str, int], why: str) -> None:
    first = {"run": 2, "begun": EVENT.isoformat(), "by": "event", **left}
    known = moments(EVENT, {"follows": first}, verified=ALL.verified)
    assert words(known, Counts(), answer=None)[2] == why


def test_what_is_open_says_so() -> None:
    nothing = Moments(EVENT)
    assert words(nothing, Counts(), answer=None, planned=False, listed=False) == ["not yet"] * 3
    assert words(nothing, Counts(), answer=None, listed=True) == ["not needed: no grant was found to revoke"] * 3
    assert words(nothing, Counts(items=3), answer=None)[0:2] == ["not yet", "not yet"]
    assert words(listed=False)[2] == "not yet: a listing is not complete"
    assert words(nothing, Counts(), answer=None, listed=False)[0] == "not yet"
    assert words(nothing, Counts(items=3), answer="reject")[1:] == ["no: the plan was rejected"] * 2
    assert words(nothing, Counts(items=3), answer=None, dry_run=True) == [
        "no: a dry run asks nobody",
        "no: a dry run asks nobody",
        "no: a dry run",
    ]


def test_without_events_the_clock_starts_with_the_run() -> None:
    known = moments(EVENT, {}, asked=EVENT + timedelta(seconds=5))
    assert (known.begun, known.by, known.ends) == (EVENT, "request", ())
    assert words(known, Counts(items=1), answer=None)[0] == "5 s after the request"


def test_the_first_event_that_is_used_starts_the_clock() -> None:
    events = [
        {"at": "2026-03-02T08:00:00.000000Z", "people": 0},
        {"at": "2026-03-02T09:00:05.000000Z", "people": 2},
        {"at": "2026-03-02T09:00:00.000000Z", "people": 1},
    ]
    ends = {"people": 3, "ends": ["2026-03-05T00:00:00.000000Z", "2026-03-02T10:00:00.000000Z"]}
    known = moments(EVENT + timedelta(hours=1), {"events": events, "employment": ends}, asked=EVENT)
    assert (known.begun, known.by, known.people) == (EVENT, "event", 3)
    (asked, *_) = words(known, Counts(items=1), answer=None)
    assert asked == "0 s after the event, 1 h before the end of employment (the first of 3 people)"


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0 s"), (61, "1 min 1 s"), (90_061, "1 d 1 h"), (-5, "0 s")])
def test_durations(seconds: float, text: str) -> None:
    assert span(seconds) == text
