"""The page on connections names what every system needs."""

from __future__ import annotations

import re

import pytest

from rescind.systems import REGISTRY, default_connections
from tests.docs import rights
from tests.support.servers.emulator import ROOT

PAGE = (ROOT / "docs" / "connecting.md").read_text(encoding="utf-8")


def test_the_table_of_rights_is_current() -> None:
    assert rights.current(PAGE) == PAGE, "run: python -m tests.docs.rights --write"


@pytest.mark.parametrize("name", REGISTRY)
def test_every_action_that_a_system_calls_is_in_its_row_of_rights(name: str) -> None:
    system = REGISTRY[name]
    (row,) = [line for line in PAGE.splitlines() if line.startswith(f"| `{name}` |")]
    needed = system.reads | system.revoke_actions | system.restore_actions | system.usage_reads
    assert set(re.findall(r"`([A-Z]\w+)`", row)) == needed


@pytest.mark.parametrize("conn_ids", default_connections().values())
def test_the_default_connection_of_every_system_is_described(conn_ids: list[str]) -> None:
    assert [f"| `{conn_id}` |" in PAGE for conn_id in conn_ids] == [True]
