"""Who may import whom: the arrows between the packages of the package, read from the source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "plugins" / "rescind"
AIRFLOW = "airflow"

BASE = {"i18n", "model", "errors", "users", "run_state", "last_use", "snapshot_tree", "stored_text"}
MAY_IMPORT: dict[str, set[str]] = {
    "__init__": set(),
    "provider_info": set(),
    "errors": set(),
    "model": {"errors", "i18n"},
    "users": {"errors"},
    "i18n": set(),
    "run_state": {"i18n"},
    "last_use": set(),
    "snapshot_tree": set(),
    "stored_text": {"i18n"},
    "data_files": {"errors"},
    "compat": {"errors", AIRFLOW},
    "approval_signature": BASE,
    "approvers": BASE,
    "settings": BASE | {"approvers", "data_files"},
    "cloud": BASE,
    "review": BASE,
    "plan": BASE,
    "ledger": BASE | {"approval_signature"},
    "systems": BASE | {"cloud"},
    "evidence": BASE | {"approval_signature", "ledger"},
    "hooks": BASE
    | {
        "approval_signature",
        "settings",
        "data_files",
        "cloud",
        "systems",
        "review",
        "ledger",
        "evidence",
        AIRFLOW,
    },
    "workflow": BASE | {"settings", "cloud", "systems", "review", "plan", "ledger", "evidence", "hooks"},
    "airflow_support": BASE | {"compat", "cloud", "ledger", "workflow", AIRFLOW},
    "notifications": BASE
    | {"settings", "cloud", "review", "plan", "ledger", "workflow", "hooks", "airflow_support"}
    | {AIRFLOW},
    "operators": BASE
    | {"approvers", "compat", "settings", "cloud", "systems", "review", "plan", "ledger", "workflow", "hooks"}
    | {"airflow_support", "notifications"}
    | {AIRFLOW},
    "triggers": BASE | {"hooks", AIRFLOW},
    "sensors": {"hooks", "triggers", AIRFLOW},
    "example_dags": {"operators", "sensors", AIRFLOW},
    "dag_parts": BASE | {"compat", "systems", "airflow_support", "operators", AIRFLOW},
    "cli": BASE | {"settings", "data_files", "systems", "review", "ledger", "evidence", "workflow", "hooks"},
    "__main__": {"cli"},
    "web": BASE | {"approvers", "settings", "ledger", "evidence", AIRFLOW},
    "airflow_plugin": {"compat", "i18n", "dag_parts", "settings", "systems", "hooks", "ledger", "workflow", "web"}
    | {"approvers", AIRFLOW},
}
"""Every package of the product and what it may import. A new package is a line here."""

DAGS_MAY_IMPORT = {"dag_parts", AIRFLOW}
FOREIGN = {"emulator", "local", "tests", "dags"}


@cache
def nodes(path: Path) -> list[ast.AST]:
    """The nodes of a file that can import something."""
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    return [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom | ast.Call)]


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Every imported module of a file, wherever in it the import stands: (line, dotted name)."""
    for node in nodes(path):
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
    called = node.func if isinstance(node, ast.Call) else None
    if isinstance(node, ast.Call) and getattr(called, "attr", getattr(called, "id", "")) == "import_module":
        return [str(argument.value) for argument in node.args[:1] if isinstance(argument, ast.Constant)]
    return []


def package_violations(package: Path) -> list[str]:
    """Imports of the package that no arrow allows."""
    found = []
    for path in sorted(package.rglob("*.py")):
        package_name = path.relative_to(package).parts[0].removesuffix(".py")
        if package_name not in MAY_IMPORT:
            found.append(f"{path}: the package {package_name!r} has no line in MAY_IMPORT")
            continue
        for line, name in imports(path):
            top, _, rest = name.partition(".")
            target = (rest.partition(".")[0] or "__init__") if top == "rescind" else top
            if target in ("__init__", "__version__") and top == "rescind":
                continue  # the package itself: its version
            if top == "" or top in FOREIGN:
                found.append(f"{path}:{line}: {name}")
            elif top in ("rescind", AIRFLOW) and target != package_name and target not in MAY_IMPORT[package_name]:
                found.append(f"{path}:{line}: {package_name} must not import {name}")
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


def test_the_table_has_no_way_back() -> None:
    """The table itself has no way back: following the arrows never returns."""
    for package_name in MAY_IMPORT:
        reached, frontier = set(), MAY_IMPORT[package_name] - {AIRFLOW}
        while frontier:
            reached |= frontier
            frontier = set().union(*(MAY_IMPORT[name] for name in frontier)) - reached - {AIRFLOW}
        assert package_name not in reached


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
        ("workflow/run.py", "from emulator.world import World", "emulator.world"),
        ("hooks/base.py", "from ..cloud import client", "..cloud"),
        ("attic/old.py", "import json", "the package 'attic' has no line"),
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


def test_no_file_reaches_itself_through_its_imports() -> None:
    circles = []
    for top in (ROOT / "plugins", ROOT / "include"):
        modules = {dotted(path, top): path for path in top.rglob("*.py")}
        arrows = {name: targets(path, modules) - {name} for name, path in modules.items()}
        circles += [sorted(group) for group in knots(arrows) if len(group) > 1]
    assert circles == []


def dotted(path: Path, top: Path) -> str:
    """The name under which a file below ``top`` is imported."""
    return ".".join(path.relative_to(top).with_suffix("").parts).removesuffix(".__init__")


def targets(path: Path, modules: dict[str, Path]) -> set[str]:
    """The files that a file imports; ``from package import module`` counts as the module."""
    found = set()
    for node in nodes(path):
        if isinstance(node, ast.ImportFrom) and node.module:
            inside = {f"{node.module}.{alias.name}" for alias in node.names} & modules.keys()
            found |= inside or {node.module}
        else:
            found |= set(named(node))
    return found & modules.keys()


def knots(arrows: dict[str, set[str]]) -> list[set[str]]:
    """Groups of names that reach each other."""
    reach = {name: set(to) for name, to in arrows.items()}
    for middle in arrows:
        for name in arrows:
            if middle in reach[name]:
                reach[name] |= reach[middle]
    return [group for group in ({b for b in reach[a] if a in reach[b]} for a in arrows) if group]
