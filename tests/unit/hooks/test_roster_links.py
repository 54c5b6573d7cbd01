"""Links between pages of a roster: compared in one spelling, so that neither a loop nor a foreign host is missed."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.http.hooks.http import HttpHook

from rescind.errors import InputError
from rescind.hooks.roster_http import fetch, normal_link
from rescind.settings import RosterEndpoint

pytestmark = pytest.mark.airflow
HERE = "https://hr.example.org/api/people?page=1"
BASE = "https://hr.example.org/api"


@pytest.mark.parametrize(
    "link",
    [
        "https://hr.example.org/api/people?page=2",
        "https://HR.Example.ORG/api/people?page=2",
        "HTTPS://hr.example.org:443/api/people?page=2",
        "https://hr.example.org./api/people?page=2",
        "https://hr.example.org/api/./people?page=2",
        "https://hr.example.org/api/x/../people?page=2",
        "https://hr.example.org/api/%70eople?page=2",
        "https://hr.example.org/api/people?p%61ge=%32",
        "https://hr.example.org/api/%2e/people?page=2",
        "https://hr.example.org/api/x/%2E%2e/people?page=2",
        "https://hr.example.org/../../api/people?page=2",
        "//hr.example.org/api/people?page=2",
        "/api/people?page=2",
        "people?page=2",
        "?page=2",
        "?page=2#again",
        "./people?page=2#x",
    ],
)
def test_one_page_has_one_spelling(link: str) -> None:
    assert normal_link(link, HERE).whole == "https://hr.example.org:443/api/people?page=2"


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("/a?x=%2f", "/a?x=/"),
        ("/a%2Fb", "/a/b"),
        ("/a/", "/a"),
        ("/A", "/a"),
        ("/a?x=1", "/a?x=2"),
        ("http://hr.example.org/a", "https://hr.example.org/a"),
        ("https://hr.example.org:444/a", "/a"),
        ("/a%252e", "/a%2e"),
    ],
)
def test_what_means_another_page_stays_another(left: str, right: str) -> None:
    assert normal_link(left, HERE).whole != normal_link(right, HERE).whole


@pytest.mark.parametrize(
    "link",
    [
        "https://evil.example/api/people",
        "https://hr.example.org.evil.example/api/people",
        "https://hr.example.org:8443/api/people",
        "http://hr.example.org/api/people",
        "https://user:pw@hr.example.org/api/people",
        "https://hr.example.org@evil.example/api/people",
        "https://hr.example.org\\@evil.example/api/people",
        "/api/../admin/people",
        "/api/%2e%2e/admin/people",
        "/api/x/../../admin",
        "/apix/people",
        "/api",
        "ftp://hr.example.org/api/people",
        "javascript:alert(1)",
        "/api/people\n",
        "/api/peo ple",
        "https://hr.example.org:99999/api/people",
    ],
)
def test_a_foreign_or_unreadable_link_is_refused(link: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"links to another host or outside|link cannot be read"):
        read([{"items": [{}], "total": 2, "next": link}], monkeypatch)


def read(pages: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses that are asked for these pages."""
    asked: list[str] = []
    waiting = iter(pages)

    def run(self: HttpHook, endpoint: str, *_: Any) -> Any:
        self.base_url = BASE
        asked.append(BASE + endpoint)
        content = json.dumps(next(waiting)).encode()
        headers = {"Content-Type": "application/json", "Date": "Mon, 30 Nov 2026 06:00:00 GMT"}

        class Answer(SimpleNamespace):
            def __enter__(self) -> Any:
                return self

            def __exit__(self, *_: object) -> None:
                return None

        return Answer(
            status_code=200, headers=headers, url=BASE + endpoint, links={}, iter_content=lambda _: iter([content])
        )

    monkeypatch.setattr(HttpHook, "run", run)
    monkeypatch.setattr(HttpHook, "__init__", lambda *_, **__: None)
    fetch(RosterEndpoint(conn_id="hr", endpoint="/people?page=1", format="json"))
    return asked


def people(*links: str | None) -> list[dict[str, Any]]:
    return [{"items": [{"person_id": str(n)}], "total": 4, "next": link} for n, link in enumerate(links)]


def test_pages_are_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = read(people("?page=2", "/api/people?page=3", "https://HR.example.org:443/api/./people?page=4", None),
                 monkeypatch)  # fmt: skip
    assert [address.rpartition("=")[2] for address in asked] == ["1", "2", "3", "4"]
    assert asked[3] == "https://hr.example.org/api/people?page=4"


@pytest.mark.parametrize(
    "again",
    ["?page=1", "?page=2", "https://HR.example.org/api/people?page=2", "/api/%70eople?page=2",
     "/api/x/../people?page=1#a", "people?p%61ge=2", "https://hr.example.org:443/api/people?page=1"],
)  # fmt: skip
def test_a_loop_is_seen_in_every_spelling(again: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="links to an earlier one"):
        read(people("?page=2", again, "?page=9", None), monkeypatch)
