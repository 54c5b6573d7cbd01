"""Make the project's virtual environment. Runs on a bare Python, before anything is installed.

    python3 -I include/local/install.py [--dev] [--airflow VERSION] [--venv FOLDER]
    python3 -I include/local/install.py --constraints

Steps: create the environment, install uv (a fast installer; if it fails, pip does the same work), install the pinned
distributions of constraints.txt, install the project itself as editable, so that Airflow finds the provider's entry
point. Every downloaded file is checked against the hashes in constraints.txt. The environment records what was
installed, so a second run with nothing changed returns immediately. ``--constraints`` resolves the requirements again
and writes constraints.txt, and one file like it for each older Airflow that is supported.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
OLDEST = (3, 11)
GROUPS = {"run": "requirements.txt", "dev": "requirements-dev.txt", "auth": "requirements-auth.txt"}
"""Groups of constraints.txt, in order. Each holds what its file needs beyond the groups before it."""
PINNED = {"": "constraints.txt", "3.2.2": "constraints-3.2.2.txt"}
"""Files of pinned distributions: that of requirements.txt, and those of older versions of Airflow."""
INPUTS = (*GROUPS.values(), *PINNED.values(), "pyproject.toml")
_GROUP = re.compile(r"^# group (\w+): .*\n", re.MULTILINE)
_PINNED = re.compile(r"^[a-z0-9](?:[^\n]*\\\n)*[^\n]*\n", re.MULTILINE)
_HEAD = """# Airflow {airflow}. Every distribution at the version that was tried, and its hashes (Python 3.11 to 3.13).
# Written by: make constraints. Read the difference, then run: make test.
"""


class InstallError(Exception):
    """Installation cannot continue. The message names the step and the fix."""


def main(arguments: list[str] | None = None) -> int:
    """Install; exit status 0 when the environment is complete."""
    parser = argparse.ArgumentParser(description="Make the project's virtual environment.")
    parser.add_argument("--dev", action="store_true", help="with the tools of development and of the whole test suite")
    parser.add_argument("--airflow", choices=list(PINNED), default="", help="an older Airflow; default: the newest")
    parser.add_argument("--venv", type=Path, default=PROJECT / ".venv", help="folder of the environment")
    parser.add_argument("--constraints", action="store_true", help="write constraints.txt from the newest that fits")
    options = parser.parse_args(arguments)
    try:
        if options.constraints:
            write_constraints()
        else:
            install(options.venv, dev=options.dev, airflow=options.airflow)
    except InstallError as error:
        print(f"install: {error}", file=sys.stderr)
        return 1
    return 0


def install(venv: Path, *, dev: bool, airflow: str = "") -> None:
    """Bring the environment in line with constraints.txt.

    :param airflow: a key of :data:`PINNED`.
    :raises InstallError: if a step fails; names the step and the fix.
    """
    if sys.version_info[:2] < OLDEST:
        have, want = ".".join(map(str, sys.version_info[:2])), ".".join(map(str, OLDEST))
        raise InstallError(f"this is Python {have}; Python {want} or newer is needed. Use make PYTHON=python{want}.")
    wanted = _digest(airflow)
    note = venv / "rescind-installed"
    kinds = ("dev",) if dev else ("run", "dev")
    if note.exists() and note.read_text().split() in [[kind, wanted] for kind in kinds]:
        return
    had_dev = note.exists() and note.read_text().startswith("dev")
    dev = dev or had_dev  # never take tools away by installing less
    python = _environment(venv)
    note.unlink(missing_ok=True)
    _install(python, ("run", "dev") if dev else ("run",), PINNED[airflow])
    note.write_text(f"{'dev' if dev else 'run'} {wanted}\n")
    print(f"install: {venv} is complete", flush=True)


def pins(text: str, *groups: str) -> str:
    """Return the pinned requirements of these groups, with their hashes.

    :param text: content of constraints.txt.
    :raises InstallError: if a group is missing.
    """
    _, *rest = _GROUP.split(text)
    found = dict(zip(rest[::2], rest[1::2], strict=True))
    missing = [group for group in groups if group not in found]
    if missing:
        raise InstallError(f"constraints.txt has no group {missing[0]!r}. Run: make constraints")
    return "".join(found[group] for group in groups)


def by_name(text: str) -> dict[str, str]:
    """Return the pinned requirements by distribution. One that depends on the platform has several versions."""
    found: dict[str, str] = {}
    for match in _PINNED.finditer(text):
        name = match[0].partition("==")[0]
        found[name] = found.get(name, "") + match[0]
    return found


def write_constraints(folder: Path = PROJECT) -> None:
    """Resolve the requirements of all groups together and write the newest versions that fit.

    The file of an older Airflow differs from constraints.txt only where that Airflow needs it.

    :raises InstallError: if the requirements contradict each other, or the package index does not answer.
    """
    with tempfile.TemporaryDirectory(prefix="rescind-constraints-") as work:
        python, whole = _environment(Path(work) / "venv"), Path(work) / "whole.txt"
        if not _run([*_pip(python), "install", "--quiet", "uv"]):
            raise InstallError("uv could not be installed, see above. Is the package index reachable?")
        for airflow, name in PINNED.items():
            # An output file that is there already gives the versions to prefer: those of the file before.
            options = ["--output-file", str(whole)]
            if airflow:
                older = Path(work) / "airflow.txt"
                older.write_text(f"apache-airflow=={airflow}\n")
                options += ["--override", str(older)]
            _resolve(python, list(GROUPS.values()), "--generate-hashes", *options)
            text, count = _grouped(python, whole, options[2:])
            (folder / name).write_text(text)
            print(f"install: {name} now pins {count} distributions")


def _grouped(python: Path, whole: Path, options: list[str]) -> tuple[str, int]:
    """Return the content of a file of pinned distributions, by group, and how many there are."""
    pinned, written, files = by_name(whole.read_text()), set[str](), list(GROUPS.values())
    text = _HEAD.format(airflow=pinned["apache-airflow"].split()[0].partition("==")[2])
    for count, group in enumerate(GROUPS, start=1):
        needed = by_name(_resolve(python, files[:count], "--constraints", str(whole), *options)).keys() - written
        written |= needed
        text += f"\n# group {group}: {GROUPS[group]}\n" + "".join(pinned[name] for name in sorted(needed))
    return text, len(written)


def _resolve(python: Path, files: list[str], *options: str) -> str:
    compiled = [str(python.parent / "uv"), "pip", "compile", "--quiet", "--universal", "--no-header", "--no-annotate"]
    wanted = [*compiled, "--python-version", ".".join(map(str, OLDEST)), *options, *(str(PROJECT / f) for f in files)]
    done = subprocess.run(wanted, capture_output=True, text=True, env=_environ(python))
    if done.returncode != 0:
        raise InstallError(f"{', '.join(files)} cannot be resolved: {done.stderr.strip()[-2000:]}")
    return done.stdout


def _digest(airflow: str) -> str:
    content = hashlib.sha256(f"{sys.version} {PROJECT} {airflow}".encode())  # the project is installed by its place
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


def _install(python: Path, groups: tuple[str, ...], file: str = PINNED[""]) -> None:
    constraints = (PROJECT / file).read_text()
    names = " and ".join(groups)
    uv = [str(python.parent / "uv"), "pip", "install", "--quiet", "--python", str(python)]
    pip = [*_pip(python), "install", "--quiet"]
    with tempfile.TemporaryDirectory(prefix="rescind-install-") as folder:
        installer, wanted = Path(folder) / "uv.txt", Path(folder) / "pinned.txt"
        installer.write_text(by_name(constraints)["uv"])
        wanted.write_text(pins(constraints, *groups))
        # What is installed is what the file holds, no more: nothing is resolved, and each file must have its hash.
        checked = ["--no-deps", "--require-hashes", "-r"]
        project = ["--no-deps", "--no-build-isolation", "--editable", str(PROJECT)]
        if _run([*pip, *checked, str(installer)]):
            print(f"install: {names} of {file} with uv", flush=True)
            if _run([*uv, *checked, str(wanted)]) and _run([*uv, *project]):
                return
            print("install: uv did not succeed, trying pip", flush=True)
        print(f"install: {names} of {file} with pip", flush=True)
        if not (_run([*pip, *checked, str(wanted)]) and _run([*pip, *project])):
            raise InstallError(f"installing {names} failed, see above. Is the package index reachable?")


def _pip(python: Path) -> list[str]:
    return [str(python), "-m", "pip", "--disable-pip-version-check"]


def _quiet(*command: str | Path) -> bool:
    try:
        return subprocess.run(command, capture_output=True).returncode == 0
    except OSError:
        return False


def _environ(python: Path) -> dict[str, str]:
    # A PYTHONPATH of the caller must not decide what counts as installed. uv brings certificates of its own; those of
    # the system count, as they do for pip, also where no variable names them.
    env = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    return {"UV_SYSTEM_CERTS": "1", **env, "VIRTUAL_ENV": str(python.parents[1])}


def _run(command: list[str]) -> bool:
    return subprocess.run(command, env=_environ(Path(command[0]))).returncode == 0


if __name__ == "__main__":
    raise SystemExit(main())
