"""Fixtures of the reviews that run in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.support.reviews.review import ReviewBench
from tests.support.servers.emulator import running_emulator
from tests.support.servers.emulator_inside import emulator_inside
from tests.support.servers.postgres import ledger_dsn, ledger_template, postgres_server  # noqa: F401 - fixtures

UNLIMITED = ("--limit-wedata", "0", "--limit-dms", "0", "--limit-quickbi", "0")


@pytest.fixture
def bench(
    tmp_path: Path,
    ledger_dsn: str,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[..., ReviewBench]]:
    """Makes a bench around a fresh emulator: ``bench("--preset", "tiny", max_revocations=5)``."""
    with ExitStack() as stack:

        def make(*options: str, limits: dict[str, float] | None = None, **settings: Any) -> ReviewBench:
            emulator = stack.enter_context(running_emulator(tmp_path, *(options or ("--preset", "tiny")), *UNLIMITED))
            return ReviewBench(emulator, ledger_dsn, tmp_path, monkeypatch, settings, limits or {"*": 500.0})

        yield make


@pytest.fixture
def inside_bench(
    tmp_path: Path,
    ledger_dsn: str,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[..., ReviewBench]]:
    """The same with the emulator in this process, for runs over many organizations."""
    with ExitStack() as stack:

        def make(*options: str, **settings: Any) -> ReviewBench:
            emulator = stack.enter_context(emulator_inside(monkeypatch, *options, *UNLIMITED))
            return ReviewBench(emulator, ledger_dsn, tmp_path, monkeypatch, settings, {"*": 1000.0})

        yield make
