"""Reading a roster from CSV, from a list of JSON objects, or from a SCIM 2.0 ``Users`` answer.

Every refusal names file, line, column, the shape of the value and the remedy. Single rows that cannot be read are set
aside, see :mod:`rescind.review.roster.rows`; everything else is read whole or not at all. CSV: first line is the
header; column order is free; unknown columns become attributes.
SCIM: RFC 7643 ``User`` resources inside an RFC 7644 ``ListResponse``, which must be complete.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from rescind.errors import InputError
from rescind.review.roster.admit import PERSON_SPACE, Roster, RosterOptions
from rescind.review.roster.presets import Preset, at
from rescind.review.roster.rows import MAPPED, REQUIRED, Row, Rows, foreign, named
from rescind.review.text import check_text, decode, read_json, shape

_ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
_DELIMITERS = (",", ";", "\t", "|")
_SEPARATOR = re.compile(r"[\"']?sep=([,;|\t])[\"']?\s*\n", re.IGNORECASE)
UNENDED = "the file does not end with a line break: only its size shows whether it was cut after a row"
_MAX_ROWS = 2_000_000


def read_roster_csv(data: bytes | str, *, source: str, options: RosterOptions | None = None) -> Roster:
    """Return a roster from the content of a CSV file.

    :param source: name of the file, for error messages.
    :raises InputError: encoding, header, cells, duplicates, dates, ids that a spreadsheet has damaged.
    """
    options = options or RosterOptions()
    text = _decoded(data, source, options)
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
    options = options.found_in([name.strip(" \t\ufeff") for name in first[1]])
    header = _header(first[1], source, options, delimiter)
    found = Rows(source, options)
    ended = text.endswith(("\n", "\r"))
    for line, row, last in _with_last(rows):
        _record(found, line, row, header, delimiter, cut=last and not ended)
    return found.roster(_sha256(data), notes=() if ended else (UNENDED,))


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
    options, mixed = options or RosterOptions(), False
    content = parse_json(data, source) if isinstance(data, bytes | str) else data
    checksum = _sha256(data if isinstance(data, bytes | str) else json.dumps(data, sort_keys=True, default=str))
    if options.preset is not None and options.preset.columns:
        content = list(options.preset.rows(_users(content, source, options.preset)))
    elif isinstance(content, Mapping):
        users = _scim_users(content, source)
        mixed = len({bool(user.get("externalId")) for _, user in users}) > 1
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
    options = options.found_in(header)
    _header(list(header), source, options)
    found = Rows(source, options)
    for number, row in enumerate(content):
        found.add(number + 1, row)
    return found.roster(checksum, mixed=mixed)


def _sha256(data: bytes | str) -> str:
    return hashlib.sha256(data.encode() if isinstance(data, str) else data).hexdigest()


def _decoded(data: bytes | str, source: str, options: RosterOptions) -> str:
    """Return the text of a file in the encoding of the options, else in UTF-8, or UTF-16 with its byte order mark."""
    encoding = options.encoding
    if isinstance(data, bytes) and not encoding and data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        encoding = "utf-16"
    if isinstance(data, bytes) and encoding:
        try:
            data = data.decode(encoding)
        except UnicodeError:
            problem = f"the bytes are not {encoding}"
            raise InputError(source, problem, "Save it as UTF-8, or set roster_format.encoding.") from None
    return decode(data, source=source)


def _delimiter(header: str, options: RosterOptions) -> str:
    """Return the delimiter with which the first line names the most of the columns that must be there."""
    needed = {named(name, options) for name in REQUIRED} | set(options.id_columns)
    if options.preset is not None:
        needed |= {name for names in options.preset.columns.values() for name in names}

    def found(delimiter: str) -> int:
        return len(needed & {name.strip(' \t"') for name in header.rstrip("\r\n").split(delimiter)})

    return max(_DELIMITERS, key=found)


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
    unknown = sorted({*options.columns} - MAPPED)
    if unknown:
        known = ", ".join(sorted(MAPPED))
        raise InputError("roster_format.columns", f"an unknown column {unknown[0]!r}", f"Use {known}.")
    if hidden := sorted(foreign(options) & {*options.id_columns}):
        problem = f"the column {hidden[0]!r} has our name of a column that is not it"
        raise InputError("id_columns", problem, f"Give it another name in the export, or map {hidden[0]!r} to it.")
    spaces = [*options.id_columns.values(), PERSON_SPACE]
    if len(set(spaces)) < len(spaces):
        raise InputError("id_columns", "two columns for one id space", "Give every space one column.")
    clean = [
        unicodedata.normalize("NFC", check_text(name, where=f"{source}, header, column {n}"))
        for n, name in enumerate(names, 1)
    ]
    where = f"{source}, header"
    if any(not name for name in clean):
        raise InputError(where, f"column {clean.index('') + 1} has no name", "Name the column or remove it.")
    twice = sorted({name for name in clean if clean.count(name) > 1})
    if twice:
        raise InputError(where, f"the column {twice[0]!r} appears twice", "Keep one of the two.")
    required = [named(name, options) for name in {**dict.fromkeys(REQUIRED), **options.columns}]
    missing = [name for name in (*required, *options.id_columns) if name not in clean]
    if missing:
        hint = "" if len(clean) > 1 or not delimiter else f" (the delimiter is {delimiter!r})"
        problem = f"the column {missing[0]!r} is missing; found {', '.join(repr(n) for n in clean[:12])}{hint}"
        if missing[0] in required:
            raise InputError(where, problem, "Name the columns in the first line, spelled exactly so.")
        raise InputError(where, problem, "Add it (cells may be blank), or remove it from the configured id_columns.")
    return clean


def _with_last(rows: Iterator[tuple[int, list[str]]]) -> Iterator[tuple[int, list[str], bool]]:
    """Yield each row with its line, and whether it is the last one."""
    held: tuple[int, list[str]] | None = None
    for count, row in enumerate(rows):
        if held is not None:
            yield *held, False
        if count > _MAX_ROWS:
            raise InputError("roster", f"more than {_MAX_ROWS} rows", "Split the roster.")
        held = row
    if held is not None:
        yield *held, True


def _record(found: Rows, line: int, row: list[str], header: Sequence[str], delimiter: str, *, cut: bool) -> None:
    """Add one row of a CSV file.

    :param cut: whether it is the last row and no line break follows: the file may have been cut inside it.
    :raises InputError: when the row shows that others are lost: a cell that holds a whole row, a row that ends early.
    """
    where = f"{found.source}, line {line}"
    swallowed = [c for c in row if "\n" in c and c.count(delimiter) >= len(header) - 1 > 0]
    if swallowed:
        raise InputError(where, "a cell holds a line break and a whole row", "Correct the quotes before that line.")
    if len(row) == len(header):
        found.add(line, dict(zip(header, row, strict=True)), cut=header[-1] if cut else "")
        return
    problem = f"{len(row)} cells where the header names {len(header)} columns"
    remedy = "Quote cells that hold the delimiter or a line break."
    if cut and len(row) < len(header):
        raise InputError(where, f"{problem}, and the file ends there", "The file was cut. Export it again.")
    found.bad(line, InputError(where, problem, remedy), row, None)


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


def _users(content: Any, source: str, preset: Preset) -> Sequence[Mapping[str, Any]]:
    """Return the users of one whole answer of a service.

    :raises InputError: for another shape, for one page of several, and for another number than the declared one.
    """
    users = at(content, preset.items) if isinstance(content, Mapping) and preset.items else content
    if not isinstance(users, list) or not all(isinstance(user, Mapping) for user in users):
        where = f"{source}, {preset.items}" if preset.items else source
        raise InputError(where, f"not a list of people but {shape(users)}", "Give the answer that lists people.")
    if isinstance(content, Mapping):
        if preset.next and at(content, preset.next):
            raise InputError(f"{source}, {preset.next}", "a further page is named", "Give all pages in one file.")
        total = at(content, preset.total) if preset.total else None
        if total is not None and total != len(users):
            problem = f"{len(users)} people where {preset.total} says {total!r}"
            raise InputError(f"{source}, {preset.total}", problem, "Fetch all pages; an incomplete roster is not used.")
    return users


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
