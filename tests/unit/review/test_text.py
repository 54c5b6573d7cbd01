from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rescind.errors import InputError
from rescind.review.text import (
    LATEST,
    check_id,
    check_rounded,
    check_text,
    decode,
    parse_moment,
    read_json,
    read_yaml,
    shape,
    to_utc,
)


@pytest.mark.parametrize(
    "value",
    ["7", "1234567890123456789", "0001", "b2f6c8e0a1d94e7b8c3d5f6071829304", "12345678e12345678901234567890123",
     "qcs::cam::uin/100:uin/200", "a_b-c.d@e", "ALL_USERS", "1e", "e5", "12-34", "1234567890123456789012345678901e"],
)  # fmt: skip
def test_exact_ids_pass_unchanged(value: str) -> None:
    assert check_id(value, where="f") == value


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("1.23E+18", "scientific"),
        ("1.23e18", "scientific"),
        ("1,23E+18", "scientific"),
        ("7E+11", "scientific"),
        ("123e9", "scientific"),
        ("700000000001.0", "decimal point"),
        ("12.", "decimal point"),
        ("null", "placeholder"),
        ("#N/A", "placeholder"),
        ("NaN", "placeholder"),
        ("-", "placeholder"),
        ("a b", "blank"),
        ("a\u00a0b", "not ASCII"),
        ("7000\u200b01", "invisible"),
        ("a\tb", "invisible"),
        ("a\nb", "invisible"),
        ("\u0430dmin", "not ASCII"),  # Cyrillic a
        ("\uff17\uff10\uff10", "not ASCII"),  # full-width digits
        (1234567890123456789, "whole number"),
        (1.23e18, "number with a point"),
        (None, "null"),
        (True, "true/false"),
        (["1"], "list"),
    ],
)
def test_damaged_ids_are_refused_with_their_shape(value: object, says: str) -> None:
    with pytest.raises(InputError) as caught:
        check_id(value, where="roster.csv, line 3, column dms_user_id")
    assert says in str(caught.value)
    assert caught.value.field == "roster.csv, line 3, column dms_user_id"
    assert caught.value.remedy


def test_the_value_of_an_id_is_not_shown() -> None:
    with pytest.raises(InputError) as caught:
        check_id("secret 1234567", where="f")
    assert "1234567" not in str(caught.value)


def test_ids_rounded_by_a_spreadsheet_are_refused_together() -> None:
    with pytest.raises(InputError, match="rounded"):
        check_rounded(["1234567890123450000", "1234567890123460000"], where="column")
    with pytest.raises(InputError, match="rounded"):
        check_rounded(["2046123456789010", "2046123456789020", "2046123456789030", "2046123456789040"], where="column")


@pytest.mark.parametrize(
    "ids", [[], ["10", "20"], ["1234567890123456780", "1234567890123456789"], ["2046123456789010"]]
)
def test_ids_that_merely_end_in_zero_pass(ids: list[str]) -> None:
    check_rounded(ids, where="column")


def test_encodings() -> None:
    assert decode("\ufeffa,b".encode(), source="f") == "a,b"
    assert decode("名,b".encode(), source="f") == "名,b"
    for data, says in (
        ("a,b".encode("utf-16"), "UTF-16"),
        ("a\nb,\u540d".encode("gb18030"), "line 2 holds byte 0x"),
        ("é".encode("latin-1"), "not UTF-8"),
        (b"a\x00b", "NUL"),
        ("x\ufffdy", "replacement"),
    ):
        with pytest.raises(InputError, match=says):
            decode(data, source="roster.csv")


def test_invisible_characters_are_refused_and_names_are_not() -> None:
    assert check_text("  Zoë Müller 王 ", where="f") == "Zoë Müller 王"
    for text in ("admin\u200d", "\u202eadmin", "a\x1bb"):
        with pytest.raises(InputError, match=r"invisible \(U\+"):
            check_text(text, where="f")


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-31", datetime(2026, 2, 1, tzinfo=UTC)),
        ("2026-01-31T08:00:00+08:00", datetime(2026, 1, 31, tzinfo=UTC)),
        ("2026-01-31 08:00", datetime(2026, 1, 31, 8, tzinfo=UTC)),
        ("2026-01-31T08:00:00Z", datetime(2026, 1, 31, 8, tzinfo=UTC)),
        ("2024-02-29", datetime(2024, 3, 1, tzinfo=UTC)),
        ("9999-12-31", LATEST),
        ("9999-12-31T23:59:59-12:00", LATEST),
        ("9998-12-31", datetime(9999, 1, 1, tzinfo=UTC)),
    ],
)
def test_dates(text: str, moment: datetime) -> None:
    assert parse_moment(text, where="f") == moment


@pytest.mark.parametrize(
    "text",
    ["0000-00-00", "2026-13-01", "2026-02-30", "03/04/2026", "04.03.2026", "20260304", "2026-3-4", "1772366400",
     "46000", "2026-01-01T25:00:00", "2026-01-01T10:00:00+99:00", "yesterday", "2026-W10-1", "", "2026-01-01T24:00:01"],
)  # fmt: skip
def test_other_dates_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="YYYY-MM-DD"):
        parse_moment(text, where="f")


def test_where_clocks_jump_the_later_reading_counts() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    gap = parse_moment("2026-03-29T02:30:00", where="f", zone=berlin)
    assert gap >= datetime(2026, 3, 29, 1, 0, tzinfo=UTC)
    twice = parse_moment("2026-10-25T02:30:00", where="f", zone=berlin)
    assert twice == datetime(2026, 10, 25, 1, 30, tzinfo=UTC)
    assert parse_moment("2026-01-31", where="f", zone=berlin) == datetime(2026, 1, 31, 23, tzinfo=UTC)


