"""Reading what people hand in: text, ids, dates and YAML, each refused with field, shape and remedy.

Nothing here guesses. An id that a spreadsheet has turned into a number, a date that could mean two days
or a file in an unknown encoding is an :class:`~rescind.errors.InputError`, because a wrong guess here
takes the wrong person's access away later.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Hashable, Iterable
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any, ClassVar, NamedTuple

import yaml

from rescind.errors import InputError

LATEST = datetime(9999, 12, 31, tzinfo=UTC)
WHOLE_DAY = timedelta(days=1)
"""Dates after this one are held to be this one: the far future, without overflow at the calendar's end."""

_SPREADSHEET = re.compile(r"[+-]?\d(?:[.,]\d+)?[eE][+-]\d{1,4}|[+-]?\d+[.,]\d+[eE][+-]?\d{1,3}")
_SHORT_EXPONENT = re.compile(r"\d{1,8}[eE]\d{1,2}")
_FLOAT = re.compile(r"[+-]?\d+[.,]\d*")
_PLACEHOLDER = re.compile(r"(?:null|none|nil|nan|n/a|#n/a|undefined|#ref!|#value!|-+)", re.IGNORECASE)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?(?:Z|[+-]\d{2}:?\d{2})?")
_INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}


def shape(value: object) -> str:
    """Return what a value looks like, without showing it: ``text of 8 characters``, ``a whole number``."""
    if isinstance(value, str):
        return f"text of {len(value)} characters" if value else "an empty text"
    names = {bool: "true/false", int: "a whole number", float: "a number with a point", type(None): "nothing (null)"}
    for kind, name in names.items():
        if type(value) is kind:
            return name
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    if isinstance(value, dict):
        return f"a mapping of {len(value)} keys"
    return f"a {type(value).__name__}"


def printable(text: str) -> str:
    """Return the text with control and other invisible characters written out."""
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)


def decode(data: bytes | str, *, source: str) -> str:
    """UTF-8 text without its byte order mark.

    :raises InputError: for another encoding (UTF-16 is named as such), a NUL or replacement characters.
    """
    text = (_utf8(data, source) if isinstance(data, bytes) else data).removeprefix("\ufeff")
    for bad, name in (("\x00", "a NUL character"), ("\ufffd", "a replacement character (U+FFFD)")):
        if bad in text:
            line = text[: text.index(bad)].count("\n") + 1
            problem = f"line {line} holds {name}: the text was damaged by a wrong encoding"
            raise InputError(source, problem, "Export it again as UTF-8.")
    return text


def _utf8(data: bytes, source: str) -> str:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise InputError(source, "the file is UTF-16 (it starts with that byte order mark)", "Save it as UTF-8.")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        problem = f"line {line} holds byte 0x{data[error.start]:02x}, which is not UTF-8"
        raise InputError(source, problem, "Save the file as UTF-8 (in a spreadsheet: CSV UTF-8).") from None


def check_text(value: str, *, where: str) -> str:
    """Return the value without outer blanks.

    :raises InputError: for control, format or other invisible characters (they make equal-looking texts differ).
    """
    value = value.strip(" \t")
    if value.isascii() and value.isprintable():
        return value
    for place, character in enumerate(value):
        if unicodedata.category(character) in _INVISIBLE:
            problem = f"character {place + 1} is invisible (U+{ord(character):04X})"
            raise InputError(where, problem, "Remove it; copy the value again from its system.")
    return value


def check_id(value: object, *, where: str) -> str:
    """Return an id as exact text, or empty text when there is none.

    :raises InputError: for numbers, floats, scientific notation, blanks inside, invisible characters,
        non-ASCII letters (homoglyphs) and placeholders such as ``null`` or ``#N/A``.
    """
    if not isinstance(value, str):
        problem = f"an id must be text, not {shape(value)}"
        raise InputError(where, problem, "Put it in quotes: ids of 16 and more digits do not survive as numbers.")
    text = check_text(value, where=where)
    if text.isascii() and text.isalnum() and (text.isdigit() or len(text) > 12):
        return text  # what ids look like; nothing below could refuse it
    if _SPREADSHEET.fullmatch(text) or _SHORT_EXPONENT.fullmatch(text):
        problem = f"an id in scientific notation ({shape(text)}): its last digits may be lost"
        raise InputError(where, problem, "Format the column as text in the spreadsheet and export again.")
    if text.startswith(("=", "'")) or '"' in text:
        problem = f"an id with the signs of a spreadsheet around it ({shape(text)})"
        raise InputError(where, problem, "Export the plain id, without =, quotes and apostrophe.")
    if _FLOAT.fullmatch(text):
        problem = f"an id with a decimal point ({shape(text)})"
        raise InputError(where, problem, "Format the column as text and export again.")
    if _PLACEHOLDER.fullmatch(text):
        raise InputError(where, f"a placeholder instead of an id ({shape(text)})", "Leave the field empty.")
    if not text.isascii():
        place = next(i for i, character in enumerate(text) if not character.isascii())
        code = f"U+{ord(text[place]):04X}"
        problem = f"character {place + 1} of the id is not ASCII ({code}); it may be a look-alike of another character"
        raise InputError(where, problem, "Copy the id again from its system.")
    if " " in text:
        raise InputError(where, f"a blank inside an id ({shape(text)})", "Write one id without blanks.")
    return text


