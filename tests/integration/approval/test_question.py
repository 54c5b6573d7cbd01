"""The question to the approvers: when it is asked, whom, and which answers belong to it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from rescind.errors import GuardTrippedError
from rescind.i18n import Reader, current
from tests.support.reviews.review import Review, ReviewBench

pytestmark = pytest.mark.sockets

Bench = Callable[..., ReviewBench]


def _digest(review: Review) -> str:
    with review.ledger() as ledger:
        run = ledger.runs.find("access_review", review.run_id)
        return str(ledger.plans.get(run.run_id).digest)


def _ask(review: Review) -> Any:
    operator = review.approval()
    with review.ledger() as ledger:
        assert operator.ask(review.context("approve"), ledger) is None
    return operator


def _answer(review: Review, option: str) -> None:
    event = {
        "chosen_options": [option],
        "params_input": {},
        "responded_at": datetime.now(UTC),
        "responded_by_user": {"id": "omar", "name": "omar"},
    }
    review.approval().execute_complete(review.context("approve"), event)


def test_a_dry_run_never_asks(bench: Bench) -> None:
    review = bench().run(dry_run=True, systems=["dms_permissions"])
    review.through_plan()
    with review.ledger() as ledger:
        with pytest.raises(AirflowSkipException, match="Dry run"):
            review.approval().ask(review.context("approve"), ledger)
        run = ledger.runs.find("access_review", review.run_id)
        assert ledger.approvals.get(run.run_id, _digest(review)) is None


def test_the_option_names_the_plan_in_every_language_and_the_requester_is_not_asked(bench: Bench) -> None:
    setup = bench(approvers=["rita", "omar", "ada"], language="ja", time_zone="Asia/Tokyo")
    review = setup.run(dry_run=False, systems=["dms_permissions"])
    review.through_plan()
    asked = _ask(review)
    assert "取り消しを承認しますか" in asked.subject and _digest(review) in asked.body
    assert "回答期限" in asked.body and "UTC+9)**" in asked.body, "local time stands beside UTC"
    assert asked.params.get_param("comment").schema["title"].startswith("承認コメント")
    assert current() == Reader(), "the language is that of the text alone"
    assert asked.options == [f"Approve {_digest(review)}", f"Use my selection {_digest(review)[:12]}", "Reject"]
    assert asked.assigned_users == [{"id": "omar", "name": "omar"}, {"id": "ada", "name": "ada"}]


FAB = [{"id": "1", "name": "rita"}, {"id": "7", "name": "omar"}, {"id": "8", "name": "ada"}]
"""As FAB knows its users: by a number. The requester of a run is known by name."""


def _fab_review(bench: Bench, user: str, approvers: list[dict[str, str]]) -> Review:
    setup = bench(approvers=approvers)
    review = setup.run(dry_run=False, systems=["dms_permissions"], user=user)
    with review.ledger() as ledger:
        ledger.deployment.note_auth_manager("FabAuthManager")
    return review


def test_with_numbers_for_ids_the_requester_is_not_asked_and_cannot_approve(bench: Bench) -> None:
    review = _fab_review(bench, "rita", FAB)
    review.through_plan()
    assert _ask(review).assigned_users == FAB[1:]
    with review.ledger() as ledger:
        shown = ledger.views.run(ledger.runs.find("access_review", review.run_id).number, ["access_review"])[0]
    assert list(shown.approvers) == ["omar", "ada"], "the page names people"
    with pytest.raises(AirflowFailException, match="the requester cannot approve"):
        review.approve(user="1", name="rita")
    with pytest.raises(AirflowFailException, match="the requester cannot approve"):
        review.approve(user="1", name="rita.new")  # renamed after the run began: the setting still knows the name
    with pytest.raises(AirflowFailException, match="has another name for user '7' than Airflow"):
        review.approve(user="7", name="mallory")
    review.approve(user="7", name="omar")
    review.revoke()
    review.verify()
    summary = review.report()
    assert (summary["approved_by"], summary["approved_by_name"]) == ("7", "omar")


def test_a_user_who_is_called_like_the_number_of_another_one_is_not_that_one(bench: Bench) -> None:
    review = _fab_review(bench, "7", [{"id": "7", "name": "omar"}, {"id": "12", "name": "7"}])
    review.through_plan()
    assert _ask(review).assigned_users == [{"id": "7", "name": "omar"}]
    with pytest.raises(AirflowFailException, match="the requester cannot approve"):
        review.approve(user="12", name="7")
    review.approve(user="7", name="omar")
    review.revoke()
    assert review.bench.emulator.writes()


@pytest.mark.parametrize(
    ("approvers", "words"),
    [
        (["omar"], "no user id of FabAuthManager"),
        (["7"], "has no name"),
        ([{"id": "1", "name": "rita"}], "nobody may approve this run"),
    ],
)
def test_preflight_finds_approvers_whom_airflow_would_refuse(bench: Bench, approvers: Any, words: str) -> None:
    review = _fab_review(bench, "rita", approvers)
    with pytest.raises(Exception, match=words):
        review.preflight()


def test_the_words_of_an_older_question_approve_nothing(bench: Bench) -> None:
    review = bench().run(dry_run=False, systems=["dms_permissions", "quickbi_menus"])
    review.through_plan()
    old = _ask(review).options[0]
    with review.ledger() as ledger:
        run = ledger.runs.find("access_review", review.run_id)
        lost = next(scope for scope in ledger.scopes.all(run.run_id) if scope.system == "quickbi_menus")
        ledger.scopes.fail(run.run_id, lost.scope_id, "listed again, not complete")
    review.plan()
    new = _ask(review).options[0]
    assert new != old
    with pytest.raises(AirflowFailException, match="belongs to another plan"):
        _answer(review, old)
    with pytest.raises(Exception, match="no approver has answered"):
        review.revoke()
    _answer(review, new)
    assert review.revoke()[0]["accepted"] > 0


def test_the_cap_per_principal_stops_the_run_before_anybody_is_asked(bench: Bench) -> None:
    review = bench(max_per_principal=1).run(dry_run=False)
    with pytest.raises(
        AirflowFailException, match=r"cap_per_principal: limit 1 grants, measured .* grants of principal"
    ) as it:
        review.through_plan()
    assert isinstance(it.value.__cause__, GuardTrippedError)
    with review.ledger() as ledger:
        assert ledger.plans.find(ledger.runs.find("access_review", review.run_id).run_id) is None


def test_the_gate_is_red_without_a_report(bench: Bench) -> None:
    review = bench().run(dry_run=True, systems=["dms_permissions"])
    review.through_plan()
    with pytest.raises(AirflowFailException, match="the report was not written"):
        review.gate()


def test_the_gate_repeats_why_preflight_refused(bench: Bench) -> None:
    review = bench().run(kind="targets", dry_run=True, principals=["P99999"], reason="leaver")
    with pytest.raises(AirflowFailException) as refused:
        review.preflight()
    with pytest.raises(AirflowFailException, match="preflight refused this run, and nothing was sent: ") as red:
        review.gate()
    assert str(refused.value) in str(red.value)
