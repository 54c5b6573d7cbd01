"""The distribution ``rescind-verify``: the product's own files, installed and used without Airflow."""

from __future__ import annotations

import subprocess
import zipfile
from pathlib import Path

import pytest

from rescind.cli import main
from rescind.i18n import LANGUAGES
from rescind.ledger import Ledger
from tests.support.servers.emulator import ROOT
from tests.support.wheels import VERIFIER, build, install, installed
from tests.unit.evidence.conftest import KEY, OTHER, bundle, closed_run, pem

PRODUCT = "rescind_verify/product/"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(VERIFIER, tmp_path_factory.mktemp("dist"))


def test_it_holds_the_files_of_the_product_byte_for_byte(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if name.startswith(PRODUCT)]
        for name in names:
            assert archive.read(name) == (ROOT / "plugins" / name.removeprefix(PRODUCT)).read_bytes(), name
        top = {name.partition("/")[0] for name in archive.namelist()}
    assert sum(name.endswith(".mo") for name in names) == 2, "the report has all languages"
    assert any(name.endswith("report.html.j2") for name in names) and any(n.endswith("controls.json") for n in names)
    assert {name for name in top if not name.endswith(".dist-info")} == {"rescind_verify"}, "it owns no file of rescind"


@pytest.mark.install
def test_it_verifies_a_bundle_without_airflow(
    wheel: Path, ledger: Ledger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    python = install(tmp_path / "venv", wheel)
    assert "rescind-verify" in installed(python)
    assert not {"apache-airflow-core", "psycopg", "pydantic", "httpx", "pyyaml", "airflow-rescind"} & installed(python)
    place = bundle(ledger, closed_run(ledger), tmp_path / "bundles")
    keys = {name: tmp_path / f"{name}.pem" for name in ("right", "wrong")}
    keys["right"].write_bytes(pem(KEY))
    keys["wrong"].write_bytes(pem(OTHER))

    def run(*arguments: str | Path) -> tuple[int, str]:
        command = [str(python.with_name("rescind-verify")), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, env={}, cwd=tmp_path)
        return done.returncode, done.stdout + done.stderr

    assert main(["evidence", "verify", str(place), "--key", str(keys["right"])]) == 0
    assert run("verify", place, "--key", keys["right"]) == (0, capsys.readouterr().out)
    assert run("verify", place, "--key", keys["wrong"])[0] == 1
    for language in LANGUAGES:
        assert run("report", place, "again.html", "--language", language)[0] == 0
        assert main(["evidence", "report", str(place), str(tmp_path / "once.html"), "--language", language]) == 0
        assert (tmp_path / "again.html").read_bytes() == (tmp_path / "once.html").read_bytes()
    assert run("export", place, "tables")[0] == run("sanitize", place, "copy")[0] == 0
    assert run("verify", "copy")[0] == run("verify", place)[0] == 3
    decisions = place / "decisions.jsonl"
    decisions.write_bytes(decisions.read_bytes().replace(b'"keep"', b'"kept"', 1))
    status, said = run("verify", place)
    assert status == 1 and "FAIL" in said and "decisions.jsonl" in said
