"""Notifiers of Airflow for four chats."""

from __future__ import annotations

import logging
from collections.abc import Coroutine, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseNotifier

from rescind.hooks.base import run
from rescind.hooks.chat_webhook import ChatWebhook
from rescind.notifications.channels import DINGTALK, FEISHU, TEAMS, WECOM, Chat
from rescind.notifications.message import Message
from rescind.notifications.sender import Delivery, aread_webhook, deliver, read_webhook

if TYPE_CHECKING:
    from airflow.sdk import Context

log = logging.getLogger(__name__)
MESSAGE = "message"
"""Key of the context under which a review hands its message to notifiers: ``{{ message.title }}``."""


class ChatNotifier(BaseNotifier):
    """Base of the notifiers for chats. It works in every callback of Airflow and in the ``notifiers`` of a review.

    A message that cannot be delivered is an error in the log. It fails neither a task nor a callback.

    :param chat_conn_id: connection with the webhook, see :class:`rescind.hooks.chat_webhook.ChatWebhookHook`.
    :param title: one line; templated. With neither title nor text, the message of the review is sent.
    :param text: further lines; templated.
    :param link: absolute address for "open"; templated.
    """

    template_fields: Sequence[str] = ("title", "text", "link")
    chat: ClassVar[Chat]

    def __init__(self, *, chat_conn_id: str, title: str = "", text: str = "", link: str = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.chat_conn_id = chat_conn_id
        self.title = title
        self.text = text
        self.link = link

    def notify(self, context: Context) -> None:
        """Send the message."""
        self._told(run(self.sending(context)))

    async def async_notify(self, context: Context) -> None:
        """Send the message, inside an event loop."""
        self._told(await self._deliver(context, await aread_webhook(self.chat_conn_id)))

    def sending(self, context: Context) -> Coroutine[Any, Any, Delivery]:
        """Read the connection, and return what sends the message and tells what became of it."""
        return self._deliver(context, read_webhook(self.chat_conn_id))

    async def _deliver(self, context: Context, webhook: ChatWebhook | str) -> Delivery:
        message = self._message(context)
        if message is None:
            return Delivery(False, f"{self.chat.title}: there is no message to send. Give the notifier a title or text")
        return await deliver(self.chat, self.chat_conn_id, webhook, message)

    def _message(self, context: Context) -> Message | None:
        if self.title or self.text:
            return Message(self.title or self.text, tuple(self.text.splitlines()) if self.title else (), self.link)
        given = context.get(MESSAGE)
        return given if isinstance(given, Message) else None

    def _told(self, delivery: Delivery) -> None:
        log.log(logging.INFO if delivery.ok else logging.ERROR, "%s", delivery.sentence)


class DingTalkNotifier(ChatNotifier):
    """Post to a DingTalk group through its custom robot, signed if the connection has a ``secret``."""

    chat = DINGTALK


class FeishuNotifier(ChatNotifier):
    """Post to a Feishu or Lark group through its custom bot, signed if the connection has a ``secret``."""

    chat = FEISHU


class WeComNotifier(ChatNotifier):
    """Post to a WeCom group through its group robot. WeCom has no signature: the address is the secret."""

    chat = WECOM


class TeamsNotifier(ChatNotifier):
    """Post an adaptive card to Teams through a webhook of Workflows. The address is the secret."""

    chat = TEAMS


NOTIFIERS: dict[str, type[ChatNotifier]] = {
    cls.chat.kind: cls for cls in (DingTalkNotifier, FeishuNotifier, WeComNotifier, TeamsNotifier)
}
"""Kind of chat in the settings -> its notifier."""
