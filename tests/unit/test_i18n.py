"""Language and time zone of text: what is known, what is chosen, what never changes."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest

from rescind.i18n import accepted_language, current, known_language, known_zone, moment, reading, tr, trn
from rescind.run_state.states import Counts, closed_state

AT = datetime(2026, 11, 30, 17, 4, tzinfo=UTC)


@pytest.mark.parametrize(
    ("tag", "known"),
    [
        ("zh-CN", "zh-CN"), ("zh_Hans", "zh-CN"), ("zh", "zh-CN"), ("ja-JP", "ja"), ("EN-us", "en"),
        ("zh-TW", ""), ("ko", ""), ("", ""), ("../ja", ""), ("jav", ""),
    ],
)  # fmt: skip
def test_tags(tag: str, known: str) -> None:
    assert known_language(tag) == known


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("ja,en;q=0.9", "ja"), ("en;q=0.5, zh-CN;q=0.8", "zh-CN"), ("zh-TW,zh;q=0.9,en;q=0.8", "zh-CN"),
        ("ko, vi", ""), ("ja;q=0, en", "en"), ("ja;q=x", ""), ("*", ""), ("", ""), (",;=" * 400, ""),
    ],
)  # fmt: skip
def test_the_browsers_languages_by_weight(header: str, language: str) -> None:
    assert accepted_language(header) == language


@pytest.mark.parametrize(
    "name", ["", "Asia", "../../etc/passwd", "/etc/localtime", "Asia/Nowhere", "x" * 99, "Asia/\n"]
)
def test_a_name_that_is_no_time_zone_is_none(name: str) -> None:
    assert known_zone(name) == ""
    with reading("en", name):
        assert moment(AT) == "2026-11-30 17:04 UTC"


@pytest.mark.parametrize(
    ("zone", "words"),
    [
        ("Asia/Shanghai", "2026-11-30 17:04 UTC (12-01 01:04 UTC+8)"),
        ("Europe/Berlin", "2026-11-30 17:04 UTC (18:04 UTC+1)"),
        ("Asia/Kolkata", "2026-11-30 17:04 UTC (22:34 UTC+5:30)"),
        ("America/St_Johns", "2026-11-30 17:04 UTC (13:34 UTC-3:30)"),
        ("UTC", "2026-11-30 17:04 UTC"),
        ("Europe/London", "2026-11-30 17:04 UTC"),
    ],
)
def test_local_time_stands_beside_utc(zone: str, words: str) -> None:
    with reading("ja", zone):
        assert moment(AT) == words
        assert moment(AT.replace(tzinfo=None)) == words
    assert moment(None) == ""


def test_text_is_english_unless_somebody_reads_in_another_language() -> None:
    counts, said = Counts(items=3, proven=1), []
    with reading("zh-CN", "Asia/Shanghai"):
        assert closed_state("succeeded", counts).words.startswith("已结束")
        assert closed_state("succeeded", counts).key == "remains"
        thread = threading.Thread(target=lambda: said.append(closed_state("succeeded", counts).words))
        thread.start()
        thread.join(10)
        with reading("xx"):
            assert current().language == "en"
    assert said == [closed_state("succeeded", counts).words] == ["closed, access remains (2)"]


def test_what_has_no_translation_stays_as_it_is_and_values_are_no_templates() -> None:
    with reading("ja"):
        assert tr("no such message {x}", x=1) == "no such message 1"
        assert tr("{name} x", name="{0.__class__}") == "{0.__class__} x"
        assert trn("{count} a", "{count} b", 1) == "1 a"
