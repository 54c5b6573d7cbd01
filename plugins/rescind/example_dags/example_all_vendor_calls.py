"""Revoke one person's grants with all four vendor calls, and verify that they are gone.

Nothing is revoked unless you switch on `send` in the trigger form.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Param, TaskGroup, chain, task
from airflow.sdk.exceptions import AirflowSkipException

from rescind.operators import dms, quickbi, wedata

# [START howto_all_vendor_calls]
CALLS: dict[str, tuple[Any, Any, Any, tuple[str, ...], str]] = {
    "wedata_object": (
        wedata.WeDataListPermissionsOperator,
        wedata.WeDataRevokePrivilegesOperator,
        wedata.WeDataVerifyPrivilegesGoneOperator,
        ("resource_type", "resource_uri"),
        "subject_value",
    ),
    "wedata_source": (
        wedata.WeDataListDataSourceAuthorizationsOperator,
        wedata.WeDataRevokeDataSourceAuthorizationOperator,
        wedata.WeDataVerifyDataSourceAuthorizationsGoneOperator,
        ("data_source_id",),
        "user_id",
    ),
    "dms_user": (
        dms.DmsListUserPermissionsOperator,
        dms.DmsRevokeUserPermissionOperator,
        dms.DmsVerifyUserPermissionsGoneOperator,
        ("user_id", "object_kind"),
        "user_id",
    ),
    "quickbi_portal": (
        quickbi.QuickBiListPortalMenuAuthorizationOperator,
        quickbi.QuickBiCancelAuthorizationMenuOperator,
        quickbi.QuickBiVerifyMenuAuthorizationsGoneOperator,
        ("portal_id",),
        "user_ids",
    ),
}
"""Name of the call -> operators that list, revoke and verify; what to list; the field with the person's id."""


@task
def select(listed: dict[str, Any], call: str, field: str, params: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    """Return the grants to revoke, or skip everything downstream."""
    assert params is not None
    person = params[call]["person"]
    selected = [grant for grant in listed["grants"] if grant.get(field) in (person, [person])]
    if not params["send"]:
        raise AirflowSkipException(f"would revoke {selected}")
    return selected


with DAG(
    dag_id="example_all_vendor_calls",
    doc_md=__doc__,
    schedule=None,
    tags=["example", "rescind"],
    params={
        "send": Param(False, type="boolean", description="Off: only log what would be revoked."),
        **{
            call: Param(type="object", required=["person", *what], description=f"`person`, and what to list: {what}")
            for call, (_, _, _, what, _) in CALLS.items()
        },
    },
):
    for call, (list_op, revoke_op, verify_op, what, field) in CALLS.items():
        with TaskGroup(call):
            where = {name: f"{{{{ params.{call}.{name} }}}}" for name in what}
            listed = list_op(task_id="list", **where)
            selected = select(listed.output, call, field)
            revoke = revoke_op.partial(task_id="revoke", send=True, max_active_tis_per_dagrun=2).expand_kwargs(selected)
            verify = verify_op(task_id="verify", grants=selected, retries=3, retry_delay=timedelta(seconds=30))
            chain(revoke, verify)
# [END howto_all_vendor_calls]
