"""Exact values and, only where a file says so, patterns with ``*`` and ``?``."""

from __future__ import annotations

import re
from functools import lru_cache

from rescind.errors import InputError
from rescind.review.text import check_text

MIN_LITERAL = 3
"""A pattern needs this many characters that are not wildcards: ``*`` alone would match everything."""


def check_pattern(pattern: str, *, where: str, glob: bool) -> str:
    """Return the pattern, checked.

    :param glob: whether ``*`` and ``?`` are wildcards. Without it a value is exact, and a wildcard in it is refused.
    :raises InputError: empty, a wildcard without ``glob``, or too few literal characters.
    """
    text = check_text(pattern, where=where)
    wild = "*" in text or "?" in text
    if not text:
        raise InputError(where, "an empty text", "Write the value or leave the field out.")
    if wild and not glob:
        raise InputError(where, "a wildcard (* or ?) in an exact value", "Write `glob: true` if you mean a pattern.")
    if wild and len(text.replace("*", "").replace("?", "")) < MIN_LITERAL:
        problem = f"the pattern has fewer than {MIN_LITERAL} fixed characters and matches nearly everything"
        raise InputError(where, problem, "Write a longer part of the value.")
    return text


def matches(pattern: str, value: str, *, glob: bool) -> bool:
    """Return whether the value is the text, or fits the pattern when ``glob``. Case counts."""
    return _compiled(pattern).fullmatch(value) is not None if glob else pattern == value


@lru_cache(maxsize=10_000)
def _compiled(pattern: str) -> re.Pattern[str]:
    parts = (".*" if part == "*" else "." if part == "?" else re.escape(part) for part in re.split(r"([*?])", pattern))
    return re.compile("".join(parts), re.DOTALL)
