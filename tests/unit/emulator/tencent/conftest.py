"""A project of WeData for the tests."""

from __future__ import annotations

import pytest

from emulator.app import App
from emulator.store.wedata import Project


@pytest.fixture
def project(app: App) -> Project:
    """The first project."""
    return next(iter(app.world.projects.values()))
