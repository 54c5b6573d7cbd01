"""Waiting for a platform that lags without holding a worker: the task gives its slot back and comes again."""

from __future__ import annotations

from abc import abstractmethod
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.triggers.temporal import TimeDeltaTrigger

from rescind.airflow_support.task_errors import fail_without_retry
from rescind.hooks.ledger import LedgerHook
from rescind.ledger import Ledger
from rescind.operators.base import ReviewOperator
from rescind.settings import Settings

if TYPE_CHECKING:
    from airflow.sdk import Context


SHORTEST_S = 15.0
"""Airflow 3.3 takes a task that comes back before its first process was laid aside for a lost one, and runs it anew."""


class SettlingOperator(ReviewOperator):
    """Base of the operators that read a platform until it has settled.

    A short wait happens inside the task (setting ``settle_in_place_seconds``). For a longer one the task is deferred,
    which frees its worker and its pool slot, and everything is read anew when it comes back: what was seen gone may
    have come back meanwhile. All waits together are at most ``settle_limit_seconds``.
    """

    @abstractmethod
    def verify(self, context: Context, ledger: Ledger, waited: float) -> Any:
        """Read once more and record; call :meth:`come_again` when the platform lags.

        :param waited: seconds already waited outside of the task.
        """

    def review(self, context: Context, ledger: Ledger) -> Any:
        """See :meth:`verify`."""
        return self.verify(context, ledger, 0.0)

    def resume(self, context: Context, event: Any = None, waited: float = 0.0) -> Any:
        """Go on after a deferral. :param event: the trigger's; only its having come counts."""
        with fail_without_retry(), LedgerHook(self.ledger_conn_id).get_conn() as ledger:
            return self.verify(context, ledger, waited)

    def patience(self, settings: Settings, waited: float) -> float:
        """Seconds that may be waited inside the task this time."""
        return min(settings.settle_in_place_seconds, settings.settle_limit_seconds - waited)

    def come_again(self, settings: Settings, waited: float) -> None:
        """Defer, each time longer than before; return when what is left is too short for another reading after it."""
        waited += self.patience(settings, waited)
        left = settings.settle_limit_seconds - waited - settings.settle_in_place_seconds
        if left < SHORTEST_S:
            return
        pause = min(max(waited, SHORTEST_S), left)
        self.log.info("the platform lags: reading again in %.0f s, without holding a worker", pause)
        self.defer(
            trigger=TimeDeltaTrigger(timedelta(seconds=pause)),
            method_name="resume",
            kwargs={"waited": waited + pause},
        )
