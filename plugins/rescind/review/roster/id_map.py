"""The id map: a CSV file that gives people of a roster their ids in the platforms.

One row a person, by ``person_id`` or by ``email``, and a column for each id space. A row that names nobody for certain
is set aside like a row of the roster: its ids match nobody and prove nobody absent.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from rescind.errors import InputError
from rescind.review.roster.admit import DEFAULT_ID_COLUMNS, OPTIONAL_ID_COLUMNS, PERSON_SPACE, Person
from rescind.review.roster.aside import SetAside, folded
from rescind.review.text import check_id, check_rounded, check_text, decode

KEYS = ("person_id", "email")
_DELIMITERS = (",", ";", "\t", "|")


@dataclass(frozen=True, slots=True)
class IdMap:
    """A parsed id map.

    :param key: ``person_id`` or ``email``: the column that names the person.
    :param rows: (line, key, ids by space) of each row that can be read.
    :param aside: the other rows.
    :param mails: mail of a row by its line, where it is not the key: it must not be another one than the person's.
    """

    source: str
    key: str
    spaces: tuple[str, ...]
    rows: tuple[tuple[int, str, Mapping[str, str]], ...]
    aside: tuple[SetAside, ...]
    mails: Mapping[int, str] = field(default_factory=dict)

    def join(self, people: Iterable[Person]) -> tuple[list[Person], list[SetAside]]:
        """Return the people with their ids, and the rows that name nobody for certain.

        :raises InputError: when fewer than half of the rows name somebody: the map belongs to another roster.
        """
        found = list(people)
        places: dict[str, int | None] = {}
        for number, one in enumerate(found):
            name = self._name(one.person_id if self.key == "person_id" else one.email)
            if name:
                places[name] = None if name in places else number
        aside, matched = list(self.aside), 0
        for line, key, ids in self.rows:
            if (place := places.get(self._name(key))) is None:
                aside.append(self._bad(line, f"nobody in the roster has this {self.key} alone", (key,), ids))
                continue
            person, mail = found[place], self.mails.get(line, "")
            if mail and person.email and mail.casefold() != person.email.casefold():
                reason = f"its email is not that of the person with its {self.key}"
                aside.append(self._bad(line, reason, (key, mail, person.email), ids))
                continue
            matched += 1
            twice = [space for space, value in ids.items() if person.ids.get(space, value) != value]
            if twice:
                reason = f"the person has another {twice[0]} already"
                row = self._bad(line, reason, (key, person.person_id, person.email), ids)
                aside.append(replace(row, ids=row.ids | {(PERSON_SPACE, person.person_id)}))
            else:
                found[place] = replace(person, ids={**person.ids, **ids})
        if matched * 2 < len(self.rows):
            by = f"{self.key} and email" if self.mails else self.key
            problem = f"{matched} of {len(self.rows)} rows name a person of the roster by {by}"
            raise InputError(self.source, problem, f"Fill {by} as the roster spells it.")
        return found, aside

    def _name(self, text: str) -> str:
        return text.casefold() if self.key == "email" else text

    def _bad(self, line: int, reason: str, names: Iterable[str], ids: Mapping[str, str]) -> SetAside:
        cells = frozenset(map(folded, [*names, *ids.values()])) - {""}
        return SetAside(
            line, f"{self.source}, line {line}: {reason}", cells, frozenset(ids.items()), frozenset(), False, True
        )


def read_id_map(data: bytes | str, *, source: str) -> IdMap:
    """Return an id map from the content of a CSV file: UTF-8, or UTF-16 with its byte order mark.

    :raises InputError: encoding, header, no ids, ids that a spreadsheet has rounded, and a row of another length.
    """
    if isinstance(data, bytes) and data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        data = data.decode("utf-16", "replace")
    text = decode(data, source=source)
    first = text.partition("\n")[0]
    delimiter = max(_DELIMITERS, key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        lines = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise InputError(
            f"{source}, line {reader.line_num}", f"not valid CSV: {error}", "Correct the quotes."
        ) from None
    header = [check_text(name, where=f"{source}, header") for name in (lines[0][1] if lines else [])]
    key = next((name for name in KEYS if name in header), "")
    spaces = tuple(name for name in (*DEFAULT_ID_COLUMNS, *OPTIONAL_ID_COLUMNS) if name in header)
    if not key or not spaces or len(set(header)) < len(header) or len(lines) < 2:
        known = ", ".join((*DEFAULT_ID_COLUMNS, *OPTIONAL_ID_COLUMNS))
        problem = f"found {', '.join(map(repr, header[:12])) or 'no header'} and {max(0, len(lines) - 1)} rows"
        remedy = f"Name person_id or email in the first line, and at least one of {known}, each once."
        raise InputError(f"{source}, header", problem, remedy)
    return _parsed(lines[1:], header, key, spaces, source)


def _parsed(
    lines: Iterable[tuple[int, list[str]]], header: list[str], key: str, spaces: tuple[str, ...], source: str
) -> IdMap:
    rows: list[tuple[int, str, Mapping[str, str]]] = []
    aside: list[SetAside] = []
    mails: dict[int, str] = {}
    for line, cells in lines:
        if len(cells) != len(header):
            problem = f"{len(cells)} cells where the header names {len(header)} columns"
            raise InputError(f"{source}, line {line}", problem, "The file may be cut. Export it again.")
        row = dict(zip(header, cells, strict=True))
        ids: dict[str, str] = {}
        unread: set[str] = set()
        problems: list[str] = []
        for space in spaces:
            try:
                value = check_id(row[space], where=f"{source}, line {line}, column {space}")
            except InputError as error:
                unread.add(space)
                problems.append(f"{error.field}: {error.problem}")
                continue
            if value:
                ids[space] = value
        try:
            name = check_id(row[key], where=f"{source}, line {line}, column {key}")
        except InputError as error:
            name = ""
            problems.append(f"{error.field}: {error.problem}")
        if not name and not problems:
            problems.append(f"{source}, line {line}, column {key}: no {key}")
        if problems:
            texts = frozenset(map(folded, cells)) - {""}
            aside.append(SetAside(line, problems[0], texts, frozenset(ids.items()), frozenset(unread), False, True))
        else:
            rows.append((line, name, ids))
            mails |= {line: row["email"].strip()} if key != "email" and "email" in row else {}
    for space in spaces:
        check_rounded((ids[space] for _, _, ids in rows if space in ids), where=f"{source}, column {space}")
    return IdMap(source, key, spaces, tuple(rows), tuple(aside), mails)
