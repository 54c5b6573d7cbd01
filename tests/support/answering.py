"""Clients whose platform answers each action from a table."""

from __future__ import annotations

import itertools
import json
from typing import Any

import httpx

from rescind.cloud.clients import QuickBiClient, WeDataClient
from rescind.cloud.connection.settings import ClientSettings
from tests.support.ledger.pacing import FreePacer

Answers = dict[str, Any]
_KEY = {"login": "AKID01", "password": "secret-01"}


async def _no_sleep(seconds: float) -> None:
    return None


def wedata(known: Answers) -> WeDataClient:
    """Answer with ``Data`` from ``known`` by action; a function gets the body that was sent."""
    numbers = itertools.count(1)

    def network(request: httpx.Request) -> httpx.Response:
        given = known[request.headers["x-tc-action"]]
        body = given(json.loads(request.content)) if callable(given) else given
        return httpx.Response(200, json={"Response": {"RequestId": f"r{next(numbers)}", "Data": body}})

    fields = {**_KEY, "region": "ap-singapore", "edition": "international"}
    settings = ClientSettings.from_fields("wedata", fields)
    return WeDataClient(settings, pacer=FreePacer(), transport=httpx.MockTransport(network), sleep=_no_sleep)


def quickbi(known: Answers) -> QuickBiClient:
    """Answer with fields from ``known`` by action; a function gets the parameters that were sent."""
    numbers = itertools.count(1)

    def network(request: httpx.Request) -> httpx.Response:
        given = known[request.headers["x-acs-action"]]
        body = given(dict(request.url.params)) if callable(given) else given
        return httpx.Response(200, json={"RequestId": f"r{next(numbers)}", "Success": True, **body})

    settings = ClientSettings.from_fields("quickbi", {**_KEY, "region": "cn-hangzhou"})
    return QuickBiClient(settings, pacer=FreePacer(), transport=httpx.MockTransport(network), sleep=_no_sleep)
