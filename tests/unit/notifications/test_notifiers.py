"""The notifiers against a receiver on loopback: whatever it does, the result is a sentence in the log."""

from __future__ import annotations

import json
import logging
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from airflow.sdk import BaseNotifier

from rescind.hooks.base import run
from rescind.hooks.chat_webhook import ChatWebhookHook
from rescind.notifications import sender
from rescind.notifications.channels import CHATS
from rescind.notifications.message import Message
from rescind.notifications.notifiers import NOTIFIERS, ChatNotifier, DingTalkNotifier
from rescind.provider_info import get_provider_info
from tests.support.servers.chat_server import SECRET, ChatServer, chat_server

pytestmark = pytest.mark.airflow
MESSAGE = Message("[Access review 3] ● waiting for approval", ("rita asks.",), "https://a.example/rescind/runs/3")


@pytest.fixture
def chats() -> Iterator[ChatServer]:
    with chat_server() as server:
        yield server


@pytest.fixture
def tell(
    chats: ChatServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> Callable[..., list[str]]:
    """Sends through a notifier; returns what it logged."""
    monkeypatch.setattr(sender, "PAUSES", (0.01, 0.01))

    def send(kind: str, **extra: Any) -> list[str]:
        monkeypatch.setenv("AIRFLOW_CONN_CHAT", chats.connection(kind, **extra))
        caplog.clear()
        with caplog.at_level(logging.INFO):
            NOTIFIERS[kind](chat_conn_id="chat")({"message": MESSAGE})
        found = [one.getMessage() for one in caplog.records if "connection chat" in one.getMessage()]
        whole = "\n".join(one.getMessage() for one in caplog.records)
        for hidden in (SECRET, "access_token", "key=tok", "sig=tok", chats.url, "no text of the vendor"):
            assert hidden not in whole
        return found

    return send


@pytest.mark.parametrize("kind", CHATS)
def test_each_chat_accepts_what_is_sent(kind: str, chats: ChatServer, tell: Callable[..., list[str]]) -> None:
    assert tell(kind) == [f"{CHATS[kind].title} (connection chat): the message was delivered"]
    (one,) = chats.accepted(kind)
    assert one.title == MESSAGE.title and "rita asks." in one.text and MESSAGE.link in one.text


@pytest.mark.parametrize("kind", ["dingtalk", "feishu"])
@pytest.mark.parametrize("secret", ["wrong", ""])
def test_a_bad_signature_in_a_200_answer_is_told(
    kind: str, secret: str, chats: ChatServer, tell: Callable[..., list[str]]
) -> None:
    (said,) = tell(kind, secret=secret)
    assert "not delivered" in said and "secret" in said and ("310000" in said or "19021" in said)
    assert len(chats.received) == 1 and not chats.accepted()


@pytest.mark.parametrize(
    ("kind", "status", "body", "said"),
    [
        ("dingtalk", 200, b'{"errcode": 400, "errmsg": "x"}', "refused (errcode 400)"),
        ("wecom", 200, b'{"errcode": 93000}', "does not know this address (errcode 93000)"),
        ("feishu", 200, b'{"code": 19001}', "does not know this address (code 19001)"),
        ("feishu", 200, b'{"StatusCode": 0}', "the answer has no number 'code'"),
        ("dingtalk", 200, b"<html>login</html>", "the answer has no number 'errcode'"),
        ("dingtalk", 200, b'{"errcode": "0"}', "the answer has no number 'errcode'"),
        ("dingtalk", 200, b'{"errcode": false}', "the answer has no number 'errcode'"),
        ("wecom", 200, b"[" * 60_000, "the answer has no number 'errcode'"),
        ("teams", 400, b"", "refused with HTTP 400"),
        ("teams", 500, b"", "refused with HTTP 500"),
        ("wecom", 200, b"x" * 70_000, "the answer is over 65536 bytes"),
    ],
)
def test_a_refusal_is_told_once_without_the_words_of_the_vendor(
    kind: str, status: int, body: bytes, said: str, chats: ChatServer, tell: Callable[..., list[str]]
) -> None:
    chats.script = [(status, {}, body)] * 3
    (line,) = tell(kind)
    assert "not delivered" in line and said in line
    assert len(chats.received) == 1


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        ("teams", (429, {"Retry-After": "3600"}, b"")),
        ("dingtalk", (200, {}, b'{"errcode": 130101}')),
        ("feishu", (200, {}, b'{"code": 11232}')),
        ("wecom", (200, {}, b'{"errcode": 45009}')),
    ],
)
def test_throttling_is_tried_again_and_then_told(
    kind: str, answer: tuple[int, dict[str, str], bytes], chats: ChatServer, tell: Callable[..., list[str]]
) -> None:
    chats.script = [answer, answer, answer]
    (said,) = tell(kind)
    assert "not delivered: throttled" in said and len(chats.received) == 3
    chats.script, chats.received = [answer], []
    assert tell(kind) == [f"{CHATS[kind].title} (connection chat): the message was delivered"]
    assert len(chats.received) == 2 and len(chats.accepted()) == 1


