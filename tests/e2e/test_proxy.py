"""A review on a running Airflow in a closed network: a proxy, a private authority, connections in Airflow's database.

To run it: ``pytest -m long tests/e2e/test_proxy.py`` (two to six minutes).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from local.api import Json
from local.demo.truth import judge
from local.stack import Stack
from tests.support.servers.changed_stack import changed_stack, vendor_connections
from tests.support.servers.live import LiveStack
from tests.support.servers.private_network import HOSTS, private_authority, tls_front, tunnel_proxy

pytestmark = [
    pytest.mark.live,
    pytest.mark.long,
    pytest.mark.seconds(1500),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),  # clients of the stack itself
]
DAG = "access_review"
NOWHERE = "http://127.0.0.1:9"
"""Nothing listens on this port. Who goes by the environment reaches nobody."""


def write_connections(live: LiveStack, found: dict[str, Any], ways: dict[str, str]) -> None:
    """Store the connections in Airflow, without the emulator's address; a second time they are changed."""
    ada = live.api("ada")
    have = {row["connection_id"] for row in ada.get("/connections", limit=100)["connections"]}
    for conn_id, value in found.items():
        extra = {n: v for n, v in value["extra"].items() if n not in ("base_url", "allow_loopback_http")}
        fields = {name: value[name] for name in ("conn_type", "login", "password")}
        body = {"connection_id": conn_id, **fields, "extra": json.dumps({**extra, **ways})}
        if conn_id in have:
            ada.patch(f"/connections/{conn_id}", body)
        else:
            ada.post("/connections", body)


def requests(live: LiveStack) -> list[Json]:
    """Every request that has reached the emulated vendors."""
    entries: list[Json] = live.control.get("journal?kind=request")["entries"]
    return entries


def refused(live: LiveStack) -> str:
    """Start a review that preflight refuses; what its gate says."""
    rita = live.api("rita")
    run = rita.trigger(DAG, {"dry_run": False, "reason": "Review behind the proxy"})
    assert rita.wait(DAG, run, 300)["state"] == "failed"
    states = {task["task_id"]: task for task in rita.tasks(DAG, run)}
    assert states["preflight"]["state"] == "failed" and states["discover"]["state"] == "upstream_failed"
    return rita.log(states["gate"])


def test_a_whole_review_goes_through_the_proxy_of_the_connections(tmp_path: Path) -> None:
    found: dict[str, Any] = {}

    def closed(stack: Stack, env: dict[str, str]) -> None:
        found.update(vendor_connections(env))
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            env[name] = env[name.lower()] = NOWHERE

    authority = private_authority(tmp_path, HOSTS)
    with (
        changed_stack(closed) as (live, _),
        tls_front(live.config.emulator_port, authority.server) as front,
        tunnel_proxy(front, login="audit:p") as proxy,
    ):
        rita = live.api("rita")
        rita.wait_for_dag(DAG, 120)
        rita.unpause(DAG)
        ways = {"proxy": proxy.address, "proxy_login": "audit", "proxy_password": "p"}
        write_connections(live, found, ways)
        said = refused(live)
        assert (
            "TLS certificate not accepted: if a private authority has signed it, name its file in 'ca_bundle'" in said
        )
        assert all(f"connection '{name}' does not answer" in said for name in ("wedata_default", "dms_default"))
        assert requests(live) == [] and proxy.asked, "the tunnels were opened, and nothing was sent"

        write_connections(live, found, {**ways, "proxy": NOWHERE, "ca_bundle": str(authority.bundle)})
        said = refused(live)
        assert "does not answer" in said and "ca_bundle" not in said
        assert requests(live) == []

        write_connections(live, found, {**ways, "ca_bundle": str(authority.bundle)})
        proxy.asked.clear()
        before = live.control.get("truth?extra=1")
        run = rita.trigger(DAG, {"dry_run": False, "reason": "Review behind the proxy"})
        row, tasks, _ = live.carried_out(DAG, run)
        failed = [rita.log(task)[-1500:] for task in tasks if task["state"] == "failed"]
        assert row["state"] == "success", failed
        summary = live.summary(DAG, run)
        assert summary["problems"] == [] and summary["state"] == "succeeded"
        for judged in judge(before, live.control.get("truth?extra=1"), Path(summary["items_file"])):
            assert judged.holds and judged.removed == judged.planned > 0 and not judged.added, judged
        # The connections name no loopback address: only the proxy's tunnels lead to the emulator.
        assert {line.split()[1] for line in proxy.asked} == {f"{host}:443" for host in HOSTS}
        assert all(line.startswith("CONNECT ") for line in proxy.asked)
        sent = requests(live)
        assert sum(entry["write"] for entry in sent) >= sum(line["calls"] for line in summary["systems"]) > 0
        print(f"\n{len(sent)} requests to the vendors through {len(proxy.asked)} tunnels")
        assert row["note"].startswith("[Rescind] Run "), "Airflow's own interface needs no proxy"
        token = dict(live.api("vera")._client.headers)["authorization"]
        page = f"{live.config.base_url}/rescind/runs/{summary['number']}"
        with httpx.Client(headers={"authorization": token}, trust_env=False, timeout=60) as browser:
            answers = [browser.get(page + part) for part in ("", "/report", "/bundle")]
        assert [answer.status_code for answer in answers] == [200, 200, 200]
