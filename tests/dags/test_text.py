"""Names from vendors on the pages of people: whatever they say, they are read as text and lead nowhere."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from rescind.workflow.question.markdown import plain

HOSTILE = (
    "<img src=x onerror=alert(1)>",
    "**bold** _it_ ~~gone~~ # head",
    "[click](https://example.com) ![x](y)",
    "https://example.com/approve",
    "see www.example.com now",
    "somebody@example.com",
    "mailto:somebody@example.com",
    "`tick` and https://example.com ``two``",
    "`https://example.com`",
    "a | b | https://example.com",
    "{{ params }} {% raw %} ${HOME}",
    "line\nbreak\u202ereversed\u2066",
    "- item\n1. item",
    "&amp; &#64; \\@ \\`",
    "",
)
READER = MarkdownIt("commonmark", {"linkify": True}).enable(["table", "strikethrough", "linkify"])
"""As generous as readers of Markdown get: tables, and links where nobody marked any."""


def inline(text: str) -> list[Token]:
    return [child for token in READER.parse(text) for child in token.children or ()]


def cleaned(text: str) -> str:
    return "".join(" " if unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp") else c for c in text)


def spaced(text: str) -> str:
    """Readers fold white space."""
    return " ".join(text.split())


def is_text(shown: str, original: str) -> None:
    tokens = inline(shown)
    assert {token.type for token in tokens} <= {"text", "text_special", "code_inline"}, tokens
    said = "".join(token.content for token in tokens)
    assert spaced(said.replace("¦", "|")) == spaced(f"Name {cleaned(original)} end".replace("¦", "|"))


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_names_are_text(text: str) -> None:
    is_text(f"Name {plain(text, 500)} end", text)


@given(st.text(st.characters(exclude_categories=["Cs", "Zs"]), max_size=60).map(str.strip))
def test_any_name_is_text(text: str) -> None:
    is_text(f"Name {plain(text, 500)} end", text)


@given(
    st.lists(
        st.sampled_from(["`", "``", "@a", "www.", "https://x", "|", "\\", "*", "a", " ", "<b>", "]("]), max_size=12
    )
)
def test_marks_in_any_order_are_text(parts: list[str]) -> None:
    text = "".join(parts).strip()
    is_text(f"Name {plain(text, 500)} end", text)


@pytest.mark.parametrize("text", [one for one in HOSTILE if one])
def test_a_name_stays_in_its_cell(text: str) -> None:
    rows = READER.render(f"| a | b |\n| --- | --- |\n| {plain(text)} | two |\n")
    assert rows.count("<td>") == 2
    assert "<td>two</td>" in rows
    assert "href" not in rows


def test_ordinary_names_are_not_changed_for_the_eye() -> None:
    assert READER.renderInline(plain("lake_lab.s03 (Müller-Lüdenscheidt)")) == "lake_lab.s03 (Müller-Lüdenscheidt)"
