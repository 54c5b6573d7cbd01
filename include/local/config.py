"""Settings of the one-machine stack: from the environment, overridden by flags, with workable defaults."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from local.errors import PortTakenError, SettingError

PROJECT = Path(__file__).resolve().parents[2]
HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting as a person sees it: environment variable, default and meaning."""

    variable: str
    default: str
    meaning: str


STATE_DIR = Setting("RESCIND_STATE_DIR", ".rescind", "folder for data, logs and secrets of the stack")
DAGS_DIR = Setting("RESCIND_DAGS_DIR", "dags", "folder with the DAG files")
PLUGINS_DIR = Setting(
    "RESCIND_PLUGINS_DIR", "plugins", "folder of Airflow plugins; an empty one if the product is installed as a wheel"
)
UI_PORT = Setting("RESCIND_UI_PORT", "8080", "port of Airflow's interface")
BASE_PATH = Setting(
    "RESCIND_BASE_PATH", "", "path below which Airflow's interface is served, for example /airflow/1; none if empty"
)
EMULATOR_PORT = Setting("RESCIND_EMULATOR_PORT", "8900", "port of the vendors' emulator")
PARALLELISM = Setting("RESCIND_PARALLELISM", "", "tasks that run at the same time; default 4 for each core, 4 to 32")
API_WORKERS = Setting("RESCIND_API_WORKERS", "1", "processes that answer Airflow's REST interface")
START_TIMEOUT = Setting("RESCIND_START_TIMEOUT", "180", "seconds that the stack may take to become healthy")
EXECUTOR = Setting(
    "RESCIND_EXECUTOR", "local", "where tasks run: local (beside the scheduler) or celery (Redis and two workers)"
)
EMULATOR_GRANTS = Setting(
    "RESCIND_EMULATOR_GRANTS", "0", "about how many grants the emulated organization has; 0 for the demonstration's"
)
SETTINGS = (
    STATE_DIR,
    DAGS_DIR,
    PLUGINS_DIR,
    UI_PORT,
    BASE_PATH,
    EMULATOR_PORT,
    EMULATOR_GRANTS,
    PARALLELISM,
    API_WORKERS,
    START_TIMEOUT,
    EXECUTOR,
)


@dataclass(frozen=True, slots=True)
class Config:
    """The settings of one stack.

    :param state: the state folder; everything that the stack writes is below it.
    :param start_timeout: seconds.
    :param emulator_grants: about how many grants the emulated organization has; 0 for the demonstration's.
    :param base_path: path of Airflow's interface, with a leading slash and without one at the end; or empty.
    :param celery: tasks run on Celery workers instead of beside the scheduler.
    """

    state: Path
    dags: Path
    ui_port: int
    emulator_port: int
    parallelism: int
    api_workers: int
    start_timeout: float
    celery: bool = False
    plugins: Path = PROJECT / "plugins"
    emulator_grants: int = 0
    base_path: str = ""

    @property
    def base_url(self) -> str:
        """Address of Airflow's interface."""
        return f"http://{HOST}:{self.ui_port}{self.base_path}"

    @property
    def emulator_url(self) -> str:
        """Address of the emulator."""
        return f"http://{HOST}:{self.emulator_port}"

    @property
    def airflow_home(self) -> Path:
        """Airflow's own folder."""
        return self.state / "airflow"

    @property
    def logs(self) -> Path:
        """Folder with one log file for each component."""
        return self.state / "logs"


def load(flags: Mapping[str, str | None] | None = None, environ: Mapping[str, str] | None = None) -> Config:
    """The settings in force.

    :param flags: values from the command line by variable name; they win over the environment.
    :raises SettingError: for a value that is not of its kind; names the variable.
    """
    env = os.environ if environ is None else environ
    given = {name: value for name, value in (flags or {}).items() if value is not None}

    def text(setting: Setting) -> str:
        return given.get(setting.variable) or env.get(setting.variable, "").strip() or setting.default

    return Config(
        state=_unresolved(text(STATE_DIR)),
        dags=_folder(text(DAGS_DIR)),
        plugins=_folder(text(PLUGINS_DIR)),
        ui_port=_integer(UI_PORT, text(UI_PORT), 1, 65535),
        emulator_port=_integer(EMULATOR_PORT, text(EMULATOR_PORT), 1, 65535),
        parallelism=_integer(PARALLELISM, text(PARALLELISM) or str(_default_parallelism()), 1, 256),
        api_workers=_integer(API_WORKERS, text(API_WORKERS), 1, 16),
        start_timeout=float(_integer(START_TIMEOUT, text(START_TIMEOUT), 5, 3600)),
        celery=_choice(EXECUTOR, text(EXECUTOR), ("local", "celery")) == "celery",
        base_path=_path(text(BASE_PATH)),
        emulator_grants=_integer(EMULATOR_GRANTS, text(EMULATOR_GRANTS), 0, 5_000_000),
    )


def require_free_port(port: int, setting: Setting) -> None:
    """Check that nothing listens on a port of the loopback interface.

    :raises PortTakenError: names the port, the setting and the remedy.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise PortTakenError(
                f"Port {port} on {HOST} is not free ({error.strerror}); it is to be the {setting.meaning}.",
                f"Stop what uses it, or choose another with {setting.variable}=<port>.",
            ) from error


def _folder(value: str) -> Path:
    return _absolute(value).resolve()


def _unresolved(value: str) -> Path:
    """Return a folder whose own name is not resolved: if it is a link, its use is refused."""
    path = _absolute(value)
    return path.parent.resolve() / path.name


def _absolute(value: str) -> Path:
    return Path(os.path.abspath(PROJECT / Path(value).expanduser()))


def _default_parallelism() -> int:
    return max(4, min(32, 4 * (os.cpu_count() or 1)))


def _path(value: str) -> str:
    if re.fullmatch(r"(/[A-Za-z0-9._-]+)*", value):
        return value
    raise SettingError(f"{BASE_PATH.variable} is {value!r}.", "Give a path such as /airflow/1, or nothing.")


def _choice(setting: Setting, value: str, known: Sequence[str]) -> str:
    if value not in known:
        raise SettingError(f"{setting.variable} ({setting.meaning}) is {value!r}.", f"Give {' or '.join(known)}.")
    return value


def _integer(setting: Setting, value: str, low: int, high: int) -> int:
    if not value.isascii() or not value.isdigit() or not low <= int(value) <= high:
        raise SettingError(
            f"{setting.variable} ({setting.meaning}) is {value!r}.",
            f"Give a whole number from {low} to {high}.",
        )
    return int(value)
