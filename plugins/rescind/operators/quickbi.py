"""Single calls to Alibaba Cloud Quick BI, for anybody's Dag; see :mod:`rescind.operators.vendor_call`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rescind.cloud.base import Answer, WriteRequest
from rescind.cloud.clients import QuickBiClient
from rescind.cloud.quickbi.menus import CancelAuthorizationMenu, ListPortalMenuAuthorization
from rescind.hooks.calls import texts
from rescind.hooks.quickbi import QuickBiHook
from rescind.operators.vendor_call import ListOperator, RevokeOperator


class QuickBiListPortalMenuAuthorizationOperator(ListOperator):
    """All receivers of all menus of one portal; see :class:`ListOperator`.

    :param quickbi_conn_id: the connection. (templated)
    :param portal_id: the data portal. (templated)
    """

    template_fields: Sequence[str] = ("quickbi_conn_id", "portal_id")

    def __init__(self, *, portal_id: str, quickbi_conn_id: str = "quickbi_default", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.quickbi_conn_id = quickbi_conn_id
        self.portal_id = portal_id

    def client(self) -> QuickBiClient:
        """The client of ``quickbi_conn_id``."""
        return QuickBiHook(self.quickbi_conn_id).get_conn()

    def request(self) -> ListPortalMenuAuthorization:
        """The portal's records."""
        return ListPortalMenuAuthorization(DataPortalId=self.portal_id)


class QuickBiCancelAuthorizationMenuOperator(RevokeOperator):
    """Take every given menu from every given user and user group; see :class:`RevokeOperator`.

    The effect is the product: all menus times all receivers. Pairs that do not exist are skipped by the vendor.

    :param quickbi_conn_id: the connection. (templated)
    :param portal_id: the data portal. (templated)
    :param menu_ids: leaf menus, at most 100. (templated)
    :param user_ids: Quick BI user ids, at most 200. (templated)
    :param user_group_ids: user groups, at most 200. (templated)
    """

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

    def client(self) -> QuickBiClient:
        """The client of ``quickbi_conn_id``."""
        return QuickBiHook(self.quickbi_conn_id).get_conn()

    def request(self) -> CancelAuthorizationMenu:
        """All menus times all receivers."""
        return CancelAuthorizationMenu(
            DataPortalId=self.portal_id,
            MenuIds=texts("menu_ids", self.menu_ids),
            UserIds=texts("user_ids", self.user_ids),
            UserGroupIds=texts("user_group_ids", self.user_group_ids),
        )

    def told(self, request: WriteRequest[Any], answer: Answer[Any]) -> dict[str, Any]:
        """How many menus the vendor counted; proves nothing."""
        return {"menus_counted": answer.value.Result}
