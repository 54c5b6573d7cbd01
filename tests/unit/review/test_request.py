from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any

import pytest

from rescind.errors import InputError
from rescind.model import ASKED_FOR, PERHAPS_OWN, Principal
from rescind.review import (
    RequestedTargets,
    Target,
    decide,
    index_principals,
    load_exceptions,
    resolve_request,
)
from rescind.systems import id_spaces

SYSTEMS = ("dms_permissions", "wedata_privileges")


def request(*targets: Target, **change: Any) -> RequestedTargets:
    return RequestedTargets(principals=targets, systems=change.pop("systems", SYSTEMS), reason="incident 7", **change)


def rules(make: SimpleNamespace, wanted: RequestedTargets, *grants: Any, **context: Any) -> list[str]:
    return [decision.rule for decision in decide(grants, make.context(request=wanted, **context))]


@pytest.mark.parametrize(
    "target",
    [Target("P1"), Target("P1", "person_id"), Target("51001"), Target("51001", "dms_user_id"), 
     Target("2046000000000001"), Target("700000000001", "wedata_user_id")],
)  # fmt: skip
def test_a_person_is_found_by_any_exact_id_and_goes_everywhere(make: SimpleNamespace, target: Target) -> None:
    grants = (
        make.grant("51001"),
        make.grant("700000000001", system="wedata_privileges"),
        make.grant("51002"),
        make.grant("51001", system="quickbi_menus"),
    )
    expected = ["requested", "requested", "kept.not_requested", "kept.not_requested"]
    assert rules(make, request(target), *grants) == expected


@pytest.mark.parametrize("asked", [SYSTEMS[:1], SYSTEMS[1:]])
def test_a_request_for_one_system_takes_no_grant_of_another_one(make: SimpleNamespace, asked: tuple[str, ...]) -> None:
    grants = {"dms_permissions": make.grant("51001"),
              "wedata_privileges": make.grant("700000000001", system="wedata_privileges")}  # fmt: skip
    for wanted in (
        request(Target("P1"), systems=asked),
        request(Target("P1"), systems=asked, resources=("r1",)),
        request(resources=("r1",), systems=asked),
    ):
        found = dict(zip(grants, rules(make, wanted, *grants.values()), strict=True))
        assert found == {name: "requested" if name in asked else "kept.not_requested" for name in grants}


def test_the_decision_says_who_asked_for_what(make: SimpleNamespace) -> None:
    (decision,) = decide([make.grant("51001")], make.context(request=request(Target("P1"))))
    assert (decision.choice, decision.reason, decision.severity) == ("revoke", "incident 7", "high")
    assert decision.facts["person.id"] == "P1"
    assert decision.facts["resource.id"] == "r1"


def test_resources_narrow_principals(make: SimpleNamespace) -> None:
    grants = (make.grant("51001"), make.grant("51001", resource_id="r2"), make.grant("51002", resource_id="r2"))
    assert rules(make, request(Target("P1"), resources=("r2",)), *grants) == [
        "kept.not_requested",
        "requested",
        "kept.not_requested",
    ]
    assert rules(make, request(resources=("r2",)), *grants) == ["kept.not_requested", "requested", "requested"]


def test_ids_that_only_a_system_knows(make: SimpleNamespace) -> None:
    stranger, group = make.grant("59000"), make.grant("59000", principal_type="group")
    by_space = request(Target("59000", "dms_user_id"))
    assert rules(make, by_space, stranger, group) == ["requested", "kept.not_requested"]
    by_system = request(Target("59000", "dms_permissions", "group"))
    assert rules(make, by_system, stranger, group) == ["kept.not_requested", "requested"]


def test_a_group_with_the_id_of_a_person_is_another_principal(make: SimpleNamespace) -> None:
    group = make.grant("51001", principal_type="group")
    assert rules(make, request(Target("P1")), group) == ["kept.not_requested"]


