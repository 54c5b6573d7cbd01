from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from rescind.errors import InputError
from rescind.model import Principal
from rescind.review import (
    Exceptions,
    decide,
    index_principals,
    load_exceptions,
    load_protections,
)
from rescind.review.protections import OWN, UNKNOWN_KIND, BoundProtections
from rescind.systems import id_spaces

END = datetime(2026, 4, 1, tzinfo=UTC)


def waiver(match: str, *, end: str = "2026-03-31", more: str = "", name: str = "E1") -> str:
    return f"  - {{id: {name}, owner: o, reason: why, end: {end}, match: {match}{more}}}\n"


def exceptions(*waivers: str) -> Exceptions:
    return load_exceptions("format: 1\nexceptions:\n" + "".join(waivers), source="exceptions.yaml")


def test_an_exception_covers_exactly_its_fields(make: SimpleNamespace) -> None:
    active = exceptions(waiver("{principal_id: '51002', entitlement: QUERY}")).at(make.NOW)
    assert active.find(make.grant("51002")).id == "E1"
    assert active.find(make.grant("51002", entitlement="EXPORT")) is None
    assert active.find(make.grant("510021")) is None
    assert active.find(make.grant("51003")) is None


def test_patterns_only_when_they_are_flagged(make: SimpleNamespace) -> None:
    active = exceptions(waiver("{resource_id: 'sandbox_*'}", more=", glob: true")).at(make.NOW)
    assert active.find(make.grant(resource_id="sandbox_1"))
    assert active.find(make.grant(resource_id="my_sandbox_1")) is None
    assert active.find(make.grant(resource_id="SANDBOX_1")) is None
    with pytest.raises(InputError, match="wildcard"):
        exceptions(waiver("{resource_id: 'sandbox_*'}"))


def test_an_exception_ends_with_its_last_day(make: SimpleNamespace) -> None:
    every = exceptions(
        waiver("{principal_id: '51002'}"), waiver("{principal_id: '51003'}", end="2027-01-01", name="E2")
    )
    assert every.at(END - timedelta(seconds=1)).find(make.grant("51002"))
    assert every.at(END).find(make.grant("51002")) is None


