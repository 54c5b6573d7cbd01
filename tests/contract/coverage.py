"""Writes ``docs/api-coverage.md``: system x action x {client, emulator, contract tests}, read out of the code.

python tests/contract/coverage.py            print the document
python tests/contract/coverage.py --write    write it; exit status 1 when there is a gap
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs" / "api-coverage.md"
PRODUCTS = {
    "wedata": "Tencent Cloud WeData",
    "tencent-sts": "Tencent Cloud STS",
    "dms": "Alibaba Cloud DMS Enterprise",
    "quickbi": "Alibaba Cloud Quick BI",
    "alibaba-sts": "Alibaba Cloud STS",
}
_HEAD = """# API coverage

Every vendor action that Rescind can send, who sends it, where the emulator serves it, and which contract tests hold
it. Written by `python tests/contract/coverage.py --write` from the code; a test fails when it is out of date or
when an action lacks one of the columns.

| column | what it stands for |
| --- | --- |
| used by | the permission systems and other packages that build the message |
| client | the typed message in `plugins/rescind/cloud` |
| emulator | the handler in `include/emulator` |
| library | the vendor's own Python library makes the call against the emulator: `test_libraries.py` |
| request | same method, host, parameters and signature as the vendor's library: `test_requests.py` |
| fields | request and answer stand in the vendor's field table with fitting types: `test_fields.py` |
| reading | read from the emulator, or written and judged, through our client: `test_readings.py`, `tests/fuzz` |
"""


@dataclass(frozen=True)
class Row:
    """One action. Empty text is a gap; ``calls`` is False for what only the emulator and the libraries have."""

    product: str
    action: str
    write: bool
    calls: bool
    users: tuple[str, ...]
    client: str
    emulator: str
    library: bool
    fields: bool
    reading: bool

    @property
    def gaps(self) -> list[str]:
        """Names of the columns that are empty."""
        wanted = {"emulator": self.emulator, "library": self.library, "fields": self.fields}
        if self.calls:
            wanted |= {"client": self.client, "reading": self.reading}
        return [name for name, found in wanted.items() if not found]


def rows() -> list[Row]:
    """All rows, by product and action."""
    for folder in ("include", "plugins", ""):
        path = str(ROOT / folder) if folder else str(ROOT)
        if path not in sys.path:
            sys.path.insert(0, path)
    from emulator.gateway.gateway import all_actions
    from tests.contract.messages import messages
    from tests.contract.picks import READS
    from tests.contract.tables import tables
    from tests.contract.trips import library_actions

    served, sent, called, tabled = all_actions(), messages(), library_actions(), set(tables())
    used = _users({kind.__name__ for kind in sent.values()})
    out = []
    for pair in sorted(set(served) | set(sent), key=lambda pair: (list(PRODUCTS).index(pair[0]), pair[1])):
        kind, action = sent.get(pair), served.get(pair)
        out.append(
            Row(
                product=pair[0],
                action=pair[1],
                write=bool(kind.write if kind else action and action.write),
                calls=kind is not None,
                users=tuple(sorted(used.get(kind.__name__, ()))) if kind else (),
                client=f"{kind.__module__.removeprefix('rescind.cloud.')}.{kind.__name__}" if kind else "",
                emulator=_handler(action),
                library=pair in called,
                fields=pair in tabled,
                reading=kind is not None and (kind.write or pair in READS),
            )
        )
    return out


def _handler(action: Any) -> str:
    if action is None:
        return ""
    module = action.handler.__module__.removeprefix("emulator.")
    return f"{module}.{action.handler.__name__}"


def _users(names: set[str]) -> dict[str, set[str]]:
    """Message class names to the modules that name them in their code, outside of the clients themselves."""
    found: dict[str, set[str]] = {}
    package = ROOT / "plugins" / "rescind"
    for path in sorted(package.rglob("*.py")):
        where = path.relative_to(package).with_suffix("").parts
        if where[0] == "cloud" and not {"client", "clients", "credentials"} & set(where):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in names:
                found.setdefault(node.id, set()).add(_room(where))
    return found


def _room(where: tuple[str, ...]) -> str:
    if where[0] == "systems":
        return "_".join(where[1:])
    if where[0] == "cloud":
        return "credentials" if "credentials" in where else "clients"
    return where[0]


def render(found: Iterable[Row]) -> str:
    """The document."""
    found = list(found)
    parts = [_HEAD, "## What Rescind sends\n"]
    for product, title in PRODUCTS.items():
        mine = [row for row in found if row.product == product and row.calls]
        parts.append(f"### {title}: {len(mine)} actions\n\n{_table(mine)}")
    others = [row for row in found if not row.calls]
    parts.append(
        "## Served by the emulator beside it\n\nRescind has no message for these. They are there for the libraries, "
        f"for other applications and for tests that change the world: {len(others)} actions.\n"
    )
    parts.append(_other_table(others))
    calls = [row for row in found if row.calls]
    gaps = [f"`{row.product}.{row.action}` lacks {', '.join(row.gaps)}" for row in found if row.gaps]
    parts.append(
        f"## Sums\n\n{len(calls)} actions sent ({sum(row.write for row in calls)} writes), {len(found)} emulated and "
        f"made through the vendors' libraries, {len(gaps)} gaps.\n"
    )
    parts += [f"* {gap}\n" for gap in gaps]
    return "\n".join(parts)


def _table(mine: list[Row]) -> str:
    lines = ["| action | kind | used by | client | emulator | library | request | fields | reading |"]
    lines.append("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for row in mine:
        marks = [_mark(row.library), _mark(row.fields and row.library), _mark(row.fields), _mark(row.reading)]
        used = ", ".join(row.users) or "tests only"
        kind = "**write**" if row.write else "read"
        lines.append(f"| {row.action} | {kind} | {used} | `{row.client}` | `{row.emulator}` | {' | '.join(marks)} |")
    return "\n".join(lines) + "\n"


def _other_table(mine: list[Row]) -> str:
    lines = ["| product | action | kind | emulator | library | fields |", "| --- | --- | --- | --- | --- | --- |"]
    for row in mine:
        kind = "**write**" if row.write else "read"
        marks = f"{_mark(row.library)} | {_mark(row.fields)}"
        lines.append(f"| {row.product} | {row.action} | {kind} | `{row.emulator}` | {marks} |")
    return "\n".join(lines) + "\n"


def _mark(there: bool) -> str:
    return "yes" if there else "**no**"


def main(arguments: list[str]) -> int:
    """Print or write the document."""
    found = rows()
    text = render(found)
    if "--write" in arguments:
        DOCUMENT.parent.mkdir(exist_ok=True)
        DOCUMENT.write_text(text, encoding="utf-8")
    else:
        print(text)
    return int(any(row.gaps for row in found))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
