"""Loads the plugins folder as Airflow does, in a process of its own.

Without ``plugins/.airflowignore`` the loader runs every file below the folder under its bare name: a module
``rescind/hooks/http.py`` would become *the* module ``http`` of the process. So this looks at what is loaded
afterwards, and shows on a copy without the ignore file that it would notice.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PLUGINS = ROOT / "plugins"
STANDARD = (
    "http",
    "json",
    "types",
    "logging",
    "calendar",
    "email",
    "select",
    "statistics",
    "queue",
    "copy",
    "platform",
)

PROBE = """
import importlib, json, sys
# The distribution of this checkout, which the test's interpreter may have, is no part of what is tried here.
def only_tried(metadata):
    every = metadata.distributions
    def tried(one):
        return one.metadata["Name"] != "airflow-rescind" or str(one.locate_file("")).rstrip("/") == sys.argv[4]
    metadata.distributions = lambda **given: filter(tried, every(**given))
for name in ("importlib.metadata", "importlib_metadata"):
    try:
        only_tried(importlib.import_module(name))
    except ImportError:
        pass
from airflow import plugins_manager
plugins_manager.ensure_plugins_loaded()
watched = sys.argv[1].split(",")
print("PROBE " + json.dumps({
    "import_errors": plugins_manager.get_import_errors(),
    "plugins": {plugin["name"]: str(plugin["source"]) for plugin in plugins_manager.get_plugin_info()},
    "pages": [app["url_prefix"] for app in plugins_manager.get_fastapi_plugins()[0]],
    "origins": {name: getattr(importlib.import_module(name), "__file__", None) for name in watched},
    "bare_init": "__init__" in sys.modules,
    "bare": sorted(name for name in sys.argv[2].split(",") if name in sys.modules
                   and (getattr(sys.modules[name], "__file__", None) or "").startswith(sys.argv[3])),
}))
"""


def load(plugins: Path, home: Path, *, path: Path | None = None) -> dict[str, Any]:
    """What a fresh Airflow process has after it loaded this plugins folder.

    :param path: a folder that comes first on the import path, as installed distributions do.
    """
    stems = sorted({path.stem for path in (plugins / "rescind").rglob("*.py")} - {"__init__"})
    watched = sorted({*STANDARD, *(stem for stem in stems if stem in sys.stdlib_module_names)})
    env = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    env |= {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(plugins),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
    }
    if path is not None:
        env["PYTHONPATH"] = str(path)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROBE, ",".join(watched), ",".join(stems), str(plugins), str(path)],
        env=env,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("PROBE ")]
    assert lines, f"the probe did not finish:\n{done.stdout[-1500:]}\n{done.stderr[-3000:]}"
    found: dict[str, Any] = json.loads(lines[-1].removeprefix("PROBE "))
    return found


def foreign(found: dict[str, Any]) -> dict[str, str]:
    """Standard modules that do not come from the standard library."""
    homes = tuple(sysconfig.get_path(name) for name in ("stdlib", "platstdlib"))
    site = sysconfig.get_path("purelib")
    return {
        name: origin
        for name, origin in found["origins"].items()
        if origin and (not origin.startswith(homes) or origin.startswith(site))
    }


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Copied folders: the distribution that is installed registers no plugin."""
    site = distribution(tmp_path_factory.mktemp("site"), "")
    return load(PLUGINS, tmp_path_factory.mktemp("home"), path=site)


@pytest.mark.airflow
def test_every_plugin_loads(loaded: dict[str, Any]) -> None:
    assert loaded["import_errors"] == {}
    assert loaded["plugins"] == {"rescind": "$PLUGINS_FOLDER/rescind_plugin.py"}
    assert loaded["pages"] == ["/rescind"]


def distribution(site: Path, entry_points: str) -> Path:
    """A folder as an installed distribution leaves it: the package and what it registers."""
    info = site / "airflow_rescind-9.9.9.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.4\nName: airflow-rescind\nVersion: 9.9.9\n")
    (info / "entry_points.txt").write_text(entry_points)
    (site / "rescind").symlink_to(PLUGINS / "rescind")
    return site


@pytest.mark.airflow
def test_the_wheel_and_copied_folders_together_register_the_plugin_once(tmp_path: Path) -> None:
    points = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["airflow.plugins"]
    text = "[airflow.plugins]\n" + "".join(f"{name} = {value}\n" for name, value in points.items())
    found = load(PLUGINS, tmp_path / "home", path=distribution(tmp_path / "site", text))
    assert found["import_errors"] == {}, "Airflow reports the second plugin of a name as an import error"
    assert list(found["plugins"]) == ["rescind"]
    assert found["plugins"]["rescind"].startswith("airflow-rescind==9.9.9: ")
    assert found["pages"] == ["/rescind"]


@pytest.mark.airflow
def test_standard_modules_stay_the_standard_librarys(loaded: dict[str, Any]) -> None:
    assert set(STANDARD) <= set(loaded["origins"])
    assert foreign(loaded) == {}


@pytest.mark.airflow
def test_no_module_of_the_package_is_loaded_under_its_bare_name(loaded: dict[str, Any]) -> None:
    assert loaded["bare"] == []
    assert loaded["bare_init"] is False


@pytest.mark.airflow
def test_without_the_ignore_file_this_would_be_noticed(tmp_path: Path) -> None:
    plugins = tmp_path / "plugins"
    (plugins / "rescind" / "hooks").mkdir(parents=True)
    shutil.copy(PLUGINS / "rescind_plugin.py", plugins)
    for name in ("__init__.py", "hooks/__init__.py"):
        (plugins / "rescind" / name).write_text("")
    (plugins / "rescind" / "hooks" / "http.py").write_text("class Hook:\n    pass\n")
    (plugins / "rescind" / "hooks" / "broken.py").write_text("from . import nothing\n")
    found = load(plugins, tmp_path / "home")
    assert "http" in foreign(found)
    assert "http" in found["bare"]
    assert found["import_errors"]
