"""Judges a run by the emulator's ground truth: what was planned against what really disappeared.

Works on two readings of the emulator's truth (before and after) and on the run's items file, one JSON
object a line. Nothing that the run says about itself is believed here.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.demo.records import ENDS_WITH_ACCOUNT, KINDS, SYSTEMS, Row, planned_row, truth_row


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
    """Compare both truths with the planned items, for the systems with items and those that lost or got something."""
    planned: dict[str, set[Row]] = {name: set() for name in SYSTEMS}
    disabled: set[str] = set()
    with items.open(encoding="utf-8") as lines:
        for line in lines:
            item = json.loads(line)
            if item["state"] != "held":
                planned.setdefault(item["system"], set()).add(_from_item(item))
                disabled |= {item["principal_id"]} if item["system"] == "dms_accounts" else set()
    first, second = (defaultdict(set, _rows(one)) for one in (before, after))
    with_accounts = {
        truth_row(kind, row)
        for kind in ENDS_WITH_ACCOUNT & set(KINDS)
        for row in before.get(kind, ())
        if row.get("user_id") in disabled
    }
    result = []
    for system in planned:
        removed, added = first[system] - second[system], second[system] - first[system]
        if planned[system] or removed or added:
            unexpected = removed - planned[system] - with_accounts
            left = planned[system] & second[system]
            sizes = (len(planned[system]), len(removed))
            result.append(Judgment(system, *sizes, frozenset(unexpected), frozenset(left), len(added)))
    return result


def _rows(truth: Mapping[str, Any]) -> dict[str, set[Row]]:
    found: dict[str, set[Row]] = {name: set() for name in SYSTEMS}
    for kind in KINDS:
        for held in truth.get(kind, ()):
            row = truth_row(kind, held)
            found[row[0]].add(row)
    return found


def _from_item(item: Mapping[str, Any]) -> Row:
    """The planned item in the words of the emulator's truth."""
    system, column = item["system"], item["column"]
    if system == "wedata_privileges":
        return (system, item["resource_type"], item["resource_id"], *column)
    if system in ("dms_permissions", "dms_proxy_accesses", "dms_accounts"):
        return (system, item["native_id"])
    if system == "wedata_project_roles":
        return planned_row(system, item["resource_id"], item["principal_id"], "", column)
    if system == "dms_abac_authorizations":
        return planned_row(system, "", item["native_id"], str(item["principal_type"]).upper(), column)
    if system == "wedata_studio_permissions":  # the plan's row is project and object
        row = (item["container"], f"{item['native_id']}.{item['resource_id']}", "", column)
        return planned_row(system, *row)
    row = (item["container"], item["resource_id"], item["principal_type"], column)
    return planned_row(system, *row)
