"""Brings the two databases up to date: Airflow's by its own command, the ledger's by its own."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import parse_qsl, unquote, urlsplit

import psycopg
from psycopg.conninfo import make_conninfo

from local import airflowenv, safe_files
from local.config import PROJECT, Config
from local.errors import SettingError, StartError
from local.processes import tail

LEDGER_DSN = "RESCIND_LEDGER_DSN"
"""Where the ledger's command line reads its connection string from."""
RUNTIME_ROLE = "RESCIND_LEDGER_RUNTIME_ROLE"
"""Where it reads the role of the tasks from."""


def migrate(
    config: Config, env: Mapping[str, str], say: Callable[[str], None], *, owner: Mapping[str, str], force: bool = False
) -> None:
    """Bring both databases up to date; Airflow's only if it is not as the last migration from here has left it.

    :param env: the environment of a component, with both databases in it.
    :param owner: variables of the ledger's command line that name its owner and the role of the tasks. Without them the
        ledger is migrated through the connection of the tasks.
    :raises StartError: when a migration fails; names its log.
    """
    _airflow(config, env, say, force=force)
    _run(
        config,
        [sys.executable, "-P", "-m", "rescind", "ledger", "migrate"],
        # Copied folders are not installed; with a wheel, the folder of plugins holds no package.
        {**env, "PYTHONPATH": str(config.plugins), LEDGER_DSN: ledger_dsn(env), **owner},
    )


def ledger_dsn(env: Mapping[str, str]) -> str:
    """The ledger's address for PostgreSQL's own library, from its Airflow connection (JSON or address form).

    :raises SettingError: when the connection is in neither form.
    """
    text = env[airflowenv.LEDGER_VARIABLE].strip()
    try:
        if text.startswith("{"):
            fields = json.loads(text)
            extra = fields.get("extra") or {}
            extra = json.loads(extra) if isinstance(extra, str) else extra
        else:
            url = urlsplit(text)
            login, password = (unquote(part) if part else None for part in (url.username, url.password))
            fields = {"host": unquote(url.hostname or ""), "port": url.port, "login": login, "password": password}
            fields["schema"] = unquote(url.path.lstrip("/"))
            extra = dict(parse_qsl(url.query))
    except ValueError as error:
        raise SettingError(
            f"{airflowenv.LEDGER_VARIABLE} is neither a JSON object nor an address ({type(error).__name__}).",
            'Give {"conn_type": "postgres", "host": ..., "login": ..., "password": ..., "schema": ...}.',
        ) from None
    parts = {
        "host": fields.get("host") or extra.get("host"),
        "port": fields.get("port"),
        "user": fields.get("login"),
        "password": fields.get("password"),
        "dbname": fields.get("schema") or "rescind_ledger",
        "sslmode": extra.get("sslmode"),
        "sslrootcert": extra.get("sslrootcert"),
    }
    return make_conninfo("", **{name: value for name, value in parts.items() if value})


def _airflow(config: Config, env: Mapping[str, str], say: Callable[[str], None], *, force: bool) -> None:
    note_path = config.state / "migrated.json"
    address = env.get(airflowenv.METADATA_VARIABLE, "")
    version = importlib.metadata.version("apache-airflow-core")
    where = hashlib.sha256(address.encode()).hexdigest()

    def stands() -> list[str | None]:
        return [version, where, revision(address)]

    if not force and None not in stands() and safe_files.read_json(note_path) == stands():
        return
    say("  preparing Airflow's database")
    _run(config, [sys.executable, "-P", "-m", "airflow", "db", "migrate"], env)
    safe_files.write_private(note_path, json.dumps(stands()) + "\n")


def _run(config: Config, command: Sequence[str], env: Mapping[str, str]) -> None:
    log = config.logs / "migrate.log"
    with safe_files.append(log) as output:
        done = subprocess.run(command, env=dict(env), stdout=output, stderr=output, cwd=PROJECT, check=False)
    if done.returncode != 0:
        raise StartError(f"{' '.join(command[1:])} failed; {log} says:\n{tail(log)}")


def revision(sqlalchemy_url: str) -> str | None:
    """The migration that a PostgreSQL metadata database is at; None when that cannot be read."""
    scheme, separator, rest = sqlalchemy_url.partition("://")
    if not separator or not scheme.startswith("postgresql"):
        return None
    try:
        with psycopg.connect(f"postgresql://{rest}", connect_timeout=5) as connection:
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
            return str(row[0]) if row else None
    except psycopg.Error:
        return None
