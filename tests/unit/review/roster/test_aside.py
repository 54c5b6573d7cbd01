"""One bad row is named and set aside; anyone who may be meant by it keeps everything."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from rescind.errors import GuardTrippedError, InputError
from rescind.review import Decider, Roster, RosterLimits, RosterOptions, admit_roster, read_roster_csv
from rescind.review.policy.load import Policy
from rescind.review.roster.age import oldest
from rescind.review.roster.aside import folded
from rescind.review.roster.matching import match_person
from rescind.review.roster.remarks import remarks
from rescind.review.roster.shrink import check_shrink, sizes

HEADER = "person_id,name,email,status,terminated_at,kind,manager,dms_user_id"
GOOD = [f"P{n},Name {n},p{n}@example.com,active,,human,P1,5100{n:02}" for n in range(1, 20)]
LEAVER = "P77,Bo,bo@example.com,left,2026-01-31,human,P1,510077"
OPTIONS = RosterOptions(id_columns={"dms_user_id": "dms_user_id"})


def read(*rows: str, header: str = HEADER, end: str = "\n", options: RosterOptions = OPTIONS) -> Roster:
    return read_roster_csv("\n".join([header, *GOOD, *rows]) + end, source="r.csv", options=options)


def rule_of(make: SimpleNamespace, roster: Roster, policy: Policy, principal: str) -> str:
    limits = RosterLimits(min_people=1, max_age=make.NOW - datetime(2000, 1, 1, tzinfo=UTC), max_leaver_percent=100)
    admitted = admit_roster(roster, limits, as_of=make.NOW, now=make.NOW)
    context = make.context(policy, roster=admitted, complete=frozenset({"roster"}))
    return str(Decider(context).decide(make.grant(principal)).rule)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("P77,Bo,bo@example.com,left,2026-02-30,human,P1,510077", "line 21, column terminated_at: not a date"),
        ("P77,Bo,bo@example.com,left,2026-01-31,human,P1,5.1E+05", "line 21, column dms_user_id: an id in scientific"),
        ("P77,Bo,bo@example.com,left,2026-01-31,human,P1,#N/A", "column dms_user_id: a placeholder"),
        ('P77,Bo,bo@example.com,left,2026-01-31,human,P1,="510077"', "column dms_user_id: an id with the signs"),
        ("P77,Bo,bo@example.com,left,2026-01-31,human,P1,'510077", "column dms_user_id: an id with the signs"),
        ("P 77,Bo,bo@example.com,left,2026-01-31,human,P1,510077", "column person_id: a blank inside"),
        (",Bo,bo@example.com,left,2026-01-31,human,P1,510077", "column person_id: no person_id"),
        ("P77,Bo,bo@example.com,left,2026-01-31,human,P1,510077,extra", "line 21: 9 cells"),
        ("P77,Bo,bo@example.com,left,human,P1", "line 21: 6 cells"),
    ],
)
def test_one_bad_row_is_named_and_its_grants_are_held(make: SimpleNamespace, bad: str, reason: str) -> None:
    roster = read(bad)
    assert len(roster.people) == 19
    (row,) = roster.aside.rows
    assert reason in row.reason and reason.partition(":")[0] in remarks(roster)[0]
    nobody = make.policy(make.rule("!person.known", absence=True))
    for policy in (make.shipped("leavers"), nobody):
        assert rule_of(make, roster, policy, "510077") == "kept.otherwise"
    assert match_person("user", [("dms_user_id", "510077")], roster).method == "set_aside"
    assert match_person("user", [("dms_user_id", "510001")], roster).person is not None


def test_where_the_row_can_have_no_other_id_a_stranger_stays_a_stranger(make: SimpleNamespace) -> None:
    roster = read("P77,Bo,bo@example.com,left,2026-02-30,human,P1,510077")
    assert match_person("user", [("dms_user_id", "599999")], roster).method == "none"
    unread = read("P77,Bo,bo@example.com,left,2026-01-31,human,P1,5.1E+05")
    assert match_person("user", [("dms_user_id", "599999")], unread).method == "set_aside"


@pytest.mark.parametrize(
    "active",
    [
        "P99,Bo,bo@example.com,active,,human,P1,#N/A",
        "P99,Bo,bo@example.com,active,,human,P1,5.10077E+05",
        "P99,Bo,x@example.com,active,,human,P1,510077.0",
        "P99,Bo,x@example.com,active,,human,P1,5.1E+05",
        "P99,Bo,bo@example.com,active,human,P1,510077",
    ],
)
def test_a_leaver_who_may_be_the_person_of_a_bad_row_is_held(make: SimpleNamespace, active: str) -> None:
    policy = make.shipped("leavers")
    assert rule_of(make, read(LEAVER), policy, "510077") == "leaver"
    roster = read(LEAVER, active)
    assert [person.person_id for person in roster.held] == ["P77"]
    assert "line 22, which cannot be read, may be the same person" in roster.held[0].held
    assert rule_of(make, roster, policy, "510077") == "kept.otherwise"


def test_a_manager_in_a_bad_row_is_not_unlisted(make: SimpleNamespace) -> None:
    roster = read("P88,Al,al@example.com,active,,human,P77,510088", "P77,Bo,b@x,left,2026-02-30,human,P1,510077")
    assert roster.may_list("P77") and not roster.may_list("P78")


def test_both_rows_with_one_id_are_set_aside(make: SimpleNamespace) -> None:
    twins = ["P70,A,a@x,left,2026-01-31,human,P1,510070", "P71,B,b@x,left,2026-01-31,human,P1,510070"]
    roster = read(*twins)
    assert [row.line for row in roster.aside.rows] == [21, 22]
    assert match_person("user", [("dms_user_id", "510070")], roster).method == "set_aside"
    same = [f"P70,A,a@x,{word},,human,P1,{number}" for word, number in (("left", 510070), ("active", 510071))]
    assert len(read(*same).aside.rows) == 2


def test_too_many_bad_rows_are_an_error() -> None:
    bad = [f"P7{n},A,a{n}@x,left,2026-02-30,human,P1,51007{n}" for n in range(3)]
    with pytest.raises(InputError, match=r"line 21, column terminated_at: .*3 of 22 rows cannot be read"):
        read(*bad)
    with pytest.raises(InputError, match="line 21, column terminated_at"):
        read(bad[0], options=RosterOptions(id_columns=OPTIONS.id_columns, max_bad_rows_percent=0))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["P77,Bo,bo@x,terminated,2026-01-31,human,P1,510077"], "column status: an unknown value"),
        (["P77,Bo,bo@x,left,31.01.2026,human,P1,510077"], "column terminated_at"),
        (['P77,"Bo,bo@x,left,2026-01-31,human,P1,510077\nP78,Al",al@x,left,,human,P1,510078'], "a whole row"),
    ],
)
def test_a_fault_of_the_whole_file_is_an_error(rows: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(*rows)


def test_a_file_that_ends_inside_its_last_row_is_not_used() -> None:
    for cut in range(1, len(LEAVER) - len(",510077") + 1):
        with pytest.raises(InputError):
            read(LEAVER[:-cut] if cut > len("510077") else LEAVER[: -len(",510077") - cut + 1], end="")
    for cut in range(1, 6):
        with pytest.raises(InputError, match="the file ends there without a line break"):
            read(LEAVER[:-cut], end="")
    whole = read(LEAVER, end="")
    assert not whole.aside.rows and "does not end with a line break" in remarks(whole)[0]
    assert "line break" not in " ".join(remarks(read(LEAVER)))


def test_line_breaks_and_invisible_characters_in_other_columns_are_harmless() -> None:
    header = HEADER.replace("name", "address")
    row = 'P77,"Main St 1,\r\nBerlin\u200b",bo@example.com,left,2026-01-31,human,P1,510077'
    roster = read(row, header=header)
    assert roster.people[-1].attributes == {"address": "Main St 1, Berlin"}
    assert roster.people[-1].ids == {"dms_user_id": "510077"}


@pytest.mark.parametrize("value", ["0510077", "510077", "0000510077"])
def test_an_id_without_its_zeros_proves_nobody_absent(value: str) -> None:
    method = match_person("user", [("dms_user_id", value)], read(LEAVER)).method
    assert method == ("id:dms_user_id" if value == "510077" else "unconfirmed")


@pytest.mark.parametrize(
    ("text", "same"),
    [("0051", "51"), ("51.0", "51"), ("ABC", "abc"), (" 5 1 ", "51"), ("\uff15\uff11", "51"), ("'51", "51")],
)
def test_spellings_that_spreadsheets_make_are_one(text: str, same: str) -> None:
    assert folded(text) == same


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("DD.MM.YYYY", "31.1.2026"),
        ("DD/MM/YYYY", "31/01/2026"),
        ("MM/DD/YYYY", "01/31/2026"),
        ("YYYY/MM/DD", "2026/1/31"),
        ("YYYYMMDD", "20260131"),
        ("YYYY年MM月DD日", "2026年1月31日"),
        ("DD.MM.YYYY", "31.01.2026 00:00:00"),
        ("DD.MM.YYYY", "2026-01-31"),
    ],
)
def test_dates_of_a_form_that_is_set(form: str, text: str) -> None:
    options = RosterOptions(id_columns=OPTIONS.id_columns, date_format=form)
    person = read(LEAVER.replace("2026-01-31", text), options=options).people[-1]
    assert person.terminated_at == datetime(2026, 2, 1, tzinfo=UTC)


def test_a_date_of_another_form_is_never_turned_round() -> None:
    options = RosterOptions(id_columns=OPTIONS.id_columns, date_format="DD/MM/YYYY")
    with pytest.raises(InputError, match="not a date"):
        read(LEAVER.replace("2026-01-31", "01/31/2026"), options=RosterOptions(
            id_columns=OPTIONS.id_columns, date_format="DD/MM/YYYY", max_bad_rows_percent=0))  # fmt: skip
    rows = ["P78,Al,al@example.com,left,03/02/2026,human,P1,510078", LEAVER.replace("2026-01-31", "01/31/2026")]
    with pytest.raises(InputError, match="line 22, column terminated_at: not a date"):
        read(*rows, options=options)


@pytest.mark.parametrize("encoding", ["utf-16", "gb18030", "shift_jis", "cp932", "euc-jp"])
def test_an_encoding_that_is_set_is_read(encoding: str) -> None:
    text = "\n".join(["工号,状态,日期,dms_user_id", "P1,在职,,510001", "P2,离职,2026-01-31,510002", ""])
    words = {"在职": "active", "离职": "left"}
    if encoding not in ("utf-16", "gb18030"):
        text = text.replace("工号", "社員番号").replace("状态", "状態").replace("在职", "在籍").replace("离职", "退職")
        words = {"在籍": "active", "退職": "left"}
    names = text.split(",")
    options = RosterOptions(
        id_columns=OPTIONS.id_columns,
        columns={"person_id": names[0], "status": names[1], "terminated_at": names[2]},
        values={"status": words},
        encoding="" if encoding == "utf-16" else encoding,
    )
    people = read_roster_csv(text.encode(encoding), source="r.csv", options=options).people
    assert [person.status for person in people] == ["active", "left"]
    if encoding != "utf-16":
        with pytest.raises(InputError, match="not UTF-8"):
            read_roster_csv(text.encode(encoding), source="r.csv", options=OPTIONS)


def test_a_roster_that_has_lost_people_or_ids_decides_nothing() -> None:
    whole, short = read(), read_roster_csv("\n".join([HEADER, *GOOD[:14]]) + "\n", source="r", options=OPTIONS)
    assert sizes(whole) == {"people": 19, "dms_user_id": 19}
    check_shrink(whole, sizes(short), 7, 0)
    check_shrink(short, sizes(whole), 7, 27)
    with pytest.raises(GuardTrippedError, match=r"14 people, 19 in run 7"):
        check_shrink(short, sizes(whole), 7, 26)
    blank = [row.rpartition(",")[0] + "," for row in GOOD]
    lost = read_roster_csv("\n".join([HEADER, *blank]) + "\n", source="r", options=OPTIONS)
    with pytest.raises(GuardTrippedError, match=r"0 people with a dms_user_id, 19 in run 7"):
        check_shrink(lost, sizes(whole), 7, 20)


def test_the_age_is_that_of_the_oldest_row() -> None:
    header, rows = HEADER.replace("name", "exported"), [row.replace("Name", "2026-01-") for row in GOOD[9:]]
    rows = [row.replace("2026-01- ", "2026-01-") for row in rows]
    roster = read_roster_csv("\n".join([header, *rows]) + "\n", source="r", options=OPTIONS)
    assert oldest(roster, "exported", OPTIONS) == datetime(2026, 1, 10, tzinfo=UTC)
    with pytest.raises(InputError, match="column nowhere"):
        oldest(roster, "nowhere", OPTIONS)


def test_people_without_leaving_dates_have_a_policy_of_their_own(make: SimpleNamespace) -> None:
    policy = make.shipped("leavers_without_dates")
    for end, rule in (("", "leaver"), ("2026-01-31", "leaver"), ("2199-01-31", "kept.otherwise")):
        assert rule_of(make, read(LEAVER.replace("2026-01-31", end)), policy, "510077") == rule
    other = "P78,Al,al@example.com,left,2026-01-31,human,P1,510078"
    assert rule_of(make, read(LEAVER.replace("2026-01-31", ""), other), policy, "510077") == "kept.otherwise"
    assert rule_of(make, read(LEAVER), policy, "510001") == "kept.otherwise"
    back = "P99,Bo,bo@example.com,active,,human,P1,"
    assert rule_of(make, read(LEAVER.replace("2026-01-31", ""), back), policy, "510077") == "kept.otherwise"


def test_where_nobody_has_a_manager_nobody_is_without_one(make: SimpleNamespace) -> None:
    rows = [row.replace(",P1,", ",,").replace("human", "service") for row in GOOD]
    roster = read_roster_csv("\n".join([HEADER, *rows]) + "\n", source="r", options=OPTIONS)
    assert rule_of(make, roster, make.shipped("service_accounts"), "510001") == "kept.otherwise"
    one = read_roster_csv("\n".join([HEADER, *rows, LEAVER]) + "\n", source="r", options=OPTIONS)
    assert rule_of(make, one, make.shipped("service_accounts"), "510001") == "service.owner"
