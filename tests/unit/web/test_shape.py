from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest

from rescind.ledger.read_models.item_rows import ItemCount
from rescind.ledger.read_models.run_rows import ProgressLine, RunFacts, RunLine, SystemLine
from rescind.web import shape

START = datetime(2026, 6, 1, 6, 0, tzinfo=UTC)
RUN = RunLine(
    1, "run-1", "access_review", "manual__1", "manual", "rita", "", "", False, "created", START, None,
    "revoke", None, None, 0, None, None, None, None, 0, 0, 0,
)  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "stage"),
    [
        ({}, "starting"),
        ({"scopes": 4, "scopes_pending": 1}, "discovering"),
        ({"scopes": 4}, "deciding"),
        ({"scopes": 4, "owners_open": 2}, "waiting for owners"),
        ({"scopes": 4, "items": 3, "calls": 2}, "waiting for approval"),
        ({"scopes": 4, "items": 3, "calls": 0}, "closing"),
        ({"scopes": 4, "items": 3, "calls": 2, "dry_run": True}, "closing"),
        ({"scopes": 4, "items": 3, "calls": 2, "answer": "reject"}, "rejected"),
        ({"scopes": 4, "items": 3, "calls": 2, "answer": "approve", "calls_open": 1}, "revoking"),
        ({"scopes": 4, "items": 3, "answer": "approve", "calls_open": 1, "operation": "restore"}, "restoring"),
        ({"scopes": 4, "items": 3, "calls": 2, "answer": "approve", "calls_open": 1, "blocked_by": 7}, "blocked"),
        ({"scopes": 4, "items": 3, "calls": 2, "answer": "approve"}, "verifying"),
        ({"scopes": 4, "finished_at": START + timedelta(hours=1), "state": "failed"}, "failed"),
    ],
)
def test_the_stage_of_a_run(changes: dict[str, object], stage: str) -> None:
    assert shape.stage_of(dataclasses.replace(RUN, **changes)) == stage  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "hours", "words"),
    [
        ({}, 23, ""),
        ({}, 26, "has waited 1 d 2 h for approval, plan valid until 2026-06-03 06:00 UTC"),
        ({}, 48, "the approval window expired at 2026-06-03 06:00 UTC. Start a new run"),
        ({"answer": "approve"}, 26, ""),
        (
            {"answer": "approve", "blocked_by": 7, "blocked_since": START},
            1,
            "blocked by run 7, which was approved and sends there since 2026-06-01 06:00 UTC",
        ),
        ({"dry_run": True}, 26, ""),
        ({"finished_at": START}, 26, ""),
        ({"asked_at": None}, 26, ""),
        ({"items": None, "calls": None}, 26, ""),
        ({"items": None, "owners_open": 1}, 23, ""),
        ({"items": None, "owners_open": 1}, 26, "has waited 1 d 2 h for 1 owner"),
        ({"items": None, "owners_open": 3}, 72, "has waited 3 d 0 h for 3 owners"),
    ],
)
def test_who_waits_for_too_long_is_said(changes: dict[str, object], hours: int, words: str) -> None:
    until = START + timedelta(days=2)
    waits = {"scopes": 4, "items": 3, "calls": 2, "asked_at": START, "valid_until": until, "owners_asked_at": START}
    run = dataclasses.replace(RUN, **{**waits, **changes})  # type: ignore[arg-type]
    assert shape.overdue(run, START + timedelta(hours=hours)) == words


