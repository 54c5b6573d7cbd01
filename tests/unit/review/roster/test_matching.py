from __future__ import annotations

from types import SimpleNamespace

import pytest

from rescind.errors import InputError
from rescind.model import Principal
from rescind.review import Decider
from rescind.review.roster.matching import match_person, principal_ids
from rescind.systems import id_spaces


@pytest.mark.parametrize(
    ("ids", "person", "method"),
    [
        ([("dms_user_id", "51001")], "P1", "id:dms_user_id"),
        ([("dms_user_id", "51001"), ("alibaba_uid", "2046000000000001")], "P1", "id:dms_user_id"),
        ([("dms_user_id", "51001"), ("alibaba_uid", "2046000000000002")], None, "conflict"),
        ([("dms_user_id", "51001"), ("alibaba_uid", "2046000000007777")], None, "conflict"),
        ([("dms_user_id", "99999")], None, "none"),
        ([("dms_user_id", "2046000000000001")], None, "none"),  # right id, wrong space
        ([("quickbi_user_id", "51001")], None, "no_id_space"),
        ([("quickbi_user_id", "x"), ("alibaba_uid", "2046000000000001")], "P1", "id:alibaba_uid"),
        ([("dms_user_id", "")], None, "no_id_space"),
        ([], None, "no_id_space"),
        ([("dms_user_id", "Ada")], None, "none"),  # never by name
    ],
)
def test_matching_is_by_exact_id_in_its_space(
    make: SimpleNamespace, ids: list[tuple[str, str]], person: str | None, method: str
) -> None:
    match = match_person("user", ids, make.roster())
    assert (match.person.person_id if match.person else None, match.method) == (person, method)


def test_an_id_that_the_row_lacks_leaves_the_principal_unmatched(make: SimpleNamespace) -> None:
    roster = make.roster("P1,Ada,active,,human,,Finance,,2046000000000001,")
    ids = [("dms_user_id", "51001"), ("alibaba_uid", "2046000000000001")]
    assert match_person("user", ids, roster) == (None, "unconfirmed")


def test_an_id_that_the_row_lacks_and_somebody_else_has_is_a_conflict(make: SimpleNamespace) -> None:
    roster = make.roster(
        "P1,Ada,active,,human,,Finance,,,51001", "P2,Bo,left,2026-01-31,human,,Data,,2046000000000002,"
    )
    ids = [("dms_user_id", "51001"), ("alibaba_uid", "2046000000000002")]
    for order in (ids, ids[::-1]):
        assert match_person("user", order, roster) == (None, "conflict")


@pytest.mark.parametrize("kind", ["group", "role", "project", "everyone"])
def test_only_users_are_people(make: SimpleNamespace, kind: str) -> None:
    assert match_person(kind, [("dms_user_id", "51001")], make.roster()).method == "not_a_person"


def test_ids_of_a_principal_come_from_the_spaces_of_its_system() -> None:
    principal = Principal("dms_permissions", "a", "user", "51001", other_ids=(("alibaba_uid", "2046"), ("other", "1")))
    pairs = principal_ids("dms_permissions", "51001", principal, id_spaces())
    assert pairs == (("dms_user_id", "51001"), ("alibaba_uid", "2046"))
    assert principal_ids("unknown_system", "1", None, id_spaces()) == ()


MAIL = "person_id,name,status,terminated_at,kind,manager,department,email,dms_user_id"


def test_a_leaver_who_came_back_is_held_and_named(make: SimpleNamespace) -> None:
    rows = ["P2,Bo,left,2026-01-31,human,,Data,Bo@Example.com,51002", "P9,Bo,active,,human,,Data,bo@example.com,"]
    (held,) = make.roster(*rows, header=MAIL).held
    assert (held.person_id, held.status, held.terminated_at) == ("P2", "unknown", None)
    assert held.held == "left, and line 3 with the same email is active"
    assert make.roster(rows[0], header=MAIL).held == ()
    gone = "P9,Bo,left,2026-02-28,human,,Data,bo@example.com,"
    assert make.roster(rows[0], gone, header=MAIL).held == ()


def test_a_held_leaver_loses_nothing_by_policy(make: SimpleNamespace) -> None:
    back = "P9,Bo,active,,human,,Data,bo@example.com,"
    left = "P2,Bo,left,2026-01-31,human,,Data,bo@example.com,51002"
    policy = make.shipped("leavers")

    def choice(*rows: str) -> str:
        roster = make.admitted(*rows, header=MAIL)
        return str(Decider(make.context(policy, roster=roster)).decide(make.grant("51002")).choice)

    assert choice(left) == "revoke"
    assert choice(left, back) == "keep"


def test_an_id_in_the_rows_of_a_leaver_and_of_somebody_active_belongs_to_neither(make: SimpleNamespace) -> None:
    rows = ["P2,Bo,left,2026-01-31,human,,Data,,51002", "P9,Bo,active,,human,,Data,,51002"]
    for order in (rows, rows[::-1]):
        roster = make.roster(*order, header=MAIL)
        assert [person.person_id for person in roster.held] == ["P2"]
        assert match_person("user", [("dms_user_id", "51002")], roster) == (None, "conflict")
    for status in ("active", "left"):
        both = [row.replace("left", status).replace("active", status) for row in rows]
        with pytest.raises(InputError, match="lines 2 and 3 have the same dms_user_id"):
            make.roster(*both, header=MAIL)


@pytest.mark.parametrize(
    ("manager", "state"),
    [
        ("P1", "active"),
        ("P7777", "unlisted"),
        ("", "none"),
        ("ada@example.com", None),  # somebody's mail
        ("ADA", None),
        ("51001", None),  # another id of somebody
        ("p1", None),
        ("0P1", None),
        ("somebody@else.where", None),  # a shape that no person_id has
        ("Grace Hopper", None),
        ("4711", None),
    ],
)
def test_a_manager_written_in_another_way_is_unknown_and_not_unlisted(
    make: SimpleNamespace, manager: str, state: str | None
) -> None:
    roster = make.admitted(
        "P1,Ada,active,,human,P1,Data,ada@example.com,51001", f"P2,Bo,active,,human,{manager},Data,,51002", header=MAIL
    )
    data = Decider(make.context(make.shipped("leavers"), roster=roster)).view(make.grant("51002")).data
    assert data.get("person.owner") == state


def test_ids_without_their_zeros_are_the_same_manager(make: SimpleNamespace) -> None:
    rows = ["00042,Ada,active,,human,,Data,,51001", "00043,Bo,active,,human,42,Data,,51002"]
    assert make.roster(*rows, header=MAIL).may_list("42")
    assert not make.roster(*rows, header=MAIL).may_list("44")
