"""The graph of a review, shared by the DAGs that run one."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from airflow.sdk import TriggerRule, chain

from rescind.operators.approve import ApprovePlanOperator
from rescind.operators.decide import DecideOperator, PlanOperator, SealOperator
from rescind.operators.discover import DiscoverOperator
from rescind.operators.preflight import PreflightOperator
from rescind.operators.report import GateOperator, ReportOperator
from rescind.operators.revoke import RevokeBatchOperator
from rescind.operators.verify import VerifyOperator

DISCOVER_POOL = "rescind_discover"
REVOKE_POOL = "rescind_revoke"
VERIFY_POOL = "rescind_verify"


def review_chain(*, kind: Literal["policy", "targets"]) -> None:
    """Add every stage of a review to the DAG in whose ``with`` block this is called.

    :param kind: where decisions come from: the deployed ``policy``, or the ``targets`` of the form.
    """
    preflight = PreflightOperator(task_id="preflight", kind=kind)
    discover = DiscoverOperator.partial(
        task_id="discover", pool=DISCOVER_POOL, retries=2, retry_delay=timedelta(seconds=20), **DiscoverOperator.LOOKS
    ).expand(scope=preflight.output)
    seal = SealOperator(task_id="seal", trigger_rule=TriggerRule.ALL_DONE_MIN_ONE_SUCCESS)
    decide = DecideOperator(task_id="decide")
    plan = PlanOperator(task_id="plan")
    approve = ApprovePlanOperator(
        task_id="approve", response_timeout=timedelta(days=1), retries=2, retry_delay=timedelta(seconds=5)
    )
    revoke = RevokeBatchOperator.partial(
        task_id="revoke", pool=REVOKE_POOL, retries=3, retry_delay=timedelta(seconds=30), **RevokeBatchOperator.LOOKS
    ).expand(batch=plan.output)
    verify = VerifyOperator.partial(
        task_id="verify",
        pool=VERIFY_POOL,
        retries=2,
        retry_delay=timedelta(seconds=20),
        trigger_rule=TriggerRule.ALL_DONE,
        **VerifyOperator.LOOKS,
    ).expand(scope=preflight.output)
    report = ReportOperator(task_id="report", trigger_rule=TriggerRule.ALL_DONE)
    gate = GateOperator(task_id="gate", trigger_rule=TriggerRule.ALL_DONE)

    chain(preflight, discover, seal, decide, plan, approve, revoke, verify, report, gate)
