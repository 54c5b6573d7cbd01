"""The chats: address, signature, body and answer of each one's webhook.

Sources, read in November 2026: DingTalk "custom robot", Feishu and Lark "custom bot guide", WeCom "group robot", Teams
"create incoming webhooks with Workflows". Codes of errors that are not listed here are reported as numbers.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from rescind.notifications.message import MOST_TITLE, OPEN, Message, fitting, shorten

MOST_BYTES = 15_000
"""Longest message of the chats that take about 20 kB with everything around it."""
MOST_WECOM = 4_096
"""Longest Markdown of WeCom, in bytes of UTF-8."""

Body = dict[str, Any]
Query = dict[str, str]


@dataclass(frozen=True, slots=True)
class Chat:
    """One kind of chat.

    :param kind: the word in settings.
    :param title: its name for people.
    :param starts: what an address may begin with; without any, every ``https`` address is taken.
    :param build: (message, secret or empty, seconds since 1970) to what is added to the address, and the body.
    :param signed: whether a secret is used.
    :param ok_field: field of the answer that is 0 on success; empty if the HTTP status alone counts.
    :param causes: codes of the answer, and what they mean.
    :param throttled: codes of the answer that ask for less messages.
    """

    kind: str
    title: str
    starts: tuple[str, ...]
    build: Callable[[Message, str, float], tuple[Query, Body]]
    signed: bool = False
    ok_field: str = ""
    causes: Mapping[int, str] = field(default_factory=dict)
    throttled: frozenset[int] = frozenset()


def dingtalk_sign(secret: str, milliseconds: int) -> str:
    """Return DingTalk's signature: the secret is the key, and the time and the secret are the message."""
    return _hmac(secret.encode(), f"{milliseconds}\n{secret}".encode())


def feishu_sign(secret: str, seconds: int) -> str:
    """Return Feishu's signature: the time and the secret are the key, and the message is empty."""
    return _hmac(f"{seconds}\n{secret}".encode(), b"")


def _hmac(key: bytes, message: bytes) -> str:
    return base64.b64encode(hmac.digest(key, message, hashlib.sha256)).decode()


def _dingtalk(message: Message, secret: str, now: float) -> tuple[Query, Body]:
    stamp = int(now * 1000)
    query = {"timestamp": str(stamp), "sign": dingtalk_sign(secret, stamp)} if secret else {}
    text = message.markdown("### ", "\n\n", MOST_BYTES)
    return query, {"msgtype": "markdown", "markdown": {"title": shorten(message.title, MOST_TITLE), "text": text}}


def _feishu(message: Message, secret: str, now: float) -> tuple[Query, Body]:
    content: list[list[dict[str, str]]] = [
        [{"tag": "text", "text": line}] for line in fitting(message.lines, MOST_BYTES, extra=40)
    ]
    if message.link:
        content.append([{"tag": "a", "text": OPEN, "href": message.link}])
    post = {"en_us": {"title": shorten(message.title, MOST_TITLE), "content": content}}
    signed = {"timestamp": str(int(now)), "sign": feishu_sign(secret, int(now))} if secret else {}
    return {}, {**signed, "msg_type": "post", "content": {"post": post}}


def _wecom(message: Message, secret: str, now: float) -> tuple[Query, Body]:
    return {}, {"msgtype": "markdown", "markdown": {"content": message.markdown("### ", "\n", MOST_WECOM)}}


def _teams(message: Message, secret: str, now: float) -> tuple[Query, Body]:
    blocks = [{"type": "TextBlock", "wrap": True, "weight": "Bolder", "text": shorten(message.title, MOST_TITLE)}]
    blocks += [
        {"type": "TextBlock", "wrap": True, "text": line} for line in fitting(message.lines, MOST_BYTES, extra=60)
    ]
    card: Body = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": blocks,
    }
    if message.link:
        card["actions"] = [{"type": "Action.OpenUrl", "title": OPEN, "url": message.link}]
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {}, {"type": "message", "attachments": [attachment]}


DINGTALK = Chat(
    "dingtalk",
    "DingTalk",
    ("https://oapi.dingtalk.com/robot/send?access_token=",),
    _dingtalk,
    signed=True,
    ok_field="errcode",
    causes={
        310000: "the robot's security settings refuse it: check signing secret, keywords, allowed addresses, clock",
        300001: "the robot does not know this address",
    },
    throttled=frozenset({130101}),
)
FEISHU = Chat(
    "feishu",
    "Feishu",
    ("https://open.feishu.cn/open-apis/bot/v2/hook/", "https://open.larksuite.com/open-apis/bot/v2/hook/"),
    _feishu,
    signed=True,
    ok_field="code",
    causes={
        19021: "the signature or its time is refused: check the signing secret and this machine's clock",
        19022: "the bot does not allow this machine's address",
        19024: "the bot asks for a keyword that the message does not have",
        19001: "the bot does not know this address",
    },
    throttled=frozenset({9499, 11232}),
)
WECOM = Chat(
    "wecom",
    "WeCom",
    ("https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=",),
    _wecom,
    ok_field="errcode",
    causes={93000: "the robot does not know this address"},
    throttled=frozenset({45009}),
)
TEAMS = Chat("teams", "Teams", (), _teams)
CHATS = {chat.kind: chat for chat in (DINGTALK, FEISHU, WECOM, TEAMS)}


def with_query(address: str, query: Query) -> str:
    """Return the address with further parameters."""
    if not query:
        return address
    return f"{address}{'&' if '?' in address else '?'}{urlencode(query)}"
