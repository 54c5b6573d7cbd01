"""The graph of a review, shared by the DAGs that run one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Literal

from airflow.sdk import BaseNotifier, TriggerRule, chain

from rescind.operators.approve import ApprovePlanOperator
from rescind.operators.canary import ProceedOperator, VerifyCanaryOperator
from rescind.operators.decide import DecideOperator, PlanOperator, SealOperator
from rescind.operators.discover import DiscoverOperator
from rescind.operators.owners import AskOwnerOperator
from rescind.operators.pools import DISCOVER_POOL, REVOKE_POOL, VERIFY_POOL
from rescind.operators.preflight import PreflightOperator
from rescind.operators.report import GateOperator, ReportOperator
from rescind.operators.retry import AsTheVendorAsks
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


def review_chain(*, kind: Literal["policy", "targets"], notifiers: Sequence[BaseNotifier] = ()) -> None:
    """Add every stage of a review to the DAG in whose ``with`` block this is called.

    :param kind: where decisions come from: the deployed ``policy``, or the ``targets`` of the form.
    :param notifiers: told when approvers or owners are waited for, for example Airflow's ``HttpNotifier``.
    """
    preflight = PreflightOperator(task_id="preflight", kind=kind)
    discover = DiscoverOperator.partial(
        task_id="discover", pool=DISCOVER_POOL, **_READS, **DiscoverOperator.LOOKS
    ).expand(scope=preflight.output)
    seal = SealOperator(task_id="seal", trigger_rule=TriggerRule.ALL_DONE_MIN_ONE_SUCCESS)
    decide = DecideOperator(task_id="decide")
    plan = PlanOperator(task_id="plan", trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS)
    if kind == "policy":
        # Without questions this is skipped and the plan goes on; a question that fails stops it.
        ask = AskOwnerOperator.partial(
            task_id="ask", response_timeout=timedelta(days=3), notifiers=notifiers, **_ASKS, **AskOwnerOperator.LOOKS
        ).expand(question=decide.output)
        chain(decide, ask, plan)
    approve = ApprovePlanOperator(task_id="approve", response_timeout=timedelta(days=1), notifiers=notifiers, **_ASKS)
    canary = RevokeBatchOperator.partial(
        task_id="canary", **_REVOKES, **{**RevokeBatchOperator.LOOKS, "task_display_name": "Canary"}
    ).expand(batch=plan.output)
    verify_canary = VerifyCanaryOperator.partial(
        task_id="verify_canary", pool=VERIFY_POOL, **_READS, **VerifyCanaryOperator.LOOKS
    ).expand(batch=plan.output)
    # A small plan has no canary: those two are skipped, and the rest goes on. After a rejection everything before
    # this is skipped, and so is the rest.
    proceed = ProceedOperator(task_id="proceed", trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS)
    revoke = RevokeBatchOperator.partial(task_id="revoke", **_REVOKES, **RevokeBatchOperator.LOOKS).expand(
        batch=proceed.output
    )
    verify = VerifyOperator.partial(
        task_id="verify",
        pool=VERIFY_POOL,
        trigger_rule=TriggerRule.ALL_DONE,
        **_READS,
        **VerifyOperator.LOOKS,
    ).expand(scope=preflight.output)
    report = ReportOperator(
        task_id="report", trigger_rule=TriggerRule.ALL_DONE, retries=2, retry_delay=timedelta(seconds=30)
    )
    gate = GateOperator(task_id="gate", trigger_rule=TriggerRule.ALL_DONE)

    chain(
        preflight, discover, seal, decide, plan, approve, canary, verify_canary, proceed, revoke, verify, report, gate
    )
    chain(approve, proceed)
