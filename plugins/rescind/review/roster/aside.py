"""Rows of a roster that cannot be read: named, set aside, and what they forbid to conclude.

Anyone who may be meant by such a row keeps everything: its ids match nobody, an id that it may hold proves nobody
absent, and somebody who left and may be the person of the row is held.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

_ZEROS = re.compile(r"(?<![0-9])0+(?=[0-9])")
_SCIENTIFIC = re.compile(r"[+]?(\d+)(?:[.,](\d+))?[eE][+]?(\d{1,2})")


@dataclass(frozen=True, slots=True)
class SetAside:
    """One row that takes no part in any decision.

    :param line: line of the file, or number of the object.
    :param reason: column and problem, without the value.
    :param cells: every cell of the row as :func:`folded` gives it.
    :param ids: the (id space, id) pairs of the row that can be read, ``person_id`` included.
    :param unread: the id spaces in which the row may have an id that cannot be read.
    :param dated: whether the row may have a leaving date.
    :param mapped: whether it is a row of the id map, which may be one more for a person who is listed.
    """

    line: int
    reason: str
    cells: frozenset[str]
    ids: frozenset[tuple[str, str]]
    unread: frozenset[str]
    dated: bool = True
    mapped: bool = False


class SetAsideRows:
    """All rows of a roster that were set aside."""

    def __init__(self, rows: Iterable[SetAside]) -> None:
        self.rows = tuple(rows)
        self._ids = frozenset((space, folded(value)) for row in self.rows for space, value in row.ids)
        self._unread = frozenset(space for row in self.rows for space in row.unread)
        self._cells = {cell: row for row in reversed(self.rows) for cell in row.cells}
        self._named = {(space, cell): row for row in reversed(self.rows) for space in row.unread for cell in row.cells}
        self._named |= {(space, folded(value)): row for row in reversed(self.rows) for space, value in row.ids}
        self._rounded = [
            (number, row) for row in self.rows for cell in row.cells if (number := _rounded(cell)) is not None
        ]

    def has(self, space: str, value: str) -> bool:
        """Return whether a row that was set aside has this id, in whatever spelling."""
        return bool(self._ids) and (space, folded(value)) in self._ids

    def may_have(self, space: str) -> bool:
        """Return whether a row may have an id of this space that cannot be read."""
        return space in self._unread

    def row_of(self, space: str, value: str) -> SetAside | None:
        """Return a row that has this id, in whatever spelling, or may have it; None when there is none."""
        text = folded(value)
        if (row := self._named.get((space, text))) is not None:
            return row
        rounded = ((number, row) for number, row in self._rounded if space in row.unread and text.isdigit())
        return next((row for (digits, length), row in rounded if len(text) == length and _starts(text, digits)), None)

    def row_with(self, texts: Iterable[str]) -> SetAside | None:
        """Return a row that holds one of the texts, in this or a damaged spelling; None when there is none."""
        for text in filter(None, map(folded, texts)):
            if text in self._cells:
                return self._cells[text]
            if text.isdigit():
                for (digits, length), row in self._rounded:
                    if len(text) == length and _starts(text, digits):
                        return row
        return None


def folded(text: str) -> str:
    """Return the text without what spreadsheets and people may change: case, zeros in front, width, blanks, ``.0``."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
        text = "".join(c for c in text if unicodedata.category(c) not in ("Cf", "Cc"))
    text = "".join(text.split()).strip("'=\"").casefold()
    whole, point, rest = text.partition(".")
    if point and whole.isdigit() and not rest.strip("0"):
        text = whole
    return _ZEROS.sub("", text)


def _rounded(cell: str) -> tuple[str, int] | None:
    """Return leading digits and length of a number in scientific notation; None for another text."""
    found = _SCIENTIFIC.fullmatch(cell)
    if found is None:
        return None
    digits = (found[1] + (found[2] or "")).lstrip("0")
    return (digits.rstrip("0") or "0", len(found[1].lstrip("0") or "0") + int(found[3])) if digits else None


def _starts(text: str, digits: str) -> bool:
    """Return whether a number begins with the digits, or is rounded to them."""
    kept = len(digits)
    return text.startswith(digits) or str(int(text[:kept] or "0") + 1) == digits
