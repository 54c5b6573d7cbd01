"""The control interface needs the token of the emulator: other processes get 401, and no file or log has the token."""

from __future__ import annotations

import http.client
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from emulator.app import Settings, running
from emulator.build.sizes import TINY
from emulator.cli import _write_whole
from emulator.clock import Clock
from emulator.journal import Journal
from tests.support.servers.emulator import Emulator, running_emulator

TOKEN = "a-token-of-the-tests"
ROUTES = [("GET", "health"), ("GET", "truth"), ("GET", "org"), ("GET", "roster.csv"), ("POST", "reset"),
          ("POST", "mutate"), ("DELETE", "faults"), ("GET", ""), ("GET", "nothing")]  # fmt: skip


def asked(url: str, method: str, path: str, headers: dict[str, str]) -> tuple[int, str]:
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=10)
    connection.request(method, f"/_control/{path}", b"{}" if method == "POST" else None, headers)
    answer = connection.getresponse()
    status, body = answer.status, answer.read().decode()
    connection.close()
    return status, body


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_a_request_without_the_whole_token_changes_and_learns_nothing(method: str, path: str) -> None:
    near = TOKEN[:-1] + "x"
    wrong = ["", f"Bearer {near}", f"Bearer {TOKEN[:-1]}", f"Bearer {TOKEN}x", f"Basic {TOKEN}", TOKEN, "Bearer ",
             f"bearer {TOKEN}", "Bearer \u00e9"]  # fmt: skip
    with running(Settings(sizes=TINY), token=TOKEN) as server:
        before = server.app.world.counts()
        for given in wrong:
            status, body = asked(server.url, method, path, {"Authorization": given} if given else {})
            assert status == 401 and TOKEN not in body and "RESCIND_EMULATOR_TOKEN" in json.loads(body)["error"]
        assert server.app.world.counts() == before and len(server.app.world.journal) == 0
        assert asked(server.url, method, path, {"Authorization": f"Bearer {TOKEN}"})[0] in (200, 400, 404)


def test_without_a_token_the_control_interface_is_closed() -> None:
    with running(Settings(sizes=TINY)) as server:
        for given in ({}, {"Authorization": "Bearer "}, {"Authorization": "Bearer"}):
            assert asked(server.url, "GET", "health", given)[0] == 401


@pytest.fixture
def emulator(tmp_path: Path) -> Emulator:  # type: ignore[misc]
    with running_emulator(tmp_path, "--preset", "tiny", "--journal", str(tmp_path / "journal.jsonl")) as started:
        yield started  # type: ignore[misc]


def test_another_process_gets_401_and_finds_the_token_nowhere(emulator: Emulator, tmp_path: Path) -> None:
    code = (
        "import sys, urllib.request, urllib.error\n"
        "try: urllib.request.urlopen(sys.argv[1] + '/_control/truth', timeout=10)\n"
        "except urllib.error.HTTPError as error: print(error.code)\n"
    )
    command = [sys.executable, "-I", "-c", code, emulator.url]
    done = subprocess.run(command, env={}, capture_output=True, text=True, timeout=60)
    assert done.stdout == "401\n", done.stderr
    ready = json.loads((tmp_path / "emulator.json").read_text())
    line = Path(f"/proc/{ready['pid']}/cmdline").read_bytes().decode()
    written = [path for path in tmp_path.iterdir() if path.is_file()]
    assert {"emulator.json", "emulator.log", "journal.jsonl"} <= {path.name for path in written}
    assert emulator.get("health")["status"] == "ok"
    assert not any(emulator.token in text for text in (line, *(path.read_text() for path in written)))
    for name in ("emulator.json", "journal.jsonl"):
        assert stat.S_IMODE((tmp_path / name).lstat().st_mode) == 0o600


def test_links_in_the_place_of_its_files_are_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    for name in ("ready.json", "journal.jsonl", f"ready.json.{os.getpid()}.tmp"):
        (tmp_path / name).symlink_to(victim)
    _write_whole(tmp_path / "ready.json", "{}")
    assert not (tmp_path / "ready.json").is_symlink()
    with pytest.raises(OSError, match="symbolic links"):
        Journal(Clock(), tmp_path / "journal.jsonl")
    assert victim.read_text() == "precious"
