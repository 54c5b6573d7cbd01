"""A review on a running Airflow whose tasks share no folder, as with the KubernetesExecutor.

Each task is a process of its own that finds a fresh copy of an image as home, working directory, temporary folder,
Airflow's home and DAG folder. Connections and settings come from a secrets backend. Evidence goes to a store.
To run it: ``pytest -m long tests/e2e/test_fresh_folders.py`` (about five minutes).
"""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from local.demo.truth import judge
from rescind.evidence.bundle.read import FolderSource
from rescind.evidence.bundle.verify import verify
from rescind.workflow.run_summary import write_items
from tests.support.servers.changed_stack import ChangedStack, changed_stack, vendor_connections
from tests.support.servers.emulator import ROOT
from tests.support.servers.fresh_folders import IMAGE, OUTPUT, PODS, RECORD

pytestmark = [
    pytest.mark.live,
    pytest.mark.long,
    pytest.mark.seconds(1500),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),  # clients of the stack itself
]
DAG = "access_review"
EXECUTOR = "tests.support.servers.fresh_folders.FreshFolders"
BACKEND = "airflow.secrets.local_filesystem.LocalFilesystemBackend"
SYSTEMS = ["dms_permissions", "quickbi_menus"]
"""Each task loads Airflow again, which takes most of the time; two systems show all stages."""
IN_THE_IMAGE = ("roster", "protections", "exceptions")


def in_fresh_folders(stack: ChangedStack, env: dict[str, str], place: Path) -> None:
    """Put files into the image, secrets and settings into the backend, and name the executor."""
    image, store = place / "image", place / "store"
    shutil.copytree(ROOT / "dags", image / "dags", ignore=shutil.ignore_patterns("__pycache__"))
    for folder in ("config", "policies"):
        shutil.copytree(ROOT / "include" / folder, image / "include" / folder)
    settings: dict[str, Any] = json.loads(env.pop("AIRFLOW_VAR_RESCIND_SETTINGS"))
    for name in IN_THE_IMAGE:
        shutil.copy(settings[name], image)
        settings[name] = Path(settings[name]).name
    evidence_key = Path(settings.pop("evidence_key_file")).read_text(encoding="utf-8")
    settings |= {
        "summaries": ".rescind/summaries",
        "evidence": f"file://{store}",
        "evidence_key_conn_id": "evidence_key",
        "approval_key_conn_id": "approval_key",
    }
    keys = {"evidence_key": evidence_key, "approval_key": env.pop("RESCIND_APPROVAL_KEY")}
    connections = {
        **vendor_connections(env),
        **{name: {"conn_type": "generic", "password": pem} for name, pem in keys.items()},
        "rescind_ledger": json.loads(env["AIRFLOW_CONN_RESCIND_LEDGER"]),
        "rescind_airflow": json.loads(env.pop("AIRFLOW_CONN_RESCIND_AIRFLOW")),
    }
    files = {"connections_file_path": connections, "variables_file_path": {"rescind_settings": json.dumps(settings)}}
    for name, content in files.items():
        (place / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    (place / "pods").mkdir()
    stack.hidden = ("AIRFLOW_CONN_RESCIND_LEDGER",)
    env |= {
        "PYTHONPATH": f"{ROOT}{os.pathsep}{stack.config.plugins}",
        "AIRFLOW__CORE__EXECUTOR": EXECUTOR,
        "AIRFLOW__SECRETS__BACKEND": BACKEND,
        "AIRFLOW__SECRETS__BACKEND_KWARGS": json.dumps({name: str(place / f"{name}.json") for name in files}),
        # The page has no folder of the tasks, and no image.
        "RESCIND_HOME": str(place / "page"),
        IMAGE: str(image),
        PODS: str(place / "pods"),
    }


def test_a_whole_review_needs_nothing_that_another_task_has_written(tmp_path: Path) -> None:
    def change(stack: ChangedStack, env: dict[str, str]) -> None:
        in_fresh_folders(stack, env, tmp_path)

    with changed_stack(change) as (live, stack):
        rita = live.api("rita")
        rita.wait_for_dag(DAG, 120)
        rita.unpause(DAG)
        before = live.control.get("truth?extra=1")
        run = rita.trigger(DAG, {"dry_run": False, "reason": "Review in fresh folders", "systems": SYSTEMS})
        try:
            row, tasks, _ = live.carried_out(DAG, run)
        finally:
            output = (tmp_path / "pods" / OUTPUT).read_text(encoding="utf-8", errors="replace")
        failed = [task["task_id"] for task in tasks if task["state"] == "failed"]
        assert row["state"] == "success", (failed, output[-6000:])

        pods = ended_pods(tmp_path / "pods")
        began = [task for task in tasks if task["state"] == "success"]
        assert len({pod["folder"] for pod in pods}) == len(pods) >= len(began) > 12
        assert {(pod["task"], pod["index"]) for pod in pods} >= {(t["task_id"], t["map_index"]) for t in began}
        assert sorted(path.name for path in (tmp_path / "pods").iterdir()) == [OUTPUT, RECORD], "no folder is left"
        assert not [path for path in (tmp_path / "image").rglob("*") if path.name == ".rescind"]

        with stack.ledger() as ledger:
            ended = ledger.runs.find(DAG, run)
            assert ended is not None
            summary = dict(ended.summary)
            write_items(ledger, ended, tmp_path / "items.jsonl")
        assert summary["problems"] == [] and summary["state"] == "succeeded"
        assert not Path(summary["items_file"]).exists(), "it was in the folder of the report's task"
        found = judge(before, live.control.get("truth?extra=1"), tmp_path / "items.jsonl")
        assert sorted(judged.system for judged in found) == SYSTEMS
        for judged in found:
            assert judged.holds and judged.removed == judged.planned > 0 and not judged.added, judged
        bundle, report = (Path(summary[name].removeprefix("file://")) for name in ("bundle", "report"))
        assert bundle.is_relative_to(tmp_path / "store") and verify(FolderSource(bundle)).problems == []
        assert f"run {summary['number']}".casefold() in report.read_text(encoding="utf-8").casefold()
        assert row["note"].startswith(f"[Rescind] Run {summary['number']}: ")

        token = dict(live.api("vera")._client.headers)["authorization"]
        page = f"{live.config.base_url}/rescind/runs/{summary['number']}"
        with httpx.Client(headers={"authorization": token}, trust_env=False, timeout=60) as browser:
            answers = [browser.get(page + part) for part in ("", "/items", "/report", "/bundle")]
        assert [answer.status_code for answer in answers] == [200] * 4
        assert answers[2].content == report.read_bytes()
        print(f"\n{len(pods)} tasks in {len(pods)} folders; left behind in them: {_left(pods)}")


def ended_pods(place: Path) -> list[dict[str, Any]]:
    """What the executor has recorded, when the last folder is gone. A task ends in Airflow before its process does."""
    until = time.monotonic() + 60
    while any(place.glob("pod-*")):
        assert time.monotonic() < until, "a task's process does not end"
        time.sleep(0.2)
    return [json.loads(line) for line in (place / RECORD).read_text(encoding="utf-8").splitlines()]


def _left(pods: list[dict[str, Any]]) -> str:
    """The kinds of files that the tasks have written into their folders."""
    return ", ".join(sorted({name.split("/")[0] for pod in pods for name in pod["left"]})) or "nothing"
