"""Send one message to one chat. A message that cannot be delivered is a sentence, never an error.

The request goes out over :mod:`rescind.cloud.transport`: TLS is verified, redirects are not followed, proxies of the
environment are not used, and time and size of the answer are bounded. It is repeated only if it certainly did not
arrive: without a connection, and after an answer that asks for less messages. Each try has a signature of its own.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass

from rescind.cloud.transport import Raw, Transport, TransportError
from rescind.errors import ConfigurationError
from rescind.hooks.chat_webhook import ChatWebhook, ChatWebhookHook
from rescind.notifications.channels import Chat, with_query
from rescind.notifications.message import Message

MOST_SECONDS = 10.0
"""Total time for a message with all tries."""
PAUSES = (1.0, 3.0)
"""Pauses before the second and the third try, in seconds."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of a message.

    :param sentence: for the log. It holds neither address nor secret nor text of the answer.
    """

    ok: bool
    sentence: str


_HEADERS = {"content-type": "application/json; charset=utf-8", "accept-encoding": "identity"}


def read_webhook(conn_id: str) -> ChatWebhook | str:
    """Return the webhook of a connection, or what is wrong with it."""
    try:
        return ChatWebhookHook(conn_id).get_conn()
    except Exception as error:
        return _problem(error)


async def aread_webhook(conn_id: str) -> ChatWebhook | str:
    """Return the webhook of a connection, or what is wrong with it; inside an event loop, as in the triggerer."""
    try:
        return await ChatWebhookHook(conn_id).aget_conn()
    except Exception as error:
        return _problem(error)


async def deliver(chat: Chat, conn_id: str, webhook: ChatWebhook | str, message: Message) -> Delivery:
    """Send the message.

    :param webhook: where to, or why that is not known.
    :returns: what became of it. Nothing is raised.
    """
    try:
        async with asyncio.timeout(MOST_SECONDS):
            problem = webhook if isinstance(webhook, str) else await _send(chat, webhook, message)
    except TimeoutError:
        problem = f"not finished within {MOST_SECONDS:g} s"
    except Exception as error:
        problem = _problem(error)
    where = f"{chat.title} (connection {conn_id})"
    if problem:
        return Delivery(False, f"{where}: the message was not delivered: {problem}")
    return Delivery(True, f"{where}: the message was delivered")


def _problem(error: Exception) -> str:
    """Return an error as text. That of other packages may hold the address, so only its type is told."""
    return str(error) if isinstance(error, ConfigurationError) else type(error).__name__


async def _send(chat: Chat, webhook: ChatWebhook, message: Message) -> str:
    """Send with tries; return what went wrong, or an empty text."""
    _fits(chat, webhook)
    transport = Transport(webhook)
    try:
        for pause in (*PAUSES, None):
            problem, again = await _try(transport, chat, webhook, message)
            if not problem or not again or pause is None:
                return problem
            await asyncio.sleep(pause)
    finally:
        await transport.close()
    raise AssertionError("the last try returns")


async def _try(transport: Transport, chat: Chat, webhook: ChatWebhook, message: Message) -> tuple[str, bool]:
    """Send once; return what went wrong, and whether the message certainly did not arrive and may be sent again."""
    query, body = chat.build(message, webhook.secret.get_secret_value() if chat.signed else "", time.time())
    url, content = with_query(webhook.address.get_secret_value(), query), json.dumps(body, ensure_ascii=False).encode()
    try:
        answer = await transport.exchange("POST", url, _HEADERS, content)
    except TransportError as error:
        unsure = "; it may have arrived" if error.sent else ""
        return f"{error.reason}{unsure}", not error.sent
    return _judge(chat, answer)


def _judge(chat: Chat, answer: Raw) -> tuple[str, bool]:
    """Return what an answer says is wrong, and whether it asks to come again later."""
    if answer.status == 429:
        return "throttled (HTTP 429): too many messages at a time", True
    if 300 <= answer.status < 400:
        return f"the answer is a redirect (HTTP {answer.status}), which is not followed. Check the address", False
    if not 200 <= answer.status < 300:
        return f"refused with HTTP {answer.status}. Check address and bot", False
    if not chat.ok_field:
        return "", False
    code = _code(chat, answer.body)
    if code is None:
        return f"the answer has no number {chat.ok_field!r}: no answer of {chat.title}. Check the address", False
    if code in chat.throttled:
        return f"throttled ({chat.ok_field} {code}): too many messages at a time", True
    return (f"{chat.causes.get(code, 'refused')} ({chat.ok_field} {code})" if code else ""), False


def _code(chat: Chat, body: bytes) -> int | None:
    try:
        code = json.loads(body)[chat.ok_field]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return code if type(code) is int else None


def _fits(chat: Chat, webhook: ChatWebhook) -> None:
    """Refuse an address of something else, so that no address or message goes to the wrong company.

    :raises ConfigurationError: when the address is not one of this chat.
    """
    address = webhook.address.get_secret_value()
    if webhook.is_local or not chat.starts or address.startswith(chat.starts):
        return
    raise ConfigurationError(
        f"the address (password) is none of {chat.title}. It begins with {' or '.join(chat.starts)}. Copy the whole"
        " address that the chat shows for its bot"
    )
