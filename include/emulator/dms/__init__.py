"""Alibaba Cloud DMS Enterprise, 2018-11-01."""

from __future__ import annotations

from importlib import import_module

from emulator.registry import ActionTable

DMS = ActionTable("dms", methods=("GET", "POST"))


def load() -> ActionTable:
    """The table, filled."""
    for name in (
        "audit",
        "authorized",
        "objects",
        "owners",
        "permissions",
        "policies",
        "proxies",
        "templates",
        "users",
    ):
        import_module(f"{__name__}.{name}")
    return DMS
