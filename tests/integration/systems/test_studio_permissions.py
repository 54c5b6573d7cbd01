"""Permissions on Studio objects and workflows, in whole reviews against the emulator."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from rescind.cloud.base import WriteRequest
from rescind.model import PlannedCall
from rescind.systems import REGISTRY, default_connections
from rescind.systems.wedata.studio_permissions import WeDataStudioPermissions
from tests.integration.reviews.test_worlds import with_member_ids
from tests.support.reviews.journal_check import journal_problems
from tests.support.reviews.review import Review, ReviewBench
from tests.support.reviews.verdicts import Row, items_of, mutate, script

Bench = Callable[..., ReviewBench]
Held = set[tuple[str, str, str, str]]
NAME = WeDataStudioPermissions.name
ENGINEER = "308335260676890624"
_LEAVES = {"code": "script", "workflow": "workflow"}


@pytest.fixture
def bench(bench: Bench) -> Bench:
    """A bench whose reviews cover Studio; nothing irreversible is allowed."""
    given: dict[str, Any] = {
        "connections": {NAME: ["wedata_default"]},
        "granting_connections": {NAME: ["wedata_granting"]},
        "allow_irreversible": False,
    }

    def make(**settings: Any) -> ReviewBench:
        setup = bench("--preset", "tiny", **{**given, **settings})
        with_member_ids(setup)
        return setup

    return make


def held(setup: ReviewBench) -> Held:
    """(node, kind of holder, holder, permission), as the service itself holds them."""
    rows = setup.emulator.get("truth?extra=1")["wedata_studio_permissions"]
    return {(row["node_id"], row["subject_type"], row["subject_value"], row["privilege"]) for row in rows}


def nodes(setup: ReviewBench) -> list[Row]:
    found: list[Row] = setup.emulator.get("truth?extra=1")["wedata_studio_nodes"]
    return found


def somebody(setup: ReviewBench) -> Row:
    """An active, unprotected person who owns nothing in Studio, is in no project, and has no permission there."""
    truth = setup.emulator.get("truth?extra=1")
    heads = {row[name] for row in truth["wedata_projects"] for name in ("owner_uin", "creator_uin")}
    heads |= {
        node[name] for node in truth["wedata_studio_nodes"] for name in ("owner_uin", "creator_uin") if name in node
    }
    one: Row = next(
        person
        for person in setup.emulator.get("org")["people"]
        if person["status"] == "active" and person["kind"] == "human" and not person["protected"]
        and person["wedata_user_id"] and person["wedata_uin"] not in heads
    )  # fmt: skip
    mine = [row for row in truth["wedata_studio_permissions"] if row["subject_value"] == one["wedata_user_id"]]
    members = [row for row in truth["wedata_project_members"] if row["user_uin"] == one["wedata_uin"]]
    mutate(
        setup,
        *({**row, "op": "studio_permission", "remove": True} for row in mine),
        *({"op": "project_member", "project_id": row["project_id"], "user_uin": row["user_uin"], "role_id": role,
           "remove": True} for row in members for role in (row["role_ids"] or [""])),
    )  # fmt: skip
    return one


def given(setup: ReviewBench, one: Row, *places: tuple[Row, str]) -> None:
    """Give one person permissions on nodes."""
    whom = {"subject_type": "user", "subject_value": one["wedata_user_id"]}
    mutate(
        setup,
        *(
            {"op": "studio_permission", "node_id": node["node_id"], "privilege": right, **whom}
            for node, right in places
        ),
    )


def place(setup: ReviewBench, tree: str, kind: str) -> Row:
    """The script or workflow of a tree, or the folder that it is in; everything here is private."""
    leaf = next(node for node in nodes(setup) if (node["tree"], node["kind"]) == (tree, _LEAVES[tree]))
    if kind != "folder":
        return leaf
    return next(node for node in nodes(setup) if node["node_id"] == leaf["parent"])


def asked(setup: ReviewBench, one: Row, name: str = "manual__1") -> Review:
    what = {"principals": [one["person_id"]], "systems": [NAME], "reason": "has left", "dry_run": False}
    return setup.run(name, kind="targets", **what)


def approved(setup: ReviewBench, one: Row) -> Review:
    review = asked(setup, one)
    review.through_plan()
    review.approve()
    return review


def sent(setup: ReviewBench) -> list[str]:
    return [entry["action"] for entry in setup.emulator.writes()]


def test_exactly_the_planned_permissions_go_and_a_restore_brings_them_back(bench: Bench) -> None:
    setup = bench()
    one = somebody(setup)
    script_, flow = place(setup, "code", "script"), place(setup, "workflow", "workflow")
    given(setup, one, (script_, "CAN_VIEW"), (script_, "CAN_EDIT"), (flow, "CAN_MANAGE"))
    before = held(setup)
    review = approved(setup, one)
    review.revoke()
    review.verify()
    assert {row["verdict"] for row in items_of(review)} == {"verified_gone"} and review.gate() == "succeeded"
    gone = before - held(setup)
    assert {who for _, _, who, _ in gone} == {one["wedata_user_id"]} and len(gone) == 3 and not held(setup) - before
    assert sorted(sent(setup)) == ["DeleteCodePermissions", "DeleteWorkflowPermissions"]
    assert setup.restore(run="1").whole()["problems"] == []
    assert held(setup) == before
    assert sorted(sent(setup)[2:]) == ["CreateCodePermissions", "CreateWorkflowPermissions"]


@pytest.mark.parametrize("listed", ["parent", "own"])
def test_a_script_inherits_from_its_folder_and_is_free_when_that_goes(bench: Bench, listed: str) -> None:
    setup = bench()
    setup.emulator.post("modes", {"wedata_inherited_resource": listed})
    one = somebody(setup)
    given(setup, one, (place(setup, "code", "folder"), "CAN_EDIT"))
    before = held(setup)
    review = approved(setup, one)
    review.revoke()
    review.verify()
    (item,) = items_of(review)
    assert (item["verdict"], item["resource_type"]) == ("verified_gone", "studio_folder")
    assert len(before - held(setup)) == 1 and review.gate() == "succeeded"


def test_a_permission_on_the_folder_is_named_as_the_way_that_stays(bench: Bench) -> None:
    setup = bench()
    one, folder = somebody(setup), place(setup, "code", "folder")
    given(setup, one, (folder, "CAN_MANAGE"), (place(setup, "code", "script"), "CAN_EDIT"))
    what = {"principals": [one["person_id"]], "resources": [place(setup, "code", "script")["node_id"]]}
    review = setup.run(kind="targets", systems=[NAME], reason="a test", dry_run=False, **what)
    review.through_plan()
    review.approve()
    review.revoke()
    review.verify()
    (item,) = items_of(review)
    assert item["verdict"] == "still_effective" and folder["node_id"] in json.dumps(item)


def test_a_workflow_alone_is_held_while_its_folder_has_the_same(bench: Bench) -> None:
    setup = bench()
    one = somebody(setup)
    folder, flow = place(setup, "workflow", "folder"), place(setup, "workflow", "workflow")
    given(setup, one, (folder, "CAN_MANAGE"), (flow, "CAN_MANAGE"))
    what = {"principals": [one["person_id"]], "systems": [NAME], "reason": "a test", "dry_run": False}
    review = setup.run(kind="targets", resources=[flow["node_id"]], **what)
    ended = review.whole()
    (item,) = items_of(review)
    assert sent(setup) == [] and item["state"] == "held" and folder["node_id"] in item["reason"]
    assert ended["outcome"]["remains"] and ended["outcome"]["tone"] == "warn"


def test_a_request_for_one_script_counts_the_folder_that_reaches_it(bench: Bench) -> None:
    setup = bench()
    one = somebody(setup)
    folder, leaf = place(setup, "code", "folder"), place(setup, "code", "script")
    given(setup, one, (folder, "CAN_MANAGE"))
    what = {"principals": [one["person_id"]], "systems": [NAME], "reason": "has left", "dry_run": False}
    ended = setup.run("manual__1", kind="targets", resources=[leaf["node_id"]], **what).whole()
    assert sent(setup) == [] and ended["outcome"]["tone"] == "warn"
    assert ended["outcome"]["remains"] == ["1 asked for, but no call of this run can remove them"]


@pytest.mark.parametrize(("listed", "twice"), [("listed", False), ("listed", True), ("hidden", True)])
def test_a_workflow_goes_after_its_folder_if_it_is_still_listed_then(bench: Bench, listed: str, twice: bool) -> None:
    """One run takes both. What was only the folder's is not sent, so a restore does not give it to the workflow."""
    setup = bench()
    setup.emulator.post("modes", {"wedata_workflow_inherited": listed})
    one = somebody(setup)
    folder, flow = place(setup, "workflow", "folder"), place(setup, "workflow", "workflow")
    given(setup, one, (folder, "CAN_MANAGE"), *([(flow, "CAN_MANAGE")] if twice else []))
    before = held(setup)
    review = asked(setup, one)
    assert review.whole()["outcome"]["remains"] == []
    assert one["wedata_user_id"] not in {row[2] for row in held(setup)}
    verdicts = {item["resource_id"]: item["verdict"] for item in items_of(review)}
    assert verdicts == {
        folder["node_id"]: "verified_gone", flow["node_id"]: "verified_gone" if twice else "already_absent"
    }  # fmt: skip
    assert [entry["params"]["EntityId"] for entry in setup.emulator.writes()] == list(verdicts)[: 1 + twice]
    assert journal_problems(review) == []
    assert setup.restore(run="1").whole()["problems"] == [] and held(setup) == before


