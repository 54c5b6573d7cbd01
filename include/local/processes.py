"""Processes of the stack: each in a session of its own, recorded with its start time, stopped by its id.

A process id alone names nobody: it is used again after its process has ended. So every record keeps when the
process started, and a record whose process is gone, or whose id belongs to somebody else by now, is stale and
is dropped. Nothing is ever found or stopped by its name.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from local.errors import StartError
from local.safe_files import append, read_json, write_private


@dataclass(frozen=True, slots=True)
class Record:
    """One process that the stack started.

    :param identity: when it started, in a form that no later process with the same id can have.
    :param stop_signal: the signal that asks it to end.
    :param grace: seconds that it may take to end before it is ended.
    """

    name: str
    pid: int
    identity: str
    command: tuple[str, ...]
    log: str
    stop_signal: int = signal.SIGTERM
    grace: float = 3.0

    def alive(self) -> bool:
        """Whether exactly this process still runs (an ended one that nobody has collected does not)."""
        return identity(self.pid) == self.identity


def identity(pid: int) -> str | None:
    """When the process with this id started, or None when there is none that runs."""
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        stat = Path(f"/proc/{pid}/stat")
        if stat.exists():
            # Ticks since the machine started: exact, and not affected when the clock is set.
            ticks = stat.read_text().rpartition(")")[2].split()[19]
            boot = Path("/proc/sys/kernel/random/boot_id")
            return f"{boot.read_text().strip() if boot.exists() else ''}:{ticks}"
        return f"{process.create_time():.2f}"
    except (psutil.Error, OSError, IndexError):
        return None


class Registry:
    """The processes of one stack, as kept in ``processes.json`` of the state folder."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._children: dict[int, subprocess.Popen[bytes]] = {}

    def records(self) -> list[Record]:
        """Every recorded process that still runs; stale records are dropped from the file."""
        rows = read_json(self._path)
        kept = [_record(row) for row in rows] if isinstance(rows, list) else []
        alive = [record for record in kept if record is not None and self._alive(record)]
        if len(alive) != len(kept):
            self._write(alive)
        return alive

    def find(self, name: str) -> Record | None:
        """The running process of this name, or None."""
        return next((record for record in self.records() if record.name == name), None)

    def adopt(self, record: Record) -> None:
        """Record a process; an earlier record of the same name is replaced."""
        self._write([*(one for one in self.records() if one.name != record.name), record])

    def start(
        self,
        name: str,
        command: Sequence[str],
        *,
        env: Mapping[str, str],
        log: Path,
        cwd: Path,
        stop_signal: int = signal.SIGTERM,
        grace: float = 3.0,
        user: tuple[int, int] | None = None,
    ) -> Record:
        """Start a process in a session of its own and record it.

        Its output goes to the end of ``log``. ``user`` is a (user id, group id) pair to run as.

        :raises StartError: when the program cannot be run.
        """
        rotate(log)
        identity_of: dict[str, object] = {}
        if user is not None:
            identity_of = {"user": user[0], "group": user[1], "extra_groups": []}
        with append(log) as output:
            try:
                child = subprocess.Popen(  # type: ignore[call-overload]
                    list(command),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=dict(env),
                    cwd=cwd,
                    start_new_session=True,
                    **identity_of,
                )
            except OSError as error:
                raise StartError(f"{name} cannot be started: {error}.", "Run make install.") from error
        self._children[child.pid] = child
        try:
            started = identity(child.pid) or "ended"
            record = Record(name, child.pid, started, tuple(command), str(log), int(stop_signal), grace)
            self.adopt(record)
        except BaseException:
            child.kill()  # what is not recorded would never be stopped
            child.wait()
            raise
        return record

    def stop(self, records: Iterable[Record]) -> None:
        """Ask processes to end together; what is left of them and their descendants after their grace is ended."""
        wanted = [record for record in records if self._alive(record)]
        trees = _descendants(wanted)
        for record in wanted:
            with suppress(ProcessLookupError):
                os.kill(record.pid, record.stop_signal)
        began = time.monotonic()
        while any(self._alive(record) and time.monotonic() < began + record.grace for record in wanted):
            time.sleep(0.05)
        for record in wanted:
            if self._alive(record):
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(record.pid, signal.SIGKILL)
        _end(trees, signal.SIGTERM)
        psutil.wait_procs(trees, timeout=1.5)
        _end(trees, signal.SIGKILL)
        psutil.wait_procs(trees, timeout=3)
        for record in wanted:
            self._collect(record.pid, timeout=3)
        self.records()

    def ended(self, record: Record) -> bool:
        """Whether a process that should run has ended; collects it when it was our child."""
        return not self._alive(record)

    def _alive(self, record: Record) -> bool:
        self._collect(record.pid, timeout=0)
        return record.alive()

    def _collect(self, pid: int, timeout: float) -> None:
        child = self._children.get(pid)
        if child is not None:
            with suppress(subprocess.TimeoutExpired):
                child.wait(timeout=timeout)

    def _write(self, records: Iterable[Record]) -> None:
        write_private(self._path, json.dumps([asdict(record) for record in records], indent=1) + "\n")


def rotate(log: Path, limit: int = 20_000_000) -> None:
    """Set a log file aside as ``<name>.1`` once it is larger than ``limit`` bytes."""
    if os.path.lexists(log) and log.lstat().st_size > limit:
        log.replace(log.with_name(log.name + ".1"))


def tail(log: Path, lines: int = 15) -> str:
    """The last lines of a log file, for an error message."""
    try:
        with log.open("rb") as stream:
            stream.seek(max(0, log.stat().st_size - 20_000))
            return "\n".join(stream.read().decode("utf-8", "replace").splitlines()[-lines:])
    except OSError:
        return ""


def _record(row: object) -> Record | None:
    try:
        assert isinstance(row, dict)
        return Record(**{**row, "command": tuple(row["command"])})
    except (AssertionError, TypeError, KeyError):
        return None


def _descendants(records: Iterable[Record]) -> list[psutil.Process]:
    # psutil compares start times before it sends a signal: a reused id is not hit.
    found: list[psutil.Process] = []
    for record in records:
        with suppress(psutil.Error):
            found += psutil.Process(record.pid).children(recursive=True)
    return found


def _end(processes: Iterable[psutil.Process], number: int) -> None:
    for process in processes:
        with suppress(psutil.Error):
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                process.send_signal(number)