def test_a_redirect_is_not_followed(chats: ChatServer, tell: Callable[..., list[str]]) -> None:
    chats.script = [(307, {"Location": f"{chats.url}/teams?sig=tok"}, b"")]
    (said,) = tell("dingtalk")
    assert "a redirect (HTTP 307), which is not followed" in said and len(chats.received) == 1


def test_a_chat_that_does_not_answer_in_time_gets_no_second_message(
    chats: ChatServer, tell: Callable[..., list[str]]
) -> None:
    released = threading.Event()
    chats.script = [lambda _: released.wait(30)] * 2
    try:
        (said,) = tell("feishu", timeout_s=0.3)
    finally:
        released.set()
    assert "no complete answer within 0.3 s; it may have arrived" in said and len(chats.script) == 1


def test_an_answer_that_breaks_off_gets_no_second_message(chats: ChatServer, tell: Callable[..., list[str]]) -> None:
    def reset(handler: Any) -> None:
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        handler.close_connection = True

    chats.script = [reset] * 2
    (said,) = tell("wecom")
    assert "it may have arrived" in said and len(chats.script) == 1


def test_without_a_connection_it_is_tried_three_times(tell: Callable[..., list[str]]) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        (said,) = tell("teams")  # the receiver is there
        address = f"http://127.0.0.1:{closed.getsockname()[1]}/x?y"
        webhook = ChatWebhookHook("chat").get_conn()
        other = webhook.model_copy(update={"address": type(webhook.address)(address)})
        found = run(sender.deliver(CHATS["teams"], "chat", other, MESSAGE))
    assert said.endswith("was delivered")
    assert not found.ok and "no connection (ConnectError)" in found.sentence and "may have" not in found.sentence


