"""Base class of the operators that ask a person and record the answer in the ledger."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import HITLOperator

from rescind.airflow_support.task_errors import fail_without_retry
from rescind.hooks.ledger import LedgerHook
from rescind.ledger import Ledger
from rescind.operators.bases.ledger_task import LedgerTaskMixin
from rescind.settings import LEDGER_CONNECTION

if TYPE_CHECKING:
    from airflow.sdk import Context


class HumanInputOperator(LedgerTaskMixin, HITLOperator):
    """Base of the human-in-the-loop operators.

    Subclasses implement :meth:`ask` and :meth:`record`. Every error of this package is final here. A retry happens
    only when Airflow loses the task; it asks again, unless the ledger already holds the answer.

    :param notifiers: called when the task starts to wait for a person, for example Airflow's ``HttpNotifier``. A
        notifier that fails is logged and does not fail the task.
    :param ledger_conn_id: connection of the ledger's PostgreSQL database.
    """

    template_fields = ()

    def __init__(self, *, ledger_conn_id: str = LEDGER_CONNECTION, **kwargs: Any) -> None:
        super().__init__(**{**self.LABELS, **kwargs})
        self.ledger_conn_id = ledger_conn_id
        self.notifiers = [_never_failing(notifier, self.log) for notifier in self.notifiers]  # type: ignore[misc]

    @abstractmethod
    def ask(self, context: Context, ledger: Ledger) -> dict[str, Any] | None:
        """Set subject, body, options and assigned users, and return None; or return the result if nobody is asked."""

    @abstractmethod
    def record(self, context: Context, ledger: Ledger, event: dict[str, Any]) -> dict[str, Any]:
        """Record the answer, or what a missing answer means, and return the task's result.

        :param event: Airflow's event: ``chosen_options``, ``responded_by_user`` and ``responded_at``, or ``error``.
        """

    def execute(self, context: Context) -> Any:
        """Ask, unless :meth:`ask` finds that nobody needs to be asked."""
        with fail_without_retry(on_every_error=True), LedgerHook(self.ledger_conn_id).get_conn() as ledger:
            result = self.ask(context, ledger)
        return super().execute(context) if result is None else result

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Record the answer."""
        with fail_without_retry(on_every_error=True), LedgerHook(self.ledger_conn_id).get_conn() as ledger:
            return self.record(context, ledger, event)


def _never_failing(notifier: Callable[[Context], Any], log: Any) -> Callable[[Context], None]:
    """Wrap a notifier so that it cannot fail the task."""

    def notify(context: Context) -> None:
        try:
            notifier(context)
        except Exception as error:
            log.error("a notifier failed (%s); the request itself stands", type(error).__name__)

    return notify
