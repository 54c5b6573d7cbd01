"""The journal checker at the end of a review in process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from local.demo.journal import problems
from local.demo.truth import judge
from tests.support.reviews.review import Review


def agree(review: Review, summary: dict[str, Any]) -> None:
    """Check that plan, ledger and journal agree, and that exactly the planned records are gone from the emulator."""
    assert journal_problems(review) == []
    as_planned(review, summary)


def as_planned(review: Review, summary: dict[str, Any]) -> None:
    """Check that exactly the planned records are gone from the emulator."""
    judged = judge(review.worlds["discovered"], review.worlds["verified"], Path(summary["items_file"]))
    assert judged and [one for one in judged if not one.holds or one.added] == []


def journal_problems(review: Review, *, dsn: str = "", retries: int = 4, verified: bool = True) -> list[str]:
    """What plan, ledger and the emulator's journal say against this run; see :mod:`local.demo.journal`."""
    entries: list[dict[str, Any]] = review.bench.emulator.get("journal")["entries"]
    with review.ledger() as ledger:
        run = ledger.runs.find("access_review", review.run_id)
        assert run is not None
    return problems(dsn or review.bench.ledger_dsn, run.run_id, entries, retries=retries, verified=verified)
