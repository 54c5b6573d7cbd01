"""Alibaba Cloud Quick BI, 2022-01-01."""

from __future__ import annotations

from emulator.registry import ActionTable

QUICKBI = ActionTable("quickbi")


def load() -> ActionTable:
    """The table, filled."""
    from emulator.quickbi import groups, menus, portals, users, workspaces

    assert all((groups, menus, portals, users, workspaces))
    return QUICKBI
