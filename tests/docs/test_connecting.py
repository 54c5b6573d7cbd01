"""The page on connections names what every system needs."""

from __future__ import annotations

import pytest

from rescind.systems import REGISTRY, default_connections
from tests.support.emulator import ROOT

PAGE = (ROOT / "docs" / "connecting.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", REGISTRY)
def test_every_action_that_a_system_calls_is_in_the_table_of_permissions(name: str) -> None:
    system = REGISTRY[name]
    needed = {*system.reads, system.revoke_message.action, system.restore_message.action}
    assert [action for action in sorted(needed) if f"`{action}`" not in PAGE] == []


@pytest.mark.parametrize("name", default_connections())
def test_the_default_connection_of_every_system_is_described(name: str) -> None:
    assert f"| `{REGISTRY[name].default_connection}` |" in PAGE
