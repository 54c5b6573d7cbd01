"""Where an id, a mail or a name may be another person's, nothing is concluded and nobody is named by it."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest

from rescind.errors import InputError
from rescind.review import Roster, RosterOptions, Target, read_roster_csv, read_roster_json, resolve_request
from rescind.review.request import RequestedTargets
from rescind.review.roster.id_map import read_id_map
from rescind.review.roster.lookup import find_person
from rescind.review.roster.matching import match_person
from rescind.review.roster.presets import PRESETS
from rescind.review.roster.shrink import sizes
from rescind.systems import id_spaces

HEADER = "person_id,name,email,status,terminated_at,kind,manager,dms_user_id,quickbi_user_id"
GOOD = [f"P{n},Name {n},p{n}@example.com,active,,human,P1,5100{n:02},q{n}" for n in range(1, 41)]
LEAVER = "P77,Bo,bo@example.com,left,2026-01-31,human,P1,510077,q77"
OPTIONS = RosterOptions(id_columns={name: name for name in ("dms_user_id", "quickbi_user_id")})


def read(*rows: str, options: RosterOptions = OPTIONS) -> Roster:
    return read_roster_csv("\n".join([HEADER, *GOOD, *rows]) + "\n", source="r.csv", options=options)


def method(roster: Roster, space: str, value: str) -> str:
    return match_person("user", [(space, value)], roster).method


def with_map(text: str, *rows: str) -> Roster:
    plain = "\n".join(row.rpartition(",")[0].rpartition(",")[0] for row in [HEADER, *GOOD, *rows]) + "\n"
    options = RosterOptions(id_columns={}, id_map=read_id_map(text, source="ids.csv"))
    return read_roster_csv(plain, source="r.csv", options=options)


def test_people_to_whom_the_id_map_gives_one_id_are_not_absent_by_their_other_ids() -> None:
    roster = with_map("person_id,dms_user_id,quickbi_user_id\nP1,1,q1\nP2,1,q2\nP3,3,q3\n")
    assert [row.line for row in roster.aside.rows] == [2, 3]
    assert [method(roster, "quickbi_user_id", f"q{n}") for n in (1, 2, 3)] == [*["set_aside"] * 2, "id:quickbi_user_id"]
    assert method(roster, "quickbi_user_id", "zz") == "none"


def test_a_leaver_to_whom_the_id_map_gives_two_ids_is_held() -> None:
    roster = with_map("person_id,dms_user_id\nP77,1\nP77,2\nP3,3\n", LEAVER.replace("bo@example.com", ""))
    assert [person.person_id for person in roster.held] == ["P77"]
    assert "line 3 of the id map" in roster.held[0].held


def test_a_row_of_the_id_map_with_the_mail_of_somebody_else_gives_nobody_its_ids() -> None:
    mails = ["p1@example.com", "P2@Example.com ", "", "p5@example.com"]
    lines = "".join(f"P{n},{mail},{n}\n" for n, mail in enumerate(mails, 1))
    roster = with_map(f"person_id,email,dms_user_id\n{lines}")
    assert [method(roster, "dms_user_id", f"{n}") for n in (1, 2, 3)] == ["id:dms_user_id"] * 3
    assert method(roster, "dms_user_id", "4") == "set_aside"
    with pytest.raises(InputError, match="0 of 2 rows name a person of the roster by person_id and email"):
        with_map("person_id,email,dms_user_id\nP1,a@example.org,1\nP2,b@example.org,2\n")


def test_rows_of_the_id_map_are_no_people_of_the_roster() -> None:
    lines = "".join(f"P{n},5100{n:02}\n" for n in range(1, 61))
    roster = with_map(f"person_id,dms_user_id\n{lines}")
    assert len(roster.aside.rows) == 20
    assert sizes(roster) == {"people": 40, "dms_user_id": 40}


@pytest.mark.parametrize(
    "bad",
    [
        "P77,Bo,,active,2026-02-30,human,P1,,",
        "P77,Bo,,active,human,P1",
        "p77 ,Bo,,active,2026-02-30,human,P1,,",
    ],
)
def test_a_leaver_whose_person_id_stands_in_a_bad_row_is_held(bad: str) -> None:
    assert [person.person_id for person in read(LEAVER, bad).held] == ["P77"]


def test_a_leaver_who_is_the_manager_of_a_bad_row_is_not_held() -> None:
    assert read(LEAVER, "P78,Al,,active,2026-02-30,human,P77,510078,").held == ()


def test_a_held_leaver_with_a_date_shows_that_the_roster_has_dates() -> None:
    roster = read(LEAVER, "P78,Bo,bo@example.com,active,,human,P1,,", "P79,Cy,cy@example.com,left,,human,P1,,")
    assert len(roster.held) == 1 and roster.tells_dates


def test_a_column_may_be_an_id_of_a_platform_and_one_of_ours() -> None:
    options = RosterOptions(columns={"person_id": "uid"}, id_columns={"uid": "dms_user_id"})
    roster = read_roster_csv("uid,status\n51001,active\n51002,left\n", source="r.csv", options=options)
    assert [person.ids for person in roster.people] == [{"dms_user_id": "51001"}, {"dms_user_id": "51002"}]
    assert method(roster, "dms_user_id", "51001") == "id:dms_user_id"


@pytest.mark.parametrize("preset", ["", "bamboohr"])
def test_a_column_of_ids_with_our_name_of_another_column_is_refused(preset: str) -> None:
    mapped = {} if preset else {"manager": "boss"}
    options = RosterOptions(columns=mapped, id_columns={"manager": "dms_user_id"}, preset=PRESETS.get(preset))
    text = "person_id,id,status,boss,manager\n51,51,active,61,71\n52,52,active,61,72\n"
    with pytest.raises(InputError, match="'manager' has our name of a column that is not it"):
        read_roster_csv(text, source="r.csv", options=options)


@pytest.mark.parametrize("given", [510003.0, ["510003"], ["510003", "510004"]])
def test_an_id_that_a_preset_cannot_read_is_not_one_that_is_missing(given: object) -> None:
    people = [
        {"id": f"u{n}", "status": "ACTIVE", "profile": {"login": f"a{n}@x.com", "dms": str(510000 + n), "tags": ["a"]}}
        for n in range(1, 21)
    ]
    people[2]["profile"]["dms"] = given  # type: ignore[index]
    people[5]["profile"]["dms"] = []  # type: ignore[index]
    options = RosterOptions(preset=PRESETS["okta"], id_columns={"profile.dms": "dms_user_id"})
    roster = read_roster_json(json.dumps(people), source="okta", options=options)
    assert [row.line for row in roster.aside.rows] == [3]
    assert method(roster, "dms_user_id", "510003") == "set_aside"


@pytest.mark.parametrize(
    ("text", "hours"),
    [
        ("2026-07-31", 16),
        ("2026-07-31T00:00:00+08:00", 16),
        ("2026-07-30T16:00:00Z", 16),  # midnight in Shanghai, as a service writes it that keeps times in UTC
        ("2026-07-30T16:00:00.000Z", 16),
        ("2026-07-30 18:00+02:00", 16),
        ("2026-07-31T00:00:00Z", 24),
        ("2026-07-31T09:30:00Z", 9.5),
    ],
)
def test_a_midnight_of_the_zone_lasts_its_day_however_it_is_written(text: str, hours: float) -> None:
    options = replace(OPTIONS, zone=ZoneInfo("Asia/Shanghai"))
    moment = read(LEAVER.replace("2026-01-31", text), options=options).people[-1].terminated_at
    assert moment is not None and (moment.month, moment.day) == ((8, 1) if hours == 24 else (7, 31))
    assert moment.hour + moment.minute / 60 == hours % 24


SHARED = (LEAVER, "P78,Ann,ann@example.com,active,,human,P1,510077,q78")


@pytest.mark.parametrize(
    ("rows", "value", "says"),
    [
        (SHARED, "510077", r"2 people \(P77, P78\)"),
        (("bo@x.com,Bo,,active,,human,P1,,", "P78,Ann,bo@x.com,active,,human,P1,,"), "bo@x.com", "2 people"),
        (("lee,Bo,,active,,human,P1,,", "P78,Lee,,active,,human,P1,,"), "lee", "2 people"),
        (("P77,Jose\u0301 D,,active,,human,P1,,", "P78,Jos\u00e9 D,,active,,human,P1,,"), "Jos\u00e9 D", "2 people"),
        ((LEAVER, "P78,Ann,,active,2026-02-30,human,P1,510077,"), "510077", "one person .* line 43"),
        ((LEAVER, "P78,Ann,,active,,human,P1,5.1E+05,"), "510077", "one person .* line 43"),
    ],
)
def test_a_target_that_may_mean_two_people_is_refused(rows: tuple[str, ...], value: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        find_person(value, read(*rows), where="principals, entry 1")


@pytest.mark.parametrize("rows", [SHARED, (LEAVER, "P78,Ann,,active,2026-02-30,human,P1,510077,")])
def test_an_account_of_two_people_is_named_alone_where_its_space_is_given(
    make: SimpleNamespace, rows: tuple[str, ...]
) -> None:
    admitted = replace(make.admitted(), roster=read(*rows))
    wanted = RequestedTargets(principals=(Target("dms_user_id:510077"),), systems=("dms_permissions",))
    found = resolve_request(wanted, admitted, id_spaces())
    assert (found.people, found.ids) == (frozenset(), {("dms_user_id", "510077")})
    assert found.notes[0].startswith("the roster does not say for certain whose dms_user_id:510077 is")
