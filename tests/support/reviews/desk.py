"""The page of one run, asked as a browser of one user would, with everything that a forged form can have."""

from __future__ import annotations

import asyncio
import html
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode

import httpx
from fastapi import FastAPI

from rescind.airflow_plugin import _selecting
from rescind.web.app import create_app
from tests.support.reviews.review import Review

ORIGIN = "http://airflow.example.org:8080"
KEY = b"k" * 32
SAME = {"sec-fetch-site": "same-origin"}


@dataclass
class Desk:
    """The page for a user.

    :param answers: whether Airflow lets the user answer questions.
    """

    review: Review
    user: str = "omar"
    name: str = ""
    answers: bool = True
    headers: Mapping[str, str] = field(default_factory=lambda: SAME)

    def __post_init__(self) -> None:
        self._site = FastAPI(root_path="/here")
        self._site.mount("/rescind", self.app())

    def number(self) -> int:
        """The number of the run."""
        with self.review.ledger() as ledger:
            return int(ledger.runs.find(self.review.dag_id, self.review.run_id).number)

    def app(self) -> FastAPI:
        """The app as the plugin makes it, with this user instead of Airflow's."""
        person = SimpleNamespace(get_id=lambda: self.user, get_name=lambda: self.name or self.user)

        async def identify(_request: Any) -> Any:
            return person

        return create_app(
            lambda: self.review.bench.ledger_dsn,
            list,
            {"quickbi_menus": "Quick BI menus"},
            identify=identify,
            readable=lambda _, dags: frozenset(dags),
            selecting=replace(
                _selecting(), may_answer=lambda user, _: self.answers and user is person, key=lambda: KEY,
                origin=lambda: ORIGIN,
            ),
        )  # fmt: skip

    def ask(self, path: str, *, method: str = "GET", body: bytes = b"", **headers: str) -> httpx.Response:
        """The answer to one request for an address below the run."""

        async def send() -> httpx.Response:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(self._site), base_url=ORIGIN) as client:
                address = f"/here/rescind/runs/{self.number()}/{path}"
                return await client.request(method, address, content=body, headers=headers)

        return asyncio.run(send())

    def form(self, path: str = "select") -> dict[str, Any]:
        """The form as it is shown: the values of its fields, and every box with its line of text."""
        shown = self.ask(path).text
        fields = dict(
            re.findall(
                r'<input type="hidden" name="(\w+)" value="([^"]*)"',
                shown.partition('<form class="choose"')[2].partition("</form>")[0],
            )
        )
        boxes = dict(re.findall(r'name="box" value="(\w+)"[^>]*>(.*?)</label>', shown, re.S))
        ticked = re.findall(r'name="box" value="(\w+)" checked', shown)
        return {"fields": {k: html.unescape(v) for k, v in fields.items()}, "boxes": boxes, "ticked": ticked}

    def post(self, fields: Mapping[str, Any], path: str = "selections", **headers: str) -> httpx.Response:
        """Send a form, as the browser does."""
        return self.ask(path, method="POST", body=urlencode(fields, doseq=True).encode(), **{**self.headers, **headers})

    def save(self, boxes: Any, comment: str = "still needed") -> httpx.Response:
        """Tick these boxes on the first page and save."""
        return self.post({**self.form()["fields"], "comment": comment, "box": list(boxes)})
