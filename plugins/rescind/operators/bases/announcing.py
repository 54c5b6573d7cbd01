"""Mixed into the operators that tell chats about a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from rescind.ledger import Ledger
from rescind.operators.bases.ledger_task import LedgerTaskMixin
from rescind.settings import Settings

if TYPE_CHECKING:
    from airflow.sdk import Context

    from rescind.notifications.announce import Notifier
    from rescind.notifications.events import Notice


class AnnouncingMixin(LedgerTaskMixin):
    """Tells the chats of the setting ``notifications`` and the notifiers of the DAG file."""

    chats_of_settings = True
    """Whether the chats of the settings are told, beside the notifiers of the DAG file."""
    told: Sequence[Notifier] = ()
    """The notifiers of the DAG file."""

    def announce(self, context: Context, ledger: Ledger, make: Callable[[Settings], Notice | None]) -> None:
        """Send the message of an event once; see :func:`rescind.notifications.announce.announce`. Nothing is raised.

        :param make: returns the message for these settings, or None if there is nothing to tell.
        """
        try:
            settings = self.settings()
        except Exception as error:
            self.log.error("no message about this event: the settings cannot be read (%s)", type(error).__name__)
            return
        chats = settings if self.chats_of_settings and settings.notifications else None
        if chats is None and not self.told:
            return
        from rescind.notifications.announce import announce  # only where something is told

        announce(ledger, chats, lambda: make(settings), dict(context), self.told)

    if TYPE_CHECKING:
        log: Any