def test_a_workflow_waits_for_the_batch_of_its_folder_and_is_not_sent_before_it(bench: Bench) -> None:
    from airflow.sdk.exceptions import TaskDeferred

    from rescind.operators.revoke import EARLIER_LIMIT, RevokeBatchOperator

    setup = bench()
    one = somebody(setup)
    folder, flow = place(setup, "workflow", "folder"), place(setup, "workflow", "workflow")
    given(setup, one, (folder, "CAN_MANAGE"), (flow, "CAN_MANAGE"))
    review = approved(setup, one)
    first, last = review.batches
    operator = RevokeBatchOperator(task_id="revoke", batch=last)
    with pytest.raises(TaskDeferred):
        operator.execute(review.context("revoke"))
    with review.ledger() as ledger:
        run = ledger.runs.find(review.dag_id, review.run_id)
        lease = ledger.batches.claim(run.run_id, first["batch"], "at work")
        with pytest.raises(TaskDeferred):
            operator.resume(review.context("revoke"), waited=EARLIER_LIMIT.total_seconds())
        ledger.batches.release(lease, done=False)
    operator.resume(review.context("revoke"), waited=EARLIER_LIMIT.total_seconds())
    assert sent(setup) == [], "while the folder shows the same, nobody knows whose it is"
    review.revoke()
    review.verify()
    review.report()
    found = {item["resource_id"]: item for item in items_of(review)}
    assert sent(setup) == ["DeleteWorkflowPermissions"] and found[folder["node_id"]]["verdict"] == "verified_gone"
    assert found[flow["node_id"]]["state"] == "stale" and folder["node_id"] in found[flow["node_id"]]["reason"]


