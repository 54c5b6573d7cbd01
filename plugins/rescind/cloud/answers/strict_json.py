"""JSON from outside, read strictly and within bounds.

Refused: anything but UTF-8 (a byte order mark counts as something else), halves of surrogate pairs, NaN and
infinities, duplicate keys, numbers of more than 40 digits, nesting deeper than :data:`MAX_DEPTH`, and more entries
than allowed. Integers
stay exact. The checks on depth and entries run on the bytes, before anything is built from them.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

MAX_DEPTH = 64
MAX_DIGITS = 40
MAX_ENTRIES = 2_000_000

# An unterminated string runs to the end, so that hostile input cannot make this quadratic.
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)', re.DOTALL)
_NOT_BRACKET = re.compile(rb"[^\[\]{}]+")
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


class JsonError(ValueError):
    """The text is not acceptable JSON; the message never quotes it."""


class CutJsonError(JsonError):
    """The text ends before its first bracket closes: a part of the answer is missing."""


def loads(body: bytes, *, max_entries: int = MAX_ENTRIES) -> Any:
    """Parse a body.

    :param max_entries: upper bound for values, counted by commas and opening brackets.
    :raises CutJsonError: when the text ends too early.
    :raises JsonError: see the module text.
    """
    if body.count(b",") + body.count(b"[") + body.count(b"{") > max_entries:
        raise JsonError(f"more than {max_entries} entries")
    try:
        return _parsed(body)
    except JsonError as error:
        problem = CutJsonError("not complete: the text ends too early") if _is_cut(body) else error
    raise problem.with_traceback(None)


def _parsed(body: bytes) -> Any:
    _check_depth(body)
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise JsonError("not UTF-8") from None
    try:
        value = json.loads(
            text, object_pairs_hook=_object, parse_int=_integer, parse_float=_float, parse_constant=_constant
        )
    except JsonError:
        raise
    except (ValueError, RecursionError):
        raise JsonError("not JSON") from None
    if _SURROGATE.search(body):
        _check_surrogates(value)
    return value


def loads_text(text: str) -> Any:
    """Parse JSON that arrived as text inside another JSON value; see :func:`loads`."""
    try:
        return loads(text.encode("utf-8"))
    except UnicodeEncodeError:
        raise JsonError("not UTF-8") from None


def _check_surrogates(value: Any) -> None:
    """An escaped half of a pair passes the parser, but no such text can be stored, sent or shown."""
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise JsonError("half of a surrogate pair") from None


def _check_depth(body: bytes) -> None:
    """Refuse text that is nested too deep, or whose brackets do not match."""
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH and _unmatched(body):
        raise JsonError(f"nested deeper than {MAX_DEPTH}, or brackets do not match")


def _is_cut(body: bytes) -> bool:
    """Whether nothing is wrong with the brackets but that some are not closed yet."""
    left = _unmatched(body)
    return 0 < len(left) <= MAX_DEPTH and not left.strip(b"[{")


def _unmatched(body: bytes) -> bytes:
    """The brackets without a partner, or inside too many others; each round takes the innermost pairs away."""
    brackets = _NOT_BRACKET.sub(b"", _STRING.sub(b"", body))
    for _ in range(MAX_DEPTH):
        if not brackets:
            break
        brackets = brackets.replace(b"[]", b"").replace(b"{}", b"")
    return brackets


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) != len(pairs):
        raise JsonError("a key appears twice in one object")
    return out


def _integer(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise JsonError(f"a number of more than {MAX_DIGITS} digits")
    return int(digits)


def _float(digits: str) -> float:
    value = float(digits) if len(digits) <= 10 * MAX_DIGITS else math.inf
    if not math.isfinite(value):
        raise JsonError("a number outside the range")
    return value


def _constant(name: str) -> Any:
    raise JsonError(f"{name} is not JSON")
