"""Base class of the operators that defer while a platform lags."""

from __future__ import annotations

from abc import abstractmethod
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.triggers.temporal import TimeDeltaTrigger

from rescind.airflow_support.task_errors import fail_without_retry
from rescind.hooks.ledger import LedgerHook
from rescind.ledger import Ledger
from rescind.operators.bases.review import ReviewOperator
from rescind.settings import Settings

if TYPE_CHECKING:
    from airflow.sdk import Context


SHORTEST_S = 15.0
"""Shortest deferral, in seconds. If a deferred task resumes before Airflow 3.3 has recorded the deferral, Airflow
treats it as lost and runs it again."""


class SettlingOperator(ReviewOperator):
    """Base of the operators that re-list until a platform has settled.

    A short wait happens inside the task (setting ``settle_in_place_seconds``). For a longer wait the task is deferred,
    which frees its worker and its pool slot. After a deferral everything is listed again, because a grant that was
    gone may have come back. All waits together are at most ``settle_limit_seconds``.
    """

    @abstractmethod
    def verify(self, context: Context, ledger: Ledger, waited: float) -> Any:
        """Re-list once and record the result; call :meth:`come_again` while the platform lags.

        :param waited: seconds already waited outside the task.
        """

    def review(self, context: Context, ledger: Ledger) -> Any:
        """See :meth:`verify`."""
        return self.verify(context, ledger, 0.0)

    def resume(self, context: Context, event: Any = None, waited: float = 0.0) -> Any:
        """Continue after a deferral.

        :param event: the event of the trigger. Its content is not used.
        """
        with fail_without_retry(), LedgerHook(self.ledger_conn_id).get_conn() as ledger:
            return self.verify(context, ledger, waited)

    def patience(self, settings: Settings, waited: float) -> float:
        """Return how many seconds the task may wait in place this time."""
        return min(settings.settle_in_place_seconds, settings.settle_limit_seconds - waited)

    def come_again(self, settings: Settings, waited: float) -> None:
        """Defer, each time longer than before. Return if the remaining time is too short for another listing."""
        waited += self.patience(settings, waited)
        left = settings.settle_limit_seconds - waited - settings.settle_in_place_seconds
        if left < SHORTEST_S:
            return
        pause = min(max(waited, SHORTEST_S), left)
        self.log.info("the platform lags: listing again in %.0f s, without holding a worker", pause)
        self.defer(
            trigger=TimeDeltaTrigger(timedelta(seconds=pause)),
            method_name="resume",
            kwargs={"waited": waited + pause},
        )
