"""Write the table of rights in ``docs/connecting.md`` from the actions that the permission systems declare.

python -m tests.docs.rights [--write]
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from rescind.systems import REGISTRY

PAGE = Path(__file__).resolve().parents[2] / "docs" / "connecting.md"
_TABLE = re.compile(
    r"(<!-- rights: made by python -m tests\.docs\.rights --write -->\n).*?(<!-- end of rights -->\n)", re.S
)


def current(page: str) -> str:
    """Return the page with the table as the systems declare it now."""
    return _TABLE.sub(lambda match: match[1] + "\n".join(["", *_rows(), "", ""]) + match[2], page)


def _rows() -> Iterator[str]:
    yield "| system | to list and verify | to revoke, also | to restore, another key | for `last_used`, also |"
    yield "| --- | --- | --- | --- | --- |"
    for name, system in REGISTRY.items():
        reads = [f"{_code(action)}{' *' if action in system.optional_reads else ''}" for action in sorted(system.reads)]
        writes = f"{_codes(system.revoke_actions)} | {_codes(system.restore_actions)}"
        yield f"| `{name}` | {', '.join(reads)} | {writes} | {_codes(system.usage_reads) or 'none'} |"


def _codes(actions: Iterable[str]) -> str:
    return ", ".join(_code(action) for action in sorted(actions))


def _code(action: str) -> str:
    return f"`{action}`"


def main() -> int:
    """Print the page, or write it."""
    text = current(PAGE.read_text(encoding="utf-8"))
    if "--write" in sys.argv[1:]:
        PAGE.write_text(text, encoding="utf-8")
    else:
        print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
