from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rescind.errors import GuardTrippedError, InputError, RescindError
from rescind.review import RosterLimits, RosterOptions, admit_roster, decide, read_roster_csv, read_roster_json

HEADER = "person_id,status,terminated_at,dms_user_id"
NOW = datetime(2026, 3, 1, tzinfo=UTC)
LIMITS = RosterLimits(min_people=2, max_age=timedelta(hours=24), max_leaver_percent=50)


DMS = RosterOptions(id_columns={"dms_user_id": "dms_user_id"})


def csv(*rows: str, header: str = HEADER, **options: Any) -> Any:
    options.setdefault("id_columns", {"dms_user_id": "dms_user_id"} if "dms_user_id" in header else {})
    return read_roster_csv("\n".join((header, *rows)), source="roster.csv", options=RosterOptions(**options))


def test_a_row_becomes_a_person() -> None:
    header = "person_id,name,status,terminated_at,kind,manager,department,dms_user_id,cost_centre"
    text = f"\ufeff{header}\r\nP1,Zoë,LEFT,2026-01-31,Human,P2,Data,0051,17\r\n"
    people = read_roster_csv(text.encode(), source="roster.csv", options=DMS).people
    person = people[0]
    assert (person.person_id, person.status, person.kind, person.manager) == ("P1", "left", "human", "P2")
    assert person.terminated_at == datetime(2026, 2, 1, tzinfo=UTC)
    assert person.ids == {"dms_user_id": "0051"}
    assert person.attributes == {"cost_centre": "17"}
    assert person.line == 2


def test_the_digest_is_that_of_the_bytes() -> None:
    data = (HEADER + "\nP1,active,,1\n").encode()
    assert read_roster_csv(data, source="r", options=DMS).digest == hashlib.sha256(data).hexdigest()


def test_other_columns_can_be_ids_of_other_spaces() -> None:
    people = csv("P1,active,,7", header="person_id,status,terminated_at,uin", id_columns={"uin": "wedata_user_id"})
    assert people.by_id("wedata_user_id", "7").person_id == "P1"
    assert people.spaces == {"wedata_user_id"}


def test_the_spaces_are_those_that_are_configured() -> None:
    assert csv("P1,active,,").spaces == {"dms_user_id"}
    assert csv("P1,active,", header="person_id,status,terminated_at").spaces == frozenset()


def test_two_columns_for_one_space_are_refused() -> None:
    with pytest.raises(InputError, match="two columns"):
        csv("P1,active,,7", id_columns={"a": "s", "b": "s"})


def test_semicolons() -> None:
    people = csv("P1;active", header="person_id;status", delimiter=";")
    assert people.people[0].status == "active"
    assert csv("P1;active", header="person_id;status").people == people.people
    with pytest.raises(InputError, match="delimiter is ','"):
        csv("P1;active", header="person_id;status", delimiter=",")


@pytest.mark.parametrize(
    ("text", "where", "says"),
    [
        ("", "roster.csv", "empty"),
        (" \n\n", "roster.csv", "empty"),
        (HEADER, "roster.csv", "no people"),
        (HEADER + "\nP1,active,\n", "line 2", "3 cells"),
        (HEADER + "\nP1,active,,1,9\n", "line 2", "5 cells"),
        (HEADER + "\nP1,active,,1\nP1,active,,2\n", "column person_id", "lines 2 and 3"),
        (HEADER + "\nP1,active,,1\nP2,active,,1\n", "column dms_user_id", "lines 2 and 3"),
        (HEADER + "\n,active,,1\n", "line 2, column person_id", "no person_id"),
        (HEADER + "\nP1,gone,,1\n", "line 2, column status", "unknown value"),
        (HEADER + "\nP1,left,31.01.2026,1\n", "line 2, column terminated_at", "YYYY-MM-DD"),
        (HEADER + "\nP1,left,0000-00-00,1\n", "line 2, column terminated_at", "exists"),
        (HEADER + "\nP1,active,,1.23E+18\n", "line 2, column dms_user_id", "scientific"),
        (HEADER + "\nP1,active,,51001.0\n", "line 2, column dms_user_id", "decimal point"),
        (HEADER + "\nP1,active,,#N/A\n", "line 2, column dms_user_id", "placeholder"),
        (HEADER + "\nP1\u200b,active,,1\n", "line 2, column person_id", "invisible"),
        (HEADER + "\n\u04201,active,,1\n", "line 2, column person_id", "not ASCII"),  # Cyrillic
        (HEADER + '\nP1,active,,"1\n', "roster.csv, line", "not valid CSV"),
        (HEADER + '\n"P1"x,active,,1\n', "roster.csv, line", "not valid CSV"),
        ("person_id,status\nP1,active\n", "header", "'dms_user_id' is missing"),
        ("person_id,Status\nP1,active\n", "header", "'status' is missing"),
        ("person_id,status,status\nP1,active,active\n", "header", "appears twice"),
        ("person_id,,status\nP1,,active\n", "header", "column 2 has no name"),
        ("<html><body>Sign in</body></html>\n", "header", "is missing"),
        ('{"error": "forbidden"}', "header", "is missing"),
        (
            HEADER + "\nP1,active,,1234567890123450000\nP2,active,,1234567890123460000\n",
            "column dms_user_id",
            "rounded",
        ),
    ],
)
def test_bad_files_are_refused_with_their_place(text: str, where: str, says: str) -> None:
    with pytest.raises(InputError) as caught:
        read_roster_csv(text, source="roster.csv", options=DMS)
    assert where in caught.value.field
    assert says in caught.value.problem
    assert caught.value.remedy


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "gb18030", "latin-1"])
def test_wrong_encodings_are_refused(encoding: str) -> None:
    data = (HEADER + "\nP1,active,,1\n").replace("P1", "Pé1").encode(encoding)
    with pytest.raises(InputError):
        read_roster_csv(data, source="roster.csv", options=DMS)