def test_protections_exceptions_and_support_come_first(make: SimpleNamespace) -> None:
    body = "principals: [{space: person_id, id: P1, reason: vip}]\nresources: []\nunknown_kind: allow\n"
    wanted = request(Target("P1"), Target("P2"))
    exceptions = load_exceptions(
        "format: 1\nexceptions: [{id: E, owner: o, reason: w, end: 2027-01-01, match: {principal_id: '51002'}}]\n",
        source="e",
    )
    grants = (make.grant("51001"), make.grant("51002"), make.grant("51002", revocable=False))
    found = rules(make, wanted, *grants, protections=make.protections(body), exceptions=exceptions)
    assert found == ["kept.protected", "kept.exception", "kept.unsupported"]


def test_unknown_kinds_need_a_word_of_their_own(make: SimpleNamespace) -> None:
    strict = make.protections("principals: []\nresources: []\n")
    wanted = request(Target("59000", "dms_user_id"))
    assert rules(make, wanted, make.grant("59000"), protections=strict) == ["kept.protected"]
    allowed = dataclasses.replace(wanted, allow_unknown_kind=True)
    assert rules(make, allowed, make.grant("59000"), protections=strict) == ["requested"]


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        (request(), "neither principals nor resources"),
        (request(Target("P1"), systems=()), "names no system"),
        (request(Target("P1"), systems=("dms",)), "unknown system"),
        (request(Target("P9")), "any id space"),
        (request(Target("Adam")), r"'Adam', neither.*Near: 'Ada' \(name of P1\).*dms_user_id:Adam"),
        (request(Target("5100l")), r"'5100l'.*Near: '5100\d' \(dms_user_id of P\d\)"),
        (request(Target("051001")), r"'051001'.*Near: '51001' \(dms_user_id of P1\)"),
        (request(Target("nobody@example.com")), "'nobody@example.com'"),
        (request(Target("person_id:P9")), "person_id 'P9'"),
        (request(Target("dms_permissions:59000")), "without the type"),
        (request(Target("dms_user_id:")), "empty id|blanks|exact"),
        (request(Target("dms_user_id:5.1E+4")), "scientific"),
        (request(Target("P9", "person_id")), "does not know"),
        (request(Target("51001", "dms_userid")), "unknown id space"),
        (request(Target("")), "empty id"),
        (request(Target(" 51001")), "blanks around"),
        (request(Target("5.1E+4")), "scientific"),
        (request(Target("\u0420" + "1")), "not ASCII"),
        (request(Target("*", "dms_permissions")), "principal type"),
        (request(Target("51001", "dms_user_id", "user")), "principal type"),
        (request(resources=("",)), "empty resource"),
        (request(resources=tuple(str(n) for n in range(10_001))), "more than 10000"),
    ],
)
def test_requests_that_mean_too_much_or_nothing_are_refused(
    make: SimpleNamespace, wanted: RequestedTargets, says: str
) -> None:
    with pytest.raises(InputError, match=says):
        decide([], make.context(request=wanted))


def test_an_id_of_two_people_needs_its_space(make: SimpleNamespace) -> None:
    roster = make.admitted("P1,active,7,", "P2,active,,7", header="person_id,status,dms_user_id,wedata_user_id")
    with pytest.raises(InputError, match="different people in dms_user_id, wedata_user_id"):
        resolve_request(request(Target("7")), roster, id_spaces())
    resolved = resolve_request(request(Target("7", "dms_user_id")), roster, id_spaces())
    assert resolved.people == {"P1"}


def test_without_a_roster_the_space_must_be_named() -> None:
    with pytest.raises(InputError, match="no roster"):
        resolve_request(request(Target("7")), None, id_spaces())
    assert resolve_request(request(Target("7", "dms_user_id")), None, id_spaces()).ids == {("dms_user_id", "7")}


