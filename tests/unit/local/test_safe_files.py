"""Another user of the machine plants links, folders and files where the stack is going to write."""

from __future__ import annotations

import json
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from local import airflowenv, migrations, processes, safe_files, state
from local.config import Config, load
from local.errors import LocalError
from local.processes import Registry
from local.services import postgres, workers
from local.services.postgres import Account, Cluster
from local.stack import Stack

PASSWORD = "a-password"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


@pytest.fixture
def config(monkeypatch: pytest.MonkeyPatch) -> Iterator[Config]:
    """A stack in a folder whose path is short, so that its sockets need no other one."""
    # Root hands PostgreSQL to another account and keeps it elsewhere when that account cannot come here.
    monkeypatch.setattr(postgres, "_account", Account)
    with tempfile.TemporaryDirectory(prefix="rsc-") as folder:
        made = load({"RESCIND_EXECUTOR": "celery"}, {"RESCIND_STATE_DIR": f"{folder}/state"})
        state.prepare(made.state)
        yield made


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A file of the user that must stay as it is."""
    path = tmp_path / "victim"
    path.write_text('{"jwt_secret": "chosen by somebody else"}')
    path.chmod(0o644)
    return path


def _logged(config: Config) -> None:
    registry = Registry(config.state / "processes.json")
    command = [sys.executable, "-c", "print('x')"]
    record = registry.start("echo", command, env={}, log=config.logs / "echo.log", cwd=config.state)
    registry.stop([record])


def _migrated(config: Config) -> None:
    migrations._run(config, [sys.executable, "-c", "print('x')"], {})


def _locked(config: Config) -> None:
    with state.lock(config.state):
        pass


WRITERS: dict[str, Callable[[Config], object]] = {
    "secrets.json": lambda config: state.load_secrets(config.state),
    "lock": _locked,
    "logs/echo.log": _logged,
    "logs/migrate.log": _migrated,
    ".gitignore": lambda config: state.prepare(config.state),
    "processes.json": lambda config: Registry(config.state / "processes.json")._write([]),
    "sockets.json": lambda config: safe_files.write_private(config.state / "sockets.json", "{}"),
    "airflow/passwords.json": lambda config: airflowenv.write_passwords(config, state.load_secrets(config.state)),
}
"""What writes each file of the state folder."""


@pytest.mark.parametrize("name", WRITERS)
def test_a_link_in_the_place_of_a_file_is_not_followed(config: Config, victim: Path, name: str) -> None:
    """It is replaced by a file of our own, or refused; what it points to keeps content and mode."""
    place = config.state / name
    place.unlink(missing_ok=True)
    place.symlink_to(victim)
    before = victim.read_bytes(), mode(victim)
    try:
        WRITERS[name](config)
    except LocalError as error:
        assert "is a link" in error.problem and "RESCIND_STATE_DIR" in error.remedy
    else:
        # A marker for git that somebody else has put there is left alone.
        assert name == ".gitignore" or (not place.is_symlink() and mode(place) == 0o600)
    assert (victim.read_bytes(), mode(victim)) == before
    place.unlink()
    WRITERS[name](config)
    assert place.is_file() and not place.is_symlink() and mode(place) == 0o600, name


class _Noting(Registry):
    """Starts nothing."""

    def start(self, name: str, command: object, **given: object) -> processes.Record:  # type: ignore[override]
        return processes.Record(name, 0, "", (), "")


def _worker(config: Config) -> None:
    workers.start_worker(config, _Noting(config.state / "processes.json"), "worker-1", {})


FOLDERS: dict[str, Callable[[Config], object]] = {
    ".": lambda config: state.prepare(config.state),
    "logs": lambda config: state.prepare(config.state),
    "airflow": lambda config: state.prepare(config.state),
    "redis": lambda config: workers.environment(config, PASSWORD),
    "workers": _worker,
    "workers/worker-1": _worker,
    "workers/worker-1/tmp": _worker,
    "postgres": lambda config: Cluster(config.state, PASSWORD),
    "postgres/socket": lambda config: Cluster(config.state, PASSWORD)._own(config.state / "postgres" / "socket"),
}
"""What makes each folder of the state folder."""


@pytest.mark.parametrize("name", FOLDERS)
def test_a_link_in_the_place_of_a_folder_is_refused(config: Config, tmp_path: Path, name: str) -> None:
    target = tmp_path / "target"
    target.mkdir(mode=0o755)
    target.chmod(0o755)
    place = config.state / name
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.exists():
        shutil.rmtree(place)
    place.symlink_to(target)
    with pytest.raises(LocalError, match="is a link"):
        FOLDERS[name](config)
    assert mode(target) == 0o755 and list(target.iterdir()) == []


def test_a_state_folder_that_is_a_link_is_not_resolved_before_it_is_checked(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    config = load({}, {"RESCIND_STATE_DIR": str(tmp_path / "link")})
    assert config.state == tmp_path / "link"
    with pytest.raises(LocalError, match="is a link"):
        Stack(config)
    assert load({}, {"RESCIND_STATE_DIR": str(tmp_path / "link" / "below")}).state == tmp_path / "real" / "below"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a file of another user")
def test_files_and_folders_of_another_user_are_refused(config: Config, tmp_path: Path) -> None:
    """The owner of a folder can change what is in it, and the owner of a file what is read from it."""
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    os.chown(foreign, 65534, 65534)
    with pytest.raises(LocalError, match="belongs to another user"):
        safe_files.own_folder(foreign)
    with pytest.raises(LocalError, match="belongs to another user"):
        state.prepare(foreign)
    secret = config.state / "secrets.json"
    secret.write_text('{"jwt_secret": "chosen by somebody else"}')
    os.chown(secret, 65534, 65534)
    with pytest.raises(LocalError, match="no file of this user"):
        state.load_secrets(config.state)


@pytest.mark.parametrize("act", [safe_files.append, safe_files.read])
def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path, act: Callable[[Path], object]) -> None:
    """A pipe would keep the reader waiting."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(LocalError):
        act(pipe)


