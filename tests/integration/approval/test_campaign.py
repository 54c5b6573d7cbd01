"""Questions to the owners of resources: whole runs in this process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml
from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk.exceptions import AirflowException, AirflowSkipException

from rescind.operators.decide import DecideOperator
from rescind.operators.questions.owners import AskDelegateOperator, AskOwnerOperator
from rescind.workflow.question.owner_questions import options
from tests.support.reviews.review import Review, ReviewBench

pytestmark = pytest.mark.seconds(180)
Bench = Callable[..., ReviewBench]
POLICY = """
format: 1
policy: campaign
description: leavers go, and owners say who keeps what
combine: first_match
otherwise: keep
rules:
  - {id: leaver, description: d, when: "person.status == 'left' && person.terminated_at <= now", decide: revoke,
     reason: leaver, severity: high}
  - {id: confirm, description: d, when: "principal.type == 'user' && grant.system == 'dms_permissions'", decide: ask,
     reason: to_be_confirmed, severity: medium}
"""


def campaign(bench: Bench, **owners: Any) -> ReviewBench:
    """A bench with a policy that asks, and two reviewers who hold access themselves."""
    setup = bench()
    policy = setup.folder / "policy.yaml"
    policy.write_text(POLICY)
    content: dict[str, Any] = {
        "format": 1,
        "no_answer": "keep",
        "default": "alice",
        "reviewers": {
            "alice": {"person_id": holder(setup, 0), "alternate": "bob", "delegates": ["bob", "carol"]},
            "bob": {"person_id": holder(setup, 1)},
            "carol": {"person_id": idle(setup)},
        },
        "owners": [],
    }
    path = setup.folder / "owners.yaml"
    path.write_text(yaml.safe_dump({**content, **owners}))
    setup.configure(policy=str(policy), owners=str(path))
    return setup


def holder(setup: ReviewBench, rank: int) -> str:
    """The active people who hold most in DMS, as the emulator knows them."""
    people = {p["dms_user_id"]: p for p in setup.emulator.get("org")["people"] if p["dms_user_id"]}
    held = Counter(str(row["user_id"]) for row in setup.emulator.get("truth")["dms_permissions"])
    active = [people[i]["person_id"] for i, _ in held.most_common() if i in people and people[i]["status"] == "active"]
    return str(active[rank])


def idle(setup: ReviewBench) -> str:
    """An active person who holds nothing in DMS."""
    held = {str(row["user_id"]) for row in setup.emulator.get("truth")["dms_permissions"]}
    people = setup.emulator.get("org")["people"]
    return str(next(p["person_id"] for p in people if p["status"] == "active" and p["dms_user_id"] not in held))


def asked(review: Review) -> list[dict[str, str]]:
    """The run up to its questions."""
    review.preflight()
    review.discover()
    return review.decide()


def answer(
    review: Review,
    question: dict[str, str],
    chosen: list[str],
    user: str,
    kind: type[AskOwnerOperator] = AskOwnerOperator,
    at: datetime | None = None,
    **fields: Any,
) -> Any:
    event = {
        "chosen_options": chosen,
        "params_input": fields,
        "responded_at": at or datetime.now(UTC),
        "responded_by_user": {"id": user, "name": user},
    }
    return kind(task_id="ask", question=question).execute_complete(review.context("ask", 0), event)


def put(review: Review) -> list[Any]:
    with review.ledger() as ledger:
        run = ledger.runs.find("access_review", review.run_id)
        return list(ledger.questions.all(run.run_id))


def persons(review: Review, question: Any) -> set[str]:
    """Who in the roster holds the grants of a question."""
    with review.ledger() as ledger:
        run = ledger.runs.find("access_review", review.run_id)
        found = (ledger.decisions.get(run.run_id, item.grant_id) for item in question.items)
        return {decision.facts.get("person.id", "") for decision in found}


def test_owners_say_what_goes_and_the_run_takes_exactly_that(bench: Bench) -> None:
    setup = campaign(bench)
    review = setup.run(dry_run=False, ask_owners=True)
    mapped = asked(review)
    first, *rest = put(review)
    assert [entry["question"] for entry in mapped] == [first.digest, *(q.digest for q in rest)]
    assert {q.reviewer for q in (first, *rest)} == {"alice", "bob"} and first.reviewer == "alice"
    assert holder(setup, 0) not in persons(review, first) and persons(review, rest[-1]) == {holder(setup, 0)}
    with pytest.raises(Exception, match="questions to owners are not settled"):
        review.freeze()
    answer(review, mapped[0], [options(first)[2], options(first)[3]], "alice")
    for entry, question in zip(mapped[1:], rest, strict=True):
        answer(review, entry, [options(question)[0], options(question)[2]], question.reviewer)
    review.freeze()
    review.approve()
    review.revoke()
    review.verify()
    summary = review.report()
    assert summary["state"] == "succeeded", summary["problems"]
    with review.ledger() as ledger:
        run = ledger.runs.find("access_review", review.run_id)
        gone = {g.grant_id: d for g, d in ledger.decisions.each(run.run_id, choice="revoke") if d.rule == "confirm"}
        assert set(gone) == {item.grant_id for item in first.items[:2]}
        assert all(d.facts["reviewed_by"] == "alice" and d.facts["question"] == first.digest for d in gone.values())
        kept = ledger.decisions.get(run.run_id, first.items[2].grant_id)
        assert (kept.choice, kept.facts["review"]) == ("keep", "keep")
        states = {item.grant_id for item in ledger.plans.items(run.run_id)}
        assert set(gone) <= states and kept.grant_id not in states


@pytest.mark.parametrize("rule", ["keep", "revoke"])
def test_no_answer_means_what_the_file_says(bench: Bench, rule: str) -> None:
    setup = campaign(bench, no_answer=rule)
    review = setup.run(ask_owners=True)
    mapped = asked(review)
    for entry in mapped:
        operator = AskOwnerOperator(task_id="ask", question=entry)
        result = operator.execute_complete(review.context("ask"), {"error": "late", "error_type": "timeout"})
        assert result["method"] == "no_answer" and (result["revoke"] > 0) == (rule == "revoke")
    review.freeze()
    with review.ledger() as ledger:
        run = ledger.runs.find("access_review", review.run_id)
        items = [item.grant_id for question in put(review) for item in question.items]
        assert {str(ledger.decisions.get(run.run_id, name).choice) for name in items} == {rule}
        decision = ledger.decisions.get(run.run_id, items[0])
        assert decision.facts["review"] == f"no answer: {rule}" and decision.facts["reviewed_by"] == ""


def test_a_run_that_asks_nobody_keeps_what_rules_would_ask_about(bench: Bench) -> None:
    setup = campaign(bench)
    review = setup.run(dry_run=False)
    assert asked(review) == [] and put(review) == []
    review.freeze()
    with review.ledger() as ledger:
        run = ledger.runs.find("access_review", review.run_id)
        rules = {(str(row.choice), row.rule) for row in ledger.decisions.by_rule(run.run_id)}
    assert ("keep", "confirm") in rules and ("revoke", "confirm") not in rules


def test_the_deployment_may_ask_always_and_the_form_may_say_no(bench: Bench) -> None:
    setup = campaign(bench)
    setup.configure(campaign="owners")
    assert asked(setup.run("always"))
    assert asked(setup.run("not this time", ask_owners=False)) == []


def test_an_answer_counts_only_for_its_question_and_its_reviewer(bench: Bench) -> None:
    setup = campaign(bench)
    review = setup.run(ask_owners=True)
    mapped = asked(review)
    first, *others = put(review)
    everything = options(first)[1]
    for chosen, user, message in (
        ([options(others[0])[1]], "alice", "another list"),
        ([], "alice", "another list"),
        (["Revoke all listed"], "alice", "another list"),
        ([everything], "rita", "only its reviewer"),
        ([everything], "", "only its reviewer"),
    ):
        with pytest.raises(Exception, match=message):
            answer(review, mapped[0], chosen, user)
    answer(review, mapped[0], [everything], "alice")
    with pytest.raises(Exception, match="answered differently before"):
        answer(review, mapped[0], [options(first)[0]], "alice")
    late = AskOwnerOperator(task_id="ask", question=mapped[0])
    assert late.execute_complete(review.context("ask"), {"error": "late", "error_type": "timeout"})["by"] == "alice"
    assert late.execute(review.context("ask"))["revoke"] == len(first.items)  # a lost task finds the answer
    with pytest.raises(AirflowException, match="the retry asks again"):
        AskOwnerOperator(task_id="ask", question=mapped[1]).execute_complete(
            review.context("ask"), {"error": "x", "error_type": "unknown"}
        )


def test_a_question_is_handed_over_once_and_its_colleague_alone_answers(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The attacks on a hand-over, with tasks cleared in every state. Airflow's own side of the request is replaced."""
    setup = campaign(bench, no_answer="revoke")
    review = setup.run(ask_owners=True)
    mapped = asked(review)
    first = put(review)[0]
    assert set(first.delegates) == {"carol"}, "bob holds some of this access"
    keep, everything, *_, hand = options(first)

    def execute(kind: type[AskOwnerOperator]) -> Any:
        return kind(task_id="ask", question=mapped[0]).execute(review.context("ask"))

    def refused(match: str, chosen: list[str], user: str, kind: type = AskOwnerOperator, **fields: Any) -> None:
        with pytest.raises(Exception, match=match):
            answer(review, mapped[0], chosen, user, kind, **fields)
        assert put(review)[0].method == "" and all(item.answer is None for item in put(review)[0].items)

    with pytest.raises(AirflowSkipException):
        execute(AskDelegateOperator)  # nothing is handed over yet
    refused("can no longer be handed over", [hand], "alice", delegate="carol")  # nobody was asked yet
    monkeypatch.setattr(HITLOperator, "execute", lambda self, context: self)
    assert execute(AskOwnerOperator).options[-1] == hand
    for who in ("alice", "bob", "dan", "", None):
        refused("Nothing was recorded", [hand], "alice", delegate=who)
    refused("Nothing was recorded", [hand, everything], "alice", delegate="carol")
    refused("only its reviewer", [hand], "carol", delegate="carol")
    refused("only its reviewer", [everything], "carol", AskDelegateOperator)  # before it is handed over
    handed = answer(review, mapped[0], [hand], "alice", delegate="carol", comment="you know them")
    assert handed["handed_to"] == "carol" and handed["method"] == ""
    assert execute(AskOwnerOperator) == handed, "a cleared task asks the owner no more"
    refused("only the colleague", [everything], "alice")
    refused("Nothing was recorded", [hand], "carol", AskDelegateOperator, delegate="alice")
    late = {"error": "late", "error_type": "timeout"}
    stale = AskOwnerOperator(task_id="ask", question=mapped[0]).execute_complete(review.context("ask"), late)
    assert stale == handed, "a stale timeout of the owner's task settles nothing"
    shown = execute(AskDelegateOperator)
    assert [one["id"] for one in shown.assigned_users] == ["carol"] and "you know them" in shown.body
    assert shown.options == [keep, everything, *options(first)[2:-1]] and set(shown.params) == {"comment"}
    assert 0 < shown.response_timeout.total_seconds() <= 72 * 3600
    for who in ("alice", "bob", "rita", ""):
        refused("only the colleague", [everything], who, AskDelegateOperator)
    with pytest.raises(Exception, match="questions to owners are not settled"):
        review.freeze()
    done = answer(review, mapped[0], [options(first)[2]], "carol", AskDelegateOperator, comment="left the team")
    assert (done["by"], done["revoke"]) == ("carol", 1)
    assert execute(AskOwnerOperator) == execute(AskDelegateOperator) == done
    answer(review, mapped[1], [options(put(review)[1])[0]], put(review)[1].reviewer)
    review.freeze()
    with review.ledger() as ledger:
        run = ledger.runs.find("access_review", review.run_id)
        decision = ledger.decisions.get(run.run_id, first.items[0].grant_id)
        assert (str(decision.choice), decision.facts["reviewed_by"]) == ("revoke", "carol")


