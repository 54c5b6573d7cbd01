"""The wheel: everything that the package needs at run time is in it, and Airflow finds the provider."""

from __future__ import annotations

import configparser
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import rescind
from tests.support.wheels import build

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[zipfile.ZipFile]:
    built = build(ROOT, tmp_path_factory.mktemp("dist"))
    assert built.name.startswith(f"airflow_rescind-{rescind.__version__}-py3-none-any")
    with zipfile.ZipFile(built) as archive:
        yield archive


def test_every_file_of_the_package_is_in_it_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    package = ROOT / "plugins" / "rescind"
    sources = {f"rescind/{path.relative_to(package).as_posix()}" for path in package.rglob("*")
               if path.is_file() and "__pycache__" not in path.parts}  # fmt: skip
    packed = {name for name in wheel.namelist() if ".dist-info/" not in name}
    data = {name for name in packed if name.startswith("rescind/data/")}
    assert packed - data == sources
    assert "rescind/py.typed" in packed
    assert any(name.endswith(".sql") for name in packed), "the ledger's migrations are missing"


def test_the_data_is_in_it_byte_for_byte(wheel: zipfile.ZipFile) -> None:
    places = {"dags": "dags", **{name: f"include/{name}" for name in ("config", "examples", "policies")}}
    wanted = {"rescind/data/pools.json": (ROOT / "include/pools.json").read_bytes()}
    for name, place in places.items():
        files = [path for path in (ROOT / place).iterdir() if path.is_file() and path.suffix != ".pyc"]
        wanted |= {f"rescind/data/{name}/{path.name}": path.read_bytes() for path in files}
    packed = {name: wheel.read(name) for name in wheel.namelist() if name.startswith("rescind/data/")}
    assert packed == wanted
    assert len(wanted) > 20


def test_the_unpacked_wheel_finds_its_data_and_its_settings_home(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    site, home = tmp_path / "site", tmp_path / "airflow"
    wheel.extractall(site)
    env = {"PYTHONPATH": str(site), "AIRFLOW_HOME": str(home)}
    code = "from rescind.settings import Settings; print(Settings().path('policy'))"

    def said(*arguments: str, **more: str) -> str:
        command = [sys.executable, "-W", "error", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=tmp_path, env={**env, **more})
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert said("-m", "rescind", "dags") == f"{site}/rescind/data/dags\n"
    unset = subprocess.run(
        [sys.executable, "-m", "rescind", "init", ""], capture_output=True, text=True, cwd=tmp_path, env=env, timeout=60
    )
    assert unset.returncode == 2 and "the folder is empty: is the variable set?" in unset.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"site"}
    steps = said("-m", "rescind", "init", str(home))
    assert f"Airflow finds the DAGs in {home}/dags" in steps
    assert "DAGS_FOLDER" not in steps
    elsewhere = said("-m", "rescind", "init", str(tmp_path / "other"))
    assert f"RESCIND_HOME={tmp_path}/other and AIRFLOW__CORE__DAGS_FOLDER={tmp_path}/other/dags" in elsewhere
    assert (home / "dags/access_review.py").read_bytes() == (ROOT / "dags/access_review.py").read_bytes()
    assert said("-c", code) == f"{home}/include/policies/access_review.yaml\n"
    assert said("-c", code, RESCIND_HOME="/elsewhere") == "/elsewhere/include/policies/access_review.yaml\n"


def test_airflow_finds_the_provider(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    (points,) = [name for name in wheel.namelist() if name.endswith(".dist-info/entry_points.txt")]
    parser = configparser.ConfigParser()
    parser.read_string(wheel.read(points).decode())
    assert dict(parser["apache_airflow_provider"]) == {"provider_info": "rescind.provider_info:get_provider_info"}
    assert dict(parser["airflow.plugins"]) == {"rescind": "rescind.airflow_plugin:RescindPlugin"}
    assert dict(parser["console_scripts"]) == {"rescind": "rescind.cli:main"}
    wheel.extractall(tmp_path)
    code = "import sys; from rescind.provider_info import get_provider_info as g\n"
    code += "print(g()['package-name'], sys.modules['rescind'].__file__, 'airflow' in sys.modules)"
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)}
    )
    name, origin, heavy = done.stdout.split()
    assert name == "airflow-rescind"
    assert origin.startswith(str(tmp_path))
    assert heavy == "False", "the provider's description is read by every Airflow process and must stay light"


def test_the_package_asks_for_what_it_imports(wheel: zipfile.ZipFile) -> None:
    (meta,) = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
    lines = wheel.read(meta).decode().splitlines()
    asked = [line.removeprefix("Requires-Dist: ") for line in lines if line.startswith("Requires-Dist:")]
    wanted = {re.split(r"[<>=! ;]", line)[0].lower() for line in asked}
    assert {"apache-airflow", "httpx", "pydantic", "psycopg[binary]", "pyyaml", "cel-expr-python"} <= wanted
    assert "Requires-Python: >=3.11" in lines
