"""The check of words finds what it should, where it should."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs import words

LIST = words.words("lanes?\tbucket\tsql/\nlaid aside\tdeferred\t-\n")


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        ("docs/a.md", "one\nThe Lanes are\n", ["docs/a.md:2: 'Lanes': write 'bucket'"]),
        ("a.py", "# it was laid\n# aside for a lost one\n", ["a.py:1: 'laid aside': write 'deferred'"]),
        ("a.py", "lane_of(airplane, lane-keeping)\n", []),
        ("sql/a.py", "lane\nlaid aside\n", ["sql/a.py:2: 'laid aside': write 'deferred'"]),
        ("a.py", "laid\n\naside\n", []),
    ],
)
def test_a_word_is_found_with_file_line_and_replacement(path: str, text: str, expected: list[str]) -> None:
    assert [str(hit) for hit in words.check(path, text, LIST)] == expected


def test_a_line_that_is_not_three_columns_is_refused() -> None:
    with pytest.raises(ValueError, match=r"words\.txt:2"):
        words.words("lanes?\tbucket\t-\nlaid aside: deferred\n")


@pytest.mark.parametrize("pattern", ["Lanes", "-lane", "[lane"])
def test_a_pattern_that_the_quick_look_would_miss_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"words\.txt:1: a pattern is in lower case"):
        words.words(f"{pattern}\tbucket\t-\n")


def test_every_pattern_of_the_list_is_found_in_the_project(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The quick look over a whole file lets nothing pass that a pattern alone would find."""
    shown = ["Laid ASIDE", "sent\n# for ever", "(lane)", "A stop  switch", "gave it back"]
    for number, text in enumerate(shown):
        (tmp_path / f"{number}.md").write_text(f"some {text}, here\n", encoding="utf-8")
    monkeypatch.setattr(words, "ROOT", tmp_path)
    monkeypatch.setattr(words, "files", lambda: [f"{number}.md" for number in range(len(shown))])
    assert {hit.path for hit in words.hits()} == {"0.md", "1.md", "2.md", "4.md"}


def test_the_list_covers_the_standard_words_and_allows_only_paths_that_exist() -> None:
    listed = words.words(words.LIST.read_text(encoding="utf-8"))
    assert {"in flight", "blast radius", "kill switch", "requester", "evidence chain"} <= {
        word.instead for word in listed
    }
    for word in listed:
        assert all((words.ROOT / path).exists() for path in word.allowed), word.pattern.pattern


def test_the_style_guide_names_every_replacement() -> None:
    guide = (words.ROOT / "docs" / "style.md").read_text(encoding="utf-8")
    missing = [
        word.instead for word in words.words(words.LIST.read_text(encoding="utf-8")) if word.instead not in guide
    ]
    assert missing == []


def test_text_files_of_every_part_are_checked() -> None:
    checked = set(words.files())
    assert {"README.md", "Makefile", "plugins/rescind/model.py", "include/emulator/README.md"} <= checked
    assert not any(re.search(r"constraints\.txt|\.png|words\.txt|\.sql$", path) for path in checked)


def test_the_project_uses_none_of_them() -> None:
    found = [str(hit) for hit in words.hits()]
    assert not found, "\n".join(found)
