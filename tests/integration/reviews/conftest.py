"""Airflow's own record beside a run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rescind.hooks.airflow_instance.api import AIRFLOW_CONNECTION
from tests.support.reviews.airflow_record import AirflowRecord, airflow_record


@pytest.fixture
def airflow(monkeypatch: pytest.MonkeyPatch) -> Iterator[AirflowRecord]:
    with airflow_record() as found:
        monkeypatch.setenv(f"AIRFLOW_CONN_{AIRFLOW_CONNECTION.upper()}", found.connection())
        yield found
