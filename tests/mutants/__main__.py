"""Runs the kept mutants against their nearest tests: ``python -m tests.mutants [part of a file name ...]``.

Each mutant is applied in a temporary copy of the tree, never here. A mutant that its tests pass with has survived: its
place and the change are printed, and the exit status is 1. So is it when the tests fail without any change.
"""

from __future__ import annotations

import difflib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from queue import Queue

from tests.mutants.kept import ROOT, Mutant, kept

LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", ".rescind", "site", "dist", "test-results", ".*_cache", ".hypothesis"
)
SECONDS = 300
KILLED, SURVIVED = 1, 0


def main(names: list[str]) -> int:
    """Run the mutants of the files whose names contain one of these texts; without a text, all."""
    mutants = [one for one in kept() if not names or any(name in one.file for name in names)]
    workers = int(os.environ.get("RESCIND_MUTANT_WORKERS") or os.cpu_count() or 1)
    with tempfile.TemporaryDirectory(prefix="rescind-mutants-") as folder:
        trees: Queue[Path] = Queue()
        for number in range(workers):
            trees.put(Path(shutil.copytree(ROOT, Path(folder) / str(number), ignore=LEFT_OUT)))
        with ThreadPoolExecutor(workers) as pool:
            selections = sorted({one.tests for one in mutants})
            for tests, status in zip(selections, pool.map(lambda tests: _plain(trees, tests), selections), strict=True):
                if status != 0:
                    print(f"these tests fail without any change (pytest ends with {status}): {' '.join(tests)}")
                    return 1
            statuses = list(pool.map(lambda one: _mutated(trees, one), mutants))
    killed = statuses.count(KILLED)
    print(f"{killed} of {len(mutants)} mutants killed, {len(mutants) - killed} not")
    return int(killed != len(mutants))


def _plain(trees: Queue[Path], tests: tuple[str, ...]) -> int:
    with _taken(trees) as tree:
        return _run(tree, tests)


def _mutated(trees: Queue[Path], mutant: Mutant) -> int:
    with _taken(trees) as tree:
        path = tree / mutant.file
        source = path.read_text(encoding="utf-8")
        try:
            _write(path, mutant.applied(source))
            status = _run(tree, mutant.tests)
        finally:
            _write(path, source)
    if status != KILLED:
        print(_described(mutant, status), flush=True)
    return status


@contextmanager
def _taken(trees: Queue[Path]) -> Iterator[Path]:
    tree = trees.get()
    try:
        yield tree
    finally:
        trees.put(tree)


def _write(path: Path, text: str) -> None:
    """Write a source file and forget its byte code, which a change of the same size within a second would outlive."""
    path.write_text(text, encoding="utf-8")
    for old in path.parent.glob(f"__pycache__/{path.stem}.*.pyc"):
        old.unlink()


def _run(tree: Path, tests: tuple[str, ...]) -> int:
    """What pytest ends with; tests that do not end have noticed the change."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    # Cached byte code halves the time.
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with (tree / "mutant.txt").open("wb") as log:
        process = subprocess.Popen(command, cwd=tree, env=environ, stdout=log, stderr=log)
        try:
            return process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            process.terminate()  # pytest stops what its fixtures have started
            process.wait()
            return KILLED


def _described(mutant: Mutant, status: int) -> str:
    source = (ROOT / mutant.file).read_text(encoding="utf-8")
    change = difflib.unified_diff(source.splitlines(), mutant.applied(source).splitlines(), lineterm="", n=0)
    lines = [line for line in change if not line.startswith(("---", "+++", "@@"))]
    fate = "survived" if status == SURVIVED else f"pytest ended with {status}"
    tests = " ".join(mutant.tests)
    return "\n".join([f"{mutant.file}:{mutant.line(source)}: {fate} ({tests})", *lines])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
