"""Exact values and, only where a file says so, patterns with ``*`` and ``?``."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from rescind.errors import InputError
from rescind.model import GrantKey
from rescind.review.text import check_text

MIN_LITERAL = 3
"""A pattern needs this many characters that are not wildcards: ``*`` alone would match everything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourcePattern:
    """Resources that one line of a file names; fields that are None fit everything."""

    system: str
    account: str | None
    type: str | None
    value: str
    glob: bool

    def covers(self, key: GrantKey) -> bool:
        """Return whether the grant is on one of these resources."""
        return (
            self.system == key.system
            and self.account in (None, key.account)
            and self.type in (None, key.resource_type)
            and matches(self.value, key.resource_id, glob=self.glob)
        )


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
    """Return whether the value is the text, or fits the pattern when ``glob``. Case counts.

    Each part between two ``*`` is searched once, from left to right: the first place where it fits is as good as any
    later one. So the effort grows with the value and the pattern, never with the ways to divide the value.
    """
    if not glob:
        return pattern == value
    parts = _parts(pattern)
    if len(parts) == 1:
        return len(value) == len(pattern) and _fits(pattern, value, 0)
    first, *middle, last = parts
    end = len(value) - len(last)
    if end < len(first) or not _fits(first, value, 0) or not _fits(last, value, end):
        return False
    at = len(first)
    for part in middle:
        at = _find(part, value, at, end)
        if at < 0:
            return False
        at += len(part)
    return True


@lru_cache(maxsize=10_000)
def _parts(pattern: str) -> tuple[str, ...]:
    """Return the parts between the stars. Stars in a row are one star."""
    first, *rest = pattern.split("*")
    if not rest:
        return (first,)
    return (first, *(part for part in rest[:-1] if part), rest[-1])


def _fits(part: str, value: str, at: int) -> bool:
    """Return whether the part stands at this place; ``?`` fits every character."""
    if "?" not in part:
        return value.startswith(part, at)
    return all(wanted in ("?", found) for wanted, found in zip(part, value[at : at + len(part)], strict=False))


def _find(part: str, value: str, start: int, end: int) -> int:
    """Return the first place at or after ``start`` where the part ends at or before ``end``, or -1."""
    if "?" not in part:
        return value.find(part, start, end)
    places = range(start, end - len(part) + 1)
    return next((at for at in places if _fits(part, value, at)), -1)
