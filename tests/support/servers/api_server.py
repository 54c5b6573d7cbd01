"""Airflow's API server alone, as a process of its own: its metadata in SQLite, its page served under a path prefix."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.support.servers.emulator import ROOT

PREFIX = "/airflow/here"
SECRET = "a-secret-of-the-tests-alone-0123456789-0123456789-0123456789-abc"

NOBODY = "nora"
"""May read no DAG."""
PARTLY = "lena"
"""May read the DAG ``revoke_access`` only."""
NO_RUNS = "dora"
"""May read every DAG, and the runs of none."""
BREAKS = "erin"
"""The check of her permissions fails."""


@dataclass(frozen=True)
class ApiServer:
    """A running API server.

    :param base: its address with the prefix, without a slash at the end.
    :param users: passwords by user.
    """

    base: str
    users: Mapping[str, str]

    def token(self, user: str) -> str:
        """A new token, as the login gives it."""
        answer = httpx.post(
            f"{self.base}/auth/token", json={"username": user, "password": self.users[user]}, trust_env=False
        )
        answer.raise_for_status()
        return str(answer.json()["access_token"])


@contextmanager
def running_api_server(home: Path, users: Mapping[str, str], **environ: str) -> Iterator[ApiServer]:
    """Start it with these users (name to role) and stop it afterwards."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    base = f"http://127.0.0.1:{port}{PREFIX}"
    passwords = {user: f"password-of-{user}" for user in users}
    (home / "passwords.json").write_text(json.dumps(passwords), encoding="utf-8")
    env = {
        **os.environ,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
        "PYTHONPATH": str(ROOT),
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__AUTH_MANAGER": "tests.support.auth.PickyAuthManager",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{user}:{role}" for user, role in users.items()),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "passwords.json"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "AIRFLOW__API__BASE_URL": base,
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API_AUTH__JWT_SECRET": SECRET,
        **environ,
    }
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    log = (home / "api-server.log").open("wb")
    airflow = [sys.executable, "-W", "ignore", "-m", "airflow"]
    subprocess.run([*airflow, "db", "migrate"], env=env, stdout=log, stderr=log, check=True, timeout=150)
    server = subprocess.Popen([*airflow, "api-server"], env=env, stdout=log, stderr=log, start_new_session=True)
    try:
        _until_ready(server, base, home / "api-server.log")
        yield ApiServer(base, passwords)
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait(10)
        log.close()


def _until_ready(server: subprocess.Popen[bytes], base: str, log: Path) -> None:
    deadline = time.monotonic() + 120
    while True:
        try:
            if httpx.get(f"{base}/api/v2/version", timeout=5, trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            pass
        if server.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"the API server did not start: {log.read_text()[-3000:]}")
        time.sleep(0.2)
