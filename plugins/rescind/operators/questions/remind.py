"""Reminders of requests for approval, and of questions to owners, that wait."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from rescind.hooks.ledger import check_ledger
from rescind.ledger import Approval, Ledger, OpenQuestions
from rescind.operators.bases.announcing import AnnouncingMixin
from rescind.operators.bases.review import ReviewOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from rescind.notifications.announce import Notifier
    from rescind.notifications.events import Notice
    from rescind.settings import Settings


class RemindOperator(AnnouncingMixin, ReviewOperator):
    """Remind of the requests that wait, at intervals of the setting ``notifications.remind_hours``.

    Each request for approval has a message of its own. The questions to owners of a run have one together, also those
    that were handed over. A request that was answered or has expired is left out, and one whose run has ended.

    :param notifiers: notifiers that are told, beside the chats of the setting ``notifications``.
    :returns: how many requests for approval, and how many questions to owners, wait.
    """

    LABELS: ClassVar[dict[str, str]] = {
        "task_display_name": "Remind",
        "doc_md": "Tells chats about requests and questions that wait: since when, and until when.",
    }

    def __init__(self, *, notifiers: Sequence[Notifier] = (), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.told = list(notifiers)

    def review(self, context: Context, ledger: Ledger) -> dict[str, int]:
        """Look for requests that wait, and remind of each."""
        check_ledger(ledger)
        waiting = ledger.approvals.waiting()
        for request in waiting:
            self.announce(context, ledger, partial(self._reminder, ledger, request))
        asked = ledger.questions.waiting()
        for one in asked:
            self.announce(context, ledger, partial(self._owners, ledger, one))
        return {"waiting": len(waiting), "owners": sum(one.questions for one in asked)}

    def _reminder(self, ledger: Ledger, request: Approval, settings: Settings) -> Notice | None:
        from rescind.notifications import events  # only where something is told

        run = ledger.runs.get(request.run_id)
        return events.reminder(ledger, run, request, settings, datetime.now(UTC))

    def _owners(self, ledger: Ledger, waiting: OpenQuestions, settings: Settings) -> Notice | None:
        from rescind.notifications import events  # only where something is told

        return events.owners_reminder(ledger.runs.get(waiting.run_id), waiting, settings, datetime.now(UTC))
