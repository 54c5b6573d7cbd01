"""Compute the figures of a report in one pass over a bundle. Memory grows with people, not with grants."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import median
from typing import Any

from rescind.evidence.bundle.answers.approval import check_answer
from rescind.evidence.bundle.answers.owners import asked_owners
from rescind.evidence.bundle.consistency import OCCASION, SETTINGS
from rescind.evidence.bundle.format import CONTROLS, MANIFEST, OMITTED, PROVEN, SIGNATURE
from rescind.evidence.bundle.read import Source, only, read_json, records
from rescind.evidence.report.figures import SHOWN_FINDINGS, SHOWN_KEPT, SHOWN_PEOPLE, SHOWN_ROWS, Figures, time_of
from rescind.evidence.report.tables import Joined, Row, joined
from rescind.i18n import mark
from rescind.model import ASKED_FOR, needs_new_run
from rescind.run_state.states import was_left_out

_ORDER = (
    "kept_lost",
    "still_present",
    "unverified",
    "without_verdict",
    "still_effective",
    "record_gone",
    "stale",
    "expired",
)
"""Findings, most severe first; items that were held or not sent come last."""
_ID = re.compile(r"\b(?=\w*\d)[\w-]{6,}\b")
_ID_BESIDE_NAME = re.compile(r'(?<= )(?=\S*\d)[\w.:-]{6,} (?=")')


def figures(source: Source, rows: Iterable[Joined] | None = None) -> Figures:
    """Compute the figures of a bundle. Verify it first: its structure is not checked here.

    :param rows: its joined rows, if somebody else reads them in the same pass.
    """
    review = only(source, "review") or {}
    made = Figures(
        review=review,
        manifest=read_json(source, MANIFEST),
        signature=read_json(source, SIGNATURE),
        note=str(read_json(source, CONTROLS).get("note", "")),
        plan=only(source, "plan"),
        approval=only(source, "approvals"),
        settings=next((one for one in records(source, "inputs") if one["name"] == SETTINGS), None),
        roster=next((one for one in records(source, "inputs") if one["name"] == "roster"), None),
        occasion=next((one for one in records(source, "inputs") if one["name"] == OCCASION), None),
    )
    if made.approval is not None and not made.manifest["sanitized"]:
        made.approval_problem, made.approval_note = check_answer(review, made.approval, None)
    made.scopes = list(records(source, "scopes"))
    made.kept = list(records(source, "kept"))
    for scope in made.scopes:
        made.systems.setdefault((scope["system"], scope["account"]), Counter())
    made.parts = list(records(source, OMITTED))
    accounts = {scope["scope"]: (scope["system"], scope["account"]) for scope in made.scopes}
    for part in made.parts:
        made.systems[accounts[part["scope"]]]["discovered"] += part["grants"]
    spans = _items(source, _population(joined(source) if rows is None else rows, made), made)
    _attempts(source, made)
    _exceptions(source, made)
    made.questions = [_question(found) for _, found in asked_owners(source)]
    made.timing = [_span(name, seconds) for name, seconds in spans.items() if seconds]
    made.course = _course(made)
    for one in made.systems.values():
        made.total.update(one)
    return made


def _population(rows: Iterable[Joined], made: Figures) -> Iterator[Row]:
    """Count grants and decisions; yield the rows of the items that stand between them."""
    rules: Counter[tuple[str, str, str]] = Counter()
    for grant, decision, outcome in rows:
        if grant is not None:
            row = made.systems.setdefault((grant["system"], grant["account"]), Counter())
            row["discovered"] += 1
            if decision is not None:
                _decided(grant, decision, row, rules, made)
        if outcome is not None:
            yield outcome
    made.rules = [
        {"choice": choice, "rule": rule, "severity": severity, "grants": count}
        for (choice, rule, severity), count in sorted(rules.items(), key=lambda pair: (-pair[1], pair[0]))
    ]


def _decided(
    grant: Row, decision: Row, counts: Counter[str], rules: Counter[tuple[str, str, str]], made: Figures
) -> None:
    rules[decision["choice"], decision["rule"], decision["severity"]] += 1
    counts["flagged"] += decision["choice"] == "revoke"
    if ASKED_FOR in decision["facts"] and decision["choice"] == "keep":
        made.asked_for_total += 1
        if len(made.asked_for) < SHOWN_KEPT:
            name = decision["facts"].get("person.name", "") or grant["principal_name"]
            made.asked_for.append({**grant, "person_name": name, "why": decision["reason"]})


def _items(source: Source, rows: Iterable[Row], made: Figures) -> dict[str, list[float]]:
    """Count the items in one pass; return the durations in seconds by name."""
    spans: dict[str, list[float]] = {
        mark("End of employment to proven gone"): [],
        mark("Approval to sending"): [],
        mark("Sending to proven gone"): [],
    }
    people: dict[tuple[str, ...], Row] = {}
    worst: dict[str, list[Row]] = {}
    for row in rows:
        counts = made.systems.setdefault((row["system"], row["account"]), Counter())
        _count(row, counts, made)
        _person(row, people)
        if row["standing"] not in (*PROVEN, "restored"):
            name = "kept" if was_left_out(row["state"], row["remains"]) else row["standing"]
            made.finding_counts[name] += 1
            shown = worst.setdefault(name, [])
            if len(shown) < SHOWN_FINDINGS:
                shown.append(row)
        if row["standing"] in PROVEN:
            made.verified_at = max(made.verified_at, row["verified_at"] or "")
            _measure(spans["End of employment to proven gone"], row["terminated_at"], row["verified_at"])
            _measure(spans["Sending to proven gone"], row["sent_at"], row["verified_at"])
        _measure(spans["Approval to sending"], row["approved_at"], row["sent_at"])
    for finding in records(source, "findings"):
        if finding["finding"] in ("scope_incomplete", "kept_lost"):
            made.finding_counts[finding["finding"]] += 1
            worst.setdefault(finding["finding"], []).append(finding)
    order = {name: place for place, name in enumerate(("scope_incomplete", *_ORDER))}
    ranked = sorted(worst, key=lambda name: (order.get(name, len(order)), name))
    made.findings = [{"finding": name, **row} for name in ranked for row in worst[name]][:SHOWN_FINDINGS]
    ordered = sorted(people.values(), key=lambda one: (-one["open"], -one["items"], one["id"]))
    made.people, made.people_total = ordered[:SHOWN_PEOPLE], len(ordered)
    return spans


def _count(row: Row, counts: Counter[str], made: Figures) -> None:
    standing = row["standing"]
    made.standings[standing] += 1
    made.need_new_run += needs_new_run(row["state"], standing, row["reason"])
    counts["held" if row["state"] == "held" else "planned"] += 1
    counts["left_out"] += was_left_out(row["state"], row["remains"])
    counts["revoked"] += row["state"] in ("accepted", "restored")
    counts["restored"] += standing == "restored"
    counts["gone"] += standing in PROVEN
    counts["still_effective"] += standing == "still_effective"
    counts["record_gone"] += standing == "record_gone"
    counts["open"] += standing in ("still_present", "unverified", "without_verdict")
    if standing == "still_effective":
        # The ids of what has a name are left out; what has none can be found by its id only.
        made.ways[_ID_BESIDE_NAME.sub("", str(row["remains"]))] += 1
    if standing == "record_gone":
        made.unproven[_ID.sub("…", str(row["remains"]))] += 1


def _person(row: Row, people: dict[tuple[str, ...], Row]) -> None:
    """Add an item to its person of the roster, or to the principal if the roster does not know it."""
    who = (row["person"],) if row["person"] else (row["system"], row["principal_type"], row["principal_id"])
    one = people.setdefault(
        who,
        {
            "id": row["person"] or row["principal_id"],
            "name": row["person_name"] or row["principal_name"],
            "department": row["department"],
            "known": bool(row["person"]) or row["matched"] != "none",
            "systems": set(),
            "items": 0,
            "gone": 0,
            "still_effective": 0,
            "record_gone": 0,
            "open": 0,
        },
    )
    one["systems"].add(row["system"])
    one["items"] += 1
    one["gone"] += row["standing"] in (*PROVEN, "restored")
    one["still_effective"] += row["standing"] == "still_effective"
    one["record_gone"] += row["standing"] == "record_gone"
    one["open"] += row["standing"] in ("still_present", "unverified", "without_verdict")


def _attempts(source: Source, made: Figures) -> None:
    made.calls = sum(1 for call in records(source, "calls") if call["state"] != "skipped")
    first = last = ""
    for attempt in records(source, "attempts"):
        made.attempts[attempt["outcome"] or "without outcome"] += 1
        if attempt["sent_at"]:
            first = min(first or attempt["sent_at"], attempt["sent_at"])
            last = max(last, attempt["sent_at"])
    if first:
        made.course = [(mark("First request sent"), first), (mark("Last request sent"), last)]


def _exceptions(source: Source, made: Figures) -> None:
    for record in records(source, "exceptions"):
        made.exceptions_total += 1
        if len(made.exceptions) < SHOWN_ROWS:
            made.exceptions.append(record)


def _question(found: Sequence[Mapping[str, Any]]) -> Row:
    """Return a question to an owner in one row, with the counts of its grants."""
    answers = Counter(one["answer"] for one in found)
    return {**found[0], "grants": len(found), "revoke": answers["revoke"], "keep": answers["keep"]}


def _course(made: Figures) -> list[tuple[str, str]]:
    """Return the events of the run in order of time."""
    listed = [scope["ended_at"] for scope in made.scopes if scope["ended_at"]]
    moments = [
        (mark("Run started"), made.review.get("started_at")),
        (mark("Listings complete"), max(listed, default=None)),
        (mark("Plan frozen"), made.plan["created_at"] if made.plan else None),
        (mark("Approval requested"), made.approval["requested_at"] if made.approval else None),
        (mark("Answered"), made.approval["responded_at"] if made.approval else None),
        *made.course,
        (mark("Retained grants checked"), max((check["observed_at"] for check in made.kept), default=None)),
        (mark("Run closed"), made.review.get("finished_at")),
    ]
    return sorted(((name, at) for name, at in moments if at), key=lambda pair: pair[1])


def _measure(seconds: list[float], start: str | None, end: str | None) -> None:
    if start and end:
        try:
            seconds.append((time_of(end) - time_of(start)).total_seconds())
        except (ValueError, TypeError):
            return  # a roster may hold a date in words, which cannot be measured


def _span(name: str, seconds: Iterable[float]) -> Row:
    ordered = sorted(seconds)
    return {
        "name": name,
        "items": len(ordered),
        "median": median(ordered),
        "most": ordered[-1],
        "ninety": ordered[min(len(ordered) - 1, int(0.9 * len(ordered)))],
    }
