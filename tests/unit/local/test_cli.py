"""The command line, the installer and the Makefile's list of targets."""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from local import cli, install
from local.config import Config

ROOT = Path(__file__).resolve().parents[3]


def run(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """The command line as a person starts it."""
    command = [sys.executable, str(ROOT / "include" / "local"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env={**os.environ, **env})


def test_down_and_status_without_a_stack_say_so_and_make_nothing(tmp_path: Path) -> None:
    state = tmp_path / "none"
    for command, words in (("down", "nothing was running"), ("status", "nothing is running")):
        done = run(command, RESCIND_STATE_DIR=str(state))
        assert (done.returncode, done.stdout.strip()) == (0, words)
    assert not state.exists()


def test_a_bad_setting_is_one_clear_line(tmp_path: Path) -> None:
    done = run("--ui-port", "many", "status")
    assert done.returncode == 1
    assert "RESCIND_UI_PORT" in done.stderr and "whole number" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_taken_emulator_port_stops_the_start_and_leaves_nothing(tmp_path: Path) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = run("--emulator-port", port, "demo", RESCIND_STATE_DIR=str(tmp_path))
    assert done.returncode == 1
    assert port in done.stderr and "RESCIND_EMULATOR_PORT" in done.stderr
    assert run("status", RESCIND_STATE_DIR=str(tmp_path)).stdout.strip() == "nothing is running"


def test_the_environment_of_a_stack_that_never_ran_is_refused(tmp_path: Path) -> None:
    done = run("env", RESCIND_STATE_DIR=str(tmp_path / "s"))
    assert done.returncode == 1 and "make up" in done.stderr


def test_up_with_the_emulator_is_no_abbreviation_of_another_option(monkeypatch: pytest.MonkeyPatch) -> None:
    """``up --emulator`` reaches the command; what is only the start of an option is refused."""
    seen: list[tuple[bool, int]] = []

    def up(config: Config, options: argparse.Namespace) -> int:
        seen.append((options.emulator, config.emulator_port))
        return 0

    monkeypatch.setitem(cli.COMMANDS, "up", (up, "start"))
    assert cli.main(["up", "--emulator"]) == 0
    assert cli.main(["--emulator-port", "18099", "up"]) == 0
    assert [emulator for emulator, _ in seen] == [True, False] and seen[1][1] == 18099
    for words in (["--emulator-po", "1", "status"], ["up", "--emul"]):
        with pytest.raises(SystemExit) as ended:
            cli.main(words)
        assert ended.value.code == 2


def test_every_command_has_a_meaning(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    for name, (_, meaning) in cli.COMMANDS.items():
        assert name in shown
        assert meaning.split()[0] in shown


def test_started_as_a_folder_it_shadows_no_standard_module() -> None:
    names = {path.stem for path in (ROOT / "include" / "local").glob("*.py")}
    code = "import runpy, sys; sys.argv = ['local', '--help']\n"
    code += "try: runpy.run_path(sys.argv0, run_name='__main__')\nexcept SystemExit: pass\n"
    code = code.replace("sys.argv0", repr(str(ROOT / "include" / "local")))
    code += "import errors" if "errors" in names else ""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert "No module named 'errors'" in done.stderr  # its own folder is not on the path any more


def test_an_old_python_is_told_which_one_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install, "OLDEST", (99, 0))
    with pytest.raises(install.InstallError, match=r"Python 99\.0 or newer.*PYTHON=python99\.0"):
        install.install(tmp_path / "venv", dev=False)
    assert not (tmp_path / "venv").exists()


def test_an_installed_environment_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[object] = []

    def environment(venv: Path) -> Path:
        called.append(venv)
        return venv / "bin" / "python"

    monkeypatch.setattr(install, "_environment", environment)
    monkeypatch.setattr(install, "_install", lambda python, groups, file: called.append(groups))
    note = tmp_path / "rescind-installed"
    install.install(tmp_path, dev=False)
    assert called[1:] == [("run",)] and note.read_text().startswith("run ")
    install.install(tmp_path, dev=False)
    assert len(called) == 2
    install.install(tmp_path, dev=True)  # more than what is there
    assert called[-1] == ("run", "dev") and note.read_text().startswith("dev ")
    install.install(tmp_path, dev=False)  # less than what is there
    assert len(called) == 4
    note.write_text("dev of-older-requirements\n")
    install.install(tmp_path, dev=False)  # tools stay
    assert called[-1] == ("run", "dev")


def test_a_failed_installation_is_not_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise install.InstallError("no index")

    monkeypatch.setattr(install, "_environment", lambda venv: venv / "bin" / "python")
    monkeypatch.setattr(install, "_install", fail)
    assert install.main(["--venv", str(tmp_path)]) == 1
    assert not (tmp_path / "rescind-installed").exists()


def test_a_folder_that_is_no_environment_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(install.InstallError, match="something other than a virtual environment"):
        install._environment(tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_an_environment_whose_python_is_gone_is_made_anew(tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "pyvenv.cfg").write_text("home = /nowhere\n")
    (venv / "bin" / "python").symlink_to("/nowhere/python3")
    python = install._environment(venv)
    assert subprocess.run([python, "-m", "pip", "--version"], capture_output=True, timeout=60).returncode == 0
    assert install._environment(venv) == python


def test_the_installer_needs_nothing_that_is_installed() -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(ROOT / "include" / "local" / "install.py"), "--help"],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0 and "--constraints" in done.stdout


def test_make_alone_lists_every_target_with_one_line() -> None:
    text = (ROOT / "Makefile").read_text()
    phony = set(re.search(r"^\.PHONY: (.*)$", text, re.M).group(1).split())  # type: ignore[union-attr]
    described = set(re.findall(r"^([a-z-]+):.*## \S", text, re.M))
    assert described == phony
    done = subprocess.run(["make", "--no-print-directory"], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    shown = [line.split()[1] for line in done.stdout.splitlines()]
    assert set(shown) == described and len(shown) == len(described)
