"""Base class of the operators that ask a person and record the answer in the ledger."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk.exceptions import AirflowSkipException

from rescind.airflow_support.task_errors import fail_without_retry
from rescind.hooks.ledger import LedgerHook
from rescind.ledger import Ledger, Run
from rescind.operators.bases.announcing import AnnouncingMixin
from rescind.settings import LEDGER_CONNECTION, Settings

if TYPE_CHECKING:
    from airflow.sdk import Context

    from rescind.notifications.events import Notice


T = TypeVar("T")


class HumanInputOperator(AnnouncingMixin, HITLOperator):
    """Base of the human-in-the-loop operators.

    Subclasses implement :meth:`ask` and :meth:`record`. Every error of this package is final here. A retry happens
    only when Airflow loses the task; it asks again, unless the ledger already holds the answer.

    :param notifiers: called when the task starts to wait for a person and when that person has answered, each once, for
        example Airflow's ``HttpNotifier``. The context has the text under ``message``. A notifier that fails is logged
        and does not fail the task.
    :param ledger_conn_id: connection of the ledger's PostgreSQL database.
    """

    template_fields = ()

    def __init__(self, *, ledger_conn_id: str = LEDGER_CONNECTION, **kwargs: Any) -> None:
        super().__init__(**{**self.LABELS, **kwargs})
        self.ledger_conn_id = ledger_conn_id
        self.told = list(self.notifiers)
        self.notifiers = [self._tell_asked]  # type: ignore[list-item]

    @abstractmethod
    def ask(self, context: Context, ledger: Ledger) -> Any:
        """Set subject, body, options and assigned users, and return None; or return the result if nobody is asked."""

    @abstractmethod
    def record(self, context: Context, ledger: Ledger, event: dict[str, Any]) -> Any:
        """Record the answer, or what a missing answer means, and return the task's result.

        :param event: Airflow's event: ``chosen_options``, ``responded_by_user`` and ``responded_at``, or ``error``.
        """

    def execute(self, context: Context) -> Any:
        """Ask, unless :meth:`ask` finds that nobody needs to be asked."""
        with fail_without_retry(on_every_error=True), LedgerHook(self.ledger_conn_id).get_conn() as ledger:
            result = self._then_tell(context, ledger, lambda: self.ask(context, ledger))
        return super().execute(context) if result is None else result

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Record the answer."""
        with fail_without_retry(on_every_error=True), LedgerHook(self.ledger_conn_id).get_conn() as ledger:
            return self._then_tell(context, ledger, lambda: self.record(context, ledger, event))

    @abstractmethod
    def asked_notice(self, ledger: Ledger, run: Run, settings: Settings) -> Notice:
        """Return the message that a person is asked."""

    def answered_notice(self, ledger: Ledger, run: Run, settings: Settings) -> Notice | None:
        """Return the message that the person has answered, or None without an answer."""
        return None

    def _then_tell(self, context: Context, ledger: Ledger, work: Callable[[], T]) -> T:
        """Do the work, then tell about the answer if there is one. A rejection, which skips the rest, is one too."""
        try:
            result = work()
        except AirflowSkipException:
            self._tell(context, ledger, self.answered_notice)
            raise
        if result is not None:
            self._tell(context, ledger, self.answered_notice)
        return result

    def _tell_asked(self, context: Context) -> None:
        """Airflow calls this after it has stored the question and before the task starts to wait."""
        try:
            with LedgerHook(self.ledger_conn_id).get_conn() as ledger:
                self._tell(context, ledger, self.asked_notice)
        except Exception as error:
            self.log.error("no message about the question (%s); the question itself stands", type(error).__name__)

    def _tell(self, context: Context, ledger: Ledger, notice: Callable[[Ledger, Run, Settings], Notice | None]) -> None:
        self.announce(context, ledger, lambda settings: notice(ledger, self.run_of(context, ledger), settings))
