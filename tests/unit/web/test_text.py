from __future__ import annotations

from markupsafe import Markup

from rescind.web.text import visible, whole


def test_what_cannot_be_seen_is_named() -> None:
    assert visible("invoice\u202egnp.exe") == "invoice<U+202E>gnp.exe"
    assert visible("a\u200bb\u3164c\ufe0f") == "a<U+200B>b<U+3164>c<U+FE0F>"
    assert visible("one\ntwo\x00\x7f\x1b[31m") == "one<U+000A>two<U+0000><U+007F><U+001B>[31m"
    assert visible("\u2066\U000e0041\u2028") == "<U+2066><U+E0041><U+2028>"


def test_names_in_any_script_stay_as_they_are() -> None:
    for name in ("王小明", "مريم العلي", "Zoë Müller", "O'Neil <b>", "{{ x }}"):
        assert visible(name) == name


def test_long_text_is_cut_and_says_so() -> None:
    assert visible("a" * 301) == "a" * 300 + "…"
    assert visible("a" * 300) == "a" * 300


def test_markup_numbers_and_nothing_pass() -> None:
    made = Markup("<b>\u202e</b>")
    assert visible(made) is made
    assert visible(7) == 7
    assert visible(None) == ""


def test_a_sentence_is_whole_and_still_harmless() -> None:
    assert whole("é<b>" * 400) == "é&lt;b&gt;" * 400
    assert whole("one\n\ttwo\u202e\x00") == "one\n\ttwo&lt;U+202E&gt;&lt;U+0000&gt;"
    assert whole("") == "" and isinstance(whole("<"), Markup)
