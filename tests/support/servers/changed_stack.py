"""The one-machine stack with the emulator in other surroundings: environment, executor and settings are changed."""

from __future__ import annotations

import gc
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from tests.support.servers.emulator import ROOT
from tests.support.servers.live import LiveStack, _free_port, _outside_airflow

sys.path.insert(0, str(ROOT / "include"))
from local.airflowenv import for_tasks
from local.config import load
from local.emulated import CHANGES
from local.processes import Record
from local.stack import COMPONENTS, Stack
from rescind.ledger import Ledger

Change = Callable[[Any, dict[str, str]], None]
"""Changes the environment of every process of the stack in place, before Airflow starts."""


class ChangedStack(Stack):
    """The stack with another environment."""

    change: Change
    env: dict[str, str]
    hidden: tuple[str, ...] = ()
    """Environment variables that the migrations need and Airflow does not get."""

    def _foundation(self, *, emulator: bool, reset: bool) -> tuple[dict[str, str], str | None]:
        env, url = super()._foundation(emulator=emulator, reset=reset)
        self.change(self, env)
        self.env = env
        return env, url

    def _component(self, name: str, env: Mapping[str, str]) -> Record:
        own = env.get("PYTHONPATH", "")
        # An executor of the tests starts its tasks itself, so the scheduler loads nothing for them.
        env = for_tasks(env) if name == "scheduler" and not own else dict(env)
        # The package of this tree, whatever else is installed.
        env["PYTHONPATH"] = os.pathsep.join(filter(None, [env.get("PYTHONPATH", ""), str(self.config.plugins)]))
        env = {variable: value for variable, value in env.items() if variable not in self.hidden}
        command = (sys.executable, "-P", "-m", "airflow", *COMPONENTS[name])
        return self.registry.start(name, command, env=env, log=self._log(name), cwd=self.config.airflow_home)

    def ledger(self) -> Ledger:
        """The ledger of the stack, as its tasks open it."""
        names = {"host": "host", "port": "port", "login": "user", "password": "password", "schema": "dbname"}
        fields = json.loads(self.env["AIRFLOW_CONN_RESCIND_LEDGER"])
        return Ledger(" ".join(f"{names[name]}={value}" for name, value in fields.items() if name in names))


@contextmanager
def changed_stack(change: Change, **settings: Any) -> Iterator[tuple[LiveStack, ChangedStack]]:
    """A running stack with the emulator; stopped at the end whatever happened.

    :param settings: deployment settings to change.
    """
    state = Path(tempfile.mkdtemp(prefix="rsc-"))
    variables = {
        "RESCIND_STATE_DIR": str(state / "s"),
        "RESCIND_UI_PORT": str(_free_port()),
        "RESCIND_EMULATOR_PORT": str(_free_port()),
        "RESCIND_START_TIMEOUT": "400",
    }
    changes = json.dumps({"settle_in_place_seconds": 2, "settle_limit_seconds": 120, **settings})
    with mock.patch.dict(os.environ, {**_outside_airflow(), CHANGES: changes}, clear=True):
        config = load(environ=variables)
        stack = ChangedStack(config)
        stack.change = change
        try:
            stack.up(emulator=True)
            live = LiveStack(config, stack.secrets.passwords, subprocess.CompletedProcess([], 0, "", ""))
            with closing(live):
                yield live, stack
        finally:
            stack._anonymous.close()
            stack.clean()
            shutil.rmtree(state, ignore_errors=True)
            gc.collect()  # clients of the stack itself end here, where the test allows it, and not after the last test


def vendor_connections(env: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Take the connections to the vendors out of an environment; by their ids."""
    vendors = ("WEDATA_", "DMS_", "QUICKBI_")
    start = "AIRFLOW_CONN_"
    names = [name for name in env if name.startswith(tuple(start + vendor for vendor in vendors))]
    return {name.removeprefix(start).lower(): json.loads(env.pop(name)) for name in names}
