"""Make the project's virtual environment. Runs on a bare Python, before anything is installed.

    python3 -I include/local/install.py [--dev] [--venv FOLDER]
    python3 -I include/local/install.py --constraints

Steps: a virtual environment, uv in it (a fast installer; where it does not work, pip does the same), the
requirements under constraints.txt, the project itself as an editable install, so that Airflow finds the
provider's entry point. What was installed is noted in the environment: a second run with nothing changed returns
at once. ``--constraints`` resolves the requirements anew in a throw-away environment and writes constraints.txt.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
OLDEST = (3, 11)
INPUTS = ("requirements.txt", "requirements-dev.txt", "constraints.txt", "pyproject.toml")


class InstallError(Exception):
    """Something that the person at the keyboard has to settle; the message says how."""


def main(arguments: list[str] | None = None) -> int:
    """Install; exit status 0 when the environment is complete."""
    parser = argparse.ArgumentParser(description="Make the project's virtual environment.")
    parser.add_argument("--dev", action="store_true", help="with the tools of development and of the whole test suite")
    parser.add_argument("--venv", type=Path, default=PROJECT / ".venv", help="folder of the environment")
    parser.add_argument("--constraints", action="store_true", help="write constraints.txt from the newest that fits")
    options = parser.parse_args(arguments)
    try:
        if options.constraints:
            write_constraints()
        else:
            install(options.venv, dev=options.dev)
    except InstallError as error:
        print(f"install: {error}", file=sys.stderr)
        return 1
    return 0


def install(venv: Path, *, dev: bool) -> None:
    """Bring the environment in line with the requirement files.

    :raises InstallError: when a step fails; names the step and the remedy.
    """
    if sys.version_info[:2] < OLDEST:
        have, want = ".".join(map(str, sys.version_info[:2])), ".".join(map(str, OLDEST))
        raise InstallError(f"this is Python {have}; Python {want} or newer is needed. Use make PYTHON=python{want}.")
    wanted = _digest()
    note = venv / "rescind-installed"
    kinds = ("dev",) if dev else ("run", "dev")
    if note.exists() and note.read_text().split() in [[kind, wanted] for kind in kinds]:
        return
    had_dev = note.exists() and note.read_text().startswith("dev")
    dev = dev or had_dev  # never take tools away by installing less
    python = _environment(venv)
    note.unlink(missing_ok=True)
    requirements = PROJECT / ("requirements-dev.txt" if dev else "requirements.txt")
    _install(python, requirements)
    note.write_text(f"{'dev' if dev else 'run'} {wanted}\n")
    print(f"install: {venv} is complete", flush=True)


def write_constraints() -> None:
    """Resolve requirements-dev.txt anew and write what came out as constraints.txt.

    :raises InstallError: when the requirements do not fit together.
    """
    path = PROJECT / "constraints.txt"
    with tempfile.TemporaryDirectory(prefix="rescind-constraints-") as folder:
        python = _environment(Path(folder) / "venv")
        pip = [str(python), "-m", "pip", "--disable-pip-version-check"]
        if not _run([*pip, "install", "--quiet", "uv"]):
            raise InstallError("uv could not be installed, see above. Is the package index reachable?")
        uv = [str(python.parent / "uv"), "pip"]
        wanted = str(PROJECT / "requirements-dev.txt")
        if not _run([*uv, "install", "--quiet", "--python", str(python), "-r", wanted]):
            raise InstallError("requirements-dev.txt cannot be resolved, see above.")
        frozen = subprocess.run(
            [*uv, "freeze", "--python", str(python)], capture_output=True, text=True, check=True
        ).stdout.splitlines()
    pins = sorted(line for line in frozen if "==" in line and not line.startswith(("-", "pip==", "setuptools==")))
    version = "{}.{}".format(*sys.version_info[:2])
    head = (
        f"# Every distribution at the version that the test suite passed with (Python {version}).\n"
        "# Written by: make constraints. Read the difference, then run: make test.\n"
    )
    path.write_text(head + "\n".join(pins) + "\n")
    print(f"install: {path.name} now pins {len(pins)} distributions")


def _digest() -> str:
    content = hashlib.sha256(f"{sys.version} {PROJECT}".encode())  # the project is installed by its place
    for name in INPUTS:
        path = PROJECT / name
        content.update(path.read_bytes() if path.exists() else b"")
    return content.hexdigest()


def _environment(venv: Path) -> Path:
    python = venv / "bin" / "python"
    if _quiet(python, "-c", "import sys"):
        if not _quiet(python, "-m", "pip", "--version") and not _quiet(python, "-m", "ensurepip"):
            raise InstallError(f"{venv} has no pip and cannot get one. Remove it, then try again.")
        return python
    if (venv / "pyvenv.cfg").exists():
        shutil.rmtree(venv)  # an environment whose Python is gone, or one that was never finished
    elif venv.exists() and any(venv.iterdir()):
        raise InstallError(f"{venv} is something other than a virtual environment. Move it away, then try again.")
    print(f"install: making {venv}", flush=True)
    done = subprocess.run([sys.executable, "-m", "venv", str(venv)], capture_output=True, text=True)
    if done.returncode != 0:
        shutil.rmtree(venv, ignore_errors=True)
        version = "{}.{}".format(*sys.version_info[:2])
        raise InstallError(
            f"python -m venv failed: {(done.stdout + done.stderr).strip()[-400:]}\n"
            f"On Debian and Ubuntu: apt-get install python{version}-venv"
        )
    return python


def _install(python: Path, requirements: Path) -> None:
    constraints = PROJECT / "constraints.txt"
    limits = ["-c", str(constraints)] if constraints.exists() else []
    builds = ["--build-constraints", str(constraints)] if constraints.exists() else []
    project = ["--no-deps", "--editable", str(PROJECT)]
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    if _run([*pip, *limits, "uv"]):
        uv = [str(python.parent / "uv"), "pip", "install", "--quiet", "--python", str(python)]
        print(f"install: {requirements.name} with uv", flush=True)
        if _run([*uv, "-r", str(requirements), *limits]) and _run([*uv, *project, *builds]):
            return
        print("install: uv did not succeed, trying pip", flush=True)
    print(f"install: {requirements.name} with pip", flush=True)
    if not (_run([*pip, "-r", str(requirements), *limits]) and _run([*pip, *project])):
        raise InstallError(f"installing {requirements.name} failed, see above. Is the package index reachable?")


def _quiet(*command: str | Path) -> bool:
    try:
        return subprocess.run(command, capture_output=True).returncode == 0
    except OSError:
        return False


def _run(command: list[str]) -> bool:
    # A PYTHONPATH of the caller must not decide what counts as installed.
    env = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    env["VIRTUAL_ENV"] = str(Path(command[0]).parents[1])
    return subprocess.run(command, env=env).returncode == 0


if __name__ == "__main__":
    raise SystemExit(main())
