"""Local input files: regular files only, and an answer within seconds whatever stands at the path."""

from __future__ import annotations

import os
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rescind import data_files
from rescind.cli import main as rescind
from rescind.data_files import in_time, read_regular
from rescind.errors import ConfigurationError, InputError
from rescind.hooks.evidence_store import signing_key
from rescind.hooks.input_files import read_file, read_roster_file
from rescind.settings import Settings

pytestmark = pytest.mark.airflow


def fifo(path: Path) -> None:
    os.mkfifo(path)


def folder(path: Path) -> None:
    path.mkdir()


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def listening(path: Path) -> None:
    # A path of a socket may hold about 100 characters, so it is made elsewhere.
    short = Path(tempfile.mkdtemp(prefix="rescind-")) / "s"
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(short))
    path.symlink_to(short)


@pytest.mark.parametrize("make", [fifo, folder, device])
@pytest.mark.parametrize("name", ["protections", "exceptions", "policy", "owners", "roster", "evidence_key_file"])
def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path, name: str, make: Callable[[Path], None]) -> None:
    path = tmp_path / "input.csv"
    make(path)
    settings = Settings.model_validate({name: str(path)})
    with pytest.raises(ConfigurationError, match="not a regular file") as caught:
        if name == "roster":
            read_roster_file(settings)
        elif name == "evidence_key_file":
            signing_key(settings)
        else:
            read_file(settings, name)
    assert name in str(caught.value)


def test_a_socket_is_refused(tmp_path: Path) -> None:
    listening(tmp_path / "s")
    with pytest.raises(OSError, match=r"."):
        read_regular(tmp_path / "s", 10)


def test_a_checksum_file_that_is_a_pipe_is_refused(tmp_path: Path) -> None:
    (tmp_path / "roster.csv").write_text("person_id,status\n")
    os.mkfifo(tmp_path / "roster.csv.sha256")
    with pytest.raises(ConfigurationError, match="roster checksum file cannot be read"):
        read_roster_file(Settings(roster=str(tmp_path / "roster.csv")))


def test_the_command_line_refuses_a_pipe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(tmp_path / "policy.yaml")
    assert rescind(["lint", str(tmp_path / "policy.yaml")]) == 1
    assert "not a regular file" in capsys.readouterr().err


@pytest.fixture
def dead() -> Iterator[threading.Event]:
    """Set at the end, so that the threads of the test end as well."""
    event = threading.Event()
    yield event
    event.set()


def test_a_dead_mount_ends_in_an_error(tmp_path: Path, dead: threading.Event, monkeypatch: pytest.MonkeyPatch) -> None:
    """A system call that never returns, as on a network mount without its server."""
    (tmp_path / "protected.yaml").write_text("format: 1\n")
    opened = os.open

    def hangs(path: object, flags: int, *more: object, **options: object) -> int:
        if str(path).endswith("protected.yaml"):
            dead.wait()
        return opened(path, flags, *more, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", hangs)
    monkeypatch.setattr(data_files.read_regular, "__kwdefaults__", {"seconds": 0.05})
    with pytest.raises(ConfigurationError, match=r"does not answer within 0\.05 s"):
        read_file(Settings(protections=str(tmp_path / "protected.yaml")), "protections")


def test_work_that_fails_fails_as_without_a_thread() -> None:
    with pytest.raises(KeyError):
        in_time(lambda: {}["a"])
    assert in_time(lambda: 7) == 7


def test_a_file_is_read_to_its_limit_and_dated(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"x" * 10)
    os.utime(path, (0, 86_400))
    assert read_regular(path, 10) == (b"x" * 10, 86_400)
    assert read_regular(path, 4) == (b"x" * 5, 86_400)
    (tmp_path / "roster.csv.sha256").write_text("0" * 1_001)
    (tmp_path / "roster.csv").write_text("a")
    with pytest.raises(InputError, match="more than 1000 bytes"):
        read_roster_file(Settings(roster=str(tmp_path / "roster.csv")))


@pytest.mark.parametrize(
    ("source", "name", "beside", "as_of"),
    [
        ("name", "roster_2026-07-31.csv", "", "2026-07-31T00:00:00+00:00"),
        ("name", "people-20260731T0615Z.csv", "", "2026-07-31T06:15:00+00:00"),
        ("name", "exportUsers_2026-7-31.csv", "", None),
        ("name", "roster_2026-07-31_2026-08-01.csv", "", None),
        ("name", "roster_2026-13-31.csv", "", None),
        ("name", "roster.csv", "", None),
        ("checksum", "roster.csv", "  exported 2026-07-31T06:15:00Z", "2026-07-31T06:15:00+00:00"),
        ("checksum", "roster.csv", "  roster.csv", None),
        ("checksum", "roster.csv", None, None),
    ],
)
def test_the_age_of_a_roster_may_come_from_its_name_or_its_checksum_file(
    tmp_path: Path, source: str, name: str, beside: str | None, as_of: str | None
) -> None:
    path = tmp_path / name
    path.write_text("person_id\n")
    if beside is not None:
        path.with_name(f"{name}.sha256").write_text("0" * 64 + beside + "\n")
    settings = Settings.model_validate({"roster": str(path), "roster_as_of": source})
    if as_of is not None:
        assert read_roster_file(settings).as_of.isoformat() == as_of
    else:
        with pytest.raises(InputError, match="the setting roster_as_of needs one"):
            read_roster_file(settings)
