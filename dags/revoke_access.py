"""### Revoke access.

For a leaver's last day or an incident: revokes exactly the grants that the form selects. Only a person can start it,
never a schedule. The stages are those of *Access review*, with the same guards, approval and verification. Only the
decision comes from the form.

Select **principals** (ids of people or accounts, in any id space of the roster), **resources**, or both. Both together
select the grants of those principals on those resources. Systems narrow the selection further.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG

from rescind.dag_parts.review_dag import RUN_BY_DAG, review_chain
from rescind.dag_parts.trigger_forms import (
    cap_params,
    closing_param,
    dry_run_param,
    reason_params,
    sparse_param,
    system_param,
    target_params,
)

with DAG(
    dag_id="revoke_access",
    dag_display_name="Revoke access",
    description="Revoke what the form selects, with approval and proof.",
    doc_md=__doc__,
    schedule=None,
    allowed_run_types=["manual", *RUN_BY_DAG],
    catchup=False,
    is_paused_upon_creation=True,
    max_active_runs=8,
    dagrun_timeout=timedelta(days=3),
    tags=["rescind", "leaver", "incident"],
    default_args={"owner": "security", "retries": 0, "priority_weight": 100},
    params={
        **target_params(),
        **system_param(),
        **reason_params(required=True),
        **dry_run_param(),
        **closing_param(),
        **cap_params(),
        **sparse_param(),
    },
) as dag:
    review_chain(kind="targets")