def test_a_file_cut_in_the_middle_of_a_row_is_refused() -> None:
    whole = HEADER + "\nP1,active,,51001\nP2,left,2026-01-01,51002\n"
    for cut in range(len(whole) - len(",51002\n"), len(HEADER) + 18, -1):
        with pytest.raises(InputError):
            read_roster_csv(whole[:cut], source="roster.csv", options=DMS)


def test_lines_are_those_of_the_file_also_after_cells_with_line_breaks() -> None:
    text = 'person_id,name,status,dms_user_id\nP1,"a\nb",active,1\nP2,x,gone,2\n'
    with pytest.raises(InputError) as caught:
        read_roster_csv(text, source="roster.csv", options=DMS)
    assert "line 3" in caught.value.field or "line 4" in caught.value.field


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_refused_as_input(data: bytes) -> None:
    with pytest.raises(InputError):
        read_roster_csv(data, source="roster.csv", options=DMS)


@given(st.text(max_size=300))
def test_arbitrary_json_text_is_refused_as_input(text: str) -> None:
    with pytest.raises(InputError):
        read_roster_json(text, source="roster.json", options=DMS)


# JSON and SCIM


def test_json_rows_read_like_csv_rows() -> None:
    rows = [{"person_id": "P1", "status": "left", "terminated_at": "2026-01-31", "dms_user_id": "51001", "level": 3}]
    from_text = read_roster_json(json.dumps(rows), source="r.json", options=DMS).people
    assert from_text == read_roster_json(rows, source="r.json", options=DMS).people
    assert from_text[0].attributes == {"level": "3"}
    assert from_text[0].ids == {"dms_user_id": "51001"}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "empty"),
        ("[]", "the list is empty"),
        ("{", "not valid JSON"),
        ('"x"', "not a list|not an object"),
        ("[1]", "not an object"),
        ("null", "not a list"),
        ('[{"person_id": "P1", "status": "active", "dms_user_id": 1234567890123456789}]', "whole number"),
        ('[{"person_id": "P1", "status": "active", "dms_user_id": 1.23E+18}]', "number with a point"),
        ('[{"person_id": 7, "status": "active", "dms_user_id": "1"}]', "whole number"),
        ('[{"person_id": null, "status": "active", "dms_user_id": "1"}]', "null"),
        ('[{"person_id": "P1", "person_id": "P2", "status": "active"}]', "same key twice"),
        ('[{"person_id": "P1"}]', "'status' is missing"),
        ('[{"person_id": "P1", "status": ["left"], "dms_user_id": "1"}]', "list of 1"),
        ('{"error": "forbidden"}', "Resources|not a list"),
        ('{"Resources": [], "totalResults": 0}', "the list is empty"),
        ('{"Resources": [{"id": "1", "active": true}], "totalResults": 2}', "totalResults says 2"),
        ('{"Resources": [{"id": "1", "active": true}]}', "totalResults says None"),
        ('{"Resources": ["x"], "totalResults": 1}', "not an object"),
        ('{"Resources": [{"id": "1", "active": "false"}], "totalResults": 1}', "not true or false"),
        ('{"Resources": null, "totalResults": 0}', "not a list"),
    ],
)
def test_bad_json_is_refused(content: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        read_roster_json(content, source="r.json", options=DMS)


def test_scim_users() -> None:
    enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
    own = "urn:example:ids"
    answer = {
        "totalResults": 2,
        "Resources": [
            {
                "id": "s-1", "externalId": "P1", "active": False, "displayName": "Ada",
                "emails": [{"value": "b@x"}, {"value": "a@x", "primary": True}],
                enterprise: {"department": "Data", "manager": {"value": "s-2"}},
                own: {"dms_user_id": "51001", "terminated_at": "2026-01-31", "kind": "human"},
            },
            {"id": "s-2", "externalId": "P2", "active": True},
        ],
    }  # fmt: skip
    roster = read_roster_json(answer, source="scim", options=DMS)
    first = roster.by_id("dms_user_id", "51001")
    assert first is not None
    assert (first.person_id, first.status, first.manager, first.email) == ("P1", "left", "P2", "a@x")
    assert first.terminated_at == datetime(2026, 2, 1, tzinfo=UTC)
    assert roster.people[1].status == "active"


@pytest.mark.parametrize(("active", "status"), [(True, "active"), (False, "left"), (None, "unknown"), ("-", "unknown")])
def test_only_active_false_says_that_somebody_left(make: SimpleNamespace, active: Any, status: str) -> None:
    own = {"urn:example:ids": {"dms_user_id": "51001", "kind": "human"}}
    first = {"id": "P1", **own, **({} if active == "-" else {"active": active})}
    answer = {"totalResults": 2, "Resources": [first, {"id": "P2", "active": True}]}
    roster = read_roster_json(answer, source="scim", options=DMS)
    assert [person.status for person in roster.people] == [status, "active"]
    known = admit_roster(roster, LIMITS, as_of=make.NOW, now=make.NOW)
    decided = decide(
        [make.grant("51001")], make.context(make.policy(make.rule('person.status == "left"')), roster=known)
    )
    assert [one.choice for one in decided] == ["revoke" if status == "left" else "keep"]


# Limits


def test_a_good_roster_is_admitted() -> None:
    roster = csv("P1,active,,1", "P2,left,2026-01-01,2")
    admitted = admit_roster(roster, LIMITS, as_of=NOW - timedelta(hours=1), now=NOW)
    assert admitted.roster is roster


@pytest.mark.parametrize(
    ("rows", "age", "guard"),
    [
        (("P1,active,,1",), timedelta(0), "roster.min_people"),
        (("P1,active,,1", "P2,active,,2"), timedelta(hours=24, seconds=1), "roster.max_age"),
        (("P1,active,,1", "P2,active,,2"), -timedelta(hours=1), "roster.max_age"),
        (("P1,left,,1", "P2,left,,2", "P3,active,,3"), timedelta(0), "roster.max_leaver_percent"),
    ],
)
def test_a_roster_outside_its_limits_decides_nothing(rows: tuple[str, ...], age: timedelta, guard: str) -> None:
    with pytest.raises(GuardTrippedError) as caught:
        admit_roster(csv(*rows), LIMITS, as_of=NOW - age, now=NOW)
    assert caught.value.guard == guard
    assert caught.value.measured


def test_the_share_of_leavers_is_compared_exactly() -> None:
    def roster(left: int) -> Any:
        return csv(*(f"P{n},{'left' if n < left else 'active'},,{n}" for n in range(100)))

    admit_roster(roster(50), LIMITS, as_of=NOW, now=NOW)
    with pytest.raises(GuardTrippedError, match="limit 50 %, measured 51 of 100 people"):
        admit_roster(roster(51), LIMITS, as_of=NOW, now=NOW)


def test_zero_percent_means_none() -> None:
    limits = RosterLimits(min_people=1, max_age=timedelta(hours=1), max_leaver_percent=0)
    with pytest.raises(GuardTrippedError):
        admit_roster(csv("P1,left,,1", "P2,active,,2"), limits, as_of=NOW, now=NOW)
    admit_roster(csv("P1,active,,1"), limits, as_of=NOW, now=NOW)


def test_the_checksum_must_fit() -> None:
    roster = csv("P1,active,,1")
    good = RosterLimits(1, timedelta(hours=1), 0, checksum=roster.digest.upper())
    admit_roster(roster, good, as_of=NOW, now=NOW)
    near = roster.digest[:-1] + ("0" if roster.digest[-1] != "0" else "1")
    for wrong in ("0" * 64, near, roster.digest[:-1], roster.digest + "0"):
        with pytest.raises(InputError, match="checksum"):
            admit_roster(roster, RosterLimits(1, timedelta(hours=1), 0, checksum=wrong), as_of=NOW, now=NOW)


@pytest.mark.parametrize(
    "limits",
    [
        RosterLimits(0, timedelta(1), 1),
        RosterLimits(1, timedelta(0), 1),
        RosterLimits(1, timedelta(1), 101),
        RosterLimits(1, timedelta(1), -1),
    ],
)
def test_limits_that_limit_nothing_are_refused(limits: RosterLimits) -> None:
    with pytest.raises(InputError):
        admit_roster(csv("P1,active,,1"), limits, as_of=NOW, now=NOW)


def test_times_without_zone_are_refused() -> None:
    with pytest.raises(InputError, match="UTC offset"):
        admit_roster(csv("P1,active,,1"), LIMITS, as_of=datetime(2026, 3, 1), now=NOW)


def test_every_refusal_is_of_the_tree(make: SimpleNamespace) -> None:
    with pytest.raises(RescindError):
        make.roster("P1")
    assert len(make.roster().people) == len(make.ROWS)


def test_an_optional_id_column_is_an_id_where_the_file_has_it() -> None:
    header = "person_id,status,terminated_at,wedata_uin"
    assert csv("P1,active,,7", header=header).by_id("wedata_uin", "7")
    assert "wedata_uin" not in csv("P1,active", header="person_id,status").spaces
    with pytest.raises(InputError, match="wedata_uin"):
        csv("P1,active,,7\nP2,active,,7", header=header)
    mapped = csv("P1,active,,7,8", header=f"{header},uin", id_columns={"uin": "wedata_uin"})
    assert mapped.by_id("wedata_uin", "8") and not mapped.by_id("wedata_uin", "7")
