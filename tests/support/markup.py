"""Reads a page as a browser would: its links, its text, and everything in it that could act."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

_ADDRESSES = {"href", "src", "action", "data-refresh", "formaction", "poster", "data", "xlink:href", "srcset"}
_SILENT = {"script", "style"}


@dataclass
class Markup(HTMLParser):
    """A parsed page.

    :param addresses: (tag, address) of everything that names another resource.
    :param acting: inline scripts and styles, event handlers, style attributes and the like.
    """

    addresses: list[tuple[str, str]] = field(default_factory=list)
    acting: list[str] = field(default_factory=list)
    text: str = ""
    tags: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._inside = ""

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self._inside = tag if tag in _SILENT else self._inside
        for name, value in attributes:
            if name in _ADDRESSES:
                self.addresses.append((tag, value or ""))
            if name.startswith("on") or name in ("style", "srcdoc") or (name, tag) == ("http-equiv", "meta"):
                self.acting.append(f"<{tag} {name}>")

    def handle_endtag(self, tag: str) -> None:
        self._inside = "" if tag == self._inside else self._inside

    def handle_data(self, data: str) -> None:
        if self._inside and data.strip():
            self.acting.append(f"<{self._inside}>{data.strip()[:40]}")
        elif not self._inside:
            self.text += data

    @classmethod
    def of(cls, html: str) -> Markup:
        """The page."""
        page = cls()
        page.feed(html)
        page.close()
        return page
