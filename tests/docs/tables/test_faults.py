"""The table of faults names tests that exist, and leaves none of its faults out."""

from __future__ import annotations

import ast
import re

from tests.support.servers.emulator import ROOT

TEXT = (ROOT / "docs/faults.md").read_text(encoding="utf-8")
_NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def test_every_test_that_the_table_names_exists() -> None:
    names: dict[str, set[str]] = {}
    for path, name in _NAMED.findall(TEXT):
        if path not in names:
            tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
            names[path] = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        assert name in names[path], f"{path} has no {name}"
    assert names


def test_every_fault_has_its_row_and_a_test() -> None:
    rows = {row.split("|")[1].strip(): row for row in TEXT.splitlines() if row.startswith("| F-")}
    assert set(rows) == {*(f"F-V{n}" for n in range(11, 29)), *(f"F-A{n:02}" for n in range(1, 18))}
    assert all(_NAMED.search(row) for row in rows.values())
