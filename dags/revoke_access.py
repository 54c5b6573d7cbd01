"""### Revoke access.

For a leaver's last day or an incident: takes away what the form names, and only that. Started by a
person, never by a schedule. The chain is the one of *Access review*: the same guards, the same approval,
the same proof; only the decision comes from the form.

Name **principals** (ids of people or accounts, in any id space of the roster), **resources**, or both:
both together mean those people on those resources. Systems narrow it further.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG

from rescind.dag_parts.review_dag import review_chain
from rescind.dag_parts.trigger_forms import (
    cap_params,
    dry_run_param,
    reason_params,
    sparse_param,
    system_param,
    target_params,
)

with DAG(
    dag_id="revoke_access",
    dag_display_name="Revoke access",
    description="Revoke what a person names in the form, with approval and proof.",
    doc_md=__doc__,
    schedule=None,
    allowed_run_types=["manual"],
    catchup=False,
    is_paused_upon_creation=True,
    max_active_runs=1,
    dagrun_timeout=timedelta(days=2),
    tags=["rescind", "leaver", "incident"],
    default_args={"owner": "security", "retries": 0, "priority_weight": 100},
    params={
        **target_params(),
        **system_param(),
        **reason_params(required=True),
        **dry_run_param(),
        **cap_params(),
        **sparse_param(),
    },
) as dag:
    review_chain(kind="targets")
