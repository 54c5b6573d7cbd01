"""Wheels of this checkout, built and installed into environments of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.servers.emulator import ROOT

VERIFIER = ROOT / "packages" / "rescind-verify"


def build(project: Path, folder: Path) -> Path:
    """The wheel of a project, built into a folder."""
    pytest.importorskip("hatchling", reason="hatchling builds the wheel; make install-dev installs it")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("*.whl")
    return built


def install(venv: Path, *wanted: str | Path) -> Path:
    """A new virtual environment with these distributions at the versions of constraints.txt; its Python."""
    pytest.importorskip("uv", reason="uv fills the environment; make install installs it")
    uv = [sys.executable, "-m", "uv"]
    env = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    env.setdefault("UV_SYSTEM_CERTS", "1")  # as the installer does
    limits = ["--constraints", str(ROOT / "constraints.txt")]
    python = venv / "bin" / "python"
    for command in (
        [*uv, "venv", "--quiet", "--python", sys.executable, str(venv)],
        [*uv, "pip", "install", "--quiet", "--python", str(python), *limits, *map(str, wanted)],
    ):
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
    return python


def installed(python: Path) -> set[str]:
    """Names of the distributions in an environment."""
    code = "from importlib.metadata import distributions as d; print(*{x.metadata['Name'].lower() for x in d()})"
    done = subprocess.run([str(python), "-I", "-c", code], capture_output=True, text=True, timeout=60, check=True)
    return set(done.stdout.split())
