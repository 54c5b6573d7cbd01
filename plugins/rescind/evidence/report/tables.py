"""Write tables from a bundle: CSV for spreadsheets, JSON Lines for tools. The report uses the same joined rows.

Spreadsheets run text that looks like a formula and round text that looks like a number. So every CSV field is quoted,
invisible characters are spelled out, and a value that a spreadsheet would change gets a leading apostrophe. JSON Lines
holds the unchanged values; tools should read those.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import repeat
from operator import add
from pathlib import Path
from typing import Any, NamedTuple

from rescind.evidence.bundle.format import MANIFEST, PROVEN
from rescind.evidence.bundle.read import Source, latest_verdicts, read_json, records
from rescind.evidence.bundle.text import shown
from rescind.last_use import last_use_words

Row = dict[str, Any]

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
_USE = "last_used"
"""Column: when its holder last used a grant, in words; empty where the run did not ask."""
_TIMES = ("terminated_at", "planned_at", "approved_at", "sent_at", "verified_at")
_ITEMS = (
    *_GRANT,
    _USE,
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
    *_TIMES,
    "grant_id",
)
_DECIDED = (*_GRANT, _USE, "choice", "rule", "reason", "origin", "expires_at", "grant_id")
_FINDINGS = ("finding", "person", "person_name", "department", *_GRANT, _USE, "subject", "owner", "remains")
_ATTEMPTS = (
    "call",
    "attempt",
    "action",
    "api_version",
    "intent_at",
    "sent_at",
    "answered_at",
    "outcome",
    "code",
    "http_status",
    "request_id",
    "request_digest",
)
_SCOPES = (
    "system",
    "account",
    "part",
    "state",
    "identity",
    "pages",
    "declared",
    "counted",
    "missing",
    "error",
    "started_at",
    "ended_at",
)
_PLAIN = re.compile(r"(?:(?:(?:[A-Za-z_]|[0-9]+(?:[eE][0-9]*)?[ !#-/:-DF-Z\]-df-~])[ !#-\[\]-~]*)?\n)*").fullmatch
"""Matches lines that stay as they are in both formats: printable ASCII without quotes and backslashes, and neither
formula nor number. An empty line is one."""
_encode = json.JSONEncoder().encode
_FORMULA = re.compile(r"[=+\-@\t\r\n＝＋－＠]")  # noqa: RUF001 - spreadsheets take the wide forms as well
_NUMBER = re.compile(r"0\d+|\d{12,}|\d+[eE]\d+")


class Joined(NamedTuple):
    """A grant with its decision, and the flat row of its item; None for what there is not.

    An item whose grant is in the snapshot of another run (restore) stands alone.
    """

    grant: Row | None
    decision: Row | None
    outcome: Row | None


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
    for _ in exported(source, folder, joined(source)):
        pass
    return [Path(folder) / f"{name}.{kind}" for name in TABLES for kind in ("csv", "jsonl")]


def exported(source: Source, folder: str | Path, rows: Iterable[Joined]) -> Iterator[Joined]:
    """Write every table of a bundle while its joined rows are read, and yield these. Read them to the end.

    :param folder: created if it is missing; files in it are replaced.
    """
    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    names, findings = _names(source), list(records(source, "findings"))
    lost = {one["subject"] for one in findings if one["finding"] == "kept_lost"}
    about: dict[str, Row] = {}
    with ExitStack() as files:
        items, grants = (files.enter_context(_Table(out, name)) for name in ("items", "grants"))
        for row in rows:
            if row.outcome is not None:
                items.add(row.outcome)
            if row.grant is not None:
                grants.add_values(_decided(row.grant, row.decision, names))
            _about(row, lost, names, about)
            yield row
    for name, rest in (
        ("findings", (_finding(one, about) for one in findings)),
        ("attempts", records(source, "attempts")),
        ("scopes", records(source, "scopes")),
    ):
        with _Table(out, name) as table:
            for one in rest:
                table.add(one)


TABLES: Mapping[str, Sequence[str]] = {
    "items": _ITEMS,
    "grants": _DECIDED,
    "findings": _FINDINGS,
    "attempts": _ATTEMPTS,
    "scopes": _SCOPES,
}
"""The columns of each table, by its name."""


class _Table:
    """One table as CSV and as JSON Lines while it is written. Every cell of the CSV is quoted (RFC 4180)."""

    def __init__(self, folder: Path, name: str) -> None:
        self._columns = TABLES[name]
        self._names = [_encode(column) + ": " for column in self._columns]
        self._lines = (folder / f"{name}.jsonl").open("w", encoding="utf-8", newline="")
        self._sheet = (folder / f"{name}.csv").open("w", encoding="utf-8", newline="")
        self._sheet.write("\ufeff" + _csv(self._columns))

    def __enter__(self) -> _Table:
        return self

    def __exit__(self, *_: object) -> None:
        self._lines.close()
        self._sheet.close()

    def add(self, row: Mapping[str, Any]) -> None:
        """Append a row."""
        self.add_values([row.get(column) for column in self._columns])

    def add_values(self, values: Sequence[Any]) -> None:
        """Append a row, in the order of the columns."""
        cells = ["" if value is None else value for value in values]
        if _are_plain(cells):  # most rows are: nothing to escape
            texts = ["null" if value is None else f'"{value}"' for value in values]
            self._lines.write(f"{{{', '.join(map(add, self._names, texts))}}}\n")
        else:
            cells = [cell(value).replace('"', '""') for value in values]
            self._lines.write(_encode(dict(zip(self._columns, values, strict=True))) + "\n")
        self._sheet.write(_csv(cells))


def _are_plain(cells: Sequence[Any]) -> bool:
    try:
        lines = "\n".join(cells) + "\n"
    except TypeError:  # not all are text
        return False
    return lines.count("\n") == len(cells) and _PLAIN(lines) is not None


def _csv(cells: Sequence[str]) -> str:
    return '"' + '","'.join(cells) + '"\r\n'


def joined(source: Source) -> Iterator[Joined]:
    """Yield every grant with its decision and its item, in one pass over the bundle."""
    order, names = _order(source), _names(source)
    given_of = _lookup(records(source, "source_grants"), order)
    decision_of = _lookup(records(source, "decisions"), order)
    verdict_of = _lookup(latest_verdicts(source), order)
    items = records(source, "items")
    item = next(items, None)

    def outcome(of: Row, grant: Row | None, decision: Row | None) -> Row:
        shown = grant or given_of(of["grant_id"]) or {}
        return _outcome(_named(shown, names), of, decision or {}, verdict_of(of["grant_id"]) or {})

    for grant in records(source, "grants"):
        ident = grant["grant_id"]
        while item is not None and order(item["grant_id"]) < order(ident):
            yield Joined(None, None, outcome(item, None, decision_of(item["grant_id"])))
            item = next(items, None)
        decision, row = decision_of(ident), None
        if item is not None and item["grant_id"] == ident:
            row, item = outcome(item, grant, decision), next(items, None)
        yield Joined(grant, decision, row)
    while item is not None:
        yield Joined(None, None, outcome(item, None, decision_of(item["grant_id"])))
        item = next(items, None)


def outcomes(source: Source) -> Iterator[Row]:
    """Yield one flat row for each planned item: grant, decision and verdict joined, with names."""
    return (row.outcome for row in joined(source) if row.outcome is not None)


def _about(row: Joined, lost: set[str], names: Mapping[_Holder, str], about: dict[str, Row]) -> None:
    """Note the grants that findings are about: of open items, and those that are lost."""
    if row.outcome is not None and row.outcome["standing"] not in (*PROVEN, "restored"):
        about[row.outcome["grant_id"]] = row.outcome
    if row.grant is not None and row.grant["grant_id"] in lost:
        about[row.grant["grant_id"]] = _named(row.grant, names)


def _finding(one: Row, about: Mapping[str, Row]) -> Row:
    row = about.get(one["subject"], {})
    return {**{name: row.get(name, "") for name in (*_GRANT, _USE, "person", "person_name", "department")}, **one}


def _outcome(named: Row, item: Row, decision: Row, verdict: Mapping[str, Any]) -> Row:
    facts = decision.get("facts", {})
    return {
        **named,
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


def _decided(grant: Row, decision: Row | None, names: Mapping[_Holder, str]) -> list[Any]:
    """Return the values of the columns of the table ``grants``."""
    empty = repeat("")
    return [
        *_named(grant, names).values(),
        *map((decision or {}).get, ("choice", "rule", "reason"), empty),
        *map(grant.get, ("origin", "expires_at", "grant_id")),
    ]


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
    row = dict(zip(_GRANT, map(grant.get, _GRANT, repeat("")), strict=False))
    if not row["principal_name"]:
        row["principal_name"] = names.get(
            (row["system"], row["account"], row["principal_type"], row["principal_id"]), ""
        )
    how = grant.get("last_use")
    row[_USE] = last_use_words(grant["last_used_days"], grant["last_used_on"], how) if how else ""
    return row


def _order(source: Source) -> Callable[[str], Any]:
    """Return the sort key that all files share: the grant id, or its position in a sanitized copy."""
    if not read_json(source, MANIFEST)["sanitized"]:
        return lambda grant_id: grant_id
    places = {grant["grant_id"]: place for place, grant in enumerate(records(source, "grants"))}
    return lambda grant_id: places.get(grant_id, len(places))


def _lookup(rows: Iterator[Row], order: Callable[[str], Any]) -> Callable[[str], Row | None]:
    """Return a function that finds records by grant id in one pass. Ask in the order of the records."""
    current = next(rows, None)

    def find(wanted: str) -> Row | None:
        nonlocal current
        while current is not None and order(current["grant_id"]) < order(wanted):
            current = next(rows, None)
        return current if current is not None and current["grant_id"] == wanted else None

    return find
