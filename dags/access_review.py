"""### Access review.

Finds every grant in the permission systems that the deployment names, decides by policy what must go,
plans the fewest calls, asks a person to approve exactly that plan, revokes in paced batches, reads the
platforms again, and shows what is gone and what is not.

| stage | what happens | what stops it |
| --- | --- | --- |
| preflight | connections answer, ledger and policies are readable, caps are set | anything missing |
| discover | every listing is read whole, one task per system and account | a listing that is not whole |
| seal, decide, plan | a decision and a reason for each grant; the plan is frozen | caps, protections, own identity |
| ask (where asked for) | owners say which of the grants go that the policy marks with `ask` | a failed question |
| approve | a person sees the figures and the digest | no answer, or an answer by the one who asked |
| revoke | one task per batch of calls, paced under the vendor's limit | a changed plan, a lost lease, the kill switch |
| verify | complete re-reads: a verdict per item, and kept grants compared | anything unproven turns the run red |

It is a **dry run** unless you switch that off, and a scheduled run stays one unless the deployment sets
`enforce_scheduled`. Start a new run instead of clearing an old one.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG

from rescind.dag_parts.review_dag import review_chain
from rescind.dag_parts.trigger_forms import (
    cap_params,
    dry_run_param,
    reason_params,
    review_params,
    sparse_param,
    system_param,
)

with DAG(
    dag_id="access_review",
    dag_display_name="Access review",
    description="Find, decide, plan, approve, revoke and verify access by policy.",
    doc_md=__doc__,
    schedule="0 6 * * 1",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    is_paused_upon_creation=True,
    max_active_runs=1,
    dagrun_timeout=timedelta(days=8),
    tags=["rescind", "access review"],
    default_args={"owner": "security", "retries": 0},
    params={
        **system_param(),
        **reason_params(required=False),
        **dry_run_param(),
        **review_params(),
        **cap_params(),
        **sparse_param(),
    },
) as dag:
    review_chain(kind="policy")
