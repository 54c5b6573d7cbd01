"""The page's app over an empty ledger, for a reader whom no login has to let in; see test_auth for that."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from rescind.ledger import Ledger
from rescind.web.app import create_app
from tests.support.servers.postgres import *  # noqa: F403


@pytest.fixture
def ledger(ledger_dsn: str) -> Iterator[Ledger]:
    with Ledger(ledger_dsn) as opened:
        yield opened


async def _anybody(_request: Any) -> str:
    return "vera"


@pytest.fixture
def anybody() -> Any:
    """Lets everybody in, as one user."""
    return _anybody


@pytest.fixture
def app(ledger_dsn: str, tmp_path: Path) -> FastAPI:
    """The app for a reader of every DAG; reports lie in the test's folder."""
    return create_app(
        lambda: ledger_dsn,
        lambda: [tmp_path],
        {"quickbi_menus": "Quick BI menus"},
        identify=_anybody,
        readable=lambda _, dags: frozenset(dags),
    )


class Browser:
    """Asks the app as a browser would, below a path prefix; ``get`` takes the address below the app."""

    PREFIX = "/airflow/here"

    def __init__(self, app: FastAPI) -> None:
        outer = FastAPI(root_path=self.PREFIX)
        outer.mount("/rescind", app)
        self._transport = httpx.ASGITransport(outer)

    def get(self, path: str, method: str = "GET", headers: dict[str, str] | None = None) -> httpx.Response:
        """The answer to one request."""

        async def ask() -> httpx.Response:
            async with httpx.AsyncClient(transport=self._transport, base_url="http://airflow.test") as client:
                return await client.request(method, f"{self.PREFIX}/rescind/{path}", headers=headers)

        return asyncio.run(ask())


@pytest.fixture
def browser(app: FastAPI) -> Browser:
    return Browser(app)


@pytest.fixture
def browser_of() -> type[Browser]:
    """For an app of the test's own."""
    return Browser
