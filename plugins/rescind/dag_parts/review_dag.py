"""The graph of a review, shared by the DAGs that run one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Literal

from airflow.sdk import BaseNotifier, TaskGroup, TriggerRule, chain
from airflow.sdk.definitions.callback import SyncCallback
from airflow.sdk.definitions.deadline import DeadlineAlert, DeadlineReference

from rescind.dag_parts.retry_policy import AsTheVendorAsks
from rescind.operators.approve import ApprovePlanOperator
from rescind.operators.canary import ProceedOperator, VerifyCanaryOperator
from rescind.operators.decide import DecideOperator, PlanOperator, SealOperator
from rescind.operators.discover import DiscoverOperator
from rescind.operators.owners import AskOwnerOperator
from rescind.operators.pools import DISCOVER_POOL, REVOKE_POOL, VERIFY_POOL
from rescind.operators.preflight import PreflightOperator
from rescind.operators.report import GateOperator, ReportOperator
from rescind.operators.revoke import RevokeBatchOperator
from rescind.operators.verify import VerifyOperator

_READS: dict[str, Any] = {"retries": 2, "retry_delay": timedelta(seconds=20), "retry_policy": AsTheVendorAsks()}
_REVOKES: dict[str, Any] = {
    "pool": REVOKE_POOL,
    "retries": 3,
    "retry_delay": timedelta(seconds=30),
    "retry_policy": AsTheVendorAsks(),
}


_ASKS: dict[str, Any] = {"retries": 2, "retry_delay": timedelta(seconds=5)}
"""Retries of tasks that wait for people: for what the machine loses, never for an answer."""


def stage(name: str, label: str, tip: str) -> TaskGroup:
    """A group of tasks in the graph; their ids stay as they are, so that logs, pools and scripts know them."""
    return TaskGroup(name, group_display_name=label, tooltip=tip, prefix_group_id=False)


def overdue(*after: timedelta, tell: SyncCallback) -> list[DeadlineAlert]:
    """Deadlines for a review that waits too long: ``DAG(..., deadline=overdue(timedelta(days=1), tell=...))``.

    No DAG has one unless its file says so: whom to tell is the deployment's to know, and Airflow 3.3 still calls
    deadlines experimental. Nothing is revoked, rejected or ended by a deadline.

    :param after: how long after a run was queued, each a reminder of its own if the run has not ended by then.
    :param tell: what Airflow runs then on an executor that supports callbacks (local, Celery): a notifier's class
        with its arguments, or a function of the context, importable there.
    :raises ValueError: for no time, or one that is not positive.
    """
    if not after or min(after) <= timedelta(0):
        raise ValueError("overdue needs at least one positive time, for example timedelta(days=1)")
    queued = DeadlineReference.DAGRUN_QUEUED_AT
    return [DeadlineAlert(reference=queued, interval=each, callback=tell) for each in sorted(set(after))]


def review_chain(*, kind: Literal["policy", "targets"], notifiers: Sequence[BaseNotifier] = ()) -> None:
    """Add every stage of a review to the DAG in whose ``with`` block this is called.

    :param kind: where decisions come from: the deployed ``policy``, or the ``targets`` of the form.
    :param notifiers: told when approvers or owners are waited for, for example Airflow's ``HttpNotifier``.
    """
    with stage("find", "Find", "Every grant that is there, listed completely"):
        preflight = PreflightOperator(task_id="preflight", kind=kind)
        discover = DiscoverOperator.partial(
            task_id="discover", pool=DISCOVER_POOL, **_READS, **DiscoverOperator.LOOKS
        ).expand(scope=preflight.output)
        seal = SealOperator(task_id="seal", trigger_rule=TriggerRule.ALL_DONE_MIN_ONE_SUCCESS)
    decide, plan = _decide(kind, notifiers)
    approve = ApprovePlanOperator(task_id="approve", response_timeout=timedelta(days=1), notifiers=notifiers, **_ASKS)
    acts = _act(plan)
    with stage("prove", "Prove", "Is it gone, and is everything else still there?"):
        verify = VerifyOperator.partial(
            task_id="verify", pool=VERIFY_POOL, trigger_rule=TriggerRule.ALL_DONE, **_READS, **VerifyOperator.LOOKS
        ).expand(scope=preflight.output)
        report = ReportOperator(
            task_id="report", trigger_rule=TriggerRule.ALL_DONE, retries=2, retry_delay=timedelta(seconds=30)
        )
        gate = GateOperator(task_id="gate", trigger_rule=TriggerRule.ALL_DONE)

    chain(preflight, discover, seal, decide, plan, approve, *acts, verify, report, gate)
    chain(approve, acts[2])


def _decide(kind: str, notifiers: Sequence[BaseNotifier]) -> tuple[DecideOperator, PlanOperator]:
    """What goes: decisions, questions to owners in a review by policy, and the plan."""
    with stage("choose", "Decide", "What goes and why, and the fewest calls for it"):
        decide = DecideOperator(task_id="decide")
        plan = PlanOperator(task_id="plan", trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS)
        if kind == "policy":
            # Without questions this is skipped and the plan goes on; a question that fails stops it.
            looks = {**_ASKS, **AskOwnerOperator.LOOKS}
            ask = AskOwnerOperator.partial(
                task_id="ask", response_timeout=timedelta(days=3), notifiers=notifiers, **looks
            ).expand(question=decide.output)
            chain(decide, ask, plan)
    return decide, plan


def _act(plan: PlanOperator) -> tuple[Any, Any, ProceedOperator, Any]:
    """Canary, its verification, the step to the rest, and the rest."""
    with stage("act", "Revoke", "A few first, then the rest, under the vendors' limits"):
        canary = RevokeBatchOperator.partial(
            task_id="canary", **_REVOKES, **{**RevokeBatchOperator.LOOKS, "task_display_name": "Canary"}
        ).expand(batch=plan.output)
        verify_canary = VerifyCanaryOperator.partial(
            task_id="verify_canary", pool=VERIFY_POOL, **_READS, **VerifyCanaryOperator.LOOKS
        ).expand(batch=plan.output)
        # A small plan has no canary: those two are skipped, and the rest goes on. After a rejection everything
        # before this is skipped, and so is the rest.
        proceed = ProceedOperator(task_id="proceed", trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS)
        revoke = RevokeBatchOperator.partial(task_id="revoke", **_REVOKES, **RevokeBatchOperator.LOOKS).expand(
            batch=proceed.output
        )
    return canary, verify_canary, proceed, revoke
