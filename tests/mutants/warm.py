"""A warm Python for the tests of one tree.

Every line of its input is a list of arguments for pytest, every answer what pytest ends with, or "late".
It has imported what most tests need of other packages, and nothing of this project. Each line runs in a child of its
own, so that nothing stays from one run to the next. Start it in the tree: ``python -m tests.mutants.warm LOG SECONDS``.
"""

from __future__ import annotations

import json
import os
import signal
import sys

import httpx  # noqa: F401
import hypothesis  # noqa: F401
import psutil  # noqa: F401
import psycopg  # noqa: F401
import pydantic  # noqa: F401
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519  # noqa: F401

UNWRITTEN = ("-W", "ignore::pytest.PytestAssertRewriteWarning")
"""What is imported before pytest starts keeps its plain asserts; none of it is a test."""


def main(log: str, seconds: str) -> None:
    """Answer until the input ends."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    for line in sys.stdin:
        if not (child := os.fork()):
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
            _to(log)
            # A whole ending, with all that was registered for it.
            sys.exit(pytest.main([*UNWRITTEN, *json.loads(line)]))
        late = False
        # pytest stops what its fixtures have started, when it can.
        for limit, last in ((float(seconds), signal.SIGTERM), (60, signal.SIGKILL)):
            if signal.sigtimedwait({signal.SIGCHLD}, limit) is not None:
                break
            late = True
            os.kill(child, last)
        _, status = os.waitpid(child, 0)
        signal.sigtimedwait({signal.SIGCHLD}, 0)
        print("late" if late else abs(os.waitstatus_to_exitcode(status)), flush=True)


def _to(log: str) -> None:
    """Point the three standard streams of this process at nothing and the log."""
    for number, (name, how) in enumerate([(os.devnull, os.O_RDONLY), *[(log, os.O_WRONLY | os.O_APPEND)] * 2]):
        file = os.open(name, how)
        os.dup2(file, number)
        os.close(file)


if __name__ == "__main__":
    main(*sys.argv[1:])
