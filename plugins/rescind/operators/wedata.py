"""Single calls to Tencent Cloud WeData, for anybody's Dag.

These operators make exactly one call (or one complete listing) each. They know no plan and no approval; the review
Dags of this package do not use them to revoke.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.sdk import BaseOperator, Context

from rescind.cloud.outcomes import Said
from rescind.cloud.wedata_messages import (
    FromProject,
    FromUser,
    ListPermissions,
    Privilege,
    PrivilegeResource,
    RevokeDataSourceAuthorization,
    RevokePrivileges,
    Subject,
)
from rescind.hooks.calls import airflow_outcomes, checked_flag, described, list_all, refused, write_once
from rescind.hooks.wedata import WeDataHook


class WeDataListPermissionsOperator(BaseOperator):
    """All grants on one catalog-mode object, or a failed task; never a part of them.

    Returns ``{"rows": [...], "record": {...}}`` with rows as the vendor spells them. Reads are safe to retry.

    :param wedata_conn_id: the connection. (templated)
    :param resource_type: ``Metalake``, ``Catalog``, ``Schema``, ``Table`` ... (templated)
    :param resource_uri: ``default`` for Metalake, else the dotted path of names. (templated)
    """

    template_fields: Sequence[str] = ("wedata_conn_id", "resource_type", "resource_uri")

    def __init__(
        self, *, resource_type: str, resource_uri: str, wedata_conn_id: str = "wedata_default", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.wedata_conn_id = wedata_conn_id
        self.resource_type = resource_type
        self.resource_uri = resource_uri

    def execute(self, context: Context) -> dict[str, Any]:
        """List to the end."""
        with airflow_outcomes():
            return self._execute()

    def _execute(self) -> dict[str, Any]:
        resource = PrivilegeResource(ResourceType=self.resource_type, ResourceUri=self.resource_uri)
        return list_all(WeDataHook(self.wedata_conn_id).get_conn(), ListPermissions(Resource=resource))


class WeDataRevokePrivilegesOperator(BaseOperator):
    """Withdraw one privilege from one subject on one object.

    With ``dry_run`` (the default) nothing is sent and the request that would be sent is returned. Otherwise
    the result says ``accepted``: the vendor said yes. That is no proof; list the permissions again.

    Retries: an answer that is lost or unclear fails the task without a retry, because a blind second call
    could meet a grant made in between. Throttled calls were not executed and are repeated here for up to
    ``patience_s``; after that the task fails in a way that ``retries`` may repeat.

    :param wedata_conn_id: the connection. (templated)
    :param resource_type: as listed. (templated)
    :param resource_uri: as listed. (templated)
    :param subject_type: ``User``, ``Project``, ``Role`` or ``GlobalRole``. (templated)
    :param subject_value: the id as listed. (templated)
    :param privilege: the privilege's name as listed. (templated)
    :param dry_run: True sends nothing.
    :param patience_s: how long throttled attempts may go on, in seconds.
    """

    template_fields: Sequence[str] = (
        "wedata_conn_id",
        "resource_type",
        "resource_uri",
        "subject_type",
        "subject_value",
        "privilege",
    )

    def __init__(
        self,
        *,
        resource_type: str,
        resource_uri: str,
        subject_type: str,
        subject_value: str,
        privilege: str,
        wedata_conn_id: str = "wedata_default",
        dry_run: bool = True,
        patience_s: float = 120.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.wedata_conn_id = wedata_conn_id
        self.resource_type = resource_type
        self.resource_uri = resource_uri
        self.subject_type: Any = subject_type
        self.subject_value = subject_value
        self.privilege = privilege
        self.only_describe = checked_flag("dry_run", dry_run)
        self.patience_s = patience_s

    def execute(self, context: Context) -> dict[str, Any]:
        """Describe or send."""
        with airflow_outcomes():
            return self._execute()

    def _execute(self) -> dict[str, Any]:
        request = RevokePrivileges(
            Resources=(PrivilegeResource(ResourceType=self.resource_type, ResourceUri=self.resource_uri),),
            Subjects=(Subject(SubjectType=self.subject_type, SubjectValues=(self.subject_value,)),),
            Privileges=(Privilege(Name=self.privilege),),
        )
        client = WeDataHook(self.wedata_conn_id).get_conn()
        if self.only_describe:
            return described(client, request)
        answer = write_once(client, request, self.patience_s)
        outcome = answer.value.outcomes(request.Resources)[0]
        if outcome.said is not Said.ACCEPTED:
            raise refused(request, outcome.detail, answer)
        return {"dry_run": False, "action": request.action, "outcome": "accepted", "request_id": answer.request_id}


class WeDataRevokeDataSourceAuthorizationOperator(BaseOperator):
    """Withdraw a data source from one project, or from one user inside one project.

    Without ``user_id`` the whole project loses the data source. The vendor's call without any selector would
    take it from everybody; that call cannot be made here. Dry run and retries as for
    :class:`WeDataRevokePrivilegesOperator`.

    :param wedata_conn_id: the connection. (templated)
    :param data_source_id: the data source. (templated)
    :param project_id: the project. (templated)
    :param user_id: one user inside the project; None means the whole project. (templated)
    :param dry_run: True sends nothing.
    :param patience_s: how long throttled attempts may go on, in seconds.
    """

    template_fields: Sequence[str] = ("wedata_conn_id", "data_source_id", "project_id", "user_id")

    def __init__(
        self,
        *,
        data_source_id: str,
        project_id: str,
        user_id: str | None = None,
        wedata_conn_id: str = "wedata_default",
        dry_run: bool = True,
        patience_s: float = 120.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.wedata_conn_id = wedata_conn_id
        self.data_source_id = data_source_id
        self.project_id = project_id
        self.user_id = user_id
        self.only_describe = checked_flag("dry_run", dry_run)
        self.patience_s = patience_s

    def execute(self, context: Context) -> dict[str, Any]:
        """Describe or send."""
        with airflow_outcomes():
            return self._execute()

    def _execute(self) -> dict[str, Any]:
        # Only None selects the whole project: an empty text, as a template may render it, is refused by FromUser.
        target = (
            FromProject(project_id=self.project_id)
            if self.user_id is None
            else FromUser(project_id=self.project_id, user_id=self.user_id)
        )
        request = RevokeDataSourceAuthorization(DataSourceId=self.data_source_id, target=target)
        client = WeDataHook(self.wedata_conn_id).get_conn()
        if self.only_describe:
            return described(client, request)
        answer = write_once(client, request, self.patience_s)
        return {"dry_run": False, "action": request.action, "outcome": "accepted", "request_id": answer.request_id}
