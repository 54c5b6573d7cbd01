"""The order of the times: every time of a bundle is moved, and the verifier names what does not fit."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rescind.evidence.bundle.format import RECORD_FILES, moment
from rescind.evidence.bundle.read import bundle_source, records
from rescind.evidence.bundle.sanitize import sanitize
from rescind.evidence.bundle.times import CLOCKS_APART
from rescind.evidence.bundle.verify import verify
from rescind.ledger import Ledger, NewInput, NewQuestion, QuestionItem, Run
from tests.support.ledger.memory_bundle import MemorySource
from tests.support.ledger.runs import begin, decide, frozen_run, grant, list_scope
from tests.unit.evidence.conftest import bundle, closed_run, contents, remade_by

pytestmark = pytest.mark.postgres
Files = dict[str, bytes]
TICK = timedelta(microseconds=1)
FREE = {
    ("review", "period_start"): "the interval of the schedule",
    ("review", "period_end"): "the interval of the schedule",
    ("review", "due_at"): "the deployment's own statement",
    ("principals", "last_used_at"): "a statement of the vendor",
    ("grants", "expires_at"): "a statement of the vendor",
    ("source_grants", "expires_at"): "a statement of the vendor",
    ("items", "terminated_at"): "a statement of the roster",
}
"""Times that depend on nothing in the run, with what they are."""

OPEN = {
    ("review", "started_at", -366), ("review", "finished_at", 366), ("plan", "valid_until", 366),
    ("attempts", "closed_at", 366), ("scopes", "ended_at", 366),
    ("kept", "observed_at", 366), ("questions", "answer_until", 366),
}  # fmt: skip
"""Times at an end of the run, with the direction in which nothing follows them."""


@pytest.fixture
def whole(ledger: Ledger, tmp_path: Path) -> Files:
    """A bundle with every kind of time in it."""
    run = closed_run(ledger, inputs=[NewInput("roster", "roster.csv", b"id\n1\n")])
    ledger.kill_switch.stop("olga", "a drill")
    ledger.kill_switch.resume("olga", "the drill is over")
    (item, *_) = ledger.plans.items(run.run_id)
    new = NewQuestion("bob", "keep", (QuestionItem(item.grant_id, "shown"),), delegates={"carol": "Carol"})
    (asked,) = ledger.questions.ask(run.run_id, [new])
    ledger.questions.put(run.run_id, asked.digest, within=timedelta(days=3))
    late = datetime.now(UTC) + timedelta(hours=1)
    ledger.questions.hand_over(run.run_id, asked.digest, by="bob", to="carol", comment="yours", at=late)
    ledger.questions.answer(
        run.run_id, asked.digest, revoke=[item.grant_id], responded_by="carol", responded_at=late, comment="all"
    )
    files = contents(bundle(ledger, ledger.runs.finish(run.run_id, "succeeded", {}), tmp_path, key=None))
    result = verify(MemorySource(files))
    assert result.problems == [] and not any("clocks" in note for note in result.notes)
    return files


def test_every_time_that_is_moved_is_noticed(whole: Files) -> None:
    """One field of one file at a time, by a year, in both directions, with all hashes computed again."""
    moved = set()
    for kind, field in times_of(whole):
        for days in (-366, 366):
            result = verify(MemorySource(remade_by(whole, {kind: shift(field, timedelta(days=days))})))
            fits = (kind, field) in FREE or (kind, field, days) in OPEN
            assert result.holds == fits, (kind, field, days, result.problems)
        moved.add((kind, field))
    assert moved >= {
        ("plan", "created_at"), ("plan", "valid_until"), ("approvals", "requested_at"), ("approvals", "responded_at"),
        ("approvals", "used_at"), ("approvals", "valid_until"), ("attempts", "intent_at"), ("attempts", "sent_at"),
        ("attempts", "answered_at"), ("attempts", "closed_at"), ("verdicts", "observed_at"), ("kept", "observed_at"),
        ("review", "started_at"), ("review", "finished_at"), ("inputs", "recorded_at"), ("switch", "changed_at"),
        ("questions", "asked_at"), ("questions", "responded_at"), ("questions", "handed_at"),
        ("questions", "answer_until"), ("scopes", "ended_at"), ("items", "planned_at"),
        ("items", "approved_at"), ("items", "sent_at"), ("items", "verified_at"),
    }  # fmt: skip


PAIRS = [
    ("review", "started_at", "plan", "created_at"),
    ("plan", "created_at", "approvals", "requested_at"),
    ("approvals", "requested_at", "approvals", "responded_at"),
    ("approvals", "responded_at", "approvals", "used_at"),
    ("approvals", "used_at", "attempts", "intent_at"),
    ("attempts", "intent_at", "plan", "valid_until"),
    ("attempts", "intent_at", "approvals", "valid_until"),
    ("attempts", "intent_at", "attempts", "closed_at"),
    ("attempts", "sent_at", "attempts", "answered_at"),
    ("attempts", "intent_at", "review", "finished_at"),
    ("approvals", "requested_at", "approvals", "valid_until"),
    ("review", "started_at", "inputs", "recorded_at"),
    ("inputs", "recorded_at", "review", "finished_at"),
    ("questions", "asked_at", "questions", "handed_at"),
    ("questions", "handed_at", "questions", "responded_at"),
    ("questions", "responded_at", "questions", "answer_until"),
    ("questions", "responded_at", "review", "finished_at"),
    ("switch", "changed_at", "review", "finished_at"),
]
"""What must not be later than what, by the same clock."""


@pytest.mark.parametrize(("kind", "field", "later_kind", "later_field"), PAIRS)
def test_times_of_one_clock_may_not_be_a_microsecond_out_of_order(
    whole: Files, kind: str, field: str, later_kind: str, later_field: str
) -> None:
    """The later time of each pair is set to one microsecond before the earlier one, wherever it is written."""
    before = min(record[field] for record in records(MemorySource(whole), kind))
    early = moment(datetime.fromisoformat(before) - TICK)
    problems = verify(MemorySource(everywhere(whole, later_kind, later_field, early))).problems
    late = ("out of order", "was made", "after its due date")
    assert any(word in problem for problem in problems for word in late), problems


FORGED: list[tuple[dict[str, Any], str]] = [
    ({"responded_by": "bob"}, "answered by somebody who was not asked"),
    ({"responded_by": "mallory"}, "answered by somebody who was not asked"),
    ({"handed_by": "carol"}, "handed over by somebody else than its reviewer"),
    ({"handed_to": "bob", "responded_by": "bob"}, "or to the reviewer"),
    ({"handed_at": None}, "a hand-over is not complete"),
    ({"handed_to": None, "handed_by": None, "handed_at": None}, "answered by somebody who was not asked"),
    ({"answer": "keep"}, "a grant that its owner was asked about and nobody revoked"),
    ({"answer": None}, "a grant that its owner was asked about and nobody revoked"),
    ({"method": "no_answer", "responded_by": ""}, "was not settled by its rule"),
    ({"method": "no_answer", "responded_by": ""}, "settled by its rule before its due date"),
    ({"shown": "another line"}, "the content of a question does not match its digest"),
    ({"reviewer": "carol"}, "the content of a question does not match its digest"),
]


def test_a_forged_answer_of_an_owner_is_noticed(whole: Files) -> None:
    (record,) = records(MemorySource(whole), "questions")
    assert (record["handed_comment"], record["comment"], record["responded_by"]) == ("yours", "all", "carol")
    for change, problem in FORGED:
        result = verify(MemorySource(remade_by(whole, {"questions": lambda one, new=change: {**one, **new}})))
        assert any(problem in found for found in result.problems), (change, result.problems)


def everywhere(files: Files, kind: str, field: str, value: str | None) -> Files:
    """The bundle with a time replaced, also where items repeat it."""
    repeated = {("plan", "created_at"): "planned_at", ("approvals", "responded_at"): "approved_at",
                ("attempts", "sent_at"): "sent_at", ("verdicts", "observed_at"): "verified_at"}  # fmt: skip
    changes: dict[str, Callable[[Any], Any]] = {kind: lambda record: {**record, field: value}}
    if name := repeated.get((kind, field)):
        changes["items"] = lambda item: {**item, name: value if item[name] else None}
    return remade_by(files, changes)


@pytest.mark.parametrize(
    ("kind", "field", "base"),
    [
        ("attempts", "sent_at", "intent_at"),
        ("attempts", "answered_at", "intent_at"),
        ("verdicts", "observed_at", "answered_at"),
    ],
)
def test_clocks_of_workers_may_differ_by_a_minute_and_the_difference_is_named(
    whole: Files, kind: str, field: str, base: str
) -> None:
    last = max(record[base] for record in records(MemorySource(whole), "attempts"))

    def with_clock_behind(by: timedelta) -> Any:
        value = moment(datetime.fromisoformat(last) - by)
        bad = everywhere(whole, kind, field, value)
        if (kind, field) == ("attempts", "answered_at"):
            bad = everywhere(bad, kind, "sent_at", value)
        return verify(MemorySource(bad))

    near, far = with_clock_behind(CLOCKS_APART / 2), with_clock_behind(CLOCKS_APART + timedelta(seconds=30))
    assert near.problems == [] and any("clocks differed by" in note for note in near.notes)
    assert not far.holds


def test_a_verdict_that_says_gone_is_later_than_the_outcome(whole: Files) -> None:
    early = moment(min(datetime.fromisoformat(one["answered_at"]) for one in records(MemorySource(whole), "attempts"))
                   - CLOCKS_APART - timedelta(minutes=1))  # fmt: skip
    begun = {"review": lambda record: {**record, "started_at": moment(datetime.fromisoformat(early or "") - TICK)}}
    # The run began long enough before, so only the order of outcome and verdict is wrong.
    problems = verify(MemorySource(remade_by(everywhere(whole, "verdicts", "observed_at", early), begun))).problems
    assert any("a verdict was observed before the outcome of its call" in problem for problem in problems)
    assert not any("before the run" in problem for problem in problems)


@pytest.mark.parametrize("value", ["2026-01-01", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00.000000+00:00", "", 7])
def test_a_time_in_another_form_is_no_time(whole: Files, value: object) -> None:
    assert not verify(MemorySource(everywhere(whole, "attempts", "intent_at", value))).holds  # type: ignore[arg-type]


def test_answers_are_recorded_between_question_and_record_by_the_clock_of_the_ledger(ledger: Ledger) -> None:
    """The clock of Airflow's API server decides about no order: its time is moved into what the ledger saw."""
    for name, given in (("early", datetime(2001, 1, 1, tzinfo=UTC)), ("late", datetime.now(UTC) + timedelta(days=9))):
        frozen = frozen_run(ledger, name)
        run_id, digest = frozen.run.run_id, frozen.plan.digest
        asked = ledger.approvals.request(run_id, digest, requested_by="rita", valid_until=frozen.plan.valid_until)
        answer = ledger.approvals.answer(
            run_id, digest, nonce=asked.nonce, answer="approve", responded_by="anna", responded_at=given
        )
        assert answer.responded_at is not None
        end = ledger.runs.finish(run_id, "failed", {}).finished_at
        assert end is not None and asked.requested_at <= answer.responded_at <= end


