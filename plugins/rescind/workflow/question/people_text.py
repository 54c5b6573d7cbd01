"""The parts of an approval request about people: what each loses, what is held back, what stays reachable, and risk."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

from rescind.i18n import mark, tr, trn
from rescind.ledger import Ledger, Run
from rescind.stored_text import translated
from rescind.systems import system_named
from rescind.systems.entitlement_class import EntitlementClass
from rescind.workflow.closing.residual_access import STAYS_REACHABLE
from rescind.workflow.question.markdown import plain
from rescind.workflow.question.plan_people import NAMED, Line, PersonLoss, PlanPeople

PAGE = "rescind/runs"
"""Path of the page "Access reviews". Airflow resolves a relative link against the path that it is served under."""
_SYSTEMS = 4
_WAYS = 6
_LEAVING = re.compile(
    r"leav(er|es|ing)|last day|terminat|off-?board|resign|redundan|离职|離職|退職|离开|退社", re.IGNORECASE
)
"""Reasons that speak of somebody who leaves."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """What stays reachable by another path once the plan is carried out, by the snapshot.

    :param grants: how many of the planned grants.
    :param ways: (path, what closes it, grants), those of most grants first.
    :param unknown: permission systems whose listings were not complete, so that nothing is known there.
    """

    grants: int
    ways: tuple[tuple[str, str, int], ...]
    unknown: tuple[str, ...]


def counted(number: int, one: str, many: str = "") -> str:
    """Return a number with its English noun: ``1 grant``, ``2 grants``."""
    return f"{number} {one if number == 1 else many or f'{one}s'}"


def grants_of(number: int) -> str:
    """Return a number of grants: ``1 grant``, ``2 grants``."""
    return trn("{count} grant", "{count} grants", number)


def people_of(number: int) -> str:
    """Return a number of people: ``1 person or group``."""
    return trn("{count} person or group", "{count} people and groups", number)


def title_of(system: str) -> str:
    """Return the title of a permission system."""
    return tr(system_named(system).title)


def outlook(ledger: Ledger, run: Run) -> Outlook:
    """Return what the plan task noted about other paths."""
    grants, ways = 0, Counter[tuple[str, str]]()
    scopes = ledger.scopes.all(run.run_id)
    # The first scope of a system and account holds the note; more scopes are from an earlier try of the discovery.
    notes = {(s.system, s.account): note for s in scopes if (note := s.notes.get(STAYS_REACHABLE)) is not None}
    unread = [s for s in scopes if s.state != "complete" or (s.system, s.account) not in notes]
    unknown = {system_named(scope.system).title for scope in unread}
    for note in notes.values():
        grants += int(note.get("grants", 0))
        for way in note.get("ways", ()):
            ways[way["way"], way["close"]] += int(way["grants"])
    ranked = sorted(ways.items(), key=lambda pair: (-pair[1], pair[0]))
    return Outlook(grants, tuple((*way, count) for way, count in ranked), tuple(sorted(unknown)))


def verdict_line(people: PlanPeople, reach: Outlook) -> str:
    """Return the first line: what remains after the plan, or that nothing does."""
    parts = [
        (people.held_total - people.left_out, mark("{count} held back")),
        (people.left_out, mark("{count} kept by the approver")),
        (people.kept_total, mark("{count} asked for, but no call of this run can remove them")),
        (people.unplanned, mark("{count} flagged in an incomplete listing, so not planned")),
        (reach.grants, mark("{count} removed, but still reachable in another way")),
    ]
    left = [tr(words, count=count) for count, words in parts if count]
    if reach.unknown:
        systems = ", ".join(plain(tr(one)) for one in reach.unknown)
        left.append(tr("not known for {systems}: the listing is not complete", systems=systems))
    if left:
        return tr("**▲ After this, access remains: {parts}.**", parts=tr("; ").join(left))
    return tr(
        "**✓ After this, no confirmed way to the same access is left, by the listings of this run.** Verification"
        " lists everything again, asks the platforms, and names what cannot be known."
    )


def people_lines(run: Run, made: PlanPeople, page: str) -> list[str]:
    """Return the people: who they are and what they lose. Beyond the first, sums by department."""
    shown, rest = made.people[:NAMED], made.people[NAMED:]
    lines = [tr("**People** ({count} of {total})", count=len(shown), total=len(made.people)), ""]
    leaving = run.params.get("kind") == "targets" and bool(_LEAVING.search(run.reason))
    for person in shown:
        lines.append(f"- {_who_is(person, leaving)}: {_amount(person)}")
        lines += [f"  - {text}" for text in _losses(person)]
    if rest:
        by_department: Counter[str] = Counter()
        for person in rest:
            by_department[person.department or tr("without a department in the roster")] += person.going + person.held
        ranked = by_department.most_common()
        parts = [f"{plain(name)} {count}" for name, count in ranked[:NAMED]]
        if others := ranked[NAMED:]:
            grants = sum(count for _, count in others)
            parts.append(tr("{count} more departments {grants}", count=len(others), grants=grants))
        more = tr("and [{count} more]({page}), grants by department: {parts}", count=len(rest), page=page,
                  parts=", ".join(parts))  # fmt: skip
        lines.append(f"- {more}")
    return lines


def _who_is(person: PersonLoss, leaving: bool) -> str:
    ident = " ".join(person.key[-1:])
    name = f"**{plain(person.name)}** ({plain(ident)})" if person.name else f"**{plain(ident)}**"
    if not person.known:
        kind = "" if person.kind == "user" else f"{person.kind.replace('_', ' ')}, "
        missing = tr("not in the roster") if person.matched == "none" else tr("no certain match in the roster")
        return f"{name} · {kind}{missing if person.kind == 'user' else title_of(person.key[0])}"
    words = {"active": mark("active"), "left": mark("left")}.get(person.status, mark("status not known"))
    status = tr("roster: {status}", status=tr(words))
    gone = tr("gone from {time}", time=plain(person.gone_from)) if person.gone_from else tr("no leaving date known")
    day = tr(", ") + gone
    strange = leaving and person.status == "active" and not person.gone_from
    warning = f" **▲ {tr('the reason says that the person leaves, but the roster says active')}**" * strange
    department = f" · {plain(person.department)}" if person.department else ""
    return f"{name}{department} · {status}{day}{warning}"


def _amount(person: PersonLoss) -> str:
    parts = trn("{count} grant to revoke", "{count} grants to revoke", person.going)
    if person.levels["high"]:
        parts += tr(", ") + tr("{count} of them high risk", count=person.levels["high"])
    return parts + (tr("; ") + tr("{count} held back", count=person.held) if person.held else "")


def _losses(person: PersonLoss) -> list[str]:
    """Return one line for each system, in words: ``WeData: read 5 tables, change 2 tables``."""
    systems: dict[str, list[tuple[EntitlementClass, str, int]]] = {}
    for (system, allowed, kind), count in person.loses.items():
        systems.setdefault(system, []).append((allowed, kind, count))
    lines = []
    for system, losses in sorted(systems.items(), key=lambda pair: -sum(n for _, _, n in pair[1]))[:_SYSTEMS]:
        parts = [
            tr(_LOSSES[allowed], count=count, kind=_plural(kind, count))
            for allowed, kind, count in sorted(losses, key=lambda one: (-one[0], one[1]))
        ]
        lines.append(f"{title_of(system)}{tr(': ')}{tr(', ').join(parts)}")
    if len(systems) > _SYSTEMS:
        lines.append(tr("and {count} more systems", count=len(systems) - _SYSTEMS))
    return lines


_LOSSES = {
    EntitlementClass.SEE: mark("see the names in, or log on to, {count} {kind}"),
    EntitlementClass.READ: mark("read {count} {kind}"),
    EntitlementClass.EXPORT: mark("export {count} {kind}"),
    EntitlementClass.UNKNOWN: mark("use {count} {kind}"),
    EntitlementClass.CHANGE: mark("change {count} {kind}"),
    EntitlementClass.OWN: mark("own or administer {count} {kind}"),
}


def _plural(kind: str, count: int) -> str:
    english = kind.replace("_", " ").lower()
    word, translated = plain(english), tr(english)
    if translated != english:
        return plain(translated)
    if count == 1:
        return word
    return f"{word[:-1]}ies" if word.endswith("y") else word if word.endswith("s") else f"{word}s"


def held_lines(made: PlanPeople) -> list[str]:
    """Return what will not go although it was flagged or asked for, by name."""
    lines: list[str] = []
    if made.held_total:
        lines += ["", tr("**Held back, so it stays** ({count})", count=made.held_total), ""]
        lines += [f"- {_grant(line)}: {plain(translated(line.why), 200)}" for line in made.held]
        lines += _more(made.held_total - len(made.held))
        if any("cannot be restored" in line.why for line in made.held):
            hint = tr(
                "Grants that cannot be restored are revoked only where the setting `allow_irreversible` is on. To end "
                "these, remove them on the platform, or start a new run with that setting."
            )
            lines.append(f"- {hint}")
    if made.kept_total:
        lines += ["", tr("**Asked for, and no call of this run can remove it** ({count})", count=made.kept_total), ""]
        lines += [f"- {_grant(line)}: {plain(translated(line.why), 200)}" for line in made.kept]
        lines += _more(made.kept_total - len(made.kept))
    return lines


def reach_lines(reach: Outlook) -> list[str]:
    """Return the paths that remain, each with what closes it."""
    if not reach.grants:
        return []
    lines = ["", tr("**Stays reachable in another way** ({count})", count=reach.grants), ""]
    lines += [
        "- "
        + tr(
            "{count} through {way}. To close it: {how}",
            count=count,
            way=plain(translated(way), 160),
            how=plain(translated(close), 200),
        )
        for way, close, count in reach.ways[:_WAYS]
    ]
    rest = reach.grants - sum(count for _, _, count in reach.ways[:_WAYS])
    return lines + (["- " + tr("and {count} more, in the full list and in the report", count=rest)] if rest > 0 else [])


def risk_lines(made: PlanPeople) -> list[str]:
    """Return the grants of the highest risk, with the reasons."""
    levels: Counter[str] = Counter()
    for person in made.people:
        levels.update(person.levels)
    counts = tr(", ").join(tr(_LEVELS[level], count=levels[level]) for level in _LEVELS if levels[level])
    lines = ["", tr("**Highest risk** ({counts})", counts=counts or tr("none")), ""]
    return lines + [f"- {tr(line.level)}: {_grant(line)} ({_reasons(line.why)}){_use(line)}" for line in made.riskiest]


_LEVELS = {"high": mark("{count} high"), "medium": mark("{count} medium"), "low": mark("{count} low")}


def _reasons(why: str) -> str:
    """Return the reasons of a risk; the plan joined them."""
    return tr("; ").join(tr(reason) for reason in why.split("; "))


def _use(line: Line) -> str:
    """Return when a grant was last used, in a run that asked for it."""
    grant = line.grant
    if not grant.last_use:
        return ""
    if grant.last_used_days is None:
        words = tr("last use not known")
    elif grant.last_used_on:
        words = tr("used on {day}", day=grant.last_used_on)
    else:
        words = trn("not seen in {count} day", "not seen in {count} days", grant.last_used_days)
    return f" · {words} ({plain(grant.last_use)})"


def _grant(line: Line) -> str:
    key = line.grant.key
    resource = f"{key.resource_type.replace('_', ' ')} {line.grant.resource_name or key.resource_id}"
    what = tr("{right} on {resource}", right=plain(key.entitlement), resource=plain(resource))
    return f"{what}, {plain(line.who)}, {title_of(key.system)}"


def _more(count: int) -> list[str]:
    return ["- " + tr("and {count} more, in the full list", count=count)] if count > 0 else []
