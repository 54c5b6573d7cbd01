"""Every DAG parses, is documented, cannot start by accident, and has its pools."""

from __future__ import annotations

import json
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from airflow.sdk.definitions._internal.expandinput import MappedArgument

from rescind.compat import RUN_BY_DAG
from tests.support.servers.emulator import ROOT

REVIEWS = {"access_review", "revoke_access", "offboard"}
EXPECTED = {*REVIEWS, "restore_access", "watch_regrants", "remind_approvers"}
SENDING = {*REVIEWS, "restore_access"}
FOR_PEOPLE = ["restore_access", "revoke_access"]
POOLS = {
    "discover": "rescind_discover",
    "canary": "rescind_revoke",
    "verify_canary": "rescind_verify",
    "revoke": "rescind_revoke",
    "verify": "rescind_verify",
}


@pytest.fixture(scope="module")
def dags() -> dict[str, Any]:
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(dag_folder=str(ROOT / "dags"))
    assert bag.import_errors == {}
    return dict(bag.dags)


def test_these_are_the_dags(dags: dict[str, Any]) -> None:
    assert set(dags) == EXPECTED


def test_no_stage_renders_templates(dags: dict[str, Any]) -> None:
    # Native rendering would turn an id into a number, and a vendor's name could hold a template.
    # What a mapped group hands to its tasks is taken from XCom as it is: Airflow renders nothing in it.
    for dag in dags.values():
        for task in dag.tasks:
            given = {name: type(getattr(task, name)) for name in task.template_fields}
            assert set(given.values()) <= {MappedArgument}, f"{dag.dag_id}.{task.task_id}"


def test_a_colleague_waits_for_the_owner_of_the_same_question_only(dags: dict[str, Any]) -> None:
    from airflow.serialization.serialized_objects import DagSerialization

    stored = DagSerialization.from_dict(DagSerialization.to_dict(dags["access_review"]))
    groups = [list(stored.get_task(name).iter_mapped_task_groups()) for name in ("ask", "ask_delegate")]
    assert [[group.group_id for group in found] for found in groups] == [["owners"], ["owners"]]
    assert stored.get_task("ask_delegate").upstream_task_ids >= {"ask"}
    plan = stored.get_task("plan")
    assert plan.upstream_task_ids == {"decide", "ask_delegate"} and not list(plan.iter_mapped_task_groups())


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_a_dag_is_documented_and_owned(dags: dict[str, Any], name: str) -> None:
    dag = dags[name]
    assert dag.doc_md and dag.description and dag.dag_display_name != dag.dag_id
    assert "rescind" in dag.tags
    for task in dag.tasks:
        assert task.owner == "security", task.task_id


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_every_task_has_a_label_and_says_what_it_does(dags: dict[str, Any], name: str) -> None:
    for task in dags[name].tasks:
        label, text = (value(task, field) for field in ("task_display_name", "doc_md"))
        assert label and label != task.task_id and label[0].isupper(), task.task_id
        assert text and len(text.split()) > 4 and text.endswith((".", "?")), task.task_id
        if task.is_mapped:
            assert "['label']" in task.partial_kwargs["map_index_template"], task.task_id


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_every_task_leads_to_the_page_and_some_further(dags: dict[str, Any], name: str) -> None:
    from airflow.serialization.serialized_objects import DagSerialization

    stored = DagSerialization.from_dict(DagSerialization.to_dict(dags[name]))
    for task in dags[name].tasks:
        links = {link.name for link in stored.get_task(task.task_id).operator_extra_links}
        more = set()
        if name != "watch_regrants" and task.task_id in ("report", "gate"):
            more = {"Report", "Evidence"}
        elif task.is_mapped and task.task_id != "ask":
            more = {"Vendor console"}
        assert links == {"Access review", *more}, task.task_id


STAGES = {
    "find": {"preflight", "discover", "seal", "read"},
    "choose": {"decide", "owners", "plan"},
    "owners": {"ask", "ask_delegate"},
    "act": {"canary", "verify_canary", "proceed", "revoke"},
    "prove": {"verify", "report", "gate", "full_proof"},
}


