"""Tencent Cloud: WeData (2025-08-06) and STS (2018-08-13)."""

from __future__ import annotations

from importlib import import_module

from emulator.registry import ActionTable

WEDATA = ActionTable("wedata")
STS = ActionTable("tencent-sts")


def load() -> tuple[ActionTable, ActionTable]:
    """Both tables, filled."""
    for name in ("catalog", "data_sources", "members", "privileges", "projects", "sts", "studio"):
        import_module(f"{__name__}.{name}")
    return WEDATA, STS
