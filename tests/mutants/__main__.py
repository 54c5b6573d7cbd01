"""Runs the kept mutants against their nearest tests: ``python -m tests.mutants [--record] [part of a file name ...]``.

Each mutant is applied in a temporary copy of the tree, never here. A mutant that its tests pass with has survived: its
place and the change are printed, and the exit status is 1. So is it when the tests fail without any change.

The test that noticed a mutant before (``killers.json``) runs alone first. When it passes now, all tests of the mutant
run, as for a mutant without such a test: the file saves time and decides nothing. ``--record`` writes it.
"""

from __future__ import annotations

import difflib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from queue import Queue
from typing import NamedTuple

from tests.mutants.kept import ROOT, Mutant, kept, killers, record
from tests.support.servers.postgres import SHARED, PostgresServer

LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", ".rescind", "site", "dist", "test-results", ".*_cache", ".hypothesis"
)
SECONDS = 300
KILLED, SURVIVED, BROKEN = 1, 0, 3
RECORD = "--record"


class Outcome(NamedTuple):
    """What became of one run of pytest.

    :param status: what pytest ends with.
    :param killer: the test that failed.
    :param late: whether a limit of time ended it; a busy machine alone can do that.
    """

    status: int
    killer: str = ""
    late: bool = False
    seconds: float = 0.0


def main(arguments: list[str]) -> int:
    """Run the mutants of the files whose names contain one of these texts; without a text, all."""
    names = [one for one in arguments if one != RECORD]
    mutants = [one for one in kept() if not names or any(name in one.file for name in names)]
    known = killers()
    workers = int(os.environ.get("RESCIND_MUTANT_WORKERS") or os.cpu_count() or 1)
    with tempfile.TemporaryDirectory(prefix="rescind-mutants-") as folder, ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(workers))
        server = PostgresServer()
        stack.callback(server.stop)
        trees: Queue[_Tree] = Queue()
        for number in range(workers):
            trees.put(stack.enter_context(closing(_Tree(Path(folder) / str(number), server.uri()))))
        there = _collected(sorted({test.partition("::")[0] for test in known.values()}))
        known = {name: test for name, test in known.items() if test in there}
        alone = sorted({known[one.name] for one in mutants if one.name in known})
        known = known if _pass(pool, trees, _shares(alone, workers)) else {}
        outcomes = list(pool.map(lambda one: _mutated(trees, one, known.get(one.name)), mutants))
        used = {one.tests for one, got in zip(mutants, outcomes, strict=True) if got.killer != known.get(one.name)}
        if not _pass(pool, trees, sorted(used)):
            return 1
    if RECORD in arguments:
        record({one.name: got.killer for one, got in zip(mutants, outcomes, strict=True) if got.killer})
    _table(mutants, outcomes)
    return int(any(got.status != KILLED for got in outcomes))


def _shares(tests: list[str], workers: int) -> list[tuple[str, ...]]:
    return [share for number in range(workers) if (share := tuple(tests[number::workers]))]


def _collected(files: Sequence[str]) -> set[str]:
    """The ids of the tests in these files: the parameters in the id of a recorded test may have changed since."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", *files]
    return set(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout.splitlines())


def _pass(pool: ThreadPoolExecutor, trees: Queue[_Tree], selections: Sequence[tuple[str, ...]]) -> bool:
    """Whether these tests pass without any change; those that do not are named."""
    outcomes = list(pool.map(lambda tests: _plain(trees, tests), selections))
    for tests, got in zip(selections, outcomes, strict=True):
        if got.status != 0:
            print(f"fails without any change (pytest ends with {got.status}): {got.killer or ' '.join(tests)}")
    return all(got.status == 0 for got in outcomes)


def _plain(trees: Queue[_Tree], tests: tuple[str, ...]) -> Outcome:
    with _taken(trees) as tree:
        return tree.run(tests)


def _mutated(trees: Queue[_Tree], mutant: Mutant, killer: str | None) -> Outcome:
    begun = time.monotonic()
    with _taken(trees) as tree:
        path = tree.path / mutant.file
        source = path.read_text(encoding="utf-8")
        try:
            _write(path, mutant.applied(source))
            got = tree.run((killer,)) if killer else Outcome(SURVIVED)
            if got.status != KILLED:
                got = tree.run(mutant.tests)
        finally:
            _write(path, source)
    if got.status != KILLED or got.late:
        print(_described(mutant, got), flush=True)
    return got._replace(seconds=time.monotonic() - begun)


@contextmanager
def _taken(trees: Queue[_Tree]) -> Iterator[_Tree]:
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


class _Tree:
    """A copy of the tree, with a warm Python that runs its tests.

    :param postgres: the connection string of the server in which the tests make their databases.
    """

    def __init__(self, path: Path, postgres: str) -> None:
        self.path = Path(shutil.copytree(ROOT, path, ignore=LEFT_OUT))
        self._log, self._cache = self.path / "mutant.txt", self.path / ".mutant_cache"
        # Cached byte code halves the time.
        environ = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        environ[SHARED] = postgres
        command = [sys.executable, "-m", "tests.mutants.warm", str(self._log), str(SECONDS)]
        self._warm = subprocess.Popen(
            command, cwd=self.path, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def run(self, tests: tuple[str, ...]) -> Outcome:
        """Run these tests up to the first that fails; tests that do not end have noticed the change."""
        shutil.rmtree(self._cache, ignore_errors=True)
        self._log.write_bytes(b"")
        assert self._warm.stdin is not None and self._warm.stdout is not None
        print(json.dumps(["-q", "-x", "-o", f"cache_dir={self._cache}", *tests]), file=self._warm.stdin, flush=True)
        answer = self._warm.stdout.readline().strip()
        if answer == "late":
            return Outcome(KILLED, late=True)
        if (status := int(answer)) != KILLED:
            return Outcome(status)
        failed = self._cache / "v" / "cache" / "lastfailed"
        first = next(iter(json.loads(failed.read_bytes())), "") if failed.exists() else ""
        # A failure that is no test's is no answer.
        return Outcome(KILLED if first else BROKEN, first, b" took longer than " in self._log.read_bytes())

    def close(self) -> None:
        """End the warm Python."""
        self._warm.communicate()


def _described(mutant: Mutant, got: Outcome) -> str:
    source = (ROOT / mutant.file).read_text(encoding="utf-8")
    change = difflib.unified_diff(source.splitlines(), mutant.applied(source).splitlines(), lineterm="", n=0)
    lines = [line for line in change if not line.startswith(("---", "+++", "@@"))]
    fate = "survived" if got.status == SURVIVED else f"pytest ended with {got.status}"
    fate = f"killed by a limit of time {got.killer}" if got.late else fate
    tests = " ".join(mutant.tests)
    return "\n".join([f"{mutant.file}:{mutant.line(source)}: {fate} ({tests})", *lines])


def _table(mutants: Sequence[Mutant], outcomes: Sequence[Outcome]) -> None:
    parts: dict[str, list[Outcome]] = defaultdict(list)
    for mutant, got in zip(mutants, outcomes, strict=True):
        parts[mutant.file.removeprefix("plugins/rescind/")].append(got)
    print(f"{'part':40} {'mutants':>7} {'killed':>7} {'not':>5} {'late':>5} {'seconds':>8}")
    for part, found in [*parts.items(), ("all", outcomes)]:
        killed = sum(got.status == KILLED for got in found)
        late, seconds = sum(got.late for got in found), sum(got.seconds for got in found)
        print(f"{part:40} {len(found):7} {killed:7} {len(found) - killed:5} {late:5} {seconds:8.0f}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
