"""Copies the marked part of each example DAG into its how-to page.

python -m tests.docs.howto [--write]
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = ROOT / "docs" / "howto"
EXAMPLES = ROOT / "plugins" / "rescind" / "example_dags"
_EXCERPT = re.compile(r"(<!-- excerpt of (\S+) -->\n```python\n)(.*?)(```\n)", re.DOTALL)


def excerpt(name: str) -> str:
    """The part of an example between its START and END marks."""
    text = (EXAMPLES / name).read_text(encoding="utf-8")
    (found,) = re.findall(r"^# \[START howto_\w+\]\n(.*?)^# \[END howto_\w+\]\n", text, re.DOTALL | re.MULTILINE)
    return str(found)


def current(page: str) -> str:
    """The page with its excerpts as the examples are now."""
    return _EXCERPT.sub(lambda match: match[1] + excerpt(match[2]) + match[4], page)


def included(page: str) -> list[str]:
    """The names of the examples that a page includes."""
    return [match[2] for match in _EXCERPT.finditer(page)]


def main() -> int:
    """Bring the pages up to date, or name those that are not."""
    stale = [path for path in sorted(PAGES.glob("*.md")) if current(path.read_text("utf-8")) != path.read_text("utf-8")]
    for path in stale:
        if "--write" in sys.argv[1:]:
            path.write_text(current(path.read_text("utf-8")), encoding="utf-8")
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
