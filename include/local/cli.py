"""The command line of the one-machine stack."""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys
from collections.abc import Sequence
from types import FrameType

from local.config import SETTINGS, Config, load
from local.errors import LocalError
from local.migrations import LEDGER_DSN, ledger_dsn
from local.stack import Stack, announce, say


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; exit status 0 on success, 1 on failure, 130 when interrupted."""
    options = _parser().parse_args(arguments)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        config = load({setting.variable: getattr(options, setting.variable) for setting in SETTINGS})
        return int(COMMANDS[options.command][0](config, options))
    except LocalError as error:
        print(f"\nerror: {error.problem}", file=sys.stderr)
        if error.remedy:
            print(f"       {error.remedy}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    # Without abbreviations: `up --emulator` is an option of its own, not the start of --emulator-port.
    parser = argparse.ArgumentParser(prog="local", description="The one-machine stack of Rescind.", allow_abbrev=False)
    for setting in SETTINGS:
        flag = "--" + setting.variable.removeprefix("RESCIND_").lower().replace("_", "-")
        default = f" (default {setting.default})" if setting.default else ""
        parser.add_argument(
            flag, dest=setting.variable, metavar="VALUE", help=f"{setting.meaning}{default}; or {setting.variable}"
        )
    commands = parser.add_subparsers(dest="command", required=True)
    for name, (_, meaning) in COMMANDS.items():
        command = commands.add_parser(name, help=meaning, description=meaning, allow_abbrev=False)
        if name in ("airflow", "rescind"):
            command.add_argument("rest", nargs=argparse.REMAINDER, help=f"arguments of {name}")
        if name == "up":
            command.add_argument("--emulator", action="store_true", help="with the emulator and connections to it")
        if name == "demo":
            help_text = "take everything from one leaver with every kind of way, and close the paths to it"
            command.add_argument("--close-paths", choices=("own", "all"), default="", help=help_text)
    return parser


def _up(config: Config, options: argparse.Namespace) -> int:
    stack = Stack(config)
    say(f"bringing up the stack in {config.state}")
    announce(stack.up(emulator=options.emulator))
    return 0


def _demo(config: Config, options: argparse.Namespace) -> int:
    from local.demo import review

    return review.main(config, options.close_paths)


def _down(config: Config, _: argparse.Namespace) -> int:
    if not config.state.exists():
        say("nothing was running")
        return 0
    names = Stack(config).down()
    say(f"stopped {', '.join(names)}" if names else "nothing was running")
    return 0


def _status(config: Config, _: argparse.Namespace) -> int:
    records = Stack(config).registry.records() if config.state.exists() else []
    for record in records:
        say(f"{record.name:<14} pid {record.pid:<8} {record.log}")
    if not records:
        say("nothing is running")
    return 0


def _clean(config: Config, _: argparse.Namespace) -> int:
    if config.state.exists():
        Stack(config).clean()
    say(f"removed {config.state}")
    return 0


def _migrate(config: Config, _: argparse.Namespace) -> int:
    Stack(config).migrate()
    return 0


def _env(config: Config, _: argparse.Namespace) -> int:
    for name, value in sorted(Stack(config).airflow_environment().items()):
        if name.startswith("AIRFLOW") or name == "PATH":
            say(f"export {name}={shlex.quote(value)}")
    return 0


def _airflow(config: Config, options: argparse.Namespace) -> int:
    env = Stack(config).airflow_environment()
    os.execve(sys.executable, [sys.executable, "-P", "-m", "airflow", *options.rest], env)


def _rescind(config: Config, options: argparse.Namespace) -> int:
    env = Stack(config).airflow_environment()
    env = {**env, LEDGER_DSN: ledger_dsn(env)}
    os.execve(sys.executable, [sys.executable, "-P", "-m", "rescind", *options.rest], env)


def _interrupt(number: int, _: FrameType | None) -> None:
    raise KeyboardInterrupt(f"signal {number}")


COMMANDS = {
    "up": (_up, "bring the stack up against your own connections"),
    "demo": (_demo, "bring the stack up with the emulator and run one access review from trigger to evidence"),
    "down": (_down, "stop everything that was started, and nothing else"),
    "status": (_status, "list the stack's processes"),
    "migrate": (_migrate, "bring the databases up to date"),
    "env": (_env, "print the running stack's environment for a shell (holds secrets)"),
    "airflow": (_airflow, "run airflow's own command line with the running stack's environment"),
    "rescind": (_rescind, "run the command rescind with the running stack's ledger"),
    "clean": (_clean, "stop everything and remove the state folder with all data"),
}
