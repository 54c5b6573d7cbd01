"""Reading a roster from CSV, from a list of JSON objects, or from a SCIM 2.0 ``Users`` answer.

Every refusal names file, line, column, the shape of the value and the remedy; a roster is read whole or
not at all. CSV: first line is the header; column order is free; unknown columns become attributes.
SCIM: RFC 7643 ``User`` resources inside an RFC 7644 ``ListResponse``, which must be complete.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar

from rescind.errors import InputError
from rescind.review.roster.admit import PERSON_SPACE, Kind, Person, Roster, RosterOptions, Status
from rescind.review.text import (
    LATEST,
    check_id,
    check_rounded,
    check_text,
    decode,
    parse_moment,
    read_json,
    shape,
    to_utc,
)

_REQUIRED = ("person_id", "status")
_PLAIN = ("name", "email", "department")
_STATUS: Mapping[str, Status] = {"active": "active", "left": "left", "": "unknown"}
_KIND: Mapping[str, Kind] = {"human": "human", "service": "service", "": "unknown"}
_ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
_MAPPED = frozenset({*_REQUIRED, *_PLAIN, "terminated_at", "kind", "manager"})
_DELIMITERS = (",", ";", "\t", "|")
_SEPARATOR = re.compile(r"[\"']?sep=([,;|\t])[\"']?\s*\n", re.IGNORECASE)
_MIDNIGHT = re.compile(r"(\d{4}-\d\d-\d\d)[T ]00:00(?::00(?:\.0+)?)?(?:Z|[+-]\d\d:?\d\d)?")
_MAX_ROWS = 2_000_000
_MAX_CELL = 4_096

Row = Mapping[str, object]
Where = Callable[[str], str]
T = TypeVar("T")


def read_roster_csv(data: bytes | str, *, source: str, options: RosterOptions | None = None) -> Roster:
    """Return a roster from the content of a CSV file.

    :param source: name of the file, for error messages.
    :raises InputError: encoding, header, cells, duplicates, dates, ids that a spreadsheet has damaged.
    """
    options = options or RosterOptions()
    text = decode(data, source=source)
    if not text.strip():
        raise InputError(source, "the file is empty", "Export the roster again; an empty roster is not used.")
    stream, delimiter = io.StringIO(text, newline=""), options.delimiter
    if said := _SEPARATOR.match(text):  # a first line that spreadsheets write for themselves
        stream.readline()
        delimiter = delimiter or said[1]
    at = stream.tell()
    delimiter = delimiter or _delimiter(stream.readline(), options)
    stream.seek(at)
    rows = _csv_rows(csv.reader(stream, delimiter=delimiter, strict=True), source, first=2 if said else 1)
    first = next(rows, None)
    if first is None:
        raise InputError(source, "the file holds only empty lines", "Export the roster again.")
    header = _header(first[1], source, options, delimiter)
    options = options.found_in(header)
    people = [_person(row, line, source, options) for line, row in _records(rows, header, source)]
    return _roster(people, source, _sha256(data), options)


def read_roster_json(
    data: bytes | str | Sequence[Mapping[str, Any]] | Mapping[str, Any],
    *,
    source: str,
    options: RosterOptions | None = None,
) -> Roster:
    """Return a roster from a list of JSON objects with the column names as keys, or from a SCIM ``ListResponse``.

    :param data: the JSON text, or the value that it was parsed to.
    :raises InputError: as :func:`read_roster_csv`; also for an incomplete SCIM answer and for ids as numbers.
    """
    options = options or RosterOptions()
    content = parse_json(data, source) if isinstance(data, bytes | str) else data
    checksum = _sha256(data if isinstance(data, bytes | str) else json.dumps(data, sort_keys=True, default=str))
    if isinstance(content, Mapping):
        users = _scim_users(content, source)
        names = {str(user.get("id")): user.get("externalId") or user.get("id") for _, user in users}
        options = replace(options, columns={})  # the names of SCIM are given
        content = [_scim_row(user, f"{source}, Resources[{n}]", options, names) for n, user in users]
    if not isinstance(content, Sequence):
        raise InputError(source, f"not a list of people but {shape(content)}", "Give a list of objects, or SCIM Users.")
    header: dict[str, None] = {}
    for number, row in enumerate(content):
        if not isinstance(row, Mapping):
            raise InputError(f"{source}[{number}]", f"not an object but {shape(row)}", "Give one object a person.")
        header.update(dict.fromkeys(str(key) for key in row))
    if not content:
        raise InputError(source, "the list is empty", "Export the roster again; an empty roster is not used.")
    _header(list(header), source, options)
    options = options.found_in(header)
    people = [_person(row, number + 1, source, options) for number, row in enumerate(content)]
    return _roster(people, source, checksum, options)


def _sha256(data: bytes | str) -> str:
    return hashlib.sha256(data.encode() if isinstance(data, str) else data).hexdigest()


def _delimiter(header: str, options: RosterOptions) -> str:
    """Return the delimiter with which the first line names the most of the columns that must be there."""
    needed = {_named(name, options) for name in _REQUIRED} | set(options.id_columns)

    def found(delimiter: str) -> int:
        return len(needed & {name.strip(' \t"') for name in header.rstrip("\r\n").split(delimiter)})

    return max(_DELIMITERS, key=found)


def _named(column: str, options: RosterOptions) -> str:
    return options.columns.get(column, column)


def _csv_rows(reader: Any, source: str, first: int) -> Iterator[tuple[int, list[str]]]:
    """Yield rows with the line that each ends in; blank lines are skipped."""
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                yield reader.line_num + first - 1, row
    except csv.Error as error:
        where = f"{source}, line {reader.line_num + first - 1}"
        raise InputError(where, f"not valid CSV: {error}", "Correct the quotes on that line.") from None


def _header(names: Sequence[str], source: str, options: RosterOptions, delimiter: str = "") -> list[str]:
    """Return the names of the columns, as the file spells them."""
    unknown = sorted({*options.columns} - _MAPPED)
    if unknown:
        known = ", ".join(sorted(_MAPPED))
        raise InputError("roster_format.columns", f"an unknown column {unknown[0]!r}", f"Use {known}.")
    spaces = [*options.id_columns.values(), PERSON_SPACE]
    if len(set(spaces)) < len(spaces):
        raise InputError("id_columns", "two columns for one id space", "Give every space one column.")
    clean = [check_text(name, where=f"{source}, header, column {n}") for n, name in enumerate(names, 1)]
    where = f"{source}, header"
    if any(not name for name in clean):
        raise InputError(where, f"column {clean.index('') + 1} has no name", "Name the column or remove it.")
    twice = sorted({name for name in clean if clean.count(name) > 1})
    if twice:
        raise InputError(where, f"the column {twice[0]!r} appears twice", "Keep one of the two.")
    required = [_named(name, options) for name in {**dict.fromkeys(_REQUIRED), **options.columns}]
    missing = [name for name in (*required, *options.id_columns) if name not in clean]
    if missing:
        hint = "" if len(clean) > 1 or not delimiter else f" (the delimiter is {delimiter!r})"
        problem = f"the column {missing[0]!r} is missing; found {', '.join(repr(n) for n in clean[:12])}{hint}"
        if missing[0] in required:
            raise InputError(where, problem, "Name the columns in the first line, spelled exactly so.")
        raise InputError(where, problem, "Add it (cells may be blank), or remove it from the configured id_columns.")
    return clean


def _records(
    rows: Iterable[tuple[int, list[str]]], header: Sequence[str], source: str
) -> Iterator[tuple[int, dict[str, str]]]:
    for count, (line, row) in enumerate(rows):
        if len(row) != len(header):
            problem = f"{len(row)} cells where the header names {len(header)} columns"
            raise InputError(f"{source}, line {line}", problem, "Quote cells that hold the delimiter or a line break.")
        if count >= _MAX_ROWS:
            raise InputError(source, f"more than {_MAX_ROWS} rows", "Split the roster.")
        yield line, dict(zip(header, row, strict=True))


def _person(given: Row, line: int, source: str, options: RosterOptions) -> Person:
    def where(column: str) -> str:
        return f"{source}, line {line}, column {_named(column, options)}"

    row = _renamed(given, options)
    person_id = check_id(row.get("person_id", ""), where=where("person_id"))
    if not person_id:
        raise InputError(where("person_id"), "no person_id", "Give every row a person_id.")
    ids = {
        space: value
        for column, space in options.id_columns.items()
        if (value := check_id(_blank(row.get(column)), where=where(column)))
    }
    used = {*_REQUIRED, *_PLAIN, "terminated_at", "kind", "manager", *options.id_columns}
    extra = {key: _text(row, key, where) for key in row if key not in used}
    name, email, department = (_text(row, key, where) for key in _PLAIN)
    return Person(
        person_id=person_id,
        status=_one_of(row, "status", _STATUS, where, options),
        terminated_at=_moment(row, where, options),
        kind=_one_of(row, "kind", _KIND, where, options),
        manager=_text(row, "manager", where),
        department=department,
        name=name,
        email=email,
        ids=ids,
        attributes={key: value for key, value in extra.items() if value},
        line=line,
    )


def _renamed(row: Row, options: RosterOptions) -> Row:
    """Return the row with our names of columns. A column that has one of our names without being it stands aside."""
    if not options.columns:
        return row
    ours = {theirs: name for name, theirs in options.columns.items()}
    taken = {name: f"{name} (of the file)" for name in options.columns}
    return {ours.get(name, taken.get(name, name)): value for name, value in row.items()}


def _blank(value: object) -> object:
    """JSON null stands for an empty cell."""
    return "" if value is None else value


def _text(row: Row, column: str, where: Where) -> str:
    value = _blank(row.get(column, ""))
    if isinstance(value, bool | int):
        value = str(value).lower()
    if not isinstance(value, str):
        raise InputError(where(column), f"not text but {shape(value)}", "Write the value as text.")
    if len(value) > _MAX_CELL:
        raise InputError(where(column), f"{shape(value)}, more than {_MAX_CELL}", "Shorten the cell; check the quotes.")
    return check_text(value, where=where(column))


def _one_of(row: Row, column: str, table: Mapping[str, T], where: Where, options: RosterOptions) -> T:
    value = _text(row, column, where).casefold()
    words = {word.strip().casefold(): ours for word, ours in options.values.get(column, {}).items()}
    value = words.get(value, value)
    if value not in table:
        known = ", ".join(repr(key) for key in table if key)
        raise InputError(where(column), f"an unknown value ({shape(value)})", f"Use one of {known}, or leave it empty.")
    return table[value]


def _moment(row: Row, where: Where, options: RosterOptions) -> Any:
    text, place = _text(row, "terminated_at", where), where("terminated_at")
    if not text:
        return None
    moment = parse_moment(text, where=place, zone=options.zone)
    midnight = _MIDNIGHT.fullmatch(text)
    if midnight is None:
        return moment
    # Services write a bare date as its midnight, often in UTC. It lasts to the end of the day, by the later reading.
    day = parse_moment(midnight[1], where=place, zone=options.zone)
    return max(day, to_utc(min(moment, LATEST - timedelta(days=1)) + timedelta(days=1)))


def _roster(people: list[Person], source: str, checksum: str, options: RosterOptions) -> Roster:
    for column, space in options.id_columns.items():
        check_rounded((p.ids[space] for p in people if space in p.ids), where=f"{source}, column {column}")
    return Roster(people, spaces=options.id_columns.values(), source=source, digest=checksum)


def parse_json(data: bytes | str, source: str) -> Any:
    """Return a JSON value whose objects hold every key once.

    :raises InputError: for another encoding, an empty text, broken or too deep JSON.
    """
    text = decode(data, source=source)
    if not text.strip():
        raise InputError(source, "the file is empty", "Export the roster again; an empty roster is not used.")
    try:
        return read_json(text)
    except json.JSONDecodeError as error:
        where = f"{source}, line {error.lineno}, column {error.colno}"
        raise InputError(where, f"not valid JSON: {error.msg}", "Correct the file at that position.") from None
    except ValueError as error:
        raise InputError(source, f"not usable JSON: {error}", "Write ids as text, flat, and each key once.") from None


def _scim_users(content: Mapping[str, Any], source: str) -> list[tuple[int, Mapping[str, Any]]]:
    users, total = content.get("Resources"), content.get("totalResults")
    if not isinstance(users, list):
        raise InputError(f"{source}, Resources", f"not a list but {shape(users)}", "Give a SCIM ListResponse of Users.")
    if total != len(users) or isinstance(total, bool):
        problem = f"{len(users)} users where totalResults says {total!r}"
        raise InputError(f"{source}, totalResults", problem, "Fetch all pages; an incomplete roster is not used.")
    for number, user in enumerate(users):
        if not isinstance(user, Mapping):
            raise InputError(f"{source}, Resources[{number}]", f"not an object but {shape(user)}", "Give SCIM Users.")
    return list(enumerate(users))


def _scim_row(user: Mapping[str, Any], where: str, options: RosterOptions, names: Mapping[str, Any]) -> Row:
    """Return a SCIM user as a row: ``externalId`` (else ``id``) is the person, ``active: false`` is left.

    ``names`` leads from SCIM ids, in which managers are given, to the ids of people.
    SCIM has no termination date; the id columns, ``terminated_at`` and ``kind`` come from any extension
    schema of the user that holds keys of these names.
    """
    active = user.get("active")
    if active is not None and not isinstance(active, bool):
        raise InputError(f"{where}, active", f"not true or false but {shape(active)}", "Send a JSON boolean.")
    extensions = [value for key, value in user.items() if key.startswith("urn:") and isinstance(value, Mapping)]
    row: dict[str, object] = {
        "person_id": user.get("externalId") or user.get("id", ""),
        "status": {True: "active", False: "left", None: ""}[active],
        "name": user.get("displayName") or "",
        "email": _primary_mail(user.get("emails")),
        "department": "",
        "manager": "",
    }
    enterprise = user.get(_ENTERPRISE)
    if isinstance(enterprise, Mapping):
        manager = enterprise.get("manager")
        row["department"] = enterprise.get("department") or ""
        value = (manager.get("value") if isinstance(manager, Mapping) else manager) or ""
        row["manager"] = names.get(str(value), value)
    for extension in extensions:
        for key in ("terminated_at", "kind", *options.id_columns, *options.optional_id_columns):
            if key in extension:
                row[key] = extension[key]
    return row


def _primary_mail(mails: object) -> str:
    entries = [mail for mail in mails if isinstance(mail, Mapping)] if isinstance(mails, list) else []
    entries.sort(key=lambda mail: mail.get("primary") is not True)
    return str(entries[0].get("value") or "") if entries else ""
