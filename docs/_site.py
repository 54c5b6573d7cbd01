"""What the documentation site adds to the pages below ``docs/``: pages that live elsewhere in the repository.

MkDocs calls the functions by name (``hooks`` in mkdocs.yml). Links between pages are written for the repository, so
that they work there too; here they are rewritten for the site. A link to a file that is no page keeps its text only.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[1]
ELSEWHERE = {
    "CHANGELOG.md": "project/changelog.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "SECURITY.md": "project/security.md",
    "include/cluster/README.md": "packages/clusters.md",
    "include/emulator/README.md": "packages/emulator.md",
    "include/policies/README.md": "packages/policies.md",
}
"""Pages outside ``docs/``: path in the repository, path in the site."""
SOURCES = {site: path for path, site in ELSEWHERE.items()}
FOLDERS = {"How-to": "howto", "Decisions": "adr"}
"""Sections of the navigation that list every page of a folder."""
_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")


def on_config(config: Any) -> Any:
    """Fill the sections that list a folder; leave a section out while its folder has no page."""
    for section in list(config.nav):
        (title,) = section
        if title in FOLDERS:
            pages = sorted(path.name for path in (ROOT / "docs" / FOLDERS[title]).glob("*.md"))
            section[title] = [f"{FOLDERS[title]}/{page}" for page in sorted(pages, key=lambda name: name != "index.md")]
            if not pages:
                config.nav.remove(section)
    return config


def on_files(files: Any, config: Any) -> Any:
    """Add the pages that live outside ``docs/``."""
    for path, site in ELSEWHERE.items():
        files.append(File.generated(config, site, abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Rewrite the links of one page from places in the repository to places in the site."""
    here = page.file.src_uri
    source = SOURCES.get(here, f"docs/{here}")

    def rewritten(match: re.Match[str]) -> str:
        image, text, target = match.groups()
        if re.match(r"[a-z]+:|#", target):
            return match[0]
        path, hash_sign, anchor = target.partition("#")
        place = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
        site = _site(place)
        if site is None and not image and (ROOT / place).exists():
            return text
        to = posixpath.relpath(site if site is not None else place, posixpath.dirname(here) or ".")
        return f"{image}[{text}]({to}{hash_sign}{anchor})"

    return _LINK.sub(rewritten, markdown)


def _site(place: str) -> str | None:
    if place == "README.md":
        return "index.md"
    if place.startswith("docs/"):
        return place.removeprefix("docs/")
    return ELSEWHERE.get(place)
