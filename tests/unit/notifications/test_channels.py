"""Signatures against known vectors, and what the bodies of the chats hold."""

from __future__ import annotations

import json
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rescind.notifications import channels
from rescind.notifications.channels import CHATS, dingtalk_sign, feishu_sign, with_query
from rescind.notifications.message import MOST_NAME, Message, chat_name

MESSAGE = Message("[Access review 3] ● waiting for approval", ("One line.", "Another one."), "https://a.example/x/1")


def test_signatures_are_those_of_the_vectors() -> None:
    assert dingtalk_sign("SECtest", 1_700_000_000_000) == "aZLLrriXgn05YbwaGR7knYsLeJADjr9NwLaNNKpxh4g="
    assert feishu_sign("SECtest", 1_700_000_000) == "G7XpBpG8NgG02fJOAhX6FRAObIljmFoxVReo8I62pEk="


def test_dingtalk_signs_in_the_address_with_milliseconds_and_escapes() -> None:
    query, body = channels.DINGTALK.build(MESSAGE, "SECtest", 1_700_000_000.0)
    url = with_query("https://oapi.dingtalk.com/robot/send?access_token=tok", query)
    assert url.endswith("&timestamp=1700000000000&sign=aZLLrriXgn05YbwaGR7knYsLeJADjr9NwLaNNKpxh4g%3D")
    assert parse_qs(urlsplit(url).query)["access_token"] == ["tok"] and "sign" not in json.dumps(body)
    assert channels.DINGTALK.build(MESSAGE, "", 1_700_000_000.0)[0] == {}


def test_feishu_signs_in_the_body_with_seconds() -> None:
    query, body = channels.FEISHU.build(MESSAGE, "SECtest", 1_700_000_000.9)
    assert query == {}
    assert (body["timestamp"], body["sign"]) == ("1700000000", "G7XpBpG8NgG02fJOAhX6FRAObIljmFoxVReo8I62pEk=")
    assert "sign" not in channels.FEISHU.build(MESSAGE, "", 1.0)[1]


@pytest.mark.parametrize("kind", CHATS)
def test_each_body_has_title_lines_and_link(kind: str) -> None:
    text = json.dumps(CHATS[kind].build(MESSAGE, "", 1.0)[1], ensure_ascii=False)
    for part in (MESSAGE.title, *MESSAGE.lines, MESSAGE.link):
        assert part in text, part


LINES = st.lists(st.text(max_size=3000), max_size=12)


@given(
    title=st.text(max_size=300), lines=LINES, link=st.sampled_from(["", "https://airflow.example.org/rescind/runs/1"])
)
def test_no_message_is_longer_than_its_chat_takes(title: str, lines: list[str], link: str) -> None:
    message = Message(title, tuple(lines), link)
    for chat, limit in ((channels.WECOM, 4096), (channels.DINGTALK, 15_000)):
        markdown = chat.build(message, "", 1.0)[1]["markdown"]
        shown = markdown.get("content") or markdown["text"]
        assert len(shown.encode()) <= limit
        assert shown.endswith(f"({link})") if link else True
    for chat in (channels.FEISHU, channels.TEAMS):
        assert len(json.dumps(chat.build(message, "", 1.0)[1], ensure_ascii=False).encode()) < 40_000


def test_chinese_lines_are_cut_between_lines_by_bytes() -> None:
    line = "审" * 500  # 1,500 bytes
    shown = channels.WECOM.build(Message("t", (line,) * 5, "https://a.example/1"), "", 1.0)[1]["markdown"]["content"]
    assert shown.split("\n") == ["### t", line, line, "...", "[Open in Airflow](https://a.example/1)"]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("rita", "rita"),
        ("王伟 O'Neill-2_x@corp.example", "王伟 O'Neill-2_x@corp.example"),
        ("<!channel> [x](https://evil.example/) **b**", "channel x https evil.example b"),
        ("a\u202eb\nc", "a b c"),
        ("[](", "unnamed user"),
        ("Zoë", "Zoë"),
    ],
)
def test_the_name_of_a_user_cannot_be_a_mark_of_a_chat(name: str, shown: str) -> None:
    assert chat_name(name) == shown


def test_a_long_name_is_cut() -> None:
    assert len(chat_name("x" * 500)) == MOST_NAME


def test_html_and_text_hold_the_same() -> None:
    one = Message("<a>", ("b & c",), "https://a.example/?x=1&y=2")
    assert one.text == "<a>\nb & c\nhttps://a.example/?x=1&y=2"
    assert "&lt;a&gt;" in one.html and "b &amp; c" in one.html and 'href="https://a.example/?x=1&amp;y=2"' in one.html


def test_only_teams_takes_every_https_address() -> None:
    assert [kind for kind, chat in CHATS.items() if not chat.starts] == ["teams"]
    assert all(start.startswith("https://") for chat in CHATS.values() for start in chat.starts)
