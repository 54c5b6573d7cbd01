"""A whole review with each kind of key: found, revoked and proven gone in every system."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.support.reviews.review import ReviewBench

Bench = Callable[..., ReviewBench]
CONNECTIONS = ("wedata_default", "dms_default", "quickbi_default")
ROLES = {"wedata": "qcs::cam::uin/100000000001:roleName/review", "alibaba": "acs:ram::1600000000000001:role/review"}
OWN = {"wedata": "wedata_user_id", "dms": "dms_user_id", "quickbi": "quickbi_user_id"}


def _vendor(conn_id: str) -> str:
    return "tencent" if conn_id.startswith("wedata") else "alibaba"


def _role(conn_id: str) -> str:
    return ROLES["wedata" if conn_id.startswith("wedata") else "alibaba"]


def _edit(setup: ReviewBench, conn_id: str, *, own_ids: bool, keep_key: bool = True, **extra: Any) -> None:
    """Change a connection: other extras, with or without the ids of the tool on the platform."""
    value = setup.emulator.connections(limits=setup.limits)[conn_id]
    own = next(person for person in setup.emulator.get("org")["people"] if person.get("name") == "rescind-bot")
    value["extra"] |= {"own_ids": [own[OWN[conn_id.split("_")[0]]]] if own_ids else [], **extra}
    if not keep_key:
        value |= {"login": "", "password": ""}
    setup.monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(value))


def _session(setup: ReviewBench, conn_id: str) -> Any:
    """Temporary keys of a role, as the machine's metadata service would have them."""
    from rescind.cloud.clients import client_class
    from rescind.cloud.connection.settings import ClientSettings

    key = setup.emulator.key(_vendor(conn_id))
    settings = ClientSettings.from_fields(
        conn_id.split("_")[0],  # type: ignore[arg-type]
        {
            "login": key["key_id"],
            "password": key["secret"],
            "role_arn": _role(conn_id),
            "base_url": setup.emulator.url,
            "allow_loopback_http": True,
            "region": "ap-singapore" if conn_id.startswith("wedata") else "cn-hangzhou",
        },
    )

    async def ask() -> Any:
        async with client_class(settings)(settings) as client:
            return await client._source.current()

    return asyncio.run(ask())


