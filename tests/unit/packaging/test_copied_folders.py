"""The folders that a managed Airflow takes: complete, with their inputs found, and with what pip must install."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.support.servers.emulator import ROOT

FOLDER = ROOT / "include" / "dms-airflow"
PROBE = """
from rescind.settings import Settings, settings_home
print(settings_home())
for name in ("policy", "protections", "exceptions", "owners"):
    print(Settings().path(name).is_file())
"""


LIMITS = ("cadwyn<7.1", "fastapi<0.137")


def asked() -> list[str]:
    lines = (FOLDER / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if not line.startswith("#")]


@pytest.fixture(scope="module")
def laid_out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bucket") / "default"
    subprocess.run(["sh", str(FOLDER / "lay_out.sh"), str(folder)], check=True, timeout=60)
    return folder


def test_everything_is_there_and_nothing_else(laid_out: Path) -> None:
    assert {path.name for path in laid_out.iterdir()} == {"dags", "plugins", "requirements.txt"}
    inside = {path.name for path in (laid_out / "plugins").iterdir()}
    assert inside == {".airflowignore", "include", "rescind", "rescind_plugin.py"}
    assert not list(laid_out.rglob("__pycache__"))
    for part in ("dags", "plugins/rescind"):
        mine, copied = ROOT / part, laid_out / part
        assert {path.relative_to(copied) for path in copied.rglob("*.py")} == {
            path.relative_to(mine) for path in mine.rglob("*.py")
        }


def test_relative_paths_of_settings_start_in_the_plugins_folder(laid_out: Path) -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("RESCIND_", "AIRFLOW"))}
    env |= {"PYTHONPATH": str(laid_out / "plugins"), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", PROBE], cwd="/", env=env, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.split() == [str((laid_out / "plugins").resolve()), *["True"] * 4]


def test_a_folder_that_exists_is_not_written_to(tmp_path: Path) -> None:
    done = subprocess.run(["sh", str(FOLDER / "lay_out.sh"), str(tmp_path)], capture_output=True, timeout=60)
    assert done.returncode != 0 and list(tmp_path.iterdir()) == []


def test_pip_gets_what_the_package_needs_and_keeps_the_airflow_of_the_service() -> None:
    needs = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    assert [line for line in asked() if line not in LIMITS] == [
        "apache-airflow==3.2.2" if one.startswith("apache-airflow>=") else one for one in needs
    ]


def test_pip_gets_nothing_newer_of_what_airflow_does_not_start_with() -> None:
    pinned = (ROOT / "constraints-3.2.2.txt").read_text(encoding="utf-8")
    for one in LIMITS:
        limit = Requirement(one)
        (version,) = re.findall(rf"^{limit.name}==([\d.]+)", pinned, re.M)
        major, minor, *_ = version.split(".")
        assert one in asked() and str(limit.specifier) == f"<{major}.{int(minor) + 1}"
