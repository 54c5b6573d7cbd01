"""The fields of an answer: everything that a client sends is checked, and nothing in a comment stays hidden."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk.definitions.param import Param

from rescind.errors import InputError
from rescind.workflow.question.answer_fields import (
    MOST_COMMENT,
    AnswerFields,
    answer_fields,
    comment_field,
    has_fields,
    readable,
)
from rescind.workflow.question.markdown import plain


def _event(fields: Any) -> dict[str, Any]:
    return {"chosen_options": ["Reject"], "params_input": fields}


@pytest.mark.parametrize("fields", [None, {}, {"comment": None}, {"comment": ""}, {"comment": " \n "}])
def test_no_comment_is_an_answer(fields: Any) -> None:
    assert answer_fields(_event(fields)) == AnswerFields("")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"comment": "x" * (MOST_COMMENT + 1)}, "has 1001 characters, more than 1000"),
        ({"comment": "x" * 1_000_000}, "has 1000000 characters"),
        ({"comment": 1}, "is a int, not a text"),
        ({"comment": ["x"]}, "is a list, not a text"),
        ({"comment": {"x": "y"}}, "is a dict, not a text"),
        ({"comment": "fine", "approver": "omar"}, "has 1 unknown fields"),
        ({"Comment": "fine"}, "has 1 unknown fields"),
        ({1: "fine"}, "has 1 unknown fields"),
        (["comment"], "its fields are a list"),
        ("comment", "its fields are a str"),
    ],
)
def test_what_no_form_sends_is_refused_without_repeating_it(fields: Any, words: str) -> None:
    with pytest.raises(InputError, match=words) as refused:
        answer_fields(_event(fields))
    assert len(str(refused.value)) < 300


def test_the_longest_comment_and_scripts_of_the_world_stay_as_typed() -> None:
    for text in ("x" * MOST_COMMENT, "项目交接到周五", "引き継ぎ\n二行目\tend", "x\u200cx", "👩\u200d💻 keeps it"):
        assert answer_fields(_event({"comment": text})).comment == text


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("keep \u202edessorp", "keep <U+202E>dessorp"),
        ("a\u2066b\u2069", "a<U+2066>b<U+2069>"),
        ("a\x00b\x1b[31m", "a<U+0000>b<U+001B>[31m"),
        ("a\u200bb\ufeff", "a<U+200B>b<U+FEFF>"),
        ("a\u2028b", "a<U+2028>b"),
        ("\ud800", "<U+D800>"),
        ("a\r\nb\rc", "a\nb\nc"),
        ("\U000e0041", "<U+E0041>"),
    ],
)
def test_what_hides_or_reorders_text_is_named(typed: str, stored: str) -> None:
    assert readable(typed) == stored
    assert readable(stored) == stored, "a second time changes nothing"


def test_a_comment_is_inert_in_markdown() -> None:
    shown = plain(readable("# done\n[x](http://evil.example) **bold** <b>|a|</b> @omar"), 200)
    assert "\n" not in shown
    assert shown.startswith("`") and shown.endswith("`"), "what would become a link is a code span"
    assert plain(readable("**bold** # x"), 200) == r"\*\*bold\*\* \# x"


def test_the_form_accepts_an_empty_field_and_never_disables_a_button() -> None:
    field = Param(**comment_field()["comment"])
    assert field.resolve(None) is None
    assert field.resolve("x" * MOST_COMMENT)
    with pytest.raises(Exception, match="too long"):
        field.resolve("x" * (MOST_COMMENT + 1))


def test_a_record_of_airflow_counts_with_exactly_this_comment_only() -> None:
    expected = AnswerFields("kept <U+202E>x")
    assert has_fields(_event({"comment": "kept \u202ex"}), expected)
    for other in ({"comment": "kept"}, {}, {"comment": "kept <U+202E>x", "more": 1}, ["comment"]):
        assert not has_fields(_event(other), expected)