def test_after_the_due_date_the_rule_applies_and_no_answer_counts(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A late answer, a late hand-over, and a task that is cleared when the time is over; the rule is to keep."""
    setup = campaign(bench)
    review = setup.run(ask_owners=True)
    mapped = asked(review)
    first, second = put(review)[:2]
    with review.ledger() as ledger:
        run = ledger.runs.find("access_review", review.run_id)
        for question, hours in ((first, timedelta(seconds=50)), (second, timedelta(milliseconds=1))):
            ledger.questions.put(run.run_id, question.digest, within=hours)
    due = put(review)[0].due_at
    with pytest.raises(AirflowException, match=r"too late to hand the question over.*Nothing was recorded"):
        answer(review, mapped[0], [options(first)[-1]], "alice", at=due - timedelta(seconds=1), delegate="carol")
    monkeypatch.setattr(HITLOperator, "execute", lambda self, context: self)
    closed = AskOwnerOperator(task_id="ask", question=mapped[1]).execute(review.context("ask"))
    assert (closed["method"], closed["by"], closed["revoke"]) == ("no_answer", "", 0)
    assert put(review)[0].method == ""
    late = answer(review, mapped[0], [options(first)[1]], "alice", at=due + timedelta(microseconds=1))
    assert (late["method"], late["by"], late["revoke"]) == ("no_answer", "", 0)
    assert AskOwnerOperator(task_id="ask", question=mapped[0]).execute(review.context("ask")) == late


def test_the_same_questions_stand_when_deciding_again_and_others_are_refused(bench: Bench) -> None:
    setup = campaign(bench)
    review = setup.run(ask_owners=True)
    mapped = asked(review)
    answer(review, mapped[0], [options(put(review)[0])[0]], "alice")
    again = DecideOperator(task_id="decide").execute(review.context("decide"))
    assert again == mapped and put(review)[0].method == "answer"
    with review.ledger() as ledger, pytest.raises(Exception, match="other questions already"):
        ledger.questions.ask(ledger.runs.find("access_review", review.run_id).run_id, put(review)[1:])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"default": "error"}, "no line names DATABASE|no line names"),
        ({"default": "nobody"}, "not listed under `reviewers`"),
        ({"reviewers": {"alice": {"person_id": "P-nobody"}}}, "roster does not know this person_id"),
        ({"no_answer": "maybe"}, "owners.yaml, line .*no_answer"),
    ],
)
def test_owners_that_leave_something_open_stop_the_run_before_anybody_is_asked(
    bench: Bench, change: dict[str, Any], message: str
) -> None:
    setup = campaign(bench, **change)
    with pytest.raises(Exception, match=message):
        asked(setup.run(ask_owners=True))


def test_the_question_is_put_to_its_reviewer_with_everything_in_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airflow's own side of the request is replaced: it needs a running API server."""
    setup = campaign(bench)
    setup.configure(campaign_hours=48)
    review = setup.run(ask_owners=True, reason="Quarterly review", ticket="T-9")
    mapped = asked(review)
    question = put(review)[0]
    monkeypatch.setattr(HITLOperator, "execute", lambda self, context: self)
    shown = AskOwnerOperator(task_id="ask", question=mapped[0]).execute(review.context("ask"))
    assert shown.assigned_users == [{"id": "alice", "name": "alice"}]
    assert shown.multiple and shown.defaults is None and len(set(shown.options)) == len(question.items) + 3 <= 103
    assert 48 * 3600 - 60 < shown.response_timeout.total_seconds() <= 48 * 3600
    until = put(review)[0].due_at
    assert f"An answer counts until {until:%Y-%m-%d %H:%M} UTC" in shown.body and "**Hand over**" in shown.body
    assert shown.params["delegate"] is None and set(shown.params) == {"delegate", "comment"}
    again = AskOwnerOperator(task_id="ask", question=mapped[0]).execute(review.context("ask"))
    assert again.body == shown.body and put(review)[0].due_at == until, "a cleared task moves no due date"
    assert question.digest in shown.body and "Quarterly review" in shown.body and "**keep**" in shown.body
    assert sum(line.split(".")[0].isdigit() for line in shown.body.splitlines()) == len(question.items)
