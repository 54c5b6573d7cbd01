"""WeData's pages: numbers from 1, totals that can be trusted, and the fields of the samples that cannot."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from emulator.errors import ApiError
from emulator.registry import Call

PAGE = {"PageNumber": int, "PageSize": int}
REQUIRED_PAGE = {"PageNumber!": int, "PageSize!": int}


def cut(
    params: dict[str, Any],
    items: list[Any],
    *,
    default: int = 10,
    largest: int = 500,
    beyond_end: str = "empty",
) -> tuple[list[Any], int, int]:
    """One page of ``items``: (content, page number, page size).

    :param beyond_end: ``last`` repeats the last page behind the end.
    :raises ApiError: InvalidParameter for a size out of range or a negative number.
    """
    size, number = int(params.get("PageSize", default)), int(params.get("PageNumber", 1))
    if not 1 <= size <= largest:
        raise ApiError("InvalidParameter", f"PageSize must be between 1 and {largest}.")
    if number < 0:
        raise ApiError("InvalidParameter", "PageNumber must not be negative.")
    number = max(1, number)
    if beyond_end == "last":
        number = min(number, max(1, -(-len(items) // size)))
    start = (number - 1) * size + int(params.get("_shift", 0))
    return items[start : start + size], number, size


def _same(item: Any) -> Any:
    return item


def paged(
    call: Call, items: list[Any], show: Callable[[Any], Any] = _same, *, echo_number: bool = True
) -> dict[str, Any]:
    """A page of projects, members, roles or data sources; ``TotalPageNumber`` is 0 as in the samples.

    :param show: makes the row of one item; called only for the items of the page.
    """
    content, number, size = cut(call.params, items, beyond_end=call.world.modes["wedata_beyond_end"])
    return {
        "Items": [show(item) for item in content], "PageNumber": number if echo_number else 0, "PageSize": size,
        "TotalCount": len(items), "TotalPageNumber": 0,
    }  # fmt: skip


def metadata_page(params: dict[str, Any], items: list[Any], show: Callable[[Any], Any] = _same) -> dict[str, Any]:
    """A page of the metadata lists: ``PageCount`` is 0 and ``PageSize`` shows the page count, as in the samples."""
    content, number, size = cut(params, items)
    return {
        "Items": [show(item) for item in content], "PageCount": 0, "PageSize": -(-len(items) // size),
        "PageNumber": number, "TotalCount": len(items),
    }  # fmt: skip
