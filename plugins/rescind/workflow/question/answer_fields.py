"""The fields of an answer beside the chosen option. Airflow checks none of them, so everything is checked here."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rescind.errors import InputError

COMMENT = "comment"
MOST_COMMENT = 1000
"""Maximum length of a comment, in characters."""
_JOINERS = "\u200c\u200d"
"""Invisible characters that some scripts and emoji need; they change no order of reading."""
_REMEDY = "Answer with the form of the question"


@dataclass(frozen=True, slots=True)
class AnswerFields:
    """The checked fields of an answer.

    :param comment: at most :data:`MOST_COMMENT` typed characters, in the form of :func:`readable`.
    """

    comment: str = ""


def comment_field() -> dict[str, dict[str, Any]]:
    """Return the form's field for a comment, as Airflow's ``Param`` takes it.

    It accepts null: a required field that is empty would disable every button of the question, Reject as well.
    """
    return {
        COMMENT: {
            "default": None,
            "type": ["string", "null"],
            "maxLength": MOST_COMMENT,
            "title": "Comment (optional)",
            "description": "It is signed with the answer and shown in the report. Do not write secrets.",
        }
    }


def answer_fields(event: Mapping[str, Any]) -> AnswerFields:
    """Return the fields of an answer, checked.

    :param event: Airflow's event. ``params_input`` is what the browser or a client sent.
    :raises InputError: for an unknown field, a value of another type, and a comment that is too long.
    """
    given = event.get("params_input")
    if given is None:
        given = {}
    if not isinstance(given, Mapping):
        raise InputError("answer", f"its fields are a {type(given).__name__}", _REMEDY)
    unknown = sum(name != COMMENT for name in given)
    if unknown:
        raise InputError("answer", f"has {unknown} unknown fields; known: {COMMENT}", _REMEDY)
    return AnswerFields(_comment(given.get(COMMENT)))


def has_fields(record: Mapping[str, Any], expected: AnswerFields) -> bool:
    """Return whether Airflow's record of an answer has exactly these fields."""
    try:
        return answer_fields(record) == expected
    except InputError:
        return False


def readable(text: str) -> str:
    """Return a text in which every character can be seen.

    Line ends are single line feeds. Control characters, and format characters that hide or reorder text, are named, for
    example ``<U+202E>``.
    """
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(f"<U+{ord(one):04X}>" if _hidden(one) else one for one in lines).strip()


def _comment(value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InputError("comment of the answer", f"is a {type(value).__name__}, not a text", _REMEDY)
    if len(value) > MOST_COMMENT:
        problem = f"has {len(value)} characters, more than {MOST_COMMENT}"
        raise InputError("comment of the answer", problem, "Start a new run, and write a shorter comment")
    return readable(value)


def _hidden(one: str) -> bool:
    category = unicodedata.category(one)
    return category in ("Cc", "Cf", "Cs", "Cn", "Zl", "Zp") and one not in ("\n", "\t", *_JOINERS)
