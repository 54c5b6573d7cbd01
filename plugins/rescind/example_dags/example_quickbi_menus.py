"""Revoke one user's authorizations for the menus of a Quick BI portal, and verify that they are gone.

Nothing is revoked unless you switch on `send` in the trigger form.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Param, chain, task
from airflow.sdk.exceptions import AirflowSkipException

from rescind.operators.quickbi import (
    QuickBiCancelAuthorizationMenuOperator,
    QuickBiListPortalMenuAuthorizationOperator,
    QuickBiVerifyMenuAuthorizationsGoneOperator,
)

# [START howto_quickbi_menus]
with DAG(
    dag_id="example_quickbi_menus",
    doc_md=__doc__,
    schedule=None,
    tags=["example", "rescind"],
    params={
        "portal_id": Param(type="string", minLength=1),
        "user_id": Param(type="string", minLength=1),
        "send": Param(False, type="boolean", description="Off: only log what would be revoked."),
    },
):
    listed = QuickBiListPortalMenuAuthorizationOperator(
        task_id="list",
        portal_id="{{ params.portal_id }}",
    )

    @task
    def select(listed: dict[str, Any], params: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        """Return the grants to revoke, or skip everything downstream."""
        assert params is not None
        selected = [grant for grant in listed["grants"] if grant.get("user_ids") == [params["user_id"]]]
        if not params["send"]:
            raise AirflowSkipException(f"would revoke {selected}")
        return selected

    selected = select(listed.output)  # type: ignore[arg-type]
    revoke = QuickBiCancelAuthorizationMenuOperator.partial(
        task_id="revoke", send=True, max_active_tis_per_dagrun=2
    ).expand_kwargs(selected)
    verify = QuickBiVerifyMenuAuthorizationsGoneOperator(
        task_id="verify", grants=selected, retries=3, retry_delay=timedelta(seconds=30)
    )
    chain(revoke, verify)
# [END howto_quickbi_menus]
