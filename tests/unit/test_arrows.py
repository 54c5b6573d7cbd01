"""Who may import whom: the arrows between the rooms of the package, read from the source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "plugins" / "rescind"
AIRFLOW = "airflow"

GROUND = {"model", "errors"}
BELOW_AIRFLOW = GROUND | {"settings", "cloud", "systems", "review", "plan", "ledger", "execution", "evidence"}
MAY_IMPORT: dict[str, set[str]] = {
    "__init__": set(),
    "provider_info": set(),
    "errors": set(),
    "model": {"errors"},
    "settings": GROUND,
    "cloud": GROUND,
    "review": GROUND,
    "plan": GROUND,
    "ledger": GROUND,
    "systems": GROUND | {"cloud"},
    "evidence": GROUND | {"ledger"},
    "execution": GROUND | {"cloud", "systems", "plan", "ledger"},
    "cli": BELOW_AIRFLOW | {"operators"},
    "__main__": {"cli"},
    "hooks": BELOW_AIRFLOW - {"execution"} | {AIRFLOW},
    "operators": BELOW_AIRFLOW | {"hooks", AIRFLOW},
    "sensors": BELOW_AIRFLOW | {"hooks", "operators", AIRFLOW},
    "notifications": BELOW_AIRFLOW | {"hooks", AIRFLOW},
    "ui": BELOW_AIRFLOW | {"hooks", AIRFLOW},
    "web": GROUND | {"settings", "ledger", AIRFLOW},
}
"""Every room of the package and what it may know. A new room is a line here, and a sentence in its docstring."""

DAGS_MAY_IMPORT = {"operators", "sensors", "notifications", AIRFLOW}
FOREIGN = {"emulator", "local", "tests", "dags"}


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Every imported module of a file, wherever in it the import stands: (line, dotted name)."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        for name in named(node):
            yield getattr(node, "lineno", 0), name


def named(node: ast.AST) -> list[str]:
    """The modules that one node of a syntax tree imports; relative ones keep their dots."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        if node.module == "rescind" and not node.level:
            return [f"rescind.{alias.name}" for alias in node.names]
        return ["." * node.level + (node.module or "")]
    if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
        return [str(argument.value) for argument in node.args[:1] if isinstance(argument, ast.Constant)]
    return []


def package_violations(package: Path) -> list[str]:
    """Imports of the package that no arrow allows."""
    found = []
    for path in sorted(package.rglob("*.py")):
        room = path.relative_to(package).parts[0].removesuffix(".py")
        if room not in MAY_IMPORT:
            found.append(f"{path}: the room {room!r} has no line in MAY_IMPORT")
            continue
        for line, name in imports(path):
            top, _, rest = name.partition(".")
            target = (rest.partition(".")[0] or "__init__") if top == "rescind" else top
            if target in ("__init__", "__version__") and top == "rescind":
                continue  # the package itself: its version
            if top == "" or top in FOREIGN:
                found.append(f"{path}:{line}: {name}")
            elif top in ("rescind", AIRFLOW) and target != room and target not in MAY_IMPORT[room]:
                found.append(f"{path}:{line}: {room} must not import {name}")
    return found


def outside_violations(folder: Path, *, forbidden: set[str]) -> list[str]:
    """Imports below a folder whose top-level name is forbidden there."""
    return [
        f"{path}:{line}: {name}"
        for path in sorted(folder.rglob("*.py"))
        for line, name in imports(path)
        if name.partition(".")[0] in forbidden
    ]


def test_the_package_keeps_its_arrows() -> None:
    assert list(PACKAGE.rglob("*.py")), "no sources found"
    assert package_violations(PACKAGE) == []


def test_every_room_stands_on_rooms_that_do_not_know_it() -> None:
    """The table itself has no way back: following the arrows never returns."""
    for room in MAY_IMPORT:
        reached, frontier = set(), MAY_IMPORT[room] - {AIRFLOW}
        while frontier:
            reached |= frontier
            frontier = set().union(*(MAY_IMPORT[name] for name in frontier)) - reached - {AIRFLOW}
        assert room not in reached


@pytest.mark.parametrize(
    ("program", "forbidden"),
    [("emulator", {"rescind", "rescind_plugin", "local", "tests", AIRFLOW}),
     ("local", {"rescind", "rescind_plugin", "emulator", "tests", AIRFLOW})],
)  # fmt: skip
def test_programs_beside_the_package_share_no_code_with_it(program: str, forbidden: set[str]) -> None:
    folder = ROOT / "include" / program
    assert list(folder.rglob("*.py")), "no sources found"
    assert outside_violations(folder, forbidden=forbidden) == []


def test_dags_use_the_airflow_face_only() -> None:
    for path in sorted((ROOT / "dags").rglob("*.py")):
        for line, name in imports(path):
            top, _, rest = name.partition(".")
            if top == "rescind":
                assert rest.partition(".")[0] in DAGS_MAY_IMPORT, f"{path}:{line}: {name}"
            assert top not in FOREIGN, f"{path}:{line}: {name}"


@pytest.mark.parametrize(
    ("where", "source", "named"),
    [
        ("cloud/wedata.py", "from rescind.ledger import Ledger", "cloud must not import rescind.ledger"),
        ("cloud/wedata.py", "from rescind import operators", "cloud must not import rescind.operators"),
        ("plan/cover.py", "import rescind.cloud.base", "plan must not import rescind.cloud.base"),
        ("review/roster.py", "def f():\n    from airflow.sdk import Variable", "review must not import airflow.sdk"),
        ("ledger/db.py", "if TYPE_CHECKING:\n    from rescind.plan import Plan", "ledger must not import rescind.plan"),
        (
            "model.py",
            "import importlib\nimportlib.import_module('rescind.cloud')",
            "model must not import rescind.cloud",
        ),
        ("execution/run.py", "from emulator.world import World", "emulator.world"),
        ("hooks/base.py", "from ..cloud import client", "..cloud"),
        ("attic/old.py", "import json", "the room 'attic' has no line"),
    ],
)
def test_a_planted_violation_is_found(tmp_path: Path, where: str, source: str, named: str) -> None:
    path = tmp_path / where
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source + "\n", encoding="utf-8")
    found = package_violations(tmp_path)
    assert len(found) == 1
    assert named in found[0]


def test_a_planted_share_of_code_is_found(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text("from rescind.model import GrantKey\n", encoding="utf-8")
    assert len(outside_violations(tmp_path, forbidden={"rescind"})) == 1
