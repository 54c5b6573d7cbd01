"""### Restore access.

Restores what a run of *Access review* or *Revoke access* revoked: all of it, or what the form selects. A person starts
it, with a reason of its own, and somebody else approves it. Its calls use **granting connections** that no other run
uses (setting `granting_connections`), so the key that revokes does not need the right to grant.

| stage | what happens | what stops it |
| --- | --- | --- |
| preflight | verifies the bundle; checks selection, caps, approvers, connections | anything missing or invalid |
| read touched resources | lists what exists now, before anything is sent | a listing that is incomplete |
| plan | covers what the snapshot of the run holds with the fewest calls, frozen under a digest | the cap |
| approve | a person sees who gets what, and the digest | no answer; an answer by the requester or a receiver |
| restore | one task per batch; what was already re-granted is skipped | a changed plan, the kill switch |
| verify | everything is as in the snapshot; nothing else was added or lost | anything unproven fails the run |

The run's last evidence bundle is verified completely and compared with the ledger, also if you name the run. Only
grants that the run certainly removed can be restored. Grants that cannot be restored exactly, and grants whose holder
or resource no longer exists, are reported and skipped. A DMS permission comes back as a new record with the same end
date. It is a **dry run** unless you switch that off.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG

from rescind.dag_parts.restore_dag import restore_chain
from rescind.dag_parts.trigger_forms import dry_run_param, reason_params, restore_params, system_param

with DAG(
    dag_id="restore_access",
    dag_display_name="Restore access",
    description="Restore what a run revoked, with approval and proof.",
    doc_md=__doc__,
    schedule=None,
    allowed_run_types=["manual"],
    catchup=False,
    is_paused_upon_creation=True,
    max_active_runs=8,
    dagrun_timeout=timedelta(days=2),
    tags=["rescind", "restore", "incident"],
    default_args={"owner": "security", "retries": 0, "priority_weight": 100},
    params={**restore_params(), **system_param(), **reason_params(required=True), **dry_run_param("restores")},
) as dag:
    restore_chain()
