"""The one-machine stack under the FAB auth manager, where a user's id is a number; its DAGs come from a Git bundle."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from unittest import mock

from tests.support.servers.emulator import ROOT
from tests.support.servers.live import LiveStack, _free_port

sys.path.insert(0, str(ROOT / "include"))
from local.config import load
from local.emulated import CHANGES
from local.stack import Stack
from local.state import ROLES, load_secrets

FAB = "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager"
GIT = find_spec("airflow.providers.git") is not None if find_spec("airflow.providers") else False
SECOND = "2"
"""A user whose name is the number of omar. Users get their numbers in the order of :data:`USERS`."""
USERS = {**ROLES, SECOND: "user"}
APPROVERS = [{"id": str(list(USERS).index(name) + 1), "name": name} for name in ("rita", "omar")]
_FAB_ROLES = {"user": "Op", "viewer": "Viewer", "admin": "Admin"}
_ADD_USERS = """
import json, sys
from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder
with get_application_builder() as builder:
    manager = builder.sm
    for name, role, password in json.load(sys.stdin):
        found = manager.add_user(name, name, name, name + "@example.org", manager.find_role(role), password=password)
        assert found, name
"""


class FabStack(Stack):
    """The stack with another auth manager, and DAGs of a Git repository where the provider is installed."""

    repository: Path | None = None

    def _foundation(self, *, emulator: bool, reset: bool) -> tuple[dict[str, str], str | None]:
        env, url = super()._foundation(emulator=emulator, reset=reset)
        env["AIRFLOW__CORE__AUTH_MANAGER"] = FAB
        if self.repository is not None:
            kind = "airflow.providers.git.bundles.git.GitDagBundle"
            options = {
                "repo_url": str(self.repository),
                "tracking_ref": "main",
                "subdir": "dags",
                "refresh_interval": 10,
            }
            bundles = [{"name": "security", "classpath": kind, "kwargs": options}]
            env["AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST"] = json.dumps(bundles)
        self.env = env
        return env, url

    def _pools(self) -> None:
        """Create the users before anybody signs in."""
        passwords = {**self.secrets.passwords, SECOND: "password-of-two"}
        rows = [(name, _FAB_ROLES[role], passwords[name]) for name, role in USERS.items()]
        command = [sys.executable, "-P", "-W", "ignore", "-c", _ADD_USERS]
        subprocess.run(command, input=json.dumps(rows), text=True, env=self.env, check=True, timeout=180)
        super()._pools()


@contextmanager
def fab_stack() -> Iterator[tuple[LiveStack, FabStack]]:
    """A running stack with the emulator; stopped at the end whatever happened."""
    state = Path(tempfile.mkdtemp(prefix="rsc-"))
    settings = {
        "RESCIND_STATE_DIR": str(state / "s"),
        "RESCIND_UI_PORT": str(_free_port()),
        "RESCIND_EMULATOR_PORT": str(_free_port()),
        "RESCIND_START_TIMEOUT": "400",
    }
    changes = json.dumps({"approvers": APPROVERS, "settle_limit_seconds": 60})
    with mock.patch.dict(os.environ, {CHANGES: changes}):
        config = load(environ=settings)
        stack = FabStack(config)
        if GIT:
            stack.repository = _repository(state / "repository")
        try:
            stack.up(emulator=True)
            passwords = {**load_secrets(config.state).passwords, SECOND: "password-of-two"}
            live = LiveStack(config, passwords, subprocess.CompletedProcess([], 0, "", ""))
            yield live, stack
            live.close()
        finally:
            stack._anonymous.close()
            stack.clean()
            shutil.rmtree(state, ignore_errors=True)


def _repository(folder: Path) -> Path:
    """A Git repository with the DAG files, as a team keeps them."""
    shutil.copytree(ROOT / "dags", folder / "dags")
    who = ("-c", "user.name=Security", "-c", "user.email=security@example.org")
    for arguments in (("init", "-q", "-b", "main"), ("add", "."), (*who, "commit", "-q", "-m", "dags: first")):
        subprocess.run(["git", "-C", str(folder), *arguments], check=True, timeout=60)
    return folder
