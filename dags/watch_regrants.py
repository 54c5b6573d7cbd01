"""### Watch regrants.

Checks every day whether access that finished runs proved gone has come back, for as many days as the setting
`watch_days` says (14). It re-lists each affected resource once. A regrant is recorded in the ledger with what the
platform tells about its source, written to the summary, and reported by a failed gate, so that callbacks and notifiers
run. It is **never revoked automatically**: somebody granted it on purpose, and the next review or a person decides.

| setting `watch_alarm` | the gate fails when |
| --- | --- |
| `new` (default) | a regrant is seen for the first time, or a grant could not be checked |
| `any` | a regrant is still present, or a grant could not be checked |
| `none` | never; the log and the summary still report it |

A failed listing proves nothing: its grants are *not checked*, never *still gone*. Grants that *Restore access* restored
are not watched.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG

from rescind.dag_parts.schedule import on_time
from rescind.dag_parts.watch_dag import watch_chain

with DAG(
    dag_id="watch_regrants",
    dag_display_name="Watch regrants",
    description="Report access that came back after it was proven gone.",
    doc_md=__doc__,
    schedule=on_time("30 4 * * *"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    is_paused_upon_creation=True,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=12),
    tags=["rescind", "watch"],
    default_args={"owner": "security", "retries": 0},
) as dag:
    watch_chain()
