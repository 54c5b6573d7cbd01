"""Rows of a roster become people, or are set aside with the reason.

A row that stands alone with its fault is set aside, up to the share of ``max_bad_rows_percent``. A fault of the whole
file is an error: a word of the status that nobody has mapped, a column of which no cell can be read, ids that a
spreadsheet has rounded.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import date, datetime, time
from typing import TypeVar

from rescind.errors import InputError
from rescind.review.roster.admit import PERSON_SPACE, Kind, Person, Roster, RosterOptions, Status
from rescind.review.roster.aside import SetAside, folded
from rescind.review.roster.presets import Preset
from rescind.review.text import check_id, check_rounded, check_text, end_of_date, parse_moment, shape

REQUIRED = ("person_id", "status")
PLAIN = ("name", "email", "department")
MAPPED = frozenset({*REQUIRED, *PLAIN, "terminated_at", "kind", "manager"})
"""Our names of columns that an export may name otherwise."""
_STATUS: Mapping[str, Status] = {"active": "active", "left": "left", "": "unknown"}
_KIND: Mapping[str, Kind] = {"human": "human", "service": "service", "": "unknown"}
_MIDNIGHT = re.compile(r"\d{4}-\d\d-\d\d[T ]00:00(?::00(?:\.0+)?)?(?:Z|[+-]\d\d:?\d\d)?")
_ISO = re.compile(r"\d{4}-\d\d-\d\d")
_BREAKS = re.compile(r"\s*[\n\r\t\v\f\x85\u2028\u2029]+\s*")
_MAX_CELL = 4_096
_TURNED = str.maketrans("DM", "MD")

Row = Mapping[str, object]
Where = Callable[[str], str]
T = TypeVar("T")


def named(column: str, options: RosterOptions) -> str:
    """Return the name of one of our columns in the file."""
    return options.columns.get(column, column)


class Rows:
    """Collects the rows of one roster.

    :param source: name of the file, for error messages.
    """

    def __init__(self, source: str, options: RosterOptions) -> None:
        self.source = source
        self.options = options
        self._people: list[Person] = []
        self._aside: list[SetAside] = []
        self._errors: list[InputError] = []
        self._dates = Counter[bool]()
        self._turned = False
        self._cut: tuple[int, str] | None = None

    def add(self, line: int, given: Row, *, cut: str = "") -> None:
        """Add a row.

        :param cut: the column in which the file may have been cut, or empty.
        :raises InputError: for a word of status or kind that is not known.
        """
        preset = self.options.preset
        row = _with_preset(_renamed(given, self.options), given, preset) if preset else _renamed(given, self.options)
        where = self._where(line)
        words = (
            _one_of(row, "status", _STATUS, where, self.options),
            _one_of(row, "kind", _KIND, where, self.options),
        )
        if preset:
            words = (_status_by(preset, given, words[0]), words[1])
        if preset and preset.ends_by_status and words[0] != "left":
            row = {**row, "terminated_at": ""}
        if cut:
            self._cut = (line, cut)
        try:
            person = self._person(row, line, *words)
        except InputError as error:
            self.bad(line, error, row.values(), row)
        else:
            self._people.append(person)

    def bad(
        self,
        line: int,
        error: InputError,
        cells: Iterable[object],
        row: Row | None,
        doubtful: Collection[str] = (),
        mapped: Iterable[tuple[str, str]] = (),
    ) -> None:
        """Set a row aside.

        :param row: its cells by column, with our names, or None when it has too many or too few.
        :param doubtful: id spaces whose id may be another one than the row says.
        :param mapped: ids that the row does not hold itself.
        """
        columns = {PERSON_SPACE: "person_id", **{to: name for name, to in self.options.id_columns.items()}}
        ids = set(mapped)
        unread: set[str] = set(doubtful) if row is not None else set(columns)
        for space, column in columns.items() if row is not None else ():
            try:
                value = check_id(_blank((row or {}).get(column)), where=column)
            except InputError:
                unread.add(space)
                continue
            if value:
                ids.add((space, value))
            elif space == PERSON_SPACE:
                unread.add(space)
        texts = frozenset(folded(str(cell)) for cell in cells if isinstance(cell, str | int)) - {""}
        dated = row is None or bool(row.get("terminated_at"))
        reason = f"{error.field.removeprefix(f'{self.source}, ')}: {error.problem}"
        self._aside.append(SetAside(line, reason, texts, frozenset(ids), frozenset(unread), dated))
        self._errors.append(error)

    def roster(self, digest: str, *, mixed: bool = False, notes: Iterable[str] = ()) -> Roster:
        """Return the roster of all rows.

        :param mixed: people are named in two ways, so that a manager whom nobody has as ``person_id`` may be listed.
        :param notes: see :class:`~rescind.review.roster.admit.Roster`.

        :raises InputError: for a fault of the whole file, and for too many rows that cannot be read.
        """
        self._check_cut()
        spaces = [*self.options.id_columns.values()]
        if (id_map := self.options.id_map) is not None:
            self._people, unknown = id_map.join(self._people)
            spaces += id_map.spaces
        self._set_twins_aside()
        total = len(self._people) + len(self._aside)
        if len(self._aside) * 100 > self.options.max_bad_rows_percent * total or self._no_date():
            raise self._refusal(total)
        for column, space in self.options.id_columns.items():
            values = (p.ids[space] for p in self._people if space in p.ids)
            check_rounded(values, where=f"{self.source}, column {column}")
        self._aside += unknown if id_map is not None else []
        return Roster(
            self._people,
            spaces=spaces,
            source=self.source,
            digest=digest,
            aside=self._aside,
            mixed=mixed,
            notes=notes,
        )

    def _refusal(self, total: int) -> InputError:
        first, count = self._errors[0], len(self._errors)
        if count == 1:
            return first
        problem = f"{first.problem} ({count} of {total} rows cannot be read, this is the first)"
        return InputError(first.field, problem, first.remedy)

    def _no_date(self) -> bool:
        """Return whether dates are in a form that cannot be read: all of them, or one with day and month turned."""
        return self._turned or (self._dates[False] > 0 and not self._dates[True])

    def _check_cut(self) -> None:
        """Refuse a file whose last cell is shorter than every other one of its column: it may end inside an id.

        The rows that would follow are lost then, and nothing else shows it.
        """
        if self._cut is None or not self._people or self._people[-1].line != self._cut[0]:
            return
        person, column = self._people[-1], self._cut[1]
        ours = next((name for name, theirs in self.options.columns.items() if theirs == column), column)
        space = PERSON_SPACE if ours == "person_id" else self.options.id_columns.get(column, "")

        def text(of: Person) -> str:
            if ours in ("manager", "email"):
                return str(getattr(of, ours))
            return of.person_id if space == PERSON_SPACE else of.ids.get(space, "")

        others = [len(value) for other in self._people[:-1] if (value := text(other))]
        value = text(person)
        if value and others and len(value) < min(others):
            problem = f"{shape(value)}, shorter than all others, and the file ends there without a line break"
            remedy = "The file may be cut: export it again. If it is whole, end it with a line break."
            raise InputError(self._where(person.line)(ours), problem, remedy)

    def _set_twins_aside(self) -> None:
        """Set rows aside that share a ``person_id``, or an id of which not exactly one row belongs to a leaver."""
        holders: dict[tuple[str, str], list[Person]] = {}
        for person in self._people:
            for pair in ((PERSON_SPACE, person.person_id), *person.ids.items()):
                holders.setdefault(pair, []).append(person)
        twins: dict[int, InputError] = {}
        doubtful: dict[int, set[str]] = {}
        for (space, value), people in holders.items():
            if len(people) < 2 or (space != PERSON_SPACE and sorted(p.status for p in people) == ["active", "left"]):
                continue
            lines = " and ".join(str(person.line) for person in people[:2])
            problem = f"lines {lines} have the same {space} ({len(value)} characters)"
            error = InputError(f"{self.source}, column {space}", problem, "Give each person an id of their own.")
            twins |= {person.line: error for person in people if person.line not in twins}
            for person in people:
                doubtful.setdefault(person.line, set()).add(space)
        if twins:
            kept = [person for person in self._people if person.line not in twins]
            for person in self._people:
                if person.line in twins:
                    row = self._row_of(person)
                    error, cells = twins[person.line], [*row.values(), *person.ids.values()]
                    self.bad(person.line, error, cells, row, doubtful[person.line], person.ids.items())
            self._people = kept

    def _row_of(self, person: Person) -> dict[str, str]:
        """Return the cells of a person that may name somebody."""
        ids = {column: person.ids.get(space, "") for column, space in self.options.id_columns.items()}
        plain = {"person_id": person.person_id, "email": person.email, "name": person.name, "manager": person.manager}
        return {**plain, **ids, "terminated_at": "x" * (person.terminated_at is not None)}

    def _where(self, line: int) -> Where:
        return lambda column: f"{self.source}, line {line}, column {named(column, self.options)}"

    def _person(self, row: Row, line: int, status: Status, kind: Kind) -> Person:
        where, options = self._where(line), self.options
        person_id = check_id(row.get("person_id", ""), where=where("person_id"))
        if not person_id:
            raise InputError(where("person_id"), "no person_id", "Give every row a person_id.")
        ids = {
            space: value
            for column, space in options.id_columns.items()
            if (value := check_id(_blank(row.get(column)), where=where(column)))
        }
        used = {*REQUIRED, *PLAIN, "terminated_at", "kind", "manager", *options.id_columns}
        extra = {key: _loose(row[key], where(key)) for key in row if key not in used}
        return Person(
            person_id=person_id,
            status=status,
            terminated_at=self._ends(row, where),
            kind=kind,
            manager=_text(row, "manager", where),
            department=_text(row, "department", where),
            name=_loose(row.get("name"), where("name")),
            email=_text(row, "email", where),
            ids=ids,
            attributes={key: value for key, value in extra.items() if value},
            line=line,
        )

    def _ends(self, row: Row, where: Where) -> datetime | None:
        try:
            moment = _moment(row, where, self.options)
        except InputError:
            given, form = str(row.get("terminated_at")).strip(), self.options.date_format
            self._dates[False] += not _ISO.match(iso_date(given, form))
            if _exists(iso_date(given, form.translate(_TURNED))):
                self._turned = True
            raise
        self._dates[True] += moment is not None
        return moment


def iso_date(text: str, form: str) -> str:
    """Return a date of the form, such as ``DD/MM/YYYY``, in ISO 8601; another text as it is."""
    if not form:
        return text
    pattern = re.escape(form).replace("YYYY", r"(?P<y>\d{4})")
    pattern = pattern.replace("MM", r"(?P<m>\d{1,2})").replace("DD", r"(?P<d>\d{1,2})")
    if form == "YYYYMMDD":
        pattern = pattern.replace("{1,2}", "{2}")
    found = re.fullmatch(pattern + r"(?P<time>[T ]\d{1,2}:\d\d(?::\d\d)?)?", text)
    if found is None:
        return text
    clock = f" {found['time'][1:]:0>5}" if found["time"] and len(found["time"]) < 7 else (found["time"] or "")
    return f"{found['y']}-{int(found['m']):02}-{int(found['d']):02}{clock.replace(' ', 'T')}"


def _with_preset(row: Row, given: Row, preset: Preset) -> Row:
    """Return the row with what the preset says about blank words and names."""
    changed = dict(row)
    for column, names in preset.columns.items():
        blank = {word for name in names for word in preset.blank.get(name, ())}
        if changed.get(column) in blank:
            changed[column] = ""
    mails = (str(given.get(name) or "").strip() for name in preset.columns.get("email", ()))
    changed["email"] = changed.get("email") or next(filter(None, mails), "")
    if not changed.get("email") and "@" in str(changed.get("person_id")):
        changed["email"] = changed["person_id"]
    if not changed.get("name"):
        parts = (str(given.get(part) or "").strip() for part in preset.name_parts)
        changed["name"] = " ".join(filter(None, parts))
    return changed


def _status_by(preset: Preset, given: Row, status: Status) -> Status:
    """Return the status that the row's further fields leave."""

    def word(name: str) -> str:
        return str(given.get(name) or "").casefold()

    if any(word(name) == gone for name, gone in preset.left_if.items()):
        return "left"
    doubt = status == "left" and any(word(name) not in words for name, words in preset.left_only.items())
    return "unknown" if doubt else status


