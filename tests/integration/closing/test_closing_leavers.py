"""A leaver with every kind of way that a system takes away ends at zero access, judged by the independent oracle."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.closing.test_closing_worlds import ENABLED, organization
from tests.support.oracle.leaver import leaver_of, reached_by
from tests.support.oracle.reach import Reached, lost
from tests.support.reviews.journal_check import as_planned, journal_problems
from tests.support.reviews.review import ReviewBench

pytestmark = pytest.mark.sockets

Bench = Callable[..., ReviewBench]
Row = dict[str, Any]


def left(bench: Bench, seed: int, *sizes: str, back: bool = True) -> set[Reached]:
    """One organization in which a leaver with every kind of way ends at zero in one run; nobody else loses anything.

    :param back: whether a restore has to bring everything back.
    :returns: what the leaver had.
    """
    setup, world = organization(bench, seed, *sizes)
    leaver = leaver_of(setup.emulator, world, seed)
    review = setup.run(systems=ENABLED, dry_run=False, close_paths="own", max_percent=100)
    summary = review.whole()
    before, after = review.worlds["discovered"], review.worlds["verified"]
    had = faithful(before, leaver)
    leavers = {one["person_id"] for one in world["people"] if one["status"] == "left"}
    assert lost(before, after, leavers) == []
    assert reached_by(after, leaver, ENABLED) == set()
    assert journal_problems(review) == []
    as_planned(review, summary)
    if back:
        restore = setup.restore(run="1")
        restore.through_plan()
        restore.approve()
        restore.revoke()
        restore.verify()
        restore.close()
        assert had - reached_by(setup.emulator.get("world"), leaver, ENABLED) == set()
    return had


def faithful(world: Row, person: Row) -> set[Reached]:
    """What one person reaches otherwise than by a database's own account, whose password a restore would need."""
    opened_again = [row for row in world["dms_proxy_accesses"] if not row["account"]]
    return reached_by({**world, "dms_proxy_accesses": opened_again}, person, ENABLED)


@pytest.mark.seconds(600)
def test_a_leaver_with_every_kind_of_path_ends_at_zero_and_a_restore_brings_it_back(bench: Bench) -> None:
    had = left(bench, 1)
    assert {one.system for one in had} == set(ENABLED) - {"quickbi_work_authorizations"}
