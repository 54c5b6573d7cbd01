"""### Watch regrants.

Looks every day at what finished runs have proven gone, for as many days as the setting `watch_days` says (14), with
one listing for each place. A return is recorded in the ledger with what the platform tells of its source, written to
the summary, and reported by a red gate, so that callbacks and notifiers fire. It is **never fought**: somebody has
decided, and the next review or a person answers it.

| setting `watch_alarm` | the gate is red when |
| --- | --- |
| `new` (default) | something is seen for the first time, or could not be looked at |
| `any` | something that came back is still there, or could not be looked at |
| `none` | never; the log and the summary still say it |

A listing that failed says nothing: those grants are *not checked*, never *still gone*. What was given back through
*Restore access* is not watched.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, TriggerRule, chain

from rescind.dag_parts.retry_policy import AsTheVendorAsks
from rescind.operators.pools import VERIFY_POOL
from rescind.operators.watch import WatchGateOperator, WatchOperator

with DAG(
    dag_id="watch_regrants",
    dag_display_name="Watch regrants",
    description="Report access that came back after it was proven gone.",
    doc_md=__doc__,
    schedule="30 4 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    is_paused_upon_creation=True,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=12),
    tags=["rescind", "watch"],
    default_args={"owner": "security", "retries": 0},
) as dag:
    watch = WatchOperator(
        task_id="watch",
        pool=VERIFY_POOL,
        retries=2,
        retry_delay=timedelta(minutes=5),
        retry_policy=AsTheVendorAsks(),
    )
    gate = WatchGateOperator(task_id="gate", trigger_rule=TriggerRule.ALL_DONE)

    chain(watch, gate)
