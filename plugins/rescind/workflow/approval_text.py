"""Text of approval requests and owners' questions, built from counts and ids. Names from vendors are escaped."""

from __future__ import annotations

import heapq
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping
from typing import Any

from rescind.ledger import Ledger, Plan, Question, Run
from rescind.model import Choice, ItemState, Mode
from rescind.plan.approved import read_approved
from rescind.review.policy.load import SEVERITIES
from rescind.systems import system_named
from rescind.workflow.closing_proposal import CLOSING
from rescind.workflow.residual_access import STAYS_REACHABLE

_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~$&:])")
_LINKS = re.compile(r"@\w|://|\bwww\.|\bmailto:", re.IGNORECASE)
"""Text that Markdown renderers convert to links, even when escaped. In a code span they do not."""
_EXAMPLES = 12


def plain(text: str, limit: int = 80) -> str:
    """Return text from a vendor or a person in a form that is harmless in Markdown.

    One line, no control or bidi characters, every mark escaped, cut at ``limit`` characters. Text that a reader would
    turn into a link becomes a code span.
    """
    shown = "".join(" " if unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp") else c for c in text)
    shown = shown if len(shown) <= limit else shown[: limit - 1] + "…"
    return _code(shown) if _LINKS.search(shown) else _MARKDOWN.sub(r"\\\1", shown)


def _code(text: str) -> str:
    """Return a code span. A bar would end a table cell, so it is replaced with a broken bar."""
    fence = "`" * (max(map(len, re.findall("`+", text)), default=0) + 1)
    edge = " " if text[0] in "` " or text[-1] in "` " else ""
    return f"{fence}{edge}{text.replace('|', '¦')}{edge}{fence}"


def going(ledger: Ledger, run: Run) -> int:
    """Return how many grants the calls of the live plan revoke, without those held by guards."""
    return sum(row.items for row in ledger.summary.per_system(run.run_id))


def approval_body(ledger: Ledger, run: Run, plan: Plan) -> str:
    """Return the approval request: requester, reason, counts, guards, the riskiest grants, and the digest."""
    rows = [row for row in ledger.summary.per_system(run.run_id) if row.items or row.held]
    lines = [
        f"**{plain(run.requester)}** asks to revoke **{going(ledger, run)} grants** with {plan.calls} calls.",
        "",
        f"Reason: {plain(run.reason, 500) or 'none given'}" + (f" · ticket {plain(run.ticket)}" if run.ticket else ""),
        "",
        "| system | account | found | to revoke | held by guards | retained | calls |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in rows:
        title = system_named(row.system).title
        cells = (title, plain(row.account), row.discovered, row.items, row.held, row.keep, row.calls)
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    lines += ["", "**Why**", "", *_rules(ledger, run), "", "**Guards**", "", *_guards(plan), ""]
    lines += [*_riskiest(ledger, run), "", *_people(ledger, run)]
    lines += _closing(ledger, run)
    lines += _beyond(ledger, plan, [(row.system, row.account) for row in rows if row.items])
    lines += [
        "",
        f"The plan is valid until {plan.valid_until:%Y-%m-%d %H:%M} UTC. Its digest is `{plan.digest}`. "
        "Your answer applies to exactly this plan. Without an answer nothing is sent.",
    ]
    return "\n".join(lines)


def _beyond(ledger: Ledger, plan: Plan, accounts: list[tuple[str, str]]) -> list[str]:
    """Return what may be removed in addition to the grants counted above; an approval covers it too."""
    lines: list[str] = []
    for system, account in accounts if plan.operation == "revoke" else ():
        approved = read_approved(ledger.plans.effects(plan.run_id, plan.digest), system, account, ())
        where = f"{system_named(system).title}, {plain(account)}"
        if system_named(system).not_restored:
            lines.append(f"- {where}: {system_named(system).not_restored}.")
        if approved.mode is Mode.SPARSE:
            lines.append(
                f"- {where}: calls cover pairs that hold no grant; each resource is listed again right before its call."
            )
        emptied = sorted(approved.emptied)
        if emptied:
            shown = [f"{kind} {plain(' '.join(column))} in {plain(container)}" for container, kind, column in emptied]
            rest = f", and {len(shown) - _EXAMPLES} more" if len(shown) > _EXAMPLES else ""
            lines.append(
                f"- {where}: every grant of {', '.join(shown[:_EXAMPLES])}{rest} is revoked there. A grant that is "
                "added before the call is revoked as well."
            )
    return ["", "**In addition to these grants**", "", *lines] if lines else []


def _closing(ledger: Ledger, run: Run) -> list[str]:
    """Return what the plan does about other paths to what it ends, or what would close them."""
    notes = [n[CLOSING] for s in ledger.scopes.all(run.run_id) if CLOSING in (n := s.notes.get(STAYS_REACHABLE, {}))]
    removals = [row for note in notes for row in note["removals"]]
    left = [row for note in notes for row in note["open"]]
    lines: list[str] = []
    if removals:
        planned = any(note["planned"] for note in notes)
        does = "The plan also ends these memberships" if planned else "Not part of this plan. These would close them"
        lines += ["", "**Other paths to the same access**", "", f"{does}, at the lowest cost:", ""]
        lines += _some([_closing_line(row) for row in removals])
    if left:
        lines += ["", f"**Stays reachable, and no removal here ends it** ({len(left)})", ""]
        lines += _some([f"- {_who(row)}: {plain(row['path'], 200)}. Ask {plain(row['who'], 200)}" for row in left])
    return lines


def _closing_line(row: Mapping[str, Any]) -> str:
    lost = row["also_loses"]
    rest = f" and {row['also_loses_count'] - 3} more" if row["also_loses_count"] > 3 else ""
    also = f"also loses {', '.join(plain(one) for one in lost[:3])}{rest}" if lost else "loses nothing else"
    held = " (held by a guard)" if row.get("held") else ""
    return f"- {_who(row)}: {plain(row['what'], 200)}; {also}{held}"


def _who(row: Mapping[str, Any]) -> str:
    return f"{plain(row['name'])} ({plain(row['principal'])})" if row["name"] else plain(row["principal"])


def _some(lines: list[str]) -> list[str]:
    rest = [f"- and {len(lines) - _EXAMPLES} more, in the report"] if len(lines) > _EXAMPLES else []
    return lines[:_EXAMPLES] + rest


def question_body(run: Run, question: Question) -> str:
    """Return the question to the owner of resources: who holds what, numbered like the options."""
    lines = [
        f"**{plain(run.requester)}** asks you to review access to resources that you own. "
        f"Choose **Revoke** with the number of each grant to revoke. The others stay.",
        "",
        f"Reason: {plain(run.reason, 500) or 'none given'}" + (f" · ticket {plain(run.ticket)}" if run.ticket else ""),
        "",
    ]
    lines += [f"{number}. {plain(item.shown, 400)}" for number, item in enumerate(question.items, 1)]
    lines += [
        "",
        f"Without an answer in time, **{question.no_answer}** applies to every line. *Keep all* overrides every other "
        "choice. An approver still has to approve before anything is revoked. "
        f"Digest of this list: `{question.digest}`.",
    ]
    return "\n".join(lines)


def _riskiest(ledger: Ledger, run: Run) -> list[str]:
    """Return the planned grants of the highest severity, as examples."""
    held = {item.grant_id for item in ledger.plans.items(run.run_id, state=ItemState.HELD)}
    rows = (pair for pair in ledger.decisions.each(run.run_id, choice=Choice.REVOKE) if pair[1].grant_id not in held)
    worst = heapq.nlargest(_EXAMPLES, rows, key=lambda pair: (_weight(pair[1].severity), pair[1].grant_id))
    lines = ["**Highest severity**", ""]
    for grant, decision in worst:
        key = grant.key
        name = grant.principal_name
        who = f"{plain(name)} ({plain(key.principal_id)})" if name else plain(key.principal_id)
        resource = f"{plain(key.resource_type)} {plain(grant.resource_name or key.resource_id)}"
        title = system_named(key.system).title
        lines.append(f"- {decision.severity or 'no severity'}: {plain(key.entitlement)} on {resource}, {who}, {title}")
    return lines


def _weight(severity: str) -> int:
    return SEVERITIES.index(severity) if severity in SEVERITIES else -1


def _rules(ledger: Ledger, run: Run) -> list[str]:
    counts: Counter[str] = Counter()
    for row in ledger.decisions.by_rule(run.run_id):
        if row.choice == Choice.REVOKE:
            counts[row.rule] += row.grants
    return [f"- {grants} grants by rule `{rule}`" for rule, grants in counts.most_common()]


def _guards(plan: Plan) -> list[str]:
    lines = []
    for guard in plan.guards:
        name, scope, measured, limit = (
            plain(str(guard[f]).replace("_", " ")) for f in ("guard", "scope", "measured", "limit")
        )
        held = f", {guard['held']} held" if guard.get("held") else ""
        lines.append(f"- {name} ({scope}): measured {measured}; limit {limit}{held}")
    return lines


def _people(ledger: Ledger, run: Run) -> list[str]:
    """Return the principals with the most revoked grants, as examples."""
    counts: Counter[tuple[str, str, str]] = Counter()
    names: dict[tuple[str, str, str], str] = {}
    for grant, _ in ledger.decisions.each(run.run_id, choice=Choice.REVOKE):
        who = (grant.key.system, grant.key.principal_type, grant.key.principal_id)
        counts[who] += 1
        names.setdefault(who, grant.principal_name)
    for principal in ledger.snapshot.principals(run.run_id):
        if principal.name:
            names[principal.system, principal.principal_type, principal.principal_id] = principal.name
    lines = [f"**Principals with the most revoked grants** ({len(counts)} in total)", ""]
    for (system, kind, ident), grants in counts.most_common(_EXAMPLES):
        name = names[system, kind, ident]
        shown = f"{plain(name)} ({plain(ident)})" if name else plain(ident)
        lines.append(f"- {shown}, {kind} in {system_named(system).title}: {grants} grants")
    return lines
