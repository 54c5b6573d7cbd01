"""What an approver reads about who a person is."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from rescind.model import Cell, Choice, Decision, Grant, GrantKey
from rescind.workflow.question.people_text import _who_is
from rescind.workflow.question.plan_people import _person

ADA = {"matched_by": "id:dms_user_id", "person.id": "P1", "person.name": "Ada", "person.status": "left"}


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        # A last day of January 31 in UTC ends with February 1, 00:00.
        ({**ADA, "person.terminated_at": "2026-02-01T00:00:00Z"}, "roster: left, gone from 2026-02-01 00:00 UTC"),
        ({**ADA, "person.terminated_at": "unknown"}, "roster: left, no leaving date known"),
        ({"matched_by": "none"}, "**51001** · not in the roster"),
        ({"matched_by": "set_aside"}, "**51001** · no certain match in the roster"),
        ({"matched_by": "conflict"}, "**51001** · no certain match in the roster"),
    ],
)
def test_it_is_what_the_roster_says(facts: Mapping[str, str], says: str) -> None:
    key = GrantKey("dms_permissions", "1000@cn", "DATABASE", "d1", "user", "51001", "QUERY", "")
    grant = Grant(key, Cell("DATABASE", "d1", "user", ("51001",)))
    decision = Decision(grant.grant_id, Choice.REVOKE, "requested", "asked for", "high", facts=facts)
    assert says in _who_is(_person({}, grant, decision, {}), leaving=False).replace("\\", "")
