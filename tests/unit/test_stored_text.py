"""Sentences of the ledger in the language of the reader: known templates only, values and other text unchanged."""

# ruff: noqa: RUF001 - Chinese and Japanese punctuation

from __future__ import annotations

import re
from pathlib import Path

import pytest

import rescind
from rescind.i18n import reading
from rescind.stored_text import TEMPLATES, translated

SOURCES = Path(str(rescind.__file__)).parent


@pytest.mark.parametrize(
    ("stored", "zh", "ja"),
    [
        ("no rule applies", "没有适用的规则", "該当するルールなし"),
        (
            'group 17 "Everybody": view_export on menu "Margin on hand"',
            '用户组 17 "Everybody"：数据门户菜单 "Margin on hand" 的 view_export',
            'ユーザーグループ 17 "Everybody"：ポータルのメニュー "Margin on hand" の view_export',
        ),
        ("kept by 王伟: see {name}: x", "由 王伟 决定保留：see {name}: x", "王伟 が維持：see {name}: x"),
        ("cannot be restored: no call grants exactly this again", "无法恢复：没有能完全恢复此授权的接口",
         "復元できません：まったく同じ権限を再付与する呼び出しがありません"),
        (
            "would leave schema lake.s03 without a holder of GRANT_PRIVILEGES (2 of 2 would go)",
            "将使 Schema lake.s03 不再有人持有 GRANT_PRIVILEGES（2 个中会失去 2 个）",
            "スキーマ lake.s03 から GRANT_PRIVILEGES の保有者がいなくなります（2 件中 2 件が対象）",
        ),
    ],
)  # fmt: skip
def test_a_stored_sentence_is_translated_with_its_values(stored: str, zh: str, ja: str) -> None:
    with reading("zh-CN"):
        assert translated(stored) == zh
    with reading("ja"):
        assert translated(stored) == ja
    assert translated(stored) == stored, "English stays as it is stored"


@pytest.mark.parametrize(
    "text",
    ["", "moved on Monday", "left", "remove this person", "group 17: see above", "Access reviews", "x" * 5000,
     "would leave " + " of " * 400],
)  # fmt: skip
def test_what_people_wrote_is_not_translated(text: str) -> None:
    with reading("ja"):
        assert translated(text) == text


def test_every_template_is_written_somewhere_in_the_source() -> None:
    """A sentence that changes in its module must change here too, or it is shown in English."""
    source = " ".join(
        re.sub(r'"\s+f?"', "", path.read_text(encoding="utf-8"))
        for path in SOURCES.rglob("*.py")
        if path.name != "stored_text.py"
    )
    policies = " ".join(path.read_text(encoding="utf-8") for path in (SOURCES.parents[1] / "include").rglob("*.y*ml"))
    for template in TEMPLATES:
        parts = [part.strip(" ()") for part in re.split(r"\{\w+\}", template)]
        longest = max(parts, key=len).removeprefix("approve ").removeprefix("reject ")
        assert longest in source + policies, template
