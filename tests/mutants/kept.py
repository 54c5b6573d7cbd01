"""The kept set of mutants: small changes to the safety code, each of which a test must notice.

Every ``*.toml`` file of this folder holds mutants of some source files::

    [[source]]
    file = "plugins/rescind/plan/check.py"
    tests = ["tests/unit/plan/test_check.py"]
    mutant = [
        { old = "if not count:", new = "if False:" },
    ]

``old`` occurs exactly once in the file. ``tests`` are the nearest tests, as pytest takes them; a mutant may name its
own. ``⏎`` stands for the end of a line.
A change that no test could notice (an equivalent mutant) does not enter.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]
KILLERS = FOLDER / "killers.json"
"""Of each mutant, the test that noticed it last; see ``python -m tests.mutants --record``."""


@dataclass(frozen=True)
class Mutant:
    """One change to one source file.

    :param file: path from the root of the repository.
    :param tests: what pytest runs against it.
    """

    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    @property
    def name(self) -> str:
        """The file and the change, as :data:`KILLERS` names the mutant."""
        return f"{self.file}: {self.old} => {self.new}"

    def line(self, source: str) -> int:
        """The line of the change."""
        return source[: source.index(self.old)].count("\n") + 1

    def applied(self, source: str) -> str:
        """The source with the change.

        :raises ValueError: when the text to change is not there exactly once.
        """
        if (times := source.count(self.old)) != 1:
            raise ValueError(f"{self.file}: the text occurs {times} times, not once: {self.old!r}")
        return source.replace(self.old, self.new)


def kept() -> Iterator[Mutant]:
    """Every mutant, in the order of the files."""
    for path in sorted(FOLDER.glob("*.toml")):
        for source in tomllib.loads(path.read_text(encoding="utf-8"))["source"]:
            for one in source["mutant"]:
                tests = tuple(one.get("tests", source["tests"]))
                yield Mutant(source["file"], _text(one["old"]), _text(one["new"]), tests)


def killers() -> dict[str, str]:
    """By the name of a mutant, the test that noticed it last."""
    return dict(json.loads(KILLERS.read_text(encoding="utf-8"))) if KILLERS.exists() else {}


def record(found: Mapping[str, str]) -> None:
    """Keep these killers, those of other mutants that are still kept, and no others."""
    names = {mutant.name for mutant in kept()}
    every = {name: test for name, test in {**killers(), **found}.items() if name in names}
    KILLERS.write_text(json.dumps(every, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")


def _text(given: str) -> str:
    return given.replace("⏎", "\n")