@pytest.mark.parametrize("name", sorted(SENDING))
def test_stages_are_groups_that_leave_task_ids_alone(dags: dict[str, Any], name: str) -> None:
    dag = dags[name]
    ids = {task.task_id for task in dag.tasks}
    groups = {g: group for g, group in dag.task_group.get_task_group_dict().items() if g}
    others = {"find", "prove"} if name == "restore_access" else set(STAGES) - {"owners"}
    assert set(groups) == (set(STAGES) if name == "access_review" else others)
    for group_id, group in groups.items():
        assert set(group.children) == STAGES[group_id] & (ids | set(groups)), group_id
        assert group.group_display_name and group.tooltip


def value(task: Any, field: str) -> Any:
    """A field of a task, mapped or not."""
    return task.partial_kwargs.get(field) if task.is_mapped else getattr(task, field)


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_nothing_starts_by_accident(dags: dict[str, Any], name: str) -> None:
    dag = dags[name]
    assert dag.is_paused_upon_creation is True
    assert dag.catchup is False
    # Runs that wait for an answer must not keep others from starting; only their approved plans exclude each other.
    assert dag.max_active_runs == {"watch_regrants": 1, "remind_approvers": 1, "access_review": 4}.get(name, 8)
    assert dag.dagrun_timeout is not None
    waits = [value(task, "response_timeout") for task in dag.tasks if task.task_id in {"approve", "approve_part"}]
    # After a timeout Airflow starts no further task: neither report nor full proof.
    assert dag.dagrun_timeout > sum(waits, timedelta()), "both questions can expire before the run does"


@pytest.mark.parametrize("name", sorted(SENDING))
def test_a_dry_run_is_the_default(dags: dict[str, Any], name: str) -> None:
    assert dags[name].params.get_param("dry_run").value is True


@pytest.mark.parametrize("name", FOR_PEOPLE)
def test_what_names_its_targets_is_for_people_only(dags: dict[str, Any], name: str) -> None:
    dag = dags[name]
    # A run of another DAG is refused by preflight, unless it completes a run of known access.
    more = RUN_BY_DAG if name == "revoke_access" else []
    assert sorted(str(getattr(kind, "value", kind)) for kind in dag.allowed_run_types) == ["manual", *more]
    assert type(dag.timetable).__name__ == "NullTimetable"


def test_what_events_name_is_started_by_events_only(dags: dict[str, Any]) -> None:
    dag = dags["offboard"]
    # A run of another DAG is refused by preflight, unless it completes a run of known access.
    kinds = sorted(str(getattr(kind, "value", kind)) for kind in dag.allowed_run_types)
    assert kinds == ["asset_triggered", *RUN_BY_DAG]
    (asset,) = dag.timetable.asset_condition.objects
    assert (asset.name, asset.uri, asset.watchers) == ("rescind_leavers", "rescind://leavers/", [])
    preflight, approve = dag.get_task("preflight"), dag.get_task("approve")
    assert type(preflight).__name__ == "OffboardPreflightOperator" and preflight.inlets == [asset]
    assert type(approve).__name__ == "OffboardApproveOperator"
    assert type(dag.get_task("approve_part")).__name__ == "OffboardApprovePartOperator"
    assert not {"principals", "resources", "reason", "ticket", "automatic"} & set(dag.params)


def test_a_watcher_of_a_queue_can_feed_the_asset() -> None:
    from airflow.sdk import AssetWatcher
    from airflow.triggers.base import BaseEventTrigger

    from rescind.dag_parts.review_dag import leavers

    class Queue(BaseEventTrigger):
        def serialize(self) -> tuple[str, dict[str, Any]]:
            return "queue.Queue", {}

        async def run(self) -> Any:
            yield None

    asset = leavers(AssetWatcher(name="hr", trigger=Queue()))
    assert (asset.name, asset.uri) == (leavers().name, leavers().uri)
    assert [watcher.name for watcher in asset.watchers] == ["hr"]


@pytest.mark.parametrize("name", sorted(REVIEWS))
def test_every_task_that_calls_a_platform_has_a_shipped_pool(dags: dict[str, Any], name: str) -> None:
    shipped = json.loads((ROOT / "include/pools.json").read_text())
    for task_id, pool in POOLS.items():
        assert dags[name].get_task(task_id).pool == pool
        assert shipped[pool]["slots"] > 0