def test_the_same_permission_through_a_role_stays_effective(bench: Bench) -> None:
    setup = bench()
    one, leaf = somebody(setup), place(setup, "code", "script")
    given(setup, one, (leaf, "CAN_VIEW"))
    where = {"project_id": leaf["project_id"], "user_uin": one["wedata_uin"], "role_id": ENGINEER}
    mutate(setup, {"op": "project_member", **where})
    review = approved(setup, one)
    review.revoke()
    review.verify()
    (item,) = items_of(review)
    assert item["verdict"] == "still_effective" and ENGINEER in json.dumps(item)


@pytest.mark.sockets
@pytest.mark.parametrize(
    ("tree", "fault", "verdict", "gone"),
    [
        ("code", {"kind": "reset_after"}, "verified_gone", True),
        ("workflow", {"kind": "null", "path": "Response.Data"}, "verified_gone", True),
        ("code", {"kind": "pretend"}, "still_present", False),
        ("workflow", {"kind": "pretend"}, "still_present", False),
        ("code", {"kind": "lag", "seconds": 600, "reads": 2}, "verified_gone", True),
    ],
    ids=lambda given: given["kind"] if isinstance(given, dict) else str(given),
)
def test_what_an_answer_says_is_never_the_verdict(
    bench: Bench, tree: str, fault: Row, verdict: str, gone: bool
) -> None:
    setup = bench()
    one = somebody(setup)
    given(setup, one, (place(setup, tree, "leaf"), "CAN_MANAGE"))
    before, action = held(setup), f"Delete{tree.capitalize()}Permissions"
    review = approved(setup, one)
    script(setup, {"action": action, "times": 1, **fault})
    review.revoke()
    review.verify()
    assert {row["verdict"] for row in items_of(review)} == {verdict}
    assert (held(setup) != before) is gone and sent(setup)[:1] == [action]


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "error", "code": "InternalError", "in_body": True},
        {"kind": "short", "count": 1},
    ],
    ids=lambda fault: fault["kind"],
)
def test_a_listing_that_fails_is_never_gone(bench: Bench, fault: Row) -> None:
    setup = bench()
    one = somebody(setup)
    given(setup, one, (place(setup, "code", "script"), "CAN_MANAGE"))
    review = approved(setup, one)
    review.revoke()
    script(setup, {"action": "ListCodePermissions", **fault})
    review.verify()
    assert {row["verdict"] for row in items_of(review)} == {"unverified"}


@pytest.mark.parametrize(
    "action",
    [
        "ListCodeFolderContents",
        "ListCodePermissions",
        "ListWorkflowFolders",
        "ListWorkflows",
        "ListWorkflowPermissions",
    ],
)
def test_a_discovery_that_fails_plans_nothing(bench: Bench, action: str) -> None:
    setup = bench()
    review = asked(setup, somebody(setup))
    review.preflight()
    script(setup, {"kind": "error", "action": action, "code": "InternalError"})
    with pytest.raises(Exception, match=action):
        review.discover()
    assert sent(setup) == []


class _Other(WeDataStudioPermissions):
    """Its requests name another permission than the planned one."""

    def request(self, call: PlannedCall, grants: Any) -> WriteRequest[Any]:
        return super().request(call, grants).model_copy(update={"Privileges": ("CAN_EDIT", "CAN_MANAGE")})


def test_a_request_for_another_permission_is_not_sent(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    setup = bench()
    one = somebody(setup)
    given(setup, one, (place(setup, "code", "script"), "CAN_EDIT"))
    monkeypatch.setitem(REGISTRY, NAME, _Other())
    with pytest.raises(Exception, match="BlastRadiusExceededError"):
        approved(setup, one).revoke()
    assert sent(setup) == [] and NAME not in default_connections()
