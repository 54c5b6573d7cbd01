"""A migrated ledger of its own for every test, and builders for small runs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rescind.ledger import Ledger
from tests.support.postgres import ledger_dsn, ledger_template, postgres_server  # noqa: F401


@pytest.fixture
def ledger(ledger_dsn: str) -> Iterator[Ledger]:  # noqa: F811
    with Ledger(ledger_dsn) as opened:
        yield opened
