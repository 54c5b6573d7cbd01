"""Write ``docs/ways-in.md`` from the surfaces that the permission systems declare.

python -m tests.docs.ways_in [--write]
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from rescind.systems import REGISTRY
from rescind.systems.surfaces import Surface

PAGE = Path(__file__).resolve().parents[2] / "docs" / "ways-in.md"
_HEAD = """# Ways in

Made from the code by `python -m tests.docs.ways_in --write`; a test keeps it current.

A grant can be gone while access remains: through a group, a role, an owner, a list. For each permission system this
page says which ways in are asked, by which vendor action, and what cannot be known.

"Verified gone" means that every way in with an action was asked in that run, completely, and none remains. Where one
was not answered, the verdict is `record_gone` and names it. Ways in without an action are limits of every review; the
report lists them by name.

This page is about the vendors' platforms. Messages to chats ([notifications](howto/notifications.md)) only go out: no
webhook and no bot listens, and nothing that is written in a chat approves or changes anything.

"In discovery" asks for the whole population. "In verification" asks for the people whose grants went.

The vendors' pages and libraries were read in November 2026: WeData API version 2025-08-06, DMS Enterprise 2018-11-01
and Quick BI 2022-01-01.
"""


def page() -> str:
    """Return the page as Markdown."""
    return "\n".join([_HEAD, *(line for name in REGISTRY for line in _section(name))])


def _section(name: str) -> Iterator[str]:
    system = REGISTRY[name]
    yield from (f"## {system.title}", "", "| way in | asked | shows | cannot tell |", "| --- | --- | --- | --- |")
    yield from (_row(surface) for surface in system.surfaces)
    yield ""


def _row(surface: Surface) -> str:
    asked = f"`{surface.action}`, in {surface.asked_in}" if surface.action else "no"
    return f"| {surface.name} | {asked} | {surface.shows} | {surface.cannot or '-'} |"


def main() -> int:
    """Print the page, or write it."""
    if "--write" in sys.argv:
        PAGE.write_text(page(), encoding="utf-8")
    else:
        print(page())
    return 0


if __name__ == "__main__":
    sys.exit(main())
