"""### Offboard.

Started by an event of the HR system: revokes the access of everybody whom the events name. The stages are those of
*Revoke access*, with the same guards, approval and verification. Only the names come from the events.

The HR system sends an asset event to Airflow's REST interface, `POST /api/v2/assets/events`, for the asset
`rescind_leavers`, with `{"principals": ["person_id:P7"], "reason": "...", "ticket": "..."}` in `extra`. A message queue
can bring the same object.

| rule | |
| --- | --- |
| several events | one run takes all that no run has taken, and names each |
| an event that cannot be used | left out and named; the others are handled, and the gate fails |
| too many people | in one event: it is left out; in all together: the run is refused (setting `event_max_people`) |
| dry run | always, unless the setting `enforce_events` is on. An event cannot choose it |
| approval | by a person, always. Nobody who sent one of the events may answer |
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG

from rescind.dag_parts.review_dag import RUN_BY_DAG, leavers, review_chain
from rescind.dag_parts.trigger_forms import cap_params, closing_param, dry_run_param, sparse_param, system_param

LEAVERS = leavers()

with DAG(
    dag_id="offboard",
    dag_display_name="Offboard",
    description="Revoke the access of people whom events of the HR system name, with approval and proof.",
    doc_md=__doc__,
    schedule=[LEAVERS],
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    allowed_run_types=["asset_triggered", *RUN_BY_DAG],
    catchup=False,
    is_paused_upon_creation=True,
    max_active_runs=8,
    dagrun_timeout=timedelta(days=3),
    tags=["rescind", "leaver"],
    default_args={"owner": "security", "retries": 0, "priority_weight": 100},
    params={**system_param(), **dry_run_param(), **closing_param(), **cap_params(), **sparse_param()},
) as dag:
    review_chain(kind="targets", events=LEAVERS)
