"""The table of actors names tests that exist, and has one for each actor."""

from __future__ import annotations

import ast
import re

from tests.support.servers.emulator import ROOT

ROWS = [
    row
    for row in (ROOT / "docs/threats.md").read_text(encoding="utf-8").splitlines()
    if row.startswith("| ") and "---" not in row
][1:]
_NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def test_every_actor_has_tests_and_they_exist() -> None:
    assert len(ROWS) > 10
    for row in ROWS:
        named = _NAMED.findall(row.split(" | ")[3])
        assert named, row
        for path, name in named:
            tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
            assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}, (path, name)
