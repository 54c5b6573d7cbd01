"""Every route of the page on a real API server of Airflow, below a path prefix, for everybody who might ask.

The tokens are Airflow's own: from its login, or forged from one of those.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx
import jwt
import pytest

from rescind.ledger import Ledger
from rescind.web.app import create_app
from tests.support.ledger.web_runs import finished_run, working_run
from tests.support.reviews.review import ledger_connection
from tests.support.servers.api_server import BREAKS, NO_RUNS, NOBODY, PARTLY, SECRET, ApiServer, running_api_server
from tests.support.servers.postgres import PostgresServer
from tests.support.web_routes import paths

pytestmark = [pytest.mark.airflow, pytest.mark.seconds(300)]

VIEWER = "vera"
ROUTES = paths(create_app(str, list, {}).routes)
USERS = {VIEWER: "viewer", "anna": "admin", NOBODY: "viewer", PARTLY: "viewer", BREAKS: "admin", NO_RUNS: "admin"}


@dataclass(frozen=True)
class Site:
    """A running API server whose ledger holds three runs: two of ``access_review``, the third of ``revoke_access``."""

    server: ApiServer
    tokens: dict[str, str]
    dsn: str

    def get(self, path: str, headers: dict[str, str] | None = None) -> httpx.Response:
        """The answer to one request for an address below the app."""
        return httpx.get(f"{self.server.base}/rescind/{path}", headers=headers, trust_env=False, timeout=30)


@pytest.fixture(scope="module")
def site(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: PostgresServer, ledger_template: str
) -> Iterator[Site]:
    home = tmp_path_factory.mktemp("airflow")
    name = postgres_server.create_database(template=ledger_template)
    dsn = postgres_server.uri(name)
    report = home / "evidence" / "reports" / "000001-run.html"
    report.parent.mkdir(parents=True)
    report.write_text("<p>report</p>", encoding="utf-8")
    with Ledger(dsn) as ledger:
        finished_run(ledger, report, bundles=home / "evidence" / "bundles")
        working_run(ledger, count=7)
        working_run(ledger, name="manual__3", count=3, dag_id="revoke_access", account="alibaba:2:cn-hangzhou")
    environ = {
        "AIRFLOW_CONN_RESCIND_LEDGER": json.dumps(ledger_connection(dsn)),
        "AIRFLOW_VAR_RESCIND_SETTINGS": json.dumps({"evidence": str(home / "evidence")}),
    }
    with running_api_server(home, USERS, **environ) as server:
        yield Site(server, {user: server.token(user) for user in USERS}, dsn)
    postgres_server.drop_database(name)


def test_the_page_records_the_auth_manager(site: Site) -> None:
    assert site.get("runs", {"authorization": f"Bearer {site.tokens[VIEWER]}"}).status_code == 200
    with Ledger(site.dsn) as ledger:
        assert ledger.deployment.auth_manager() == "SimpleAuthManager"


def forged(token: str, *, key: str = SECRET, **claims: Any) -> str:
    """The same token with other claims or another key."""
    header = jwt.get_unverified_header(token)
    content = jwt.decode(token, options={"verify_signature": False})
    return jwt.encode({**content, **claims}, key, algorithm=header["alg"])


def unsigned(token: str) -> str:
    """The same token without a signature, and saying so."""
    none = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').decode().rstrip("=")
    return ".".join([none, token.split(".")[1], ""])


def tampered(token: str) -> str:
    """A viewer's token that claims to be an administrator's."""
    head, _, signature = token.split(".")
    content = jwt.decode(token, options={"verify_signature": False})
    body = base64.urlsafe_b64encode(json.dumps({**content, "role": "admin"}).encode()).decode().rstrip("=")
    return ".".join([head, body, signature])


def expired(token: str) -> str:
    """The same token, a day old."""
    then = int(time.time()) - 86_400
    return forged(token, iat=then, nbf=then, exp=then + 3600)


Spoil = Callable[[str], str]
REFUSED: dict[str, tuple[str, Spoil, int]] = {
    "bad token": (VIEWER, lambda _: "a.b.c", 403),
    "token of another key": (VIEWER, lambda token: forged(token, key="x" * 64), 403),
    "token without signature": (VIEWER, unsigned, 403),
    "tampered token": (VIEWER, tampered, 403),
    "token for another audience": (VIEWER, lambda token: forged(token, aud="urn:elsewhere"), 403),
    "expired token": (VIEWER, expired, 401),
    "viewer without permission": (NOBODY, str, 403),
    "administrator who may read the DAGs and not their runs": (NO_RUNS, str, 403),
    "administrator whose check fails": (BREAKS, str, 503),
}


def test_what_is_asked_for_is_what_there_is() -> None:
    inside = ("bundle", "items", "items.csv", "live", "owners", "people", "person", "report")
    assert {"", "runs", "runs.csv", "runs/1", *(f"runs/1/{name}" for name in inside), "static/app.css"} == set(ROUTES)


@pytest.mark.parametrize("path", [*ROUTES, "nothing"])
def test_without_a_token_nothing_is_shown(site: Site, path: str) -> None:
    for headers in ({}, {"authorization": "Basic dmVyYTp2ZXJh"}, {"cookie": "_token=; session=1"}):
        _closed(site.get(path, headers), 401)


@pytest.mark.parametrize("who", REFUSED)
@pytest.mark.parametrize("path", ROUTES)
def test_nothing_is_shown_to(site: Site, path: str, who: str) -> None:
    user, spoil, status = REFUSED[who]
    token = spoil(site.tokens[user])
    _closed(site.get(path, {"cookie": f"_token={token}"}), status)
    _closed(site.get(path, {"authorization": f"Bearer {token}"}), status)


def _closed(answer: httpx.Response, status: int) -> None:
    assert answer.status_code == status
    for inside in ("rita", "manual__", "report</p>", "prefers-color-scheme", "Traceback", "Error", "directory of"):
        assert inside not in answer.text
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")


@pytest.mark.parametrize("path", ROUTES)
def test_a_viewer_with_permission_sees_everything(site: Site, path: str) -> None:
    for user in (VIEWER, "anna"):
        for headers in (
            {"cookie": f"_token={site.tokens[user]}"},
            {"authorization": f"Bearer {site.tokens[user]}"},
        ):
            answer = site.get(path, headers)
            assert answer.status_code == (200 if path else 307)
            assert path or answer.headers["location"] == "runs"


@pytest.mark.parametrize("path", ROUTES)
def test_a_bad_bearer_token_is_not_saved_by_a_good_cookie(site: Site, path: str) -> None:
    headers = {"cookie": f"_token={site.tokens[VIEWER]}", "authorization": "Bearer a.b.c"}
    _closed(site.get(path, headers), 403)


def test_who_may_read_one_dag_sees_the_runs_of_that_one(site: Site) -> None:
    headers = {"cookie": f"_token={site.tokens[PARTLY]}"}
    runs = site.get("runs", headers)
    assert runs.status_code == 200
    assert "revoke_access" in runs.text
    assert "access_review" not in runs.text
    for path in ROUTES:
        if path.startswith("runs/1"):
            assert site.get(path, headers).status_code == 404
            assert site.get(path.replace("runs/1", "runs/2"), headers).status_code == 404
    assert site.get("runs/3/items", headers).status_code == 200
    for name in ("report", "bundle"):
        assert site.get(f"runs/3/{name}", headers).status_code == 404, "this run has none"


def test_a_token_that_was_given_back_is_refused(site: Site) -> None:
    headers = {"cookie": f"_token={site.server.token(VIEWER)}"}
    assert site.get("runs", headers).status_code == 200
    httpx.get(f"{site.server.base}/api/v2/auth/logout", headers=headers, trust_env=False)
    _closed(site.get("runs", headers), 403)


def test_the_page_is_in_the_menu_and_its_address_has_the_prefix(site: Site) -> None:
    bearer = {"authorization": f"Bearer {site.tokens['anna']}"}
    plugins = httpx.get(f"{site.server.base}/api/v2/plugins", headers=bearer, trust_env=False).json()["plugins"]
    (plugin,) = [plugin for plugin in plugins if plugin["name"] == "rescind"]
    (view,) = plugin["external_views"]
    assert (view["name"], view["destination"], view["url_route"]) == ("Access reviews", "nav", "access-reviews")
    for address in (view["href"], view["icon"], view["icon_dark_mode"]):
        # The interface resolves it against its own base, which carries the prefix.
        assert httpx.get(f"{site.server.base}/{address}", headers=bearer, trust_env=False).status_code == 200
    for bare in ("rescind", "rescind/"):
        at = f"{site.server.base}/{bare}"
        answer = httpx.get(at, headers=bearer, trust_env=False)
        assert (answer.status_code, urljoin(at, answer.headers["location"])) == (
            307,
            f"{site.server.base}/rescind/runs",
        )
    assert httpx.get(f"{site.server.base}/rescind/", trust_env=False).status_code == 401


def test_the_log_of_the_server_holds_no_token(site: Site, tmp_path_factory: pytest.TempPathFactory) -> None:
    log = next(Path(tmp_path_factory.getbasetemp()).glob("airflow*/api-server.log")).read_text()
    assert "the directory of permissions does not answer" in log
    for token in site.tokens.values():
        assert token.split(".")[2] not in log
