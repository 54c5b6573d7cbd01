"""What the operators of single vendor calls share: list to the end, or describe and send one write."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from airflow.sdk import BaseOperator, Context

from rescind.cloud.base import Answer, ListRequest, WriteRequest
from rescind.cloud.client import CloudClient
from rescind.hooks.calls import airflow_outcomes, checked_flag, described, list_all, write_once


class ListOperator(BaseOperator):
    """A complete listing, or a failed task; never a part of it.

    Returns ``{"rows": [...], "record": {...}}`` with rows as the vendor spells them. Reads are safe to retry.
    """

    @abstractmethod
    def client(self) -> CloudClient:
        """The client of this operator's connection."""

    @abstractmethod
    def request(self) -> ListRequest[Any]:
        """The listing."""

    def execute(self, context: Context) -> dict[str, Any]:
        """List to the end."""
        with airflow_outcomes():
            return list_all(self.client(), self.request())


class RevokeOperator(BaseOperator):
    """One write that takes access away.

    With ``dry_run`` (the default) nothing is sent and the request that would be sent is returned. Otherwise
    the result says ``accepted``: the vendor said yes. That is no proof; list again.

    Retries: an answer that is lost or unclear fails the task without a retry, because a blind second call
    could meet a grant made in between. Throttled calls were not executed and are repeated here for up to
    ``patience_s``; after that the task fails in a way that ``retries`` may repeat.

    :param dry_run: True sends nothing.
    :param patience_s: how long throttled attempts may go on, in seconds.
    """

    def __init__(self, *, dry_run: bool = True, patience_s: float = 120.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.only_describe = checked_flag("dry_run", dry_run)
        self.patience_s = patience_s

    @abstractmethod
    def client(self) -> CloudClient:
        """The client of this operator's connection."""

    @abstractmethod
    def request(self) -> WriteRequest[Any]:
        """The write, with every selector checked."""

    def told(self, request: WriteRequest[Any], answer: Answer[Any]) -> dict[str, Any]:
        """What the vendor's answer adds to the result.

        :raises RefusedError: when the answer refuses what the operator asked for.
        """
        return {}

    def execute(self, context: Context) -> dict[str, Any]:
        """Describe or send."""
        with airflow_outcomes():
            request = self.request()
            if self.only_describe:
                return described(self.client(), request)
            answer = write_once(self.client(), request, self.patience_s)
            facts = {"dry_run": False, "action": request.action, "outcome": "accepted", "request_id": answer.request_id}
            return {**facts, **self.told(request, answer)}
