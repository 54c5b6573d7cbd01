"""An approver leaves people out: they keep everything, the rest needs a second answer, and both are in the evidence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from rescind.evidence.bundle.answers import narrowing as bundle_narrowing
from rescind.evidence.bundle.answers.narrowing import check_narrowing
from rescind.evidence.bundle.effect_ids import effect_ids
from rescind.evidence.bundle.format import EFFECTS
from rescind.evidence.bundle.read import FolderSource, records
from rescind.evidence.bundle.verify import verify
from rescind.ledger.plans.narrowings import digest_of_grants
from tests.support.reviews.approval import KEYS
from tests.support.reviews.narrower import narrower_plans
from tests.support.reviews.review import Review, ReviewBench
from tests.support.servers.postgres import tampering

pytestmark = pytest.mark.sockets

Bench = Callable[..., ReviewBench]
WHY = "still hands over | <b>*until*</b> Friday"


def asked(review: Review) -> tuple[Review, dict[str, str]]:
    """Bring a review to where its plan waits for an approval; the choices of its form, as label by value."""
    review.through_plan()
    return review, choices_of(review)


def choices_of(review: Review) -> dict[str, str]:
    operator = review.approval()
    with review.ledger() as ledger:
        assert operator.ask(review.context("approve"), ledger) is None
    field = operator.serialized_params["leave_out"]["schema"]
    assert field["examples"] == list(field["values_display"]) and "null" in field["type"]
    choices: dict[str, str] = field["values_display"]
    return choices


def small(bench: ReviewBench, run_id: str = "manual__1", **params: Any) -> Review:
    return bench.run(run_id, dry_run=False, systems=["quickbi_menus", "dms_permissions"], **params)


def first(choices: dict[str, str], word: str = "everything") -> str:
    return next(value for value, label in choices.items() if word in label)


def state(review: Review) -> dict[str, Any]:
    """The plan, what may be sent by it, and what the ledger holds of answers."""
    with review.ledger() as ledger:
        ledger.approvals.keys = KEYS
        run = ledger.runs.find(review.dag_id, review.run_id)
        plan = ledger.plans.get(run.run_id)
        approval = ledger.approvals.get(run.run_id, plan.digest)
        return {
            "plan": plan.digest,
            "state": plan.state,
            "calls": plan.calls,
            "answer": approval.answer if approval else None,
            "narrowing": ledger.narrowings.find(run.run_id),
            "until": plan.valid_until,
            "items": {item.grant_id: (str(item.state), item.reason) for item in ledger.plans.items(run.run_id)},
        }


def test_a_person_who_is_left_out_keeps_everything_and_the_rest_is_proven_gone(bench: Bench) -> None:
    review, choices = asked(small(bench()))
    value = first(choices)
    before = state(review)
    mine = {one["grant_id"] for one in planned(review) if one["person"] and one["person"] in choices[value]}
    assert f"({len(mine)})" in choices[value] and 0 < len(mine) < len(before["items"])

    review.approve(leave_out=[value, value], comment=WHY)
    told = state(review)
    assert (told["plan"], told["state"], told["answer"]) == (before["plan"], "frozen", None), "nothing is approved"
    assert told["narrowing"].grants == len(mine)
    nothing_is_sent(review, "only the narrowed plan can be approved")
    again = review.approval()
    with review.ledger() as ledger:  # the task is cleared: it asks nobody again
        assert again.ask(review.context("approve"), ledger)["answer"] == "leave out"

    question = review.ask_again()
    after = state(review)
    assert after["plan"] not in (before["plan"], None) and after["until"] == before["until"]
    assert question.options == [f"Approve {after['plan']}", "Reject"]
    assert question.subject.startswith("Second question: approve revoking") and after["plan"][:12] in question.subject
    assert f"left out {len(mine)} grants of plan" in question.body and r"\<b\>\*until\*\</b\> Friday" in question.body
    assert f"{len(mine)} kept by the approver" in question.body and "leave_out" not in question.serialized_params
    nothing_is_sent(review, "no approver has answered")

    review.approve_part(comment="the rest can go")
    review.canary()
    review.revoke()
    review.verify()
    summary = review.report()
    assert (summary["state"], summary["outcome"]["key"]) == ("succeeded", "remains")
    assert f"{len(mine)} kept by the approver" in summary["outcome"]["remains"]
    rows = [json.loads(line) for line in Path(summary["items_file"]).read_text(encoding="utf-8").splitlines()]
    kept = [row for row in rows if row["state"] == "held"]
    assert {row["reason"] for row in kept} == {f"kept by omar: {WHY}"} and len(kept) == len(mine)
    assert all(row["verdict"] for row in rows if row["state"] != "held")
    assert {ident for ident, (one, _) in after["items"].items() if one == "held"} == mine
    there = review.bench.emulator.get("world")
    assert_still_there(review, there, mine)
    the_evidence_tells(review, summary, mine, before["plan"])


def planned(review: Review) -> list[dict[str, str]]:
    """The planned grants with the person behind each."""
    with review.ledger() as ledger:
        run = ledger.runs.find(review.dag_id, review.run_id)
        items = {item.grant_id for item in ledger.plans.items(run.run_id) if item.call_id}
        return [
            {"grant_id": grant.grant_id, "person": str(decision.facts.get("person.id", ""))}
            for grant, decision in ledger.decisions.each(run.run_id, choice="revoke")
            if grant.grant_id in items
        ]


def nothing_is_sent(review: Review, message: str) -> None:
    with review.ledger() as ledger:
        run = ledger.runs.find(review.dag_id, review.run_id)
        review.batches = [{"batch": b.batch_id, "label": b.label} for b in ledger.plans.batches(run.run_id)]
    with pytest.raises(Exception, match=message):
        review.revoke()
    assert not review.bench.emulator.writes()


def assert_still_there(review: Review, world: Any, kept: set[str]) -> None:
    """A fresh listing has every grant that was kept."""
    later = review.bench.run("manual__later", dry_run=True, systems=["quickbi_menus", "dms_permissions"])
    later.through_plan()
    with later.ledger() as ledger:
        run = ledger.runs.find(later.dag_id, later.run_id)
        assert set(ledger.snapshot.grants_by_id(run.run_id, list(kept))) == kept


def the_evidence_tells(review: Review, summary: dict[str, Any], kept: set[str], before: str) -> None:
    """Both answers are sealed, and the offline verifier checks the first one."""
    source = FolderSource(Path(summary["bundle"].removeprefix("file://")))
    result = verify(source, approval_keys=[*KEYS.accepted.values()])
    assert result.problems == [] and any("'omar' left out" in note for note in result.notes)
    (plan,) = records(source, "plan")
    narrowing = plan["narrowing"]
    assert (narrowing["digest"], narrowing["comment"], narrowing["grants"]) == (before, WHY, len(kept))
    assert narrowing["grants_digest"] == digest_of_grants(kept)
    (approval,) = records(source, "approvals")
    assert (approval["digest"], approval["comment"]) == (plan["digest"], "the rest can go")
    strange = verify(source, approval_keys=[bytes(range(32))])
    assert any("what was left out is signed by key" in problem for problem in strange.problems)
    the_verifier_finds_changes(source, plan)


def the_verifier_finds_changes(source: FolderSource, plan: dict[str, Any]) -> None:
    """Whatever is changed in the record of what was left out, in the plan or in the items is a problem."""
    (review,) = records(source, "review")
    items = {item["grant_id"]: item for item in records(source, "items")}
    kept = sorted(ident for ident, item in items.items() if item["state"] == "held")
    sent = min(ident for ident, item in items.items() if item["call"])
    narrowing = plan["narrowing"]

    def problems(of: dict[str, Any] | None = None, found: Any = items, run: Any = review, ids: Any = effect_ids) -> str:
        given = {name: one for name, one in plan.items() if name != "narrowing"}
        given |= {"narrowing": {**narrowing, **of}} if of is not None else {}
        with mock.patch.object(bundle_narrowing, "effect_ids", ids):
            return "; ".join(check_narrowing(source, run, given, found, None)[0])

    def with_one_more(where: FolderSource, name: str) -> list[str]:
        return [*effect_ids(where, name), *(kept[:1] if name == EFFECTS else ())]

    def with_another(where: FolderSource, name: str) -> list[str]:
        return [*effect_ids(where, name), *(["f" * 64] if name != EFFECTS else ())]

    assert problems({}) == ""
    assert problems() == "the plan was narrowed, and nothing says by whom"
    for change in (
        {"comment": "x"}, {"left_out": []}, {"grants": 1}, {"grants_digest": "0" * 64}, {"responded_by": "ada"},
        {"nonce": "0"}, {"valid_until": narrowing["requested_at"]}, {"signature": ""}, {"digest": "0" * 64},
    ):  # fmt: skip
        assert "signature of what was left out" in problems(change), change
        assert ("does not name what was left out" in problems(change)) == ("signature" not in change), change
    assert "not accepted" in problems({"public_key": ""})
    assert "the signature of what was left out" in problems({}, run={**review, "run": "run-2"})
    assert "the requester left out" in problems({}, run={**review, "requested_by": "Omar"})
    assert "the requester left out" in problems({"requested_by": "omar"})
    for changed in ({kept[0]: {**items[kept[0]], "reason": "x"}}, {sent: {**items[kept[0]]}}, {kept[0]: items[sent]}):
        assert "the grants that were kept are not those" in problems({}, {**items, **changed})
    assert "that was left out, or that the plan before it did not have" in problems({}, ids=with_one_more)
    assert "the plan before it had other grants" in problems({}, ids=with_another)
    assert "match its digest" in problems({"digest": "0" * 64})
    assert "narrowed twice" in "; ".join(
        check_narrowing(source, review, {**plan, "digest": narrowing["digest"]}, items, None)[0]
    )


BAD: list[tuple[dict[str, Any], str]] = [
    ({"leave_out": ["{value}"]}, "has no reason"),
    ({"leave_out": ["{value}"], "comment": " \n "}, "has no reason"),
    ({"leave_out": ["{foreign}"], "comment": WHY}, "1 entries that are not in this plan"),
    ({"leave_out": ["P00010"], "comment": WHY}, "not in this plan"),
    ({"leave_out": ["{value}", 7], "comment": WHY}, "not a list of texts"),
    ({"leave_out": {"{value}": 1}, "comment": WHY}, "not a list of texts"),
    ({"leave_out": ["x" * 201], "comment": WHY}, "an entry of 201 characters"),
    ({"leave_out": [f"{n:016x}" for n in range(50_000)], "comment": WHY}, "50000 entries, more than 1000"),
    ({"leave_out": "x" * 1_000_000, "comment": WHY}, "has 1000000 characters"),
    ({"leave_out": ["{value}"], "comment": "x" * 1001}, "has 1001 characters"),
    ({"leave_out": ["{value}"], "comment": WHY, "grants": ["a"]}, "unknown fields"),
]


def test_forged_and_faulty_answers_change_nothing_and_say_why(bench: Bench) -> None:
    one = bench(approvers=["omar", "ada"])
    other, theirs = asked(small(one, "manual__other"))
    with other.ledger() as ledger:
        ledger.runs.finish(ledger.runs.find(other.dag_id, other.run_id).run_id, "failed", {})
    review, choices = asked(small(one))
    value, foreign = first(choices), first(theirs)
    assert value != foreign and sorted(choices.values()) == sorted(theirs.values()), "a choice fits one plan only"
    before = state(review)
    for fields, message in BAD:
        filled = json.loads(json.dumps(fields).replace("{value}", value).replace("{foreign}", foreign))
        with pytest.raises(Exception, match=message):
            review.approve(**filled)
    for user, message in (("rita", "requester cannot approve"), ("vera", "not listed"), ("", "not listed")):
        with pytest.raises(Exception, match=message):
            review.approve(user, leave_out=[value], comment=WHY)
    with pytest.raises(Exception, match="nothing was left out of this plan"):
        review.approve_part()
    with pytest.raises(Exception, match="expired"):
        review.approval().execute_complete(review.context("approve"), {"error": "late", "error_type": "timeout"})
    assert state(review) == before and before["narrowing"] is None
    nothing_is_sent(review, "no approver has answered")

    review.approve(leave_out=[value], comment=WHY)
    told = state(review)
    review.approve(leave_out=[value], comment=WHY)  # delivered twice
    for fields in ({"leave_out": [list(choices)[-1]], "comment": WHY}, {"leave_out": [value], "comment": "other"}):
        with pytest.raises(Exception, match="has left out a part of its plan already"):
            review.approve("ada", **fields)
    for answer in ("approve", "reject"):
        with pytest.raises(Exception, match="left out a part of it"):
            review.approve("ada", answer)
    assert state(review) == told

    review.ask_again()
    narrower = state(review)
    assert review.ask_again().options == [f"Approve {narrower['plan']}", "Reject"], "the same plan, asked again"
    old = {"chosen_options": [f"Approve {before['plan']}"], "params_input": {}, "responded_at": told["until"]}
    for task in (review.second(), review.approval()):
        with pytest.raises(Exception, match="belongs to another plan"):
            task.execute_complete(review.context("approve_part"), {**old, "responded_by_user": {"id": "omar"}})
    with pytest.raises(Exception, match="nothing can be left out"):
        review.approve_part(leave_out=[value], comment=WHY)
    with pytest.raises(Exception, match="requester cannot approve"):
        review.approve_part("rita")
    with pytest.raises(Exception, match="expired"):
        review.second().execute_complete(review.context("approve_part"), {"error": "late", "error_type": "timeout"})
    one.configure(approvers=["ada"])
    with pytest.raises(Exception, match="not listed in the setting 'approvers'"):
        review.approve_part("omar")
    assert state(review) == narrower
    nothing_is_sent(review, "no approver has answered")
    with pytest.raises(Exception, match="Rejected by ada"):
        review.approve_part("ada", "reject")
    nothing_is_sent(review, "'ada' rejected it")
    review.verify()
    assert review.report()["state"] == "rejected"


FORGED = (
    "INSERT INTO rescind.narrowing (run_no, digest, left_out, grants, grants_digest, responded_by, responded_by_name,"
    " responded_at, comment, signing_key, signature) SELECT run_no, digest, '[[\"P00010\", \"\"]]', 1, repeat('0', 64),"
    " 'omar', '', clock_timestamp(), 'why', '{key}', repeat('00', 64) FROM rescind.approval"
)


@pytest.mark.parametrize("key", ["", *KEYS.accepted])
def test_a_ledger_writer_without_the_key_leaves_nothing_out_and_approves_nothing(bench: Bench, key: str) -> None:
    review, choices = asked(small(bench()))
    before = state(review)
    edit(review, FORGED.format(key=key))
    why = "is not accepted here" if not key else "is not valid"
    for task in (review.approval(), review.second()):
        with pytest.raises(Exception, match=f"left out a part of plan.*{why}"):
            task.execute(review.context("approve"))
    with pytest.raises(Exception, match=f"left out a part of its plan, but.*{why}"):
        review.approve(leave_out=[first(choices)], comment=WHY)
    with pytest.raises(Exception, match="left out a part of it"):
        review.approve()
    after = state(review)
    assert {**after, "narrowing": None} == before, "no other plan, no other item"
    nothing_is_sent(review, "only the narrowed plan can be approved")
    review.verify()
    summary = review.close()
    result = verify(FolderSource(Path(summary["bundle"].removeprefix("file://"))))
    assert any("what was left out" in problem for problem in result.problems), result.problems


def test_a_ledger_writer_cannot_make_the_narrower_plan_wider(bench: Bench) -> None:
    review, choices = asked(small(bench()))
    review.approve(leave_out=[first(choices)], comment=WHY)
    edit(review, 'UPDATE rescind.narrowing SET left_out = \'[["P99999", ""]]\'')
    with pytest.raises(Exception, match="is not valid"):
        review.second().execute(review.context("approve_part"))
    assert state(review)["calls"], "no narrower plan was made"


def test_what_is_approved_cannot_be_sent_once_its_narrowing_is_gone_or_grows(bench: Bench) -> None:
    review, choices = asked(small(bench()))
    review.approve(leave_out=[first(choices)], comment=WHY)
    review.ask_again()
    review.approve_part()
    kept = next(ident for ident, (one, _) in state(review)["items"].items() if one == "held")
    edit(review, f"UPDATE rescind.plan_item SET state = 'approved', call_id = (SELECT min(call_id) FROM rescind.call)"
                 f" WHERE grant_id = '\\x{kept}'")  # fmt: skip
    edit(review, "CREATE TABLE rescind.aside AS SELECT * FROM rescind.narrowing", "DELETE FROM rescind.narrowing")
    nothing_is_sent(review, "was narrowed, but the ledger does not say by whom")
    edit(review, "INSERT INTO rescind.narrowing SELECT * FROM rescind.aside")
    nothing_is_sent(review, "not those that were signed")


def edit(review: Review, *statements: str) -> None:
    """Change the ledger as its owner could, without triggers."""
    with tampering(review.bench.ledger_dsn) as connection:
        for statement in statements:
            assert connection.execute(statement.encode()).rowcount > 0, statement


def test_leaving_out_everybody_sends_nothing_and_the_next_review_tells(bench: Bench) -> None:
    one = bench()
    review, choices = asked(small(one))
    review.approve(leave_out=list(choices), comment=WHY)
    with pytest.raises(Exception, match="omar left out everything that would go: nothing will be sent"):
        review.second().execute(review.context("approve_part"))
    assert state(review)["calls"] == 0 and {one for one, _ in state(review)["items"].values()} == {"held"}
    review.verify()
    summary = review.report()
    assert summary["outcome"]["words"] == f"closed, access remains ({summary['left_out']})"
    report = Path(summary["report"].removeprefix("file://")).read_text(encoding="utf-8")
    assert "The approver left out all" in report and "kept by omar: still hands over" in report
    assert "kept by the approver" in report and not one.emulator.writes()

    later, _ = asked(small(one, "manual__2"))
    question = later.approval()
    with later.ledger() as ledger:
        ledger.approvals.keys = KEYS
        assert question.ask(later.context("approve"), ledger) is None
    told = f"{summary['left_out']} of these grants were left out of run {summary['number']} by omar"
    assert told in question.body and r"\<b\>\*until\*" in question.body


def test_a_narrower_plan_is_a_part_of_the_plan_before_it_whatever_is_left_out(bench: Bench) -> None:
    review = bench().run(dry_run=False)
    review.through_plan()
    assert narrower_plans(review, (1, 20, 3)) == {"strict", "emptying"}
