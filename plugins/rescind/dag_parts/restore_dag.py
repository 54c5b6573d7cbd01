"""The task chain that restores what a run revoked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from airflow.sdk import BaseNotifier, TriggerRule, chain

from rescind.dag_parts.stages import ASK, REPORT, VERIFY, WRITE, stage
from rescind.operators.report import GateOperator, ReportOperator
from rescind.operators.restore import (
    ApproveRestoreOperator,
    PlanRestoreOperator,
    ReadTouchedOperator,
    RestoreBatchOperator,
    RestorePreflightOperator,
    VerifyRestoreOperator,
)


def restore_chain(*, notifiers: Sequence[BaseNotifier] = ()) -> None:
    """Add every stage of a restore to the DAG in whose ``with`` block this is called.

    :param notifiers: see :func:`rescind.dag_parts.review_dag.review_chain`.
    """
    with stage("find", "Find", "What the run revoked, and what exists now"):
        preflight = RestorePreflightOperator(task_id="preflight")
        read = ReadTouchedOperator.mapped(task_id="read", **VERIFY).expand(scope=preflight.output)
    plan = PlanRestoreOperator(task_id="plan", trigger_rule=TriggerRule.ALL_DONE_MIN_ONE_SUCCESS)
    approve = ApproveRestoreOperator(task_id="approve", response_timeout=timedelta(days=1), notifiers=notifiers, **ASK)
    restore = RestoreBatchOperator.mapped(task_id="restore", **WRITE).expand(batch=plan.output)
    with stage("prove", "Prove", "Is everything as it was, with nothing added or lost?"):
        verify = VerifyRestoreOperator.mapped(task_id="verify", trigger_rule=TriggerRule.ALL_DONE, **VERIFY).expand(
            scope=preflight.output
        )
        report = ReportOperator(task_id="report", trigger_rule=TriggerRule.ALL_DONE, **REPORT)
        gate = GateOperator(task_id="gate", notifiers=notifiers, trigger_rule=TriggerRule.ALL_DONE)

    chain(preflight, read, plan, approve, restore, verify, report, gate)
