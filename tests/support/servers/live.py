"""One real stack for all end-to-end tests: PostgreSQL, Airflow's four processes, the emulator."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from tests.support.servers.emulator import ROOT

sys.path.insert(0, str(ROOT / "include"))
from local.api import AirflowApi, Json
from local.config import Config, load
from local.demo.review import READING_SECONDS
from local.emulated import Control
from local.state import load_secrets


@dataclass
class LiveStack:
    """The running stack.

    :param demo: what the demonstration printed, and its exit status.
    """

    config: Config
    passwords: dict[str, str]
    demo: subprocess.CompletedProcess[str]
    clients: dict[str, AirflowApi] = field(default_factory=dict)

    def api(self, user: str) -> AirflowApi:
        """Airflow's REST interface as this user; one client for each, closed with the stack."""
        if user not in self.clients:
            self.clients[user] = AirflowApi(self.config.base_url, user, self.passwords[user])
        return self.clients[user]

    @cached_property
    def control(self) -> Control:
        """The emulator's control interface."""
        return Control(self.config.emulator_url, load_secrets(self.config.state).emulator_token)

    def holder(self) -> dict[str, Any]:
        """Somebody who works here, is not protected, and holds grants in all four systems now."""
        return self.holders()[0]

    def holders(self) -> list[dict[str, Any]]:
        """Everybody like :meth:`holder`."""
        truth = self.control.get("truth")
        held = {
            "dms_user_id": {row["user_id"] for row in truth["dms_permissions"]},
            "quickbi_user_id": {r["receiver_id"] for r in truth["quickbi_menus"] if str(r["receiver_type"]) == "0"},
            "wedata_user_id": {r["subject_value"] for r in truth["wedata_privileges"] if r["subject_type"] == "User"}
            & {row["user_id"] for row in truth["wedata_data_sources"]},
        }
        return [
            person
            for person in self.control.get("org")["people"]
            if person["status"] == "active"
            and person["kind"] == "human"
            and not person["protected"]
            and all(person[space] in ids for space, ids in held.items())
        ]

    def carried_out(
        self,
        dag: str,
        run: str,
        choose: Callable[[list[str]], str] = lambda options: options[0],
        until: Callable[[set[tuple[str, str]]], bool] = lambda seen: False,
    ) -> tuple[Json, list[Json], set[tuple[str, str]]]:
        """Answer a run's questions as omar and wait for its end, or until enough was seen.

        :param until: whether what was seen is enough.
        :returns: the run, its tasks, and every (task, state) that was seen on the way.
        """
        rita, omar = self.api("rita"), self.api("omar")
        answered: set[tuple[str, int]] = set()
        seen: set[tuple[str, str]] = set()
        row: Json = {}
        tasks: list[Json] = []
        for row, tasks in rita.watch(dag, run, 600):  # noqa: B007 - the last one counts
            seen |= {(task["task_id"], str(task["state"])) for task in tasks}
            if until(seen):
                break
            for task in tasks:
                question = (task["task_id"], task["try_number"])
                if task["state"] == "awaiting_input" and question not in answered:
                    time.sleep(READING_SECONDS)
                    omar.answer(task, [choose(omar.question(task)["options"])])
                    answered.add(question)
        return row, tasks, seen

    def summary(self, dag: str, run: str) -> dict[str, Any]:
        """What the report of a run says."""
        path = Path(self.api("rita").xcom(dag, run, "report")["summary"])
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return found

    def close(self) -> None:
        """Close every client."""
        for client in self.clients.values():
            client.close()
        self.control.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@pytest.fixture(scope="session")
def live() -> Iterator[LiveStack]:
    """The stack after ``make demo``'s own program ran on it; stopped at the end whatever happened."""
    # one resource a call: several hundred calls in one bucket, in several tasks at once
    with demonstration(Path(sys.executable), {"rows_per_call": {"wedata_privileges": 1}}) as stack:
        yield stack


@contextmanager
def demonstration(python: Path, changes: Json, **environ: str) -> Iterator[LiveStack]:
    """A stack of its own, run by this Python, after the demonstration; stopped at the end whatever happened.

    :param changes: deployment settings to change.
    :param environ: further environment variables of the stack.
    """
    state = Path(tempfile.mkdtemp(prefix="rsc-"))
    settings = {
        "RESCIND_STATE_DIR": str(state / "s"),
        "RESCIND_UI_PORT": str(_free_port()),
        "RESCIND_EMULATOR_PORT": str(_free_port()),
        "RESCIND_START_TIMEOUT": "400",
        "RESCIND_DEMO_SETTINGS": json.dumps({"settle_in_place_seconds": 2, "settle_limit_seconds": 120, **changes}),
        **environ,
    }
    env: dict[str, str] = {**_outside_airflow(), **settings}
    command = [str(python), str(ROOT / "include/local")]
    try:
        demo = subprocess.run([*command, "demo"], env=env, capture_output=True, text=True, timeout=900, check=False)
        config = load(environ=env)
        stack = LiveStack(config, _passwords(config), demo)
        yield stack
        stack.close()
    finally:
        subprocess.run([*command, "clean"], env=env, capture_output=True, timeout=120, check=False)
        shutil.rmtree(state, ignore_errors=True)


def _outside_airflow() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "PYTHONDONT"))}


def _passwords(config: Config) -> dict[str, str]:
    found: dict[str, Any] = dict(load_secrets(config.state).passwords)
    return found
