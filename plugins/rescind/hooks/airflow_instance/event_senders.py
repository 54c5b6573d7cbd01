"""Ask Airflow who sent an asset event.

Airflow stores an asset event without its sender. Its audit log has the user and the body of each request to the REST
interface, so an event is found there by time and content. The user of the connection needs the right to read the audit
log.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

import httpx
from airflow.sdk.exceptions import AirflowNotFoundException

from rescind.hooks.airflow_instance.api import AIRFLOW_CONNECTION, FAILURES, airflow_api, what_failed

_EVENT = "create_asset_event"
_AROUND = timedelta(seconds=60)
"""How far the audit log's time may be from that of the event: both are written in one request."""
_MOST = 100


def look_up_senders(
    events: Iterable[tuple[datetime, str]], digest_of: Callable[[Any], str], conn_id: str = AIRFLOW_CONNECTION
) -> tuple[dict[tuple[datetime, str], str], str]:
    """Return the sender of each event that one user alone can have sent, and why others are not known (or empty).

    Never raises for an API that does not answer.

    :param events: time and digest of each event that the REST interface took.
    :param digest_of: returns the digest of an event's content.
    """
    wanted, found = list(events), dict[tuple[datetime, str], str]()
    try:
        with airflow_api(conn_id) as api:
            for at, sha256 in wanted:
                users = _users(api, at, sha256, digest_of)
                if len(users) == 1:
                    found[at, sha256] = users.pop()
    except AirflowNotFoundException:
        return {}, f"there is no connection {conn_id!r} to ask Airflow with"
    except FAILURES as error:
        return {}, f"connection {conn_id!r} does not let Airflow's audit log be read ({what_failed(error)})"
    return found, ""


def _users(api: httpx.Client, at: datetime, sha256: str, digest_of: Callable[[Any], str]) -> set[str]:
    """Return everybody who sent exactly this content at about this time; nobody if there is too much to read."""
    span = {"after": (at - _AROUND).isoformat(), "before": (at + _AROUND).isoformat()}
    answer = api.get("/api/v2/eventLogs", params={"event": _EVENT, "limit": _MOST, **span}).raise_for_status().json()
    rows = answer["event_logs"]
    if int(answer["total_entries"]) > len(rows):
        return set()
    return {str(row["owner"]) for row in rows if row["owner"] and digest_of(_content(row)) == sha256}


def _content(row: Mapping[str, Any]) -> Any:
    """Return the content of the event as Airflow stored it after this request."""
    try:
        body = json.loads(row["extra"] or "{}")
    except ValueError:
        return None
    sent = body.get("extra", {}) if isinstance(body, dict) else None
    return {**sent, "from_rest_api": True} if isinstance(sent, dict) else None
