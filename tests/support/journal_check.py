"""The journal checker at the end of a review in process."""

from __future__ import annotations

from typing import Any

from local.demo.journal import problems
from tests.support.review import Review


def journal_problems(review: Review, *, dsn: str = "", retries: int = 4, verified: bool = True) -> list[str]:
    """What plan, ledger and the emulator's journal say against this run; see :mod:`local.demo.journal`."""
    entries: list[dict[str, Any]] = review.bench.emulator.get("journal")["entries"]
    with review.ledger() as ledger:
        run = ledger.runs.find("access_review", review.run_id)
        assert run is not None
    return problems(dsn or review.bench.ledger_dsn, run.run_id, entries, retries=retries, verified=verified)
