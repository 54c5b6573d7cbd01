"""Compare the size of a roster with the one that an earlier run used: a roster that has lost people decides nothing."""

from __future__ import annotations

from collections.abc import Mapping

from rescind.errors import GuardTrippedError
from rescind.review.roster.admit import Roster

PEOPLE = "people"
SHRINK_FROM = 10
"""Fewer people, or fewer ids of one platform, than this may shrink freely: a percentage means little for them."""


def sizes(roster: Roster) -> dict[str, int]:
    """Return the number of people, and of people with an id in each id space. Its own rows set aside are people."""
    ids = {space: sum(space in person.ids for person in roster.people) for space in sorted(roster.spaces)}
    return {PEOPLE: len(roster.people) + sum(not row.mapped for row in roster.aside.rows), **ids}


def check_shrink(roster: Roster, before: Mapping[str, int], run_number: int, max_percent: int) -> None:
    """Refuse a roster that has lost more people, or ids of one platform, than allowed.

    :param before: :func:`sizes` of the roster that the run ``run_number`` used.
    :param max_percent: greatest loss, in whole percent; 100 turns the check off.
    :raises GuardTrippedError: naming what has shrunk.
    """
    now = sizes(roster)
    for what, count in before.items():
        if count >= SHRINK_FROM and now.get(what, 0) * 100 < count * (100 - max_percent):
            words = "people" if what == PEOPLE else f"people with a {what}"
            raise GuardTrippedError(
                "roster.max_shrink_percent",
                f"{max_percent} %",
                f"{now.get(what, 0)} {words}, {count} in run {run_number}",
                "Check that the export has all pages and columns. If these people are really gone, raise "
                "roster_max_shrink_percent for one run (100 turns the check off).",
            )
