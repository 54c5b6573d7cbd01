"""``rescind evidence``: verify, missing, report, export, sanitize. Needs neither Airflow nor a database.

Exit status: 0 done; 1 a bundle does not verify, or a control lacks fields; 2 wrong usage or an unreadable file;
3 the bundle is whole, but without ``--key`` nobody knows who signed it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from rescind.errors import InputError, RescindError
from rescind.evidence.bundle.controls import missing
from rescind.evidence.bundle.format import MANIFEST
from rescind.evidence.bundle.read import FolderSource, bundle_source
from rescind.evidence.bundle.signing import public_key
from rescind.evidence.bundle.text import shown
from rescind.evidence.bundle.verify import Verification, open_runs, verify, verify_series
from rescind.i18n import LANGUAGES, SOURCE, known_zone

UNCHECKED = 3
"""Exit status of ``verify`` without ``--key``: no problem was found, and the signer was not checked."""
_WORDS = {0: "ok    ", 1: "FAIL  ", UNCHECKED: "signer not checked: "}


def main(arguments: Sequence[str]) -> int:
    """Run one command and return its exit status.

    :param arguments: ``evidence``, then the command and its arguments.
    """
    return run(arguments[1:], prog="rescind evidence")


def run(arguments: Sequence[str], *, prog: str) -> int:
    """Run one command and return its exit status.

    :param prog: the name of the program in its help.
    """
    options = _parser(prog).parse_args(arguments)
    try:
        status: int = options.run(options)
    except (RescindError, OSError) as error:
        print(f"error: {shown(str(error))}", file=sys.stderr)
        return 2
    return status


def _parser(prog: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=prog, description="Work on evidence bundles.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    one = commands.add_parser("verify", help="verify a bundle, or all bundles of a folder and their evidence chain")
    one.add_argument("path", type=Path)
    one.add_argument("--key", type=Path, help="PEM file of the public key that must have signed; without it: status 3")
    one.add_argument(
        "--approval-key",
        type=Path,
        action="append",
        help="PEM file of a public key that may have signed approvals; may be repeated",
    )
    one.set_defaults(run=_verify)

    one = commands.add_parser("missing", help="list the fields that a control asks for and the bundle lacks")
    one.add_argument("path", type=Path)
    one.add_argument("--control", required=True, help='for example "PCI DSS 7.2.4"')
    one.set_defaults(run=_missing)

    one = commands.add_parser("report", help="write the report of a bundle as one HTML file")
    one.add_argument("path", type=Path)
    one.add_argument("out", type=Path)
    one.add_argument("--language", choices=LANGUAGES, default=SOURCE, help="language of the report")
    one.add_argument("--time-zone", default="", help="time zone that stands beside UTC, such as Asia/Shanghai")
    one.set_defaults(run=_report)

    one = commands.add_parser("export", help="write tables as CSV for spreadsheets and JSON Lines for tools")
    one.add_argument("path", type=Path)
    one.add_argument("out", type=Path)
    one.set_defaults(run=_export)

    one = commands.add_parser("sanitize", help="write a copy without personal data")
    one.add_argument("path", type=Path)
    one.add_argument("out", type=Path)
    one.add_argument(
        "--key", type=Path, help="file with a secret of 16 bytes or more; one secret, one set of pseudonyms"
    )
    one.set_defaults(run=_sanitize)
    return parser


def _verify(options: argparse.Namespace) -> int:
    key = public_key(options.key.read_bytes(), source=str(options.key)) if options.key else None
    signers = [public_key(path.read_bytes(), source=str(path)) for path in options.approval_key or ()] or None
    if (options.path / MANIFEST).exists() or not options.path.is_dir():
        result = verify(bundle_source(options.path), key=key, approval_keys=signers)
        _say(options.path.name, result)
        return _status([result])
    folders = sorted(path for path in options.path.iterdir() if path.is_dir())
    if not folders:
        bundle_source(options.path)
    verified = {path.name: verify(FolderSource(path), key=key, approval_keys=signers) for path in folders}
    for name, result in verified.items():
        _say(name, result)
    chain = verify_series(verified)
    for problem in chain:
        print(f"FAIL  {shown(problem)}")
    for number in open_runs(verified):
        print(f"note  run {number} has no bundle: it has not ended, or its report failed")
    status = 1 if chain else _status(verified.values())
    print(f"{_WORDS[status]}{len(verified)} bundles")
    return status


def _status(results: Iterable[Verification]) -> int:
    """Return the exit status, and say what was not checked."""
    every = list(results)
    if not all(result.holds for result in every):
        return 1
    if all(result.signer_checked for result in every):
        return 0
    print("SIGNER NOT CHECKED: pass --key with the public key of the signer, which you got from another source")
    return UNCHECKED


def _say(name: str, result: Verification) -> None:
    for problem in result.problems:
        print(f"FAIL  {shown(name)}: {shown(problem)}")
    for note in result.notes:
        print(f"note  {shown(name)}: {shown(note)}")
    if result.holds:
        checked = "" if result.signer_checked else ", signer not checked"
        place = f"evidence chain {result.manifest['seal']}, root {result.manifest['root']}"
        print(f"ok    {shown(name)}: {place}{checked}")


def _missing(options: argparse.Namespace) -> int:
    source = bundle_source(options.path)
    lacking = missing(source, options.control)
    for field in lacking:
        print(shown(field.line()))
    print(f"{len(lacking)} fields missing for {shown(options.control)}")
    return 1 if lacking else 0


def _report(options: argparse.Namespace) -> int:
    from rescind.evidence.report.html_report import write_report

    zone = options.time_zone
    if zone and not known_zone(zone):
        raise InputError(
            "--time-zone", f"{zone} is not known on this machine", "Give an IANA name such as Asia/Shanghai"
        )
    write_report(bundle_source(options.path), options.out, language=options.language, zone=zone)
    return 0


def _export(options: argparse.Namespace) -> int:
    from rescind.evidence.report.tables import export

    for path in export(bundle_source(options.path), options.out):
        print(path)
    return 0


def _sanitize(options: argparse.Namespace) -> int:
    from rescind.evidence.bundle.sanitize import sanitize

    secret = options.key.read_bytes() if options.key else None
    sanitize(bundle_source(options.path), options.out, secret)
    return 0
