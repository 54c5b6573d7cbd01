"""Guards that look at people behind groups."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.closing.test_close_own_records import (
    ENGINEER,
    GROUPS,
    MENUS,
    OPERATIONS,
    PRIVILEGES,
    ROLES,
    asked,
    bench_of,
    in_a_project,
    mutate,
    two_members,
)
from tests.support.reviews.review import Review, ReviewBench

pytestmark = pytest.mark.sockets

Bench = Callable[..., ReviewBench]


def held(review: Review) -> dict[str, str]:
    """Why items are held, by entitlement and holder."""
    with review.ledger() as ledger:
        run = ledger.runs.find(review.dag_id, review.run_id)
        reasons = {item.grant_id: item.reason for item in ledger.plans.items(run.run_id) if not item.call_id}
        grants = ledger.snapshot.grants_by_id(run.run_id, list(reasons))
        return {f"{one.key.entitlement} of {one.key.principal_id}": reasons[ident] for ident, one in grants.items()}


def test_the_grant_of_a_group_stays_where_a_protected_person_would_lose_access(bench: Bench) -> None:
    setup = bench_of(bench, MENUS, GROUPS)
    _, group, menu, other = two_members(setup, other_keeps=False)
    going = asked(setup, group, menu, run_id="manual__1", dry_run=True, principals=[])
    going.through_plan()
    assert held(going) == {}

    file = Path(setup.settings["protections"])
    entry = {"space": "person_id", "id": other["person_id"], "reason": "on call"}
    file.write_text(file.read_text().replace("principals:", f"principals:\n- {json.dumps(entry)}", 1))
    review = asked(setup, group, menu, run_id="manual__2", dry_run=True, principals=[])
    review.through_plan()
    (why,) = held(review).values()
    assert other["quickbi_user_id"] in why and "behind the group" in why and "on call" in why


def test_the_last_person_behind_an_administration_stays(bench: Bench) -> None:
    setup = bench_of(bench, PRIVILEGES, ROLES)
    user, uin, project, table = in_a_project(setup, ENGINEER, OPERATIONS)
    world = setup.emulator.get("world")
    others = [
        {"op": "project_member", "project_id": project, "user_uin": row["user_uin"], "role_id": ENGINEER}
        for row in world["wedata_project_members"]
        if row["project_id"] == project and row["user_uin"] != uin and ENGINEER in row["role_ids"]
    ]
    place = {"system": PRIVILEGES, "resource_type": "Table", "resource_uri": table}
    right = {**place, "op": "grant", "privilege": "GRANT_PRIVILEGES"}
    mutate(setup, *others, {**right, "subject_type": "Role", "subject_value": f"{project}.{ENGINEER}"})
    going = asked(setup, user, project, run_id="manual__1", dry_run=True)
    going.through_plan()
    assert "without a person" not in str(held(going)), "others have the role too" if others else ""

    mutate(setup, *({**one, "remove": True} for one in others))
    review = asked(setup, user, project, run_id="manual__2", dry_run=True)
    review.through_plan()
    assert "without a person who has GRANT_PRIVILEGES" in held(review)[f"data engineer of {uin}"]

    mutate(setup, {**right, "subject_type": "User", "subject_value": world["people"][0]["wedata_user_id"]})
    again = asked(setup, user, project, run_id="manual__3", dry_run=True)
    again.through_plan()
    assert "without a person" not in str(held(again))