def test_modes_are_made_narrow_again(config: Config) -> None:
    with state.lock(config.state):
        pass
    for path, wide in ((config.state / "lock", 0o666), (config.logs, 0o777), (config.state, 0o777)):
        path.chmod(wide)
    state.prepare(config.state)
    with state.lock(config.state):
        assert mode(config.state / "lock") == 0o600
    assert mode(config.logs) == 0o700 and mode(config.state) & 0o066 == 0


def test_everything_in_the_state_folder_is_for_its_owner_alone(config: Config) -> None:
    for act in (*WRITERS.values(), *FOLDERS.values()):
        act(config)
    found = [path for path in config.state.rglob("*") if not path.is_relative_to(config.state / "postgres")]
    assert len(found) > 12
    wide = {str(path): oct(mode(path)) for path in found if mode(path) != (0o700 if path.is_dir() else 0o600)}
    assert wide == {}


def test_the_folder_of_a_socket_has_a_name_that_nobody_can_guess(tmp_path: Path) -> None:
    short = Path("/srv/x")
    assert safe_files.socket_folder(tmp_path, short, "s") == short
    deep = tmp_path / ("deep" * 30)
    made = [safe_files.socket_folder(folder, deep, "s") for folder in (_new(tmp_path, "a"), _new(tmp_path, "b"))]
    try:
        assert made[0] != made[1] and all(mode(folder) == 0o700 for folder in made)
        assert all(len(os.fsencode(folder / "s")) <= safe_files.SOCKET_PATH_LIMIT for folder in made)
        assert safe_files.socket_folder(tmp_path / "a", deep, "s") == made[0]
    finally:
        for name in "ab":
            safe_files.remove_socket_folders(tmp_path / name)
    assert not any(folder.exists() for folder in made)


@pytest.mark.parametrize("planted", ["link", "open", "file", "gone"])
def test_a_socket_folder_that_was_exchanged_is_not_used(tmp_path: Path, planted: str) -> None:
    folder, deep = _new(tmp_path, "a"), tmp_path / ("deep" * 30)
    first = safe_files.socket_folder(folder, deep, "s")
    first.rmdir()
    target = _new(tmp_path, "target")
    if planted == "link":
        first.symlink_to(target)
    elif planted == "open":
        first.mkdir()
        first.chmod(0o777)
    elif planted == "file":
        first.write_text("")
    try:
        second = safe_files.socket_folder(folder, deep, "s")
        assert second != first and mode(second) == 0o700
        assert list(target.iterdir()) == []
    finally:
        safe_files.remove_socket_folders(folder)
        if first.is_dir() and not first.is_symlink():
            first.rmdir()
        first.unlink(missing_ok=True)


def test_removing_follows_no_note_to_another_place(tmp_path: Path) -> None:
    """A note that names a folder of the user removes nothing."""
    precious = _new(tmp_path, "rescind-precious")
    (precious / "file").write_text("x")
    safe_files.write_private(tmp_path / "sockets.json", json.dumps({"x": str(precious), "y": "/tmp", "z": 7}))
    safe_files.remove_socket_folders(tmp_path)
    assert (precious / "file").exists() and Path("/tmp").exists()


def _new(folder: Path, name: str) -> Path:
    (folder / name).mkdir(exist_ok=True)
    return folder / name
