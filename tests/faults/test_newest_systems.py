"""The four newest permission systems under faults: whatever an answer was, exactly the planned record is judged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.reviews.journal_check import as_planned, journal_problems
from tests.support.reviews.review import Review, ReviewBench
from tests.support.reviews.verdicts import items_file, mutate, script, somebody

Bench = Callable[..., ReviewBench]
Row = dict[str, Any]
FAR = 4_000_000_000_000
ACTIONS = {
    "quickbi_work_authorizations": "DeleteAuthorizationByUserId",
    "quickbi_dataset_whitelists": "AddDataLevelPermissionWhiteList",
    "dms_abac_authorizations": "DeleteAbacAuthorization",
    "wedata_studio_permissions": "DeleteCodePermissions",
}
GONE = {"verified_gone", "record_gone", "still_effective"}
each = pytest.mark.parametrize("system", ACTIONS)


def given(world: Row, system: str, person: Row) -> Row:
    """The operation that gives one record of a system to a person."""
    user = person["quickbi_user_id"]
    if system == "quickbi_work_authorizations":
        work = world["quickbi_works"][0]["works_id"]
        return {"op": "work_authorization", "resource_id": work, "receiver_type": 0, "receiver_id": user,
                "expires": FAR}  # fmt: skip
    if system == "quickbi_dataset_whitelists":
        dataset = world["quickbi_datasets"][0]["dataset_id"]
        return {"op": "dataset_whitelist", "dataset_id": dataset, "rule_type": "ROW_LEVEL", "receiver_type": 0,
                "receiver_id": user}  # fmt: skip
    if system == "dms_abac_authorizations":
        policy = next(row for row in world["dms_policies"] if row["effect"] == "Allow")["policy_id"]
        return {"op": "dms_policy_member", "policy_id": policy, "user_id": person["dms_user_id"]}
    node = next(row for row in world["wedata_studio_nodes"] if row["kind"] == "script")["node_id"]
    return {"op": "studio_permission", "node_id": node, "subject_type": "user", "privilege": "CAN_EDIT",
            "subject_value": person["wedata_user_id"]}  # fmt: skip


def approved(bench: Bench, system: str) -> Review:
    """A run that takes the records of a system from one person, approved."""
    connections = {system: [f"{system.partition('_')[0]}_default"]}
    setup = bench("--preset", "tiny", connections=connections, granting_connections={}, max_percent=100)
    setup.emulator.post("modes", {"quickbi_delete_inherited": "own_record"})
    person = somebody(setup)
    operation = given(setup.emulator.get("world"), system, person)
    setup.emulator.post("mutate", {"actor": "somebody", "ops": [{**operation, "remove": True}]})
    mutate(setup, operation)
    what: Row = {"principals": [person["person_id"]], "systems": [system], "reason": "a test", "dry_run": False}
    review = setup.run(kind="targets", **what)
    review.through_plan()
    review.approve()
    return review


def ended(review: Review, system: str) -> list[Row]:
    """Verify and report: plan, ledger and journal agree; the writes of the system."""
    review.verify()
    summary = review.report()
    assert journal_problems(review) == []
    as_planned(review, summary)
    rows = items_file(summary)
    assert rows and {row["system"] for row in rows} == {system} and {row["verdict"] for row in rows} <= GONE
    return review.bench.emulator.writes()


@each
@pytest.mark.parametrize("kind", ["reset_after", "reset_before"])
def test_a_lost_answer_is_read_back_and_never_repeated_blindly(bench: Bench, system: str, kind: str) -> None:
    review = approved(bench, system)
    script(review.bench, {"kind": kind, "action": ACTIONS[system], "times": 1})
    review.canary()
    review.revoke()
    writes = [one for one in ended(review, system) if one["action"] == ACTIONS[system]]
    executed = [one for one in writes if one["executed"]]
    assert len(executed) == len(writes) - (kind == "reset_before") > 0


@each
def test_a_throttled_write_is_sent_again(bench: Bench, system: str) -> None:
    review = approved(bench, system)
    script(review.bench, {"kind": "throttle", "action": ACTIONS[system], "times": 2, "retry_after": 1})
    review.canary()
    review.revoke()
    writes = ended(review, system)
    assert sum(not one["executed"] for one in writes) == 2


@each
def test_a_list_that_is_late_is_waited_for(bench: Bench, system: str) -> None:
    review = approved(bench, system)
    script(review.bench, {"kind": "lag", "action": ACTIONS[system], "reads": 2})
    review.canary()
    review.revoke()
    assert ended(review, system)


@each
def test_a_pretended_write_is_found(bench: Bench, system: str) -> None:
    review = approved(bench, system)
    script(review.bench, {"kind": "pretend", "action": ACTIONS[system]})
    review.canary()
    review.revoke()
    review.verify()
    rows = items_file(review.report())
    assert "still_present" in {row["verdict"] for row in rows} and journal_problems(review) == []
    with pytest.raises(Exception, match="not proven gone"):
        review.gate()
