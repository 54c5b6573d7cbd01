"""Make foreign text safe to show: control and invisible characters are shown as their code point."""

from __future__ import annotations

import re

# Controls, and the marks that change the direction of text or have no width.
_INVISIBLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff\ud800-\udfff]"
)


def shown(value: str) -> str:
    """Return the text with every invisible character as ``<U+202E>``."""
    return _INVISIBLE.sub(lambda match: f"<U+{ord(match[0]):04X}>", value)
