"""``rescind explain``, ``backtest`` and ``lint``: decisions and policies. They only read.

The ledger's connection string comes from the environment variable ``RESCIND_LEDGER_DSN``; ``lint`` needs no ledger.
A run is named by its ledger id, as ``rescind ledger status`` shows it.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from rescind.cli.ledger import DSN_VARIABLE
from rescind.data_files import read_regular
from rescind.errors import InputError, RescindError
from rescind.evidence.report.closing import closing_rows, closing_text, concerning
from rescind.ledger import PARTS_OF_PEOPLE, Ledger, Run
from rescind.ledger.runs.inputs import MAX_BYTES
from rescind.model import Choice, Grant, GrantKey
from rescind.review import Backtest, Snapshot, SnapshotResult, backtest, explain, load_policy, render_explanation
from rescind.review.policy.load import Policy
from rescind.review.text import printable
from rescind.workflow.closing.paths_drawing import paths_svg
from rescind.workflow.closing.person_paths import gaps, paths_text, person_paths, users_of
from rescind.workflow.inputs import decision_context

EXAMPLES = 5
"""Grants shown for each rule and each difference."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 0 done, 1 refused or not found, 2 wrong usage."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        if options.command == "lint":
            lines = _lint(_policy(options.policy))
        else:
            dsn = os.environ.get(DSN_VARIABLE, "")
            if not dsn:
                parser.error(f"no connection string: set {DSN_VARIABLE}")
            with Ledger(dsn) as ledger:
                lines = list(_explain(ledger, options) if options.command == "explain" else _backtest(ledger, options))
    except RescindError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print("\n".join(lines))
    return 0


def _explain(ledger: Ledger, options: argparse.Namespace) -> Iterator[str]:
    """Yield why grants are revoked or kept, and what the run recorded if that differs."""
    run = ledger.runs.get(options.run)
    grants = ledger.snapshot.grants(run.run_id)
    if options.grant:
        grants = iter(ledger.snapshot.grants_by_id(run.run_id, [options.grant]).values())
    context = decision_context(ledger, run)
    found = 0
    holders: set[GrantKey] = set()
    for explanation in explain(grants, context, principal=options.principal or "", grant_id=options.grant or ""):
        found += 1
        holders.add(explanation.grant.key)
        yield render_explanation(explanation)
        recorded = ledger.decisions.get(run.run_id, explanation.decision.grant_id)
        if recorded is None:
            yield "  recorded   nothing: the run has not decided"
        elif (recorded.choice, recorded.rule) != (explanation.decision.choice, explanation.decision.rule):
            by = recorded.facts.get("reviewed_by") or recorded.facts.get("review", "")
            yield f"  recorded   {recorded.choice}: {recorded.rule}" + (f" ({printable(str(by))})" if by else "")
        yield ""
    if not found:
        what = "grant with this id" if options.grant else "grant of this principal under any id space"
        raise InputError("principal, grant", f"the snapshot of {run.run_id} holds no {what}", "Check the exact id.")
    if options.principal:
        yield from _paths(ledger, run, holders, options.svg)
    yield f"{found} grants of run {run.run_id}"


def _paths(ledger: Ledger, run: Run, holders: set[GrantKey], svg: str | None) -> Iterator[str]:
    """Yield the paths by which the person reaches what, and what would close them; write the drawing."""
    drawings, users = [], users_of(holders)
    if users and (unknown := list(gaps(ledger, run, users))):
        yield f"access may remain that is not shown here: {'; '.join(unknown)}"
    proposal = closing_rows((scope.system, scope.notes) for scope in ledger.scopes.all(run.run_id))
    for found in person_paths(ledger, run, holders):
        yield from paths_text(found)
        rows = concerning(proposal, [found.principal], found.own)
        if rows:
            yield f"closing the paths of user {printable(found.principal)}: {len(rows)}"
            yield from (f"  {printable(closing_text(row))}" for row in rows)
        yield ""
        drawings.append(paths_svg(found.title, found.name or found.principal, found.ways))
    for number, drawing in enumerate(drawings if svg else ()):
        path = Path(svg or "").with_suffix(f".{number}.svg" if number else ".svg")
        try:
            path.write_text(drawing, encoding="utf-8")
        except OSError as error:
            raise InputError("--svg", f"{path.name} cannot be written ({error.strerror})", "Check the path.") from None