def check_rounded(ids: Iterable[str], *, where: str) -> None:
    """Refuse a column whose long ids all end in zeros from the 16th digit on, as a spreadsheet leaves them.

    One such id proves nothing (an id may end in 0); four zeros together would be chance once in 10,000.

    :raises InputError: naming the column.
    """
    long = [i for i in ids if len(i) > 15 and i.isdigit()]
    zeros = sum(len(i) - 15 for i in long)
    if zeros >= 4 and all(set(i[15:]) == {"0"} for i in long):
        problem = f"all {len(long)} ids longer than 15 digits end in zeros: a spreadsheet has rounded them"
        raise InputError(where, problem, "Export again with the column formatted as text.")


def parse_moment(value: str, *, where: str, zone: tzinfo = UTC, end_of_day: bool = True) -> datetime:
    """Return an ISO 8601 date or time as a timezone-aware moment in UTC.

    A bare date means the whole day: its end when ``end_of_day`` (nobody is treated as gone on their last
    day), else its start. A time without an offset is read in ``zone``; where clocks jump, the later reading
    counts. Years up to 9999 are held.

    :raises InputError: for other formats (``03/04/2026`` could be two days) and dates that do not exist.
    """
    text = value.strip()
    try:
        if _DATE.fullmatch(text):
            return end_of_date(date.fromisoformat(text), zone, WHOLE_DAY if end_of_day else timedelta(0))
        if not _MOMENT.fullmatch(text):
            raise ValueError("not ISO 8601")
        moment = datetime.fromisoformat(text)
    except ValueError:
        problem = f"not a date that exists in the form YYYY-MM-DD or YYYY-MM-DDThh:mm:ss+hh:mm ({shape(text)})"
        raise InputError(where, problem, "Write the date in that form.") from None
    return to_utc(_later(moment, zone) if moment.tzinfo is None else moment)


def to_utc(moment: datetime) -> datetime:
    """Return the same moment in UTC, never past :data:`LATEST`.

    :raises InputError: for a moment without an offset.
    """
    if moment.tzinfo is None:
        raise InputError("time", "a moment without a UTC offset", "Give it a time zone.")
    try:
        return min(moment.astimezone(UTC), LATEST)
    except OverflowError:
        return LATEST if moment.year > 5000 else datetime(1, 1, 2, tzinfo=UTC)


def end_of_date(day: date, zone: tzinfo, clock: timedelta = WHOLE_DAY) -> datetime:
    """Return the moment in UTC at which clocks in ``zone`` show ``clock`` on that day.

    :param clock: time of day, counted from 00:00; :data:`WHOLE_DAY` is the midnight after the day.
    """
    if day.year >= 9999:
        return LATEST
    return to_utc(_later(datetime.combine(day, time()) + clock, zone))


def _later(moment: datetime, zone: tzinfo) -> datetime:
    """Return the later of two readings: the second in a repeated hour, the one after the jump in a skipped hour."""
    return max(moment.replace(tzinfo=zone, fold=0), moment.replace(tzinfo=zone, fold=1), key=to_utc)


Path = tuple[Hashable, ...]


