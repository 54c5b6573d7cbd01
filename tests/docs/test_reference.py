"""The reference is what the code says, and the code says something about everything."""

from __future__ import annotations

import re

import pytest

from rescind.settings import Settings
from tests.docs import reference


@pytest.fixture(scope="module")
def page() -> str:
    return reference.page()


def test_the_reference_is_current(page: str) -> None:
    written = reference.PAGE.read_text(encoding="utf-8") if reference.PAGE.exists() else ""
    assert written == page, "run: python -m tests.docs.reference --write"


def test_every_setting_is_explained() -> None:
    assert [name for name in Settings.model_fields if name not in reference.parameters(Settings)] == []


def test_no_row_of_the_reference_is_without_a_meaning(page: str) -> None:
    assert re.findall(r"^\|.*\|\s*\|$", page, re.MULTILINE) == []