def test_the_funnel_narrows_from_found_to_verified() -> None:
    one = SystemLine("dms_permissions", "a", True, 90, 20, 5, 10, 1, 2, 0, 2, 9, 0, 1, 0, 0)
    two = SystemLine("quickbi_menus", "a", True, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
    steps = {step.name: step for step in shape.funnel([one, two])}
    assert {name: step.count for name, step in steps.items()} == {
        "found": 100,
        "flagged": 20,
        "planned": 15,
        "sent": 13,
        "proven gone": 9,
    }
    assert steps["found"].part == 100
    assert steps["proven gone"].part == 9
    assert "5 held by a guard" in steps["planned"].meaning
    assert steps["proven gone"].meaning == "and no other way in remains"
    doubtful = dataclasses.replace(one, record_gone=3, still_effective=1)
    assert shape.funnel([doubtful, two])[-1].meaning == "not: 3 record gone, 1 still reachable"
    assert shape.funnel([two])[-1].meaning == "nothing is proven gone so far"
    assert [step.part for step in shape.funnel([])] == [0] * 5
    back = shape.funnel([one], "restore")
    assert [step.name for step in back] == ["found", "selected", "planned", "sent", "restored"]
    assert back[-1].meaning == "according to a complete listing"


def test_a_forecast_needs_an_end_a_pace_and_a_fresh_word() -> None:
    line = ProgressLine("revoke", "dms_permissions", "7/central", "", 25, 100, 2.5, 1.0)

    def left(finished: bool = False, **changes: object) -> float | None:
        return shape.progress([dataclasses.replace(line, **changes)], {}, finished=finished)[0].left_s  # type: ignore[arg-type]

    assert left() == 30.0
    assert left(finished=True) is None
    assert left(per_second=0.0) is None
    assert left(age_s=shape.STALE_S + 1) is None
    (stuck,) = shape.progress([dataclasses.replace(line, age_s=shape.STALE_S + 1)], {}, finished=False)
    assert stuck.quiet_s == shape.STALE_S + 1
    (over,) = shape.progress([dataclasses.replace(line, age_s=shape.STALE_S + 1)], {}, finished=True)
    assert over.quiet_s is None
    listing = dataclasses.replace(line, stage="discover", total=0, age_s=shape.STALE_S + 1)
    quiet = [shape.progress([listing], {}, finished=False, planned=planned)[0].quiet_s for planned in (False, True)]
    assert quiet == [shape.STALE_S + 1, None]
    assert left(done=100) is None
    assert left(total=0) is None


def test_a_lane_without_an_end_has_no_bar() -> None:
    (line,) = shape.progress([ProgressLine("roster", "", "", "people", 7, 0, 1.0, 0.0)], {}, finished=False)
    assert line.part is None
    assert (line.name, line.done) == ("people", 7)


def test_a_small_part_is_still_seen_and_none_is_not() -> None:
    assert shape.share(0, 1_000_000) == 0
    assert 0 < shape.share(1, 1_000_000) < 1
    assert shape.share(2, 1) == 100


def test_filters_offer_what_there_is() -> None:
    counts = [
        ItemCount("dms_permissions", "accepted", "verified_gone", 7, 7),
        ItemCount("dms_permissions", "accepted", "still_present", 2, 0),
        ItemCount("a_new_system", "held", "", 1, 0),
    ]
    offered = shape.choices(counts, {"dms_permissions": "DMS permissions"})
    assert [(c.value, c.label, c.items) for c in offered["system"]] == [
        ("dms_permissions", "DMS permissions", 9),
        ("a_new_system", "a_new_system", 1),
    ]
    assert [(c.value, c.items) for c in offered["state"]] == [("accepted", 9), ("held", 1)]
    assert [(c.value, c.items) for c in offered["verdict"]] == [
        ("verified_gone", 7),
        ("still_present", 2),
        ("none", 1),
        ("open", 3),
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.4, "59 s"), (61, "1 min 01 s"), (3_660, "1 h 01 min"), (90_000, "1 d 1 h"), (None, "")],
)
def test_durations_for_people(seconds: float | None, text: str) -> None:
    assert shape.lasting(seconds) == text


FACTS = RunFacts((), "", "", "", "ab" * 32, 1, START + timedelta(seconds=90), "", "", about_people=True, listed=True)


def test_the_clock_of_a_run_about_people_says_what_is_open() -> None:
    asked = {"asked_at": START + timedelta(seconds=20), "items": 3, "answer": "approve", "proven": 2}
    steps = shape.clock(dataclasses.replace(RUN, **asked), FACTS)  # type: ignore[arg-type]
    assert [step.words for step in steps] == [
        "20 s after the request",
        "1 min 30 s after the request",
        "not yet: 1 of 3 grants are not proven gone",
    ]
    done = dataclasses.replace(RUN, **asked | {"proven": 3})  # type: ignore[arg-type]
    assert shape.clock(done, FACTS)[2].at is None  # no report has counted what no call can remove
    assert shape.clock(dataclasses.replace(done, findings=0), FACTS)[2].at == FACTS.verified_at
    begins = shape.clock(RUN, dataclasses.replace(FACTS, plan="", listed=False, responded_at=None))
    assert [step.words for step in begins] == ["not yet"] * 3
    assert shape.clock(RUN, dataclasses.replace(FACTS, about_people=None)) == []


@pytest.mark.parametrize(
    "occasion",
    [
        {"events": 5},
        {"events": ["x"]},
        {"events": [{"people": 1}]},
        {"events": [{"at": "soon", "people": 1}]},
        {"events": [{"at": "2026-06-01T06:00:00", "people": 1}]},
        {"employment": []},
        {"employment": {"people": "many"}},
        {"employment": {"people": 1, "ends": [None]}},
    ],
)
def test_facts_that_make_no_clock_break_no_page(occasion: dict[str, object]) -> None:
    run = dataclasses.replace(RUN, asked_at=START)
    broken = shape.clock(run, dataclasses.replace(FACTS, occasion=occasion))
    assert broken == [] or [step.name for step in broken] == ["asked", "approved", "verified gone"]


@pytest.mark.parametrize(
    ("events", "names"),
    [
        (None, []),
        ("hr", []),
        ([{"sender": "hr"}, {"sender": "hr"}, {"sender": ""}, "x"], ["hr", "an unknown sender"]),
        ([{"sender": "h" * 200}], ["h" * 100]),
        ([{"sender": str(number)} for number in range(9)], ["0", "1", "2", "3", "4"]),
    ],
)
def test_who_sent_the_events_of_a_run(events: object, names: list[str]) -> None:
    assert shape.senders(dataclasses.replace(FACTS, occasion={"events": events})) == names