def test_a_compensating_control_is_kept_with_the_decision(make: SimpleNamespace) -> None:
    given = exceptions(
        waiver("{principal_id: '51002'}", more=", compensating_control: log is read each week"),
        waiver("{principal_id: '51003'}", name="E2"),
    )
    assert [one.compensating_control for one in given.waivers] == ["log is read each week", ""]
    with pytest.raises(InputError, match="at least 1"):
        exceptions(waiver("{principal_id: '51002'}", more=", compensating_control: ''"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (waiver("{system: dms_permissions}"), "whole system"),
        (waiver("{}"), "whole system"),
        (waiver("{resource_id: '*'}", more=", glob: true"), "fixed characters"),
        (waiver("{principal_id: 51002}"), "must be text"),
        (waiver("{principal_id: 1.23E+18}"), "must be text"),
        (waiver("{principal_id: '1.23E+18'}"), "scientific"),
        (waiver("{principal: '51002'}"), "unknown field"),
        (waiver("{principal_name: Ada}"), "unknown field"),
        (waiver("{principal_id: ''}"), "at least 1"),
        (waiver("{principal_id: x}", end="31.03.2026"), "YYYY-MM-DD"),
        (waiver("{principal_id: x}", end="never"), "YYYY-MM-DD"),
        (waiver("{principal_id: x}") * 2, "second exception"),
        ("  - {id: E1, owner: o, end: 2026-01-01, match: {principal_id: x}}\n", "missing"),
        ("  - {id: E1, owner: '', reason: r, end: 2026-01-01, match: {principal_id: x}}\n", "at least 1"),
        ("  - {id: E1, owner: o, reason: r, match: {principal_id: x}}\n", "missing"),
        ("  - x\n", "valid dictionary|mapping|instance"),
    ],
)
def test_bad_exceptions_are_refused(text: str, says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        exceptions(text)
    assert "exceptions.yaml, line" in caught.value.field


def test_no_exceptions(make: SimpleNamespace) -> None:
    assert Exceptions.none().at(make.NOW).empty
    with pytest.raises(InputError, match="empty"):
        load_exceptions("", source="exceptions.yaml")


# Protections

OWN_IDS = [("alibaba_uid", "2046000000009999"), ("dms_permissions", "59999")]


def bound(make: SimpleNamespace, principals: str = "[]", resources: str = "[]", more: str = "") -> BoundProtections:
    text = f"format: 1\nprincipals: {principals}\nresources: {resources}\n{more}"
    return load_protections(text, source="protected.yaml", own_ids=OWN_IDS).bind(make.admitted(), id_spaces())


def test_a_protected_person_is_protected_under_every_id(make: SimpleNamespace) -> None:
    protections = bound(make, "[{space: dms_user_id, id: '51004', reason: owner}]")
    for pair in (
        ("dms_user_id", "51004"),
        ("alibaba_uid", "2046000000000004"),
        ("wedata_user_id", "700000000004"),
        ("person_id", "P4"),
    ):
        assert protections.principal([pair]) == "owner"
    assert protections.principal([("wedata_user_id", "51004"), ("dms_user_id", "51003")]) == ""


def test_an_id_of_two_people_protects_neither_in_silence(make: SimpleNamespace) -> None:
    rows = [*make.ROWS, "P9,Bo,active,,human,P4,Finance,700000000009,2046000000000009,51002"]
    text = "format: 1\nprincipals: [{space: dms_user_id, id: '51002', reason: owner}]\nresources: []\n"
    with pytest.raises(InputError, match="two people of the roster"):
        load_protections(text, source="p", own_ids=OWN_IDS).bind(make.admitted(*rows), id_spaces())


def test_a_person_may_be_protected_by_their_airflow_user(make: SimpleNamespace) -> None:
    header = f"{make.HEADER},airflow_user"
    rows = [f"{row},{user}" for row, user in zip(make.ROWS, ("", "", "chi; bo", "Dan;7", "bo"), strict=True)]
    roster = make.admitted(*rows, header=header)

    def protections(entry: str) -> BoundProtections:
        text = f"format: 1\nprincipals: [{{space: airflow_user, {entry}, reason: owner}}]\nresources: []\n"
        return load_protections(text, source="p", own_ids=OWN_IDS).bind(roster, id_spaces())

    for name in ("dan", "DAN", "7"):
        assert protections(f"id: '{name}'").principal([("dms_user_id", "51004")]) == "owner"
        assert protections(f"id: '{name}'").principal([("dms_user_id", "51003")]) == ""
    for entry, links in (("id: eve", 0), ("id: bo", 2), ("pattern: 'dan*'", 0)):
        with pytest.raises(InputError, match=f"the roster links {links} people to this Airflow user"):
            protections(entry)


def test_own_ids_are_always_protected(make: SimpleNamespace) -> None:
    protections = bound(make)
    assert protections.principal([("alibaba_uid", "2046000000009999")]) == OWN
    assert protections.principal([("dms_permissions", "59999")]) == OWN


def test_own_ids_must_be_given() -> None:
    text = "format: 1\nprincipals: []\nresources: []\n"
    for own in ([], [("alibaba_uid", "")]):
        with pytest.raises(InputError, match="own identity"):
            load_protections(text, source="p", own_ids=own)
    with pytest.raises(InputError, match="scientific"):
        load_protections(text, source="p", own_ids=[("alibaba_uid", "2.046E+15")])
    assert load_protections(text, source="p", own_ids=[], allow_no_own_ids=True).principals == ()


def test_a_homoglyph_of_a_protected_name_gains_nothing_and_loses_nothing(make: SimpleNamespace) -> None:
    protections = bound(make, "[{space: dms_user_id, id: '51004', reason: owner}]")
    real = make.grant("51004", principal_name="Dan")
    false = make.grant("51002", principal_name="D\u0430n")
    body = "principals: [{space: dms_user_id, id: '51004', reason: owner}]\nresources: []\nunknown_kind: allow\n"
    context = make.context(protections=make.protections(body))
    assert protections.principal([("dms_user_id", "51002")]) == ""
    assert [d.rule for d in decide([real, false], context)] == ["kept.protected", "leaver"]


def test_patterns_hold_in_their_space_only(make: SimpleNamespace) -> None:
    protections = bound(make, "[{space: dms_user_id, pattern: '5100*', reason: staff}]")
    assert protections.principal([("dms_user_id", "51003")]) == "staff"
    assert protections.principal([("alibaba_uid", "51003")]) == ""


def test_every_entry_protects_whatever_comes_before_it(make: SimpleNamespace) -> None:
    principals = (
        "{space: dms_user_id, pattern: '5199*', reason: first}",
        "{space: dms_user_id, pattern: '5100*', reason: second}",
        "{space: alibaba_uid, pattern: '2046*2', reason: third}",
        "{space: dms_user_id, id: '51004', reason: fourth}",
        "{space: dms_user_id, id: '51003', reason: fifth}",
    )
    resources = (
        "{system: dms_permissions, pattern: 'audit_*', reason: a}",
        "{system: dms_permissions, pattern: 'pay_*', reason: b}",
        "{system: dms_permissions, id: r1, type: TABLE, reason: c}",
        "{system: dms_permissions, id: r1, reason: d}",
    )
    protections = bound(make, f"[{', '.join(principals)}]", f"[{', '.join(resources)}]")
    nobody = ("wedata_user_id", "700000000002")
    for ids, reason in {
        (("dms_user_id", "51991"),): "first",
        (("dms_user_id", "51001"),): "second",
        (nobody, ("dms_user_id", "51001")): "second",
        (("alibaba_uid", "2046000000000002"),): "third",
        (nobody, nobody, ("alibaba_uid", "2046000000000002")): "third",
        (("alibaba_uid", "2046000000000004"),): "fourth",
        (("person_id", "P3"),): "fifth",
        (nobody,): "",
    }.items():
        assert protections.principal(ids) == reason, ids
    elsewhere = make.grant(resource_id="audit_1", system="wedata_privileges", principal="700000000002")
    assert protections.resource(elsewhere.key) == "", "a pattern holds in its system only"
    for resource, reason in {"audit_1": "a", "pay_1": "b", "r1": "d", "r2": ""}.items():
        assert protections.resource(make.grant(resource_id=resource).key) == reason, resource


def test_protected_resources(make: SimpleNamespace) -> None:
    protections = bound(
        make,
        resources="[{system: dms_permissions, type: DATABASE, id: r1, reason: a},"
        " {system: quickbi_menus, pattern: 'audit_*', reason: b}]",
    )
    assert protections.resource(make.grant(resource_id="r1").key) == "a"
    assert protections.resource(make.grant(resource_id="r1", resource_type="TABLE").key) == ""
    assert protections.resource(make.grant(resource_id="r1", system="quickbi_menus").key) == ""
    assert protections.resource(make.grant(resource_id="audit_9", system="quickbi_menus").key) == "b"


def test_a_protected_resource_of_one_account_protects_nothing_in_another(make: SimpleNamespace) -> None:
    key = make.grant(resource_id="r1").key
    entry = f"[{{system: dms_permissions, account: '{key.account}', id: r1, reason: a}}]"
    protections = bound(make, resources=entry)
    assert protections.resource(key) == "a"
    assert protections.resource(key._replace(account=f"{key.account}0")) == ""


@pytest.mark.parametrize(
    ("kinds", "in_roster", "reason"),
    [
        (("unknown", "unknown"), False, UNKNOWN_KIND),
        (("unknown", "unknown"), True, ""),
        (("human", "unknown"), False, ""),
        (("system", "human"), True, "system"),
        (("human", "system"), True, "system"),
    ],
)
def test_kinds(make: SimpleNamespace, kinds: tuple[str, str], in_roster: bool, reason: str) -> None:
    said = bound(make).kind(*kinds, in_roster=in_roster)
    assert reason in said
    assert bool(said) == bool(reason)
    assert bound(make, more="unknown_kind: allow\n").kind("unknown", "unknown", in_roster=False) == ""


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "empty"),
        ("format: 1\nprincipals: []\n", "missing"),
        ("format: 1\nresources: []\n", "missing"),
        ("format: 1\nprincipals:\nresources: []\n", "list"),
        ("format: 1\nprincipals: []\nresources: []\nunknown_kind: ignore\n", "protect"),
        ("format: 1\nprincipals: []\nresources: []\nkinds: [robot]\n", "human"),
        ("format: 1\nprincipals: [{space: dms_user_id, id: 51004, reason: r}]\nresources: []\n", "must be text"),
        ("format: 1\nprincipals: [{space: dms_user_id, reason: r}]\nresources: []\n", "either id or pattern"),
        ("format: 1\nprincipals: [{space: s, id: a, pattern: b, reason: r}]\nresources: []\n", "either id or pattern"),
        ("format: 1\nprincipals: [{space: s, pattern: '*', reason: r}]\nresources: []\n", "fixed characters"),
        ("format: 1\nprincipals: [{space: s, id: '51*', reason: r}]\nresources: []\n", "wildcard"),
        ("format: 1\nprincipals: [{space: s, id: 'D\u0430n', reason: r}]\nresources: []\n", "not ASCII"),
        ("format: 1\nprincipals: [{space: s, name: Dan, reason: r}]\nresources: []\n", "unknown field"),
        ("format: 1\nprincipals: [{space: s, id: Dan}]\nresources: []\n", "missing"),
        ("format: 1\nprincipals: []\nresources: [{system: s, id: '', reason: r}]\n", "at least 1"),
        ("<html>", "not a mapping"),
    ],
)
def test_an_unreadable_list_stops_the_run(text: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        load_protections(text, source="protected.yaml", own_ids=OWN_IDS)


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ("{space: dms_userid, id: '51004', reason: r}", "unknown id space"),
        ("{space: dms_user_id, id: '59000', reason: r}", "does not know"),
        ("{space: person_id, id: P99, reason: r}", "does not know"),
        (f"{{space: person_id, id: P99, reason: {OWN}}}", "does not know"),
        ("{space: dms_user_id, id: '51004', reason: r, not_in_roster: true}", "but the roster has this id"),
        ("{space: dms_user_id, id: '51004', reason: r, without: [wedata_user_id]}", "not an id space or has an id"),
        ("{space: dms_user_id, id: '51004', reason: r, without: [wedata]}", "not an id space or has an id"),
    ],
)
def test_entries_that_contradict_the_roster_stop_the_run(make: SimpleNamespace, entry: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        bound(make, f"[{entry}]")


def test_ids_outside_the_roster(make: SimpleNamespace) -> None:
    protections = bound(
        make,
        "[{space: dms_user_id, id: '59000', reason: r, not_in_roster: true},"
        " {space: quickbi_user_id, id: q, reason: s}]",
    )
    assert protections.principal([("dms_user_id", "59000")]) == "r"
    assert protections.principal([("quickbi_user_id", "q")]) == "s"


def test_a_protected_person_needs_an_id_in_every_space_or_a_word(make: SimpleNamespace) -> None:
    roster = make.admitted("P4,Dan,active,,human,,Data,700000000004,,51004")

    def protections(more: str) -> BoundProtections:
        text = f"format: 1\nprincipals: [{{space: person_id, id: P4, reason: r{more}}}]\nresources: []\n"
        return load_protections(text, source="p", own_ids=OWN_IDS).bind(roster, id_spaces())

    with pytest.raises(InputError, match="no alibaba_uid for this protected person"):
        protections("")
    assert protections(", without: [alibaba_uid]").principal([("wedata_user_id", "700000000004")]) == "r"


def test_an_id_that_only_systems_outside_the_run_use_may_be_missing(make: SimpleNamespace) -> None:
    header = f"{make.HEADER},wedata_uin"
    row = "P4,Dan,active,,human,,Data,700000000004,2046000000000004,51004,"
    roster = make.admitted(row, header=header)
    text = "format: 1\nprincipals: [{space: person_id, id: P4, reason: r}]\nresources: []\n"
    protections = load_protections(text, source="p", own_ids=OWN_IDS)
    four = frozenset({"wedata_privileges", "wedata_data_sources", "dms_permissions", "quickbi_menus"})
    bound = protections.bind(roster, id_spaces(), four)
    assert bound.principal([("dms_user_id", "51004")]) == "r"
    for systems in (four | {"wedata_project_roles"}, frozenset[str]()):
        with pytest.raises(InputError, match="no wedata_uin for this protected person"):
            protections.bind(roster, id_spaces(), systems)


def test_without_a_roster_only_ids_of_systems(make: SimpleNamespace) -> None:
    text = "format: 1\nprincipals: [{space: %s, id: P4, reason: r}]\nresources: []\n"
    load_protections(text % "dms_user_id", source="p", own_ids=OWN_IDS).bind(None, id_spaces())
    with pytest.raises(InputError, match="without a roster"):
        load_protections(text % "person_id", source="p", own_ids=OWN_IDS).bind(None, id_spaces())


def test_platform_kinds_reach_the_protection(make: SimpleNamespace) -> None:
    principals = index_principals([Principal("dms_permissions", "1000@cn", "user", "51002", kind="system")])
    assert [d.rule for d in decide([make.grant("51002")], make.context(principals=principals))] == ["kept.protected"]


@pytest.mark.parametrize(
    ("platform", "roster", "stays"),
    [("human", "service", True), ("human", "unknown", True), ("human", "human", False), ("unknown", "human", False)],
)
def test_a_protected_kind_needs_the_rosters_word(
    make: SimpleNamespace, platform: str, roster: str, stays: bool
) -> None:
    """A row that loses "service" must not fall back to a platform that says "human"."""
    text = "principals: []\nresources: []\nkinds: [service, system]\n"
    bound_ = make.protections(text).bind(make.admitted(), id_spaces())
    assert bool(bound_.kind(platform, roster, in_roster=True)) == stays
    asked_for = bound_.kind(platform, roster, in_roster=True, allow_unknown=True)
    assert bool(asked_for) == (roster == "service")
