"""``rescind ledger`` and ``rescind diff``: create, check, stop and compare, without Airflow.

The connection string comes from ``--dsn`` or from the environment variable ``RESCIND_LEDGER_DSN``. Prefer the
variable: the process list shows arguments, and with them a password.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict

from rescind.errors import InputError, RescindError
from rescind.ledger import SINGLE
from rescind.ledger.ledger import Ledger
from rescind.ledger.runs.records import KillSwitchEvent, Run

DSN_VARIABLE = "RESCIND_LEDGER_DSN"
ROLE_VARIABLE = "RESCIND_LEDGER_RUNTIME_ROLE"
_SIGNS = {"added": "+", "removed": "-", "changed": "~"}


def main(arguments: Sequence[str]) -> int:
    """Run one command and return its exit status: 0 done, 1 refused or failed, 2 wrong usage.

    :param arguments: ``ledger`` or ``diff``, then the rest.
    """
    parser = _diff_parser() if arguments[0] == "diff" else _parser()
    options = parser.parse_args(arguments[1:])
    dsn = options.dsn or os.environ.get(DSN_VARIABLE, "")
    if not dsn:
        parser.error(f"no connection string: set {DSN_VARIABLE} or pass --dsn")
    try:
        with Ledger(dsn) as ledger:
            if options.command == "diff":
                return _diff(ledger, options)
            print(_run(ledger, options))
    except RescindError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _run(ledger: Ledger, options: argparse.Namespace) -> str:
    if options.command == "migrate":
        role = options.runtime_role or os.environ.get(ROLE_VARIABLE) or None
        applied = ledger.migrate(
            create_database=options.create_database, runtime_role=role, page_role=options.page_role or None
        )
        ledger.check()
        return "applied: " + ", ".join(applied) if applied else "up to date"
    if options.command == "check":
        ledger.check()
        return "\n".join(["ok", *(f"warning: {warning}" for warning in ledger.warnings())])
    if options.command == "stop":
        return _switch(ledger.kill_switch.stop(options.by, options.reason))
    if options.command == "resume":
        return _switch(ledger.kill_switch.resume(options.by, options.reason))
    if options.command == "abandon":
        done = ledger.runs.finish(options.run_id, "abandoned", {"by": options.by, "reason": options.reason})
        return f"{done.run_id} is {done.state}; its scope locks are released, and no more requests can be sent for it"
    return _calls(ledger, options.run) if options.command == "calls" else _status(ledger)


def _calls(ledger: Ledger, name: str) -> str:
    """Return the calls of a run of kind ``single``, one a line."""
    run = ledger.runs.named(name)
    if run is None or run.kind != SINGLE:
        raise InputError(
            "run", "is not a run of single calls", "Take the id or the number from `rescind ledger status`"
        )
    return "\n".join(
        f"{call.intent_at:%Y-%m-%d %H:%M:%S}  {call.outcome or 'no outcome':<10} {call.action}  {call.conn_id!r}"
        f"  task {call.task_id!r} {call.map_index}  {json.dumps(dict(call.parameters), ensure_ascii=True)}"
        for call in ledger.single_calls.of_run(run.run_id)
    )


def _diff(ledger: Ledger, options: argparse.Namespace) -> int:
    """Print the differences as they are found; return 1 if nothing could be compared."""
    found = ledger.diff(options.old, options.new, options.system)
    counts: Counter[str] = Counter()
    for change in found.changes():
        counts[change.kind] += 1
        if options.json:
            print(json.dumps(change.as_dict(), ensure_ascii=False))
        else:
            key = change.grant.key
            fields = f" ({', '.join(change.fields)})" if change.fields else ""
            who, what = f"{key.principal_type} {key.principal_id!r}", f"{key.resource_type} {key.resource_id!r}"
            print(f"{_SIGNS[change.kind]} {key.system} {who} {key.entitlement!r} on {what}{fields}")
    for gap in found.not_comparable:
        if options.json:
            print(json.dumps({"change": "not_comparable", **asdict(gap)}, ensure_ascii=False))
        else:
            print(f"? {gap.system} {gap.account}: not comparable: {gap.why}")
    if not options.json:
        figures = ", ".join(f"{counts[kind]} {kind}" for kind in _SIGNS)
        print(
            f"run {found.old.number} to run {found.new.number}: {figures}, {len(found.not_comparable)} not comparable"
        )
    return 0 if found.comparable else 1


def _proof(ledger: Ledger, run: Run) -> str:
    """Return the state of a run of known access: it is that of the run over everybody, too."""
    from rescind.workflow.offboarding.full_proof import proof_of
    from rescind.workflow.run_summary import state_of

    return state_of({**run.summary, "known_access": proof_of(ledger, run)}).words


def _status(ledger: Ledger) -> str:
    lines = [_switch(ledger.kill_switch.state())]
    for run in ledger.runs.latest(10):
        mode = "dry run" if run.dry_run else "single" if run.kind == SINGLE else "enforcing"
        ended = f"{run.finished_at:%Y-%m-%d %H:%M:%S}" if run.finished_at else "-"
        lines.append(
            f"{run.run_id}  {run.state:<10} {mode:<9} {run.started_at:%Y-%m-%d %H:%M:%S}  {ended}  {run.dag_id!r}"
            + (f"  {_proof(ledger, run)}" if run.summary.get("known_access") else "")
        )
    lines += [
        f"bucket {bucket.vendor}/{bucket.action} in {bucket.region or '-'}: "
        f"{bucket.pace:.2f} of {bucket.limit:g} requests/s"
        + (f", learned {bucket.learned:.2f}" if bucket.learned else "")
        for bucket in ledger.buckets.states()
    ]
    return "\n".join(lines)


def _switch(event: KillSwitchEvent | None) -> str:
    if event is None:
        return "kill switch: not set"
    word = "SET" if event.stopped else "not set"
    return f"kill switch: {word} (by {event.changed_by!r} at {event.changed_at:%Y-%m-%d %H:%M:%S %Z}: {event.reason!r})"


def _diff_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="rescind diff", description="What changed between two snapshots.")
    parser.set_defaults(command="diff")
    parser.add_argument("--dsn", default="", help=f"PostgreSQL connection string (default: ${DSN_VARIABLE})")
    parser.add_argument("old", help="the older run: id or number")
    parser.add_argument("new", help="the newer run: id or number")
    parser.add_argument("--system", help="only this permission system")
    parser.add_argument("--json", action="store_true", help="one JSON object for each difference")
    return parser


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="rescind ledger", description="The ledger of Rescind.")
    parser.add_argument("--dsn", default="", help=f"PostgreSQL connection string (default: ${DSN_VARIABLE})")
    commands = parser.add_subparsers(dest="command", required=True)
    migrate = commands.add_parser("migrate", help="create or update the schema")
    migrate.add_argument("--create-database", action="store_true", help="create the database first if it is missing")
    migrate.add_argument(
        "--runtime-role",
        default="",
        metavar="NAME",
        help=f"grant the rights that the tasks need to this database role (default: ${ROLE_VARIABLE})",
    )
    migrate.add_argument(
        "--page-role",
        default="",
        metavar="NAME",
        help="grant the rights that the page needs to this database role: reading, and adding selections",
    )
    commands.add_parser("check", help="check that the ledger can be used")
    commands.add_parser("status", help="kill switch, latest runs and rate limiter buckets")
    calls = commands.add_parser("calls", help="the calls of operators that work alone, in one run of kind single")
    calls.add_argument("run", help="id or number of the run, as status shows it")
    for name, text in (
        ("stop", "set the kill switch"),
        ("resume", "clear the kill switch"),
        ("abandon", "close a run that will not continue, and release its scope locks"),
    ):
        command = commands.add_parser(name, help=text)
        if name == "abandon":
            command.add_argument("run_id", help="the ledger's run id, as status shows it")
        command.add_argument("--by", required=True, help="who")
        command.add_argument("--reason", required=True, help="why")
    for command in commands.choices.values():
        # Allowed before or after the command. A default here would overwrite the value before it.
        command.add_argument("--dsn", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    return parser
