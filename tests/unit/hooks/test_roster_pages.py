"""Pages of the services that presets know, read over HTTP from a server on loopback."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from rescind.errors import InputError
from rescind.hooks.roster_http import fetch
from rescind.review import read_roster_json
from rescind.settings.roster import RosterEndpoint
from tests.unit.review.roster.test_presets import JSON, many, options

pytestmark = pytest.mark.airflow
SIZE = 300


@contextmanager
def service(name: str, monkeypatch: pytest.MonkeyPatch, *, loop: bool = False) -> Iterator[list[str]]:
    """Serve 1,000 people in pages as the service ``name`` does; yields the addresses that were asked."""
    user, whole = JSON[name]
    users = [user(one) for one in many()]
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            query = parse_qs(urlsplit(self.path).query)
            at = int(query.get("pageToken", query.get("after", ["0"]))[0])
            following = 0 if loop and at else at + SIZE
            page: Any = whole(users[at : at + SIZE])
            more = following < len(users)
            link = f"http://{self.headers['Host']}/v1/users?after={following}"
            if more and name == "google":
                page["nextPageToken"] = str(following)
            elif more and name == "successfactors":
                page["d"]["__next"] = link
            elif more and name == "entra":
                page["@odata.nextLink"] = link
            body = json.dumps(page).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json;odata.metadata=minimal")
            self.send_header("Content-Length", str(len(body)))
            if more and name == "okta":
                self.send_header("Link", f'<{link}>; rel="next"')
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    monkeypatch.setenv("AIRFLOW_CONN_HR", f"http://127.0.0.1:{server.server_address[1]}")
    try:
        yield asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


@pytest.mark.parametrize("name", ["okta", "entra", "google", "successfactors"])
def test_all_pages_of_a_service_are_one_roster(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with service(name, monkeypatch) as asked:
        fetched = fetch(RosterEndpoint(conn_id="hr", endpoint="/v1/users?customer=x", format="json"), name)
    assert len(asked) == 4 and asked[0].startswith("/v1/users?customer=x")
    roster = read_roster_json(fetched.content, source="r", options=options(name))
    assert len(roster.people) == 1000


@pytest.mark.parametrize("name", ["okta", "entra", "google", "successfactors"])
def test_a_service_that_begins_again_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        service(name, monkeypatch, loop=True) as asked,
        pytest.raises(InputError, match=r"an earlier one|names? an earl"),
    ):
        fetch(RosterEndpoint(conn_id="hr", endpoint="/v1/users?after=0", format="json"), name)
    assert len(asked) < 6
