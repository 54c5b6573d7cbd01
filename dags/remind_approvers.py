"""### Remind approvers.

Looks every hour for requests for approval that wait, and reminds of each at the interval of the setting
`notifications.remind_hours` (8): since when it waits, and until when it can be answered. The messages go to the chats
of the setting `notifications` that are told of a `reminder`. Without that setting it does nothing.

It reminds of questions to owners too: one message for each run, also about those that were handed over to a colleague.

Nothing is approved, rejected or revoked here.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG

from rescind.dag_parts.schedule import on_time
from rescind.dag_parts.watch_dag import remind_chain

with DAG(
    dag_id="remind_approvers",
    dag_display_name="Remind approvers",
    description="Remind approvers of requests that wait for an answer.",
    doc_md=__doc__,
    schedule=on_time("17 * * * *"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    is_paused_upon_creation=True,
    max_active_runs=1,
    dagrun_timeout=timedelta(minutes=30),
    tags=["rescind", "notifications"],
    default_args={"owner": "security", "retries": 0},
) as dag:
    remind_chain()