def _backtest(ledger: Ledger, options: argparse.Namespace) -> Iterator[str]:
    """Yield what the policy would have revoked in past runs, and the difference to the recorded decisions."""
    policy = _policy(options.policy)
    runs = [ledger.runs.get(name) for name in options.runs]
    for run in runs:
        if only := {scope.part for scope in ledger.scopes.all(run.run_id)} & set(PARTS_OF_PEOPLE):
            problem = f"run {run.number} listed {min(only)} in some systems"
            raise InputError("runs", problem, "Name runs that listed the whole population.")
    yield f"policy {policy.name}, version {policy.version[:12]}"
    result = backtest((_snapshot(ledger, run) for run in runs), policy=policy)
    for run, row in zip(runs, result.snapshots, strict=True):
        yield from _result(ledger, run, row)
    yield from _closing(result)


def _snapshot(ledger: Ledger, run: Run) -> Snapshot:
    then = {grant.grant_id for grant, _ in ledger.decisions.each(run.run_id, choice=Choice.REVOKE)}
    context = decision_context(ledger, run)
    return Snapshot(run.run_id, context.now, ledger.snapshot.grants(run.run_id), context, frozenset(then))


def _result(ledger: Ledger, run: Run, row: SnapshotResult) -> Iterator[str]:
    when = f"{row.taken_at:%Y-%m-%d %H:%M} UTC"
    yield f"\n{row.name}, {when}: {row.revoked} of {row.grants} grants would have been revoked"
    for rule, grants in sorted(row.by_rule.items(), key=lambda pair: (-pair[1], pair[0])):
        yield f"  {grants:7}  {rule}" + ("  (revoked)" if rule in row.samples else "")
        yield from _grants(ledger, run, row.samples.get(rule, ()))
    yield f"  recorded decisions: {row.then} to revoke; with this policy {row.more} more and {row.fewer} fewer"
    for word, names in (("more", row.more_samples), ("fewer", row.fewer_samples)):
        if names:
            yield f"  {word}:"
            yield from _grants(ledger, run, names)


def _grants(ledger: Ledger, run: Run, names: Sequence[str]) -> Iterator[str]:
    found = ledger.snapshot.grants_by_id(run.run_id, names[:EXAMPLES]) if names else {}
    yield from (f"           {_line(found[name])}" for name in itertools.islice(names, EXAMPLES) if name in found)


def _line(grant: Grant) -> str:
    key = grant.key
    who = f"{key.principal_type} {printable(key.principal_id)}"
    what = f"{printable(key.entitlement)} on {printable(key.resource_type)} {printable(key.resource_id)}"
    return f"{grant.grant_id[:12]}  {who}: {what} ({key.system})"


def _closing(result: Backtest) -> Iterator[str]:
    yield (
        f"\n{result.distinct} different grants would have been revoked; a later snapshot still holds"
        f" {result.returned} of them"
    )


def _lint(policy: Policy) -> list[str]:
    lines = [f"{policy.source}: policy {policy.name} is valid, version {policy.version}", f"combine: {policy.combine}"]
    for rule in policy.rules:
        lines.append(f"  {rule.id}: {rule.effect}, {rule.severity}, reason {rule.reason}")
        lines.append(f"    controls: {', '.join(rule.controls) or 'none'}")
        if rule.absence:
            lines.append(f"    only with complete data: {', '.join(sorted(rule.absence))}")
    return lines


def _policy(name: str) -> Policy:
    path = Path(name)
    try:
        content = read_regular(path, MAX_BYTES)[0]
    except OSError as error:
        raise InputError(path.name, f"the file cannot be read ({error.strerror})", "Check the path.") from None
    return load_policy(content, source=path.name)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="rescind", description="Decisions and policies of Rescind.")
    commands = parser.add_subparsers(dest="command", required=True)
    why = commands.add_parser("explain", help="say why grants of a run are revoked or kept")
    why.add_argument("run", help="the ledger's run id")
    which = why.add_mutually_exclusive_group(required=True)
    which.add_argument("--principal", help="exact id, in any id space or as person_id")
    which.add_argument("--grant", help="grant id (64 hex characters)")
    why.add_argument("--svg", metavar="FILE", help="with --principal: also draw the paths to what the person reaches")
    past = commands.add_parser("backtest", help="say what a policy would have revoked in past runs")
    past.add_argument("policy", help="policy file")
    past.add_argument("runs", nargs="+", metavar="run", help="the ledger's run id, oldest first")
    check = commands.add_parser("lint", help="compile and type-check a policy")
    check.add_argument("policy", help="policy file")
    return parser
