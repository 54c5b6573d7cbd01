"""The state folder: permissions, secrets, whole writes, the lock."""

from __future__ import annotations

import base64
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from local import safe_files, state
from local.errors import LocalError


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_secrets_are_made_once_and_only_their_owner_reads_them(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    state.prepare(folder)
    first = state.load_secrets(folder)
    assert mode(folder / "secrets.json") == 0o600
    assert state.load_secrets(folder) == first
    assert set(first.passwords) == set(state.ROLES)
    texts = [first.jwt_secret, first.fernet_key, first.api_secret_key, first.postgres_password,
             first.airflow_db_password, first.ledger_db_password, first.redis_password,
             first.emulator_token, *first.passwords.values()]  # fmt: skip
    assert len(set(texts)) == len(texts)
    assert len(base64.urlsafe_b64decode(first.fernet_key)) == 32


def test_missing_secrets_are_added_and_the_others_stay(tmp_path: Path) -> None:
    state.prepare(tmp_path)
    first = state.load_secrets(tmp_path)
    kept = json.loads((tmp_path / "secrets.json").read_text())
    del kept["passwords"]["vera"], kept["jwt_secret"]
    (tmp_path / "secrets.json").write_text(json.dumps(kept))
    second = state.load_secrets(tmp_path)
    assert second.fernet_key == first.fernet_key
    assert second.passwords["rita"] == first.passwords["rita"]
    assert second.passwords["vera"] not in ("", first.passwords["vera"])
    assert second.jwt_secret not in ("", first.jwt_secret)


def test_two_stacks_share_no_secret(tmp_path: Path) -> None:
    made = []
    for name in ("a", "b"):
        state.prepare(tmp_path / name)
        made.append(state.load_secrets(tmp_path / name))
    assert made[0].jwt_secret != made[1].jwt_secret
    assert not set(made[0].passwords.values()) & set(made[1].passwords.values())


def test_what_the_folder_holds_is_not_for_others_and_not_for_git(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    state.prepare(folder)
    # Where root hands PostgreSQL to another account, that account may pass through, not read.
    assert mode(folder) == (0o711 if os.geteuid() == 0 and state._open_to_all(folder) else 0o700)
    assert mode(folder / "logs") == mode(folder / "airflow") == 0o700
    with state.lock(folder):
        assert mode(folder / "lock") == 0o600
    assert (folder / ".gitignore").read_text() == "*\n"


def test_a_write_is_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file.json"
    safe_files.write_private(path, '{"a": 1}')

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        safe_files.write_private(path, '{"a": 2}')
    assert safe_files.read_json(path) == {"a": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.json"]


@pytest.mark.parametrize("content", [None, "", '{"a": ', "[1"])
def test_a_missing_or_torn_file_reads_as_nothing(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "x.json"
    if content is not None:
        path.write_text(content)
    assert safe_files.read_json(path) is None


def test_a_second_command_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    code = "import sys; sys.path.insert(0, sys.argv[1]); from local.state import lock; from pathlib import Path\n"
    code += "with lock(Path(sys.argv[2])): print('got it')"
    include = str(Path(state.__file__).parents[1])
    command = [sys.executable, "-c", code, include, str(tmp_path)]
    with state.lock(tmp_path):
        second = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert second.returncode != 0
    assert "Another command" in second.stderr and "RESCIND_STATE_DIR" in second.stderr
    assert subprocess.run(command, capture_output=True, text=True, timeout=60).stdout == "got it\n"


def test_a_folder_that_cannot_be_written_names_the_setting(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LocalError) as caught:
        state.prepare(tmp_path / "file" / "below")
    assert "RESCIND_STATE_DIR" in caught.value.remedy
