"""Fixtures of what people see of a run: the same bench as the plain reviews."""

from __future__ import annotations

from tests.integration.conftest import bench  # noqa: F401 - fixture
from tests.support.servers.postgres import ledger_dsn, ledger_template, postgres_server  # noqa: F401 - fixtures
