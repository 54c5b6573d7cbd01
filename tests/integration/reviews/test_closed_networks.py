"""Reviews in other surroundings: behind a proxy with a private authority, and on workers that share nothing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.support.reviews.review import Review, ReviewBench, ledger_connection
from tests.support.servers.emulator import ROOT
from tests.support.servers.private_network import HOSTS, private_authority, tls_front, tunnel_proxy

pytestmark = pytest.mark.sockets

Bench = Callable[..., ReviewBench]


def test_a_review_goes_through_a_proxy_to_the_vendors_own_hosts(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connections name no loopback address: hosts, tunnels, certificates and signatures are as with the vendors."""
    setup = bench()
    authority = private_authority(tmp_path, HOSTS)
    emulator = urlsplit(setup.emulator.url).port or 0
    with tls_front(emulator, authority.server) as front, tunnel_proxy(front, login="audit:p") as proxy:
        ways = {
            "proxy": proxy.address,
            "proxy_login": "audit",
            "proxy_password": "p",
            "ca_bundle": str(authority.bundle),
        }
        for conn_id, value in setup.emulator.connections(limits=setup.limits).items():
            extra = {n: v for n, v in value["extra"].items() if n not in ("base_url", "allow_loopback_http")}
            monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps({**value, "extra": {**extra, **ways}}))
        systems = ["wedata_data_sources", "dms_permissions", "quickbi_menus"]
        summary = setup.run(dry_run=False, systems=systems).whole()
    assert summary["problems"] == [] and summary["state"] == "succeeded"
    assert {row["system"] for row in summary["systems"] if row["items"]} == set(systems)
    assert {line.split()[1] for line in proxy.asked} == {f"{host}:443" for host in HOSTS}
    assert all(line.startswith("CONNECT ") for line in proxy.asked)


class _Pods(Review):
    """Every task finds what the image has, and nothing that another task wrote."""

    def context(self, task_id: str, map_index: int = -1) -> dict[str, Any]:
        home = self.bench.folder / "pod"
        shutil.rmtree(home, ignore_errors=True)
        shutil.copytree(self.bench.folder / "image", home)
        self.bench.monkeypatch.chdir(home)
        return super().context(task_id, map_index)


def test_tasks_share_no_folder_and_connections_come_from_a_secrets_backend(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with the KubernetesExecutor: evidence goes to a store, everything else is in the ledger."""
    setup = bench()
    image, store = setup.folder / "image", setup.folder / "store"
    for folder in ("config", "policies"):
        shutil.copytree(ROOT / "include" / folder, image / "include" / folder)
    for name in ("roster", "protections"):
        shutil.move(setup.settings[name], image)
    connections = {name.removeprefix("AIRFLOW_CONN_").lower(): value for name, value in _connections(setup).items()}
    (setup.folder / "connections.json").write_text(json.dumps(connections), encoding="utf-8")
    for name in connections:
        monkeypatch.delenv(f"AIRFLOW_CONN_{name.upper()}", raising=False)
    kind = "airflow.secrets.local_filesystem.LocalFilesystemBackend"
    # Airflow keeps a backend for as long as the process lives, which is longer here than this test.
    monkeypatch.setattr("airflow.sdk.configuration._secrets_backend_cache", {}, raising=False)
    monkeypatch.setenv("AIRFLOW__SECRETS__BACKEND", kind)
    where = {"connections_file_path": str(setup.folder / "connections.json")}
    monkeypatch.setenv("AIRFLOW__SECRETS__BACKEND_KWARGS", json.dumps(where))
    monkeypatch.setenv("RESCIND_HOME", str(setup.folder / "pod"))
    settings = {
        **setup.settings,
        "roster": Path(setup.settings["roster"]).name,
        "protections": Path(setup.settings["protections"]).name,
        "summaries": ".rescind/summaries",
        "evidence": f"file://{store}",
        "approval_key_file": "",
        "approval_key_conn_id": "approval_key",
    }
    monkeypatch.setenv("AIRFLOW_VAR_RESCIND_SETTINGS", json.dumps(settings))

    review = _Pods(setup, "manual__1", "policy", "rita", {"dry_run": False, "systems": ["dms_permissions"]})
    summary = review.whole()
    assert summary["problems"] == [] and review.gate() == "succeeded"
    assert summary["bundle"].startswith(f"file://{store}/bundles/")
    assert [path.suffix for path in (store / "reports").iterdir()] == [".html"]


def _connections(setup: ReviewBench) -> dict[str, Any]:
    """Every connection of the bench, and the approval key as the password of one."""
    found: dict[str, Any] = {
        f"AIRFLOW_CONN_{name.upper()}": value for name, value in setup.emulator.connections(limits=setup.limits).items()
    }
    key = Path(setup.settings["approval_key_file"]).read_text(encoding="utf-8")
    return {
        **found,
        "AIRFLOW_CONN_RESCIND_LEDGER": ledger_connection(setup.ledger_dsn),
        "AIRFLOW_CONN_APPROVAL_KEY": {"conn_type": "generic", "password": key},
    }