class YamlFile(NamedTuple):
    """A YAML document with the line of every node: ``lines[("rules", 2, "when")]``."""

    data: Any
    lines: dict[Path, int]

    def line(self, path: Path) -> int:
        """Return the line of the node, or of its nearest ancestor."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


MAX_DEPTH = 32
"""Most mappings and lists inside each other in a YAML or JSON input."""
MAX_DIGITS = 40
"""Most characters of a number in a YAML or JSON input."""

_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")


class _PlainLoader(yaml.SafeLoader):
    """YAML 1.2's plain scalars only: dates, octal-looking ids, ``yes`` and ``12:30`` stay text.

    Tags, anchors and aliases are refused before anything is built from them: a tag would turn text into a date, bytes
    or a set, whatever the text looks like.
    """

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}  # type: ignore[misc]
    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent):
            raise _refused("an alias (*name); write the value out", event)
        if event.anchor is not None:
            raise _refused("an anchor (&name); remove it", event)
        if event.tag is not None:
            raise _refused("a tag (!name); remove it, or put the text in quotes", event)
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise _refused(f"values nested deeper than {MAX_DEPTH}; flatten the document", event)
        node: yaml.Node | None = super().compose_node(parent, index)
        self._depth -= 1
        if isinstance(node, yaml.ScalarNode) and node.tag in _NUMBERS:
            _check_number(node, event)
        return node


def _check_number(node: yaml.ScalarNode, event: Any) -> None:
    if len(node.value) > MAX_DIGITS:
        raise _refused(f"a number of more than {MAX_DIGITS} characters; put ids in quotes", event)
    if not math.isfinite(float(node.value)):
        raise _refused("a number that is too large", event)


def _refused(problem: str, event: Any) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)


for _tag, _form, _first in (
    ("bool", r"true|false", "tf"),
    ("null", r"~|null|", "~n\0"),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)", "-+0123456789"),
    ("float", r"[-+]?(?:(?:\.[0-9]+|[0-9]+\.[0-9]*)(?:[eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+)", "-+.0123456789"),
):
    _PlainLoader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_form})$"), [*_first, ""] if _tag == "null" else list(_first)
    )


def read_yaml(text: bytes | str, *, source: str) -> YamlFile:
    """Return one YAML document of plain values; keys are unique texts.

    Scalars are read as in YAML 1.2: a date, ``0123`` and ``yes`` are text; ``1.23E+18`` is a float and
    ``1234567890123456789`` a whole number, which the models above refuse where an id belongs.

    :raises InputError: for broken YAML (with line and column), an empty file, several documents, duplicate or
        non-text keys, anchors, aliases and tags, values nested deeper than :data:`MAX_DEPTH`, and numbers of more than
        :data:`MAX_DIGITS` characters.
    """
    content = decode(text, source=source)
    try:
        return _parse(content, source)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{source}, line {mark.line + 1}, column {mark.column + 1}" if mark else source
        raise InputError(where, f"not valid YAML: {error.problem}", "Correct the file at that position.") from None
    except yaml.YAMLError as error:
        raise InputError(source, f"not valid YAML: {type(error).__name__}", "Write plain UTF-8 text.") from None


def _parse(content: str, source: str) -> YamlFile:
    loader = _PlainLoader(content)
    try:
        node = loader.get_single_node()
        if node is None:
            raise InputError(source, "the file is empty", "Write the document or remove the setting.")
        lines: dict[Path, int] = {}
        _walk(node, (), lines, source)
        return YamlFile(loader.construct_document(node), lines)
    finally:
        loader.dispose()


def _walk(node: yaml.Node, path: Path, lines: dict[Path, int], source: str) -> None:
    lines[path] = node.start_mark.line + 1
    if isinstance(node, yaml.SequenceNode):
        for index, inner in enumerate(node.value):
            _walk(inner, (*path, index), lines, source)
    elif isinstance(node, yaml.MappingNode):
        for key, inner in node.value:
            where = f"{source}, line {key.start_mark.line + 1}"
            if not isinstance(key, yaml.ScalarNode) or key.tag != "tag:yaml.org,2002:str":
                raise InputError(where, "a key that is not text", "Quote the key.")
            if (*path, key.value) in lines:
                raise InputError(where, f"the key {key.value!r} appears twice", "Keep one of the two.")
            _walk(inner, (*path, key.value), lines, source)


_JSON_STRING = re.compile(r'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)', re.DOTALL)
_NO_BRACKET = re.compile(r"[^\[\]{}]+")


def read_json(text: str) -> Any:
    """Return a JSON value whose objects hold every key once.

    :raises json.JSONDecodeError: for text that is not JSON.
    :raises ValueError: for a key that appears twice, values nested deeper than :data:`MAX_DEPTH`, numbers of more than
        :data:`MAX_DIGITS` characters, and numbers that JSON does not have (NaN, infinities).
    """
    depth = 0
    for bracket in _NO_BRACKET.sub("", _JSON_STRING.sub("", text)):
        depth += 1 if bracket in "[{" else -1
        if depth > MAX_DEPTH:
            raise ValueError(f"values nested deeper than {MAX_DEPTH}")
    return json.loads(
        text, object_pairs_hook=_unique, parse_int=_integer, parse_float=_float, parse_constant=_no_constant
    )


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("an object has the same key twice")
    return result


def _integer(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ValueError(f"a number of more than {MAX_DIGITS} characters")
    return int(digits)


def _float(digits: str) -> float:
    if len(digits) > MAX_DIGITS or not math.isfinite(float(digits)):
        raise ValueError(f"a number that is too large, or of more than {MAX_DIGITS} characters")
    return float(digits)


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")
