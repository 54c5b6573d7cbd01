"""``rescind init`` and ``rescind dags``: DAG files and example inputs for a new deployment. Needs no Airflow."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rescind.data_files import data_path
from rescind.errors import RescindError
from rescind.settings import VARIABLE, Settings, airflow_home

SETTINGS_FILE = "rescind_settings.json"
"""Written by ``init``: the Airflow Variable of the settings, in the form that ``airflow variables import`` reads."""

_FOLDERS = {
    "dags": "dags",
    "policies": "include/policies",
    "config": "include/config",
    "examples": "include/examples",
}
_ROSTER = "include/examples/roster.csv"


def main(arguments: Sequence[str]) -> int:
    """Run one command and return its exit status: 0 done, 1 failed, 2 wrong usage.

    :param arguments: ``init`` or ``dags``, then the rest.
    """
    options = _parser().parse_args(arguments)
    try:
        if options.command == "dags":
            print(data_path("dags"))
        else:
            print("\n".join(_init(options.folder.expanduser().resolve(), force=options.force)))
    except (RescindError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def project_files() -> dict[str, bytes]:
    """Return everything that ``init`` writes: content by path below the folder."""
    found = {}
    for name, place in _FOLDERS.items():
        for path in sorted(data_path(name).iterdir()):
            if path.is_file() and path.suffix in (".py", ".yaml", ".csv", ".md"):
                found[f"{place}/{path.name}"] = path.read_bytes()
    found["include/pools.json"] = data_path("pools.json").read_bytes()
    found[SETTINGS_FILE] = _settings()
    return found


def _settings() -> bytes:
    from rescind.systems import default_connections  # builds the message models, which no other command needs

    defaults = Settings()
    chosen = {
        "connections": default_connections(),
        "approvers": [],
        "roster": _ROSTER,
        **{name: getattr(defaults, name) for name in ("policy", "protections", "exceptions", "owners", "evidence")},
        "enforce_scheduled": False,
    }
    Settings.parse(chosen, connections={})
    return (json.dumps({VARIABLE: chosen}, indent=2) + "\n").encode()


def _init(folder: Path, *, force: bool) -> Iterator[str]:
    written = _write(folder, project_files(), force=force)
    for word in ("wrote", "replaced", "unchanged", "left as it is"):
        names = [name for name, done in written.items() if done == word]
        if names:
            yield f"{word}, in {folder}:"
            yield from (f"  {name}" for name in names)
    if "left as it is" in written.values():
        yield "Files that are there already and differ were not touched. --force replaces them and saves NAME.bak."
    yield ""
    yield from _next_steps(folder)


def _write(folder: Path, files: Mapping[str, bytes], *, force: bool) -> dict[str, str]:
    """Write what is not there; return what was done with each file."""
    done = {}
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        there = path.read_bytes() if path.exists() else None
        if there == content:
            done[name] = "unchanged"
        elif there is not None and not force:
            done[name] = "left as it is"
        else:
            if there is not None:
                path.replace(path.with_name(f"{path.name}.bak"))
            with path.open("xb") as file:
                file.write(content)
            done[name] = "wrote" if there is None else "replaced"
    return done


def _next_steps(folder: Path) -> Iterator[str]:
    def at(name: str) -> str:
        return shlex.quote(str(folder / name))

    yield "Next steps:"
    if folder == airflow_home().resolve():
        yield f"1. Airflow finds the DAGs in {folder / 'dags'}, unless its dags_folder was changed."
        yield f"   Relative paths of the settings start at {folder}."
    else:
        yield f"1. Start every Airflow process with RESCIND_HOME={at('')} and AIRFLOW__CORE__DAGS_FOLDER={at('dags')}"
        yield f"   (or add that folder as a DAG bundle). Relative paths of the settings start at {folder}."
    yield f"2. airflow pools import {at('include/pools.json')}"
    yield f"   airflow variables import {at(SETTINGS_FILE)}"
    yield "   Add the connection rescind_ledger (PostgreSQL), and create its tables as their owner:"
    yield "   RESCIND_LEDGER_DSN=... rescind ledger migrate --runtime-role NAME"
    yield "   Add the connections of the platforms: wedata_default, dms_default, quickbi_default. Remove what you do"
    yield "   not have from 'connections' in the settings. WeData needs own_ids, the WeData user id of its key."
    yield f"3. Replace {_ROSTER} with your own roster, see how it is read with"
    yield f"   rescind roster FILE --settings {at(SETTINGS_FILE)}, name protected people in"
    yield "   include/config/protected.yaml, and trigger access_review. It is a dry run: it lists what would be"
    yield "   revoked, and removes nothing."


def _folder(text: str) -> Path:
    """Return the folder of an argument. An empty one is a variable that is not set, not the current folder."""
    if not text.strip():
        raise argparse.ArgumentTypeError("the folder is empty: is the variable set? '.' is the current folder")
    return Path(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="rescind", description="DAG files and example inputs.")
    commands = parser.add_subparsers(dest="command", required=True)
    init = commands.add_parser("init", help="write DAG files, example inputs, pools and settings into a folder")
    init.add_argument("folder", type=_folder, help="folder to write to; created if it is missing")
    init.add_argument("--force", action="store_true", help="replace files that differ; the old ones become NAME.bak")
    commands.add_parser("dags", help="print the folder of the DAG files, for a DAG bundle")
    return parser
