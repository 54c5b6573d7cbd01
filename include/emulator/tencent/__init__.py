"""Tencent Cloud: WeData (2025-08-06) and STS (2018-08-13)."""

from __future__ import annotations

from emulator.registry import ActionTable

WEDATA = ActionTable("wedata")
STS = ActionTable("tencent-sts")


def load() -> tuple[ActionTable, ActionTable]:
    """Both tables, filled."""
    from emulator.tencent import catalog, data_sources, privileges, projects, sts

    assert all((catalog, data_sources, privileges, projects, sts))
    return WEDATA, STS