def test_the_id_that_is_named_counts_also_where_the_roster_cannot_confirm_it(make: SimpleNamespace) -> None:
    principal = Principal(
        "dms_permissions", "1000@cn", "user", "51001", other_ids=(("alibaba_uid", "2046000000000002"),)
    )
    known = {"principals": index_principals([principal])}
    grant = make.grant("51001")
    assert rules(make, request(Target("51001", "dms_user_id")), grant, **known) == ["requested"]
    assert rules(make, request(Target("51001")), grant, **known) == ["requested"]
    assert rules(make, request(Target("P1")), grant, **known) == ["kept.not_requested"]


def test_a_wildcard_is_an_ordinary_character(make: SimpleNamespace) -> None:
    wanted = request(Target("5100*", "dms_user_id"))
    assert rules(make, wanted, make.grant("51001")) == ["kept.not_requested"]


MAIL = "person_id,name,status,email,dms_user_id,quickbi_user_id"
WITH_MAIL = (
    "P1,Ada  Löw,active,Ada@example.com,51001,4611aa",
    "P2,王芳,left,fang@example.com,51002,4612aa",
    "P3,Bo,active,bo@example.com,51003,",
    "P4,bo,active,two@example.com,51004,",
    "P5,,active,two@example.com,51005,",
)


@pytest.mark.parametrize(
    ("value", "person"),
    [
        ("ada@EXAMPLE.com", "P1"),
        ("ada löw", "P1"),
        ("王芳", "P2"),
        ("quickbi_user_id:4611aa", "P1"),
        ("dms_user_id:51003", "P3"),
        ("person_id:P4", "P4"),
    ],
)
def test_a_form_names_a_person_by_mail_name_or_an_id_with_its_space(
    make: SimpleNamespace, value: str, person: str
) -> None:
    roster = make.admitted(*WITH_MAIL, header=MAIL)
    resolved = resolve_request(request(Target(value)), roster, id_spaces())
    assert resolved.people == {person}
    assert resolved.notes == (f"'{value}' is person {person}",)
    own = dict(zip(("P1", "P2", "P3", "P4"), ("51001", "51002", "51003", "51004"), strict=True))[person]
    assert rules(make, request(Target(value)), make.grant(own), make.grant("51005"), roster=roster) == [
        "requested",
        "kept.not_requested",
    ]


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("Bo", r"'Bo' is 2 people \(P3, P4\)"),
        ("two@example.com", r"2 people \(P4, P5\)"),
        ("Ada@exampl.com", r"'Ada@exampl.com'.*Near: 'Ada@example.com' \(mail of P1\)"),
        ("Ada\u200bLöw", "invisible|not ASCII|not know"),
    ],
)
def test_a_name_or_mail_of_several_people_is_refused_with_their_ids(
    make: SimpleNamespace, value: str, says: str
) -> None:
    with pytest.raises(InputError, match=says):
        resolve_request(request(Target(value)), make.admitted(*WITH_MAIL, header=MAIL), id_spaces())


def test_accounts_that_no_roster_knows_are_named_with_their_space(make: SimpleNamespace) -> None:
    orphan, other, group = make.grant("59000"), make.grant("59001"), make.grant("7", principal_type="group")
    for value in ("dms_user_id:59000", "dms_permissions:user:59000"):
        wanted = request(Target(value))
        assert rules(make, wanted, orphan, other, group) == ["requested", *["kept.not_requested"] * 2]
    assert rules(make, request(Target("dms_permissions:group:7")), orphan, group) == ["kept.not_requested", "requested"]
    (note,) = resolve_request(request(Target("dms_user_id:51009")), make.admitted(), id_spaces()).notes
    assert note.startswith("the roster has nobody with dms_user_id:51009") and "Near: '5100" in note
    assert resolve_request(request(Target("dms_user_id:7")), None, id_spaces()).ids == {("dms_user_id", "7")}


