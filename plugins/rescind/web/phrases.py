"""Translated text in templates: what a template may put around and into a phrase.

A phrase is trusted text of the package and is escaped all the same. What fills its placeholders is escaped and made
visible as everywhere on the page, unless it is markup of a template or of these functions.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from markupsafe import Markup, escape

from rescind.i18n import current, plural, tr
from rescind.web.text import visible


def phrase(message: str, /, **values: Any) -> Markup:
    """Return :func:`rescind.i18n.tr` as markup."""
    return _filled(tr(message), values) if values else _plain(current().language, message)


def phrases(one: str, many: str, number: int, /, **values: Any) -> Markup:
    """Return :func:`rescind.i18n.trn` as markup; ``{count}`` is grouped."""
    return _filled(plural(one, many, number), {"count": grouped(number), **values})


def grouped(number: int) -> str:
    """Return a number in groups of three digits."""
    return f"{number:,}".replace(",", "\u202f")


def bdi(value: Any) -> Markup:
    """Return foreign text that keeps its own direction."""
    return Markup("<bdi>{}</bdi>").format(visible(value))


def link(address: str, text: Any) -> Markup:
    """Return a link."""
    return Markup('<a href="{}">{}</a>').format(address, visible(text))


def code(text: Any) -> Markup:
    """Return a command or an id."""
    return Markup("<code>{}</code>").format(visible(text))


def bold(text: Any, tone: str = "") -> Markup:
    """Return bold text, in the color of a tone."""
    return Markup('<b class="{}">{}</b>' if tone else "<b>{1}</b>").format(tone, visible(text))


@lru_cache(maxsize=4096)
def _plain(language: str, message: str) -> Markup:
    """Return a phrase without placeholders; a page has hundreds of them. The language is that of the context."""
    return escape(tr(message))


def _filled(text: str, values: Mapping[str, Any]) -> Markup:
    # Every value is escaped before it is put in; formatting by Markup itself takes more than twice as long.
    return Markup(str(escape(text)).format_map({name: str(escape(visible(value))) for name, value in values.items()}))
