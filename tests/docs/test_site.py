"""The documentation site builds without warnings and loads nothing from another host; its pictures are current."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs import pictures
from tests.support.servers.emulator import ROOT

_LOADED = re.compile(r"<(?:script|img|iframe|source)[^>]*\ssrc=\"([^\"]+)\"|<link[^>]*\shref=\"([^\"]+)\"[^>]*>")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("material", reason="make install-dev installs mkdocs-material")
    folder = tmp_path_factory.mktemp("site")
    # A proxy that nobody listens on: a build that needs the network fails.
    offline = {"NO_MKDOCS_2_WARNING": "1", "HTTPS_PROXY": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9"}
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | offline, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_no_page_loads_anything_from_another_host(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        text = page.read_text(encoding="utf-8")
        loaded = [first or second for first, second in _LOADED.findall(text)]
        assert not [place for place in loaded if re.match(r"(?:https?:)?//", place)], page
    for sheet in site.rglob("*.css"):
        assert not re.search(r"(?:url\(|@import\s*)[\"']?(?:https?:)?//", sheet.read_text(encoding="utf-8")), sheet


def test_pages_from_elsewhere_in_the_repository_are_there_and_linked(site: Path) -> None:
    for page in ("project/changelog", "project/security", "packages/policies", "packages/emulator", "adr/index"):
        assert (site / f"{page}.html").exists()
    assert 'href="packages/policies.html"' in (site / "index.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", pictures.PICTURES, ids=lambda path: path.name)
def test_the_pictures_are_current(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == pictures.PICTURES[path](), "run: python -m tests.docs.pictures --write"


def test_every_term_is_defined_once_and_in_order() -> None:
    terms = re.findall(r"^\| ([a-z][^|]*?) \| \S", (ROOT / "docs/glossary.md").read_text(encoding="utf-8"), re.M)[1:]
    assert len(terms) > 50 and terms == sorted(set(terms))


def test_the_decision_records_are_listed() -> None:
    index = (ROOT / "docs/adr/index.md").read_text(encoding="utf-8")
    listed = re.findall(r"\((0\d{3}-[\w-]+\.md)\)", index)
    assert listed == sorted(path.name for path in (ROOT / "docs/adr").glob("0*.md"))
