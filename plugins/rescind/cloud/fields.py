"""Field types of the typed messages, for requests and for answers.

Ids are text everywhere. An id that arrives as a JSON number becomes its exact decimal text. A float in place of an id
or a count is an error and is never rounded, because a float cannot hold 19 digits.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

_DECIMAL = re.compile(r"-?[0-9]{1,40}")
_UNSEEN = re.compile(r"(?! )[\s\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff\u200b]|^ | $")


@dataclass(frozen=True, slots=True)
class WireInt:
    """Mark a text field that is sent as a JSON integer."""


def exact_text(value: Any) -> Any:
    """Turn a JSON integer into its exact decimal text; leave text alone.

    :raises ValueError: for booleans and floats, which cannot be ids.
    """
    if isinstance(value, bool | float):
        raise ValueError("an id must be text or an integer")
    return str(value) if isinstance(value, int) else value


def blank_as_none(value: Any) -> Any:
    """Turn empty text into None; leave everything else alone."""
    return None if value == "" else value


def exact_count(value: Any) -> Any:
    """Read a count: a JSON integer, or the same as text (old samples have ``"2"``).

    :raises ValueError: for booleans, floats, signs, blanks and anything else.
    """
    if isinstance(value, bool | float):
        raise ValueError("a count must be an integer")
    if isinstance(value, str):
        if not re.fullmatch(r"[0-9]{1,18}", value):
            raise ValueError("a count must be decimal digits")
        return int(value)
    return value


def exact_number(value: Any) -> Any:
    """Read an integer that may be negative (states, codes), as number or decimal text."""
    if isinstance(value, bool | float):
        raise ValueError("must be an integer")
    if isinstance(value, str):
        if not _DECIMAL.fullmatch(value):
            raise ValueError("must be an integer")
        return int(value)
    return value


def exact_flag(value: Any) -> Any:
    """Read a flag: true, false, or exactly the texts ``true`` and ``false``. ``"false"`` is not truthy.

    :raises ValueError: for everything else (0, 1, "FALSE", "0", ...).
    """
    if isinstance(value, bool):
        return value
    if value == "true":
        return True
    if value == "false":
        return False
    raise ValueError("a flag must be true or false")


def _visible(value: str) -> str:
    if _UNSEEN.search(value):
        raise ValueError("must hold no line ends or control characters, and no blanks at its ends")
    return value


_EVERYTHING = frozenset(
    {"all", "any", "every", "everyone", "everybody", "everything", "null", "none", "nil", "nan", "undefined", "true",
     "false"}
)  # fmt: skip


_NUMERIC_ID = re.compile(r"[1-9][0-9]{0,19}")
_NAMED_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
UNNAMEABLE = "the revoke call cannot name one of its ids"


def is_numeric_id(value: str) -> bool:
    """Return whether a write can carry this decimal id. ``0`` is refused: it may be read as none, and none as all."""
    return _NUMERIC_ID.fullmatch(value) is not None


def is_named_id(value: str) -> bool:
    """Return whether a write can carry this id. ``0``, ``-1`` (a root) and words such as ``all`` are refused."""
    one = value.casefold() not in _EVERYTHING and value.strip("0") != ""
    return one and _NAMED_ID.fullmatch(value) is not None


def _numeric_id(value: str) -> str:
    if not is_numeric_id(value):
        raise ValueError("must be a decimal id of at most 20 digits, the first one not 0")
    return value


def _named_id(value: str) -> str:
    if not is_named_id(value):
        raise ValueError("must be the id of one thing: letters, digits, - and _; not 0, -1, or a word such as all")
    return value


def means_all(word: str) -> bool:
    """Return whether a word of a vendor's vocabulary means everything: ``ALL``, ``all_users``, ``Any`` ..."""
    return word.casefold().partition("_")[0] in ("all", "any", "every")


def _certain(value: bool) -> bool:
    if not value:
        raise ValueError("must be true")
    return value


# --- what may be sent -------------------------------------------------------------------------------

Digits = Annotated[str, StringConstraints(strict=True, pattern=r"^[0-9]{1,20}$")]
"""A decimal id, sent as text (WeData projects, users, data sources in writes)."""

DigitsAsInt = Annotated[str, StringConstraints(strict=True, pattern=r"^[0-9]{1,19}$"), WireInt()]
"""A decimal id that is sent as a JSON integer; text in our code."""

NumericId = Annotated[str, StringConstraints(strict=True), AfterValidator(_numeric_id)]
"""A decimal id of a write; see :func:`is_numeric_id`."""

NamedId = Annotated[str, StringConstraints(strict=True), AfterValidator(_named_id)]
"""An id of a write that may hold letters; see :func:`is_named_id`."""

Yes = Annotated[bool, Field(strict=True), AfterValidator(_certain)]
"""True, spelled out: a wide effect that must be asked for by name."""

Token = Annotated[str, StringConstraints(strict=True, pattern=r"^[A-Za-z0-9_-]{1,64}$")]
"""An id of letters, digits, ``-`` and ``_``; it cannot contain a separator or a blank."""

SubjectValue = Annotated[str, StringConstraints(strict=True, pattern=r"^[A-Za-z0-9.]{1,64}$")]
"""A WeData subject: a user, project or platform role id, ``<ProjectId>.<RoleId>``, or ``AllAccountUsers``."""

Word = Annotated[str, StringConstraints(strict=True, pattern=r"^[A-Za-z][A-Za-z0-9_]{0,63}$")]
"""A name from the vendor's fixed list (privilege, resource type), spelled as the vendor spells it."""

NameText = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=1024), AfterValidator(_visible)]
"""A name or a dotted path of names (any script), copied byte for byte from a listing."""

SearchText = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=256)]
"""Free text of a read's filter."""

DateText = Annotated[str, StringConstraints(strict=True, pattern=r"^\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}$")]
"""``yyyy-MM-dd HH:mm:ss`` without zone, the vendor's own form."""

# --- how answers are read ---------------------------------------------------------------------------

IdText = Annotated[str, BeforeValidator(exact_text), StringConstraints(min_length=1, max_length=256)]
"""An id of an answer: text, or an integer made text."""

OptionalId = Annotated[IdText | None, BeforeValidator(blank_as_none)]
"""An id that a row may lack: null, absent, or empty text where the kind of object has none."""

Count = Annotated[int, BeforeValidator(exact_count), Field(ge=0)]
"""A count of an answer: an integer, or digits as text."""

Number = Annotated[int, BeforeValidator(exact_number)]
"""An integer code of an answer, as number or text."""

Flag = Annotated[bool, BeforeValidator(exact_flag)]
"""A flag of an answer: boolean, or ``"true"`` / ``"false"``."""

Text = Annotated[str, BeforeValidator(exact_text), StringConstraints(max_length=65536)]
"""Plain text of an answer (names, dates as the vendor wrote them)."""
