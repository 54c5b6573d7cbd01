"""The task chain that watches for regrants."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import TriggerRule, chain

from rescind.dag_parts.stages import VERIFY
from rescind.operators.watch import WatchGateOperator, WatchOperator


def watch_chain() -> None:
    """Add both stages of the watch to the DAG in whose ``with`` block this is called."""
    watch = WatchOperator(task_id="watch", **{**VERIFY, "retry_delay": timedelta(minutes=5)})
    gate = WatchGateOperator(task_id="gate", trigger_rule=TriggerRule.ALL_DONE)

    chain(watch, gate)
