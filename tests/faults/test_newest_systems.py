"""The newest permission systems under faults: whatever an answer was, exactly the planned record is judged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.reviews.test_worlds import with_member_ids
from tests.integration.systems.test_dms_accounts import person as owning_nothing
from tests.support.ledger.crash import KILLED, revoke_and_die
from tests.support.reviews.journal_check import as_planned, journal_problems
from tests.support.reviews.review import Review, ReviewBench
from tests.support.reviews.verdicts import items_file, mutate, script, somebody

pytestmark = pytest.mark.sockets

Bench = Callable[..., ReviewBench]
Row = dict[str, Any]
FAR = 4_000_000_000_000
ENGINEER = "308335260676890624"
FLOWS = "wedata_studio_permissions of workflows"
ACTIONS = {
    "quickbi_work_authorizations": "DeleteAuthorizationByUserId",
    "quickbi_dataset_whitelists": "AddDataLevelPermissionWhiteList",
    "dms_abac_authorizations": "DeleteAbacAuthorization",
    "dms_proxy_accesses": "DeleteProxyAccess",
    "wedata_project_roles": "DeleteProjectMember",
    "wedata_studio_permissions": "DeleteCodePermissions",
    FLOWS: "DeleteWorkflowPermissions",
}
LISTS = {
    "quickbi_work_authorizations": "ListAuthConfigByResource",
    "quickbi_dataset_whitelists": "ListDataLevelPermissionWhiteList",
    "dms_abac_authorizations": "ListAbacPolicies",
    "dms_proxy_accesses": "ListProxyAccesses",
    "wedata_project_roles": "ListProjectMembers",
    "wedata_studio_permissions": "ListCodePermissions",
    FLOWS: "ListWorkflowPermissions",
}
GONE = {"verified_gone", "record_gone", "still_effective"}
OLDER = {
    "quickbi_group_members": "DeleteUserGroupMembers",
    "quickbi_workspace_members": "DeleteUserFromWorkspace",
    "dms_accounts": "DisableUser",
}
"""Systems whose lost answers and killed tasks no other test has."""
BOUNDARIES = range(7, 14)
"""From the moment before the send on; what a call reads before its intent differs by system."""
each = pytest.mark.parametrize("case", ACTIONS)


def system_of(case: str) -> str:
    return case.partition(" ")[0]


def given(world: Row, case: str, person: Row) -> Row:
    """The operation that gives one record of a system to a person."""
    user = person["quickbi_user_id"]
    if case == "quickbi_work_authorizations":
        work = world["quickbi_works"][0]["works_id"]
        return {"op": "work_authorization", "resource_id": work, "receiver_type": 0, "receiver_id": user,
                "expires": FAR}  # fmt: skip
    if case == "quickbi_dataset_whitelists":
        dataset = world["quickbi_datasets"][0]["dataset_id"]
        return {"op": "dataset_whitelist", "dataset_id": dataset, "rule_type": "ROW_LEVEL", "receiver_type": 0,
                "receiver_id": user}  # fmt: skip
    if case == "dms_abac_authorizations":
        policy = next(row for row in world["dms_policies"] if row["effect"] == "Allow")["policy_id"]
        return {"op": "dms_policy_member", "policy_id": policy, "user_id": person["dms_user_id"]}
    if case == "dms_proxy_accesses":
        return {"op": "proxy_access", "proxy_id": world["dms_proxies"][0]["proxy_id"], "user_id": person["dms_user_id"]}
    if case == "wedata_project_roles":
        uin = person["wedata_uin"]
        project = next(row for row in world["wedata_projects"] if uin not in (row["owner_uin"], row["creator_uin"]))
        return {"op": "project_member", "project_id": project["project_id"], "user_uin": uin, "role_id": ENGINEER}
    if case == "quickbi_group_members":
        return {"op": "group_member", "group_id": world["quickbi_groups"][0]["group_id"], "user_id": user}
    if case == "quickbi_workspace_members":
        space = next(row for row in world["quickbi_workspaces"] if row["owner"] != user)["workspace_id"]
        return {"op": "workspace_member", "workspace_id": space, "user_id": user, "role_id": 27}
    kind, right = ("workflow", "CAN_MANAGE") if case == FLOWS else ("script", "CAN_EDIT")
    node = next(row for row in world["wedata_studio_nodes"] if row["kind"] == kind)["node_id"]
    return {"op": "studio_permission", "node_id": node, "subject_type": "user", "privilege": right,
            "subject_value": person["wedata_user_id"]}  # fmt: skip


def approved(bench: Bench, case: str, **settings: Any) -> Review:
    """A run that takes the records of a system from one person, approved."""
    system = system_of(case)
    connections = {system: [f"{system.partition('_')[0]}_default"]}
    setup = bench("--preset", "tiny", connections=connections, granting_connections={}, max_percent=100, **settings)
    with_member_ids(setup)
    setup.emulator.post("modes", {"quickbi_delete_inherited": "own_record"})
    if case == "dms_accounts":
        person = owning_nothing(setup)
    else:
        person = somebody(setup)
        operation = given(setup.emulator.get("world"), case, person)
        setup.emulator.post("mutate", {"actor": "somebody", "ops": [{**operation, "remove": True}]})
        mutate(setup, operation)
    what: Row = {"principals": [person["person_id"]], "systems": [system], "reason": "a test", "dry_run": False}
    review = setup.run(kind="targets", **what)
    review.through_plan()
    review.approve()
    return review


def ended(review: Review, case: str) -> list[Row]:
    """Verify and report: plan, ledger and journal agree; the writes of the system."""
    review.verify()
    summary = review.report()
    assert journal_problems(review) == []
    as_planned(review, summary)
    rows = items_file(summary)
    assert rows and {row["system"] for row in rows} == {system_of(case)} and {row["verdict"] for row in rows} <= GONE
    return review.bench.emulator.writes()


@pytest.mark.parametrize(
    ("case", "kind"),
    [*((case, kind) for case in ACTIONS for kind in ("reset_after", "reset_before")),
     *((case, "reset_after") for case in OLDER)],
)  # fmt: skip
def test_a_lost_answer_is_read_back_and_never_repeated_blindly(bench: Bench, case: str, kind: str) -> None:
    review, action = approved(bench, case), {**ACTIONS, **OLDER}[case]
    script(review.bench, {"kind": kind, "action": action, "times": 1})
    review.canary()
    review.revoke()
    writes = [one for one in ended(review, case) if one["action"] == action]
    executed = [one for one in writes if one["executed"]]
    assert len(executed) == len(writes) - (kind == "reset_before") > 0


@pytest.mark.parametrize("case", [*ACTIONS, *OLDER])
def test_killed_between_intent_and_outcome_the_next_try_reads_first(bench: Bench, case: str) -> None:
    review = approved(bench, case)
    first, *rest = review.batches
    for boundary in BOUNDARIES:
        assert revoke_and_die(review, first, boundary) == KILLED and not rest
        if review.bench.emulator.writes():
            break
    with review.ledger() as ledger:
        attempts = list(ledger.attempts.each(ledger.runs.find(review.dag_id, review.run_id).run_id))
    assert attempts and not attempts[-1].outcome, "it was carried out, and nobody heard of it"
    review.revoke()
    writes = ended(review, case)
    assert all(one["executed"] for one in writes) and len({one["request_id"] for one in writes}) == len(writes)
    sent = [(one["action"], sorted(one["params"].items(), key=str)) for one in writes]
    assert all(sent.count(one) == 1 for one in sent)


@each
def test_a_throttled_write_is_sent_again_and_a_late_list_is_waited_for(bench: Bench, case: str) -> None:
    review = approved(bench, case)
    throttled = {"kind": "throttle", "action": ACTIONS[case], "times": 2, "retry_after": 1}
    script(review.bench, throttled, {"kind": "lag", "action": ACTIONS[case], "reads": 2})
    review.canary()
    review.revoke()
    writes = ended(review, case)
    assert sum(not one["executed"] for one in writes) == 2


@each
def test_a_cut_list_proves_nothing_and_a_pretended_write_is_found(bench: Bench, case: str) -> None:
    review = approved(bench, case, settle_limit_seconds=0.2)
    script(review.bench, {"kind": "pretend", "action": ACTIONS[case]})
    review.canary()
    review.revoke()
    script(review.bench, {"kind": "truncate", "action": LISTS[case], "mode": "consistent"})
    review.verify()
    assert {row["verdict"] for row in items_file(review.report())} == {"unverified"}
    script(review.bench)
    review.verify()
    rows = items_file(review.report())
    assert "still_present" in {row["verdict"] for row in rows} and journal_problems(review) == []
    with pytest.raises(Exception, match="not proven gone"):
        review.gate()
