"""Start and stop of everything, in order: emulator, PostgreSQL, migrations, Airflow's four processes, pools.

What runs already and still fits is used again; what runs with another configuration or older code is started
anew. Whatever a failed or interrupted start has begun, it ends.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psycopg

from local import airflowenv, state
from local.api import AirflowApi
from local.config import EMULATOR_PORT, HOST, PROJECT, UI_PORT, Config, require_free_port
from local.errors import ApiError, LocalError, StartFailed
from local.postgres import NAME as POSTGRES
from local.postgres import PORT as POSTGRES_PORT
from local.postgres import Cluster
from local.processes import Record, Registry, tail

EMULATOR = "emulator"
COMPONENTS = {
    "api-server": ("api-server",),
    "scheduler": ("scheduler", "--skip-serve-logs"),
    "dag-processor": ("dag-processor",),
    "triggerer": ("triggerer", "--skip-serve-logs"),
}
HEALTH_NAMES = {"scheduler": "scheduler", "dag-processor": "dag_processor", "triggerer": "triggerer"}
AIRFLOW_DB, LEDGER_DB = "airflow", "rescind_ledger"
AIRFLOW_ROLE, LEDGER_ROLE = "airflow", "rescind"


def say(line: str) -> None:
    """Print a line of progress at once."""
    print(line, flush=True)


@dataclass(frozen=True, slots=True)
class Running:
    """A stack that is up.

    :param reused: True when Airflow was running already.
    :param seconds: how long it took to be healthy.
    """

    base_url: str
    emulator_url: str | None
    passwords: Mapping[str, str]
    reused: bool
    seconds: float


class Stack:
    """The stack of one state folder."""

    def __init__(self, config: Config, say: Callable[[str], None] = say) -> None:
        self.config = config
        self.say = say
        state.prepare(config.state)
        self.secrets = state.load_secrets(config.state)
        self.registry = Registry(config.state / "processes.json")
        self._note = config.state / "stack.json"
        self._anonymous = AirflowApi(config.base_url, timeout=5)

    def up(self, *, emulator: bool) -> Running:
        """Bring the stack up, with the emulator and connections to it, or against the caller's own connections.

        With the emulator nothing of the caller's Airflow configuration is used: neither a database nor a
        connection of another deployment can be touched by a demonstration.

        :raises LocalError: when it cannot; whatever this call has started is stopped again.
        """
        began = time.monotonic()
        with state.lock(self.config.state):
            before = {record.pid for record in self.registry.records()}
            try:
                env, emulator_url = self._foundation(emulator=emulator)
                reused = self._airflow(env)
                self._pools()
            except BaseException:
                self.registry.stop(record for record in self.registry.records() if record.pid not in before)
                raise
        seconds = time.monotonic() - began
        return Running(self.config.base_url, emulator_url, self.secrets.passwords, reused, seconds)

    def down(self) -> list[str]:
        """Stop what the stack has started and nothing else; returns the names of what was running."""
        with state.lock(self.config.state):
            records = self.registry.records()
            last = [record for record in records if record.name == POSTGRES]
            self.registry.stop(record for record in records if record.name != POSTGRES)
            self.registry.stop(last)
            return [record.name for record in records]

    def clean(self) -> None:
        """Stop everything and remove the state folder with all data in it."""
        import shutil

        self.down()
        for folder in self._cluster().folders:
            shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(self.config.state, ignore_errors=True)

    def migrate(self) -> None:
        """Bring Airflow's database up to date without starting Airflow; PostgreSQL keeps running if it did."""
        with state.lock(self.config.state):
            before = {record.pid for record in self.registry.records()}
            try:
                env = self._environment(self._databases(dict(os.environ)), {})
                self._migrate(env, force=True)
            finally:
                self.registry.stop(r for r in self.registry.records() if r.pid not in before)

    def airflow_environment(self) -> dict[str, str]:
        """The environment that the running components were started with (for ``airflow`` on the command line).

        :raises LocalError: when the stack has not been started.
        """
        note = state.read_json(self._note)
        if not note or "environment" not in note:
            raise LocalError("The stack has not been started yet.", "Run make up or make demo.")
        own = {k: v for k, v in os.environ.items() if not k.startswith("AIRFLOW") and k not in ("PYTHONPATH", "PATH")}
        return {**own, **note["environment"]}

    # -- the ground: emulator, databases, environment ------------------------------------------------------------

    def _foundation(self, *, emulator: bool) -> tuple[dict[str, str], str | None]:
        environ = dict(os.environ)
        connections: dict[str, str] = {}
        if emulator:
            ignored = sorted(name for name in environ if name.startswith(("AIRFLOW_", "AIRFLOW__")))
            if ignored:
                self.say(f"  the demonstration ignores {len(ignored)} AIRFLOW variables of your environment")
            environ = {name: value for name, value in environ.items() if name not in ignored}
            keys = self._emulator()
            connections = airflowenv.demo_connections(self.config.emulator_url, keys)
        else:
            old = self.registry.find(EMULATOR)
            self.registry.stop([old] if old else [])
        databases = self._databases(environ)
        return self._environment(databases, connections), self.config.emulator_url if emulator else None

    def _emulator(self) -> dict[str, dict[str, Any]]:
        ready = self.config.state / "emulator.json"
        record = self.registry.find(EMULATOR)
        if record is not None and not _serves(self.config.emulator_url):
            self.registry.stop([record])
            record = None
        if record is None:
            require_free_port(self.config.emulator_port, EMULATOR_PORT)
            ready.unlink(missing_ok=True)
            command = [sys.executable, str(PROJECT / "include" / "emulator"), "serve", "--preset", "demo"]
            command += ["--port", str(self.config.emulator_port), "--ready-file", str(ready)]
            env = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
            record = self.registry.start(EMULATOR, command, env=env, log=self._log(EMULATOR), cwd=PROJECT)
            self._until(lambda: ready.exists() and _serves(self.config.emulator_url), [record], 30)
            self.say(f"  emulator of the vendors' clouds at {self.config.emulator_url}")
        content = state.read_json(ready)
        try:
            return {vendor: dict(content["credentials"][vendor]) for vendor in ("tencent", "alibaba")}
        except (TypeError, KeyError, ValueError):
            raise StartFailed(f"The emulator's ready file {ready} lacks the credentials.", "Run make down.") from None

    def _databases(self, environ: dict[str, str]) -> dict[str, str]:
        """The caller's environment with the two databases filled in where they are not configured."""
        metadata = any(name.startswith(airflowenv.METADATA_VARIABLE) for name in environ)
        ledger = airflowenv.LEDGER_VARIABLE in environ
        if metadata and ledger:
            return environ
        cluster = self._cluster()
        cluster.ensure_running(self.registry, self.config.start_timeout)
        filled = dict(environ)
        if not metadata:
            password = self.secrets.airflow_db_password
            cluster.ensure_database(AIRFLOW_DB, AIRFLOW_ROLE, password, durable=False)
            filled[airflowenv.METADATA_VARIABLE] = cluster.url(
                AIRFLOW_DB, AIRFLOW_ROLE, password, "postgresql+psycopg2"
            )
        if not ledger:
            password = self.secrets.ledger_db_password
            cluster.ensure_database(LEDGER_DB, LEDGER_ROLE, password, durable=True)
            where = (str(cluster.socket_dir), POSTGRES_PORT, LEDGER_ROLE, password, LEDGER_DB)
            filled |= airflowenv.ledger_connection(*where)
        return filled

    def _environment(self, environ: Mapping[str, str], connections: Mapping[str, str]) -> dict[str, str]:
        return airflowenv.environment(self.config, self.secrets, connections=connections, environ=environ)

    def _cluster(self) -> Cluster:
        return Cluster(self.config.state, self.secrets.postgres_password)

    # -- Airflow ---------------------------------------------------------------------------------------------------

    def _airflow(self, env: dict[str, str]) -> bool:
        """Start Airflow unless it runs with this environment and this code; True when it was running."""
        wanted = airflowenv.fingerprint(env, [PROJECT / "plugins"])
        note = state.read_json(self._note) or {}
        running = {record.name: record for record in self.registry.records() if record.name in COMPONENTS}
        if len(running) == len(COMPONENTS) and note.get("fingerprint") == wanted:
            self._until(lambda: self._healthy(None), running.values(), self.config.start_timeout)
            return True
        if running:
            self.say("  configuration or code has changed: Airflow is started anew")
            self.registry.stop(running.values())
        require_free_port(self.config.ui_port, UI_PORT)
        airflowenv.write_passwords(self.config, self.secrets)
        self._migrate(env)
        self.say("  starting Airflow: API server, scheduler, DAG processor, triggerer")
        started = datetime.now(UTC) - timedelta(seconds=1)
        records = [self._component(name, env) for name in COMPONENTS]
        self._until(lambda: self._healthy(started), records, self.config.start_timeout)
        exported = {k: v for k, v in env.items() if k.startswith("AIRFLOW") or k in ("PATH", "NO_PROXY", "no_proxy")}
        note = {**(state.read_json(self._note) or {}), "fingerprint": wanted, "base_url": self.config.base_url, "environment": exported}
        state.write_private(self._note, json.dumps(note, indent=1) + "\n")
        return False

    def _component(self, name: str, env: Mapping[str, str]) -> Record:
        program = str(Path(sys.executable).parent / "airflow")
        command = (program, *COMPONENTS[name])
        return self.registry.start(name, command, env=env, log=self._log(name), cwd=self.config.airflow_home)

    def _migrate(self, env: Mapping[str, str], *, force: bool = False) -> None:
        """Run Airflow's migrations unless the database is as the last run of them has left it."""
        import importlib.metadata

        version = importlib.metadata.version("apache-airflow-core")
        note = state.read_json(self._note) or {}
        address = env.get(airflowenv.METADATA_VARIABLE, "")
        revision = _revision(address)
        if not force and revision is not None and note.get("migrated") == [version, revision]:
            return
        self.say("  preparing Airflow's database")
        log = self._log("migrate")
        with log.open("ab") as output:
            command = [str(Path(sys.executable).parent / "airflow"), "db", "migrate"]
            done = subprocess.run(command, env=dict(env), stdout=output, stderr=output, cwd=self.config.airflow_home)
        if done.returncode != 0:
            raise StartFailed(f"airflow db migrate failed; {log} says:\n{tail(log)}")
        note["migrated"] = [version, _revision(address)]
        state.write_private(self._note, json.dumps(note, indent=1) + "\n")

    def _healthy(self, since: datetime | None) -> bool:
        """Whether all components report as healthy, with heartbeats that are younger than ``since``."""
        try:
            health = self._anonymous.health()
        except ApiError:
            return False
        for name in HEALTH_NAMES.values():
            part = health.get(name) or {}
            beat = part.get(f"latest_{name}_heartbeat")
            if part.get("status") != "healthy" or beat is None:
                return False
            if since is not None and datetime.fromisoformat(beat) < since:
                return False
        return bool((health.get("metadatabase") or {}).get("status") == "healthy")

    def _pools(self) -> None:
        """Create the pools of include/pools.json; slots that somebody has changed stay."""
        pools = json.loads((PROJECT / "include" / "pools.json").read_text(encoding="utf-8"))
        with AirflowApi(self.config.base_url, "ada", self.secrets.passwords["ada"]) as api:
            for name, pool in pools.items():
                api.ensure_pool(name, **pool)

    def _until(self, ready: Callable[[], bool], records: Any, timeout: float) -> None:
        """Poll until ready.

        :raises StartFailed: when one of the processes ends first, or after ``timeout`` seconds.
        """
        records = list(records)
        until = time.monotonic() + timeout
        while not ready():
            for record in records:
                if self.registry.ended(record):
                    raise StartFailed(f"{record.name} ended while starting; {record.log} says:\n{tail(Path(record.log))}")
            if time.monotonic() > until:
                logs = ", ".join(record.log for record in records)
                raise StartFailed(f"Not healthy after {timeout:.0f} s; see {logs}.", "RESCIND_START_TIMEOUT=<s> waits longer.")
            time.sleep(0.3)

    def _log(self, name: str) -> Path:
        return self.config.logs / f"{name}.log"


def _serves(emulator_url: str) -> bool:
    try:
        return httpx.get(f"{emulator_url}/_control/health", timeout=5, trust_env=False).is_success
    except httpx.HTTPError:
        return False


def _revision(sqlalchemy_url: str) -> str | None:
    """The migration that a PostgreSQL metadata database is at; None when that cannot be read."""
    scheme, separator, rest = sqlalchemy_url.partition("://")
    if not separator or not scheme.startswith("postgresql"):
        return None
    try:
        with psycopg.connect(f"postgresql://{rest}", connect_timeout=5) as connection:
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
            return str(row[0]) if row else None
    except psycopg.Error:
        return None
