"""The address of the page without a slash at its end leads to the list of runs, and nothing else is touched."""

from __future__ import annotations

import asyncio
from urllib.parse import urljoin

import httpx
import pytest
from fastapi import FastAPI
from starlette.responses import PlainTextResponse

from rescind.web.home import Home


def answer(prefix: str, path: str, method: str = "GET") -> httpx.Response:
    app = FastAPI(root_path=prefix)
    app.add_route("/{rest:path}", lambda _: PlainTextResponse("Airflow"), methods=["GET", "POST"])
    app.add_middleware(Home)

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://airflow.test") as client:
            return await client.request(method, path)

    return asyncio.run(ask())


@pytest.mark.parametrize("prefix", ["", "/team"])
def test_the_bare_address_leads_to_the_runs_below_the_same_prefix(prefix: str) -> None:
    found = answer(prefix, f"{prefix}/rescind")
    assert found.status_code == 307 and not found.headers["location"].startswith(("/", "http"))
    assert urljoin(f"{prefix}/rescind", found.headers["location"]) == f"{prefix}/rescind/runs"


@pytest.mark.parametrize("path", ["/rescinds", "/rescind/runs", "/other/rescind", "/", "/api/v2/rescind"])
def test_every_other_address_passes(path: str) -> None:
    assert answer("", path).text == "Airflow"


def test_a_request_that_may_change_something_passes() -> None:
    assert answer("", "/rescind", "POST").text == "Airflow"
