"""The environment that Airflow's components run with.

Everything is configuration that Airflow documents. A value that the caller's own environment sets wins over a
default from here, except for what makes the stack one stack (home, ports, folders, users, shared secrets).
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from local.config import HOST, PROJECT, Config
from local.safe_files import write_private
from local.state import ROLES, SERVICE, Secrets

LEDGER_VARIABLE = "AIRFLOW_CONN_RESCIND_LEDGER"
APPROVAL_VARIABLE = "RESCIND_APPROVAL_KEY"
API_VARIABLE = "AIRFLOW_CONN_RESCIND_AIRFLOW"
OWNER_VARIABLES = ("RESCIND_LEDGER_DSN", "RESCIND_LEDGER_RUNTIME_ROLE")
"""Who migrates the ledger. Tasks never see it."""
METADATA_VARIABLE = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"

AUTH_MANAGER = "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager"

PRELOAD = (
    "airflow.sdk.execution_time.supervisor",
    "airflow.sdk.execution_time.schema.migrator",
    "airflow.sdk.execution_time.task_runner",
    "airflow.sdk.definitions.connection",
    "airflow.sdk.definitions.asset.metadata",
    "airflow.sdk.definitions.decorators.task_group",
    "airflow.sdk._shared.logging.structlog",
    "airflow.sdk._shared.logging.remote",
    "airflow.sdk._shared.logging.factory",
    "airflow.providers.standard.decorators.python",
    "airflow.providers.standard.operators.empty",
    "airflow.providers.standard.operators.hitl",
    "airflow.sdk.execution_time.cache",
    "airflow.version",
    "airflow.providers.http.notifications",
    "jinja2.ext",
    "encodings.idna",
    "httpx",
    "anyio._core._sockets",
    "_strptime",
    "google.protobuf.text_format",
    "psycopg",
    "psycopg_binary",
    "cryptography.hazmat.primitives.asymmetric.ed25519",
    "cel_expr_python",
    "yaml",
    "rescind.dag_parts.review_dag",
    "rescind.dag_parts.trigger_forms",
    "rescind.systems.loaded",
)
"""Loaded by the scheduler before it forks workers: what the tasks of this project import."""

DEFAULTS = {
    "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
    "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "True",
    # A name look-up per task, slow where there is no name server.
    "AIRFLOW__CORE__HOSTNAME_CALLABLE": "socket.gethostname",
    # How soon the next task of a run starts: the scheduler's pause, in seconds, when it found nothing to do.
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.5",
    # How soon a new or changed DAG file is seen. An unchanged one is read again seldom: most of the work of a stack at
    # rest is that.
    "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "10",
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "300",
    "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
    "AIRFLOW__DAG_PROCESSOR__PRINT_STATS_INTERVAL": "0",
    "AIRFLOW__LOGGING__COLORED_CONSOLE_LOG": "False",
    "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
}


def environment(
    config: Config,
    secrets: Secrets,
    *,
    provided: Mapping[str, str],
    environ: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """The full environment of a component.

    :param provided: variables of the stack's own that win over the caller's, such as connections.
    """
    own = dict(os.environ if environ is None else environ)
    # Without cached byte code each process, and each task, compiles about 3,000 modules again.
    for name in ("PYTHONPATH", "PYTHONHOME", "PYTHONDONTWRITEBYTECODE", "AIRFLOW_CONFIG", *OWNER_VARIABLES):
        own.pop(name, None)
    made = {API_VARIABLE: _api_connection(config, secrets), APPROVAL_VARIABLE: secrets.approval_key}
    env = {**DEFAULTS, **made, **own}
    env.update(provided)
    env.update(
        {
            "AIRFLOW_HOME": str(config.airflow_home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(config.dags),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(config.plugins),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__PARALLELISM": str(config.parallelism),
            "AIRFLOW__CORE__FERNET_KEY": secrets.fernet_key,
            "AIRFLOW__CORE__AUTH_MANAGER": AUTH_MANAGER,
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{user}:{role}" for user, role in ROLES.items()),
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(config.airflow_home / "passwords.json"),
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{config.base_url}/execution/",
            "AIRFLOW__API__HOST": HOST,
            "AIRFLOW__API__PORT": str(config.ui_port),
            "AIRFLOW__API__BASE_URL": config.base_url,
            "AIRFLOW__API__WORKERS": str(config.api_workers),
            "AIRFLOW__API__SECRET_KEY": secrets.api_secret_key,
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.jwt_secret,
            # `airflow standalone` and some providers look for the program on the path.
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), own.get("PATH", os.defpath)]),
            "VIRTUAL_ENV": sys.prefix,
            "PYTHONUNBUFFERED": "1",
        }
    )
    for name in ("NO_PROXY", "no_proxy"):
        env[name] = ",".join(filter(None, [own.get(name, ""), HOST, "localhost"]))
    return env


def for_tasks(env: Mapping[str, str]) -> dict[str, str]:
    """The environment of a process that forks tasks (scheduler, worker): it loads early what they need."""
    return {
        **env,
        "PYTHONPATH": str(PROJECT / "include" / "local" / "preload"),
        "RESCIND_PRELOAD": env.get("RESCIND_PRELOAD", ",".join(PRELOAD)),
    }


def write_passwords(config: Config, secrets: Secrets) -> None:
    """Write the users' passwords where Airflow's simple auth manager reads them."""
    write_private(config.airflow_home / "passwords.json", json.dumps(secrets.passwords) + "\n")


def ledger_connection(host: str, port: int, user: str, password: str, database: str) -> dict[str, str]:
    """The connection to the embedded ledger, as an ``AIRFLOW_CONN_...`` variable."""
    fields = {
        "conn_type": "postgres",
        "host": host,
        "port": port,
        "login": user,
        "password": password,
        "schema": database,
    }
    return {LEDGER_VARIABLE: json.dumps(fields)}


def _api_connection(config: Config, secrets: Secrets) -> str:
    """The connection with which tasks ask this stack's own Airflow."""
    where = {"host": config.base_url} if config.base_path else {"host": HOST, "port": config.ui_port}
    return json.dumps({"conn_type": "http", **where, "login": SERVICE, "password": secrets.passwords[SERVICE]})


def fingerprint(env: Mapping[str, str], folders: Iterable[Path]) -> str:
    """A digest of everything that a running component cannot take up without a restart.

    That is its configuration, and the code in ``folders``: plugins are loaded once, and tasks are forked from the
    scheduler.
    """
    content = hashlib.sha256()
    for name in sorted(env):
        if name.startswith(("AIRFLOW", "RESCIND_", "PYTHON", "VIRTUAL_ENV")):
            content.update(f"{name}={env[name]}\0".encode())
    for folder in folders:
        for path in sorted(path for path in folder.rglob("*") if path.suffix in (".py", ".sql")):
            status = path.stat()
            content.update(f"{path}:{status.st_mtime_ns}:{status.st_size}\0".encode())
    return content.hexdigest()
