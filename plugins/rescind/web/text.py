"""Makes foreign text fit to be looked at: what cannot be seen is named, the rest stays as it is.

Escaping for HTML is the template engine's; this is about characters that escaping leaves alone: controls, bidi
overrides, zero-width and blank letters, with which one name passes for another or turns a line around.
"""

from __future__ import annotations

import unicodedata
from typing import Any

from markupsafe import Markup

_UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
# Letters by category, blank on the screen.
_BLANK = set("\u115f\u1160\u3164\uffa0\u2800\u034f")
MOST = 300


def visible(value: Any) -> Any:
    """Text with unseen characters as ``⟨U+202E⟩`` (controls as their picture, ``␊``), cut at 300 characters.

    Everything that is no text, and markup that a template made, passes unchanged.
    """
    if not isinstance(value, str) or isinstance(value, Markup):
        return "" if value is None else value
    if value.isascii() and value.isprintable() and len(value) <= MOST:
        return value
    shown = value if len(value) <= MOST else value[:MOST] + "…"
    return "".join(map(_seen, shown))


def _seen(character: str) -> str:
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "␡"
    if unicodedata.category(character) in _UNSEEN or character in _BLANK:
        return f"⟨U+{code:04X}⟩"
    return character
