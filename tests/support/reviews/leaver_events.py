"""Asset events that name leavers, as Airflow gives them to a run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk.api.datamodels._generated import AssetEventDagRunReference

from tests.support.reviews.review import ReviewBench

NOW = datetime.now(UTC)
SENDER = "hr-sync"


def event(extra: dict[str, Any], *, seconds: float = 0.0, dag: str | None = None) -> AssetEventDagRunReference:
    """An asset event as Airflow hands it to a task."""
    return AssetEventDagRunReference(
        asset={"name": "rescind_leavers", "uri": "rescind://leavers/", "extra": {}}, extra=extra, source_aliases=[],
        source_task_id=None, source_dag_id=dag, source_run_id=None, source_map_index=None,
        timestamp=NOW + timedelta(seconds=seconds),
    )  # fmt: skip


def posted(*principals: str, seconds: float = 0.0, **more: Any) -> AssetEventDagRunReference:
    return event({"principals": list(principals), **more, "from_rest_api": True}, seconds=seconds)


def people(setup: ReviewBench, count: int) -> list[dict[str, Any]]:
    """Active people who hold DMS permissions."""
    holders = {row["user_id"] for row in setup.emulator.get("truth")["dms_permissions"]}
    return [
        one
        for one in setup.emulator.get("org")["people"]
        if one["status"] == "active"
        and one["kind"] == "human"
        and not one["protected"]
        and one["dms_user_id"] in holders
    ][:count]


def requested(review: Any) -> tuple[list[str], Any]:
    with review.ledger() as ledger:
        run = ledger.runs.find("offboard", review.run_id)
        return list(run.params["principals"]), run


def real(setup: ReviewBench, *events: Any, **params: Any) -> Any:
    return setup.offboard(*events, systems=["dms_permissions"], **params)
