"""Runs in a ledger for the page to show: a closed one with a report, and one at work with hostile names."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

from psycopg.conninfo import make_conninfo

from rescind.evidence.write import BundleWriter
from rescind.ledger import Ledger, NewQuestion, NewRegrant, NewRun, QuestionItem, Run, VerdictRecord, WatchCheck
from rescind.model import Grant, Verdict
from tests.support.ledger import runs as ledger_runs
from tests.support.servers.postgres import tampering

HOSTILE = (
    "<script>alert(1)</script>",
    '" onmouseover="alert(1)',
    "{{ 7*7 }}{% raw %}",
    "invoice\u202egnp.exe",
    "zero\u200bwidth",
    "line\nbreak\x1b[31m",
    "[a](javascript:alert(1)) **bold**",
)
NOW = datetime.now(UTC)


def hostile_grants(count: int, account: str = ledger_runs.ACCOUNT) -> list[Grant]:
    """Grants whose people and resources have the names above, in turn."""
    return [
        dataclasses.replace(
            ledger_runs.grant(number, account=account),
            principal_name=HOSTILE[number % len(HOSTILE)],
            resource_name=HOSTILE[(number + 3) % len(HOSTILE)],
        )
        for number in range(count)
    ]


def finished_run(ledger: Ledger, report: Path, *, name: str = "manual__1", bundles: Path | None = None) -> Run:
    """A closed run of 4 items: two proven gone, one still effective, one without a verdict.

    Its bundle is written below ``bundles``, or beside the report.
    """
    frozen = ledger_runs.ready_run(ledger, name)
    marks = (Verdict.VERIFIED_GONE, Verdict.ALREADY_ABSENT, Verdict.STILL_EFFECTIVE)
    ledger.verdicts.record(
        frozen.run.run_id,
        [
            VerdictRecord(one.grant_id, mark, "list", NOW, path="group <b>Staff</b>" if "effective" in mark else "")
            for one, mark in zip([g for group in frozen.calls.values() for g in group], marks, strict=False)
        ],
    )
    summary = {"report": str(report), "findings": [{}, {}], "problems": ["a <b>"]}
    closed = ledger.runs.finish(frozen.run.run_id, "failed", summary)
    with BundleWriter(ledger, closed, bundles or report.parent) as written:
        return ledger.runs.finish(frozen.run.run_id, "failed", {**summary, "bundle": written.path})


def working_run(
    ledger: Ledger,
    *,
    name: str = "manual__2",
    count: int = 60,
    dag_id: str = "access_review",
    account: str = ledger_runs.ACCOUNT,
) -> Run:
    """A run with hostile names, approved, nothing sent yet."""
    run = ledger.runs.begin(NewRun(dag_id, name, "manual", "rita", reason="leavers", dry_run=False))
    grants = hostile_grants(count, account)
    ledger_runs.list_scope(ledger, run, grants)
    ledger_runs.decide(ledger, run, grants, grants)
    ledger_runs.approve(ledger, ledger_runs.freeze(ledger, run, [[one] for one in grants]))
    return run


def owners_asked(ledger: Ledger, run: Run) -> None:
    """Questions to owners about items of a run: open, handed over to vera, answered, settled by the rule, not put."""
    items = (item.grant_id for item in ledger.plans.items(run.run_id))
    rules = {"vera": "keep", "olga": "revoke", HOSTILE[0]: "keep", "ada": "revoke", "omar": "keep"}
    new = [
        NewQuestion(
            name, rule, tuple(QuestionItem(one, "line") for one in islice(items, 4)), delegates={"vera": "王伟"}
        )
        for name, rule in rules.items()
    ]
    open_one, taken, answered, silent, _ = ledger.questions.ask(run.run_id, new)
    now = datetime.now(UTC)
    for one in (open_one, taken, answered, silent):
        ledger.questions.put(run.run_id, one.digest, within=timedelta(hours=0 if one is silent else 72))
    for one, comment in ((taken, HOSTILE[1]), (answered, "")):
        ledger.questions.hand_over(run.run_id, one.digest, by=one.reviewer, to="vera", comment=comment, at=now)
    ledger.notices.claim(f"owners {run.run_id} 1", "chat")
    ledger.questions.answer(
        run.run_id,
        answered.digest,
        revoke=[one.grant_id for one in answered.items[:2]],
        responded_by="vera",
        responded_at=now,
        comment=HOSTILE[0],
    )
    ledger.questions.close(run.run_id, silent.digest, at=now)


def returned(ledger: Ledger, run: Run, count: int, *, name: str = "scheduled__1", not_checked: int = 0) -> None:
    """A watching run that sees the first grants of a finished run again, with another level and a hostile source."""
    gone = [ledger_runs.grant(number) for number in range(count)]
    seen = [
        NewRegrant(
            run.run_id,
            one.grant_id,
            datetime.now(UTC),
            dataclasses.replace(
                one, key=one.key._replace(entitlement="edit"), origin=HOSTILE[0], created_raw=HOSTILE[3]
            ),
        )
        for one in gone
    ]
    check = WatchCheck(
        ledger_runs.SYSTEM,
        ledger_runs.ACCOUNT,
        watched=2 + not_checked,
        still_gone=2 - count,
        returned=count,
        not_checked=not_checked,
    )
    ledger.regrants.record("watch_regrants", name, check, seen)


def late_run(ledger: Ledger, name: str = "manual__late", account: str = "alibaba:3:cn-hangzhou") -> Run:
    """A run whose plan waits for an approval, asked for 26 hours ago."""
    run = ledger_runs.begin(ledger, name)
    grants = [ledger_runs.grant(number, account=account) for number in range(4)]
    ledger_runs.list_scope(ledger, run, grants)
    ledger_runs.decide(ledger, run, grants, grants)
    plan = ledger_runs.freeze(ledger, run, [grants]).plan
    ledger.approvals.request(run.run_id, plan.digest, requested_by="rita", valid_until=plan.valid_until)
    with tampering(make_conninfo("", **ledger.database.target)) as connection:  # an approval is never changed otherwise
        connection.execute(
            "UPDATE rescind.approval SET requested_at = requested_at - interval '26 hours' WHERE run_no = %s",
            (run.number,),
        )
    return run
