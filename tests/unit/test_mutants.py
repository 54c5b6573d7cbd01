"""The kept mutants still apply to the code: a change that moved the line must move its mutant too."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.mutants.kept import ROOT, kept

MUTANTS = list(kept())


@pytest.mark.parametrize("file", sorted({mutant.file for mutant in MUTANTS}))
def test_every_mutant_changes_exactly_one_place_and_still_compiles(file: str) -> None:
    source = (ROOT / file).read_text(encoding="utf-8")
    for mutant in MUTANTS:
        if mutant.file == file:
            changed = mutant.applied(source)
            assert changed != source, mutant.old
            compile(changed, file, "exec")


def test_mutants_are_different_and_name_tests_that_are_there() -> None:
    assert len(MUTANTS) >= 150
    assert [one for one, times in Counter((m.file, m.old, m.new) for m in MUTANTS).items() if times > 1] == []
    for test in sorted({test for mutant in MUTANTS for test in mutant.tests}):
        path, _, function = test.partition("::")
        assert (ROOT / path).exists(), test
        assert not function or f"def {function}(" in (ROOT / path).read_text(encoding="utf-8"), test


def _answers(seconds: float, *lines: list[str]) -> list[str]:
    command = [sys.executable, "-m", "tests.mutants.warm", os.devnull, str(seconds)]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    return subprocess.run(command, cwd=ROOT, input=text, capture_output=True, text=True, check=True).stdout.split()


def test_the_warm_python_says_what_pytest_ends_with(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text("def test_good(): pass\ndef test_bad(): assert not 1\n", encoding="utf-8")
    plain = ["-q", "-c", os.devnull, "-p", "no:cacheprovider", "--rootdir", str(tmp_path)]
    good, bad, none = ([*plain, f"{tmp_path}/test_it.py::test_{name}"] for name in ("good", "bad", "none"))
    assert _answers(60, good, bad, none, good) == ["0", "1", "4", "0"]
    assert _answers(0.01, good, good) == ["late", "late"]
