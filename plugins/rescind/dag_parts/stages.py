"""Task groups and retry settings that the DAGs share."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import TaskGroup

from rescind.airflow_support.pools import REVOKE_POOL, VERIFY_POOL
from rescind.compat import retry_arguments
from rescind.dag_parts.retry_policy import LONGEST_S, RetryAfterPolicy

READ: dict[str, Any] = {
    "retries": 2,
    "retry_delay": timedelta(seconds=20),
    **retry_arguments(RetryAfterPolicy(), timedelta(seconds=LONGEST_S)),
}
"""Retries of tasks that only read."""
VERIFY: dict[str, Any] = {**READ, "pool": VERIFY_POOL}
"""Pool and retries of tasks that verify."""
WRITE: dict[str, Any] = {**READ, "pool": REVOKE_POOL, "retries": 3, "retry_delay": timedelta(seconds=30)}
"""Pool and retries of tasks that send writes."""
ASK: dict[str, Any] = {"retries": 2, "retry_delay": timedelta(seconds=5)}
"""Retries of tasks that wait for a person: used when Airflow loses the task, never to get another answer."""
REPORT: dict[str, Any] = {"retries": 2, "retry_delay": timedelta(seconds=30)}
"""Retries of the report."""


def stage(name: str, label: str, tip: str) -> TaskGroup:
    """Return a task group that leaves the ids of its tasks unchanged, so that logs, pools and scripts still fit."""
    return TaskGroup(name, group_display_name=label, tooltip=tip, prefix_group_id=False)
