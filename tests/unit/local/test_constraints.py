"""The pinned versions: complete, with hashes, checked at installation, and open to the auth managers of Airflow."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from local import install
from tests.support.servers.emulator import ROOT

TEXT = (ROOT / "constraints.txt").read_text(encoding="utf-8")
UV = Path(sys.executable).parent / "uv"


def _wanted(group: str) -> list[Requirement]:
    lines = (ROOT / install.GROUPS[group]).read_text(encoding="utf-8").splitlines()
    return [Requirement(line.partition(" #")[0]) for line in lines if re.match(r"[A-Za-z0-9]", line)]


def _name(requirement: Requirement) -> str:
    return re.sub(r"[-_.]+", "-", requirement.name).lower()


def test_everything_that_is_asked_for_is_pinned_in_its_group_to_a_version_that_is_asked_for() -> None:
    groups: list[str] = []
    for group in install.GROUPS:
        groups.append(group)
        pinned = install.by_name(install.pins(TEXT, *groups))
        for requirement in _wanted(group):
            version = pinned[_name(requirement)].partition("==")[2].split()[0]
            assert requirement.specifier.contains(version, prereleases=True), f"{requirement} but {version}"
    assert set(pinned) == set(install.by_name(TEXT))


def test_every_pin_has_hashes_and_points_nowhere() -> None:
    lines = [line for line in TEXT.splitlines() if line and not line.startswith("#")]
    for line in lines:
        assert re.fullmatch(
            r"[a-z0-9-]+==[\w.!+]+( ; [\w.' !=<>*-]+)? \\|    --hash=sha256:[0-9a-f]{64}( \\)?", line
        ), line
    assert all("--hash=sha256:" in block for block in install.by_name(TEXT).values())
    assert sum("==" in line and not line.startswith(" ") for line in lines) >= len(install.by_name(TEXT)) > 200


def test_a_group_that_is_missing_names_the_fix() -> None:
    with pytest.raises(install.InstallError, match=r"no group 'dev'.*make constraints"):
        install.pins("# group run: requirements.txt\nhttpx==0.28.1\n", "run", "dev")


def test_a_file_with_another_hash_is_not_installed(tmp_path: Path) -> None:
    wheel = tmp_path / "demo-1.0-py3-none-any.whl"
    wheel.write_bytes(b"anything")
    wanted = tmp_path / "pinned.txt"
    wanted.write_text(f"demo==1.0 \\\n    --hash=sha256:{'0' * 64}\n")
    command = [*install._pip(Path(sys.executable)), "install", "--dry-run", "--no-index", "--find-links", str(tmp_path)]
    done = subprocess.run(
        [*command, "--no-deps", "--require-hashes", "-r", str(wanted)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode != 0 and "DO NOT MATCH THE HASHES" in done.stderr


def test_only_pinned_files_with_hashes_are_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[list[str]] = []
    read: list[str] = []

    def run(command: list[str]) -> bool:
        ran.append(command)
        read.extend(Path(command[-1]).read_text() for _ in [0] if command[-2] == "-r")
        return True

    monkeypatch.setattr(install, "_run", run)
    install._install(tmp_path / "bin" / "python", ("run",))
    installer, wanted, project = ran
    assert all({"--require-hashes", "--no-deps"} <= set(command) for command in (installer, wanted))
    assert re.match(r"uv==\S+ \\\n    --hash", read[0]) and read[1] == install.pins(TEXT, "run")
    assert {"--no-deps", "--no-build-isolation", "--editable"} <= set(project)


@pytest.mark.skipif(not UV.exists(), reason="make install-dev installs uv")
def test_the_auth_managers_of_airflow_fit_the_pins() -> None:
    files = [install.GROUPS[group] for group in ("run", "auth")]
    try:
        found = install.by_name(
            install._resolve(Path(sys.executable), files, "--constraints", str(ROOT / "constraints.txt"))
        )
    except install.InstallError as error:
        if re.search(r"dns error|failed to connect|error sending request|timed out", str(error), re.IGNORECASE):
            pytest.skip("the package index cannot be reached")
        raise
    assert {"apache-airflow-providers-fab", "apache-airflow-providers-keycloak"} <= found.keys()
    assert found.keys() <= install.by_name(TEXT).keys()


def test_uv_uses_the_certificates_of_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    """An emptied environment names no certificates, and those that uv brings do not know a company's proxy."""
    for name in list(os.environ):
        monkeypatch.delenv(name)
    python = Path("/somewhere/venv/bin/python")
    assert install._environ(python) == {"UV_SYSTEM_CERTS": "1", "VIRTUAL_ENV": "/somewhere/venv"}
    monkeypatch.setenv("UV_SYSTEM_CERTS", "0")
    assert install._environ(python)["UV_SYSTEM_CERTS"] == "0"
