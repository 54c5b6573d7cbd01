"""Re-list completely and report for each grant: record gone, or still present."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypedDict

from rescind.cloud.client import CloudClient
from rescind.errors import InputError, ListingIncompleteError, ThrottledError, TransientError
from rescind.hooks.single_calls.grant_listing import read_listing
from rescind.hooks.single_calls.grants import VendorGrant

PASSES = 2
"""Complete listings in a row that must lack a grant before it counts as gone: one listing of several pages can miss a
row that moved between two pages."""


NOT_YET = (ListingIncompleteError, ThrottledError, TransientError)
"""Errors after which a later listing may answer. None of them proves anything."""


class GrantReport(TypedDict):
    """The verdict about one grant.

    ``record_gone`` is about the record alone. Access through a group, a role or ownership is not examined.
    """

    grant: dict[str, Any]
    verdict: Literal["record_gone", "still_present"]
    found: list[str]


class GoneReport(TypedDict):
    """The result of a verification. ``records`` holds one record per listing that was read, as evidence."""

    gone: int
    still_present: int
    grants: list[GrantReport]
    records: list[dict[str, Any]]


def grant_of(kind: type[VendorGrant], described: Any) -> VendorGrant:
    """Return the grant of a description, with every field checked.

    :raises InputError: for anything but a mapping with the fields of ``kind``.
    """
    if not isinstance(described, dict):
        raise InputError("grant", f"is {type(described).__name__}, not a mapping", "Give the fields of one grant")
    grant = kind(**described)
    grant.revoke_request()  # checks the values as strictly as a write
    return grant


def grants_of(kind: type[VendorGrant], described: Any) -> list[VendorGrant]:
    """Return the grants of a list of descriptions, or of a single one.

    :raises InputError: for anything else.
    """
    if isinstance(described, dict):
        return [grant_of(kind, described)]
    if isinstance(described, str | bytes) or not hasattr(described, "__iter__"):
        raise InputError("grants", f"is {type(described).__name__}, not a list", "Give a list of grants, or one grant")
    return [grant_of(kind, one) for one in described]


async def verify_gone(client: CloudClient, grants: Sequence[VendorGrant]) -> GoneReport:
    """Re-list every affected resource and look for each grant. Each listing is read once for all its grants.

    :raises ListingIncompleteError: when a listing cannot prove that it is complete; then nothing counts as gone.
    """
    found: list[list[str]] = [[] for _ in grants]
    records = []
    for _ in range(PASSES):
        unseen: dict[Any, list[int]] = {}
        for number, places in enumerate(found):
            if not places:
                unseen.setdefault(grants[number].listing(), []).append(number)
        for request, numbers in unseen.items():
            listing = await read_listing(client, request)
            records.append(listing.record.as_dict())
            for number in numbers:
                found[number] = grants[number].found_in(listing.rows)
    reports: list[GrantReport] = [
        {
            "grant": grant.described(),
            "verdict": "still_present" if places else "record_gone",
            "found": list(dict.fromkeys(places)),
        }
        for grant, places in zip(grants, found, strict=True)
    ]
    left = sum(report["verdict"] == "still_present" for report in reports)
    return {"gone": len(reports) - left, "still_present": left, "grants": reports, "records": records}


def sentence(report: GoneReport) -> str:
    """Return the grants that are still present, at most ten by name."""
    left = [one for one in report["grants"] if one["verdict"] == "still_present"]
    shown = [f"{one['grant']} ({'; '.join(one['found'])})" for one in left[:10]]
    more = f", and {len(left) - 10} more" if len(left) > 10 else ""
    return f"{len(left)} of {len(report['grants'])} grants are still present: {', '.join(shown)}{more}"