class Metadata:
    """The metadata services of a Tencent and of an Alibaba machine on one loopback port."""

    def __init__(self, setup: ReviewBench) -> None:
        tencent, alibaba = _session(setup, "wedata_default"), _session(setup, "dms_default")
        end = datetime.fromtimestamp(alibaba.expires_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        answers = {
            "/latest/meta-data/cam/security-credentials/": "review",
            "/latest/meta-data/cam/security-credentials/review": json.dumps(
                {
                    "Code": "Success",
                    "TmpSecretId": tencent.key_id,
                    "TmpSecretKey": tencent.secret,
                    "Token": tencent.token,
                    "ExpiredTime": int(tencent.expires_at),
                }
            ),
            "/latest/meta-data/ram/security-credentials/": "review",
            "/latest/meta-data/ram/security-credentials/review": json.dumps(
                {
                    "Code": "Success",
                    "AccessKeyId": alibaba.key_id,
                    "AccessKeySecret": alibaba.secret,
                    "SecurityToken": alibaba.token,
                    "Expiration": end,
                }
            ),
            "/latest/api/token": "metadata-token-0001",
        }

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                body = answers.get(self.path, "").encode()
                self.send_response(200 if body else 404)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_PUT = answer  # noqa: N815 - names of the standard library

            def log_message(self, format: str, *args: Any) -> None:
                """Stay silent."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()


@pytest.fixture
def machine() -> Iterator[Callable[[ReviewBench], None]]:
    """Makes this process believe that it runs on a machine with a role of either vendor."""
    started: list[Metadata] = []

    def make(setup: ReviewBench) -> None:
        from rescind.cloud.credentials import AlibabaInstanceSource, TencentInstanceSource

        started.append(Metadata(setup))
        for source in (AlibabaInstanceSource, TencentInstanceSource):
            setup.monkeypatch.setattr(source, "address", started[-1].url)

    yield make
    for one in started:
        one.server.shutdown()
        one.server.server_close()


def _environment_keys(setup: ReviewBench) -> None:
    tencent, alibaba = setup.emulator.key("tencent"), setup.emulator.key("alibaba")
    setup.monkeypatch.setenv("TENCENTCLOUD_SECRET_ID", tencent["key_id"])
    setup.monkeypatch.setenv("TENCENTCLOUD_SECRET_KEY", tencent["secret"])
    setup.monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_ID", alibaba["key_id"])
    setup.monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET", alibaba["secret"])


def _identity_token(setup: ReviewBench) -> None:
    token = Path(setup.folder) / "identity-token"
    token.write_text("pod-identity-token-0001", encoding="ascii")
    setup.monkeypatch.setenv("TKE_WEB_IDENTITY_TOKEN_FILE", str(token))
    setup.monkeypatch.setenv("TKE_PROVIDER_ID", "tke-cluster")
    setup.monkeypatch.setenv("TKE_ROLE_ARN", ROLES["wedata"])
    setup.monkeypatch.setenv("ALIBABA_CLOUD_OIDC_TOKEN_FILE", str(token))
    setup.monkeypatch.setenv("ALIBABA_CLOUD_OIDC_PROVIDER_ARN", "acs:ram::1600000000000001:oidc-provider/ack")
    setup.monkeypatch.setenv("ALIBABA_CLOUD_ROLE_ARN", ROLES["alibaba"])


def _configure(setup: ReviewBench, kind: str, machine: Callable[[ReviewBench], None], *, own_ids: bool) -> None:
    """Give every connection this kind of key."""
    if kind == "environment":
        _environment_keys(setup)
    elif kind == "oidc":
        _identity_token(setup)
    elif kind == "instance_role":
        machine(setup)
    for conn_id in CONNECTIONS:
        if kind in ("static", "role_arn"):
            _edit(setup, conn_id, own_ids=own_ids, **({"role_arn": _role(conn_id)} if kind == "role_arn" else {}))
        else:
            _edit(setup, conn_id, own_ids=own_ids, keep_key=False, credentials=kind)


@pytest.mark.parametrize("kind", ["static", "environment", "role_arn", "instance_role", "oidc"])
def test_a_review_with_each_kind_of_key(bench: Bench, kind: str, machine: Callable[[ReviewBench], None]) -> None:
    setup = bench()
    _configure(setup, kind, machine, own_ids=True)
    review = setup.run(dry_run=False)
    summary = review.whole()
    assert summary["problems"] == []
    assert {row["system"] for row in summary["systems"]} == {
        "wedata_privileges",
        "wedata_data_sources",
        "dms_permissions",
        "quickbi_menus",
    }
    for row in summary["systems"]:
        assert row["items"] > 0
        assert row["verified_gone"] + row["record_gone"] + row["still_effective"] == row["items"], row["system"]
    own = next(person for person in setup.emulator.get("org")["people"] if person.get("name") == "rescind-bot")
    with review.ledger() as ledger:
        run = ledger.runs.find("access_review", review.run_id)
        for scope in ledger.scopes.all(run.run_id):
            assert own[OWN[scope.system.split("_")[0]]] in scope.notes["own_ids"], scope.system
    assert review.gate() == "succeeded"


@pytest.mark.parametrize("system", ["wedata_privileges", "wedata_data_sources", "dms_permissions", "quickbi_menus"])
@pytest.mark.parametrize("kind", ["role_arn", "instance_role", "oidc"])
def test_a_key_without_a_user_needs_own_ids_and_preflight_says_so(
    bench: Bench, kind: str, system: str, machine: Callable[[ReviewBench], None]
) -> None:
    setup = bench()
    _configure(setup, kind, machine, own_ids=False)
    conn_id = f"{system.split('_')[0]}_default"
    with pytest.raises(Exception, match=rf"connection '{conn_id}' names no own_ids: .*Add the platform's user ids"):
        setup.run(systems=[system]).preflight()
