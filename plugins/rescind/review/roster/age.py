"""The age of a roster from one of its columns."""

from __future__ import annotations

from datetime import datetime

from rescind.errors import InputError
from rescind.review.roster.admit import Roster, RosterOptions
from rescind.review.roster.rows import iso_date
from rescind.review.text import parse_moment, printable


def oldest(roster: Roster, column: str, options: RosterOptions) -> datetime:
    """Return the oldest time of export that a row names, in UTC. A bare date counts from its start.

    :raises InputError: for a row without it.
    """
    moments = []
    for person in roster.people:
        where = f"{roster.source}, line {person.line}, column {printable(column)}"
        text = person.attributes.get(column, "")
        if not text:
            remedy = "Fill it in every row, or correct the column's name in the setting roster_as_of."
            raise InputError(where, "no time of the export", remedy)
        text = iso_date(text, options.date_format)
        moments.append(parse_moment(text, where=where, zone=options.zone, end_of_day=False))
    return min(moments)
