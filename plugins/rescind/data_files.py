"""Where the shipped data is (DAG files, policies, example inputs, pools), and how local files are read.

The wheel holds the data in ``rescind/data``. A checkout holds it in ``dags`` and ``include``; there is no second copy.
"""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from rescind.errors import ConfigurationError

T = TypeVar("T")

READ_SECONDS = 20.0
"""Longest time, in seconds, that a file system may take to give a file. After that it is held to be dead."""

_PACKAGED = Path(__file__).resolve().parent / "data"
_PLUGINS = Path(__file__).resolve().parents[1]
_PROJECT = _PLUGINS if (_PLUGINS / "include").is_dir() else _PLUGINS.parent
"""The folder that holds ``include``: beside ``plugins``, or ``plugins`` where a service takes no other folder."""
_IN_PROJECT = {
    "dags": "dags",
    "config": "include/config",
    "examples": "include/examples",
    "policies": "include/policies",
    "pools.json": "include/pools.json",
}


def project_root() -> Path | None:
    """Return the folder that holds ``include``, beside or inside ``plugins``; None for an installed wheel."""
    return _PROJECT if _PLUGINS.name == "plugins" and (_PROJECT / "include").is_dir() else None


def data_path(name: str) -> Path:
    """Return the path of shipped data.

    :param name: ``dags``, ``config``, ``examples``, ``policies`` (folders) or ``pools.json``.
    :raises ConfigurationError: when it is neither in the package nor beside it.
    """
    for path in (_PACKAGED / name, _PROJECT / _IN_PROJECT[name]):
        if path.exists():
            return path
    raise ConfigurationError(
        f"the shipped data {name!r} is missing: not in {_PACKAGED}, not in {_PROJECT}. Install the wheel"
        " airflow-rescind, or copy the folders dags and include beside plugins"
    )


def read_regular(path: Path, limit: int, *, seconds: float = READ_SECONDS) -> tuple[bytes, float]:
    """Return the content of a regular file, at most ``limit`` bytes and one more, and when it changed (Unix time).

    A pipe, a socket and a device are refused without waiting for them.

    :raises OSError: when it cannot be read, is no regular file, or does not come within ``seconds``.
    """
    return in_time(lambda: _read(path, limit), seconds)


def in_time(work: Callable[[], T], seconds: float = READ_SECONDS) -> T:
    """Return the result of work on a file system that may be dead (a network mount without its server).

    The work runs in a thread, because nothing interrupts a system call that waits for such a mount. A thread that does
    not end is left behind; it does not keep the process alive.

    :raises TimeoutError: when it takes longer than ``seconds``.
    """
    done: list[T] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            done.append(work())
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run, name="rescind-read", daemon=True)
    thread.start()
    thread.join(seconds)
    if failed:
        raise failed[0]
    if not done:
        raise TimeoutError(None, f"the file system does not answer within {seconds:g} s")
    return done[0]


def _read(path: Path, limit: int) -> tuple[bytes, float]:
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            raise OSError(None, "it is not a regular file but a folder, pipe, socket or device")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(limit + 1), facts.st_mtime
    finally:
        os.close(descriptor)
