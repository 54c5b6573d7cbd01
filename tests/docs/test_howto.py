"""Every example DAG has a how-to page, and the page shows the example as it is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs import howto

PAGES = sorted(howto.PAGES.glob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_shows_the_example_as_it_is(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert howto.current(text) == text, "run: python -m tests.docs.howto --write"


def test_every_example_has_a_page_of_its_own() -> None:
    shown = [name for page in PAGES for name in howto.included(page.read_text(encoding="utf-8"))]
    assert sorted(shown) == sorted(path.name for path in howto.EXAMPLES.glob("example_*.py"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_of_a_page_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)[^)]*\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target
