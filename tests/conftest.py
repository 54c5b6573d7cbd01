"""What holds for every test: a home of its own for Airflow, loopback only, a time limit, nothing left running.

This runs before any test module is imported, so Airflow sees the session's home whichever module imports it first.
"""

from __future__ import annotations

import ipaddress
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
import uuid
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

import hypothesis
import psutil
import pytest

ROOT = Path(__file__).resolve().parents[1]
SESSION_VARIABLE = "RESCIND_TEST_SESSION"
SESSION = uuid.uuid4().hex
PROFILE = os.environ.get("RESCIND_HYPOTHESIS") or "default"
"""How many examples a property tries: ``default``, a quarter (``fast``), or a hundred times as many (``thorough``)."""
THOROUGH = PROFILE == "thorough"
CLOSING_WORLDS = "RESCIND_CLOSING_WORLDS"
"""Says how many organizations ``tests/integration/closing/test_closing_worlds.py`` makes."""
TEST_SECONDS = 3600 if THOROUGH else 180
"""A thorough run may get the processor only now and then."""
STACK_SECONDS = 1500
"""For the fixtures of a test with a running stack; its start has limits of its own (``support/servers/live.py``)."""

hypothesis.settings.register_profile("default", max_examples=100, deadline=None)
hypothesis.settings.register_profile("fast", max_examples=25, deadline=None)
hypothesis.settings.register_profile(
    "thorough", max_examples=int(os.environ.get("RESCIND_EXAMPLES") or 10_000), deadline=None
)
hypothesis.settings.load_profile(PROFILE)

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts its background jobs deaf to Ctrl-C, and everything below them would be so as well.
    signal.signal(signal.SIGINT, signal.default_int_handler)

pytest_plugins = ["tests.support.servers.live"]
"""The one running stack that end-to-end and browser tests share."""


def _session_home() -> Path:
    """A fresh home for Airflow; the caller's own deployment is out of reach."""
    home = Path(tempfile.mkdtemp(prefix="rescind-tests-"))
    for name in list(os.environ):
        if name.startswith(("AIRFLOW", "RESCIND_", "_AIRFLOW")) and name != CLOSING_WORLDS:
            del os.environ[name]
    os.environ.update(
        {
            SESSION_VARIABLE: SESSION,
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__HOSTNAME_CALLABLE": "socket.gethostname",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
            "AIRFLOW__LOGGING__COLORED_CONSOLE_LOG": "False",
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
        }
    )
    return home


HOME = _session_home()


class NotLoopbackError(AssertionError):
    """A test tried to reach another machine."""


def _guard_sockets() -> None:
    """Refuse connections to anything but this machine, in this process."""

    def check(address: Any) -> None:
        if isinstance(address, tuple) and not _is_loopback(str(address[0])):
            raise NotLoopbackError(f"tests talk to this machine only, not to {address[0]}:{address[1]}")

    class LoopbackSocket(socket.socket):
        def connect(self, address: Any, /) -> None:
            check(address)
            super().connect(address)

        def connect_ex(self, address: Any, /) -> int:
            check(address)
            return super().connect_ex(address)

    socket.socket = LoopbackSocket  # type: ignore[misc]


def _is_loopback(host: str) -> bool:
    if host in ("localhost", ""):
        return True
    with suppress(ValueError):
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    return False


_guard_sockets()


def pytest_configure() -> None:
    """A suite that is asked to end stops what its fixtures have started, as after Ctrl-C."""
    signal.signal(signal.SIGTERM, _interrupt)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt("SIGTERM")


@pytest.fixture(scope="session")
def airflow_home() -> Path:
    """The session's Airflow home."""
    return HOME


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, Any, Any]:
    """Limit the fixtures of a test. A stack that many tests share takes its time from none of them."""
    with _limited(max(_seconds(item), STACK_SECONDS if item.get_closest_marker("live") else 0), "its fixtures"):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Fail a test that takes longer than its limit: ``TEST_SECONDS``, or its marker ``seconds(n)``."""
    with _limited(_seconds(item), "the test"):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, Any, Any]:
    """Limit what is done after a test."""
    with _limited(max(_seconds(item), TEST_SECONDS), "what follows the test"):
        return (yield)


def _seconds(item: pytest.Item) -> int:
    marker = item.get_closest_marker("seconds")
    return int(marker.args[0]) if marker else TEST_SECONDS


@contextmanager
def _limited(seconds: int, what: str) -> Iterator[None]:
    def expire(_number: int, _frame: FrameType | None) -> None:
        raise TimeoutError(f"{what} took longer than {seconds} s")

    before = signal.signal(signal.SIGALRM, expire)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


LEFT: list[str] = []


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Remove the home, and fail the session when a process that it started still runs."""
    for process in _left_running(grace=5.0):
        LEFT.append(f"still running after the tests, ended now: {process.pid} {process.info['cmdline']}")
        with suppress(psutil.Error):
            process.kill()
    shutil.rmtree(HOME, ignore_errors=True)
    if LEFT:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say what was left running."""
    for words in LEFT:
        terminalreporter.write_line(words, red=True)


def _left_running(grace: float) -> Iterator[psutil.Process]:
    """Processes that carry this session's mark, after ``grace`` seconds for those that are just ending."""
    if not sys.platform.startswith("linux"):
        return
    until = time.monotonic() + grace
    while (found := list(_marked())) and time.monotonic() < until:
        time.sleep(0.1)
    yield from found


def _marked() -> Iterator[psutil.Process]:
    mark = f"{SESSION_VARIABLE}={SESSION}".encode()
    for process in psutil.process_iter(["cmdline", "status"]):
        if process.pid == os.getpid() or process.info["status"] == psutil.STATUS_ZOMBIE:
            continue
        with suppress(OSError):
            if mark in Path(f"/proc/{process.pid}/environ").read_bytes().split(b"\0"):
                yield process
