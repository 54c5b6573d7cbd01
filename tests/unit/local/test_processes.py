"""Processes: recorded with start times, stopped with all their descendants, never mixed up with others."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path

import psutil
import pytest

from local.errors import StartError
from local.processes import Record, Registry, identity, rotate, tail
from local.state import write_private

STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('child', flush=True); time.sleep(60)"],
    start_new_session=True)
print("pid", child.pid, flush=True)
time.sleep(60)
"""

Start = Callable[..., Record]


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    made = Registry(tmp_path / "processes.json")
    yield made
    made.stop(made.records())


@pytest.fixture
def start(registry: Registry, tmp_path: Path) -> Start:
    def run(name: str, code: str, **options: object) -> Record:
        command = [sys.executable, "-c", code]
        log = tmp_path / f"{name}.log"
        return registry.start(name, command, env=dict(os.environ), log=log, cwd=tmp_path, **options)  # type: ignore[arg-type]

    return run


def wait_for(what: Callable[[], bool], seconds: float = 20) -> None:
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.02)


def test_a_process_runs_in_a_session_of_its_own_and_is_found_again(
    registry: Registry, start: Start, tmp_path: Path
) -> None:
    record = start("one", "import time; time.sleep(60)")
    assert os.getsid(record.pid) == record.pid != os.getsid(0)
    later = Registry(tmp_path / "processes.json")
    assert later.find("one") == record
    assert record.alive()
    later.stop(later.records())
    assert later.records() == []
    assert registry.ended(record)


def test_output_goes_to_the_log(start: Start, registry: Registry, tmp_path: Path) -> None:
    record = start("talker", "import sys; print('out'); print('err', file=sys.stderr)")
    wait_for(lambda: registry.ended(record))
    assert set(tail(tmp_path / "talker.log").split()) == {"out", "err"}
    assert tail(tmp_path / "missing.log") == ""


def test_a_stubborn_process_and_its_child_in_another_session_are_ended(
    start: Start, registry: Registry, tmp_path: Path
) -> None:
    record = start("stubborn", STUBBORN, grace=0.3)
    wait_for(lambda: "pid" in tail(tmp_path / "stubborn.log") and "child" in tail(tmp_path / "stubborn.log"))
    child = int(tail(tmp_path / "stubborn.log").split("pid ")[1].split()[0])
    assert psutil.pid_exists(child)
    registry.stop([record])
    assert not record.alive()
    assert identity(child) is None


def test_the_stop_signal_is_the_records_own(start: Start, registry: Registry, tmp_path: Path) -> None:
    code = "import signal, sys, time\n"
    code += "signal.signal(signal.SIGINT, lambda *_: (print('asked', flush=True), sys.exit(0)))\n"
    code += "print('ready', flush=True); time.sleep(60)"
    record = start("polite", code, stop_signal=signal.SIGINT)
    wait_for(lambda: "ready" in tail(tmp_path / "polite.log"))
    registry.stop([record])
    assert tail(tmp_path / "polite.log").split() == ["ready", "asked"]


def test_a_record_whose_id_belongs_to_somebody_else_is_stale(tmp_path: Path) -> None:
    """The process with the recorded id lives, but started at another time: it is not ours and is left alone."""
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        path = tmp_path / "processes.json"
        record = Record("ghost", other.pid, "another-boot:1", ("x",), "x.log")
        write_private(path, __import__("json").dumps([asdict(record)]))
        registry = Registry(path)
        registry.stop([record])
        assert registry.records() == []
        assert path.read_text().strip() == "[]"
        assert other.poll() is None
        assert replace(record, identity=identity(other.pid) or "").alive()
    finally:
        other.kill()
        other.wait()


def test_an_ended_process_that_nobody_collected_is_not_alive() -> None:
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    wait_for(lambda: psutil.Process(child.pid).status() == psutil.STATUS_ZOMBIE)
    assert identity(child.pid) is None
    child.wait()
    assert identity(child.pid) is None


@pytest.mark.parametrize("content", ["", "{", '{"a": 1}', '[{"name": "x"}]', "[1]"])
def test_a_broken_registry_is_an_empty_one(tmp_path: Path, content: str) -> None:
    path = tmp_path / "processes.json"
    path.write_text(content)
    assert Registry(path).records() == []


def test_a_program_that_is_missing_names_the_remedy(registry: Registry, tmp_path: Path) -> None:
    with pytest.raises(StartError) as caught:
        registry.start("none", [str(tmp_path / "none")], env={}, log=tmp_path / "none.log", cwd=tmp_path)
    assert "make install" in caught.value.remedy
    assert registry.records() == []


def test_what_cannot_be_recorded_is_not_left_running(
    start: Start, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Record] = []

    def refuse(record: Record) -> None:
        started.append(record)
        raise OSError("disk full")

    monkeypatch.setattr(registry, "adopt", refuse)
    with pytest.raises(OSError, match="disk full"):
        start("unrecorded", "import time; time.sleep(60)")
    wait_for(lambda: not started[0].alive())


def test_a_large_log_is_set_aside(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    log.write_text("a" * 100)
    rotate(log, limit=100)
    assert log.exists()
    rotate(log, limit=99)
    assert not log.exists() and (tmp_path / "x.log.1").read_text() == "a" * 100
