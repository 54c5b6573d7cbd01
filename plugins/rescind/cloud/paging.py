"""Read listings completely, or fail.

Only a complete listing can prove absence. So every page is checked: the rows, counted by their stable keys, must match
the total that the vendor declares. A repeated row (but see :meth:`~rescind.cloud.base.ListRequest.may_repeat`), a
changed total, a null page, an early end or no end makes the listing incomplete. The page numbers, page sizes and page
counts in the answers are ignored: they are wrong in the vendors' own samples.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Generic, Protocol

from rescind.cloud.base import Answer, ListRequest, Page, ReadRequest, ReplyT, RowT
from rescind.errors import ListingIncompleteError
from rescind.model import digest

ROWS, OTHER = "rows", "other"
"""What a total was seen to count."""


class Reader(Protocol):
    """What can send a read; a :class:`rescind.cloud.client.CloudClient`."""

    async def read(self, request: ReadRequest[ReplyT]) -> Answer[ReplyT]:
        """Send a read."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Limits of one listing. A listing that exceeds them fails.

    :param pages: most pages.
    :param rows: most rows.
    :param seconds: longest time for the whole listing.
    :param page_size: rows asked for per page; default: what suits the action.
    """

    pages: int = 5000
    rows: int = 2_000_000
    seconds: float = 900.0
    page_size: int | None = None


@dataclass(frozen=True, slots=True)
class ListingRecord:
    """What the population certificate holds of a complete listing.

    :param parameters_digest: SHA-256 of the request's parameters.
    :param declared: the total that the vendor declared, or None where the action declares none.
    :param counted: distinct rows.
    :param duplicates: rows that were repeated after the declared total, or where rows may repeat; always harmless.
    :param page_digests: SHA-256 of each page's rows, in order.
    :param null_as_empty: True when null beside a declared total of 0 was read as empty.
    :param unit: what the declared total was seen to count, where the vendor does not say: :data:`ROWS` or
        :data:`OTHER`; empty where both are the same number, or the unit is known.
    :param confirmed: whether a second reading was needed, and the same.
    """

    action: str
    parameters_digest: str
    pages: int
    declared: int | None
    counted: int
    duplicates: int
    page_digests: tuple[str, ...]
    request_ids: tuple[str, ...]
    null_as_empty: bool
    restarts: int
    started_at: datetime
    finished_at: datetime
    unit: str = ""
    confirmed: bool = False

    def as_dict(self) -> dict[str, Any]:
        """The record as JSON values."""
        out = {name: getattr(self, name) for name in self.__slots__}
        for name in ("started_at", "finished_at"):
            out[name] = out[name].isoformat()
        for name in ("page_digests", "request_ids"):
            out[name] = list(out[name])
        return out


@dataclass(frozen=True, slots=True)
class Listing(Generic[RowT]):
    """A complete listing."""

    rows: tuple[RowT, ...]
    record: ListingRecord


@dataclass
class _Walk(Generic[RowT]):
    """The state of one pass over the pages."""

    name: str
    rows: dict[tuple[str, ...], RowT] = field(default_factory=dict)
    more: Counter[tuple[str, ...]] = field(default_factory=Counter)
    digests: list[str] = field(default_factory=list)
    request_ids: list[str] = field(default_factory=list)
    declared: int | None = None
    duplicates: int = 0
    empty_pages: int = 0
    null_as_empty: bool = False
    unit: str = ""
    repeated: bool = False

    def give_up(self, why: str, *, shifted: bool = False) -> ListingIncompleteError:
        return ListingIncompleteError(self.name, why, shifted=shifted)

    def confirm(self, again: _Walk[RowT]) -> None:
        """Take a second reading that has to be the same."""
        if (again.rows, again.more, again.declared) != (self.rows, self.more, self.declared):
            what = "rows came twice" if self.repeated else "the unit of its total is not known"
            raise self.give_up(f"{what}, and two readings differ", shifted=True)
        self.digests += again.digests
        self.request_ids += again.request_ids

    def take_total(self, total: int | None, needed: bool) -> None:
        """The declared total must be there when it belongs there, and never change."""
        if total is None and needed:
            raise self.give_up("no total was declared, so nothing proves that all rows came")
        if self.digests and total != self.declared:
            raise self.give_up(f"the declared total went from {self.declared} to {total} between pages", shifted=True)
        self.declared = total

    def take_rows(self, page: Sequence[RowT], beyond: bool) -> int:
        """Add a page; returns how many rows are new.

        :param beyond: True when the declared total was reached before this page.
        """
        before = len(self.rows)
        repeats = 0
        for row in page:
            key = row.key()
            if key in self.rows:
                repeats += 1
                self.more[key] += 1
            else:
                self.rows[key] = row
        new = len(self.rows) - before
        if new and beyond:
            raise self.give_up(f"{self.declared} rows declared, more than that came", shifted=True)
        if repeats and not (beyond or self.repeated):
            why = f"{repeats} rows came twice (after {before} rows): the list shifted or the pages repeat"
            raise self.give_up(why, shifted=True)
        self.duplicates += repeats
        self.digests.append(digest([row.model_dump(mode="json") for row in page]))
        return new


async def collect(
    client: Reader,
    request: ListRequest[RowT],
    *,
    bounds: Bounds | None = None,
    restarts: int = 0,
    other_unit: bool = False,
    clock: Callable[[], float] = time.monotonic,
) -> Listing[RowT]:
    """Read a listing completely.

    :param restarts: how many times to begin again when the listing turns out incomplete (it may have shifted).
    :param other_unit: accept a total that counts :meth:`~rescind.cloud.base.ListRequest.other_total` exactly, when a
        second reading is the same.
    :raises ListingIncompleteError: says which listing and what is missing.
    :raises CloudError: when a page could not be read at all.
    """
    limits = bounds or Bounds()
    ends_at = clock() + limits.seconds
    started = datetime.now(UTC)
    for attempt in range(restarts + 1):
        walk: _Walk[RowT] = _Walk(listing_name(request))
        try:
            await _run(client, request, walk, limits, lambda: clock() > ends_at, other_unit)
            if walk.unit == OTHER or walk.repeated:
                again: _Walk[RowT] = _Walk(walk.name)
                await _run(client, request, again, limits, lambda: clock() > ends_at, other_unit)
                walk.confirm(again)
        except ListingIncompleteError:
            if attempt == restarts:
                raise
            continue
        return Listing(tuple(walk.rows.values()), _record(request, walk, attempt, started))
    raise AssertionError("unreachable")  # pragma: no cover


async def _run(
    client: Reader,
    request: ListRequest[RowT],
    walk: _Walk[RowT],
    limits: Bounds,
    late: Callable[[], bool],
    other_unit: bool,
) -> None:
    size = limits.page_size or request.page_size
    number = 0
    while True:
        number += 1
        if number > limits.pages:
            raise walk.give_up(f"no end after {limits.pages} pages and {len(walk.rows)} rows")
        if late():
            raise walk.give_up(f"no end after {limits.seconds:g} s, {number - 1} pages and {len(walk.rows)} rows")
        answer = await client.read(request.at_page(number, size))
        walk.request_ids.append(answer.request_id)
        walk.take_total(answer.value.total(), request.needs_total)
        page = _rows(answer.value, request, walk, number)
        beyond = walk.declared is not None and len(walk.rows) >= walk.declared and number > 1
        single = number == 1 and walk.declared is not None and len(page) == walk.declared < size
        walk.repeated = single and _repeats(request, page)
        new = walk.take_rows(page, beyond)
        if len(walk.rows) > limits.rows:
            raise walk.give_up(f"more than {limits.rows} rows")
        if not request.page_field:
            _whole(request, walk, other_unit)
            return
        if walk.repeated or _ended(walk, len(page), new, size, beyond):
            return


def _repeats(request: ListRequest[RowT], page: Sequence[RowT]) -> bool:
    """Return whether some rows of a page came twice, and each of them may."""
    times = Counter(row.key() for row in page)
    again = [row for row in page if times[row.key()] > 1]
    return bool(again) and all(map(request.may_repeat, again))


def _rows(page: Page[RowT], request: ListRequest[RowT], walk: _Walk[RowT], number: int) -> Sequence[RowT]:
    rows = page.rows()
    if rows is not None:
        return rows
    if request.null_at_zero and walk.declared == 0 and number == 1:
        walk.null_as_empty = True
        return ()
    raise walk.give_up(f"page {number} is null, which is not an empty list")


def _whole(request: ListRequest[RowT], walk: _Walk[RowT], other_unit: bool) -> None:
    """Check the one answer of a listing without pages against its total, and note what the total counts."""
    have, declared = len(walk.rows), walk.declared
    if declared is None:
        return
    other = request.other_total(walk.rows.values())
    if have == declared:
        walk.unit = ROWS if other not in (None, have) else ""
    elif other_unit and other == declared:
        walk.unit = OTHER
    else:
        raise walk.give_up(f"{declared} rows declared, {have} distinct rows read, and there is no next page")


def _ended(walk: _Walk[RowT], rows: int, new: int, size: int, beyond: bool) -> bool:
    """Whether the listing is complete after this page.

    With a total: all declared rows are there, and the last page was not full (else one more page is read, to
    see that nothing follows). Without: two empty pages in a row have come. Rows after an empty page mean that an
    empty page is not the end, so nothing proves that all rows came.
    """
    have, declared = len(walk.rows), walk.declared
    if declared is None:
        if rows and walk.empty_pages:
            raise walk.give_up("rows came after an empty page, so an empty page is not the end", shifted=True)
        walk.empty_pages += rows == 0
        return walk.empty_pages > 1
    if have > declared:
        raise walk.give_up(f"{declared} rows declared, {have} distinct rows read", shifted=True)
    if have == declared:
        return beyond or rows < size
    if new == 0:
        raise walk.give_up(f"{declared} rows declared, {have} distinct rows read", shifted=True)
    return False


def listing_name(request: ListRequest[RowT]) -> str:
    """Return the action with its parameters, as errors name a listing."""
    skip = {request.page_field, request.size_field}
    given = {name: value for name, value in request.wire().items() if name not in skip}
    return f"{request.action}({', '.join(f'{name}={value}' for name, value in sorted(given.items()))})"


def _record(request: ListRequest[RowT], walk: _Walk[RowT], restarts: int, started: datetime) -> ListingRecord:
    skip = {request.page_field, request.size_field}
    parameters = {name: value for name, value in request.wire().items() if name not in skip}
    return ListingRecord(
        action=request.action,
        parameters_digest=digest(parameters),
        pages=len(walk.digests),
        declared=walk.declared,
        counted=len(walk.rows),
        duplicates=walk.duplicates,
        page_digests=tuple(walk.digests),
        request_ids=tuple(walk.request_ids),
        null_as_empty=walk.null_as_empty,
        restarts=restarts,
        started_at=started,
        finished_at=datetime.now(UTC),
        unit=walk.unit,
        confirmed=walk.unit == OTHER or walk.repeated,
    )
