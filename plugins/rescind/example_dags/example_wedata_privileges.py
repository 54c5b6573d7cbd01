"""Revoke the privileges of one user on one WeData catalog object, and verify that they are gone.

Nothing is revoked unless you switch on `send` in the trigger form.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Param, chain, task
from airflow.sdk.exceptions import AirflowSkipException

from rescind.operators.wedata import (
    WeDataListPermissionsOperator,
    WeDataRevokePrivilegesOperator,
    WeDataVerifyPrivilegesGoneOperator,
)

# [START howto_wedata_privileges]
with DAG(
    dag_id="example_wedata_privileges",
    doc_md=__doc__,
    schedule=None,
    tags=["example", "rescind"],
    params={
        "resource_type": Param("Catalog", type="string"),
        "resource_uri": Param(type="string", minLength=1),
        "user": Param(type="string", minLength=1),
        "send": Param(False, type="boolean", description="Off: only log what would be revoked."),
    },
):
    listed = WeDataListPermissionsOperator(
        task_id="list",
        resource_type="{{ params.resource_type }}",
        resource_uri="{{ params.resource_uri }}",
    )

    @task
    def select(listed: dict[str, Any], params: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        """Return the grants to revoke, or skip everything downstream."""
        assert params is not None
        selected = [grant for grant in listed["grants"] if grant["subject_value"] == params["user"]]
        if not params["send"]:
            raise AirflowSkipException(f"would revoke {selected}")
        return selected

    selected = select(listed.output)  # type: ignore[arg-type]
    revoke = WeDataRevokePrivilegesOperator.partial(
        task_id="revoke", send=True, max_active_tis_per_dagrun=2
    ).expand_kwargs(selected)
    verify = WeDataVerifyPrivilegesGoneOperator(
        task_id="verify", grants=selected, retries=3, retry_delay=timedelta(seconds=30)
    )
    chain(revoke, verify)
# [END howto_wedata_privileges]
