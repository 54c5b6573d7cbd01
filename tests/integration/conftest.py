"""Fixtures of the reviews that run in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.support.emulator import running_emulator
from tests.support.postgres import ledger_dsn, ledger_template, postgres_server  # noqa: F401 - fixtures
from tests.support.review import ReviewBench


@pytest.fixture
def bench(
    tmp_path: Path,
    ledger_dsn: str,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[..., ReviewBench]]:
    """Makes a bench around a fresh emulator: ``bench("--preset", "tiny", max_revocations=5)``."""
    with ExitStack() as stack:

        def make(*options: str, limits: dict[str, float] | None = None, **settings: Any) -> ReviewBench:
            unlimited = ("--limit-wedata", "0", "--limit-dms", "0", "--limit-quickbi", "0")
            emulator = stack.enter_context(running_emulator(tmp_path, *(options or ("--preset", "tiny")), *unlimited))
            return ReviewBench(emulator, ledger_dsn, tmp_path, monkeypatch, settings, limits or {"*": 500.0})

        yield make
