"""Text of the approval request of a restore."""

from __future__ import annotations

from collections import Counter

from rescind.evidence.imports import IMPORTED
from rescind.ledger import Ledger, Plan, Run
from rescind.systems import system_named
from rescind.workflow.approval_text import plain

_EXAMPLES = 12


def restore_body(ledger: Ledger, run: Run, plan: Plan, given: int) -> str:
    """Return the approval request: requester, reason, source run, counts, main receivers, and the digest."""
    source = ledger.runs.get(plan.source_run_id)
    lines = [
        f"**{plain(run.requested_by)}** asks to restore **{given} grants** with {plan.calls} calls. Run "
        f"{source.number} revoked them ({source.started_at:%Y-%m-%d}, requested by {plain(source.requester)}).",
        "",
        f"Reason: {plain(run.reason, 500)}" + (f" · ticket {plain(run.ticket)}" if run.ticket else ""),
        *_named_by(run, source),
        "",
        "| system | account | to restore | already re-granted | skipped | calls |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for row in ledger.summary.per_system(run.run_id):
        title = system_named(row.system).title
        cells = (title, plain(row.account), row.not_sent, row.restored, row.held, row.calls)
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    lines += ["", *_receivers(ledger, run, plan), ""]
    lines.append(
        f"The plan is valid until {plan.valid_until:%Y-%m-%d %H:%M} UTC. Its digest is `{plan.digest}`. "
        "Your answer applies to exactly this plan. Without an answer nothing is sent."
    )
    return "\n".join(lines)


def _named_by(run: Run, source: Run) -> list[str]:
    """Return what to know if the run was named by its bundle."""
    root, known = run.params.get("root"), source.params.get(IMPORTED)
    lines = [f"The run was named by its evidence bundle, which was verified (root `{root}`)."] if root else []
    if known:
        lines.append(
            f"This ledger knows run {source.number} only from that bundle, where it was run {known['number']}, started "
            f"{plain(known['started_at'])[:10]}. Later changes are known from the platform only."
        )
    return ["", " ".join(lines)] if lines else []


def _receivers(ledger: Ledger, run: Run, plan: Plan) -> list[str]:
    """Return the principals that get the most grants, as examples, and why grants are skipped."""
    items = list(ledger.plans.items(run.run_id))
    grants = ledger.snapshot.grants_by_id(plan.source_run_id, [item.grant_id for item in items if item.call_id])
    counts = Counter((g.key.system, g.key.principal_type, g.key.principal_id) for g in grants.values())
    names = {
        (p.system, p.principal_type, p.principal_id): p.name for p in ledger.snapshot.principals(plan.source_run_id)
    }
    lines = [f"**Principals with the most restored grants** ({len(counts)} in total)", ""]
    for who, count in counts.most_common(_EXAMPLES):
        name = plain(names.get(who, "") or "")
        shown = f"{name} ({plain(who[2])})" if name else plain(who[2])
        lines.append(f"- {shown}, {who[1]} in {system_named(who[0]).title}: {count} grants")
    reasons = Counter(item.reason for item in items if item.call_id is None)
    return [*lines, "", *(f"- {count} without a call: {plain(reason, 200)}" for reason, count in reasons.most_common())]
