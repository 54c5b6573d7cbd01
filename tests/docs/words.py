"""Find words that the project does not use, and print what it says instead.

python -m tests.docs.words [--count]

Reads ``words.txt`` beside this file. Checks every text file under version control, except those that must hold the
words: the list itself, the style guide, the changelog, migrations, stored data, and generated pages (their source is
checked).
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LIST = Path(__file__).with_name("words.txt")
TEXT = {".py", ".md", ".html", ".j2", ".js", ".css", ".yaml", ".yml", ".toml", ".txt", ".svg", ""}
LEFT_OUT = (
    "CHANGELOG.md", "LICENSE", "constraints.txt", "docs/api-coverage.md", "docs/reference.md", "docs/style.md",
    "tests/contract/data/", "tests/docs/words", "tests/docs/test_words.py",
)  # fmt: skip


@dataclass(frozen=True)
class Word:
    """A pattern that is not used, what to write instead, and the paths that may use it."""

    source: str
    pattern: re.Pattern[str]
    instead: str
    allowed: tuple[str, ...]


@dataclass(frozen=True)
class Hit:
    """One use of a word: path below the project, line from 1, what was found, what to write."""

    path: str
    line: int
    found: str
    instead: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.found!r}: write {self.instead!r}"


def words(text: str) -> list[Word]:
    """Read the list.

    :raises ValueError: if a line is not ``pattern <tab> instead <tab> paths``, or its pattern has another form.
    """
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        if line and not line.startswith("#"):
            parts = line.split("\t")
            if len(parts) != 3 or not all(parts):
                raise ValueError(f"{LIST.name}:{number}: three columns separated by tabs are needed")
            if not re.match(r"[a-z(]", parts[0]) or parts[0] != parts[0].lower():
                raise ValueError(
                    f"{LIST.name}:{number}: a pattern is in lower case and begins with a letter or a group"
                )
            pattern = re.compile(rf"(?<![\w.-])(?:{parts[0]})(?![\w-])", re.IGNORECASE)
            found.append(Word(parts[0], pattern, parts[1], tuple(path for path in parts[2].split() if path != "-")))
    return found


def check(path: str, text: str, unwanted: Iterable[Word]) -> Iterator[Hit]:
    """Yield every use of an unwanted word. A phrase is also found where a line break divides it."""
    lines = text.splitlines()
    flowing = _flowing(lines)
    present = [word for word in unwanted if not path.startswith(word.allowed) and word.pattern.search(flowing)]
    for number, line in enumerate(lines if present else [], start=1):
        end = len(line)
        joined = f"{line} {_start(lines[number])}" if number < len(lines) else line
        for word in present:
            for match in word.pattern.finditer(joined):
                if match.start() < end:
                    yield Hit(path, number, match[0], word.instead)


def files() -> Iterator[str]:
    """Yield the text files under version control that are checked, relative to the project.

    :raises subprocess.CalledProcessError: outside a git checkout.
    """
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    for path in filter(None, listed.stdout.split("\0")):
        if not path.startswith(LEFT_OUT) and Path(path).suffix in TEXT and (ROOT / path).is_file():
            yield path


def hits() -> Iterator[Hit]:
    """Yield every use of an unwanted word in the project."""
    unwanted = words(LIST.read_text(encoding="utf-8"))
    # Lower case and a word boundary let the engine skip ahead: a tenth of the time of the patterns one by one.
    any_of_them = re.compile(rf"\b(?:{'|'.join(word.source for word in unwanted)})")
    for path in files():
        text = (ROOT / path).read_text(encoding="utf-8")
        if any_of_them.search(_flowing(text.lower().splitlines())):
            yield from check(path, text, unwanted)


def package(path: str) -> str:
    """Return the package that a file belongs to, for counting."""
    parts = Path(path).parts[:-1] or (path,)
    return "/".join(parts[: 3 if parts[0] == "plugins" else 2])


def _flowing(lines: Iterable[str]) -> str:
    return " ".join(map(_start, lines))


def _start(line: str) -> str:
    return re.sub(r"^[\s#>*-]+", "", line)


def main() -> int:
    """Print the hits, or with ``--count`` how many each package has; exit status 1 if there are any."""
    found = list(hits())
    if "--count" in sys.argv[1:]:
        for (where, word), count in sorted(Counter((package(hit.path), hit.instead) for hit in found).items()):
            print(f"{count:5} {where}: write {word!r}")
    else:
        print(*found, sep="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
