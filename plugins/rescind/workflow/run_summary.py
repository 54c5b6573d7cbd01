"""The summary of a run, as JSON and as lines for logs and notes, and its items as JSON Lines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rescind.i18n import mark, tr
from rescind.ledger import OCCASION, Approval, Item, Ledger, Plan, Run, TaskProgress
from rescind.model import NEW_RUN, Grant, ItemState
from rescind.plan.restore_effects import OPERATION
from rescind.run_state.leaver_clock import clock_line, leaver_clock, moments
from rescind.run_state.states import (
    REVOKE,
    Counts,
    StateWords,
    closed_state,
    proof_state,
    was_left_out,
    what_remains,
    words_of,
)
from rescind.settings import Settings
from rescind.workflow.closing.residual_access import STAYS_REACHABLE
from rescind.workflow.offboarding.full_proof import proof_of
from rescind.workflow.offboarding.leaver_events import event_problems
from rescind.workflow.offboarding.named_people import named_lines, reads_known
from rescind.workflow.question.plan_people import kept_of_request

_PROVEN = ("verified_gone", "already_absent")
_NAMED = 20
"""Maximum number of grants named in one message."""
_OPEN = ("held", "record_gone", "still_present", "still_effective", "unverified", "kept_lost")
_COUNTED = ("items", "restored", *_PROVEN, *_OPEN)
"""Counts of a system that its headline uses; open ones are shown only if they are not 0."""


def build_summary(ledger: Ledger, run: Run, settings: Settings) -> dict[str, Any]:
    """Return the summary of the run, as JSON values.

    ``state`` is the ledger's word for the run. ``outcome`` says in words what it came to, see
    :mod:`rescind.run_state.states`.
    """
    plan = ledger.plans.find(run.run_id)
    rows = [asdict(row) for row in ledger.summary.per_system(run.run_id)]
    kept = {(check.system, check.account): check for check in ledger.verdicts.retained(run.run_id)}
    outlook = {
        (scope.system, scope.account): scope.notes[STAYS_REACHABLE]
        for scope in ledger.scopes.all(run.run_id)
        if STAYS_REACHABLE in scope.notes
    }
    for row in rows:
        row[STAYS_REACHABLE] = outlook.get((row["system"], row["account"]))
        check = kept.get((row["system"], row["account"]))
        row["kept_compared"] = check.compared if check else 0
        row["kept_lost"] = len(check.lost) if check else 0
        row["beyond"] = int(check.detail.get("beyond_count", 0)) if check else 0
    approval = ledger.approvals.get(run.run_id, plan.digest) if plan else None
    forged = ledger.approvals.problem(approval) if approval else ""
    answer = approval.answer if approval and not forged else None
    problems = _problems(ledger, run, rows, plan, answer, settings)
    if approval and forged:
        problems.append(f"the answer of {approval.approver!r} in the ledger counts as none: {forged}")
    state = "failed" if problems else "rejected" if answer == "reject" else "dry_run" if run.dry_run else "succeeded"
    kept_back = 0 if run.dry_run else sum(1 for _ in kept_of_request(ledger, run))
    summary: dict[str, Any] = {
        "run": run.run_id,
        "number": run.number,
        "dag": run.dag_id,
        "airflow_run": run.airflow_run_id,
        "state": state,
        "kept_back": kept_back,
        "left_out": sum(was_left_out(item.state, item.reason) for item in _held(ledger, run, plan)),
        "answer": answer,
        "dry_run": run.dry_run,
        "operation": plan.operation if plan else "",
        "requested_by": run.requested_by,
        "reason": run.reason,
        "ticket": run.ticket,
        "approved_by": approval.responded_by if approval and answer == "approve" else None,
        "approved_by_name": approval.responded_by_name if approval and answer == "approve" else "",
        "approved_automatically": bool(approval and answer == "approve" and approval.automatic),
        "airflow_record": approval.airflow_record if approval else "",
        "plan": plan.digest if plan else None,
        "calls": plan.calls if plan else 0,
        "lower_bound": plan.lower_bound if plan else 0,
        "guards": plan.guards if plan else [],
        "systems": rows,
        "decisions": [asdict(count) for count in ledger.decisions.by_rule(run.run_id)],
        "tasks": [_task(task) for task in ledger.progress.of_run(run.run_id)],
        "problems": problems,
        "named_people": list(named_lines(ledger, run)),
        "known_access": proof_of(ledger, run) if reads_known(ledger, run) else None,
        "follows": run.follows,
        "next_step": NEW_RUN if any(row["needs_new_run"] for row in rows) else "",
        "findings": _findings(ledger, run),
        "clock": [],
        "started_at": run.started_at.isoformat(),
        "written_at": datetime.now(UTC).isoformat(),
    }
    summary["clock"] = _clock(ledger, run, summary, approval)
    outcome = state_of(summary)
    summary["outcome"] = {"key": outcome.key, "tone": outcome.tone, "words": outcome.words, "remains": remains(summary)}
    return summary


def _held(ledger: Ledger, run: Run, plan: Plan | None) -> Iterator[Item]:
    yield from ledger.plans.items(run.run_id, state=ItemState.HELD) if plan else ()


def _clock(ledger: Ledger, run: Run, summary: dict[str, Any], approval: Approval | None) -> list[dict[str, Any]]:
    """Return how long the people of a request kept their access; empty for a run about something else."""
    if _kind(run) != "targets" or not run.params.get("principals"):
        return []
    scopes = ledger.scopes.all(run.run_id)
    verified = max((one.observed_at for one in ledger.verdicts.latest(run.run_id)), default=None)
    if run.follows and verified is None:
        verified = max((scope.ended_at for scope in scopes if scope.ended_at), default=None)
    known = moments(
        run.started_at,
        ledger.inputs.facts(run.run_id, OCCASION),
        asked=approval.requested_at if approval else None,
        approved=approval.responded_at if approval and summary["answer"] == "approve" else None,
        verified=verified,
    )
    steps = leaver_clock(
        known,
        counts_of(summary),
        dry_run=run.dry_run,
        answer=summary["answer"],
        planned=summary["plan"] is not None,
        listed=all(scope.state == "complete" for scope in scopes),
        known_only=bool(summary["known_access"]),
    )
    return [{"step": one.name, "at": one.at.isoformat() if one.at else None, "words": one.words} for one in steps]


def _task(task: TaskProgress) -> dict[str, Any]:
    """Return how long a task took and its rate."""
    seconds = (task.updated_at - task.started_at).total_seconds()
    facts = {"stage": task.stage, "label": task.label, "done": task.done, "total": task.total}
    return {**facts, "seconds": round(seconds, 1), "per_second": round(task.per_second, 1)}


def counts_of(summary: dict[str, Any]) -> Counts:
    """Return what became of the grants of a run, from its summary."""
    rows = summary["systems"]

    def total(*names: str) -> int:
        return sum(row[name] for row in rows for name in names)

    back = summary["operation"] == OPERATION
    return Counts(
        items=total("items", "held"),
        proven=total("restored") if back else total(*_PROVEN),
        unproven=0 if back else total("record_gone"),
        effective=0 if back else total("still_effective"),
        held=total("held"),
        kept=summary["kept_back"],
        left_out=summary.get("left_out", 0),
    )


def state_of(summary: dict[str, Any]) -> StateWords:
    """Return the state of a run in words, from its summary."""
    state = closed_state(
        summary["state"],
        counts_of(summary),
        operation=summary["operation"] or REVOKE,
        answer=summary["answer"],
        calls=summary["calls"] if summary["plan"] else None,
    )
    proof = summary.get("known_access")
    return proof_state(state, proof["number"], proof["tone"]) if proof else state


def remains(summary: dict[str, Any]) -> list[str]:
    """Return what remains after an approved run, in phrases; empty where nothing does, or where nothing was sent."""
    if summary["dry_run"] or summary["answer"] == "reject" or (summary["calls"] and summary["answer"] is None):
        return []
    return what_remains(counts_of(summary), operation=summary["operation"] or REVOKE)


def summary_lines(summary: dict[str, Any]) -> list[str]:
    """Return the summary in a few lines, for logs and terminals."""
    lines = [f"run {summary['run']}: {state_of(summary).text}"]
    lines += [f"remains: {'; '.join(left)}" for left in [remains(summary)] if left]
    for row in summary["systems"]:
        if summary["operation"] == OPERATION:
            lines.append(
                f"{row['system']} {row['account']}: {row['restored']} of {row['items']} restored, {row['held']} "
                f"skipped, {row['calls']} calls, {row['kept_compared']} retained checked, {row['kept_lost']} missing"
            )
            continue
        lines.append(
            f"{row['system']} {row['account']}: {row['discovered']} found, {row['items']} to revoke, "
            f"{row['calls']} calls, {row['verified_gone']} verified gone, "
            f"{row['record_gone']} record gone, {row['still_effective']} still effective, "
            f"{row['kept_compared']} retained checked, "
            f"{row['kept_lost']} missing, {row['throttled']} throttled"
        )
    lines += _clock_line(summary)
    lines += summary.get("named_people", [])
    lines += [f"PROBLEM: {problem}" for problem in summary["problems"]]
    return lines + [summary["next_step"]] * bool(summary["next_step"])


def headline(summary: dict[str, Any]) -> str:
    """Return the run in a few lines. They hold only our own words and counts, no text by a vendor or a person."""
    by_system: dict[str, dict[str, int]] = {}
    for row in summary["systems"]:
        counts = by_system.setdefault(row["system"], dict.fromkeys(_COUNTED, 0))
        counts |= {name: counts[name] + row[name] for name in _COUNTED}
    whole = {name: sum(counts[name] for counts in by_system.values()) for name in _COUNTED}
    state, left = state_of(summary).text, remains(summary)
    lines = [
        tr(
            "Run {number}: {state}. {result}; {calls} calls planned",
            number=summary["number"],
            state=state,
            result=_came_to(summary, whole),
            calls=summary["calls"],
        )
    ]
    lines += [tr("Remains: {parts}", parts=tr("; ").join(left))] if left else []
    lines += _clock_line(summary)
    lines += [f"- {system}: {_came_to(summary, by_system[system])}" for system in sorted(by_system)]
    for name in _IN_REPORT:
        if summary[name]:
            lines.append(tr(_IN_REPORT[name], count=len(summary[name])))
    if summary["next_step"]:
        lines.append(summary["next_step"])
    return "\n".join(lines)


_IN_REPORT = {
    "problems": mark("problems: {count}, named in the report"),
    "findings": mark("findings: {count}, named in the report"),
}


def _clock_line(summary: dict[str, Any]) -> list[str]:
    return [clock_line((one["step"], one["words"]) for one in summary["clock"])] if summary["clock"] else []


def _came_to(summary: dict[str, Any], counts: dict[str, int]) -> str:
    back = summary["operation"] == OPERATION
    if summary["dry_run"]:
        to_do = mark("{count} to restore, {held} held back") if back else mark("{count} to revoke, {held} held back")
        return tr(to_do, count=counts["items"], held=counts["held"])
    done = counts["restored"] if back else sum(counts[name] for name in _PROVEN)
    reached = mark("{done} of {total} restored") if back else mark("{done} of {total} proven gone")
    left = [f"{counts[name]} {words_of(name)}" for name in _OPEN if counts[name]]
    return tr(", ").join([tr(reached, done=done, total=counts["items"]), *left])


def _kind(run: Run) -> str:
    """``policy`` for a review by policy, ``targets`` for named people or resources."""
    return str(run.params.get("kind", "policy"))


def _problems(
    ledger: Ledger, run: Run, rows: list[dict[str, Any]], plan: Plan | None, answer: str | None, settings: Settings
) -> list[str]:
    """Return why the run must fail. Empty if every item is proven or listed as an open finding."""
    found = [
        f"{scope.system} {scope.account}: the snapshot is {scope.state}: "
        f"{scope.error or scope.missing or 'not discovered'}"
        for scope in ledger.scopes.all(run.run_id)
        if scope.state != "complete"
    ]
    found += event_problems(ledger, run)
    if plan is None:
        return [*found, "no plan was made"]
    if run.dry_run or answer == "reject" or plan.calls == 0:
        return found
    if answer is None:
        return [*found, "the plan was not approved"]
    for row in rows:
        where = f"{row['system']} {row['account']}"
        back = plan.operation == OPERATION
        proven = row["restored"] if back else sum(row[name] for name in (*_PROVEN, "record_gone", "still_effective"))
        if proven < row["items"]:
            what = "restored" if back else "proven gone"
            found.append(f"{where}: {row['items'] - proven} of {row['items']} items are not {what}")
        if row["record_gone"] and _kind(run) in settings.record_gone_fails:
            found.append(
                f"{where}: {row['record_gone']} records are gone, but it is not proven that access is gone; the report"
                " lists the surfaces that were not asked. The setting 'record_gone_fails' makes this run fail"
            )
        if row["beyond"]:
            found.append(f"{where}: {row['beyond']} grants beyond the items appeared on restored resources")
        if row["kept_lost"]:
            found.append(f"{where}: {row['kept_lost']} retained grants are missing")
    if plan.operation != OPERATION and (
        lost := [i for check in ledger.verdicts.retained(run.run_id) for i in check.lost]
    ):
        found.append(_offer(run, lost))
    return found


def _offer(run: Run, lost: list[str]) -> str:
    """Return how to restore missing retained grants. The platform does not tell who removed them."""
    conf = {"run": str(run.number), "grants": lost[:_NAMED], "reason": "retained grants are missing", "dry_run": True}
    more = f" ({len(lost) - _NAMED} more are among the bundle's findings)" if len(lost) > _NAMED else ""
    return (
        "no more calls of this run are sent. A call of this run or somebody else may have removed the retained grants: "
        "the platform does not tell who. To restore them, trigger the DAG restore_access with the configuration "
        f"{json.dumps(conf)}{more}"
    )


def _findings(ledger: Ledger, run: Run) -> list[dict[str, Any]]:
    """Return the items that end open: grant, verdict, and what remains."""
    back = {item.grant_id for item in ledger.plans.items(run.run_id, state=ItemState.RESTORED)}
    verdicts = [v for v in ledger.verdicts.latest(run.run_id) if v.verdict not in _PROVEN and v.grant_id not in back]
    left = (ItemState.HELD, ItemState.STALE)
    planned = ledger.plans.find(run.run_id) is not None
    held = [i for state in left for i in ledger.plans.items(run.run_id, state=state)] if planned else []
    grants = _grants_of(ledger, run, [*(v.grant_id for v in verdicts), *(item.grant_id for item in held)])
    return [
        *({**_named(grants[v.grant_id]), "verdict": str(v.verdict), "remains": v.path} for v in verdicts),
        *(
            {
                **_named(grants[i.grant_id]),
                "verdict": "kept" if was_left_out(i.state, i.reason) else str(i.state),
                "remains": i.reason,
            }
            for i in held
        ),
    ]


def _named(grant: Grant) -> dict[str, str]:
    """Return the key of a grant with the names of its principal and resource."""
    return {
        **grant.key._asdict(),
        "principal_name": grant.principal_name,
        "resource_name": grant.resource_name,
    }


def _grants_of(ledger: Ledger, run: Run, grant_ids: list[str]) -> dict[str, Grant]:
    """Return the grants of items, from this run's snapshot or from that of the restored run."""
    plan = ledger.plans.find(run.run_id)
    return ledger.snapshot.grants_by_id(plan.source_run_id if plan else run.run_id, grant_ids) if grant_ids else {}


def write_items(ledger: Ledger, run: Run, path: Path) -> None:
    """Write one line of JSON per planned item. Every id is text."""
    verdicts = {verdict.grant_id: verdict for verdict in ledger.verdicts.latest(run.run_id)}
    items = {item.grant_id: item for item in ledger.plans.items(run.run_id)} if ledger.plans.find(run.run_id) else {}
    grants = _grants_of(ledger, run, list(items))
    with path.open("w", encoding="utf-8") as out:
        for ident in sorted(items):
            verdict = verdicts.get(ident)
            row = {
                **grants[ident].key._asdict(),
                "container": grants[ident].cell.container,
                "column": list(grants[ident].cell.column),
                "state": str(items[ident].state),
                "reason": items[ident].reason,
                "verdict": str(verdict.verdict) if verdict else None,
                "remains": verdict.path if verdict else "",
                "absent": verdict.detail.get("absent", {}) if verdict else {},
            }
            out.write(json.dumps(row, ensure_ascii=False) + "\n")