def test_a_run_that_goes_on_after_its_end_ends_later(ledger: Ledger, tmp_path: Path) -> None:
    """Tasks of a finished run can be cleared: what they do is inside the run, and a second report changes nothing."""
    run = begin(ledger)
    every = [grant(number) for number in range(10)]
    list_scope(ledger, run, every)
    decide(ledger, run, every, every[:2])
    first = ledger.runs.finish(run.run_id, "failed", {}).finished_at
    assert ledger.runs.finish(run.run_id, "failed", {}).finished_at == first is not None
    ledger.questions.ask(run.run_id, [NewQuestion("bob", "keep", (QuestionItem(every[0].grant_id, "shown"),))])
    second: Run = ledger.runs.finish(run.run_id, "failed", {})
    assert second.finished_at is not None and second.finished_at > first
    assert ledger.runs.finish(run.run_id, "failed", {}).finished_at == second.finished_at
    assert verify(bundle_source(bundle(ledger, second, tmp_path))).problems == []


def test_a_sanitized_copy_keeps_its_times_and_their_order(whole: Files, tmp_path: Path) -> None:
    copied = tmp_path / "copy"
    sanitize(MemorySource(whole), copied)
    copy = contents(copied)
    assert verify(MemorySource(copy)).problems == [] and set(times_of(copy)) == set(times_of(whole))
    late = {"attempts": shift("answered_at", timedelta(days=1))}
    bad = remade_by(copy, late, sanitized=json.loads(copy["manifest.json"])["sanitized"])
    problems = verify(MemorySource(bad)).problems
    assert problems and all("times of an attempt" in one or "before the outcome" in one for one in problems)


def times_of(files: Mapping[str, bytes]) -> Iterator[tuple[str, str]]:
    """Every field of the records that holds a time."""
    for kind in RECORD_FILES:
        found = {
            name
            for record in records(MemorySource(files), kind)
            for name, value in record.items()
            if isinstance(value, str)
            and (name.endswith(("_at", "_until")) or (name.startswith("period_") and "T" in value))
        }
        yield from ((kind, name) for name in sorted(found))


def shift(field: str, by: timedelta) -> Callable[[Any], Any]:
    """A change that moves one time of every record."""

    def changed(record: Any) -> Any:
        value = record[field]
        return record if value is None else {**record, field: moment(datetime.fromisoformat(value) + by)}

    return changed
