"""Make text of vendors and people harmless in Markdown."""

from __future__ import annotations

import re
import unicodedata

_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~$&:])")
_LINKS = re.compile(r"@\w|://|\bwww\.|\bmailto:", re.IGNORECASE)
"""Text that Markdown renderers convert to links, even when escaped. In a code span they do not."""


def plain(text: str, limit: int = 80) -> str:
    """Return text from a vendor or a person in a form that is harmless in Markdown.

    One line, no control or bidi characters, every mark escaped, cut at ``limit`` characters. Text that a reader would
    turn into a link becomes a code span.
    """
    shown = "".join(" " if unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp") else c for c in text)
    shown = shown if len(shown) <= limit else shown[: limit - 1] + "…"
    return _code(shown) if _LINKS.search(shown) else _MARKDOWN.sub(r"\\\1", shown)


def _code(text: str) -> str:
    """Return a code span. A bar would end a table cell, so it is replaced with a broken bar."""
    fence = "`" * (max(map(len, re.findall("`+", text)), default=0) + 1)
    edge = " " if text[0] in "` " or text[-1] in "` " else ""
    return f"{fence}{edge}{text.replace('|', '¦')}{edge}{fence}"
