"""An auth manager for tests of permissions: Airflow's simple one, which lets every user read every DAG, less some."""

from __future__ import annotations

from typing import Any

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

from tests.support.servers.api_server import BREAKS, NO_RUNS, NOBODY, PARTLY


class PickyAuthManager(SimpleAuthManager):
    """Roles as in the simple auth manager; four users have less."""

    def is_authorized_dag(
        self,
        *,
        method: Any,
        user: SimpleAuthManagerUser,
        access_entity: DagAccessEntity | None = None,
        details: DagDetails | None = None,
    ) -> bool:
        if user.username == BREAKS:
            raise RuntimeError("the directory of permissions does not answer")
        if user.username == NOBODY or (user.username == PARTLY and (details is None or details.id != "revoke_access")):
            return False
        if user.username == NO_RUNS and access_entity is DagAccessEntity.RUN:
            return False
        return super().is_authorized_dag(method=method, user=user, access_entity=access_entity, details=details)
