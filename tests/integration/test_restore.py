"""Giving back, judged by the emulator's ground truth and journal."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.review import Restore, Review, ReviewBench

Bench = Callable[..., ReviewBench]
GIVES = {
    "AuthorizePrivileges": "wedata_privileges",
    "AuthorizeDataSource": "wedata_data_sources",
    "GrantUserPermission": "dms_permissions",
    "AuthorizeMenu": "quickbi_menus",
}
NEW_WITH_EVERY_RECORD = ("user_access_id", "create_date", "origin")
"""What the vendor makes anew when a DMS permission is given again."""


def reviewed(setup: ReviewBench, **params: Any) -> Review:
    """A whole review that took something away and was proven."""
    review = setup.run(dry_run=False, **params)
    assert review.whole()["problems"] == []
    return review


def truth(setup: ReviewBench) -> dict[str, Counter[str]]:
    """The emulator's truth, row by row, as far as giving back can bring it about."""
    return {
        system: Counter(
            json.dumps({k: v for k, v in row.items() if k not in NEW_WITH_EVERY_RECORD}, sort_keys=True) for row in rows
        )
        for system, rows in setup.emulator.get("truth").items()
        if system in GIVES.values()
    }


def number_of(review: Review) -> str:
    with review.ledger() as ledger:
        return str(ledger.runs.find(review.dag_id, review.run_id).number)


def approved(setup: ReviewBench, review: Review, **params: Any) -> Restore:
    restore = setup.restore(run=number_of(review), **params)
    restore.through_plan()
    restore.approve()
    return restore


def items(summary: dict[str, Any]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(summary["items_file"]).read_text().splitlines()]


def test_the_drill_review_revoke_restore_leaves_everything_as_it_was(bench: Bench) -> None:
    setup = bench()
    before = truth(setup)
    review = reviewed(setup)
    assert truth(setup) != before
    revokes = len(setup.emulator.writes())
    restore = approved(setup, review)
    restore.revoke()
    restore.verify()
    summary = restore.report()

    assert summary["problems"] == [] and restore.gate() == "succeeded"
    after = truth(setup)
    gone = {system: before[system] - after[system] for system in before}
    new = {system: after[system] - before[system] for system in before}
    assert not any(new.values()), new
    left = Counter(row["system"] for row in items(summary) if row["state"] == "held")
    assert {system: rows.total() for system, rows in gone.items() if rows} == dict(left)
    for row in summary["systems"]:
        assert row["restored"] == row["items"] > 0, row
        assert row["kept_lost"] == row["beyond"] == 0
    gave = [entry["action"] for entry in setup.emulator.writes()[revokes:]]
    assert set(gave) == set(GIVES) and len(gave) == summary["calls"]
