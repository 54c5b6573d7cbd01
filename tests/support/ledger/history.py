"""Closed reviews with people, departments and verdicts that ended when a test says, for pages over many runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

from psycopg.conninfo import make_conninfo

from rescind.ledger import Ledger, NewRun, Run, VerdictRecord
from rescind.model import Choice, Decision, Grant, Verdict
from tests.support.ledger import runs as ledger_runs
from tests.support.servers.postgres import tampering

DEPARTMENTS = ("Finance", "Sales", "Data", "")
NAMES = ("Mei Silva", "王伟 Wang Wei", "Omar Haddad", "Zoe Costa", "田中 健")
LEFT = datetime(2026, 1, 5, 17, tzinfo=UTC)


def person_grant(number: int, person: int, system: str = ledger_runs.SYSTEM, name: str = "") -> Grant:
    """Grant ``number`` of person ``person``."""
    one = ledger_runs.grant(number, system=system)
    key = one.key._replace(principal_id=f"u{person:06d}")
    cell = one.cell._replace(row=f"m{number}", column=(f"u{person:06d}",))
    key = key._replace(resource_id=f"portal-1/m{number}")
    named = name or NAMES[person % len(NAMES)]
    return dataclasses.replace(one, key=key, cell=cell, principal_name=named, resource_name=f"Menu {number}")


def facts_of(person: int, left_at: datetime | None) -> dict[str, str]:
    """What a decision says of a person; odd departments are not known."""
    facts = {
        "person.id": f"P{person:05d}",
        "person.name": NAMES[person % len(NAMES)],
        "person.status": "terminated" if left_at else "active",
        "matched_by": "quickbi_user_id",
    }
    if department := DEPARTMENTS[person % len(DEPARTMENTS)]:
        facts["person.department"] = department
    return facts | ({"person.terminated_at": left_at.isoformat().replace("+00:00", "Z")} if left_at else {})


def closed_review(
    ledger: Ledger,
    name: str,
    people: Sequence[int],
    verdicts: Sequence[Verdict],
    *,
    kept: int = 10,
    systems: Sequence[str] = (ledger_runs.SYSTEM,),
    ended: datetime | None = None,
    left_at: datetime | None = None,
    kind: str = "policy",
    dry_run: bool = False,
    dag_id: str = "access_review",
    rules: Sequence[str] = ("leaver",),
) -> Run:
    """A review that is over: one grant for each person and system goes, and ``kept`` others stay.

    :param verdicts: of the grants that go, in turn, in each system.
    :param rules: of the people, in turn.
    :param ended: when the run ended and its verdicts were observed; the run itself began just before.
    """
    run = ledger.runs.begin(
        NewRun(dag_id, name, "manual", "rita", reason=f"review {name}", params={"kind": kind}, dry_run=dry_run)
    )
    by_system, every = list[list[Grant]](), list[Grant]()
    for place, system in enumerate(systems):
        mine = [person_grant(1000 * place + n, person, system) for n, person in enumerate(people)]
        stay = [person_grant(500_000 + 1000 * place + n, 900 + n, system) for n in range(kept)]
        ledger_runs.list_scope(ledger, run, [*mine, *stay])
        by_system.append(mine)
        every = [*every, *mine, *stay]
    gone = [one for row in zip(*by_system, strict=True) for one in row]  # the groups go to the batches in turn
    whose = {one.grant_id: person for mine in by_system for one, person in zip(mine, people, strict=True)}
    ledger.scopes.seal(run.run_id)
    ledger.decisions.write(run.run_id, [_decision(one, whose.get(one.grant_id), left_at, rules) for one in every])
    frozen = ledger_runs.freeze(ledger, run, [[one] for one in gone], batches=len(systems))
    if not dry_run:
        ledger_runs.approve(ledger, frozen)
        at = ended or datetime.now(UTC)
        ledger.verdicts.record(
            run.run_id,
            [
                VerdictRecord(g.grant_id, verdicts[n // len(systems) % len(verdicts)], "list", at)
                for n, g in enumerate(gone)
            ],
        )
    return close(ledger, run, ended)


def close(ledger: Ledger, run: Run, ended: datetime | None = None) -> Run:
    """Close a run with the figures that its report would leave."""
    rows = [asdict(row) | {"stays_reachable": {"closing": {}}} for row in ledger.summary.per_system(run.run_id)]
    answer = None if run.dry_run else "approve"
    summary = {"answer": answer, "systems": rows, "findings": [], "kept_back": 0}
    closed = ledger.runs.finish(run.run_id, "dry_run" if run.dry_run else "succeeded", summary)
    if ended is None:
        return closed
    with tampering(make_conninfo("", **ledger.database.target)) as connection:  # a run ends now otherwise
        connection.execute(
            "UPDATE rescind.run SET started_at = %s, finished_at = %s WHERE number = %s",
            (ended - timedelta(minutes=9), ended, run.number),
        )
    return ledger.runs.get(run.run_id)


def _decision(grant: Grant, person: int | None, left_at: datetime | None, rules: Sequence[str]) -> Decision:
    if person is None:
        return Decision(grant.grant_id, Choice.KEEP, "default", "nothing against it")
    return Decision(
        grant.grant_id,
        Choice.REVOKE,
        rules[person % len(rules)],
        "left the company",
        "high",
        (),
        facts_of(person, left_at),
    )
