"""Runs that preflight refused: on the page, with the reason, for the people who may read their DAG."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from airflow.sdk.exceptions import AirflowFailException

from rescind.ledger.read_models.queries import MOST_REFUSED
from rescind.operators.preflight import PreflightOperator
from tests.integration.pages.test_page import page
from tests.support.markup import Markup
from tests.support.reviews.review import Review, ReviewBench

pytestmark = pytest.mark.sockets

Bench = Callable[..., ReviewBench]
WHY = "nothing\u202e <b>yet</b>"


def _refused(setup: ReviewBench, run_id: str = "manual__1", **more: Any) -> Review:
    review = setup.run(run_id, kind="targets", **{"dry_run": True, "principals": ["P99999"], "reason": WHY, **more})
    with pytest.raises(AirflowFailException):
        review.preflight()
    return review


def test_a_refused_run_is_listed_with_its_reason_and_a_way_to_the_log(bench: Bench) -> None:
    setup = bench()
    _refused(setup)
    text = page(setup, "/runs").text
    shown = Markup.of(text).text
    assert "Not started (1)" in shown and "P99999" in shown and "asked for by rita" in shown
    assert "Nothing was sent" in shown and "InputError" not in shown
    assert "No review has run yet" not in shown
    assert "<b>yet</b>" not in text and "\u202e" not in text
    assert 'href="../dags/access_review/runs/manual__1/tasks/preflight"' in text.replace('href="../../', 'href="../')


def test_a_reader_of_another_dag_does_not_see_it(bench: Bench) -> None:
    review = _refused(bench())
    with review.ledger() as ledger:
        assert ledger.views.dag_ids() == ["access_review"]
        assert [one.said for one in ledger.views.refused(["revoke_access"])] == []
        (line,) = ledger.views.refused(["access_review"])
    assert (line.airflow_run_id, line.requested_by, line.dry_run) == ("manual__1", "rita", True)


def test_a_run_that_begins_after_all_is_listed_as_a_run_only(bench: Bench) -> None:
    setup = bench()
    review = setup.run(dry_run=False, systems=["dms_permissions"])
    setup.configure(approvers=["rita"])
    for _ in range(2):
        with pytest.raises(AirflowFailException, match="nobody may approve"):
            review.preflight()
    with review.ledger() as ledger:
        (line,) = ledger.views.refused(["access_review"])
    assert not line.dry_run and line.said.startswith("ConfigurationError: nobody may approve")
    setup.configure(approvers=["omar"])
    review.preflight()
    with review.ledger() as ledger:
        assert ledger.views.refused(["access_review"]) == []
        assert [run.number for run in ledger.views.runs(["access_review"])] == [1]


def test_an_error_that_nobody_foresaw_is_listed_by_its_kind(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise KeyError("secret-text")

    monkeypatch.setattr(PreflightOperator, "request", broken)
    review = bench().run(dry_run=True)
    with pytest.raises(KeyError):
        review.preflight()
    with review.ledger() as ledger:
        (line,) = ledger.views.refused(["access_review"])
    assert "KeyError" in line.said and "secret-text" not in line.said


def test_only_the_last_ones_and_of_each_run_its_last_refusal(bench: Bench) -> None:
    setup = bench()
    for number in range(MOST_REFUSED + 1):
        review = _refused(setup, f"manual__{number}")
    with review.ledger() as ledger:
        lines = ledger.views.refused(["access_review"])
    assert [one.airflow_run_id for one in lines] == [f"manual__{n}" for n in range(MOST_REFUSED, 0, -1)]
    assert f"Not started ({MOST_REFUSED}, the last ones)" in Markup.of(page(setup, "/runs").text).text


def test_a_refusal_is_kept_as_it_was(bench: Bench) -> None:
    setup = bench()
    _refused(setup, reason="x" * 400)
    with psycopg.connect(setup.ledger_dsn) as connection:
        for statement in (
            "UPDATE rescind.refusal SET said = ''",
            "DELETE FROM rescind.refusal",
            "TRUNCATE rescind.refusal",
        ):
            with pytest.raises(psycopg.Error), connection.transaction():
                connection.execute(statement.encode())


def test_without_the_ledger_the_reason_stays_that_of_preflight(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    setup = bench()
    monkeypatch.setenv("AIRFLOW_CONN_RESCIND_LEDGER", "postgresql://nobody@127.0.0.1:9/none?connect_timeout=1")
    review = setup.run(dry_run=True)
    with pytest.raises(Exception, match="ledger"):
        review.preflight()
