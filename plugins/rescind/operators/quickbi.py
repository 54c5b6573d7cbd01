"""Operators for single calls to Alibaba Cloud Quick BI, for any DAG."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from rescind.cloud.base import Answer, WriteRequest
from rescind.cloud.quickbi.menus import ListPortalMenuAuthorization
from rescind.hooks.single_calls.calls import texts
from rescind.hooks.single_calls.grants import QuickBiMenuAuthorization, VendorGrant
from rescind.operators.bases.vendor_call import Accepted, ListOperator, RevokeOperator, VerifyGoneOperator


class QuickBiListPortalMenuAuthorizationOperator(ListOperator):
    """List every receiver of every menu of one portal.

    See :class:`~rescind.operators.bases.vendor_call.ListOperator` for the result.

    :param portal_id: the data portal. (templated)
    :param quickbi_conn_id: connection to Quick BI. (templated)
    """

    grant_kind: ClassVar[type[VendorGrant]] = QuickBiMenuAuthorization
    template_fields: Sequence[str] = ("quickbi_conn_id", "portal_id")

    def __init__(self, *, portal_id: str, quickbi_conn_id: str = "quickbi_default", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.quickbi_conn_id = quickbi_conn_id
        self.portal_id = portal_id

    def request(self) -> ListPortalMenuAuthorization:
        """Return the listing of the portal's authorizations."""
        return ListPortalMenuAuthorization(DataPortalId=self.portal_id)


class QuickBiCancelAuthorizationMenuOperator(RevokeOperator):
    """Revoke every given menu for every given user and user group.

    The effect is the product: all menus times all receivers. The vendor skips pairs that do not exist. See
    :class:`~rescind.operators.bases.vendor_call.RevokeOperator` for ``send``, the result and retries.

    :param portal_id: the data portal. (templated)
    :param menu_ids: leaf menus, at most 100. (templated)
    :param user_ids: Quick BI user ids, at most 200. (templated)
    :param user_group_ids: user groups, at most 200. (templated)
    :param quickbi_conn_id: connection to Quick BI. (templated)
    :param send: True sends the request. False (the default) returns it and sends nothing.
    """

    grant_kind: ClassVar[type[VendorGrant]] = QuickBiMenuAuthorization
    template_fields: Sequence[str] = ("quickbi_conn_id", "portal_id", "menu_ids", "user_ids", "user_group_ids")

    def __init__(
        self,
        *,
        portal_id: str,
        menu_ids: Sequence[str],
        user_ids: Sequence[str] = (),
        user_group_ids: Sequence[str] = (),
        quickbi_conn_id: str = "quickbi_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.quickbi_conn_id = quickbi_conn_id
        self.portal_id = portal_id
        self.menu_ids = menu_ids
        self.user_ids = user_ids
        self.user_group_ids = user_group_ids

    def grant(self) -> VendorGrant:
        """Return all menus times all receivers."""
        return QuickBiMenuAuthorization(
            portal_id=self.portal_id,
            menu_ids=texts("menu_ids", self.menu_ids),
            user_ids=texts("user_ids", self.user_ids),
            user_group_ids=texts("user_group_ids", self.user_group_ids),
        )

    def result(self, request: WriteRequest[Any], answer: Answer[Any]) -> Accepted:
        """Return the result with the number of menus that the vendor counted, which proves nothing."""
        return {**super().result(request, answer), "menus_counted": answer.value.Result}


class QuickBiVerifyMenuAuthorizationsGoneOperator(VerifyGoneOperator):
    """Check that menu authorizations are gone; fail the task if one is still present.

    An entry with several menus or receivers is gone when none of its pairs is listed. See
    :class:`~rescind.operators.bases.vendor_call.VerifyGoneOperator`.

    :param grants: one mapping or a list of them, with the keys ``portal_id``, ``menu_ids``, ``user_ids`` and
        ``user_group_ids``. (templated)
    :param quickbi_conn_id: connection to Quick BI. (templated)
    """

    grant_kind: ClassVar[type[VendorGrant]] = QuickBiMenuAuthorization
    template_fields: Sequence[str] = ("quickbi_conn_id", "grants")

    def __init__(self, *, quickbi_conn_id: str = "quickbi_default", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.quickbi_conn_id = quickbi_conn_id
