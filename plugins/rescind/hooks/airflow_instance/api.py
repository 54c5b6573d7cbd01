"""Airflow's public REST API, for what a task cannot read or write through Airflow's task interface.

The connection ``rescind_airflow`` (type ``http``; host and port of the API server, login and password of a user) is
optional. If its user may read pools, preflight checks them. If its user may also edit DAG runs, a run gets its result
as a note.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

import httpx
from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException

AIRFLOW_CONNECTION = "rescind_airflow"
FAILURES = (httpx.HTTPError, httpx.InvalidURL, KeyError, TypeError, ValueError)
"""Errors of a request to Airflow's API: not reached, refused, or a malformed answer."""

MOST_NOTE = 1000
"""Maximum number of characters in the note of a DAG run: the limit of Airflow's API."""
_MARK = "[Rescind] "
_LEAST = 100
_SECONDS = 10.0


@contextmanager
def airflow_api(conn_id: str = AIRFLOW_CONNECTION) -> Iterator[httpx.Client]:
    """Open a client with a token of the connection's user. Paths begin with ``/api/v2``.

    :raises AirflowNotFoundException: when the connection does not exist.
    """
    connection = BaseHook.get_connection(conn_id)
    host = connection.host or ""
    scheme = connection.schema if connection.schema in ("http", "https") else "http"
    base = host if "://" in host else f"{scheme}://{host}"
    url = f"{base}:{connection.port}" if connection.port else base
    with httpx.Client(base_url=url, timeout=_SECONDS, trust_env=False, follow_redirects=False) as client:
        who = {"username": connection.login or "", "password": connection.password or ""}
        told = client.post("/auth/token", json=who).raise_for_status().json()
        client.headers["authorization"] = f"Bearer {told['access_token']}"
        yield client


def what_failed(error: Exception) -> str:
    """Return what failed, without addresses or answers."""
    if isinstance(error, httpx.HTTPStatusError):
        return f"HTTP {error.response.status_code}"
    return type(error).__name__


def write_note(dag_id: str, run_id: str, text: str, conn_id: str = AIRFLOW_CONNECTION) -> str:
    """Write a text as the note of a DAG run and return a sentence for the log. Never raises: a note is optional.

    Text by people stays, after ours. Text of an earlier attempt is replaced.
    """
    try:
        with airflow_api(conn_id) as api:
            path = f"/api/v2/dags/{quote(dag_id, safe='')}/dagRuns/{quote(run_id, safe='')}"
            before = api.get(path).raise_for_status().json()["note"] or ""
            note = joined(before, text)
            api.patch(path, params={"update_mask": "note"}, json={"note": note}).raise_for_status()
    except AirflowNotFoundException:
        return f"no note on the DAG run: there is no connection {conn_id!r} to write it with"
    except FAILURES as error:
        why = what_failed(error)
    except Exception as error:  # whatever a secrets backend raises must not fail a finished run
        why = type(error).__name__
    else:
        return "the note on the DAG run is written"
    return f"no note on the DAG run: connection {conn_id!r} does not let it be written ({why})"


def joined(before: str, text: str) -> str:
    """Return our text and, after a blank line, the note by people. Theirs is never cut; ours is cut to fit.

    Ours comes first, because the UI shows the first line. It has no blank line, so the two can be told apart.

    :raises ValueError: when the note by people leaves no space.
    """
    theirs = before.partition("\n\n")[2] if before.startswith(_MARK) else before.strip()
    rest = f"\n\n{theirs}" if theirs else ""
    space = MOST_NOTE - len(_MARK) - len(rest)
    if space < _LEAST:
        raise ValueError("the note is full")
    return _MARK + (text if len(text) <= space else text[: space - 1] + "…") + rest
