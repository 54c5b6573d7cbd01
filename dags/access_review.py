"""### Access review.

Finds every grant in the configured permission systems, decides by policy what to revoke, and plans the fewest calls. A
person approves exactly that plan. Then it revokes in batches under the vendors' rate limits, re-lists every affected
resource, and reports each grant as removed or still present.

| stage | what happens | what stops it |
| --- | --- | --- |
| preflight | connections answer, ledger and policies are readable, caps are set | anything missing |
| discover | every listing is read completely, one task per system and account | an incomplete listing |
| seal, decide, plan | each grant gets a decision and a reason; the plan is frozen | caps, protections, own identity |
| ask (optional) | owners choose among the grants that the policy marks with `ask` | a failed question |
| ask_delegate | only if an owner handed a question over: the colleague answers it | as for ask |
| approve | a person sees the figures and the digest; may leave people out | no answer, or an answer by the requester |
| approve_part | only if people were left out: a second question, about the rest | as for approve |
| revoke | one task per batch of calls, under the vendor's rate limit | a changed plan, a lost lease, the kill switch |
| verify | complete re-lists: a verdict per item, and a check of retained grants | anything unproven fails the run |

It is a **dry run** unless you switch that off. A scheduled run stays a dry run unless the setting
`enforce_scheduled` is on. Start a new run instead of clearing an old one.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG

from rescind.dag_parts.review_dag import review_chain
from rescind.dag_parts.schedule import on_time
from rescind.dag_parts.trigger_forms import (
    cap_params,
    closing_param,
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
    schedule=on_time("0 6 * * 1"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    is_paused_upon_creation=True,
    max_active_runs=4,
    dagrun_timeout=timedelta(days=8),
    tags=["rescind", "access review"],
    default_args={"owner": "security", "retries": 0},
    params={
        **system_param(),
        **reason_params(required=False),
        **dry_run_param(schedule="Mondays, 6:00 UTC"),
        **review_params(),
        **closing_param(),
        **cap_params(),
        **sparse_param(),
    },
) as dag:
    review_chain(kind="policy")
