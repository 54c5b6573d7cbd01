"""The page of ways in is what the permission systems declare."""

from __future__ import annotations

import pytest

from rescind.systems import REGISTRY
from tests.docs import ways_in


def test_the_page_is_current() -> None:
    assert ways_in.PAGE.read_text(encoding="utf-8") == ways_in.page(), "run: python -m tests.docs.ways_in --write"


@pytest.mark.parametrize("name", REGISTRY)
def test_every_system_declares_ways_in_and_reads_what_they_name(name: str) -> None:
    system = REGISTRY[name]
    names = [surface.name for surface in system.surfaces]
    assert names and len(set(names)) == len(names)
    assert {surface.action for surface in system.surfaces if surface.action} <= system.reads
    assert all(surface.cannot for surface in system.surfaces if not surface.action), "a limit says why it is one"