def test_a_name_in_a_row_that_cannot_be_read_means_nobody(make: SimpleNamespace) -> None:
    rows = [f"P{n},Name {n},active,p{n}@x.com,5100{n:02}," for n in range(10, 30)]
    bad = "P40,Cleo,active,cleo@x.com,5.1E+4,"
    roster = make.admitted(*rows, bad, header=MAIL)
    for value in ("Cleo", "cleo@x.com", "P40"):
        with pytest.raises(InputError, match="line 22 of the roster, which cannot be read"):
            resolve_request(request(Target(value)), roster, id_spaces())
    twice = make.admitted(*rows, bad, "P41,Cleo,active,other@x.com,510041,", header=MAIL)
    with pytest.raises(InputError, match="may mean another one"):
        resolve_request(request(Target("Cleo")), twice, id_spaces())


@pytest.mark.parametrize(
    ("rows", "account"),
    [
        # An id that a leaver and somebody active have; an account whose other id the person's row lacks; a bad row.
        (("P40,Bo,left,,510040,", "P41,Cy,active,,510040,"), Principal("dms_permissions", "1000@cn", "user", "510040")),
        (
            ("P41,Cy,active,,510041,",),
            Principal("dms_permissions", "1000@cn", "user", "510041", other_ids=(("alibaba_uid", "2046"),)),
        ),
        (
            ("P41,Cy,active,,510041,", "P41,,active,,510042,#N/A"),
            Principal("dms_permissions", "1000@cn", "user", "510042"),
        ),
    ],
)
def test_an_account_that_may_be_the_persons_stays_and_is_not_passed_over(
    make: SimpleNamespace, rows: tuple[str, ...], account: Principal
) -> None:
    header = "person_id,name,status,email,dms_user_id,alibaba_uid"
    roster = make.admitted(*[f"P{n},N,active,p{n}@x.com,5100{n},20{n}" for n in range(10, 40)], *rows, header=header)
    context = make.context(
        request=request(Target("person_id:P41"), systems=("dms_permissions",)),
        roster=roster,
        principals=index_principals([account]),
    )
    mine, other = make.grant(account.principal_id), make.grant("510010")
    one, stranger = decide([mine, other], context)
    assert (one.choice, one.rule, one.facts[ASKED_FOR]) == ("keep", "kept.not_requested", "yes")
    assert "may belong to a person whom the request names" in one.reason
    assert ASKED_FOR not in stranger.facts and stranger.reason == "the request does not name this grant"


def test_where_a_request_names_resources_access_from_above_is_left(make: SimpleNamespace) -> None:
    """A grant on what holds the resource, and one that is inherited: neither ends with what the request takes."""
    inherited = {"inherited_from": "schema s1", "revocable": False, "why_not": "inherited from schema s1"}
    grants = [
        make.grant("51001"),
        make.grant("51001", **inherited),
        make.grant("51001", resource_type="FOLDER", resource_id="r9"),
        make.grant("51001", resource_id="r9"),
        make.grant("51002", resource_type="FOLDER", resource_id="r9"),
        make.grant("700000000001", system="wedata_privileges", resource_type="FOLDER", resource_id="r9"),
    ]

    def left(**change: Any) -> list[bool]:
        wanted = request(Target("P1"), systems=("dms_permissions",), **change)
        context = make.context(request=wanted, covering={name: frozenset({"FOLDER"}) for name in SYSTEMS})
        return [one.choice == "keep" and ASKED_FOR in one.facts for one in decide(grants, context)]

    assert left(resources=("r1",)) == [False, True, True, False, False, False]
    assert left() == [False] * 6


def test_a_grant_that_may_be_its_own_is_left_beside_what_it_may_come_from(make: SimpleNamespace) -> None:
    doubt = make.grant("51001", inherited_from="folder f1", revocable=False, why_not="its own or inherited: not told")
    (one,) = decide([doubt], make.context(request=request(Target("P1"), systems=("dms_permissions",))))
    assert (one.rule, one.facts[ASKED_FOR]) == ("kept.unsupported", "yes")
    perhaps = make.grant("51001", inherited_from="folder f1", why_not=PERHAPS_OWN)
    (one,) = decide([perhaps], make.context(request=request(Target("P1"), systems=("dms_permissions",))))
    assert (one.choice, one.rule) == ("revoke", "requested"), "the plan holds it where the folder's permission stays"
