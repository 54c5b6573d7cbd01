"""Identify the user and the DAGs they may read, with Airflow's authentication and auth manager.

Only this module of the package imports Airflow. It uses the functions that Airflow's own routes depend on. They are not
a public interface, so the tests run them against a real API server.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from typing import Any, Literal
from urllib.parse import urlsplit

from starlette.requests import Request

from rescind.approvers import KNOWN


async def identify(request: Request) -> Any:
    """Return the user of a request, from a bearer token or the session cookie of Airflow's UI.

    :raises fastapi.HTTPException: 401 without a token or with an expired one, 403 with one that is not valid.
    """
    from airflow.api_fastapi.core_api.security import bearer_scheme, get_user, resolve_user_from_token

    token = await bearer_scheme(request)
    if token is not None and token.scheme.lower() == "bearer":
        # Airflow 3.2 would take the user of the cookie, although the request names another identity.
        return await resolve_user_from_token(token.credentials)
    return await get_user(request, None, None)


def auth_manager() -> str:
    """Return the name of the auth manager's class, or of the base class of it that this package knows.

    :raises RuntimeError: before Airflow has created the auth manager.
    """
    from airflow.api_fastapi.app import get_auth_manager

    names = [one.__name__ for one in type(get_auth_manager()).__mro__]
    return next((name for name in names if name in KNOWN), names[0])


def readable(user: Any, dag_ids: Collection[str]) -> frozenset[str]:
    """Return those of the DAGs whose runs the user may read. Errors of the auth manager pass through.

    With several teams, nobody may read a DAG that Airflow no longer knows: it belongs to no team.
    """
    return _allowed(user, dag_ids, "GET", "RUN")


def may_answer(user: Any, dag_id: str) -> bool:
    """Return whether the user may answer questions of the DAG, as Airflow's own form asks; see :func:`readable`."""
    return dag_id in _allowed(user, [dag_id], "PUT", "HITL_DETAIL")


def _allowed(user: Any, dag_ids: Collection[str], method: Literal["GET", "PUT"], entity: str) -> frozenset[str]:
    """Return those of the DAGs for which the auth manager gives the user a right.

    :param entity: name of a member of ``DagAccessEntity``.
    """
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
    from airflow.configuration import conf
    from airflow.models.dag import DagModel

    manager = get_auth_manager()
    teams: dict[str, str | None] = {dag_id: None for dag_id in dag_ids}
    if conf.getboolean("core", "multi_team"):
        known = DagModel.get_dag_id_to_team_name_mapping(list(dag_ids))
        teams = {dag_id: known.get(dag_id) for dag_id in dag_ids if _exists(dag_id)}
    return frozenset(
        dag_id
        for dag_id, team in teams.items()
        if manager.is_authorized_dag(
            method=method,
            access_entity=DagAccessEntity[entity],
            details=DagDetails(id=dag_id, team_name=team),
            user=user,
        )
        is True
    )


def _exists(dag_id: str) -> bool:
    from airflow.models.dag import DagModel

    return DagModel.get_current(dag_id) is not None


def form_key() -> bytes:
    """Return the key of form tokens, made from Airflow's ``[api] secret_key``, which all its API servers share.

    :raises RuntimeError: when Airflow has none.
    """
    from airflow.configuration import conf

    secret = conf.get("api", "secret_key", fallback="") or ""
    if not secret:
        raise RuntimeError("Airflow's setting [api] secret_key is empty. Set it to the same value on all API servers")
    return hashlib.sha256(b"rescind-form-key/1\n" + secret.encode()).digest()


def base_origin() -> str:
    """Return the origin of Airflow's ``[api] base_url``, such as ``https://airflow.example.org``; empty without one."""
    from airflow.configuration import conf

    found = urlsplit(conf.get("api", "base_url", fallback="") or "")
    return f"{found.scheme}://{found.netloc}".lower() if found.scheme in ("http", "https") and found.netloc else ""
