"""Text of approval requests and owners' questions, built from counts and names. Names from vendors are escaped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from rescind.ledger import Ledger, Plan, Question, Run
from rescind.model import Mode, PrincipalType
from rescind.plan.approved import EmptiedColumn, read_approved
from rescind.systems import system_named
from rescind.workflow.closing.proposal import CLOSING
from rescind.workflow.closing.residual_access import STAYS_REACHABLE
from rescind.workflow.closing.surroundings import product
from rescind.workflow.named_people import named_lines
from rescind.workflow.question.markdown import plain
from rescind.workflow.question.people_text import (
    PAGE,
    counted,
    held_lines,
    outlook,
    people_lines,
    reach_lines,
    risk_lines,
    verdict_line,
)
from rescind.workflow.question.plan_people import Holder, PlanPeople, plan_people

_EXAMPLES = 12


def approval_request(ledger: Ledger, run: Run, plan: Plan) -> tuple[str, str]:
    """Return subject and body: what remains, who asks and why, the people, the guards, and the digest."""
    rows = [row for row in ledger.summary.per_system(run.run_id) if row.items or row.held]
    people, reach = plan_people(ledger, run), outlook(ledger, run)
    whom = counted(sum(one.going > 0 for one in people.people), "person or group", "people and groups")
    ticket = f" · ticket {plain(run.ticket)}" if run.ticket else ""
    lines = [
        verdict_line(people, reach),
        "",
        f"**{plain(run.requester)}** asks to revoke **{counted(people.going, 'grant')}** of {whom} with "
        f"{counted(plan.calls, 'call')}. Answer until **{plan.valid_until:%Y-%m-%d %H:%M} UTC**.",
        "",
        f"Reason: {plain(run.reason, 500) or 'none given'}{ticket}",
        "",
        f"[Full list: {people.going + people.held_total} grants]({PAGE}/{run.number}/items) · "
        f"[by person]({PAGE}/{run.number}/people)",
        "",
        *people_lines(run, people, f"{PAGE}/{run.number}/people"),
        *held_lines(people),
        *_kept_before(ledger, run),
        *reach_lines(reach),
        *risk_lines(people),
        *(f"- {plain(line, 500)}." for line in named_lines(ledger, run)),
        "",
        "| system | account | found | flagged | to revoke | held back | retained | calls |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in rows:
        title = system_named(row.system).title
        counts = (row.discovered, row.items + row.held, row.items, row.held, row.keep, row.calls)
        lines.append("| " + " | ".join(map(str, (title, plain(row.account), *counts))) + " |")
    lines += ["", "**Why**", "", *_rules(people), "", "**Guards**", "", *_guards(plan)]
    lines += _closing(ledger, run, people.names)
    lines += _beyond(ledger, plan, [(row.system, row.account) for row in rows if row.items])
    lines += [
        "",
        f"The plan is valid until {plan.valid_until:%Y-%m-%d %H:%M} UTC. Its digest is `{plan.digest}`. "
        "Your answer applies to exactly this plan. Without an answer nothing is sent.",
    ]
    subject = f"Approve revoking {counted(people.going, 'grant')} of {whom} ({plan.digest[:12]})?"
    return subject, "\n".join(lines)


def _kept_before(ledger: Ledger, run: Run) -> list[str]:
    """Return who left out grants of this plan in earlier runs, and why."""
    found = ledger.narrowings.earlier(run.run_id)
    if not found:
        return []
    lines = ["", "**Kept before**", ""]
    for number, grants, one in found:
        lines.append(
            f"- {counted(grants, 'of these grants was', 'of these grants were')} left out of run {number} by "
            f"{plain(one.by)} on {one.responded_at:%Y-%m-%d}: {plain(one.comment, 300)}"
        )
    return lines


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
        lines += _emptied(ledger, plan, system, account, sorted(approved.emptied))
    return ["", "**In addition to these grants**", "", *lines] if lines else []


def _emptied(ledger: Ledger, plan: Plan, system: str, account: str, emptied: list[EmptiedColumn]) -> list[str]:
    """Return one line for each container in which principals lose every grant, with their names."""
    if not emptied:
        return []
    names = ledger.snapshot.container_names(plan.run_id, system, account)
    people = {
        one.principal_id: one.name for one in ledger.snapshot.principals(plan.run_id, system, account) if one.name
    }
    by_container: dict[str, list[str]] = {}
    for container, kind, column in emptied:
        ident = " ".join(column)
        name = people.get(ident, "") if kind == PrincipalType.USER else names.get((kind, ident), "")
        by_container.setdefault(container, []).append(plain(name or f"{kind} {ident}"))
    where, lines = system_named(system).title, []
    for container, who in sorted(by_container.items(), key=lambda pair: (-len(pair[1]), pair[0]))[:_EXAMPLES]:
        first = sorted(who)[:3]
        rest = f" and {len(who) - len(first)} more" if len(who) > len(first) else ""
        whom = counted(len(who), "person or group loses", "people or groups lose")
        lines.append(
            f"- {where}, {plain(_short(container))}: {whom} every grant there ({', '.join(first)}{rest}). A grant that "
            "is added before the call is revoked as well."
        )
    if len(by_container) > _EXAMPLES:
        lines.append(f"- {where}: likewise in {len(by_container) - _EXAMPLES} more containers, see the full list.")
    return lines


def _closing(ledger: Ledger, run: Run, names: Mapping[Holder, str]) -> list[str]:
    """Return what the plan does about other paths to what it ends, or what would close them.

    :param names: names of people.
    """
    notes = [
        ((product(s.system), s.account), n[CLOSING])
        for s in ledger.scopes.all(run.run_id)
        if CLOSING in (n := s.notes.get(STAYS_REACHABLE, {}))
    ]
    removals = [(place, row) for place, note in notes for row in note["removals"]]
    more = Counter[str]()
    for _, note in notes:
        more.update(note["more"])
    left = Counter(
        (_who(place, row["principal"], row["name"], names), row["path"], row["who"])
        for place, note in notes
        for row in note["open"]
    )
    lines: list[str] = []
    if removals:
        planned = any(note["planned"] for _, note in notes)
        does = "The plan also ends these" if planned else "Not part of this plan. These would close them"
        lines += ["", "**Other paths to the same access**", "", f"{does}, at the lowest cost:", ""]
        lines += [_closing_line(place, row, names) for place, row in removals if row["shared"]]
        own = [_closing_line(place, row, names) for place, row in removals if not row["shared"]]
        lines += own[:_EXAMPLES] + _rest(len(own[_EXAMPLES:]) + more["removals"])
    if left:
        total, shown = left.total() + more["open"], list(left.items())[:_EXAMPLES]
        lines += ["", f"**Stays reachable, and no removal here ends it** ({counted(total, 'grant')})", ""]
        lines += [
            f"- {whom}: {plain(path, 200)}. Ask {plain(who, 200)}" + (f" ({count} grants)" if count > 1 else "")
            for (whom, path, who), count in shown
        ]
        lines += _rest(total - sum(count for _, count in shown))
    return lines


def _closing_line(place: tuple[str, str], row: Mapping[str, Any], names: Mapping[Holder, str]) -> str:
    lost, shown = row["also_loses"], row["also_loses_count"] if row["shared"] else 3
    rest = f" and {row['also_loses_count'] - shown} more" if row["also_loses_count"] > shown else ""
    who, whom = ("others lose", "nobody else loses anything") if row["shared"] else ("also loses", "loses nothing else")
    also = f"{who} {', '.join(plain(one, 200) for one in lost[:shown])}{rest}" if lost else whom
    back = f"; a restore does not bring it back: {plain(row['not_restored'], 300)}" if row["not_restored"] else ""
    held = " (held by a guard)" if row.get("held") else ""
    whose = _who(place, row["principal"], row["name"], names)
    return f"- {whose}: {plain(row['what'], 200)}; {also}{back}{held}"


def _who(place: tuple[str, str], ident: str, name: str, names: Mapping[Holder, str]) -> str:
    return plain(names.get((*place, ident)) or name or ident)


def _short(ident: str) -> str:
    """Return the beginning of a long id; the full list holds the whole one."""
    return ident if len(ident) <= 16 else f"{ident[:8]}…"


def _rest(count: int) -> list[str]:
    return [f"- and {count} more"] if count else []


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


def _rules(people: PlanPeople) -> list[str]:
    """Return how many grants each rule flagged; the sum is that of the table."""
    lines = []
    for rule, (goes, held) in sorted(people.rules.items(), key=lambda pair: (-sum(pair[1]), pair[0])):
        parts = f" = {goes} to revoke + {held} held back" if held else ""
        lines.append(f"- {goes + held} flagged by rule `{rule}`{parts}")
    return lines


def _guards(plan: Plan) -> list[str]:
    lines = []
    for guard in plan.guards:
        name, scope, measured, limit = (
            plain(str(guard[f]).replace("_", " ")) for f in ("guard", "scope", "measured", "limit")
        )
        held = f", {guard['held']} held" if guard.get("held") else ""
        lines.append(f"- {name} ({scope}): measured {measured}; limit {limit}{held}")
    return lines