def test_a_proxy_of_the_environment_is_not_used(
    chats: ChatServer, tell: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert tell("dingtalk")[0].endswith("was delivered") and len(chats.accepted()) == 1


@pytest.mark.parametrize("kind", CHATS)
def test_the_asynchronous_way_sends_the_same(
    kind: str, chats: ChatServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_CHAT", chats.connection(kind))

    async def within() -> None:
        await NOTIFIERS[kind](chat_conn_id="chat", title="{{ name }} waits", text="one\ntwo", context={"name": "A run"})

    with caplog.at_level(logging.INFO):
        run(within())
    (one,) = chats.accepted(kind)
    assert one.title == "A run waits" and "one" in one.text and "two" in one.text
    assert "the message was delivered" in caplog.text


def test_own_text_is_rendered_and_comes_first(chats: ChatServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_CHAT", chats.connection("teams"))
    DingTalkNotifier(chat_conn_id="chat", title="x")  # building one sends nothing
    NOTIFIERS["teams"](chat_conn_id="chat", text="{{ message.title }}!")({"message": MESSAGE})
    assert [one.title for one in chats.accepted()] == [f"{MESSAGE.title}!"]


@pytest.mark.parametrize("kind", CHATS)
def test_without_a_message_or_a_connection_there_is_a_sentence(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    NOTIFIERS[kind](chat_conn_id="nowhere")({})
    NOTIFIERS[kind](chat_conn_id="nowhere", title="x")({})
    assert "there is no message to send" in caplog.text
    assert "connection nowhere: does not exist. Create it under Admin, Connections" in caplog.text


HOME = "https://oapi.dingtalk.com/robot/send?access_token=tok"


@pytest.mark.parametrize(
    ("kind", "connection", "said"),
    [
        (
            "feishu",
            {"password": HOME},
            "is none of Feishu. It begins with https://open.feishu.cn/open-apis/bot/v2/hook/",
        ),
        ("dingtalk", {"password": "https://oapi.dingtalk.com.evil.example/robot/send?access_token=t"}, "is none of"),
        ("wecom", {"password": "https://evil.example/x", "extra": {"allow_loopback_http": True}}, "is none of WeCom"),
        ("dingtalk", {"password": HOME.replace("https", "http")}, "is no https address with a path"),
        ("dingtalk", {"password": "tok"}, "3 characters) is no https address"),
        ("dingtalk", {"password": ""}, "0 characters) is no https address"),
        ("dingtalk", {"password": "https://me:pw@oapi.dingtalk.com/robot"}, "is no https address"),
        ("dingtalk", {"password": HOME, "host": "oapi.dingtalk.com"}, "host must be empty"),
        ("dingtalk", {"password": HOME, "extra": {"sceret": "x"}}, "sceret: Extra inputs are not permitted"),
        ("dingtalk", {"password": HOME, "extra": {"proxy": "proxy.example"}}, "proxy: is not an address of a proxy"),
        ("dingtalk", {"password": HOME, "extra": {"proxy_login": "me"}}, "there is no proxy"),
        ("dingtalk", {"password": HOME, "conn_type": "postgres"}, "has type 'postgres'"),
        (
            "teams",
            {"password": "http://192.0.2.1/x", "extra": {"allow_loopback_http": True}},
            "address of this machine",
        ),
        ("teams", {"password": "http://127.0.0.1:1/x"}, "is no https address with a path"),
    ],
)
def test_a_wrong_connection_is_found_before_anything_is_sent(
    kind: str, connection: dict[str, Any], said: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_CHAT", json.dumps({"conn_type": "generic", **connection}))
    NOTIFIERS[kind](chat_conn_id="chat", title="x")({})
    assert said in caplog.text
    assert "tok" not in caplog.text.replace("access_token=. Copy", "").replace("access_token", "")


def test_the_words_of_other_packages_are_not_repeated(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(self: object, conn_id: str) -> None:
        raise RuntimeError(f"cannot decrypt {HOME} of {conn_id}")

    monkeypatch.setattr(ChatWebhookHook, "get_connection", broken)
    NOTIFIERS["dingtalk"](chat_conn_id="chat", title="x")({})
    assert "DingTalk (connection chat): the message was not delivered: RuntimeError" in caplog.text
    assert "decrypt" not in caplog.text


def test_the_test_of_a_connection_sends_nothing(chats: ChatServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_CHAT", chats.connection("wecom"))
    assert ChatWebhookHook("chat").test_connection() == (
        True,
        "The address has the form of a webhook. Nothing was sent",
    )
    assert ChatWebhookHook("none").test_connection()[0] is False and chats.received == []


def test_the_provider_lists_the_notifiers() -> None:
    listed = get_provider_info()["notifications"]
    assert listed == [f"{cls.__module__}.{cls.__name__}" for cls in NOTIFIERS.values()]
    assert all(issubclass(cls, BaseNotifier) and issubclass(cls, ChatNotifier) for cls in NOTIFIERS.values())
