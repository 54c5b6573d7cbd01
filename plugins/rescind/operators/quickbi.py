"""Single calls to Alibaba Cloud Quick BI, for anybody's Dag; see :mod:`rescind.operators.wedata`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.sdk import BaseOperator, Context

from rescind.cloud.quickbi_messages import CancelAuthorizationMenu, ListPortalMenuAuthorization
from rescind.hooks.calls import airflow_outcomes, checked_flag, described, list_all, texts, write_once
from rescind.hooks.quickbi import QuickBiHook


class QuickBiListPortalMenuAuthorizationOperator(BaseOperator):
    """All receivers of all menus of one portal, or a failed task.

    Returns ``{"rows": [...], "record": {...}}`` with rows as the vendor spells them. Reads are safe to retry.

    :param quickbi_conn_id: the connection. (templated)
    :param portal_id: the data portal. (templated)
    """

    template_fields: Sequence[str] = ("quickbi_conn_id", "portal_id")

    def __init__(self, *, portal_id: str, quickbi_conn_id: str = "quickbi_default", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.quickbi_conn_id = quickbi_conn_id
        self.portal_id = portal_id

    def execute(self, context: Context) -> dict[str, Any]:
        """List the portal."""
        with airflow_outcomes():
            return self._execute()

    def _execute(self) -> dict[str, Any]:
        request = ListPortalMenuAuthorization(DataPortalId=self.portal_id)
        return list_all(QuickBiHook(self.quickbi_conn_id).get_conn(), request)


class QuickBiCancelAuthorizationMenuOperator(BaseOperator):
    """Take every given menu from every given user and user group.

    The effect is the product: all menus times all receivers. Pairs that do not exist are skipped by the vendor.

    With ``dry_run`` (the default) nothing is sent and the request that would be sent is returned. Otherwise
    the result says ``accepted`` and how many menus the vendor counted. That is no proof; list the portal again.

    Retries: an answer that is lost or unclear fails the task without a retry. Throttled calls were not
    executed and are repeated here for up to ``patience_s``; after that ``retries`` may repeat the task.

    :param quickbi_conn_id: the connection. (templated)
    :param portal_id: the data portal. (templated)
    :param menu_ids: leaf menus, at most 100. (templated)
    :param user_ids: Quick BI user ids, at most 200. (templated)
    :param user_group_ids: user groups, at most 200. (templated)
    :param dry_run: True sends nothing.
    :param patience_s: how long throttled attempts may go on, in seconds.
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
        dry_run: bool = True,
        patience_s: float = 120.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.quickbi_conn_id = quickbi_conn_id
        self.portal_id = portal_id
        self.menu_ids = menu_ids
        self.user_ids = user_ids
        self.user_group_ids = user_group_ids
        self.only_describe = checked_flag("dry_run", dry_run)
        self.patience_s = patience_s

    def execute(self, context: Context) -> dict[str, Any]:
        """Describe or send."""
        with airflow_outcomes():
            return self._execute()

    def _execute(self) -> dict[str, Any]:
        request = CancelAuthorizationMenu(
            DataPortalId=self.portal_id,
            MenuIds=texts("menu_ids", self.menu_ids),
            UserIds=texts("user_ids", self.user_ids),
            UserGroupIds=texts("user_group_ids", self.user_group_ids),
        )
        client = QuickBiHook(self.quickbi_conn_id).get_conn()
        if self.only_describe:
            return described(client, request)
        answer = write_once(client, request, self.patience_s)
        return {
            "dry_run": False,
            "action": request.action,
            "outcome": "accepted",
            "menus_counted": answer.value.Result,
            "request_id": answer.request_id,
        }
