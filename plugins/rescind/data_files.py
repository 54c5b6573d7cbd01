"""Where the shipped data is: DAG files, policies, example inputs, pools.

The wheel holds it in ``rescind/data``. A checkout holds it in ``dags`` and ``include``, and there is no second copy.
"""

from __future__ import annotations

from pathlib import Path

from rescind.errors import ConfigurationError

_PACKAGED = Path(__file__).resolve().parent / "data"
_PROJECT = Path(__file__).resolve().parents[2]
_IN_PROJECT = {
    "dags": "dags",
    "config": "include/config",
    "examples": "include/examples",
    "policies": "include/policies",
    "pools.json": "include/pools.json",
}


def project_root() -> Path | None:
    """Return the folder that holds ``plugins/rescind`` and ``include``; None for an installed wheel."""
    inside = Path(__file__).resolve().parents[1].name == "plugins" and (_PROJECT / "include").is_dir()
    return _PROJECT if inside else None


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
