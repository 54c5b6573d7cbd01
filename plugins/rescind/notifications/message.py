"""A message for a chat, in the forms that chats and Airflow's own notifiers take."""

from __future__ import annotations

import html
import unicodedata
from dataclasses import dataclass

from rescind.i18n import mark

MOST_NAME = 60
MOST_TITLE = 120
"""Longest name of a person and longest title, in characters."""
OPEN = mark("Open in Airflow")
_IN_NAMES = frozenset(" .-_'@")


@dataclass(frozen=True, slots=True)
class Message:
    """A short message.

    :param title: one line.
    :param lines: sentences, one a line.
    :param link: absolute address for "open", or empty.
    :param open: the words of the link.
    """

    title: str
    lines: tuple[str, ...] = ()
    link: str = ""
    open: str = OPEN

    @property
    def text(self) -> str:
        """Plain text: title, lines, link."""
        return "\n".join(filter(None, [self.title, *self.lines, self.link]))

    @property
    def html(self) -> str:
        """A small HTML part, for mail."""
        parts = [
            f"<p><strong>{html.escape(self.title)}</strong></p>",
            *(f"<p>{html.escape(x)}</p>" for x in self.lines),
        ]
        if self.link:
            parts.append(f'<p><a href="{html.escape(self.link)}">{html.escape(self.open)}</a></p>')
        return "\n".join(parts)

    def markdown(self, heading: str, between: str, limit: int) -> str:
        """Return Markdown of at most ``limit`` bytes of UTF-8. The title and the link always stay; lines are left out.

        :param heading: what precedes the title, such as ``### ``.
        :param between: what separates two lines.
        """
        first = heading + shorten(self.title, MOST_TITLE)
        last = [f"[{self.open}]({self.link})"] if self.link else []
        space = limit - _size(between.join([first, *last]))
        return between.join([first, *fitting(self.lines, space, extra=_size(between)), *last])


def fitting(lines: tuple[str, ...], space: int, *, extra: int = 0) -> list[str]:
    """Return the first lines that fit; the last one says that some are left out.

    :param space: bytes of UTF-8.
    :param extra: bytes that each line needs in addition.
    """
    if sum(_size(line) + extra for line in lines) <= space:
        return list(lines)
    kept: list[str] = []
    space -= len("...") + extra
    for line in lines:
        space -= _size(line) + extra
        if space < 0:
            break
        kept.append(line)
    return [*kept, "..."]


def shorten(text: str, limit: int) -> str:
    """Return one line of at most ``limit`` characters."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 3] + "..."


def chat_name(name: str) -> str:
    """Return the name of a user for a chat: letters, digits, blanks and ``.-_'@``, cut at :data:`MOST_NAME` characters.

    Everything else could be a mark of a chat: a mention, a link, emphasis.
    """
    normal = unicodedata.normalize("NFC", name)
    kept = "".join(
        c if c.isalnum() or unicodedata.category(c) in ("Mn", "Mc") or c in _IN_NAMES else " " for c in normal
    )
    return shorten(kept, MOST_NAME) or "unnamed user"


def _size(text: str) -> int:
    return len(text.encode())
