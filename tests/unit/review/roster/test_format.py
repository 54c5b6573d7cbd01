"""Exports with names, words, zones and separators of their own, and what the command says about them."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rescind import cli
from rescind.errors import ConfigurationError, InputError
from rescind.review import Roster, RosterOptions, read_roster_csv, read_roster_json
from rescind.review.roster.admit import DEFAULT_ID_COLUMNS
from rescind.review.roster.remarks import remarks
from rescind.settings import Settings
from rescind.settings.roster import RosterFormat
from rescind.workflow.inputs import roster_options

IDS = {"DMS": "dms_user_id"}
OURS = "person_id,status,terminated_at,dms_user_id"
PLAIN = RosterOptions(id_columns={"dms_user_id": "dms_user_id"})
MAPPED = RosterOptions(
    id_columns=IDS,
    zone=ZoneInfo("Asia/Shanghai"),
    columns={"person_id": "Employee ID", "status": "Employment Status", "terminated_at": "Last Day", "manager": "Boss"},
    values={"status": {"Terminated": "left", "Employed": "active", "On Leave": ""}},
)
EXPORT = (
    "Employee ID,Employment Status,Last Day,Boss,DMS,status\n"
    "1,EMPLOYED,,,51001,x\n"
    "2,terminated,2026-01-31,1,51002,y\n"
    "3,On leave,,Grace Hopper,51003,\n"
)


def test_the_setting_and_the_reader_agree_on_the_columns_with_ids() -> None:
    assert RosterFormat().id_columns == DEFAULT_ID_COLUMNS


def csv(text: str, options: RosterOptions = PLAIN) -> Roster:
    return read_roster_csv(text, source="r.csv", options=options)


def test_an_export_with_names_and_words_of_its_own_is_mapped() -> None:
    one, two, three = csv(EXPORT, MAPPED).people
    assert [person.status for person in (one, two, three)] == ["active", "left", "unknown"]
    assert (two.person_id, two.manager, two.ids) == ("2", "1", {"dms_user_id": "51002"})
    assert two.terminated_at == datetime(2026, 1, 31, 16, tzinfo=UTC)  # midnight after it in Shanghai
    assert three.manager == "Grace Hopper"
    assert one.attributes == {"status (of the file)": "x"}


def test_the_same_mapping_reads_a_list_of_objects() -> None:
    names, *rows = (line.split(",") for line in EXPORT.splitlines())
    content = json.dumps([dict(zip(names, row, strict=True)) for row in rows])
    people = read_roster_json(content, source="r.json", options=MAPPED).people
    assert [person.terminated_at for person in people] == [
        person.terminated_at for person in csv(EXPORT, MAPPED).people
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"columns": {**MAPPED.columns, "person_id": "Worker"}}, "the column 'Worker' is missing"),
        ({"columns": {**MAPPED.columns, "manager": "Chief"}}, "the column 'Chief' is missing"),
        ({"columns": {"nickname": "Boss"}}, "unknown column 'nickname'"),
        ({"values": {}}, "line 2, column Employment Status: an unknown value"),
        ({"values": {"status": {"terminated": "gone"}}}, "column Employment Status: an unknown value"),
        ({"id_columns": {"DMS ": "dms_user_id"}}, "'DMS ' is missing"),
    ],
)
def test_a_mapping_that_does_not_fit_is_refused_by_name(change: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        csv(EXPORT, replace(MAPPED, **change))  # type: ignore[arg-type]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("first", ["", "sep={}\n", '"sep={}"\r\n'])
def test_the_delimiter_is_the_one_of_the_header(delimiter: str, first: str) -> None:
    text = f"{OURS}\nP1,left,2026-01-31,51001\n".replace(",", delimiter)
    (person,) = csv(first.format(delimiter) + text).people
    assert (person.status, person.ids, person.line) == ("left", {"dms_user_id": "51001"}, 3 if first else 2)
    with pytest.raises(InputError, match=f"line {4 if first else 3}: 1 cells"):
        csv(first.format(delimiter) + text + "short\n")


def test_a_delimiter_that_is_set_is_not_guessed() -> None:
    with pytest.raises(InputError, match="the delimiter is ';'"):
        csv(f"{OURS}\nP1,left,,51001\n", RosterOptions(id_columns=PLAIN.id_columns, delimiter=";"))


@pytest.mark.parametrize(
    ("zone", "text", "ends"),
    [
        ("UTC", "2026-07-31", "2026-08-01T00:00+00:00"),
        ("UTC", "2026-07-31T00:00:00Z", "2026-08-01T00:00+00:00"),
        ("UTC", "2026-07-31T00:00:00.000Z", "2026-08-01T00:00+00:00"),
        ("UTC", "2026-07-31 00:00", "2026-08-01T00:00+00:00"),
        ("Asia/Shanghai", "2026-07-31T00:00:00Z", "2026-08-01T00:00+00:00"),
        ("America/Los_Angeles", "2026-07-31T00:00:00Z", "2026-08-01T07:00+00:00"),
        ("UTC", "2026-07-31T00:00:00-08:00", "2026-08-01T08:00+00:00"),
        ("UTC", "2026-07-31T18:00:00+08:00", "2026-07-31T10:00+00:00"),
        ("UTC", "2026-07-31T00:00:01Z", "2026-07-31T00:00:01+00:00"),
        ("UTC", "9999-12-31T00:00:00Z", "9999-12-31T00:00+00:00"),
    ],
)
def test_an_exact_midnight_lasts_the_whole_day(zone: str, text: str, ends: str) -> None:
    options = RosterOptions(id_columns=PLAIN.id_columns, zone=ZoneInfo(zone))
    (person,) = csv(f"{OURS}\nP1,left,{text},51001\n", options).people
    assert person.terminated_at == datetime.fromisoformat(ends)


@pytest.mark.parametrize(
    ("zone", "end_of_day", "text", "ends"),
    [
        ("Asia/Shanghai", "18:00", "2026-07-31", "2026-07-31T10:00+00:00"),
        ("Asia/Shanghai", "24:00", "2026-07-31", "2026-07-31T16:00+00:00"),
        ("Asia/Shanghai", "18:00", "2026-07-31 00:00", "2026-07-31T10:00+00:00"),
        ("Asia/Shanghai", "18:00", "2026-07-31T00:00:00+08:00", "2026-07-31T10:00+00:00"),
        # A midnight of the zone, written in UTC.
        ("Asia/Shanghai", "18:00", "2026-07-30T16:00:00Z", "2026-07-31T10:00+00:00"),
        # A midnight in UTC may mean that day in UTC or in the zone: the later one counts.
        ("Asia/Shanghai", "18:00", "2026-07-31T00:00:00Z", "2026-07-31T18:00+00:00"),
        ("America/Los_Angeles", "18:00", "2026-07-31T00:00:00Z", "2026-08-01T01:00+00:00"),
        # A day of 23 hours, one of 25.
        ("America/Los_Angeles", "17:30", "2026-03-08", "2026-03-09T00:30+00:00"),
        ("America/Los_Angeles", "24:00", "2026-03-08 00:00", "2026-03-09T07:00+00:00"),
        ("America/Los_Angeles", "17:30", "2026-11-01", "2026-11-02T01:30+00:00"),
        # A time stays as it is.
        ("Asia/Shanghai", "18:00", "2026-07-31T23:00:00", "2026-07-31T15:00+00:00"),
        ("Asia/Shanghai", "18:00", "2026-07-31T09:00:00Z", "2026-07-31T09:00+00:00"),
        ("UTC", "12:00", "9999-12-31", "9999-12-31T00:00+00:00"),
    ],
)
def test_a_date_without_a_time_lasts_until_the_end_of_the_working_day(
    zone: str, end_of_day: str, text: str, ends: str
) -> None:
    form = RosterFormat(id_columns={"dms_user_id": "dms_user_id"}, zone=zone, end_of_day=end_of_day)
    options = roster_options(form.model_dump(mode="json"), 10)
    (person,) = csv(f"{OURS}\nP1,left,{text},51001\n", options).people
    assert person.terminated_at == datetime.fromisoformat(ends)


@given(
    day=st.dates(datetime(1990, 1, 1).date(), datetime(2090, 1, 1).date()),
    zone=st.sampled_from(["UTC", "Asia/Shanghai", "America/Los_Angeles", "Australia/Lord_Howe", "America/Santiago"]),
    minutes=st.integers(12 * 60, 24 * 60),
    suffix=st.sampled_from(["", " 00:00", "T00:00:00Z", "T00:00:00+14:00", "T00:00:00-12:00"]),
)
def test_the_clocks_of_the_zone_show_the_end_of_day(day: date, zone: str, minutes: int, suffix: str) -> None:
    clock = f"{minutes // 60}:{minutes % 60:02}"
    form = RosterFormat(id_columns={"dms_user_id": "dms_user_id"}, zone=zone, end_of_day=clock)
    options = roster_options(form.model_dump(mode="json"), 10)
    (person,) = csv(f"{OURS}\nP1,left,{day}{suffix},51001\n", options).people
    assert person.terminated_at is not None
    local = person.terminated_at.astimezone(ZoneInfo(zone))
    shown = f"{local.date()} {local:%H:%M}"
    expected = f"{day + timedelta(days=1)} 00:00" if clock == "24:00" else f"{day} {clock}"
    if "T" in suffix:
        assert shown >= expected  # the reading in the stated offset may be later
        stated = person.terminated_at.astimezone(datetime.fromisoformat(f"{day}{suffix}").tzinfo)
        assert expected in (shown, f"{stated.date()} {stated:%H:%M}")
    else:
        # Only a clock that jumps over this time shows a later one.
        assert shown == expected or (shown > expected and (local - timedelta(hours=2)).utcoffset() != local.utcoffset())


@pytest.mark.parametrize(
    "wrong", ["6:00", "06:00", "11:59", "00:00", "24:01", "25:00", "18:60", "18", "6 pm", "", "\uff118:00"]
)
def test_an_end_of_day_that_may_be_meant_otherwise_is_refused(wrong: str) -> None:
    with pytest.raises(ConfigurationError, match=r"end_of_day.* 12:00 to 24:00.* clock of 24 hours"):
        Settings.parse({"roster_format": {"end_of_day": wrong}}, connections={})


def test_a_manager_that_scim_sends_as_text_is_read() -> None:
    extension = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
    boss = {"id": "a", "externalId": "P1", "active": True}
    users = [boss, {"id": "b", "externalId": "P2", "active": True, extension: {"manager": "a"}}]
    data = {"totalResults": 2, "Resources": users}
    roster = read_roster_json(data, source="scim", options=RosterOptions(id_columns={}))
    assert [person.manager for person in roster.people] == ["", "P1"]


def test_remarks_name_what_cannot_be_concluded() -> None:
    text = (
        "person_id,status,terminated_at,manager,email,dms_user_id\n"
        "P1,active,,,ada@example.com,51001\nP2,left,,ada@example.com,bo@example.com,51002\n"
        "P3,left,2026-01-31,P1,ada@example.com,51003\nP4,left,2026-01-31,P1,,\n"
    )
    roster = csv(text)
    assert remarks(roster) == [
        "person P3 (line 4) is held: left, and line 2 with the same email is active. "
        "No rule acts on its status or date",
        "1 person has left without a date: no rule about the leaving date can act on them (P2)",
        "1 person with a manager who is nobody's person_id, but may be somebody here written in another way (P2)",
        "1 person is not active and without an id in any platform, so no access is found for them (P4)",
    ]
    without = " ".join(remarks(roster, names=False))
    assert "2 people" not in without and not any(name in without for name in ("P2", "P3", "P4"))


def test_a_roster_without_leavers_says_so() -> None:
    assert "nobody in this roster has left" in remarks(csv(f"{OURS}\nP1,active,,51001\n"))[-1]


def _settings(tmp_path: Path) -> Path:
    form = {
        "columns": dict(MAPPED.columns),
        "values": {"status": {"terminated": "left", "employed": "active", "on leave": ""}},
        "id_columns": IDS,
        "zone": "Asia/Shanghai",
        "end_of_day": "18:30",
    }
    path = tmp_path / "settings.json"
    path.write_text(json.dumps({"rescind_settings": {"roster_format": form, "roster_min_people": 3}}))
    return path


def test_the_command_prints_how_a_file_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, settings = tmp_path / "people.csv", _settings(tmp_path)
    path.write_text(EXPORT)
    assert cli.main(["roster", str(path), "--settings", str(settings), "--on", "2026-01-15"]) == 0
    said = capsys.readouterr().out
    assert "3 people: 1 active, 1 left, 1 unknown" in said and "3 have a dms_user_id" in said
    assert "0 have left by 2026-01-15 00:00 UTC; 1 leave later" in said
    assert "2: from 2026-01-31 10:30 UTC (line 3)" in said
    assert "a leaving date without a time lasts until 18:30 of that day, Asia/Shanghai" in said
    assert said.endswith("a review would use this roster\n")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("people.csv", EXPORT.replace("EMPLOYED", "contractor"), "line 2, column Employment Status"),
        ("people.csv", "\n".join(EXPORT.splitlines()[:3]), "roster.min_people"),
        ("people.xlsx", "x", "kind .xlsx"),
        ("people.csv", None, "No such file|cannot be read"),
    ],
)
def test_the_command_fails_where_a_review_would(
    name: str, content: str | None, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = _settings(tmp_path)
    if content is not None:
        (tmp_path / name).write_text(content)
    assert cli.main(["roster", str(tmp_path / name), "--settings", str(settings)]) == 1
    assert re.search(message, capsys.readouterr().err)


@pytest.mark.parametrize(
    ("form", "named"),
    [
        ({"zone": "Mars/Olympus"}, "IANA time zone"),
        ({"delimiter": "::"}, "delimiter"),
        ({"values": {"name": {}}}, "values"),
        ({"zones": {}}, "zones"),
    ],
)
def test_a_wrong_format_is_a_configuration_error(form: dict[str, object], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        Settings.parse({"roster_format": form}, connections={})
