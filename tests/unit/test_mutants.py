"""The kept mutants still apply to the code: a change that moved the line must move its mutant too."""

from __future__ import annotations

from collections import Counter

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
