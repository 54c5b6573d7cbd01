"""### Restore access.

Gives back what a run of *Access review* or *Revoke access* took away: all of it, or what the form chooses. Started
by a person, with a reason of its own, approved by somebody else, and sent through **granting connections** that no
other run uses (setting `granting_connections`): the key that revokes needs no right to grant.

| stage | what happens | what stops it |
| --- | --- | --- |
| preflight | run or bundle, the choice, caps, approvers, both kinds of connections | what is missing or does not hold |
| read touched places | what is there now, before anything is sent | a place that cannot be read completely |
| plan | what was captured before the act, covered with the fewest calls, frozen under a digest | the cap |
| approve | a person sees the figures and the digest | no answer, or an answer by the one who asked |
| give back | one task per batch; what somebody gave again meanwhile is left alone | a changed plan, the kill switch |
| verify | everything as it was in the snapshot; nothing beside it came or went | anything unproven turns the run red |

The run can be named by its evidence bundle: that is verified completely and held against the ledger before anything
else. Only what that run surely took away can be given back. What cannot be given back faithfully, and whose holder or
resource is gone, is reported and left alone. A DMS permission comes back as a new record with the old end date.
It is a **dry run** unless you switch that off.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, TriggerRule, chain

from rescind.dag_parts.retry_policy import AsTheVendorAsks
from rescind.dag_parts.review_dag import stage
from rescind.dag_parts.trigger_forms import dry_run_param, reason_params, restore_params, system_param
from rescind.operators.pools import REVOKE_POOL, VERIFY_POOL
from rescind.operators.report import GateOperator, ReportOperator
from rescind.operators.restore import (
    ApproveRestoreOperator,
    PlanRestoreOperator,
    ReadTouchedOperator,
    RestoreBatchOperator,
    RestorePreflightOperator,
    VerifyRestoreOperator,
)

READS: dict[str, Any] = {
    "pool": VERIFY_POOL,
    "retries": 2,
    "retry_delay": timedelta(seconds=20),
    "retry_policy": AsTheVendorAsks(),
}
WRITES: dict[str, Any] = {**READS, "pool": REVOKE_POOL, "retries": 3}

with DAG(
    dag_id="restore_access",
    dag_display_name="Restore access",
    description="Give back what a run took away, with approval and proof.",
    doc_md=__doc__,
    schedule=None,
    allowed_run_types=["manual"],
    catchup=False,
    is_paused_upon_creation=True,
    max_active_runs=1,
    dagrun_timeout=timedelta(days=2),
    tags=["rescind", "restore", "incident"],
    default_args={"owner": "security", "retries": 0, "priority_weight": 100},
    params={**restore_params(), **system_param(), **reason_params(required=True), **dry_run_param("gives back")},
) as dag:
    with stage("find", "Find", "What the run took away, and what is there now"):
        preflight = RestorePreflightOperator(task_id="preflight")
        read = ReadTouchedOperator.partial(task_id="read", **READS, **ReadTouchedOperator.LOOKS).expand(
            scope=preflight.output
        )
    plan = PlanRestoreOperator(task_id="plan", trigger_rule=TriggerRule.ALL_DONE_MIN_ONE_SUCCESS)
    approve = ApproveRestoreOperator(
        task_id="approve", response_timeout=timedelta(days=1), retries=2, retry_delay=timedelta(seconds=5)
    )
    restore = RestoreBatchOperator.partial(task_id="restore", **WRITES, **RestoreBatchOperator.LOOKS).expand(
        batch=plan.output
    )
    with stage("prove", "Prove", "Is it as it was, and nothing beside it?"):
        verify = VerifyRestoreOperator.partial(
            task_id="verify", trigger_rule=TriggerRule.ALL_DONE, **READS, **VerifyRestoreOperator.LOOKS
        ).expand(scope=preflight.output)
        report = ReportOperator(
            task_id="report", trigger_rule=TriggerRule.ALL_DONE, retries=2, retry_delay=timedelta(seconds=30)
        )
        gate = GateOperator(task_id="gate", trigger_rule=TriggerRule.ALL_DONE)

    chain(preflight, read, plan, approve, restore, verify, report, gate)
