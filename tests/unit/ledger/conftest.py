"""A migrated ledger of its own for every test, and builders for small runs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rescind.ledger import Ledger
from tests.support.postgres import *  # noqa: F403


@pytest.fixture
def ledger(ledger_dsn: str) -> Iterator[Ledger]:
    with Ledger(ledger_dsn) as opened:
        yield opened
