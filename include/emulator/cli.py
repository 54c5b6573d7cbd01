"""The command line: ``serve``, and ``inspect`` for a look at what a seed and sizes give."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from emulator import __version__
from emulator.app import App, Server, Settings
from emulator.build.sizes import PRESETS, scaled
from emulator.modes import CHOICES

TOKEN = "RESCIND_EMULATOR_TOKEN"
"""Environment variable: the token of the control interface. Other users can read a command line, but not this."""


def parser() -> argparse.ArgumentParser:
    """The arguments."""
    top = argparse.ArgumentParser(prog="emulator", description="WeData, DMS and Quick BI on loopback.")
    top.add_argument("--version", action="version", version=__version__)
    commands = top.add_subparsers(dest="command", required=True)
    serve = commands.add_parser("serve", help="listen until SIGTERM or SIGINT")
    serve.add_argument("--host", default="127.0.0.1", help="a loopback address (others are refused)")
    serve.add_argument("--port", type=int, default=8099, help="0 takes a free one")
    serve.add_argument("--ready-file", type=Path, help="write url, pid and keys here as JSON once it listens")
    serve.add_argument("--journal", type=Path, help="append requests and effects here as JSON lines")
    serve.add_argument("--latency-ms", type=float, default=0, help="time that every answer takes")
    serve.add_argument("--jitter-ms", type=float, default=0, help="random part of it, to both sides")
    serve.add_argument("--limit-wedata", type=float, default=20, help="requests per second per action; 0 for none")
    serve.add_argument("--limit-dms", type=float, default=20)
    serve.add_argument("--limit-quickbi", type=float, default=50)
    serve.add_argument("--limit", action="append", default=[], metavar="PRODUCT.ACTION=N",
                       help="an own limit for one action, e.g. dms.RevokeUserPermission=5")  # fmt: skip
    serve.add_argument("--mode", action="append", default=[], metavar="NAME=VALUE",
                       help=f"how the vendors' open questions are answered: {', '.join(CHOICES)}")  # fmt: skip
    inspect = commands.add_parser("inspect", help="print the numbers of an organization and end")
    for command in (serve, inspect):
        command.add_argument("--seed", type=int, default=1)
        command.add_argument("--preset", choices=sorted(PRESETS), default="demo")
        command.add_argument("--grants", type=int, help="about this many grants instead of a preset's sizes")
        command.add_argument("--size", action="append", default=[], metavar="NAME=N", help="change one size")
    return top


def _pairs(words: Sequence[str]) -> dict[str, str]:
    pairs = {}
    for word in words:
        name, separator, value = word.partition("=")
        if not separator:
            raise ValueError(f"{word!r} must be NAME=VALUE")
        pairs[name] = value
    return pairs


def settings_from(args: argparse.Namespace) -> Settings:
    """Settings from parsed arguments.

    :raises ValueError: for an unknown size, mode or a number that is none.
    """
    sizes = scaled(args.grants) if args.grants else PRESETS[args.preset]
    settings = Settings(seed=args.seed, sizes=sizes.with_overrides(args.size))
    if args.command == "serve":
        settings.limits = {
            "wedata": args.limit_wedata, "dms": args.limit_dms, "quickbi": args.limit_quickbi,
            **{name: float(value) for name, value in _pairs(args.limit).items()},
        }  # fmt: skip
        settings.latency, settings.jitter = args.latency_ms / 1000, args.jitter_ms / 1000
        settings.journal, settings.modes = args.journal, _pairs(args.mode)
    return settings


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code."""
    args = parser().parse_args(argv)
    try:
        started = time.perf_counter()
        app = App(settings_from(args))
        if args.command == "inspect":
            counts = app.world.counts()
            seconds = round(time.perf_counter() - started, 2)
            print(json.dumps({"grants": counts, "total": sum(counts.values()), "people": len(app.world.people),
                              "seconds": seconds, "sizes": app.settings.sizes.as_dict()}, indent=1))  # fmt: skip
            return 0
        asyncio.run(_serve(app, args))
    except (ValueError, OSError) as error:
        print(f"emulator: {error}", file=sys.stderr)
        return 2
    return 0


async def _serve(app: App, args: argparse.Namespace) -> None:
    token = os.environ.pop(TOKEN, "")
    server = Server(app, token)
    url = await server.start(args.host, args.port)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    ready = {"url": url, "pid": os.getpid(), "keys": app.world.keys.public(), "grants": app.world.counts()}
    if args.ready_file:
        _write_whole(args.ready_file, json.dumps(ready, indent=1))
    keys = [key for key in ready["keys"] if key["key_id"].endswith("1")]  # type: ignore[attr-defined]
    print(f"listening on {url}, grants {app.world.counts()}", flush=True)
    if not token:
        print(f"the control interface is closed: start the emulator with {TOKEN}=<secret> to use it", flush=True)
    for key in keys:
        print(f"{key['vendor']}: key id {key['key_id']} secret {key['secret']}", flush=True)
    try:
        await stop.wait()
    finally:
        await server.stop()
        if args.ready_file:
            with contextlib.suppress(FileNotFoundError):
                args.ready_file.unlink()


def _write_whole(path: Path, text: str) -> None:
    """Write with mode 600, so that a reader sees all or nothing. A link in its place is replaced, not followed."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.write(text)
    os.replace(temporary, path)
