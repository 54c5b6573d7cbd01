"""Make foreign text safe to show: invisible characters are shown as their code point.

The template engine escapes HTML. This module handles characters that escaping leaves alone: control characters, bidi
overrides, zero-width and blank letters. They make one name look like another, or reverse a line.
"""

from __future__ import annotations

import unicodedata
from typing import Any

from markupsafe import Markup, escape

_UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
# Letters and marks by category that show nothing on the screen.
_BLANK = {*map(chr, (0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0, *range(0xFE00, 0xFE10)))}
MOST = 300


def visible(value: Any) -> Any:
    """Return text with each invisible character as ``<U+202E>``, cut at 300 characters.

    Values other than text, and markup of a template, are returned unchanged.
    """
    if not isinstance(value, str) or isinstance(value, Markup):
        return "" if value is None else value
    if value.isascii() and value.isprintable() and len(value) <= MOST:
        return value
    shown = value if len(value) <= MOST else value[:MOST] + "…"
    return "".join(map(_seen, shown))


def whole(text: str) -> Markup:
    """Return a sentence or a comment as :func:`visible` does, but not cut: its writer or the ledger limits it.

    Line feeds and tabs stay: pages show this text with its own line ends.
    """
    return escape("".join(one if one in "\n\t" else _seen(one) for one in text))


def _seen(character: str) -> str:
    unseen = character in _BLANK or unicodedata.category(character) in _UNSEEN
    return f"<U+{ord(character):04X}>" if unseen else character
