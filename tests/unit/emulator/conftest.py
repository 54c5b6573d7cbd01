"""Fixtures for the emulator's own tests: a small emulator in this process, and clients that sign."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from emulator.app import App, Settings
from emulator.build.sizes import TINY
from emulator.clock import ManualClock
from tests.support.emulator_client import Clients


@pytest.fixture
def app() -> Iterator[App]:
    """A tiny organization with a clock that stands still, without sockets and without limits."""
    settings = Settings(sizes=TINY, limits={"wedata": 0, "dms": 0, "quickbi": 0, "tencent-sts": 0, "alibaba-sts": 0})
    made = App(settings, ManualClock())
    yield made
    made.world.journal.close()


@pytest.fixture
def clients(app: App) -> Clients:
    """Signing clients that call the app directly."""
    return Clients(app)
