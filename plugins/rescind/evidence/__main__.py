"""Command line: verify, missing, report, export, sanitize. Status 0, 1 (does not hold, lacks something), 2 (usage)."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rescind.errors import RescindError
from rescind.evidence.controls import missing
from rescind.evidence.form import MANIFEST
from rescind.evidence.read import FolderSource, bundle_source
from rescind.evidence.signing import public_key
from rescind.evidence.text import shown
from rescind.evidence.verify import Verification, open_runs, verify, verify_series


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    options = _parser().parse_args(argv)
    try:
        status: int = options.run(options)
    except (RescindError, OSError) as error:
        print(f"error: {shown(str(error))}", file=sys.stderr)
        return 2
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m rescind.evidence", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    one = commands.add_parser("verify", help="verify a bundle, or all bundles of a folder and their order")
    one.add_argument("path", type=Path)
    one.add_argument("--key", type=Path, help="PEM file of the public key that must have signed")
    one.set_defaults(run=_verify)

    one = commands.add_parser("missing", help="say what a control asks for and the bundle lacks")
    one.add_argument("path", type=Path)
    one.add_argument("--control", required=True, help='for example "PCI DSS 7.2.4"')
    one.set_defaults(run=_missing)

    one = commands.add_parser("report", help="write the report of a bundle as one HTML file")
    one.add_argument("path", type=Path)
    one.add_argument("out", type=Path)
    one.set_defaults(run=_report)

    one = commands.add_parser("export", help="write tables as CSV for spreadsheets and JSON Lines for tools")
    one.add_argument("path", type=Path)
    one.add_argument("out", type=Path)
    one.set_defaults(run=_export)

    one = commands.add_parser("sanitize", help="write a copy without personal data")
    one.add_argument("path", type=Path)
    one.add_argument("out", type=Path)
    one.add_argument("--key", type=Path, help="file with a secret: the same secret gives the same pseudonyms")
    one.set_defaults(run=_sanitize)
    return parser


def _verify(options: argparse.Namespace) -> int:
    key = public_key(options.key.read_bytes(), source=str(options.key)) if options.key else None
    if (options.path / MANIFEST).exists() or not options.path.is_dir():
        result = verify(bundle_source(options.path), key=key)
        _say(options.path.name, result)
        return 0 if result.holds else 1
    folders = sorted(path for path in options.path.iterdir() if path.is_dir())
    if not folders:
        bundle_source(options.path)
    verified = {path.name: verify(FolderSource(path), key=key) for path in folders}
    for name, result in verified.items():
        _say(name, result)
    row = verify_series(verified)
    for problem in row:
        print(f"FAIL  {shown(problem)}")
    for number in open_runs(verified):
        print(f"note  run {number} has no bundle: it was not closed yet, or its report failed")
    holds = not row and all(result.holds for result in verified.values())
    print(f"{'ok  ' if holds else 'FAIL'}  {len(verified)} bundles")
    return 0 if holds else 1


def _say(name: str, result: Verification) -> None:
    for problem in result.problems:
        print(f"FAIL  {shown(name)}: {shown(problem)}")
    for note in result.notes:
        print(f"note  {shown(name)}: {shown(note)}")
    if result.holds:
        print(f"ok    {shown(name)}: seal {result.manifest['seal']}, root {result.manifest['root']}")


def _missing(options: argparse.Namespace) -> int:
    source = bundle_source(options.path)
    lacking = missing(source, options.control)
    for field in lacking:
        print(shown(field.line()))
    print(f"{len(lacking)} fields missing for {shown(options.control)}")
    return 1 if lacking else 0


def _report(options: argparse.Namespace) -> int:
    from rescind.evidence.report import write_report

    write_report(bundle_source(options.path), options.out)
    return 0


def _export(options: argparse.Namespace) -> int:
    from rescind.evidence.tables import export

    for path in export(bundle_source(options.path), options.out):
        print(path)
    return 0


def _sanitize(options: argparse.Namespace) -> int:
    from rescind.evidence.sanitize import sanitize

    secret = options.key.read_bytes() if options.key else None
    sanitize(bundle_source(options.path), options.out, secret)
    return 0


if __name__ == "__main__":
    sys.exit(main())
