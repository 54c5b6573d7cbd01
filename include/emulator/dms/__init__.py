"""Alibaba Cloud DMS Enterprise, 2018-11-01."""

from __future__ import annotations

from emulator.registry import ActionTable

DMS = ActionTable("dms", methods=("GET", "POST"))


def load() -> ActionTable:
    """The table, filled."""
    from emulator.dms import authorized, objects, permissions, templates, users

    assert all((authorized, objects, permissions, templates, users))
    return DMS