@pytest.mark.parametrize("name", sorted(REVIEWS))
def test_the_stages_stand_in_the_order_of_the_design(dags: dict[str, Any], name: str) -> None:
    order = ["preflight", "discover", "seal", "decide", "plan", "approve", "approve_part", "canary"]
    order += ["verify_canary", "proceed"]
    order += ["revoke", "verify", "report", "gate"]
    for before, after in pairwise(order):
        assert after in dags[name].get_task(before).downstream_task_ids
    first, second = (dags[name].get_task(task) for task in ("approve", "approve_part"))
    assert first.defaults is second.defaults is None
    assert first.response_timeout == second.response_timeout is not None
    assert issubclass(type(second), type(first).__mro__[1] if name == "offboard" else type(first))


@pytest.mark.parametrize("name", sorted(REVIEWS))
def test_the_rest_goes_on_without_a_canary_and_never_after_a_rejection(dags: dict[str, Any], name: str) -> None:
    tasks = {task.task_id: task for task in dags[name].tasks}
    # One success among these two is needed and no failure: a rejected approval skips itself and both canary tasks.
    assert tasks["proceed"].upstream_task_ids == {"approve_part", "verify_canary"}
    assert tasks["approve_part"].trigger_rule.value == "all_success"
    assert tasks["proceed"].trigger_rule.value == "none_failed_min_one_success"
    assert tasks["revoke"].upstream_task_ids == {"proceed"} and tasks["revoke"].trigger_rule.value == "all_success"
    assert tasks["canary"].trigger_rule.value == tasks["verify_canary"].trigger_rule.value == "all_success"


def test_questions_to_owners_stand_between_deciding_and_planning(dags: dict[str, Any]) -> None:
    tasks = {task.task_id: task for task in dags["access_review"].tasks}
    # Without questions both tasks are skipped, and `decide` is the success that the plan needs. A failed question stops
    # it, because the task of the colleague fails with it.
    assert tasks["ask"].upstream_task_ids == {"decide"} and tasks["ask_delegate"].upstream_task_ids == {"decide", "ask"}
    assert tasks["plan"].upstream_task_ids == {"decide", "ask_delegate"}
    assert tasks["plan"].trigger_rule.value == "none_failed_min_one_success"
    for name in ("ask", "ask_delegate"):
        assert tasks[name].trigger_rule.value == "all_success" and tasks[name].get_closest_mapped_task_group()
    assert "ask" not in {task.task_id for task in dags["revoke_access"].tasks}
    assert not {"ask_owners", "automatic"} & set(dags["revoke_access"].params)


def test_a_restore_is_approved_before_it_gives_and_verified_whatever_came_of_it(dags: dict[str, Any]) -> None:
    tasks = {task.task_id: task for task in dags["restore_access"].tasks}
    for before, after in pairwise(["preflight", "read", "plan", "approve", "restore", "verify", "report", "gate"]):
        assert after in tasks[before].downstream_task_ids
    assert tasks["restore"].upstream_task_ids == {"approve", "plan"}
    assert tasks["restore"].trigger_rule.value == "all_success"
    assert {tasks[name].trigger_rule.value for name in ("verify", "report", "gate")} == {"all_done"}
    assert tasks["approve"].defaults is None and tasks["approve"].response_timeout is not None
    assert [tasks[name].pool for name in ("read", "restore", "verify")] == [
        "rescind_verify",
        "rescind_revoke",
        "rescind_verify",
    ]


def test_a_watch_runs_daily_and_its_gate_speaks_whatever_came_of_it(dags: dict[str, Any]) -> None:
    dag = dags["watch_regrants"]
    assert type(dag.timetable).__name__ != "NullTimetable"
    tasks = {task.task_id: task for task in dag.tasks}
    assert tasks["watch"].pool == "rescind_verify"
    assert tasks["gate"].upstream_task_ids == {"watch"} and tasks["gate"].trigger_rule.value == "all_done"