@given(st.datetimes(timezones=st.timezones()))
def test_every_moment_keeps_its_place_in_utc(moment: datetime) -> None:
    result = to_utc(moment)
    assert result.utcoffset() == timedelta(0)
    assert result <= LATEST
    if 2 <= moment.year <= 9998:
        assert result == moment.astimezone(UTC)


def test_a_moment_without_zone_is_refused() -> None:
    with pytest.raises(InputError, match="UTC offset"):
        to_utc(datetime(2026, 1, 1))


@given(st.text(max_size=40))
def test_any_text_is_either_refused_or_kept_exactly(text: str) -> None:
    try:
        result = check_id(text, where="f")
    except InputError:
        return
    assert result == text.strip(" \t")
    assert result.isascii()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "empty"),
        ("# only a comment\n", "empty"),
        ("a: 1\na: 2\n", "appears twice"),
        ("a: [1, 2\n", "not valid YAML"),
        ("a: &x 1\nb: *x\n", "line 1, column 4.*anchor"),
        ("a: &x 1\n", "anchor"),
        ("a: *x\n", "alias"),
        ("a: !!int '5'\n", "line 1, column 4.*a tag"),
        ("a: !!str 5\n", "a tag"),
        ("a: !!timestamp 2026-01-01\n", "a tag"),
        ("a: !!binary aGk=\n", "a tag"),
        ("a: !!set {b}\n", "a tag"),
        ("a: !!omap [{b: 1}]\n", "a tag"),
        ("a: ! b\n", "a tag"),
        ("a: !mine b\n", "a tag"),
        ("!!map {a: 1}\n", "a tag"),
        ("!!str a: 1\n", "a tag"),
        ("a: " + "9" * 41 + "\n", "a number of more than 40 characters"),
        ("a: " + "9" * 5000 + "\n", "a number of more than 40 characters"),
        ("a: 1." + "0" * 50 + "\n", "a number of more than 40 characters"),
        ("a: 1e999\n", "a number that is too large"),
        ("a: " + "[" * 32 + "]" * 32 + "\n", "nested deeper than 32"),
        ("a: " + "{b: " * 40 + "1" + "}" * 40 + "\n", "nested deeper than 32"),
        ("1: a\n", "not text"),
        ("a: !!python/object:os.system {}\n", "a tag"),
        ("a: 1\n---\nb: 2\n", "not valid YAML"),
        ("a: \x07\n", "not valid YAML"),
        ("? [a]\n: 1\n", "not text"),
        ("a: {<<: {b: 1}}\n" * 2, "appears twice"),
        ("[" * 600, "nested deeper than 32"),
        ("- " * 600, "nested deeper than 32"),
    ],
)
def test_bad_yaml_is_refused(text: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        read_yaml(text, source="p.yaml")


def test_yaml_scalars_stay_what_they_look_like() -> None:
    file = read_yaml(
        "id: 1234567890123456789\noctal: 0123\ndate: 2026-01-01\nyes: yes\ntime: 12:30:45\nfloat: 1.23E+18\n"
        "none: ~\nflag: true\nempty:\nhex: 0x1F\n",
        source="p.yaml",
    )
    assert file.data == {
        "id": 1234567890123456789, "octal": "0123", "date": "2026-01-01", "yes": "yes", "time": "12:30:45",
        "float": 1.23e18, "none": None, "flag": True, "empty": None, "hex": "0x1F",
    }  # fmt: skip
    assert file.line(("date",)) == 3
    assert file.line(("date", 7, "x")) == 3


def test_broken_yaml_names_line_and_column() -> None:
    with pytest.raises(InputError) as caught:
        read_yaml("a: 1\nb: 'open\n", source="p.yaml")
    assert caught.value.field.startswith("p.yaml, line ")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("abc", "text of 3 characters"),
        ("", "empty text"),
        (3, "whole number"),
        ({"a": 1}, "mapping of 1"),
        (object(), "a object"),
    ],
)
def test_shapes(value: object, words: str) -> None:
    assert words in shape(value)


def test_the_bounds_of_yaml_are_inclusive() -> None:
    assert read_yaml("a: " + "9" * 40, source="p.yaml").data == {"a": 10**40 - 1}
    deep = read_yaml("[" * 31 + "1" + "]" * 31, source="p.yaml").data
    for _ in range(31):
        (deep,) = deep
    assert deep == 1
    wide = "".join(f"- {{a: [{number}]}}\n" for number in range(100))
    assert read_yaml(wide, source="p.yaml").data[99] == {"a": [99]}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[" * 33 + "]" * 33, "nested deeper than 32"),
        ("[" * 100_000, "nested deeper than 32"),
        ('{"a":' * 33 + "1" + "}" * 33, "nested deeper than 32"),
        ("9" * 41, "more than 40 characters"),
        ("9" * 5000, "more than 40 characters"),
        ("1." + "0" * 50, "more than 40 characters"),
        ("1e999", "too large"),
        ("NaN", "NaN is not"), ("Infinity", "Infinity is not"), ("[-Infinity]", "-Infinity is not"),
        ('{"a": 1, "a": 2}', "same key twice"),
        ("[1,", "Expecting"), ("", "Expecting"), ('"' + "[" * 40, "Unterminated"),
    ],
)  # fmt: skip
def test_bad_json_is_refused(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        read_json(text)


def test_json_within_its_bounds_is_read() -> None:
    assert read_json("[" * 32 + "]" * 32)
    assert read_json('{"a": "' + "[{" * 90 + '\\"[", "n": ' + "9" * 40 + "}")["n"] == 10**40 - 1
    assert read_json('{"date": "2026-01-01", "float": 1.5}') == {"date": "2026-01-01", "float": 1.5}
