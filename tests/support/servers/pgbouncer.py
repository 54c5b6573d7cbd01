"""A PgBouncer in front of the tests' PostgreSQL: the Debian package ``pgbouncer``, in a folder of its own."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

PROGRAM = shutil.which("pgbouncer", path="/usr/sbin:/usr/bin:/usr/local/bin:/usr/local/sbin")
MISSING = "pgbouncer is not installed here (Debian: apt-get install pgbouncer)"
_START_S = 30.0


@contextmanager
def pooler(dsn: str, mode: str, *, sessions: int = 3) -> Iterator[str]:
    """Run a pooler in front of the server of a connection string; yields the connection string through it.

    :param mode: ``transaction`` or ``session``.
    :param sessions: most sessions that it opens on the server.
    """
    assert PROGRAM is not None, MISSING
    target = conninfo_to_dict(dsn)
    where = Path(str(target["host"]))
    owner = where.stat()  # PgBouncer refuses to run as root; the owner of the socket may enter its folder
    folder = Path(tempfile.mkdtemp(prefix="rescind-pb-"))
    port = _free_port()
    users, config = folder / "users", folder / "pgbouncer.ini"
    users.write_text(f'"{target["user"]}" ""\n')
    config.write_text(
        f"[databases]\n{target['dbname']} = host={where} port={target.get('port', 5432)}\n[pgbouncer]\n"
        f"listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = trust\nauth_file = {users}\n"
        f"pool_mode = {mode}\ndefault_pool_size = {sessions}\nmax_client_conn = 100\n"
        "ignore_startup_parameters = extra_float_digits\nlogfile =\npidfile =\n"
    )
    for path in (folder, users, config):
        path.chmod(0o755 if path == folder else 0o644)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [PROGRAM, str(config)], stdout=log, stderr=log, user=owner.st_uid, group=owner.st_gid
        )
        try:
            through = make_conninfo(
                "", host="127.0.0.1", port=port, user=str(target["user"]), dbname=str(target["dbname"])
            )
            wait_for(through, process, folder / "log", "PgBouncer")
            yield through
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            shutil.rmtree(folder, ignore_errors=True)


def _free_port() -> int:
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def wait_for(dsn: str, process: subprocess.Popen[bytes], log: Path, name: str) -> None:
    """Wait until a server that was just started answers; an error with its log where it does not."""
    until = time.monotonic() + _START_S
    while True:
        try:
            psycopg.connect(dsn, connect_timeout=2).close()
            return
        except psycopg.OperationalError:
            if process.poll() is not None or time.monotonic() > until:
                raise AssertionError(f"{name} did not start: {log.read_text()}") from None
        time.sleep(0.05)
