"""Tries every supported pair of Airflow and Python: ``python -m tests.matrix [--only 3.2.2/3.11 ...] [--write]``.

For each pair an environment is made from its file of pinned versions. In it every module is imported, the DAGs are
parsed, the page is read through a real API server, and one review runs in the process of the test. The oldest and the
newest pair also run the demonstration: a review on a running Airflow, judged by the emulator. ``--write`` puts the
table into README.md and docs/compatibility.md. The interpreters are those that the path knows as ``python3.11`` and so
on; with pyenv set ``PYENV_VERSION=3.11.7:3.12.1:3.13.0``.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PYTHONS = ("3.11", "3.12", "3.13")
NEWEST = re.findall(r"^apache-airflow==(\S+)", (ROOT / "requirements.txt").read_text(encoding="utf-8"), re.M)[0]
PINNED = {"3.2.2": "3.2.2", NEWEST: ""}
"""Version of Airflow -> what ``install.py --airflow`` calls it."""
PAGE = "with_permission or bad_bearer or bad_token or given_back or menu"
REVIEW = "tests/integration/reviews/test_review.py::test_exactly_the_planned_grants_are_gone_and_proven"
HEAD = "| Airflow | Python | modules | DAGs | page | review in the process | live review |\n|" + " --- |" * 7 + "\n"
PAGES = ("README.md", "docs/compatibility.md")
MARKS = ("<!-- matrix: begin, written by make matrix -->\n", "<!-- matrix: end -->\n")
IMPORTS = """
import importlib, pkgutil, rescind
names = [m.name for m in pkgutil.walk_packages(rescind.__path__, "rescind.") if not m.name.endswith("__main__")]
for name in names:
    importlib.import_module(name)
