"""The language and the time zone of text for people: gettext catalogs, and local time beside UTC.

English in the source is the message id. Text is English and times are UTC unless a caller opens :func:`reading`, so
what is stored, compared, hashed or signed is never translated by accident: only a page, a question, a report, a note
and a message open it, and only around the text that they show.
"""

from __future__ import annotations

import gettext
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

LANGUAGES: Mapping[str, str] = {"en": "English", "zh-CN": "简体中文", "ja": "日本語"}
"""Language tags (BCP 47), with the name of each language in itself."""
SOURCE = "en"
DOMAIN = "rescind"
CATALOGS = Path(__file__).parent / "locale"
_ZONE = re.compile(r"[A-Za-z0-9_+-]{1,30}(/[A-Za-z0-9_+-]{1,30}){0,2}")
# Written with the characters of zh-CN, as far as the tag says.
_SIMPLIFIED = {"zh", "zh-cn", "zh-hans", "zh-sg", "zh-my", "zh-hans-cn", "zh-hans-sg"}


@dataclass(frozen=True, slots=True)
class Reader:
    """How somebody reads: a tag of :data:`LANGUAGES`, and an IANA time zone; without one, times are in UTC only."""

    language: str = SOURCE
    zone: str = ""


_NOBODY = Reader()
_READER: ContextVar[Reader] = ContextVar("rescind_reader", default=_NOBODY)


@contextmanager
def reading(language: str, zone: str = "") -> Iterator[None]:
    """Write text in a language and times also in a time zone, in this context only.

    :param language: a tag of :data:`LANGUAGES`; any other one means English.
    """
    token = _READER.set(Reader(language if language in LANGUAGES else SOURCE, zone))
    try:
        yield
    finally:
        _READER.reset(token)


def current() -> Reader:
    """Return how the text of this context is written."""
    return _READER.get()


def tr(message: str, /, **values: Any) -> str:
    """Return a message in the language of this context.

    :param values: for the placeholders, such as ``{name}``.
    """
    # The empty message is the header of a catalog.
    return _filled(_catalog(_READER.get().language).gettext(message), values) if message else ""


def trn(one: str, many: str, number: int, /, **values: Any) -> str:
    """Return a message that depends on a number; ``{count}`` is the number unless ``values`` has it."""
    return _filled(plural(one, many, number), {"count": number, **values})


def plural(one: str, many: str, number: int) -> str:
    """Return what :func:`trn` does, with its placeholders as they are."""
    return _catalog(_READER.get().language).ngettext(one, many, number)


def mark(message: str) -> str:
    """Return the message unchanged; it tells the catalogs that :func:`tr` will get it from a variable."""
    return message


def _filled(text: str, values: Mapping[str, Any]) -> str:
    return text.format_map(values) if values else text


@lru_cache
def _catalog(language: str) -> gettext.NullTranslations:
    if language == SOURCE:
        return gettext.NullTranslations()
    with (CATALOGS / language.replace("-", "_") / "LC_MESSAGES" / f"{DOMAIN}.mo").open("rb") as file:
        return gettext.GNUTranslations(file)


def known_language(tag: str) -> str:
    """Return the tag of :data:`LANGUAGES` for a tag such as ``ja-JP`` or ``zh_Hans``, or an empty text."""
    small = tag.strip().replace("_", "-").lower()
    if small in _SIMPLIFIED:
        return "zh-CN"
    base = small.partition("-")[0]
    return base if base in LANGUAGES else ""


def accepted_language(header: str) -> str:
    """Return the first known language of an ``Accept-Language`` header by its weights, or an empty text."""
    wanted = []
    for place, part in enumerate(header[:500].split(",")):
        tag, _, weight = part.partition(";")
        found = re.fullmatch(r"\s*q=([01](?:\.\d{1,3})?)\s*", weight) if weight else None
        rank = float(found[1]) if found else 0.0 if weight else 1.0
        if rank and (language := known_language(tag)):
            wanted.append((-rank, place, language))
    return min(wanted)[2] if wanted else ""


def known_zone(name: str) -> str:
    """Return the name of a time zone that this machine knows, or an empty text."""
    return name if _zone(name) is not None else ""


@lru_cache(maxsize=100)
def _zone(name: str) -> ZoneInfo | None:
    if not _ZONE.fullmatch(name):
        return None
    try:
        return ZoneInfo(name)
    except (ValueError, LookupError, OSError):
        return None


def moment(value: datetime | None) -> str:
    """Return a time to the minute: ``2026-11-30 17:04 UTC``, with the reader's time zone ``… (12-01 01:04 UTC+8)``."""
    if value is None:
        return ""
    here = value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    local = local_time(here)
    return f"{here:%Y-%m-%d %H:%M} UTC" + (f" ({local})" if local else "")


def local_time(value: datetime) -> str:
    """Return a time in the reader's time zone, ``01:04 UTC+8``; empty where that is UTC.

    The day stands before it where it is another one than in UTC.
    """
    zone = _zone(_READER.get().zone)
    there = value.astimezone(zone) if zone else value.astimezone(UTC)
    offset = there.utcoffset()
    if not offset:
        return ""
    minutes = round(offset.total_seconds() / 60)
    hours, rest = divmod(abs(minutes), 60)
    day = "" if there.date() == value.astimezone(UTC).date() else f"{there:%m-%d} "
    return f"{day}{there:%H:%M} UTC{'+' if minutes > 0 else '-'}{hours}{f':{rest:02d}' if rest else ''}"
