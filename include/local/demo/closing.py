"""The closing summary of a run, for a terminal: one line for each system, then what is still effective and why."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_COLUMNS = (
    ("found", "discovered"),
    ("to revoke", "items"),
    ("calls", "calls"),
    ("accepted", "accepted"),
    ("verified gone", "verified_gone"),
    ("record gone", "record_gone"),
    ("still effective", "still_effective"),
    ("retained, checked", "kept_compared"),
    ("retained, missing", "kept_lost"),
    ("throttled", "throttled"),
)
_KEPT_BY = {"kept.protected": "protected people and resources", "kept.exception": "exceptions with an owner and an end"}
_PATHS_SHOWN = 6
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def closing_lines(summary: Mapping[str, Any]) -> Iterator[str]:
    """The summary as lines of text."""
    yield f"{summary['dag']}, run {summary['run']}: {summary['state']}"
    yield from _table(summary["systems"])
    yield from _kept(summary)
    open_ends = [finding for finding in summary["findings"] if finding["verdict"] == "still_effective"]
    if open_ends:
        yield ""
        yield f"still effective: {len(open_ends)} grants are gone, but the same right remains through"
        ways = Counter(_way(finding["remains"]) for finding in open_ends)
        for way, count in ways.most_common(_PATHS_SHOWN):
            yield f"  {count:4}  {way}"
        if len(ways) > _PATHS_SHOWN:
            yield f"        and {len(ways) - _PATHS_SHOWN} more ways, each in the summary's findings"
    for problem in summary["problems"]:
        yield f"PROBLEM: {_CONTROL.sub(' ', problem)}"


def _kept(summary: Mapping[str, Any]) -> Iterator[str]:
    """What stays although a rule, or a wish, would take it: protected, waived, held back by a guard."""
    counts = Counter[str]()
    for row in summary.get("decisions", ()):
        if row["rule"] in _KEPT_BY:
            counts[_KEPT_BY[row["rule"]]] += row["grants"]
    held = Counter(
        _CONTROL.sub(" ", finding["remains"]) for finding in summary["findings"] if finding["verdict"] == "held"
    )
    lines = [f"  {count:4}  {why}" for why, count in counts.most_common()]
    lines += [f"  {count:4}  held back by a guard: {why}" for why, count in held.most_common(_PATHS_SHOWN)]
    if lines:
        yield from ("", "kept on purpose:", *lines)


def _table(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    head = ["system", "complete", *(title for title, _ in _COLUMNS)]
    body = [
        [row["system"], "yes" if row["complete"] else "NO", *(str(row[name]) for _, name in _COLUMNS)] for row in rows
    ]
    widths = [max(len(line[i]) for line in [head, *body]) for i in range(len(head))]
    for number, line in enumerate([head, *body]):
        yield "  ".join(
            cell.ljust(width) if i < 2 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        if number == 0:
            yield "  ".join("-" * width for width in widths)


def _way(remains: str) -> str:
    """``organization 2fe4...: view on menu 1j43... "Margin"`` without ids and names, so that like ways add up."""
    words = _CONTROL.sub(" ", remains)
    holder, colon, right = words.partition(": ")
    what, on, place = right.partition(" on ") if colon else words.partition(" on ")
    if not on:
        return words
    resource = f"{what} on a {place.split(' ')[0]}"
    if not colon:  # for example "a policy or ownership gives everything on database 7"
        return resource
    nested = " in a group" if " in " in holder else ""
    kind = holder if holder in ("direct grant", "all users") else holder.split(" ")[0] + nested
    return f"{kind}: {resource}"
