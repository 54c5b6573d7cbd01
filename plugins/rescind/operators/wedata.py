"""Single calls to Tencent Cloud WeData, for anybody's Dag.

These operators make exactly one call (or one complete listing) each. They know no plan and no approval; the review
Dags of this package do not use them to revoke.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rescind.cloud.base import Answer, WriteRequest
from rescind.cloud.clients import WeDataClient
from rescind.cloud.outcomes import Said
from rescind.cloud.wedata.data_sources import FromProject, FromUser, RevokeDataSourceAuthorization
from rescind.cloud.wedata.privileges import ListPermissions, Privilege, PrivilegeResource, RevokePrivileges, Subject
from rescind.hooks.calls import refused
from rescind.hooks.wedata import WeDataHook
from rescind.operators.vendor_call import ListOperator, RevokeOperator


class WeDataListPermissionsOperator(ListOperator):
    """All grants on one catalog-mode object; see :class:`ListOperator`.

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

    def client(self) -> WeDataClient:
        """The client of ``wedata_conn_id``."""
        return WeDataHook(self.wedata_conn_id).get_conn()

    def request(self) -> ListPermissions:
        """The object's grants."""
        resource = PrivilegeResource(ResourceType=self.resource_type, ResourceUri=self.resource_uri)
        return ListPermissions(Resource=resource)


class WeDataRevokePrivilegesOperator(RevokeOperator):
    """Withdraw one privilege from one subject on one object; see :class:`RevokeOperator`.

    :param wedata_conn_id: the connection. (templated)
    :param resource_type: as listed. (templated)
    :param resource_uri: as listed. (templated)
    :param subject_type: ``User``, ``Project``, ``Role`` or ``GlobalRole``. (templated)
    :param subject_value: the id as listed. (templated)
    :param privilege: the privilege's name as listed. (templated)
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
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.wedata_conn_id = wedata_conn_id
        self.resource_type = resource_type
        self.resource_uri = resource_uri
        self.subject_type: Any = subject_type
        self.subject_value = subject_value
        self.privilege = privilege

    def client(self) -> WeDataClient:
        """The client of ``wedata_conn_id``."""
        return WeDataHook(self.wedata_conn_id).get_conn()

    def request(self) -> RevokePrivileges:
        """One object, one subject, one privilege."""
        return RevokePrivileges(
            Resources=(PrivilegeResource(ResourceType=self.resource_type, ResourceUri=self.resource_uri),),
            Subjects=(Subject(SubjectType=self.subject_type, SubjectValues=(self.subject_value,)),),
            Privileges=(Privilege(Name=self.privilege),),
        )

    def told(self, request: WriteRequest[Any], answer: Answer[Any]) -> dict[str, Any]:
        """Nothing more, once the result for the one object says true."""
        assert isinstance(request, RevokePrivileges)
        outcome = answer.value.outcomes(request.Resources)[0]
        if outcome.said is not Said.ACCEPTED:
            raise refused(request, outcome.detail, answer)
        return {}


class WeDataRevokeDataSourceAuthorizationOperator(RevokeOperator):
    """Withdraw a data source from one project, or from one user inside one project.

    Without ``user_id`` the whole project loses the data source. The vendor's call without any selector would
    take it from everybody; that call cannot be made here. See
    :class:`RevokeOperator` for dry run and retries.

    :param wedata_conn_id: the connection. (templated)
    :param data_source_id: the data source. (templated)
    :param project_id: the project. (templated)
    :param user_id: one user inside the project; None means the whole project. (templated)
    """

    template_fields: Sequence[str] = ("wedata_conn_id", "data_source_id", "project_id", "user_id")

    def __init__(
        self,
        *,
        data_source_id: str,
        project_id: str,
        user_id: str | None = None,
        wedata_conn_id: str = "wedata_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.wedata_conn_id = wedata_conn_id
        self.data_source_id = data_source_id
        self.project_id = project_id
        self.user_id = user_id

    def client(self) -> WeDataClient:
        """The client of ``wedata_conn_id``."""
        return WeDataHook(self.wedata_conn_id).get_conn()

    def request(self) -> RevokeDataSourceAuthorization:
        """Exactly one selector; only None selects the whole project, an empty text (a template's) is refused."""
        if self.user_id is None:
            target: FromProject | FromUser = FromProject(project_id=self.project_id)
        else:
            target = FromUser(project_id=self.project_id, user_id=self.user_id)
        return RevokeDataSourceAuthorization(DataSourceId=self.data_source_id, target=target)
