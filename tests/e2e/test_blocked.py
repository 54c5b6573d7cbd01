"""Two approved runs over the same systems, on real Airflow: the second waits without a worker, then sends."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from local.demo.truth import judge
from tests.support.servers.live import LiveStack

pytestmark = [pytest.mark.live, pytest.mark.seconds(600)]
DAG = "revoke_access"


def _seen(state: str, *tasks: str) -> Callable[[set[tuple[str, str]]], bool]:
    return lambda seen: any((task, state) in seen for task in tasks)


def test_a_run_that_another_one_blocks_gives_its_worker_back_and_sends_later(live: LiveStack) -> None:
    rita = live.api("rita")
    rita.wait_for_dag(DAG, 60)
    rita.unpause(DAG)
    first, second = (
        rita.trigger(
            DAG,
            {
                "principals": [person["person_id"]],
                "systems": ["dms_permissions"],
                "reason": "last day today",
                "dry_run": False,
            },
        )
        for person in live.holders()[:2]
    )
    sending_waits = _seen("deferred", "canary", "revoke")
    live.carried_out(DAG, second, until=_seen("awaiting_input", "approve"))
    # The first run keeps its locks while its verification waits for a platform that lags.
    lag = {"id": "lag", "kind": "lag", "action": "RevokeUserPermission", "seconds": 30, "times": 0}
    live.control.post("faults", {"faults": [lag], "replace": True})
    try:
        live.carried_out(DAG, first, until=_seen("deferred", "verify", "verify_canary"))
        before = live.control.get("truth")
        _, _, seen = live.carried_out(DAG, second, until=sending_waits)
        assert sending_waits(seen)
        assert live.control.get("truth")["dms_permissions"] == before["dms_permissions"]
    finally:
        live.control.post("faults", {"faults": [], "replace": True})
    row, _, _ = live.carried_out(DAG, first)
    assert row["state"] == "success"
    row, _, _ = live.carried_out(DAG, second)
    assert row["state"] == "success"
    summary = live.summary(DAG, second)
    assert summary["problems"] == [] and summary["systems"][0]["items"] > 0
    for judged in judge(before, live.control.get("truth"), Path(summary["items_file"])):
        assert judged.holds, judged
