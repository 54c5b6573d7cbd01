"""The embedded PostgreSQL: a real server in a temporary folder."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from local import safe_files, state
from local.errors import StartError
from local.processes import Registry, identity
from local.services import postgres
from local.services.postgres import Account, Cluster

pytestmark = pytest.mark.postgres


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="rescind-local-") as name:
        Path(name).chmod(0o755)
        yield Path(name) / "state"


@pytest.fixture(scope="module")
def registry(folder: Path) -> Iterator[Registry]:
    state.prepare(folder)
    made = Registry(folder / "processes.json")
    yield made
    made.stop(made.records())


@pytest.fixture(scope="module")
def cluster(folder: Path, registry: Registry) -> Cluster:
    made = Cluster(folder, "super-secret")
    made.ensure_running(registry, 60)
    made.ensure_database("airflow", "airflow", "a-secret", durable=False)
    made.ensure_database("ledger", "rescind", "l-secret with/odd:chars@", durable=True)
    return made


def test_each_database_has_an_owner_of_its_own_who_sees_no_other(cluster: Cluster) -> None:
    with psycopg.connect(cluster.url("ledger", "rescind", "l-secret with/odd:chars@")) as connection:
        connection.execute("CREATE TABLE t (id int)")
        assert connection.execute("SHOW synchronous_commit").fetchone() == ("on",)
    with psycopg.connect(cluster.url("airflow", "airflow", "a-secret")) as connection:
        assert connection.execute("SHOW synchronous_commit").fetchone() == ("off",)
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(cluster.url("ledger", "airflow", "a-secret"))


@pytest.mark.parametrize("password", ["", "wrong"])
def test_nobody_comes_in_without_the_password(cluster: Cluster, password: str) -> None:
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(cluster.url("ledger", "rescind", password))


def test_the_server_is_on_no_network_and_its_folders_are_its_owners(cluster: Cluster) -> None:
    with psycopg.connect(cluster.url("ledger", "rescind", "l-secret with/odd:chars@")) as connection:
        assert connection.execute("SHOW listen_addresses").fetchone() == ("",)
    for path in (cluster.data, cluster.socket_dir):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700


def test_it_never_runs_as_root(cluster: Cluster, registry: Registry) -> None:
    record = registry.find(postgres.NAME)
    assert record is not None
    assert Path(f"/proc/{record.pid}").stat().st_uid != 0


def test_starting_again_finds_the_running_server(cluster: Cluster, folder: Path, registry: Registry) -> None:
    first = registry.find(postgres.NAME)
    assert Cluster(folder, "super-secret").ensure_running(registry, 30) == first


def test_a_server_that_the_registry_has_lost_is_taken_over(cluster: Cluster, folder: Path, registry: Registry) -> None:
    first = registry.find(postgres.NAME)
    assert first is not None
    (folder / "processes.json").unlink()
    assert registry.find(postgres.NAME) is None
    taken = cluster.ensure_running(registry, 30)
    assert (taken.pid, taken.identity) == (first.pid, first.identity)


def test_a_password_that_changed_names_the_remedy(cluster: Cluster, folder: Path, registry: Registry) -> None:
    with pytest.raises(StartError) as caught:
        Cluster(folder, "another").ensure_running(registry, 30)
    assert "secrets.json" in str(caught.value) and "make clean" in caught.value.remedy


def test_data_survive_a_killed_server_and_a_foreign_pid_file(cluster: Cluster, registry: Registry) -> None:
    url = cluster.url("ledger", "rescind", "l-secret with/odd:chars@")
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept (id int)")
        connection.execute("INSERT INTO kept VALUES (7)")
    record = registry.find(postgres.NAME)
    assert record is not None
    os.kill(record.pid, signal.SIGKILL)
    while identity(record.pid) == record.identity:
        pass
    # As after a restart of a container: the id in the file belongs to another living process by now.
    lines = (cluster.data / "postmaster.pid").read_text().splitlines()
    (cluster.data / "postmaster.pid").write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")
    again = cluster.ensure_running(registry, 60)
    assert again.pid != record.pid
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT id FROM kept").fetchone() == (7,)


def test_a_long_path_gets_a_short_socket_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "_account", Account)
    folder = tmp_path / ("deep" * 30)
    state.prepare(folder)
    made = Cluster(folder, "super-secret")
    try:
        assert len(str(made.socket_dir)) < safe_files.SOCKET_PATH_LIMIT
        assert Cluster(folder, "super-secret").socket_dir == made.socket_dir
        assert stat.S_IMODE(made.socket_dir.lstat().st_mode) == 0o700
    finally:
        made.remove()
    assert not made.socket_dir.exists()


def test_a_closed_folder_above_is_seen(tmp_path: Path) -> None:
    nobody = Account(65534, 65534)
    tmp = Path(tempfile.mkdtemp(prefix="rescind-reach-"))
    try:
        tmp.chmod(0o755)
        assert postgres._reachable(tmp / "a" / "b", nobody)
        tmp.chmod(0o700)
        assert not postgres._reachable(tmp / "a" / "b", nobody)
    finally:
        tmp.rmdir()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root hands the server to another account")
def test_root_in_a_closed_folder_keeps_data_and_programs_elsewhere_and_opens_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    folder = closed / "state"
    state.prepare(folder)
    package = postgres.find_binaries().parents[1]
    for source in (package / "pginstall18", package.with_name(f"{package.name}.libs")):
        shutil.copytree(source, closed / "site" / source.relative_to(package.parent), symlinks=True)
    programs = closed / "site" / package.name / "pginstall18" / "bin"
    monkeypatch.setattr(postgres, "find_binaries", lambda: programs)
    registry = Registry(folder / "processes.json")
    made = Cluster(folder, "super-secret")
    try:
        record = made.ensure_running(registry, 60)
        assert record.command[0].startswith("/var/lib/rescind/")
        made.ensure_database("ledger", "rescind", "x", durable=True)
        with psycopg.connect(made.url("ledger", "rescind", "x")) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
        assert made.data.is_relative_to("/var/lib/rescind")
        assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    finally:
        registry.stop(registry.records())
        made.remove()
    assert not made.data.exists()


def test_a_version_that_does_not_fit_names_both(tmp_path: Path) -> None:
    made = Cluster(tmp_path, "x")
    try:
        made.data.mkdir(parents=True)
        (made.data / "PG_VERSION").write_text("9\n")
        with pytest.raises(StartError, match=r"belongs to PostgreSQL 9.*program is \d+") as caught:
            made._initialize()
    finally:
        made.remove()
    assert "make clean" in caught.value.remedy


def test_a_ledger_that_its_tasks_owned_is_handed_over(cluster: Cluster) -> None:
    cluster.ensure_database("owned", "tasks", "t-secret", durable=True)
    with psycopg.connect(cluster.url("owned", "tasks", "t-secret")) as connection:
        connection.execute("CREATE TABLE kept (n int)")
    for _ in range(2):
        cluster.ensure_database("owned", "owner", "o-secret", durable=True)
        cluster.ensure_role("tasks", "t-secret")
        cluster.hand_over("owned", "tasks", "owner")
    with psycopg.connect(cluster.url("owned", "owner", "o-secret")) as connection:
        connection.execute("GRANT CONNECT ON DATABASE owned TO tasks")
        connection.execute("GRANT SELECT ON kept TO tasks")
    with psycopg.connect(cluster.url("owned", "tasks", "t-secret"), autocommit=True) as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)
        for statement in ("DROP TABLE kept", "TRUNCATE kept", "CREATE TABLE public.own (n int)"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)
