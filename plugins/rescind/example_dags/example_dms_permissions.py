"""Revoke the database permissions of one DMS user, wait until they are gone, and verify.

Nothing is revoked unless you switch on `send` in the trigger form.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Param, chain, task
from airflow.sdk.exceptions import AirflowSkipException

from rescind.operators.dms import (
    DmsListUserPermissionsOperator,
    DmsRevokeUserPermissionOperator,
    DmsVerifyUserPermissionsGoneOperator,
)
from rescind.sensors.dms import DmsUserPermissionGoneSensor

# [START howto_dms_permissions]
with DAG(
    dag_id="example_dms_permissions",
    doc_md=__doc__,
    schedule=None,
    tags=["example", "rescind"],
    params={
        "user_id": Param(type="string", minLength=1),
        "send": Param(False, type="boolean", description="Off: only log what would be revoked."),
    },
):
    listed = DmsListUserPermissionsOperator(
        task_id="list",
        user_id="{{ params.user_id }}",
        object_kind="DATABASE",
    )

    @task
    def select(listed: dict[str, Any], params: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        """Return the grants to revoke, or skip everything downstream."""
        assert params is not None
        selected = [grant for grant in listed["grants"] if grant["perm_type"] in ("QUERY", "EXPORT", "CORRECT")]
        if not params["send"]:
            raise AirflowSkipException(f"would revoke {selected}")
        return selected

    selected = select(listed.output)  # type: ignore[arg-type]
    revoke = DmsRevokeUserPermissionOperator.partial(
        task_id="revoke", send=True, max_active_tis_per_dagrun=2
    ).expand_kwargs(selected)
    wait = DmsUserPermissionGoneSensor.partial(
        task_id="wait", deferrable=True, poke_interval=30, timeout=1800, max_active_tis_per_dagrun=2
    ).expand(grant=selected)
    verify = DmsVerifyUserPermissionsGoneOperator(
        task_id="verify", grants=selected, retries=3, retry_delay=timedelta(seconds=30)
    )
    chain(revoke, wait, verify)
# [END howto_dms_permissions]
