"""What an approver writes beside the answer: signed, sealed, shown, and harmless."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

from rescind.evidence.bundle.read import FolderSource, records
from tests.integration.pages.test_page import page as page_of
from tests.support.reviews.review import Review, ReviewBench
from tests.support.servers.postgres import tampering

pytestmark = pytest.mark.sockets

Bench = Callable[..., ReviewBench]
TYPED = "Agreed with HR, <b>**ticket** [HR-7](http://evil.example)\u202e\nreason: " + "word " * 100 + "end"
STORED = TYPED.replace("\u202e", "<U+202E>")


def _planned(bench: Bench) -> Review:
    review = bench().run(dry_run=False, systems=["dms_permissions"])
    review.through_plan()
    return review


def _records(folder: str, kind: str) -> list[dict[str, Any]]:
    return list(records(FolderSource(Path(folder)), kind))


def test_a_comment_is_signed_and_shown_where_people_look(bench: Bench) -> None:
    review = _planned(bench)
    review.approve(comment=TYPED)
    review.revoke()
    review.verify()
    summary = review.report()  # verifies the bundle, with the signature over the comment
    (approval,) = _records(summary["bundle"].removeprefix("file://"), "approvals")
    assert approval["comment"] == STORED
    page = Path(summary["report"].removeprefix("file://")).read_text(encoding="utf-8")
    assert "Agreed with HR, &lt;b&gt;**ticket** [HR-7](http://evil.example)&lt;U+202E&gt;" in page
    with review.ledger() as ledger:
        run = ledger.runs.find("access_review", review.run_id)
        assert ledger.views.run(run.number, ["access_review"])[1].comment == STORED
    shown = page_of(review.bench, "/runs/1").text
    assert escape(STORED) in shown, "the whole comment, with its line ends"


def test_a_rejection_keeps_its_comment(bench: Bench) -> None:
    review = _planned(bench)
    with pytest.raises(AirflowSkipException, match="Rejected by omar"):
        review.approve(answer="reject", comment="wrong people")
    summary = review.close()
    (approval,) = _records(summary["bundle"].removeprefix("file://"), "approvals")
    assert (approval["answer"], approval["comment"]) == ("reject", "wrong people")


@pytest.mark.parametrize("comment", ["another reason", ""])
def test_a_comment_that_was_changed_in_the_ledger_revokes_nothing(bench: Bench, comment: str) -> None:
    review = _planned(bench)
    review.approve(comment="agreed")
    with tampering(review.bench.ledger_dsn) as connection:
        connection.execute("UPDATE rescind.approval SET comment = %s", (comment,))
    with pytest.raises(Exception, match=r"signature of the approval by key .* is not valid"):
        review.revoke()
    assert review.bench.emulator.writes() == []


@pytest.mark.parametrize(
    "fields", [{"comment": "x" * 1001}, {"comment": 7}, {"approve": "yes"}, {"comment": "ok", "max_revocations": 1}]
)
def test_an_answer_with_fields_that_no_form_sends_approves_nothing(bench: Bench, fields: dict[str, Any]) -> None:
    review = _planned(bench)
    with pytest.raises(AirflowException, match=r"answer.*The same question is asked again") as caught:
        review.approve(**fields)
    assert not isinstance(caught.value, AirflowFailException), "a retry asks again"
    with review.ledger() as ledger:
        run = ledger.runs.find("access_review", review.run_id)
        assert ledger.approvals.get(run.run_id, ledger.plans.get(run.run_id).digest).answer is None
    with pytest.raises(Exception, match="no approver has answered"):
        review.revoke()
    assert review.bench.emulator.writes() == []


def test_the_form_is_made_when_the_question_is_asked(bench: Bench) -> None:
    review = _planned(bench)
    operator = review.approval()
    with review.ledger() as ledger:
        assert operator.ask(review.context("approve"), ledger) is None
    fields = {name: field["value"] for name, field in operator.serialized_params.items()}
    assert fields == {"leave_out": None, "comment": None}
