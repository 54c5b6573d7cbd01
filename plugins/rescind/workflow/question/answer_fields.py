"""The fields of an answer beside the chosen option. Airflow checks none of them, so everything is checked here."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rescind.errors import InputError
from rescind.i18n import tr

COMMENT = "comment"
LEAVE_OUT = "leave_out"
MOST_COMMENT = 1000
"""Maximum length of a comment, in characters."""
MOST_LEFT_OUT = 1000
"""Most entries that one answer leaves out, and ``MOST_ENTRY`` their maximum length in characters."""
MOST_ENTRY = 200
_JOINERS = "\u200c\u200d"
"""Invisible characters that some scripts and emoji need; they change no order of reading."""
_REMEDY = "Answer with the form of the question"


@dataclass(frozen=True, slots=True)
class AnswerFields:
    """The checked fields of an answer.

    :param comment: at most :data:`MOST_COMMENT` typed characters, in the form of :func:`readable`.
    :param leave_out: what is left out, as sent, each once and sorted: values of the form's choices, or typed ids.
    """

    comment: str = ""
    leave_out: tuple[str, ...] = ()


def comment_field() -> dict[str, dict[str, Any]]:
    """Return the form's field for a comment, as Airflow's ``Param`` takes it.

    It accepts null: a required field that is empty would disable every button of the question, Reject as well.
    """
    return {
        COMMENT: {
            "default": None,
            "type": ["string", "null"],
            "maxLength": MOST_COMMENT,
            "title": tr("Comment (optional; the reason, if you leave people out)"),
            "description": tr("It is signed with the answer and shown in the report. Do not write secrets."),
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
    unknown = sum(name not in (COMMENT, LEAVE_OUT) for name in given)
    if unknown:
        raise InputError("answer", f"has {unknown} unknown fields; known: {COMMENT}, {LEAVE_OUT}", _REMEDY)
    return AnswerFields(read_comment(given.get(COMMENT)), _entries(given.get(LEAVE_OUT)))


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


def read_comment(value: object) -> str:
    """Return a comment with every character readable; null is an empty one.

    :raises InputError: for a value of another type, and for one that is too long.
    """
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InputError("comment of the answer", f"is a {type(value).__name__}, not a text", _REMEDY)
    if len(value) > MOST_COMMENT:
        problem = f"has {len(value)} characters, more than {MOST_COMMENT}"
        raise InputError("comment of the answer", problem, "Write a shorter comment")
    return readable(value)


def _entries(value: object) -> tuple[str, ...]:
    """Return the entries of a list, or of a text with one entry on each line or between commas."""
    where = "what the answer leaves out"
    if isinstance(value, str):
        if len(value) > MOST_LEFT_OUT * MOST_ENTRY:
            raise InputError(where, f"has {len(value)} characters", _REMEDY)
        value = re.split(r"[\n,;]", value)
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise InputError(where, "is not a list of texts", _REMEDY)
    found = {one.strip() for one in value} - {""}
    if len(found) > MOST_LEFT_OUT:
        raise InputError(where, f"has {len(found)} entries, more than {MOST_LEFT_OUT}", "Reject, and plan less")
    if (long := max(map(len, found), default=0)) > MOST_ENTRY:
        raise InputError(where, f"has an entry of {long} characters, more than {MOST_ENTRY}", _REMEDY)
    return tuple(sorted(found))


def _hidden(one: str) -> bool:
    category = unicodedata.category(one)
    return category in ("Cc", "Cf", "Cs", "Cn", "Zl", "Zp") and one not in ("\n", "\t", *_JOINERS)
