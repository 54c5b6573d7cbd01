"""Start and stop of everything, in order: emulator, databases, migrations, Airflow's processes, pools.

Processes that run already and still fit are used again. Processes with another configuration or older code are
restarted. A failed or interrupted start stops what it has started.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from local import airflowenv, emulated, migrations, safe_files, state
from local.api import AirflowApi
from local.config import EMULATOR_PORT, PROJECT, UI_PORT, Config, require_free_port
from local.errors import ApiError, LocalError, StartError
from local.processes import Record, Registry, tail
from local.services import workers
from local.services.postgres import NAME as POSTGRES
from local.services.postgres import PORT as POSTGRES_PORT
from local.services.postgres import Cluster

EMULATOR = "emulator"
COMPONENTS = {
    "api-server": ("api-server",),
    "scheduler": ("scheduler", "--skip-serve-logs"),
    "dag-processor": ("dag-processor",),
    "triggerer": ("triggerer", "--skip-serve-logs"),
}
HEALTH_NAMES = {"scheduler": "scheduler", "dag-processor": "dag_processor", "triggerer": "triggerer"}
AIRFLOW_DB, LEDGER_DB = "airflow", "rescind_ledger"
AIRFLOW_ROLE, LEDGER_ROLE, LEDGER_OWNER = "airflow", "rescind", "rescind_owner"


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
        self._warm = False
        self._ledger_owner = ""

    def up(self, *, emulator: bool, reset: bool = False) -> Running:
        """Bring the stack up, with the emulator and connections to it, or against the caller's own connections.

        With the emulator nothing of the caller's Airflow configuration is used: neither a database nor a
        connection of another deployment can be touched by a demonstration.

        :param reset: set the emulated organization back to its beginning.
        :raises LocalError: when it cannot; whatever this call has started is stopped again.
        """
        began = time.monotonic()
        with state.lock(self.config.state):
            before = {record.pid for record in self.registry.records()}
            try:
                env, emulator_url = self._foundation(emulator=emulator, reset=reset)
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
            last = [record for record in records if record.name in (POSTGRES, workers.REDIS)]
            self.registry.stop(record for record in records if record not in last)
            self.registry.stop(last)
            return [record.name for record in records]

    def clean(self) -> None:
        """Stop everything and remove the state folder with all data in it."""
        import shutil

        self.down()
        self._cluster().remove()
        safe_files.remove_socket_folders(self.config.state)
        shutil.rmtree(self.config.state, ignore_errors=True)

    def migrate(self) -> None:
        """Bring the databases up to date without starting Airflow; PostgreSQL keeps running if it did."""
        with state.lock(self.config.state):
            before = {record.pid for record in self.registry.records()}
            try:
                environ = self._databases(dict(os.environ))
                env = airflowenv.environment(self.config, self.secrets, provided={}, environ=environ)
                migrations.migrate(self.config, env, self.say, owner=self._owner(), force=True)
            finally:
                self.registry.stop(r for r in self.registry.records() if r.pid not in before)

    def airflow_environment(self) -> dict[str, str]:
        """The environment that the running components were started with (for ``airflow`` on the command line).

        :raises LocalError: when the stack has not been started.
        """
        note = safe_files.read_json(self._note)
        if not note or "environment" not in note:
            raise LocalError("The stack has not been started yet.", "Run make up or make demo.")
        own = {k: v for k, v in os.environ.items() if not k.startswith("AIRFLOW") and k not in ("PYTHONPATH", "PATH")}
        return {**own, **note["environment"]}

    # -- the ground: emulator, databases, environment ------------------------------------------------------------

    def _foundation(self, *, emulator: bool, reset: bool) -> tuple[dict[str, str], str | None]:
        environ = dict(os.environ)
        provided: dict[str, str] = {}
        if emulator:
            ignored = sorted(name for name in environ if name.startswith("AIRFLOW_"))
            if ignored:
                self.say(f"  the demonstration ignores {len(ignored)} AIRFLOW variables of your environment")
            environ = {name: value for name, value in environ.items() if name not in ignored}
            control = self._emulator()
            if reset:
                control.post("reset")
            provided |= emulated.connections(self.config.emulator_url, control)
            provided |= emulated.variables(self.config, control)
        else:
            old = self.registry.find(EMULATOR)
            self.registry.stop([old] if old else [])
        if self.config.celery:
            password = self.secrets.redis_password
            broker = workers.start_redis(self.config, self.registry, password)
            self._until(lambda: workers.answers(self.config, password), [broker], 30)
            provided |= workers.environment(self.config, password)
        env = airflowenv.environment(self.config, self.secrets, provided=provided, environ=self._databases(environ))
        return env, self.config.emulator_url if emulator else None

    def _emulator(self) -> emulated.Control:
        """Start the emulator unless it runs.

        :raises LocalError: when its port is taken, or when it does not answer.
        """
        control = emulated.Control(self.config.emulator_url, self.secrets.emulator_token)
        record = self.registry.find(EMULATOR)
        if record is not None and not control.healthy():
            self.registry.stop([record])
            record = None
        if record is None:
            require_free_port(self.config.emulator_port, EMULATOR_PORT)
            grants = self.config.emulator_grants
            size = ["--grants", str(grants)] if grants else ["--preset", "demo"]
            command = [sys.executable, str(PROJECT / "include" / "emulator"), "serve", *size]
            command += ["--port", str(self.config.emulator_port)]
            command += ["--ready-file", str(self.config.state / "emulator.json")]
            env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
            env[emulated.TOKEN] = self.secrets.emulator_token
            record = self.registry.start(EMULATOR, command, env=env, log=self._log(EMULATOR), cwd=PROJECT)
            self._until(control.healthy, [record], 60)
            self.say(f"  emulator of the vendors' clouds at {self.config.emulator_url}")
        return control

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
            # The owner migrates. Airflow knows the other role only, which cannot rewrite a record.
            owner, password = self.secrets.ledger_owner_password, self.secrets.ledger_db_password
            cluster.ensure_database(LEDGER_DB, LEDGER_OWNER, owner, durable=True)
            cluster.ensure_role(LEDGER_ROLE, password)
            cluster.hand_over(LEDGER_DB, LEDGER_ROLE, LEDGER_OWNER)
            self._ledger_owner = cluster.url(LEDGER_DB, LEDGER_OWNER, owner)
            where = (str(cluster.socket_dir), POSTGRES_PORT, LEDGER_ROLE, password, LEDGER_DB)
            filled |= airflowenv.ledger_connection(*where)
        return filled

    def _owner(self) -> dict[str, str]:
        """Who migrates the ledger: its owner here, or whom the caller's environment names."""
        if self._ledger_owner:
            return {migrations.LEDGER_DSN: self._ledger_owner, migrations.RUNTIME_ROLE: LEDGER_ROLE}
        return {
            name: os.environ[name] for name in (migrations.LEDGER_DSN, migrations.RUNTIME_ROLE) if name in os.environ
        }

    def _cluster(self) -> Cluster:
        return Cluster(self.config.state, self.secrets.postgres_password)

    # -- Airflow ---------------------------------------------------------------------------------------------------

    def _airflow(self, env: dict[str, str]) -> bool:
        """Start Airflow unless it runs with this environment and this code; True when it was running."""
        wanted = airflowenv.fingerprint(env, [self.config.plugins])
        note = safe_files.read_json(self._note) or {}
        parts = (*COMPONENTS, *workers.WORKERS)
        running = {record.name: record for record in self.registry.records() if record.name in parts}
        if set(running) == set(parts if self.config.celery else COMPONENTS) and note.get("fingerprint") == wanted:
            self._until(lambda: self._healthy(None), running.values(), self.config.start_timeout)
            return True
        if running:
            self.say("  configuration or code has changed: restarting Airflow")
            self.registry.stop(running.values())
        require_free_port(self.config.ui_port, UI_PORT)
        airflowenv.write_passwords(self.config, self.secrets)
        migrations.migrate(self.config, env, self.say, owner=self._owner())
        self.say("  starting Airflow: API server, scheduler, DAG processor, triggerer")
        started = datetime.now(UTC) - timedelta(seconds=1)
        records = [self._component(name, env) for name in COMPONENTS]
        if self.config.celery:
            self.say(f"  starting Celery workers: {', '.join(workers.WORKERS)}")
            records += [workers.start_worker(self.config, self.registry, name, env) for name in workers.WORKERS]
        self._until(lambda: self._healthy(started), records, self.config.start_timeout)
        exported = {k: v for k, v in env.items() if k.startswith("AIRFLOW") or k in ("PATH", "NO_PROXY", "no_proxy")}
        safe_files.write_private(
            self._note, json.dumps({"fingerprint": wanted, "environment": exported}, indent=1) + "\n"
        )
        return False

    def _component(self, name: str, env: Mapping[str, str]) -> Record:
        command = (sys.executable, "-P", "-m", "airflow", *COMPONENTS[name])
        env = airflowenv.for_tasks(env) if name == "scheduler" else env
        return self.registry.start(name, command, env=env, log=self._log(name), cwd=self.config.airflow_home)

    def _healthy(self, since: datetime | None) -> bool:
        """Whether all components report as healthy, with heartbeats that are younger than ``since``."""
        try:
            if not self._warm:
                # The first request that a task would send makes the API server build its task interface, which
                # takes longer than a task waits for an answer.
                self._anonymous.task_interface_health(timeout=self.config.start_timeout)
                self._warm = True
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
        wanted = json.loads((PROJECT / "include" / "pools.json").read_text(encoding="utf-8"))
        with AirflowApi(self.config.base_url, "ada", self.secrets.passwords["ada"]) as api:
            have = api.pools()
            for name, pool in wanted.items():
                if name not in have:
                    api.create_pool(name, **pool)

    def _until(self, ready: Callable[[], bool], records: Any, timeout: float) -> None:
        """Poll until ready.

        :raises StartError: when one of the processes ends first, or after ``timeout`` seconds.
        """
        records = list(records)
        until = time.monotonic() + timeout
        while not ready():
            for record in records:
                if self.registry.ended(record):
                    log = Path(record.log)
                    raise StartError(f"{record.name} ended while starting; {log} says:\n{tail(log)}")
            if time.monotonic() > until:
                logs = ", ".join(record.log for record in records)
                remedy = "RESCIND_START_TIMEOUT=<seconds> waits longer."
                raise StartError(f"Not healthy after {timeout:.0f} s; see {logs}.", remedy)
            time.sleep(0.3)

    def _log(self, name: str) -> Path:
        return self.config.logs / f"{name}.log"


def announce(running: Running) -> None:
    """Print where the interface is and who may sign in."""
    how = "was running" if running.reused else "is up"
    say(f"\nAirflow {how} ({running.seconds:.1f} s): {running.base_url}")
    for user, role in state.USERS.items():
        say(f"  user {user:<5} password {running.passwords[user]:<14} role {role}")
    if running.emulator_url:
        say(f"emulator: {running.emulator_url}")