def _exists(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return bool(_ISO.match(text))


def _renamed(row: Row, options: RosterOptions) -> Row:
    """Return the row with our names of columns. A column that has one of our names without being it stands aside."""
    if not options.columns:
        return row
    ours = {theirs: name for name, theirs in options.columns.items()}
    taken = {name: f"{name} (of the file)" for name in foreign(options)}
    ids = {name: row[name] for name in options.id_columns if name in row}  # one of them may be a mapped column too
    return {**ids, **{ours.get(name, taken.get(name, name)): value for name, value in row.items()}}


def foreign(options: RosterOptions) -> set[str]:
    """Return our names of columns under which the file may have another column, which is not ours."""
    names = {*options.columns, *(MAPPED if options.preset and options.preset.columns else ())}
    return {name for name in names if options.columns.get(name) != name}


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


def _loose(value: object, where: str) -> str:
    """Return the text of a cell that names nobody: line breaks become blanks, other invisible characters go."""
    if not isinstance(value, str):
        return str(value).lower() if isinstance(value, bool | int) else ""
    if len(value) > _MAX_CELL:
        raise InputError(where, f"{shape(value)}, more than {_MAX_CELL}", "Shorten the cell; check the quotes.")
    if not (value.isascii() and value.isprintable()):
        value = _BREAKS.sub(" ", value)
        value = "".join(c for c in value if unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co"))
    return value.strip()


def _one_of(row: Row, column: str, table: Mapping[str, T], where: Where, options: RosterOptions) -> T:
    value = _text(row, column, where).casefold()
    words = {word.strip().casefold(): ours for word, ours in options.values.get(column, {}).items()}
    value = words.get(value, value)
    if value not in table:
        known = ", ".join(repr(key) for key in table if key)
        remedy = f"Use one of {known}, or leave it empty; roster_format.values maps other words."
        raise InputError(where(column), f"an unknown value ({shape(value)})", remedy)
    return table[value]


def _moment(row: Row, where: Where, options: RosterOptions) -> datetime | None:
    text, place = _text(row, "terminated_at", where), where("terminated_at")
    if not text:
        return None
    text = iso_date(text, options.date_format)
    moment = parse_moment(text, where=place, zone=options.zone)
    if _ISO.fullmatch(text):
        return end_of_date(date.fromisoformat(text), options.zone, options.end_of_day)
    # Services write a bare date as its midnight, in UTC or in the zone. It lasts to the end of that day, by the later
    # reading.
    local = moment.astimezone(options.zone)
    if _MIDNIGHT.fullmatch(text):
        stated = datetime.fromisoformat(text)
        zones = (options.zone, stated.tzinfo or options.zone)
        return max(end_of_date(stated.date(), zone, options.end_of_day) for zone in zones)
    return moment if local.time() != time() else end_of_date(local.date(), options.zone, options.end_of_day)
