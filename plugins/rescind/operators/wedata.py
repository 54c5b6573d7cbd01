"""Operators for single calls to Tencent Cloud WeData, for any DAG.

Each operator makes one call or one complete listing. They have no plan and no approval; the review DAGs of this
package do not use them to revoke.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from rescind.cloud.answers.outcomes import Said
from rescind.cloud.base import Answer, WriteRequest
from rescind.cloud.wedata.data_sources import DescribeDataSourceAuthority
from rescind.cloud.wedata.privileges import ListPermissions, PrivilegeResource, RevokePrivileges
from rescind.hooks.single_calls.calls import checked_flag, refused
from rescind.hooks.single_calls.grants import VendorGrant, WeDataDataSourceAuthorization, WeDataPrivilege
from rescind.operators.bases.vendor_call import ListOperator, RevokeOperator, VerifyGoneOperator


class WeDataListPermissionsOperator(ListOperator):
    """List every permission on one catalog-mode object, inherited ones included.

    See :class:`~rescind.operators.bases.vendor_call.ListOperator` for the result.

    :param resource_type: ``Metalake``, ``Catalog``, ``Schema``, ``Table`` ... (templated)
    :param resource_uri: ``default`` for Metalake, else the dotted path of names. (templated)
    :param wedata_conn_id: connection to WeData. (templated)
    """

    grant_kind: ClassVar[type[VendorGrant]] = WeDataPrivilege
    template_fields: Sequence[str] = ("wedata_conn_id", "resource_type", "resource_uri")

    def __init__(
        self, *, resource_type: str, resource_uri: str, wedata_conn_id: str = "wedata_default", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.wedata_conn_id = wedata_conn_id
        self.resource_type = resource_type
        self.resource_uri = resource_uri

    def request(self) -> ListPermissions:
        """Return the listing of the object's permissions."""
        resource = PrivilegeResource(ResourceType=self.resource_type, ResourceUri=self.resource_uri)
        return ListPermissions(Resource=resource)


class WeDataListDataSourceAuthorizationsOperator(ListOperator):
    """List every project and user that a data source is authorized to.

    See :class:`~rescind.operators.bases.vendor_call.ListOperator` for the result.

    :param data_source_id: the data source. (templated)
    :param wedata_conn_id: connection to WeData. (templated)
    """

    grant_kind: ClassVar[type[VendorGrant]] = WeDataDataSourceAuthorization
    template_fields: Sequence[str] = ("wedata_conn_id", "data_source_id")

    def __init__(self, *, data_source_id: str, wedata_conn_id: str = "wedata_default", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.wedata_conn_id = wedata_conn_id
        self.data_source_id = data_source_id

    def request(self) -> DescribeDataSourceAuthority:
        """Return the one call that shows every entry of the data source."""
        return DescribeDataSourceAuthority(Id=self.data_source_id)


class WeDataRevokePrivilegesOperator(RevokeOperator):
    """Revoke one privilege of one subject on one object.

    See :class:`~rescind.operators.bases.vendor_call.RevokeOperator` for ``send``, the result and retries.

    :param resource_type: as listed. (templated)
    :param resource_uri: as listed. (templated)
    :param subject_type: ``User``, ``Project``, ``Role`` or ``GlobalRole``. (templated)
    :param subject_value: the id as listed. (templated)
    :param privilege: the privilege's name as listed. (templated)
    :param wedata_conn_id: connection to WeData. (templated)
    :param send: True sends the request. False (the default) returns it and sends nothing.
    """

    grant_kind: ClassVar[type[VendorGrant]] = WeDataPrivilege
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
        self.subject_type = subject_type
        self.subject_value = subject_value
        self.privilege = privilege

    def grant(self) -> VendorGrant:
        """Return one privilege of one subject on one object."""
        return WeDataPrivilege(
            resource_type=self.resource_type,
            resource_uri=self.resource_uri,
            subject_type=self.subject_type,
            subject_value=self.subject_value,
            privilege=self.privilege,
        )

    def check(self, request: WriteRequest[Any], answer: Answer[Any]) -> None:
        """See that the vendor's result for the one object is true.

        :raises RefusedError: when it is not.
        """
        assert isinstance(request, RevokePrivileges)
        outcome = answer.value.outcomes(request.Resources)[0]
        if outcome.said is not Said.ACCEPTED:
            raise refused(request, outcome.detail, answer)


class WeDataVerifyPrivilegesGoneOperator(VerifyGoneOperator):
    """Check that privileges are gone; fail the task if one is still present.

    A privilege that the object inherits from a parent counts as still present, because it remains effective. See
    :class:`~rescind.operators.bases.vendor_call.VerifyGoneOperator`.

    :param grants: one mapping or a list of them, with the keys ``resource_type``, ``resource_uri``, ``subject_type``,
        ``subject_value`` and ``privilege``. (templated)
    :param wedata_conn_id: connection to WeData. (templated)
    """

    grant_kind: ClassVar[type[VendorGrant]] = WeDataPrivilege
    template_fields: Sequence[str] = ("wedata_conn_id", "grants")

    def __init__(self, *, wedata_conn_id: str = "wedata_default", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.wedata_conn_id = wedata_conn_id


class WeDataRevokeDataSourceAuthorizationOperator(RevokeOperator):
    """Revoke the authorization of one project, or of one user inside one project, for a data source.

    A whole project loses the data source only with ``whole_project=True``; a missing user id is an error. The vendor's
    call without any selector would revoke every authorization; this operator cannot make that call. See
    :class:`~rescind.operators.bases.vendor_call.RevokeOperator` for ``send``, the result and retries.

    :param data_source_id: the data source. (templated)
    :param project_id: the project. (templated)
    :param user_id: one user inside the project. (templated)
    :param whole_project: True, without ``user_id``: the authorization of the project itself.
    :param wedata_conn_id: connection to WeData. (templated)
    :param send: True sends the request. False (the default) returns it and sends nothing.
    """

    grant_kind: ClassVar[type[VendorGrant]] = WeDataDataSourceAuthorization
    template_fields: Sequence[str] = ("wedata_conn_id", "data_source_id", "project_id", "user_id")

    def __init__(
        self,
        *,
        data_source_id: str,
        project_id: str,
        user_id: str | None = None,
        whole_project: bool = False,
        wedata_conn_id: str = "wedata_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.wedata_conn_id = wedata_conn_id
        self.data_source_id = data_source_id
        self.project_id = project_id
        self.user_id = user_id
        self.whole_project = checked_flag("whole_project", whole_project)

    def grant(self) -> VendorGrant:
        """Return the authorization of one user, or of a whole project."""
        return WeDataDataSourceAuthorization(
            data_source_id=self.data_source_id,
            project_id=self.project_id,
            user_id=self.user_id,
            whole_project=self.whole_project,
        )


class WeDataVerifyDataSourceAuthorizationsGoneOperator(VerifyGoneOperator):
    """Check that authorizations of data sources are gone; fail the task if one is still present.

    See :class:`~rescind.operators.bases.vendor_call.VerifyGoneOperator`.

    :param grants: one mapping or a list of them, with the keys ``data_source_id``, ``project_id`` and either
        ``user_id`` or ``whole_project`` (True). (templated)
    :param wedata_conn_id: connection to WeData. (templated)
    """

    grant_kind: ClassVar[type[VendorGrant]] = WeDataDataSourceAuthorization
    template_fields: Sequence[str] = ("wedata_conn_id", "grants")

    def __init__(self, *, wedata_conn_id: str = "wedata_default", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.wedata_conn_id = wedata_conn_id
