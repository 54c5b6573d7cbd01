"""A roster that an HTTP service hands out in pages: every page is checked against the others, or nothing is read.

Two shapes. SCIM 2.0 (RFC 7644, section 3.4.2.4): ``totalResults``, ``startIndex`` and ``Resources``; the next
page begins after the last user. Plain JSON: an object with the people, the total and a link to the next page,
or one bare list of people, which cannot have a second page because nothing would show that it is missing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from rescind.errors import InputError
from rescind.review.roster.presets import at
from rescind.review.roster.read import parse_json
from rescind.review.text import shape

MAX_PAGES = 10_000


@dataclass(frozen=True, slots=True)
class PageFields:
    """Names of the fields of a plain JSON page.

    :param as_of: field with the time of the export, or empty when the document does not tell it.
    :param total_optional: whether the service may leave the total out: then the roster ends with the last link.
    """

    items: str = "items"
    total: str = "total"
    next: str = "next"
    as_of: str = ""
    total_optional: bool = False


@dataclass(slots=True)
class RosterPages:
    """Collects the pages of one roster.

    :param source: where they come from, for error messages.
    :param next: after :meth:`add`, the link to the next page (plain JSON) or the index of its first user (SCIM);
        None when the roster is whole.
    :param as_of: the oldest time of export that a page told, or empty.
    """

    source: str
    format: Literal["json", "scim"]
    fields: PageFields = field(default_factory=PageFields)
    next: str | None = None
    as_of: list[str] = field(default_factory=list)
    _rows: list[Any] = field(default_factory=list)
    _total: int | None = None
    _pages: int = 0
    _beyond: bool = False

    def add(self, data: bytes, *, linked: str = "") -> None:
        """Take the next page.

        :param linked: the further page that the answer's headers name, or empty.
        :raises InputError: for anything that is not exactly the page that was due.
        """
        self._pages += 1
        where = f"{self.source}, page {self._pages}"
        if self._pages > MAX_PAGES:
            raise InputError(where, f"more than {MAX_PAGES} pages", "Ask for larger pages.")
        page = parse_json(data, where)
        bare = isinstance(page, list) and self.format == "json"
        if bare and self.fields.total_optional:
            if linked and not page:
                raise InputError(where, "an empty page that names a further one", "Correct the service's paging.")
            self._rows += page
            self.next = linked or None
            return
        if bare and self._pages == 1:
            if linked:
                problem = "a list without a total that has further pages, so it cannot be shown to be complete"
                raise InputError(where, problem, "Let the service answer with an object that contains the total.")
            self._rows, self.next = page, None
            return
        if not isinstance(page, Mapping):
            raise InputError(where, f"not an object but {shape(page)}", "Name the endpoint that lists all people.")
        if self.format == "scim":
            self._scim(page, where)
        else:
            self._plain(page, where, linked)

    def document(self) -> bytes:
        """Return the whole roster as one JSON text: a SCIM ``ListResponse``, or a list of people.

        :raises InputError: while pages are missing.
        """
        if self.next is not None or not self._pages:
            raise InputError(self.source, "not all pages were read", "Fetch the roster again.")
        whole: Any = self._rows
        if self.format == "scim":
            whole = {"totalResults": len(self._rows), "Resources": self._rows}
        return json.dumps(whole, ensure_ascii=False, separators=(",", ":")).encode()

    def _scim(self, page: Mapping[str, Any], where: str) -> None:
        if self._beyond and not page.get("Resources"):  # RFC 7644: a page without users may leave the list out
            self._take({**page, "Resources": []}, "Resources", "totalResults", where)
            self.next = None
            return
        users = self._take(page, "Resources", "totalResults", where)
        start = page.get("startIndex", 1)
        if start != len(self._rows) + 1 or isinstance(start, bool):
            given = start if isinstance(start, int) else shape(start)
            problem = f"the page starts at user {given}, not {len(self._rows) + 1}"
            raise InputError(
                f"{where}, startIndex", problem, "The service must respect startIndex; fetch the roster again."
            )
        self._append(users, where)
        # One page beyond the declared end: some services report the size of a page as their total.
        self._beyond = len(self._rows) == self._total
        self.next = str(len(self._rows) + 1)

    def _plain(self, page: Mapping[str, Any], where: str, linked: str) -> None:
        if self.fields.total_optional and at(page, self.fields.total) is None and self._total is None:
            self._unnumbered(page, where, linked)
            return
        people = self._take(page, self.fields.items, self.fields.total, where)
        if self.fields.as_of:
            as_of = page.get(self.fields.as_of)
            if not isinstance(as_of, str) or not as_of:
                problem = f"not the time of the export but {shape(as_of)}"
                raise InputError(f"{where}, {self.fields.as_of}", problem, "Send it as ISO 8601 text.")
            self.as_of.append(as_of)
        link = at(page, self.fields.next)
        if link is not None and not isinstance(link, str):
            raise InputError(f"{where}, {self.fields.next}", f"not a link but {shape(link)}", "Send text or null.")
        self._append(people, where)
        whole = len(self._rows) == self._total
        if whole == bool(link):
            problem = f"{len(self._rows)} of {self._total} people and " + (
                "a further page" if link else "no further page"
            )
            raise InputError(where, problem, "Fetch the roster again; an incomplete roster is not used.")
        self.next = link or None

    def _unnumbered(self, page: Mapping[str, Any], where: str, linked: str) -> None:
        """Take a page of a service that gives no total: the page without a link is the last one."""
        people, link = at(page, self.fields.items), at(page, self.fields.next)
        if people is None and self._pages > 1 and not link:
            people = []  # some services leave an empty list out
        if not isinstance(people, list):
            problem = f"not a list but {shape(people)}"
            raise InputError(f"{where}, {self.fields.items}", problem, "Name the endpoint that lists people.")
        if link is not None and not isinstance(link, str):
            raise InputError(f"{where}, {self.fields.next}", f"not a link but {shape(link)}", "Send text or null.")
        if linked and not link:
            problem = "the answer's headers name a further page, and the page itself does not"
            raise InputError(where, problem, "Correct the service's paging.")
        self._rows += people
        self.next = link or None

    def _take(self, page: Mapping[str, Any], items: str, total: str, where: str) -> list[Any]:
        """Return the people of a page, whose total must be the one of every other page."""
        rows, count = at(page, items), at(page, total)
        if count is None and self.fields.total_optional and self._total is not None:
            count = self._total  # a service may give the total on the first page only
        if not isinstance(rows, list):
            raise InputError(
                f"{where}, {items}", f"not a list but {shape(rows)}", "Name the endpoint that lists people."
            )
        if not isinstance(count, int) or isinstance(count, bool) or count < 0:
            problem = f"not the number of all people but {shape(count)}"
            raise InputError(
                f"{where}, {total}", problem, "Without the total the roster cannot be shown to be complete."
            )
        if self._total not in (None, count):
            problem = f"{count} people, and {self._total} on an earlier page"
            raise InputError(f"{where}, {total}", problem, "The roster changed while it was read; fetch it again.")
        self._total = count
        return rows

    def _append(self, rows: list[Any], where: str) -> None:
        if len(self._rows) + len(rows) > (self._total or 0):
            problem = f"{len(self._rows) + len(rows)} people where the service declares {self._total}"
            remedy = "Fetch the roster again. If it stays so, the service gives the size of a page as its total."
            raise InputError(where, problem, remedy)
        if not rows and len(self._rows) < (self._total or 0):
            problem = f"an empty page after {len(self._rows)} of {self._total} people"
            raise InputError(where, problem, "Fetch the roster again; an incomplete roster is not used.")
        self._rows += rows
