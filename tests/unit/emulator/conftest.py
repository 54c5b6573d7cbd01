"""Fixtures for the emulator's own tests: a small emulator in this process, and clients that sign."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
for folder in (ROOT / "include", Path(__file__).resolve().parent):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

from emulator_client import Clients  # noqa: E402

from emulator.app import App, Settings  # noqa: E402
from emulator.build.sizes import TINY  # noqa: E402
from emulator.clock import ManualClock  # noqa: E402


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
