"""Check that Airflow has the pools of a run's tasks. A task in a missing pool waits forever and never fails.

Tasks cannot read pools by themselves. Without the connection of :mod:`~rescind.hooks.airflow_instance.api` they are not
checked.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import httpx
from airflow.sdk.exceptions import AirflowNotFoundException

from rescind.data_files import data_path
from rescind.errors import ConfigurationError
from rescind.hooks.airflow_instance.api import AIRFLOW_CONNECTION, FAILURES, airflow_api, what_failed


def check_pools(needed: Collection[str], conn_id: str = AIRFLOW_CONNECTION) -> str:
    """Check that every pool exists and has slots, and return a sentence for the log.

    :raises ConfigurationError: for a missing pool or one without slots, or when the connection exists but Airflow
        does not answer. The message names the fix.
    """
    try:
        with airflow_api(conn_id) as api:
            slots = _slots(api)
    except AirflowNotFoundException:
        return f"pools are not checked: there is no connection {conn_id!r} to ask Airflow with"
    except FAILURES as error:
        raise ConfigurationError(
            f"connection {conn_id!r}: Airflow's API does not list its pools ({what_failed(error)}). Check host,"
            " port, login and password, and that this user may read pools; or delete the connection, and pools are not"
            " checked"
        ) from None
    missing = sorted(set(needed) - set(slots))
    if missing:
        raise ConfigurationError(
            f"Airflow has no pool {', '.join(missing)}: their tasks would wait forever."
            f" Run: airflow pools import {data_path('pools.json')}"
        )
    closed = sorted(name for name in needed if slots[name] == 0)
    if closed:
        raise ConfigurationError(
            f"pool {', '.join(closed)} has no slots: its tasks would wait forever. Give it some under Admin, Pools"
        )
    return "pools: " + ", ".join(f"{name} {slots[name]}" for name in sorted(needed))


def _slots(api: httpx.Client) -> dict[str, int]:
    """Return slots by pool; -1 means unlimited."""
    found: dict[str, int] = {}
    while True:
        params: dict[str, Any] = {"limit": 100, "offset": len(found)}
        page = api.get("/api/v2/pools", params=params).raise_for_status().json()
        found |= {str(pool["name"]): int(pool["slots"]) for pool in page["pools"]}
        if not page["pools"] or len(found) >= int(page["total_entries"]):
            return found
