"""The task chains that watch for regrants, and that remind approvers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from airflow.sdk import BaseNotifier, TriggerRule, chain

from rescind.dag_parts.stages import VERIFY
from rescind.operators.questions.remind import RemindOperator
from rescind.operators.watch import WatchGateOperator, WatchOperator


def watch_chain(*, notifiers: Sequence[BaseNotifier] = ()) -> None:
    """Add both stages of the watch to the DAG in whose ``with`` block this is called.

    :param notifiers: told about access that came back; see :func:`rescind.dag_parts.review_dag.review_chain`.
    """
    watch = WatchOperator(task_id="watch", **{**VERIFY, "retry_delay": timedelta(minutes=5)})
    gate = WatchGateOperator(task_id="gate", notifiers=notifiers, trigger_rule=TriggerRule.ALL_DONE)

    chain(watch, gate)


def remind_chain(*, notifiers: Sequence[BaseNotifier] = ()) -> None:
    """Add the reminders to the DAG in whose ``with`` block this is called.

    :param notifiers: told about requests for approval that wait; see
        :func:`rescind.dag_parts.review_dag.review_chain`.
    """
    RemindOperator(task_id="remind", notifiers=notifiers)
