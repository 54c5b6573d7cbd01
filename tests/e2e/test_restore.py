"""The demonstration's run restored on real Airflow: the clouds are as they were."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from local.demo.truth import judge
from tests.support.servers.live import LiveStack

pytestmark = [pytest.mark.live, pytest.mark.seconds(900)]
DAG = "restore_access"


def test_restoring_the_demonstrations_run_brings_everything_back(live: LiveStack) -> None:
    told = json.loads((live.config.state / "demo" / "summary.json").read_text(encoding="utf-8"))["summary"]
    rita = live.api("rita")
    before = live.control.get("truth")
    rita.wait_for_dag(DAG, 60)
    rita.unpause(DAG)
    run = rita.trigger(DAG, {"run": str(told["number"]), "reason": "taken away for a demonstration", "dry_run": False})
    row, tasks, _ = live.carried_out(DAG, run)
    failed = [task for task in tasks if task["state"] == "failed"]
    assert row["state"] == "success", [(t["task_id"], rita.log(t)[-1500:]) for t in failed][:1]
    summary = live.summary(DAG, run)
    assert summary["problems"] == [] and summary["approved_by"] == "omar"

    # Backwards: what is there now and was not before must be exactly what the demonstration took away.
    rows = {row["system"]: row for row in summary["systems"]}
    for back in judge(live.control.get("truth"), before, Path(told["items_file"])):
        assert back.added == 0 < back.removed == rows[back.system]["restored"], back
        if back.system == "dms_permissions":  # new records with ids of their own; those whose end has passed stay away
            held = [one for one in summary["findings"] if one["verdict"] == "held" and one["system"] == back.system]
            assert back.removed == back.planned - len(held)
        else:
            assert back.holds, back
