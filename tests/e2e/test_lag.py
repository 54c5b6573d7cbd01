"""A platform that goes on showing what is gone, on real Airflow: verification waits without a worker, and proves it."""

from __future__ import annotations

from pathlib import Path

import pytest

from local.demo.truth import judge
from tests.support.servers.live import LiveStack

pytestmark = [pytest.mark.live, pytest.mark.seconds(600)]
DAG = "revoke_access"


def test_verification_gives_its_worker_back_while_a_platform_lags(live: LiveStack) -> None:
    before, person, rita = live.control.get("truth"), live.holder(), live.api("rita")
    rita.wait_for_dag(DAG, 60)
    rita.unpause(DAG)
    # By number of listings and not by time: more than one execution of the task reads, on a machine of any speed.
    lag = {"id": "lag", "kind": "lag", "action": "RevokeUserPermission", "reads": 8, "times": 0}
    live.control.post("faults", {"faults": [lag], "replace": True})
    try:
        conf = {
            "principals": [person["person_id"]],
            "systems": ["dms_permissions"],
            "reason": "leaves while the platform lags",
            "dry_run": False,
        }
        row, _, seen = live.carried_out(DAG, rita.trigger(DAG, conf))
        assert live.control.get("faults")["all_fired"]
    finally:
        live.control.post("faults", {"faults": [], "replace": True})
    assert row["state"] == "success"
    assert ("verify", "deferred") in seen
    summary = live.summary(DAG, row["dag_run_id"])
    (dms,) = summary["systems"]
    assert dms["kept_lost"] == 0 < dms["items"]
    assert dms["verified_gone"] + dms["record_gone"] + dms["still_effective"] == dms["items"]
    for judged in judge(before, live.control.get("truth"), Path(summary["items_file"])):
        assert judged.holds, judged
