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
    request: pytest.FixtureRequest,
    tmp_path: Path,
    ledger_dsn: str,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[..., ReviewBench]]:
    """Makes a bench around a fresh emulator: ``bench("--preset", "tiny", max_revocations=5)``.

    The emulator is in this process, which takes a third less time. A test that breaks connections, or whose parts are
    other processes or servers, has the marker ``sockets``: then the emulator is a process of its own.
    """
    sockets = request.node.get_closest_marker("sockets") is not None
    with ExitStack() as stack:

        def make(*options: str, limits: dict[str, float] | None = None, **settings: Any) -> ReviewBench:
            given = (*(options or ("--preset", "tiny")), *UNLIMITED)
            started = running_emulator(tmp_path, *given) if sockets else emulator_inside(monkeypatch, *given)
            emulator = stack.enter_context(started)
            return ReviewBench(emulator, ledger_dsn, tmp_path, monkeypatch, settings, limits or {"*": 1000.0})

        yield make
