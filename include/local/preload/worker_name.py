"""The host name of a Celery worker of the stack: several workers on one machine are told apart by it."""

from __future__ import annotations

import os
import socket


def worker_name() -> str:
    """The worker's name, or the machine's outside of a worker."""
    return os.environ.get("RESCIND_WORKER_NAME") or socket.gethostname()
