"""Judges a run by the emulator's ground truth: what was planned against what really disappeared.

Works on two readings of the emulator's truth (before and after) and on the run's items file, one JSON
object a line. Nothing that the run says about itself is believed here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Row = tuple[str, ...]
_RECEIVERS = {"0": "user", "1": "group", "2": "organization", "3": "workspace"}


@dataclass(frozen=True)
class Judgment:
    """One system's result.

    :param planned: grants that the plan was to take away.
    :param removed: grants that are in the first truth and not in the second.
    :param unexpected: removed without being planned. Must be empty.
    :param left: planned and still there. Must be empty.
    :param added: in the second truth only.
    """

    system: str
    planned: int
    removed: int
    unexpected: frozenset[Row]
    left: frozenset[Row]
    added: int

    @property
    def holds(self) -> bool:
        """Whether exactly the planned grants are gone."""
        return not self.unexpected and not self.left


def judge(before: Mapping[str, Any], after: Mapping[str, Any], items: Path) -> list[Judgment]:
    """Compare both truths with the planned items, system by system."""
    planned: dict[str, set[Row]] = {name: set() for name in _FROM_TRUTH}
    with items.open(encoding="utf-8") as lines:
        for line in lines:
            item = json.loads(line)
            if item["state"] != "held":
                planned[item["system"]].add(_from_item(item))
    result = []
    for system, convert in _FROM_TRUTH.items():
        first, second = _rows(before.get(system, ()), convert), _rows(after.get(system, ()), convert)
        removed = first - second
        result.append(
            Judgment(
                system=system,
                planned=len(planned[system]),
                removed=len(removed),
                unexpected=frozenset(removed - planned[system]),
                left=frozenset(planned[system] & second),
                added=len(second - first),
            )
        )
    return result


def _rows(rows: Iterable[Mapping[str, Any]], convert: Callable[[Mapping[str, Any]], Row]) -> set[Row]:
    return {convert(row) for row in rows}


def _from_item(item: Mapping[str, Any]) -> Row:
    """The planned item in the words of the emulator's truth."""
    system, column = item["system"], item["column"]
    if system == "wedata_privileges":
        return (item["resource_type"], item["resource_id"], *column)
    if system == "wedata_data_sources":
        return (item["resource_id"], item["principal_type"], *column, *([""] if len(column) == 1 else []))
    if system == "dms_permissions":
        return (item["native_id"],)
    return (item["container"], item["resource_id"], item["principal_type"], item["principal_id"])


_FROM_TRUTH: Mapping[str, Callable[[Mapping[str, Any]], Row]] = {
    "wedata_privileges": lambda t: (
        str(t["resource_type"]).lower(),
        t["resource_uri"],
        t["subject_type"],
        t["subject_value"],
        t["privilege"],
    ),
    "wedata_data_sources": lambda t: (t["data_source_id"], t["kind"], t["project_id"] or "", t["user_id"] or ""),
    "dms_permissions": lambda t: (t["user_access_id"],),
    "quickbi_menus": lambda t: (
        t["portal_id"],
        t["menu_id"],
        _RECEIVERS.get(str(t["receiver_type"]), str(t["receiver_type"])),
        t["receiver_id"],
    ),
}
