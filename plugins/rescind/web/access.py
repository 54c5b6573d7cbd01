"""Who asks, and which DAGs they may read: Airflow's own authentication and its auth manager, nothing of ours.

The one module of this room that imports Airflow. The functions below are what Airflow's own routes depend on;
they are not a public interface, so the tests hold them against a real API server.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from starlette.requests import Request


async def identify(request: Request) -> Any:
    """The user behind a request: a bearer token, or the session cookie of Airflow's interface.

    :raises fastapi.HTTPException: 401 without a token or with an expired one, 403 with one that is not valid.
    """
    from airflow.api_fastapi.core_api.security import bearer_scheme, get_user

    return await get_user(request, None, await bearer_scheme(request))


def readable(user: Any, dag_ids: Collection[str]) -> frozenset[str]:
    """Those of the DAGs whose runs the user may read. Raises whatever the auth manager raises.

    With several teams, a DAG that Airflow no longer knows belongs to none and is readable by nobody.
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
            method="GET",
            access_entity=DagAccessEntity.RUN,
            details=DagDetails(id=dag_id, team_name=team),
            user=user,
        )
        is True
    )


def _exists(dag_id: str) -> bool:
    from airflow.models.dag import DagModel

    return DagModel.get_current(dag_id) is not None
