"""An executor of Airflow that runs each task in a process and a folder of its own, as a Kubernetes pod does.

The folder is a copy of an image. It is home, working directory, temporary folder, Airflow's home and DAG folder of
this one task, and it is removed after it. The task has no access to Airflow's database.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from airflow.executors.base_executor import BaseExecutor

IMAGE, PODS = "TRIAL_IMAGE", "TRIAL_PODS"
"""Environment variables: the folder that is copied for each task, and the folder of the copies."""
RECORD, OUTPUT = "pods.jsonl", "output.txt"
"""Beside the copies: one line for each task that has ended, and what all tasks have printed."""
NOT_IN_A_POD = ("AIRFLOW__DATABASE__", "AIRFLOW__API_AUTH__", "AIRFLOW__API__SECRET_KEY", "AIRFLOW__CORE__FERNET_KEY")
_GRACE = 30.0


class FreshFolders(BaseExecutor):
    """Starts what the containers of Airflow's Helm chart start: ``execute_workload`` with the task as JSON."""

    serve_logs = False

    def start(self) -> None:
        """Begin without tasks."""
        self.pods: dict[Any, tuple[subprocess.Popen[bytes], Path]] = {}
        self.place = Path(os.environ[PODS])
        self.count = 0

    def _process_workloads(self, workload_items: Sequence[Any]) -> None:
        for workload in workload_items:
            del self.queued_tasks[workload.key]
            self.running.add(workload.key)
            self.pods[workload.key] = self._begin(workload)

    def _begin(self, workload: Any) -> tuple[subprocess.Popen[bytes], Path]:
        self.count += 1
        folder = self.place / f"pod-{self.count:04d}"
        shutil.copytree(os.environ[IMAGE], folder)
        (folder / "tmp").mkdir()
        command = [sys.executable, "-P", "-W", "ignore", "-m", "airflow.sdk.execution_time.execute_workload"]
        with (self.place / OUTPUT).open("ab") as output:
            process = subprocess.Popen(
                [*command, "--json-string", workload.model_dump_json()],
                env=pod_environment(folder),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        return process, folder

    def sync(self) -> None:
        """Remove the folders of the tasks that have ended."""
        for key, (process, folder) in list(self.pods.items()):
            if process.poll() is not None:
                del self.pods[key]
                self._end(key, process.returncode, folder)

    def _end(self, key: Any, code: int, folder: Path) -> None:
        image = Path(os.environ[IMAGE])
        files = [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]
        left = sorted(name for name in files if not (image / name).is_file())
        shutil.rmtree(folder)
        line = {"task": key.task_id, "run": key.run_id, "index": key.map_index, "code": code, "left": left}
        with (self.place / RECORD).open("a", encoding="utf-8") as record:
            record.write(json.dumps({**line, "folder": folder.name}) + "\n")
        (self.fail if code else self.success)(key)

    def end(self) -> None:
        """Wait for the tasks, and end those that do not end."""
        until = time.monotonic() + _GRACE
        while self.pods and time.monotonic() < until:
            self.sync()
            time.sleep(0.1)
        self.terminate()

    def terminate(self) -> None:
        """End every task at once."""
        for process, _ in self.pods.values():
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self.sync()


def pod_environment(folder: Path) -> dict[str, str]:
    """The environment of one task."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(NOT_IN_A_POD)}
    home = str(folder)
    return {
        **own,
        "HOME": home,
        "TMPDIR": str(folder / "tmp"),
        "AIRFLOW_HOME": str(folder / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(folder / "dags"),
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",  # a pod's own configuration starts nothing
        "RESCIND_HOME": home,
    }
