"""Shapes of ids and of parts of a final request, which the rules of all services share."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from rescind.errors import BlastRadiusExceededError, InputError

DIGITS = re.compile(r"[1-9][0-9]{0,19}")
PAIR = re.compile(r"[1-9][0-9]{0,19}_[1-9][0-9]{0,19}")
TENANT = re.compile(r"-1|[1-9][0-9]{0,18}")
ID = re.compile(
    r"(?!0+\Z)(?!(?:all|any|every|everyone|everybody|everything|null|none|nil|nan|undefined|true|false)\Z)"
    r"[a-z0-9][a-z0-9_-]{0,63}",
    re.IGNORECASE | re.ASCII,
)
WORD = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_INK = r"[^\s\x00-\x1f\x7f-\x9f\u200b\u2028\u2029\ufeff]+"
_VISIBLE = re.compile(f"{_INK}(?: +{_INK})*")

_MAX_ENTRIES = 100

NONE: frozenset[str] = frozenset()

Parameters = Mapping[str, Any]
Rule = Callable[[str, Parameters], None]
"""Lets the parameters of one action pass, or raises."""


def refuse(action: str, why: str) -> None:
    """Refuse a request.

    :raises BlastRadiusExceededError: always.
    """
    raise BlastRadiusExceededError(f"{action}: {why}; it was not sent")


def only_names(action: str, given: Parameters, required: set[str], optional: frozenset[str] | set[str] = NONE) -> None:
    """Refuse parameters that are missing, and parameters beyond these."""
    if missing := sorted(required - set(given)):
        refuse(action, f"without {', '.join(missing)} it could mean more than one grant")
    if extra := sorted(set(given) - required - optional):
        refuse(action, f"carries {len(extra)} parameters that it must not have")


def id_text(action: str, name: str, value: Any, shape: re.Pattern[str]) -> str:
    """Return one id of this shape.

    :raises InputError: for everything else.
    """
    if not isinstance(value, str):
        raise InputError(f"{action}.{name}", f"is {type(value).__name__}, not text", "Give the id as listed")
    if not value.strip():
        refuse(action, f"{name} is empty")
    if not shape.fullmatch(value):
        raise InputError(f"{action}.{name}", "has separators, blanks or a wrong shape", "Give one id as listed")
    return value


def path_text(action: str, name: str, value: Any) -> str:
    """Return a name or path that people can see.

    :raises InputError: for everything else.
    """
    if not isinstance(value, str) or len(value) > 1024 or not _VISIBLE.fullmatch(value):
        raise InputError(f"{action}.{name}", "is empty, too long, or has line ends or controls", "Copy it as listed")
    return value


def filled_list(action: str, name: str, value: Any) -> list[Any]:
    """Return a list with at least one entry, and no more than the vendor takes."""
    if not isinstance(value, list) or not value:
        refuse(action, f"{name} is empty")
    if len(value) > _MAX_ENTRIES:
        refuse(action, f"{name} has {len(value)} entries, more than {_MAX_ENTRIES}")
    return list(value)


def whole_object(action: str, name: str, value: Any, keys: set[str]) -> dict[str, Any]:
    """Return an object with exactly these keys."""
    if not isinstance(value, dict) or set(value) != keys:
        refuse(action, f"an entry of {name} does not have exactly {', '.join(sorted(keys))}")
    return dict(value)


def one_entry(action: str, name: str, value: Any) -> Any:
    """Return the only entry of a list."""
    entries = filled_list(action, name, value)
    if len(entries) != 1:
        refuse(action, f"{name} has {len(entries)} entries in place of one")
    return entries[0]
