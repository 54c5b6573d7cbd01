"""Write tables from a bundle: CSV for spreadsheets, JSON Lines for tools. The report uses the same joined rows.

Spreadsheets run text that looks like a formula and round text that looks like a number. So every CSV field is quoted,
invisible characters are spelled out, and a value that a spreadsheet would change gets a leading apostrophe. JSON Lines
holds the unchanged values; tools should read those.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from rescind.evidence.bundle.format import MANIFEST, PROVEN
from rescind.evidence.bundle.read import Source, latest_verdicts, read_json, records
from rescind.evidence.bundle.text import shown

Row = dict[str, Any]
T = TypeVar("T")

_GRANT = (
    "system",
    "account",
    "resource_type",
    "resource_id",
    "resource_name",
    "principal_type",
    "principal_id",
    "principal_name",
    "entitlement",
    "native_id",
)
_FORMULA = re.compile(r"[=+\-@\t\r\n＝＋－＠]")  # noqa: RUF001 - spreadsheets take the wide forms as well
_NUMBER = re.compile(r"0\d+|\d{12,}|\d+[eE]\d+")


def cell(value: Any) -> str:
    """Return a value as a CSV cell that no spreadsheet runs or rounds."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
    risky = _FORMULA.match(text) or _NUMBER.fullmatch(text)
    return ("'" if risky else "") + shown(text)


def export(source: Source, folder: str | Path) -> list[Path]:
    """Write every table as CSV and as JSON Lines; return the paths.

    :param folder: created if it is missing; files in it are replaced.
    """
    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    written = []
    for name, (columns, rows) in tables(source).items():
        plain, sheet = out / f"{name}.jsonl", out / f"{name}.csv"
        with (
            plain.open("w", encoding="utf-8", newline="\n") as lines,
            sheet.open("w", encoding="utf-8-sig", newline="") as text,
        ):
            writer = csv.writer(text, quoting=csv.QUOTE_ALL)
            writer.writerow(columns)
            for row in rows:
                lines.write(json.dumps({column: row.get(column) for column in columns}) + "\n")
                writer.writerow([cell(row.get(column)) for column in columns])
        written += [sheet, plain]
    return written


def tables(source: Source) -> dict[str, tuple[tuple[str, ...], Iterable[Row]]]:
    """Return columns and rows of each table by name. Rows are generated while they are read."""
    times = ("terminated_at", "planned_at", "approved_at", "sent_at", "verified_at")
    items = (
        *_GRANT,
        "rule",
        "reason",
        "severity",
        "person",
        "person_name",
        "department",
        "standing",
        "state",
        "remains",
        "call",
        *times,
        "grant_id",
    )
    attempts = ("call", "attempt", "action", "api_version", "intent_at", "sent_at", "answered_at", "outcome", "code")
    scopes = ("system", "account", "part", "state", "identity", "pages", "declared", "counted", "missing", "error")
    return {
        "items": (items, outcomes(source)),
        "grants": ((*_GRANT, "choice", "rule", "reason", "origin", "expires_at", "grant_id"), decided(source)),
        "findings": (
            ("finding", "person", "person_name", "department", *_GRANT, "subject", "owner", "remains"),
            named_findings(source),
        ),
        "attempts": ((*attempts, "http_status", "request_id", "request_digest"), records(source, "attempts")),
        "scopes": ((*scopes, "started_at", "ended_at"), records(source, "scopes")),
    }


def outcomes(source: Source) -> Iterator[Row]:
    """Yield one flat row for each planned item: grant, decision and verdict joined, with names."""
    order, names = _order(source), _names(source)
    grant_of = _lookup(records(source, "grants"), order)
    given_of = _lookup(records(source, "source_grants"), order)
    decision_of = _lookup(records(source, "decisions"), order)
    verdict_of = _lookup(latest_verdicts(source), order)
    for item in records(source, "items"):
        grant_id = item["grant_id"]
        grant = grant_of(grant_id) or given_of(grant_id) or {}
        decision, verdict = decision_of(grant_id) or {}, verdict_of(grant_id) or {}
        facts = decision.get("facts", {})
        yield {
            **_named(grant, names),
            **item,
            "rule": decision.get("rule", ""),
            "reason": decision.get("reason", ""),
            "severity": decision.get("severity", ""),
            "person": facts.get("person.id", ""),
            "person_name": facts.get("person.name", ""),
            "department": facts.get("person.department", ""),
            "matched": facts.get("matched_by", ""),
            "remains": verdict.get("remains") or item["reason"],
        }


def named_findings(source: Source) -> Iterator[Row]:
    """Yield the findings, each with the grant that it is about, by names. Memory grows with findings."""
    about = {row["grant_id"]: row for row in outcomes(source) if row["standing"] not in (*PROVEN, "restored")}
    findings = list(records(source, "findings"))
    lost = {one["subject"] for one in findings if one["finding"] == "kept_lost"}
    names = _names(source) if lost else {}
    for grant in records(source, "grants") if lost else ():
        if grant["grant_id"] in lost:
            about[grant["grant_id"]] = _named(grant, names)
    for one in findings:
        row = about.get(one["subject"], {})
        yield {**{name: row.get(name, "") for name in (*_GRANT, "person", "person_name", "department")}, **one}


def decided(source: Source) -> Iterator[Row]:
    """Yield every grant with its decision, with names."""
    names = _names(source)
    decision_of = _lookup(records(source, "decisions"), _order(source))
    for grant in records(source, "grants"):
        decision = decision_of(grant["grant_id"]) or {}
        yield {
            **grant,
            **_named(grant, names),
            **{name: decision.get(name, "") for name in ("choice", "rule", "reason")},
        }


_Holder = tuple[str, str, str, str]


def _names(source: Source) -> dict[_Holder, str]:
    """Return the names of principals, by system, account, type and id."""
    return {
        (one["system"], one["account"], one["principal_type"], one["principal_id"]): one["name"]
        for one in records(source, "principals")
        if one["name"]
    }


def _named(grant: Mapping[str, Any], names: Mapping[_Holder, str]) -> Row:
    """Return the columns of a grant; a holder without a name gets the one under which its platform lists it."""
    row = {name: grant.get(name, "") for name in _GRANT}
    if not row["principal_name"]:
        row["principal_name"] = names.get(
            (row["system"], row["account"], row["principal_type"], row["principal_id"]), ""
        )
    return row


def _order(source: Source) -> Callable[[str], Any]:
    """Return the sort key that all files share: the grant id, or its position in a sanitized copy."""
    if not read_json(source, MANIFEST)["sanitized"]:
        return lambda grant_id: grant_id
    places = {grant["grant_id"]: place for place, grant in enumerate(records(source, "grants"))}
    return lambda grant_id: places.get(grant_id, len(places))


def _lookup(rows: Iterator[Row], order: Callable[[str], Any]) -> Callable[[str], Mapping[str, Any] | None]:
    """Return a function that finds records by grant id in one pass. Ask in the order of the records."""
    current = next(rows, None)

    def find(wanted: str) -> Mapping[str, Any] | None:
        nonlocal current
        while current is not None and order(current["grant_id"]) < order(wanted):
            current = next(rows, None)
        return current if current is not None and current["grant_id"] == wanted else None

    return find
