"""Text of approval requests and owners' questions, built from counts and names. Names from vendors are escaped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from rescind.i18n import mark, moment, tr, trn
from rescind.ledger import Ledger, Plan, Question, Run
from rescind.model import Mode, PrincipalType
from rescind.plan.approved import EmptiedColumn, read_approved
from rescind.systems import system_named
from rescind.workflow.closing.proposal import CLOSING
from rescind.workflow.closing.residual_access import STAYS_REACHABLE
from rescind.workflow.closing.surroundings import product
from rescind.workflow.offboarding.named_people import named_lines
from rescind.workflow.question.markdown import plain
from rescind.workflow.question.people_text import (
    PAGE,
    grants_of,
    held_lines,
    outlook,
    people_lines,
    people_of,
    reach_lines,
    risk_lines,
    title_of,
    verdict_line,
)
from rescind.workflow.question.plan_people import Holder, PlanPeople, plan_people

_EXAMPLES = 12


def approval_request(ledger: Ledger, run: Run, plan: Plan) -> tuple[str, str]:
    """Return subject and body: what remains, who asks and why, the people, the guards, and the digest."""
    rows = [row for row in ledger.summary.per_system(run.run_id) if row.items or row.held]
    people, reach = plan_people(ledger, run), outlook(ledger, run)
    losing = sum(one.going > 0 for one in people.people)
    lines = [
        verdict_line(people, reach),
        "",
        tr(
            "**{requester}** asks to revoke **{grants}** of {people} with {calls}. Answer by **{time}**.",
            requester=plain(run.requester),
            grants=grants_of(people.going),
            people=people_of(losing),
            calls=trn("{count} call", "{count} calls", plan.calls),
            time=moment(plan.valid_until),
        ),
        "",
        reason_line(run),
        "",
        f"[{tr('Full list: {count} grants', count=people.going + people.held_total)}]({PAGE}/{run.number}/items) · "
        f"[{tr('by person')}]({PAGE}/{run.number}/people)",
        "",
        *people_lines(run, people, f"{PAGE}/{run.number}/people"),
        *held_lines(people),
        *_kept_before(ledger, run),
        *reach_lines(reach),
        *risk_lines(people),
        *(f"- {plain(line, 500)}." for line in named_lines(ledger, run)),
        "",
        "| " + " | ".join(map(tr, _COLUMNS)) + " |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in rows:
        title = title_of(row.system)
        counts = (row.discovered, row.items + row.held, row.items, row.held, row.keep, row.calls)
        lines.append("| " + " | ".join(map(str, (title, plain(row.account), *counts))) + " |")
    lines += ["", f"**{tr('Why')}**", "", *_rules(people), "", f"**{tr('Guards')}**", "", *_guards(plan)]
    lines += _closing(ledger, run, people.names)
    lines += _beyond(ledger, plan, [(row.system, row.account) for row in rows if row.items])
    lines += [
        "",
        tr(
            "The plan is valid until {time}. Its digest is `{digest}`. Your answer applies to exactly this plan. "
            "Without an answer nothing is sent.",
            time=moment(plan.valid_until),
            digest=plan.digest,
        ),
    ]
    subject = tr(
        "Approve revoking {grants} of {people} ({digest})?",
        grants=grants_of(people.going),
        people=people_of(losing),
        digest=plan.digest[:12],
    )
    return subject, "\n".join(lines)


_COLUMNS = (
    mark("system"), mark("account"), mark("found"), mark("flagged"), mark("to revoke"), mark("held back"),
    mark("retained"), mark("calls"),
)  # fmt: skip


def reason_line(run: Run) -> str:
    """Return why a run was started, and its ticket."""
    ticket = f" · {tr('ticket {ticket}', ticket=plain(run.ticket))}" if run.ticket else ""
    return tr("Reason: {reason}", reason=plain(run.reason, 500) or tr("none given")) + ticket


def _kept_before(ledger: Ledger, run: Run) -> list[str]:
    """Return who left out grants of this plan in earlier runs, and why."""
    found = ledger.narrowings.earlier(run.run_id)
    if not found:
        return []
    lines = ["", f"**{tr('Left out in earlier runs')}**", ""]
    for number, grants, one in found:
        said = trn(
            "{count} of these grants was left out of run {number} by {name} on {day}: {comment}",
            "{count} of these grants were left out of run {number} by {name} on {day}: {comment}",
            grants,
            number=number,
            name=plain(one.by),
            day=f"{one.responded_at:%Y-%m-%d}",
            comment=plain(one.comment, 300),
        )
        lines.append(f"- {said}")
    return lines


def _beyond(ledger: Ledger, plan: Plan, accounts: list[tuple[str, str]]) -> list[str]:
    """Return what may be removed in addition to the grants counted above; an approval covers it too."""
    lines: list[str] = []
    for system, account in accounts if plan.operation == "revoke" else ():
        approved = read_approved(ledger.plans.effects(plan.run_id, plan.digest), system, account, ())
        where = f"{title_of(system)}, {plain(account)}"
        if system_named(system).not_restored:
            lines.append(f"- {where}: {system_named(system).not_restored}.")
        if approved.mode is Mode.SPARSE:
            sparse = tr("calls cover pairs that hold no grant; each resource is listed again right before its call.")
            lines.append(f"- {where}: {sparse}")
        lines += _emptied(ledger, plan, system, account, sorted(approved.emptied))
    return ["", f"**{tr('In addition to these grants')}**", "", *lines] if lines else []


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
    where, lines = title_of(system), []
    for container, who in sorted(by_container.items(), key=lambda pair: (-len(pair[1]), pair[0]))[:_EXAMPLES]:
        first = sorted(who)[:3]
        rest = " " + tr("and {count} more", count=len(who) - len(first)) if len(who) > len(first) else ""
        said = trn(
            "{count} person or group loses every grant there ({names}). A grant that is added before the call is "
            "revoked as well.",
            "{count} people or groups lose every grant there ({names}). A grant that is added before the call is "
            "revoked as well.",
            len(who),
            names=", ".join(first) + rest,
        )
        lines.append(f"- {where}, {plain(_short(container))}: {said}")
    if len(by_container) > _EXAMPLES:
        more = tr("likewise in {count} more containers, see the full list.", count=len(by_container) - _EXAMPLES)
        lines.append(f"- {where}: {more}")
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
        does = (
            tr("The plan also ends these (fewest removals, least other access lost):")
            if planned
            else tr("Not part of this plan. These would close them (fewest removals, least other access lost):")
        )
        lines += ["", f"**{tr('Other paths to the same access')}**", "", does, ""]
        lines += [_closing_line(place, row, names) for place, row in removals if row["shared"]]
        own = [_closing_line(place, row, names) for place, row in removals if not row["shared"]]
        lines += own[:_EXAMPLES] + _rest(len(own[_EXAMPLES:]) + more["removals"])
    if left:
        total, shown = left.total() + more["open"], list(left.items())[:_EXAMPLES]
        title = tr("Stays reachable, and this run cannot end it")
        lines += ["", f"**{title}** ({grants_of(total)})", ""]
        for (whom, path, who), count in shown:
            ask = tr("{path}. Ask {who}", path=plain(path, 200), who=plain(who, 200))
            lines.append(f"- {whom}: {ask}" + (f" ({grants_of(count)})" if count > 1 else ""))
        lines += _rest(total - sum(count for _, count in shown))
    return lines


def _closing_line(place: tuple[str, str], row: Mapping[str, Any], names: Mapping[Holder, str]) -> str:
    lost, shown = row["also_loses"], row["also_loses_count"] if row["shared"] else 3
    more = row["also_loses_count"] - shown
    named = ", ".join(plain(one, 200) for one in lost[:shown]) + (" " + tr("and {count} more", count=more)) * (more > 0)
    if row["shared"]:
        also = tr("others lose {what}", what=named) if lost else tr("nobody else loses anything")
    else:
        also = tr("also loses {what}", what=named) if lost else tr("loses nothing else")
    reason = plain(row["not_restored"], 300)
    back = tr("; ") + tr("a restore does not bring it back: {reason}", reason=reason) if row["not_restored"] else ""
    held = f" ({tr('held by a guard')})" if row.get("held") else ""
    whose = _who(place, row["principal"], row["name"], names)
    return f"- {whose}: {plain(row['what'], 200)}; {also}{back}{held}"


def _who(place: tuple[str, str], ident: str, name: str, names: Mapping[Holder, str]) -> str:
    return plain(names.get((*place, ident)) or name or ident)


def _short(ident: str) -> str:
    """Return the beginning of a long id; the full list holds the whole one."""
    return ident if len(ident) <= 16 else f"{ident[:8]}…"


def _rest(count: int) -> list[str]:
    return [f"- {tr('and {count} more', count=count)}"] if count else []


def question_body(run: Run, question: Question) -> str:
    """Return the question to the owner of resources, or to a colleague: who holds what, numbered like the options."""
    lines = [*_owner_is_asked(run, question), "", reason_line(run), ""]
    lines += [f"{number}. {plain(item.shown, 400)}" for number, item in enumerate(question.items, 1)]
    if question.due_at is not None:
        lines += ["", tr("**An answer counts until {time}.**", time=moment(question.due_at))]
    lines += [
        "",
        tr(
            "Without an answer in time, **{no_answer}** applies to every line. *Keep all* overrides every other "
            "choice. An approver still has to approve before anything is revoked. Digest of this list: `{digest}`.",
            no_answer=question.no_answer,
            digest=question.digest,
        ),
    ]
    if question.delegates and question.handover is None:
        lines += [
            "",
            tr(
                "A colleague can answer instead: choose **Hand over** as the only option, and the colleague in the "
                "field below. The colleague is asked until the same time, and cannot hand the question over again."
            ),
        ]
    return "\n".join(lines)


def _owner_is_asked(run: Run, question: Question) -> list[str]:
    """Return who asks, and who has handed the question over."""
    if (handed := question.handover) is None:
        said = tr(
            "**{requester}** asks you to review access to resources that you own. Choose **Revoke** with the number of "
            "each grant to revoke. The others stay.",
            requester=plain(run.requester),
        )
        return [said]
    said = tr(
        "**{requester}** asks to review access to resources. **{owner}**, who owns them, has handed the question over "
        "to you on {time}. Choose **Revoke** with the number of each grant to revoke. The others stay.",
        owner=plain(handed.by),
        time=moment(handed.at),
        requester=plain(run.requester),
    )
    return [said, "", tr("Comment: {comment}", comment=plain(handed.comment, 1000))] if handed.comment else [said]


def _rules(people: PlanPeople) -> list[str]:
    """Return how many grants each rule flagged; the sum is that of the table."""
    lines = []
    for rule, (goes, held) in sorted(people.rules.items(), key=lambda pair: (-sum(pair[1]), pair[0])):
        parts = tr(" = {goes} to revoke + {held} held back", goes=goes, held=held) if held else ""
        lines.append("- " + tr("{count} flagged by rule `{rule}`", count=goes + held, rule=rule) + parts)
    return lines


def _guards(plan: Plan) -> list[str]:
    lines = []
    for guard in plan.guards:
        name, scope, measured, limit = (
            plain(str(guard[f]).replace("_", " ")) for f in ("guard", "scope", "measured", "limit")
        )
        held = tr(", ") + tr("{count} held back", count=guard["held"]) if guard.get("held") else ""
        values = tr("measured {measured}; limit {limit}", measured=measured, limit=limit)
        lines.append(f"- {name} ({scope}): {values}{held}")
    return lines
