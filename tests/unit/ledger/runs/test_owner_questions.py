"""Inputs and questions in the ledger: written once, answered once, and never changed by anybody."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from rescind.errors import InputError, LedgerError, NotApprovedError
from rescind.ledger import Ledger, NewInput, NewQuestion, NewRun, Question, QuestionItem, Run
from rescind.ledger.runs.inputs import MAX_BYTES
from rescind.ledger.store.errors import RecordConflictError, SnapshotClosedError
from rescind.model import Choice
from tests.support.ledger.runs import begin, decide, grant, list_scope, ready_run

pytestmark = pytest.mark.postgres
NOW = datetime(2026, 3, 1, tzinfo=UTC)
TICK = timedelta(microseconds=1)
GRANTS = [grant(number) for number in range(4)]


def question(*numbers: int, reviewer: str = "alice", no_answer: str = "keep") -> NewQuestion:
    items = tuple(QuestionItem(GRANTS[number].grant_id, f"grant {number}") for number in numbers)
    return NewQuestion(reviewer, no_answer, items)  # type: ignore[arg-type]


def decided(ledger: Ledger) -> Run:
    run = begin(ledger)
    list_scope(ledger, run, GRANTS)
    decide(ledger, run, GRANTS, GRANTS[3:])
    return run


def gone(ledger: Ledger, run: Run) -> set[str]:
    return {g.grant_id for g, _ in ledger.decisions.each(run.run_id, choice=Choice.REVOKE)}


def test_answers_become_decisions_and_only_when_all_are_there(ledger: Ledger) -> None:
    run = decided(ledger)
    first, second = question(0, 1), question(2, reviewer="bob", no_answer="revoke")
    put = ledger.questions.ask(run.run_id, [first, second])
    assert [q.digest for q in put] == [first.digest, second.digest] and {q.method for q in put} == {""}
    with pytest.raises(NotApprovedError, match="2 of 2 questions"):
        ledger.questions.apply(run.run_id)
    ledger.questions.answer(
        run.run_id, first.digest, revoke=[GRANTS[1].grant_id], responded_by="alice", responded_at=NOW
    )
    with pytest.raises(NotApprovedError, match="1 of 2 questions"):
        ledger.questions.apply(run.run_id)
    assert ledger.questions.close(run.run_id, second.digest, at=NOW).method == "no_answer"
    assert ledger.questions.apply(run.run_id) == 2 == ledger.questions.apply(run.run_id)
    assert gone(ledger, run) == {GRANTS[n].grant_id for n in (1, 2, 3)}
    facts = {g.grant_id: d.facts for g, d in ledger.decisions.each(run.run_id)}
    assert facts[GRANTS[1].grant_id]["reviewed_by"] == "alice" and facts[GRANTS[0].grant_id]["review"] == "keep"
    assert facts[GRANTS[2].grant_id]["review"] == "no answer: revoke" and "review" not in facts[GRANTS[3].grant_id]


def test_a_run_without_questions_is_left_as_it_is(ledger: Ledger) -> None:
    run = decided(ledger)
    assert ledger.questions.ask(run.run_id, []) == [] and ledger.questions.apply(run.run_id) == 0
    assert gone(ledger, run) == {GRANTS[3].grant_id}


def test_the_digest_is_made_over_everything_that_is_shown() -> None:
    other = NewQuestion("alice", "keep", (QuestionItem(GRANTS[0].grant_id, "another line"),))
    same = question(0)
    assert len({same.digest, other.digest, question(0, reviewer="bob").digest, question(1).digest}) == 4
    assert question(0, no_answer="revoke").digest != same.digest == question(0).digest


def test_a_question_is_answered_once_by_its_reviewer(ledger: Ledger) -> None:
    run = decided(ledger)
    asked = question(0, 1)
    ledger.questions.ask(run.run_id, [asked])

    def answer(*numbers: int, by: str = "alice") -> None:
        gone = [GRANTS[number].grant_id for number in numbers]
        ledger.questions.answer(run.run_id, asked.digest, revoke=gone, responded_by=by, responded_at=NOW)

    with pytest.raises(NotApprovedError, match="only its reviewer"):
        answer(by="bob")
    with pytest.raises(NotApprovedError, match="names 1 items that are not in it"):
        answer(2)
    answer(0)
    answer(0)
    with pytest.raises(RecordConflictError, match="answered differently before"):
        answer(0, 1)
    assert ledger.questions.close(run.run_id, asked.digest, at=NOW).responded_by == "alice"
    with pytest.raises(LedgerError, match="has no question"):
        ledger.questions.get(run.run_id, "0" * 64)


HOURS = timedelta(hours=72)


def handing(ledger: Ledger) -> tuple[str, str]:
    """A run with one question of alice, who may hand it over to bob."""
    run, asked = decided(ledger), replace(question(0, 1, no_answer="revoke"), delegates={"bob": "Bob"})
    ledger.questions.ask(run.run_id, [asked])
    return run.run_id, asked.digest


def test_a_question_is_handed_over_once_and_then_only_the_colleague_answers(ledger: Ledger) -> None:
    run_id, name = handing(ledger)
    every = ledger.questions

    def hand(by: str = "alice", to: str = "bob", comment: str = "yours", at: datetime | None = None) -> Question:
        return every.hand_over(run_id, name, by=by, to=to, comment=comment, at=at or datetime.now(UTC))

    with pytest.raises(RecordConflictError, match="can no longer be handed over"):
        hand()  # nobody was asked yet
    due = every.put(run_id, name, within=HOURS).due_at
    assert due is not None and due > datetime.now(UTC) and every.put(run_id, name, within=2 * HOURS).due_at == due
    for by, to in (
        ("bob", "bob"),
        ("mallory", "bob"),
        ("", "bob"),
        ("alice", "alice"),
        ("alice", "eve"),
        ("alice", ""),
    ):
        with pytest.raises(NotApprovedError, match=r"only its reviewer may hand it over|may not be handed over to"):
            hand(by, to)
    with pytest.raises(RecordConflictError, match="can no longer be handed over"):
        hand(at=due)
    handed = hand()
    assert hand() == handed and handed.handover is not None and handed.asked == "bob" and handed.due_at == due
    assert (handed.handover.by, handed.handover.to, handed.handover.comment) == ("alice", "bob", "yours")
    for again in ({"comment": "another"}, {"by": "bob", "to": "alice"}):
        with pytest.raises((RecordConflictError, NotApprovedError)):
            hand(**again)  # type: ignore[arg-type]
    answer = {"revoke": [GRANTS[0].grant_id], "responded_at": datetime.now(UTC), "comment": "one"}
    for who in ("alice", "mallory", ""):
        with pytest.raises(NotApprovedError, match="only the colleague"):
            every.answer(run_id, name, responded_by=who, **answer)  # type: ignore[arg-type]
    with pytest.raises(RecordConflictError, match="after the due date"):
        every.answer(run_id, name, responded_by="bob", **{**answer, "responded_at": due + TICK})  # type: ignore[arg-type]
    with pytest.raises(NotApprovedError, match="1 of 1 questions"):
        every.apply(run_id)
    answered = every.answer(run_id, name, responded_by="bob", **answer)  # type: ignore[arg-type]
    assert (answered.comment, answered.responded_by, answered.method) == ("one", "bob", "answer")
    assert answered.responded_at is not None and handed.handover.at <= answered.responded_at <= due
    assert every.apply(run_id) == 1
    with pytest.raises(RecordConflictError, match="once and for good"):
        hand(comment="too late")


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO rescind.handover SELECT run_no, digest, 'alice', 'eve', '', now() FROM rescind.question",
        "INSERT INTO rescind.handover SELECT run_no, digest, 'bob', 'bob', '', now() FROM rescind.question",
        "INSERT INTO rescind.handover SELECT run_no, digest, 'eve', 'bob', '', now() FROM rescind.question",
        'UPDATE rescind.question SET delegates = \'{"eve": ""}\'',
        "UPDATE rescind.question SET due_at = now() + interval '9 days'",
        "UPDATE rescind.question SET due_at = NULL",
        "UPDATE rescind.question SET method = 'answer', responded_by = 'bob', responded_at = now()",
        "UPDATE rescind.question SET method = 'answer', responded_by = 'alice', responded_at = due_at + interval '1 s'",
    ],
)
def test_the_database_itself_refuses_a_forged_hand_over_answer_or_due_date(ledger: Ledger, statement: str) -> None:
    run_id, name = handing(ledger)
    ledger.questions.put(run_id, name, within=HOURS)
    with (
        pytest.raises(LedgerError, match=r"never changed|is handed over by|who is asked|refused|permission|check"),
        ledger.database.transaction() as connection,
    ):
        connection.execute(statement)  # type: ignore[call-overload]


def test_a_hand_over_cannot_be_moved_and_ends_with_the_due_date(ledger: Ledger) -> None:
    run_id, name = handing(ledger)
    ledger.questions.put(run_id, name, within=timedelta(milliseconds=1))
    with pytest.raises(LedgerError):
        ledger.questions.hand_over(run_id, name, by="alice", to="bob", comment="", at=NOW)
    assert ledger.questions.get(run_id, name).handover is None
    other = begin(ledger, "other")
    ledger.questions.ask(other.run_id, [replace(question(2), delegates={"bob": "Bob"})])
    ledger.questions.put(other.run_id, question(2).digest, within=HOURS)
    ledger.questions.hand_over(other.run_id, question(2).digest, by="alice", to="bob", comment="", at=NOW)
    for statement in ("UPDATE rescind.handover SET handed_to = 'eve'", "DELETE FROM rescind.handover"):
        with pytest.raises(LedgerError), ledger.database.transaction() as connection:
            connection.execute(statement)


def test_the_rule_for_a_missing_answer_applies_only_when_the_question_is_due(ledger: Ledger) -> None:
    """A time-out that comes early, by a wrong clock or from an older try of the task, revokes nothing."""
    run_id, name = handing(ledger)
    due = ledger.questions.put(run_id, name, within=timedelta(minutes=2)).due_at
    for at in (NOW, datetime.now(UTC), datetime.now(UTC) + HOURS):
        with pytest.raises(RecordConflictError, match="an answer still counts until"):
            ledger.questions.close(run_id, name, at=at)
    found = ledger.questions.get(run_id, name)
    assert found.method == "" and {item.answer for item in found.items} == {None} and found.due_at == due
    other = begin(ledger, "other")
    ledger.questions.ask(other.run_id, [replace(question(2), delegates={"bob": "Bob"})])
    ledger.questions.put(other.run_id, question(2).digest, within=timedelta(seconds=30))
    ledger.questions.hand_over(other.run_id, question(2).digest, by="alice", to="bob", comment="", at=NOW)
    early = ledger.questions.close(other.run_id, question(2).digest, at=NOW)
    assert early.method == "no_answer", "clocks differ by less than a minute"


def test_other_questions_are_refused_once_some_were_put(ledger: Ledger) -> None:
    run = decided(ledger)
    ledger.questions.ask(run.run_id, [question(0)])
    assert len(ledger.questions.ask(run.run_id, [question(0)])) == 1
    for others in ([question(0, 1)], [question(0, reviewer="bob")], [question(0), question(1)], []):
        with pytest.raises(RecordConflictError, match="other questions already"):
            ledger.questions.ask(run.run_id, others)
    with pytest.raises(RecordConflictError, match="is in two questions"):
        ledger.questions.ask(run.run_id, [question(0), question(0, reviewer="bob")])


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE rescind.question SET responded_by = 'mallory'",
        "UPDATE rescind.question SET reviewer = 'mallory'",
        "UPDATE rescind.question_item SET answer = 'revoke'",
        "UPDATE rescind.question_item SET shown = 'nothing'",
        "UPDATE rescind.input SET content = 'x', sha256 = sha256('x')",
    ],
)
def test_nobody_changes_an_answer_or_an_input_afterwards(ledger: Ledger, statement: str) -> None:
    run = ledger.runs.begin(NewRun("d", "r", "manual", "rita"), [NewInput("roster", "roster.csv", b"people")])
    ledger.questions.ask(run.run_id, [question(0)])
    ledger.questions.answer(run.run_id, question(0).digest, revoke=[], responded_by="alice", responded_at=NOW)
    with (
        pytest.raises(LedgerError, match=r"never changed|refused|permission denied"),
        ledger.database.transaction() as connection,
    ):
        connection.execute(statement)  # type: ignore[call-overload]


def test_answers_come_too_late_once_something_was_sent(ledger: Ledger) -> None:
    frozen = ready_run(ledger)
    run_id = frozen.run.run_id
    lease = ledger.batches.claim(run_id, ledger.plans.batches(run_id)[0].batch_id, "worker")
    call = next(ledger.plans.calls(run_id))
    ledger.attempts.begin(
        lease, call.call_id, plan_digest=frozen.plan.digest, request_digest="x", action="A", version="1"
    )
    grants = next(iter(frozen.calls.values()))
    asked = NewQuestion("alice", "revoke", (QuestionItem(grants[0].grant_id, "line"),))
    ledger.questions.ask(run_id, [asked])
    ledger.questions.close(run_id, asked.digest, at=NOW)
    with pytest.raises(SnapshotClosedError):
        ledger.questions.apply(run_id)


def test_inputs_stay_as_the_run_began_with_them(ledger: Ledger) -> None:
    new = NewRun("d", "r", "manual", "rita")
    run = ledger.runs.begin(new, [NewInput("roster", "roster.csv", b"people \x00\xff", {"as_of": "x", "n": 3})])
    again = ledger.runs.begin(new, [NewInput("roster", "roster.csv", b"others")])
    (stored,) = ledger.inputs.of(run.run_id).values()
    assert (
        again.run_id == run.run_id and stored.content == b"people \x00\xff" and stored.facts == {"as_of": "x", "n": 3}
    )
    assert stored.sha256 == NewInput("roster", "y", stored.content).sha256 and stored.recorded_at is not None
    assert ledger.inputs.of(begin(ledger).run_id) == {}


def test_an_input_has_a_greatest_size() -> None:
    with pytest.raises(InputError, match=r"roster, big.csv: \d+ bytes, more than \d+"):
        NewInput("roster", "big.csv", bytes(MAX_BYTES + 1))
