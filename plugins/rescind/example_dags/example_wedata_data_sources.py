"""Revoke the authorizations of one project's users for a WeData data source, and verify that they are gone.

Nothing is revoked unless you switch on `send` in the trigger form.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Param, chain, task
from airflow.sdk.exceptions import AirflowSkipException

from rescind.operators.wedata import (
    WeDataListDataSourceAuthorizationsOperator,
    WeDataRevokeDataSourceAuthorizationOperator,
    WeDataVerifyDataSourceAuthorizationsGoneOperator,
)

# [START howto_wedata_data_sources]
with DAG(
    dag_id="example_wedata_data_sources",
    doc_md=__doc__,
    schedule=None,
    tags=["example", "rescind"],
    params={
        "data_source_id": Param(type="string", minLength=1),
        "project_id": Param(type="string", minLength=1),
        "send": Param(False, type="boolean", description="Off: only log what would be revoked."),
    },
):
    listed = WeDataListDataSourceAuthorizationsOperator(
        task_id="list",
        data_source_id="{{ params.data_source_id }}",
    )

    @task
    def select(listed: dict[str, Any], params: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        """Return the grants to revoke, or skip everything downstream."""
        assert params is not None
        of_project = [grant for grant in listed["grants"] if grant["project_id"] == params["project_id"]]
        # An entry with whole_project authorizes the project itself: it stays.
        selected = [grant for grant in of_project if "user_id" in grant]
        if not params["send"]:
            raise AirflowSkipException(f"would revoke {selected}")
        return selected

    selected = select(listed.output)  # type: ignore[arg-type]
    revoke = WeDataRevokeDataSourceAuthorizationOperator.partial(
        task_id="revoke", send=True, max_active_tis_per_dagrun=2
    ).expand_kwargs(selected)
    verify = WeDataVerifyDataSourceAuthorizationsGoneOperator(
        task_id="verify", grants=selected, retries=3, retry_delay=timedelta(seconds=30)
    )
    chain(revoke, verify)
# [END howto_wedata_data_sources]
