"""Whether Airflow has the pools that a review's tasks wait in. A missing pool fails nothing: the task waits for ever.

Tasks have no way of their own to see pools: Airflow's interface for tasks does not show them. Its public one does,
to a user who may read pools; name it in the connection ``rescind_airflow`` (type ``http``; host and port of the API
server, login and password of that user). Without that connection pools are not checked.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import httpx
from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException

from rescind.errors import ConfigurationError

AIRFLOW_CONNECTION = "rescind_airflow"
IMPORT = "airflow pools import include/pools.json"
_SECONDS = 10.0


def check_pools(needed: Collection[str], conn_id: str = AIRFLOW_CONNECTION) -> str:
    """See that every pool is there and has room; returns a sentence for the log.

    :raises ConfigurationError: for a missing pool or one without slots, or when the connection is there and Airflow
        cannot be asked; the message names the remedy.
    """
    try:
        connection = BaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        return f"pools are not checked: there is no connection {conn_id!r} to ask Airflow with"
    host = connection.host or ""
    scheme = connection.schema if connection.schema in ("http", "https") else "http"
    base = host if "://" in host else f"{scheme}://{host}"
    url = f"{base}:{connection.port}" if connection.port else base
    try:
        slots = _slots(url, connection.login or "", connection.password or "")
    except (httpx.HTTPError, KeyError, TypeError, ValueError) as error:
        raise ConfigurationError(
            f"connection {conn_id!r}: Airflow's API does not list its pools ({_kind(error)}). Check host, port, login"
            " and password, and that this user may read pools; or delete the connection, and pools are not checked"
        ) from None
    missing = sorted(set(needed) - set(slots))
    if missing:
        raise ConfigurationError(f"Airflow has no pool {', '.join(missing)}: their tasks would wait for ever. {IMPORT}")
    closed = sorted(name for name in needed if slots[name] == 0)
    if closed:
        raise ConfigurationError(
            f"pool {', '.join(closed)} has no slots: its tasks would wait for ever. Give it some under Admin, Pools"
        )
    return "pools: " + ", ".join(f"{name} {slots[name]}" for name in sorted(needed))


def _slots(url: str, login: str, password: str) -> dict[str, int]:
    """Slots by pool; -1 means without limit."""
    with httpx.Client(base_url=url, timeout=_SECONDS, trust_env=False, follow_redirects=False) as client:
        told = client.post("/auth/token", json={"username": login, "password": password}).raise_for_status().json()
        headers = {"Authorization": f"Bearer {told['access_token']}"}
        found: dict[str, int] = {}
        while True:
            params: dict[str, Any] = {"limit": 100, "offset": len(found)}
            page = client.get("/api/v2/pools", params=params, headers=headers).raise_for_status().json()
            found |= {str(pool["name"]): int(pool["slots"]) for pool in page["pools"]}
            if not page["pools"] or len(found) >= int(page["total_entries"]):
                return found


def _kind(error: Exception) -> str:
    """What went wrong, without addresses or answers."""
    if isinstance(error, httpx.HTTPStatusError):
        return f"HTTP {error.response.status_code}"
    return type(error).__name__
