"""The command ``rescind`` (also ``python -m rescind``).

==============  =====================================================================
``explain``     why grants of a run are revoked or kept
``backtest``    what a policy would have revoked in past runs
``lint``        compile and type-check a policy file
``roster``      how a file of people is read, before anything depends on it
``diff``        what changed between the snapshots of two runs
``ledger``      create, check and stop: migrate, check, status, calls, stop, resume, abandon
``evidence``    verify, missing, report, export, sanitize
``init``        write DAG files and example inputs into a folder
``dags``        print the folder of the DAG files, for a DAG bundle
==============  =====================================================================

``explain``, ``backtest``, ``diff`` and ``ledger`` read the ledger's connection string from the environment variable
``RESCIND_LEDGER_DSN``. Exit status: 0 done, 1 refused or not found, 2 wrong usage.
``rescind COMMAND --help`` lists the arguments.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

import rescind

COMMANDS = {
    "explain": ("decisions", "say why grants of a run are revoked or kept"),
    "backtest": ("decisions", "say what a policy would have revoked in past runs"),
    "lint": ("decisions", "compile and type-check a policy file"),
    "roster": ("roster", "say how a file of people is read, before anything depends on it"),
    "diff": ("ledger", "list what changed between the snapshots of two runs"),
    "ledger": ("ledger", "create, check and stop: migrate, check, status, calls, stop, resume, abandon"),
    "evidence": ("evidence", "verify, missing, report, export, sanitize"),
    "init": ("project", "write DAG files and example inputs into a folder"),
    "dags": ("project", "print the folder of the DAG files, for a DAG bundle"),
}
"""Module and purpose of each command. A module is imported when its command runs, so that each stays light."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status.

    :param arguments: the command and its arguments; None takes those of the process.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(
        prog="rescind",
        description="Access reviews and verified revocation on Apache Airflow.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="commands:\n" + "\n".join(f"  {name:<10} {text}" for name, (_, text) in COMMANDS.items()),
    )
    parser.add_argument("--version", action="version", version=f"rescind {rescind.__version__}")
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND", help="one of the commands below")
    command = parser.parse_args(given[:1]).command
    module = import_module(f"rescind.cli.{COMMANDS[command][0]}")
    status: int = module.main(given)
    return status
