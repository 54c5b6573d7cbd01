"""The closing summary of a run, for a terminal: one line for each system, then what is still reachable and why."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_COLUMNS = (
    ("found", "discovered"),
    ("to revoke", "items"),
    ("calls", "calls"),
    ("proven gone", "gone"),
    ("record gone", "record_gone"),
    ("still reachable", "still_effective"),
    ("retained", "kept_compared"),
    ("missing", "kept_lost"),
)
_KEPT_BY = {"kept.protected": "protected people and resources", "kept.exception": "exceptions with an owner and an end"}
_PATHS_SHOWN = 4
_NAMED = re.compile(r'(\w+) [^ "]+ ("[^"]*")')
"""An object with its id and name, as a path names it; here the name is enough."""
_UNNAMED = re.compile(r"^direct grant: |^user \d+ in |^role [^ :]+: ")
"""What a path begins with and no reader needs: the holder's own second id, the id of a role that the right names."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def closing_lines(summary: Mapping[str, Any], names: Mapping[str, str] | None = None) -> Iterator[str]:
    """The summary as lines of text.

    :param names: of people, by every id that a system knows them by.
    """
    yield f"{summary['dag']}, run {summary['run']}: {summary['outcome']['words']}"
    if summary["outcome"]["remains"]:
        yield f"what remains: {'; '.join(summary['outcome']['remains'])}"
    yield from _table(summary["systems"])
    yield from _kept(summary)
    yield from _unproven([f for f in summary["findings"] if f["verdict"] == "record_gone"])
    yield from _effective([f for f in summary["findings"] if f["verdict"] == "still_effective"], names or {})
    for problem in summary["problems"]:
        yield f"PROBLEM: {_CONTROL.sub(' ', problem)}"


def _unproven(findings: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Records that are gone while nobody can say whether access is: by the surface that did not answer."""
    if findings:
        surfaces = Counter(_CONTROL.sub(" ", finding["remains"]).partition(": ")[0] for finding in findings)
        whys = ", ".join(f"{count} {name}" for name, count in surfaces.most_common())
        yield ""
        yield f"record gone: {len(findings)} records are gone, access is not proven gone: {whys}"
        yield "  (here such runs may end green; with the default of record_gone_fails, runs about named people fail)"


def _effective(findings: Sequence[Mapping[str, Any]], names: Mapping[str, str]) -> Iterator[str]:
    """What remains, by system and kind of way, each with one person as an example."""
    ways: dict[str, dict[str, list[Mapping[str, Any]]]] = {}
    for finding in findings:
        ways.setdefault(finding.get("system", ""), {}).setdefault(_way(finding["remains"]), []).append(finding)
    if not ways:
        return
    yield ""
    yield f"still reachable: {len(findings)} grants are gone, but the same right remains, for example for"
    for _, kinds in sorted(ways.items()):
        ranked = sorted(kinds.values(), key=len, reverse=True)
        for first, *others in ranked[:_PATHS_SHOWN]:
            yield f"  {_example(first, names)}" + (f" (and {len(others)} alike)" if others else "")
    rest = sum(max(0, len(kinds) - _PATHS_SHOWN) for kinds in ways.values())
    if rest:
        yield f"  and {rest} more kinds of ways, each in the summary's findings"


def _example(finding: Mapping[str, Any], names: Mapping[str, str]) -> str:
    """``Mei Chen, view on menu "Margin": white list on portal "Finance"``."""
    ident = finding.get("principal_id", "")
    who = names.get(ident) or finding.get("principal_name") or ident
    place = finding.get("resource_name") or finding.get("resource_id", "")
    through = _NAMED.sub(r"\1 \2", _UNNAMED.sub("", finding["remains"]))
    what = f'{finding.get("entitlement", "")} on {finding.get("resource_type", "")} "{place}"'
    return _CONTROL.sub(" ", f"{who}, {what}: {through}")


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
        [row["system"], "yes" if row["complete"] else "NO", *(str(_figure(row, name)) for _, name in _COLUMNS)]
        for row in rows
    ]
    widths = [max(len(line[i]) for line in [head, *body]) for i in range(len(head))]
    for number, line in enumerate([head, *body]):
        yield "  ".join(
            cell.ljust(width) if i < 2 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        if number == 0:
            yield "  ".join("-" * width for width in widths)


def _figure(row: Mapping[str, Any], name: str) -> int:
    """A figure of a system; what was absent already is gone too."""
    return int(row["verified_gone"] + row["already_absent"] if name == "gone" else row[name])


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
    kinds = [part.split(" ")[0] for part in holder.split(" in ")]
    kind = holder if holder in ("direct grant", "all users") else " in a ".join(kinds)
    return f"{kind}: {resource}"
