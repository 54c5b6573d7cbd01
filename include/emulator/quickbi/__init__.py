"""Alibaba Cloud Quick BI, 2022-01-01."""

from __future__ import annotations

from importlib import import_module

from emulator.registry import ActionTable

QUICKBI = ActionTable("quickbi")


def load() -> ActionTable:
    """The table, filled."""
    for name in ("authorizations", "datasets", "groups", "menus", "portals", "shares", "users", "views", "workspaces"):
        import_module(f"{__name__}.{name}")
    return QUICKBI
