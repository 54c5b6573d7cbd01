"""Tell the chats of the settings, and the notifiers of the DAG file, about an event: once, and without harm.

Each message is recorded in the ledger before it is sent (:class:`rescind.ledger.runs.notices.Notices`). A task that is
retried or cleared finds the record and sends nothing. A worker that dies between the two loses the message: it is sent
at most once, not exactly once. No transaction is open while a message is sent.
"""

from __future__ import annotations

import asyncio
import copy
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rescind.errors import RescindError
from rescind.hooks.base import run
from rescind.ledger import Ledger
from rescind.notifications.events import Notice
from rescind.notifications.notifiers import MESSAGE, NOTIFIERS, ChatNotifier
from rescind.notifications.sender import Delivery
from rescind.settings import Settings

log = logging.getLogger(__name__)
Notifier = Callable[[Any], Any]
"""A notifier of the DAG file: Airflow calls it with the context."""


def announce(
    ledger: Ledger,
    settings: Settings | None,
    make: Callable[[], Notice | None],
    context: Mapping[str, Any],
    notifiers: Sequence[Notifier] = (),
) -> None:
    """Send the message of an event to everyone who was not told yet. Nothing is raised: a sentence is logged.

    :param settings: chats of the deployment; None leaves them out.
    :param make: returns the message, or None if there is nothing to tell.
    :param notifiers: notifiers of the DAG file. They get the message in the context, under ``message``.
    """
    wanted = settings.notifications.chats if settings and settings.notifications else ()
    if not wanted and not notifiers:
        return
    try:
        notice = make()
        if notice is None:
            return
        chats = [one for one in wanted if notice.told in one.events]
        due = [one for one in chats if ledger.notices.claim(notice.key, f"{one.chat} {one.conn_id}")]
        given = [
            one
            for number, one in enumerate(notifiers, 1)
            if ledger.notices.claim(notice.key, f"notifier {number} {getattr(one, '__name__', type(one).__name__)}")
        ]
    except Exception as error:
        why = str(error) if isinstance(error, RescindError) else type(error).__name__
        log.error("no message about this event: it cannot be made or recorded: %s", why)
        return
    told = {**context, MESSAGE: notice.message}
    _send([NOTIFIERS[one.chat](chat_conn_id=one.conn_id) for one in due], told)
    for one in given:
        _call(one, told)


def _send(chats: Sequence[ChatNotifier], context: dict[str, Any]) -> None:
    """Send to all chats at the same time, so that one that does not answer holds up no other."""
    sending = [chat.sending(context) for chat in chats]  # type: ignore[arg-type]

    async def everything() -> list[Delivery]:
        return await asyncio.gather(*sending)

    for delivery in run(everything()) if sending else ():
        log.log(logging.INFO if delivery.ok else logging.ERROR, "%s", delivery.sentence)


def _call(notifier: Notifier, context: dict[str, Any]) -> None:
    """Call a notifier of the DAG file; Airflow renders its templates in place, so a copy is called."""
    try:
        copy.copy(notifier)(context)
    except Exception as error:
        log.error("a notifier failed (%s); the run goes on", type(error).__name__)