print("imported", len(names))
"""


class Pair(NamedTuple):
    """One version of Airflow on one version of Python."""

    airflow: str
    python: str


PAIRS = [Pair(airflow, python) for airflow in PINNED for python in PYTHONS]
LIVE = (PAIRS[0], PAIRS[-1])


class StepError(Exception):
    """A step failed; the message holds the end of its output."""


def main(arguments: list[str] | None = None) -> int:
    """Try the pairs; exit status 0 if every step of every pair succeeded."""
    parser = argparse.ArgumentParser(prog="python -m tests.matrix", description="Try pairs of Airflow and Python.")
    parser.add_argument("--only", action="append", metavar="AIRFLOW/PYTHON", help="this pair; may be repeated")
    parser.add_argument("--folder", type=Path, default=ROOT / ".matrix", help="for environments and logs")
    parser.add_argument("--no-live", action="store_true", help="without the live reviews")
    parser.add_argument("--write", action="store_true", help=f"write the rows into {' and '.join(PAGES)}")
    options = parser.parse_args(arguments)
    pairs = [pair for pair in PAIRS if not options.only or "/".join(pair) in options.only]
    rows = {pair: row(pair, options.folder / "-".join(pair), live=not options.no_live) for pair in pairs}
    print(HEAD + "".join(rows.values()))
    if options.write:
        for name in PAGES:
            text = (ROOT / name).read_text(encoding="utf-8")
            (ROOT / name).write_text(written(text, rows), encoding="utf-8")
    return int(not rows or any("FAILED" in text for text in rows.values()))


def row(pair: Pair, folder: Path, *, live: bool) -> str:
    """The row of one pair. The steps after one that failed are not tried."""
    cells: list[str] = []
    steps: list[Callable[[Pair, Path], str]] = [
        modules,
        dags,
        page,
        review,
        *([demonstration] if live and pair in LIVE else []),
    ]
    try:
        environment(pair, folder)
        for step in steps:
            began = time.monotonic()
            cells.append(step(pair, folder))
            print(
                f"{pair.airflow}/{pair.python} {step.__name__}: {cells[-1]} ({time.monotonic() - began:.0f} s)",
                flush=True,
            )
    except StepError as error:
        print(f"{pair.airflow}/{pair.python}: {error}", file=sys.stderr)
        cells.append("FAILED")
    cells += ["not tried"] * (5 - len(cells))
    return f"| {' | '.join([*pair, *cells])} |\n"


def written(text: str, rows: Mapping[Pair, str]) -> str:
    """The page with these rows; rows of other pairs stay."""
    before, rest = text.split(MARKS[0])
    table, after = rest.split(MARKS[1])
    kept = {Pair(*re.split(r" *\| *", line)[1:3]): line for line in table.splitlines(keepends=True)[2:]}
    return before + MARKS[0] + HEAD + "".join((kept | dict(rows)).get(pair, "") for pair in PAIRS) + MARKS[1] + after


def environment(pair: Pair, folder: Path) -> None:
    """Make the environment of a pair, or bring it up to date."""
    python = shutil.which(f"python{pair.python}")
    if python is None or run([python, "-c", ""], folder, "python").returncode:
        raise StepError(f"there is no python{pair.python} on the path; with pyenv set PYENV_VERSION")
    install = [python, "-I", str(ROOT / "include" / "local" / "install.py"), "--dev", "--venv", str(folder / "venv")]
    done(install + (["--airflow", PINNED[pair.airflow]] if PINNED[pair.airflow] else []), folder, "install")


def modules(pair: Pair, folder: Path) -> str:
    """Import every module of the package."""
    said = done([venv(folder), "-W", "ignore", "-c", IMPORTS], folder, "modules")
    return re.findall(r"^imported (\d+)", said, re.M)[0]


def dags(pair: Pair, folder: Path) -> str:
    """Parse and serialize the DAGs."""
    return tests(["tests/dags/test_integrity.py"], folder, "dags")


def page(pair: Pair, folder: Path) -> str:
    """Read the page through a real API server: with good, bad and missing tokens."""
    return tests(["tests/unit/web/test_auth.py", "-k", PAGE], folder, "page")


def review(pair: Pair, folder: Path) -> str:
    """Run one whole review in the process of the test, against the emulator."""
    return tests([REVIEW], folder, "review")


def demonstration(pair: Pair, folder: Path) -> str:
    """Run the demonstration on a running Airflow, and stop it."""
    state, ports = folder / "state", free_ports(2)
    local = [venv(folder), str(ROOT / "include" / "local"), "--state-dir", str(state)]
    local += ["--ui-port", str(ports[0]), "--emulator-port", str(ports[1]), "--start-timeout", "600"]
    try:
        said = done([*local, "demo"], folder, "demonstration")
    finally:
        run([*local, "clean"], folder, "clean")
    seconds = re.findall(r"every check held, (\d+) s in all", said)[-1]
    gone = sum(int(count) for count in re.findall(r"exactly the (\d+) planned grants are gone", said))
    return f"{gone} grants gone as planned, every check held, {seconds} s"


def tests(selected: list[str], folder: Path, name: str) -> str:
    """How many tests passed; none may fail."""
    said = done([venv(folder), "-m", "pytest", "-q", "-p", "no:cacheprovider", *selected], folder, name)
    return re.findall(r"(\d+ passed)", said)[-1]


def venv(folder: Path) -> str:
    """The Python of a pair's environment."""
    return str(folder / "venv" / "bin" / "python")


def done(command: list[str], folder: Path, name: str) -> str:
    """Run one command and return its output.

    :raises StepError: when it fails.
    """
    ended = run(command, folder, name)
    if ended.returncode:
        raise StepError(f"{name} failed, see {folder / name}.log:\n{ended.stdout[-3000:]}")
    return ended.stdout


def run(command: list[str], folder: Path, name: str) -> subprocess.CompletedProcess[str]:
    """Run one command in the project, with its output in a log of the pair."""
    folder.mkdir(parents=True, exist_ok=True)
    own = ("PYTHON", "AIRFLOW", "RESCIND_", "VIRTUAL_ENV")
    env = {name: value for name, value in os.environ.items() if not name.startswith(own)}
    env["PYTHONPATH"] = os.pathsep.join(str(ROOT / part) for part in ("plugins", "include", "."))
    ended = subprocess.run(
        command, cwd=ROOT, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    (folder / f"{name}.log").write_text(ended.stdout, encoding="utf-8")
    return ended


def free_ports(count: int) -> list[int]:
    """Ports of the loopback interface that nothing uses."""
    with ExitStack() as open_:
        found = [open_.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [int(one.getsockname()[1]) for one in found]


if __name__ == "__main__":
    raise SystemExit(main())
