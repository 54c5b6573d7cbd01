"""Runs that events of an HR system start: who is taken, what is left out, and that nothing becomes real by accident."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.api.datamodels._generated import AssetEventDagRunReference
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from rescind.evidence.bundle.format import moment
from rescind.ledger import OCCASION
from rescind.model import Choice
from rescind.run_state.leaver_clock import clock_line
from rescind.web.shape import clock
from rescind.workflow.run_summary import headline
from tests.support.reviews.airflow_record import AirflowRecord
from tests.support.reviews.leaver_events import NOW, SENDER, event, people, posted, real, requested
from tests.support.reviews.review import ReviewBench

Bench = Callable[..., ReviewBench]


def test_an_event_takes_a_leaver_off_and_proves_it(bench: Bench, airflow: AirflowRecord) -> None:
    setup = bench(enforce_events=True)
    (person,) = people(setup, 1)
    extra = {"principals": [f"person_id:{person['person_id']}"], "reason": "last day today", "ticket": "HR-7"}
    airflow.sent(SENDER, extra)
    review = setup.offboard(event({**extra, "from_rest_api": True}), systems=["dms_permissions"])
    review.user, review.airflow = SENDER, airflow
    summary = review.whole()
    assert (summary["requested_by"], summary["reason"], summary["ticket"]) == (SENDER, "last day today", "HR-7")
    (row,) = summary["systems"]
    asked, approved, gone = summary["clock"]
    assert " after the event" in asked["words"] and " after the event" in approved["words"]
    assert (gone["at"] is None) is gone["words"].startswith("not yet: ") is bool(summary["outcome"]["remains"])
    assert approved["at"] >= asked["at"]
    page = Path(summary["report"].removeprefix("file://")).read_text(encoding="utf-8")
    for one in summary["clock"]:
        assert f"<dt>{one['step'].capitalize()}</dt><dd>{one['words']}</dd>" in page
    assert clock_line((one["step"], one["words"]) for one in summary["clock"]) in headline(summary)
    with review.ledger() as ledger:
        line, facts = ledger.views.run(summary["number"], ["offboard"])
    assert [step.words for step in clock(line, facts)] == [one["words"] for one in summary["clock"]]
    assert row["items"] > 0 and row["verified_gone"] + row["record_gone"] + row["already_absent"] == row["items"]
    with review.ledger() as ledger:
        run = ledger.runs.find("offboard", review.run_id)
        gone = {g.key.principal_id for g, d in ledger.decisions.each(run.run_id, choice=Choice.REVOKE)}
    assert gone == {person["dms_user_id"]}


def test_it_is_a_dry_run_unless_the_deployment_says_otherwise(bench: Bench, airflow: AirflowRecord) -> None:
    setup = bench(enforce_scheduled=True)
    (person,) = people(setup, 1)
    review = setup.offboard(posted(person["person_id"]), systems=["dms_permissions"])
    review.preflight()
    assert requested(review)[1].dry_run is True


def test_an_event_that_cannot_be_used_harms_no_other(bench: Bench, airflow: AirflowRecord) -> None:
    setup = bench(enforce_events=True, requester_check="off")
    (person,) = people(setup, 1)
    bad = event({"principals": ["P1"], "<b>\n{{ 1 }}</b>": 1, "from_rest_api": True})
    hostile = posted("<script>alert(1)</script>", "{{ conn.rescind_ledger.password }}", seconds=1)
    review = setup.offboard(bad, hostile, posted(person["person_id"], seconds=2), systems=["dms_permissions"])
    review.user = ""
    review.through_plan()
    names, run = requested(review)
    assert names == [person["person_id"]]
    with review.ledger() as ledger:
        records = ledger.inputs.facts(run.run_id, OCCASION)["events"]
    assert [one["people"] for one in records] == [0, 0, 1]
    assert [len(one["aside"]) for one in records] == [1, 2, 0]
    operator = review.approval()
    with review.ledger() as ledger:
        assert operator.ask(review.context("approve"), ledger) is None
    assert "Started by 3 events" in operator.body and "Left out: " in operator.body
    assert "<script>" not in operator.body and "\n{{" not in operator.body
    summary = review.report()
    assert sum(problem.startswith("left out: event of ") for problem in summary["problems"]) == 2
    with pytest.raises(AirflowFailException, match="left out: event of "):
        review.gate()


def test_events_that_name_nobody_are_refused_with_the_reason(bench: Bench) -> None:
    review = bench().offboard(posted("person_id:nobody"), systems=["dms_permissions"])
    with pytest.raises(AirflowFailException, match=r"asset events: they name nobody who can be used: .*does not know"):
        review.preflight()
    with pytest.raises(AirflowFailException, match="preflight refused this run, and nothing was sent"):
        review.gate()


def test_a_name_that_cannot_be_used_harms_no_other_of_the_event(bench: Bench) -> None:
    setup = bench()
    first, second = people(setup, 2)
    event_ = posted(first["person_id"], "person_id:nobody", second["email"])
    review = setup.offboard(event_, systems=["dms_permissions"])
    review.preflight()
    names, run = requested(review)
    assert names == [first["person_id"], second["email"]]
    with review.ledger() as ledger:
        (record,) = ledger.inputs.facts(run.run_id, OCCASION)["events"]
    assert record["people"] == 2 and record["aside"][0].startswith("name 2: the roster does not know")


def test_folded_events_and_those_that_airflow_left_behind_are_all_taken(bench: Bench) -> None:
    setup = bench()
    one, two, three, four = people(setup, 4)
    first, second, late = (posted(p["person_id"], seconds=n) for n, p in enumerate((one, two, three)))
    review = setup.offboard(first, second, stored=[first, second, late], systems=["dms_permissions"])
    review.preflight()
    assert requested(review)[0] == [p["person_id"] for p in (one, two, three)]
    given, stored = [second, late], [first, second, late]
    again = setup.offboard(*given, run_id="asset__2", stored=stored, systems=["dms_permissions"])
    with pytest.raises(AirflowSkipException, match="Nothing to do: run 1 took every event of this run"):
        again.preflight()
    with pytest.raises(AirflowSkipException, match="Nothing to do"):
        again.gate()
    new = posted(four["person_id"], seconds=3)
    next_ = setup.offboard(*given, new, run_id="asset__3", stored=[*stored, new], systems=["dms_permissions"])
    next_.preflight()
    assert requested(next_)[0] == [four["person_id"]], "what a run has taken is not taken again"


def test_an_event_that_is_too_old_is_left_to_a_person(bench: Bench) -> None:
    setup = bench()
    one, two = people(setup, 2)
    old, new = posted(one["person_id"], seconds=-8 * 86_400), posted(two["person_id"])
    review = setup.offboard(new, stored=[old, new], systems=["dms_permissions"])
    review.preflight()
    assert requested(review)[0] == [two["person_id"]]


def test_an_event_that_a_run_took_long_ago_is_not_taken_again(bench: Bench) -> None:
    setup = bench()
    one, two = people(setup, 2)
    old, new = posted(one["person_id"]), posted(two["person_id"], seconds=8 * 86_400)
    setup.offboard(old, systems=["dms_permissions"]).preflight()
    later = setup.offboard(old, new, run_id="asset__2", systems=["dms_permissions"])
    later.preflight()
    assert requested(later)[0] == [two["person_id"]]


@pytest.mark.parametrize("odd", ["\x00", "\x1b", "\u202e"])
def test_an_event_with_invisible_characters_stops_no_other(bench: Bench, odd: str) -> None:
    setup = bench()
    one, two = people(setup, 2)
    hostile = posted(one["person_id"], reason=f"last{odd}day")
    review = setup.offboard(hostile, posted(two["person_id"], seconds=1), systems=["dms_permissions"])
    review.preflight()
    names, run = requested(review)
    assert names == [two["person_id"]]
    with review.ledger() as ledger:
        left = ledger.inputs.facts(run.run_id, OCCASION)["events"][0]
    assert left["aside"] == ["reason: not of the documented form"]


def nested(depth: int) -> AssetEventDagRunReference:
    """An event that Airflow stores, and whose client cannot read what it gets of it."""
    found: Any = "P1"
    for _ in range(depth):
        found = [found]
    return event({"principals": found, "from_rest_api": True}, seconds=-1)


def test_an_event_that_cannot_be_read_is_stepped_over_and_fails_the_gate_once(bench: Bench) -> None:
    setup = bench()
    one, two, three = people(setup, 3)
    given, behind = posted(one["person_id"]), posted(two["person_id"], seconds=-2)
    stored = [behind, nested(200), given]
    review = setup.offboard(given, stored=stored, systems=["dms_permissions"])
    review.through_plan()
    names, run = requested(review)
    assert names == [two["person_id"], one["person_id"]]
    with review.ledger() as ledger:
        operator = review.approval()
        body = operator.question(ledger, run, ledger.plans.get(run.run_id))[1]
        records = ledger.inputs.facts(run.run_id, OCCASION)["events"]
    assert [one["people"] for one in records] == [1, 1, 0] and records[2]["at"] == moment(nested(1).timestamp)
    assert "client cannot read it" in body and "could not be read" not in body
    summary = review.report()
    assert sum("Airflow's client cannot read it" in problem for problem in summary["problems"]) == 1
    with pytest.raises(AirflowFailException, match=r"left out: event of .*Airflow's client cannot read it"):
        review.gate()
    new = posted(three["person_id"], seconds=1)
    later = setup.offboard(new, run_id="asset__2", stored=[*stored, new], systems=["dms_permissions"])
    later.preflight()
    with later.ledger() as ledger:
        records = ledger.inputs.facts(requested(later)[1].run_id, OCCASION)["events"]
    assert [record["aside"] for record in records] == [[]], "the first run has named it"


def test_where_no_event_can_be_read_the_gate_fails(bench: Bench) -> None:
    setup = bench()
    one, two = people(setup, 2)
    given, behind = posted(one["person_id"]), posted(two["person_id"], seconds=-2)
    broken = [
        behind,
        *(nested(200).model_copy(update={"timestamp": NOW - timedelta(hours=n)}) for n in range(9)),
        given,
    ]
    review = setup.offboard(given, stored=broken, systems=["dms_permissions"])
    review.through_plan()
    names, run = requested(review)
    assert names == [one["person_id"]]
    with review.ledger() as ledger:
        operator = review.approval()
        assert "events could not be read" in operator.question(ledger, run, ledger.plans.get(run.run_id))[1]
    summary = review.report()
    assert sum(problem.startswith("events could not be read: ") for problem in summary["problems"]) == 1
    with pytest.raises(AirflowFailException, match="events could not be read"):
        review.gate()
    again = setup.offboard(given, run_id="asset__2", stored=broken, systems=["dms_permissions"])
    with pytest.raises(AirflowFailException, match=r"run 1 took those .*others could not be read"):
        again.preflight()


def test_a_rejection_is_final_for_the_events_of_the_run(bench: Bench, airflow: AirflowRecord) -> None:
    setup = bench(enforce_events=True)
    one, two = people(setup, 2)
    airflow.sent(SENDER, {"principals": [one["person_id"]]})
    given = posted(one["person_id"])
    review = real(setup, given)
    review.user = SENDER
    review.through_plan()
    with pytest.raises(AirflowSkipException, match="Rejected by omar"):
        review.approve(answer="reject")
    again = setup.offboard(given, run_id="asset__2", stored=[given], systems=["dms_permissions"])
    with pytest.raises(AirflowSkipException, match="no event is taken twice"):
        again.preflight()
    with again.ledger() as ledger:
        assert ledger.runs.find("offboard", "asset__2") is None and ledger.views.refused(["offboard"]) == []
    setup.configure(enforce_events=False)
    new = posted(two["person_id"], seconds=1)
    next_ = setup.offboard(given, new, run_id="asset__3", stored=[given, new], systems=["dms_permissions"])
    next_.preflight()
    assert requested(next_)[0] == [two["person_id"]], "somebody else's event is handled without the rejected one"


def test_of_two_runs_at_the_same_time_one_takes_an_event(bench: Bench) -> None:
    """Airflow starts a run for each of two events; both read both before one of them begins."""
    setup = bench()
    one, two = people(setup, 2)
    first, second = posted(one["person_id"]), posted(two["person_id"], seconds=0.5)
    stored = [first, second]
    slow = setup.offboard(first, stored=stored, systems=["dms_permissions"])
    quick = setup.offboard(second, run_id="asset__2", stored=stored, systems=["dms_permissions"])
    late = posted(two["person_id"], seconds=0.6)
    slow.started = NOW + timedelta(seconds=1)
    operator = slow.operator()
    reading = operator.events

    def meanwhile() -> Any:
        if not quick.scopes:
            quick.preflight()
            slow.stored.append(late)
        return reading()

    operator.events = meanwhile
    slow.scopes = operator.execute(slow.context("preflight"))
    assert requested(quick)[0] == [one["person_id"], two["person_id"]]
    assert requested(slow)[0] == [two["person_id"]]
    with slow.ledger() as ledger:
        records = [ledger.inputs.facts(requested(run)[1].run_id, OCCASION)["events"] for run in (quick, slow)]
    assert [[record["at"] for record in found] for found in records] == [
        [moment(first.timestamp), moment(second.timestamp)],
        [moment(late.timestamp)],
    ]


def test_only_the_events_of_the_last_days_are_read(bench: Bench) -> None:
    setup = bench()
    one, two = people(setup, 2)
    given, behind = posted(one["person_id"]), posted(two["person_id"], seconds=-2)
    poison = nested(200).model_copy(update={"timestamp": NOW - timedelta(days=7, seconds=1)})
    late = poison.model_copy(update={"timestamp": NOW + timedelta(seconds=1)})
    review = setup.offboard(given, stored=[poison, behind, given, late], systems=["dms_permissions"])
    review.started = NOW
    review.preflight()
    names, run = requested(review)
    assert names == [two["person_id"], one["person_id"]]
    with review.ledger() as ledger:
        assert "events_unread" not in ledger.inputs.facts(run.run_id, OCCASION)


def test_the_same_event_twice_does_no_harm(bench: Bench, airflow: AirflowRecord) -> None:
    setup = bench(enforce_events=True, requester_check="off")
    (person,) = people(setup, 1)
    twice = [posted(person["person_id"]), posted(person["person_id"], seconds=1)]
    review = setup.offboard(*twice, systems=["dms_permissions"])
    review.user, review.airflow = "", airflow
    review.whole()
    assert requested(review)[0] == [person["person_id"]]
    again = setup.offboard(posted(person["person_id"], seconds=2), run_id="asset__2", systems=["dms_permissions"])
    again.through_plan()
    with again.ledger() as ledger:
        assert ledger.plans.get(requested(again)[1].run_id).calls == 0


def test_more_people_than_the_setting_allows_stop_the_run(bench: Bench) -> None:
    setup = bench(event_max_people=2)
    events = [posted(one["person_id"], seconds=n) for n, one in enumerate(people(setup, 3))]
    review = setup.offboard(*events, systems=["dms_permissions"])
    with pytest.raises(
        AirflowFailException, match=r"3 names in 3 events, 3 of them different, are more than 2.*event_max"
    ):
        review.preflight()
    with review.ledger() as ledger:
        assert ledger.runs.find("offboard", "asset__1") is None


@pytest.mark.parametrize("run_type", ["manual", "scheduled", "operator_triggered", "backfill"])
def test_nothing_but_an_event_starts_it(bench: Bench, run_type: str) -> None:
    setup = bench(enforce_events=True, enforce_scheduled=True)
    (person,) = people(setup, 1)
    review = setup.offboard(posted(person["person_id"]), systems=["dms_permissions"])
    review.run_type = run_type
    with pytest.raises(AirflowFailException, match="was not started by an event"):
        review.preflight()
