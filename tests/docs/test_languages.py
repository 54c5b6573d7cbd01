"""The guides in other languages say what the English ones say: the same headings, commands, settings and tables.

After a change of an English guide, change its translations in ``docs/zh-CN`` and ``docs/ja`` too.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from tests.docs.catalogs import ROOT

DOCS = ROOT / "docs"
TRANSLATED = [DOCS / language / name for language in ("zh-CN", "ja") for name in ("operating.md", "evidence.md")]
_HEADING = re.compile(r"^(#+) (.+?)(?: \{#([\w-]+)\})?$", re.MULTILINE)
_BLOCK = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`([^`]+)`")
_LINK = re.compile(r"\]\(([^)\s]+)\)")


def _anchor(title: str) -> str:
    """The anchor that the site gives an English heading."""
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", title).strip().lower())


def _sections(path: Path) -> dict[str, str]:
    """The text of each heading, by the anchor of the heading in English."""
    text = _BLOCK.sub("", path.read_text(encoding="utf-8"))
    found = list(_HEADING.finditer(text))
    ends = [one.start() for one in found[1:]] + [len(text)]
    return {
        f"{one[1]} {one[3] or _anchor(one[2])}": text[one.end() : end] for one, end in zip(found, ends, strict=True)
    }


@pytest.mark.parametrize("path", TRANSLATED, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_translated_guide_follows_the_english_one(path: Path) -> None:
    english = DOCS / path.name
    blocks, wanted_blocks = (_BLOCK.findall(one.read_text(encoding="utf-8")) for one in (path, english))
    mine, theirs = _sections(path), _sections(english)
    if path.name == "evidence.md":  # its first part only, with a link to the rest
        theirs = dict(list(theirs.items())[:2])
        wanted_blocks = wanted_blocks[:2]
        rest = mine["## for-an-auditor"]
        mine["## for-an-auditor"] = rest[: rest.rindex("\n\n")]
    assert blocks == wanted_blocks
    assert list(mine) == list(theirs), "headings, with the English anchor in braces"
    for name, text in theirs.items():
        assert text.count("\n| ") == mine[name].count("\n| "), f"{name}: rows of tables"
        drift = Counter(map(_plain, _CODE.findall(mine[name])))
        wanted = Counter(map(_plain, _CODE.findall(text)))
        assert drift == wanted, f"{name}: {sorted((drift - wanted) | (wanted - drift))}"
        links = [re.sub(r"^\.\./", "", link) for link in _LINK.findall(mine[name])]
        assert sorted(links) == sorted(_LINK.findall(text)), f"{name}: links"


def _plain(code: str) -> str:
    """A command without the blanks that the English text has between its lines."""
    return " ".join(code.split())
