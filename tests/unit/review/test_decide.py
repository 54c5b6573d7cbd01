from __future__ import annotations

import dataclasses
import sys
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rescind.errors import InputError
from rescind.model import Choice, Decision, Grant, GrantKey, Membership, Principal, canonical
from rescind.review import (
    Memberships,
    PrincipalKey,
    RequestedTargets,
    Target,
    collect_holdings,
    decide,
    index_principals,
    load_exceptions,
)
from rescind.review.decide import grant_id
from rescind.review.policy.rules import as_fact


def one(make: SimpleNamespace, grant: Grant, policy: Any = None, **context: Any) -> Decision:
    (decision,) = decide([grant], make.context(policy, **context))
    return decision


@given(st.tuples(*[st.text(st.characters(exclude_categories=["Cs"]), max_size=8)] * 8))
def test_grant_ids_are_those_of_the_model(fields: tuple[str, ...]) -> None:
    key = GrantKey(*fields)
    assert grant_id(key) == key.grant_id


@pytest.mark.parametrize(
    ("principal", "rule", "choice"),
    [
        ("51001", "kept.otherwise", "keep"),  # active
        ("51002", "leaver", "revoke"),
        ("51003", "kept.otherwise", "keep"),  # leaves later this year
        ("59999", "kept.otherwise", "keep"),  # not in the roster: no leaver
        ("2046000000000002", "kept.otherwise", "keep"),  # the leaver's id of another space
    ],
)
def test_only_people_who_have_left_are_leavers(make: SimpleNamespace, principal: str, rule: str, choice: str) -> None:
    decision = one(make, make.grant(principal))
    assert (decision.rule, decision.choice) == (rule, choice)


def test_a_decision_carries_rule_reason_severity_controls_and_facts(make: SimpleNamespace) -> None:
    grant = make.grant("51002")
    decision = one(make, grant)
    assert decision.grant_id == grant.grant_id
    assert (decision.reason, decision.severity) == ("leaver", "high")
    assert "SOC 2 CC6.2" in decision.controls
    assert decision.facts == {
        "person.status": "left",
        "person.terminated_at": "2026-02-01T00:00:00Z",
        "now": "2026-03-01T12:00:00Z",
        "matched_by": "id:dms_user_id",
        "person.id": "P2",
        "person.manager": "P4",
        "person.name": "Bo",
        "person.department": "Finance",
    }
    canonical(dict(decision.facts))


def test_on_the_last_day_nobody_is_gone(make: SimpleNamespace) -> None:
    last_second = datetime(2026, 1, 31, 23, 59, 59, tzinfo=UTC)
    assert one(make, make.grant("51002"), now=last_second).choice is Choice.KEEP
    assert one(make, make.grant("51002"), now=last_second + timedelta(seconds=1)).choice is Choice.REVOKE


def test_left_without_a_date_is_kept_and_reported(make: SimpleNamespace) -> None:
    roster = make.admitted("P2,Bo,left,,human,P4,Finance,1,2,51002")
    decision = one(make, make.grant("51002"), roster=roster)
    assert (decision.choice, decision.rule) == (Choice.KEEP, "kept.otherwise")
    assert decision.facts["unreadable"] == ["leaver"]


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"expires_at": datetime(2026, 2, 1, tzinfo=UTC), "expires_raw": "2026-02-01"}, "expired"),
        ({"expires_at": datetime(2026, 3, 1, 12, tzinfo=UTC), "expires_raw": "x"}, "expired"),
        ({"expires_at": datetime(2026, 3, 1, 12, 0, 1, tzinfo=UTC)}, "kept.otherwise"),
        ({"expires_at": datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)}, "kept.otherwise"),
        ({"expires_at": None, "expires_raw": "0000-00-00"}, "kept.otherwise"),
        ({"expires_at": None, "expires_raw": ""}, "kept.otherwise"),
        ({"expires_at": datetime(2026, 2, 1), "expires_raw": "2026-02-01"}, "kept.otherwise"),  # no zone
    ],
)
def test_an_end_counts_only_when_it_can_be_read(make: SimpleNamespace, change: dict[str, Any], rule: str) -> None:
    assert one(make, make.grant("51001", **change)).rule == rule


@pytest.mark.parametrize(
    "change",
    [
        {"revocable": False, "why_not": "column permission"},
        {"revocable": False},
        {"inherited_from": "catalog1"},
        {"principal_type": "unknown"},
        {"principal_type": "organization"},
        {"principal_type": "workspace"},
        {"principal_type": "UserGroupV9"},
    ],
)
def test_what_the_call_cannot_take_stays(make: SimpleNamespace, change: dict[str, Any]) -> None:
    gone = datetime(2020, 1, 1, tzinfo=UTC)
    decision = one(make, make.grant("51002", expires_at=gone, **change))
    assert (decision.choice, decision.rule) == (Choice.KEEP, "kept.unsupported")
    assert decision.reason


def test_protected_comes_before_exception_comes_before_policy(make: SimpleNamespace) -> None:
    text = "format: 1\nexceptions:\n  - {id: E, owner: o, reason: w, end: 2026-03-31, match: {principal_id: '51002'}}\n"
    exceptions = load_exceptions(text, source="e")
    body = "principals: [{space: alibaba_uid, id: '2046000000000002', reason: vip}]\nresources: []\n"
    grant = make.grant("51002")
    both = one(make, grant, exceptions=exceptions, protections=make.protections(body))
    assert (both.rule, both.reason) == ("kept.protected", "vip")
    waived = one(make, grant, exceptions=exceptions)
    assert (waived.rule, waived.reason, waived.facts["exception"]) == ("kept.exception", "w", "E")
    assert one(make, grant, exceptions=exceptions, now=make.NOW + timedelta(days=60)).rule == "leaver"


def test_users_of_unknown_kind_outside_the_roster_are_protected_by_default(make: SimpleNamespace) -> None:
    strict = make.protections("principals: []\nresources: []\n")
    end = datetime(2026, 1, 1, tzinfo=UTC)
    unknown, known = make.grant("59000", expires_at=end), make.grant("51001", expires_at=end)
    assert one(make, unknown, protections=strict).rule == "kept.protected"
    assert one(make, known, protections=strict).rule == "expired"
    human = index_principals([Principal("dms_permissions", "1000@cn", "user", "59000", kind="human")])
    assert one(make, unknown, protections=strict, principals=human).rule == "expired"
    group = make.grant("59000", principal_type="group", expires_at=end)
    assert one(make, group, protections=strict).rule == "expired"


def test_protected_resources(make: SimpleNamespace) -> None:
    body = "principals: []\nunknown_kind: allow\nresources: [{system: dms_permissions, id: r1, reason: mine}]\n"
    protections = make.protections(body)
    assert one(make, make.grant("51002"), protections=protections).reason == "mine"
    assert one(make, make.grant("51002", resource_id="r2"), protections=protections).rule == "leaver"


def test_an_empty_reason_of_a_protection_cannot_exist(make: SimpleNamespace) -> None:
    with pytest.raises(InputError):
        make.protections("principals: [{space: dms_user_id, id: '51002', reason: ''}]\nresources: []\n")


# How rules combine


def test_first_match(make: SimpleNamespace) -> None:
    keep = make.rule("grant.entitlement == 'QUERY'", decide="keep", name="k")
    revoke = make.rule("grant.system == 'dms_permissions'", name="r", severity="critical")
    assert one(make, make.grant(), make.policy(keep, revoke)).rule == "k"
    assert one(make, make.grant(entitlement="EXPORT"), make.policy(keep, revoke)).rule == "r"
    assert one(make, make.grant(), make.policy(revoke, keep)).rule == "r"


def test_most_restrictive(make: SimpleNamespace) -> None:
    keep = make.rule("grant.entitlement == 'QUERY'", decide="keep", name="k", severity="critical")
    low = make.rule("grant.system == 'dms_permissions'", name="low", severity="low")
    high = make.rule("resource.id == 'r1'", name="high", severity="high")
    policy = make.policy(keep, low, high, combine="most_restrictive")
    assert one(make, make.grant(), policy).rule == "high"
    assert one(make, make.grant(resource_id="r2"), policy).rule == "low"
    assert one(make, make.grant(system="x"), make.policy(keep, low, combine="most_restrictive")).rule == "k"
    unknown = make.rule("person.department == 'X'", name="u")
    decision = one(
        make, make.grant("59000", system="x", entitlement="E"), make.policy(unknown, combine="most_restrictive")
    )
    assert decision.facts["unreadable"] == ["u"]


def test_a_rule_that_would_keep_and_cannot_be_answered_keeps(make: SimpleNamespace) -> None:
    keep = make.rule("person.department == 'Finance'", decide="keep", name="k")
    revoke = make.rule("grant.system == 'dms_permissions'", name="r")
    policy = make.policy(keep, revoke)
    assert one(make, make.grant("51001"), policy).rule == "k"
    assert one(make, make.grant("51004"), policy).rule == "r"
    blocked = one(make, make.grant("59000"), policy)
    assert (blocked.choice, blocked.rule) == (Choice.KEEP, "kept.unreadable")
    assert blocked.facts["person.department"] == "unknown"


# Acting on absence


def test_absence_counts_only_where_the_source_is_complete(make: SimpleNamespace) -> None:
    policy = make.policy(make.rule("!person.known", absence=True))
    stranger = make.grant("59000")
    assert one(make, stranger, policy).choice is Choice.KEEP
    assert one(make, stranger, policy, complete=frozenset({"roster"})).choice is Choice.REVOKE
    assert one(make, make.grant("51001"), policy, complete=frozenset({"roster"})).choice is Choice.KEEP


@pytest.mark.parametrize(
    "change",
    [{"principal_type": "group"}, {"system": "wedata_x"}, {"system": "quickbi_menus", "principal": "0" * 32}],
)
def test_who_cannot_be_looked_up_is_not_absent(make: SimpleNamespace, change: dict[str, str]) -> None:
    """Groups are not people, and the roster has no column for some id spaces: not knowing is not knowing of nobody."""
    policy = make.policy(make.rule("!person.known", absence=True))
    grant = make.grant(change.pop("principal", "59000"), **change)
    spaces = {"quickbi_menus": ("quickbi_user_id",), "dms_permissions": ("dms_user_id",)}
    assert one(make, grant, policy, complete=frozenset({"roster"}), spaces=spaces).choice is Choice.KEEP


def test_conflicting_ids_are_not_absence(make: SimpleNamespace) -> None:
    policy = make.policy(
        make.rule("!person.known", name="a", absence=True), make.rule("person.status == 'left'", name="b")
    )
    other = Principal("dms_permissions", "1000@cn", "user", "51002", other_ids=(("alibaba_uid", "2046000000000001"),))
    decision = one(
        make, make.grant("51002"), policy, complete=frozenset({"roster"}), principals=index_principals([other])
    )
    assert decision.choice is Choice.KEEP


def test_a_rule_that_keeps_on_membership_keeps_where_memberships_are_unknown(make: SimpleNamespace) -> None:
    keep = make.rule("'g1' in principal.groups", decide="keep", name="k", absence=True)
    policy = make.policy(keep, make.rule("grant.system == 'dms_permissions'", name="r"))
    edges = Memberships.of([Membership("dms_permissions", "1000@cn", "user", "51001", "group", "g1")])
    grant = make.grant("51001")
    assert one(make, grant, policy).rule == "kept.unreadable"
    assert one(make, grant, policy, memberships=edges).rule == "kept.unreadable"
    complete = {"memberships": edges, "complete": frozenset({"membership"})}
    assert one(make, grant, policy, **complete).rule == "k"
    assert one(make, make.grant("51004"), policy, **complete).rule == "r"


def test_groups_are_followed_through_groups_and_circles_end() -> None:
    edge = ("s", "a")
    memberships = Memberships.of(
        [
            Membership(*edge, "user", "u", "group", "g1"),
            Membership(*edge, "group", "g1", "group", "g2"),
            Membership(*edge, "group", "g2", "group", "g1"),
            Membership(*edge, "group", "g2", "role", "r1"),
            Membership("other", "a", "user", "u", "group", "g9"),
        ]
    )
    member = PrincipalKey("s", "a", "user", "u")
    assert memberships.groups(member) == ["g1", "g2"]
    assert memberships.roles(member) == ["r1"]
    assert memberships.groups(PrincipalKey("s", "a", "user", "v")) == []


def test_holdings_join_the_systems_of_a_person(make: SimpleNamespace) -> None:
    mine = make.grant("51001", entitlement="CORRECT")
    other = make.grant("700000000001", system="wedata_privileges", entitlement="GRANT_PRIVILEGES")
    policy = make.policy(
        make.rule("grant.entitlement == 'GRANT_PRIVILEGES' && 'dms_permissions:CORRECT' in person.holds", name="both"),
        make.rule("grant.entitlement in principal.holds && 'X' in principal.holds", name="own"),
    )
    holdings = collect_holdings([mine, other], wanted={"CORRECT", "GRANT_PRIVILEGES"})
    assert one(make, other, policy, holdings=holdings).rule == "both"
    assert one(make, mine, policy, holdings=holdings).rule == "kept.otherwise"
    assert one(make, other, policy, holdings=collect_holdings([other])).rule == "kept.otherwise"
    assert one(make, other, policy).facts["unreadable"] == ["both", "own"]
    assert collect_holdings([mine], wanted={"Z"}).held == {}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"now": datetime(2026, 1, 1)}, "UTC offset"),
        ({"complete": frozenset({"hr"})}, "unknown sources"),
        ({"complete": frozenset({"membership"})}, "without memberships"),
        ({"complete": frozenset({"holdings"})}, "without holdings"),
        ({"request": None, "policy": None}, "exactly one"),
        ({"request": RequestedTargets((Target("P1"),), ("dms_permissions",))}, "exactly one"),
    ],
)
def test_contradictions_are_refused_before_the_first_decision(
    make: SimpleNamespace, change: dict[str, Any], says: str
) -> None:
    with pytest.raises(InputError, match=says):
        decide([], dataclasses.replace(make.context(), **change))


def test_a_complete_roster_must_be_there(make: SimpleNamespace) -> None:
    context = dataclasses.replace(make.context(), roster=None, complete=frozenset({"roster"}))
    with pytest.raises(InputError, match="without a roster"):
        decide([], context)


def test_without_a_roster_no_rule_about_people_applies(make: SimpleNamespace) -> None:
    context = dataclasses.replace(make.context(), roster=None)
    (decision,) = decide([make.grant("51002")], context)
    assert decision.facts["unreadable"] == ["leaver"]


def test_a_protected_resource_protects_no_other_one_of_its_name(make: SimpleNamespace) -> None:
    """Whatever was looked up before, of another type, account or system."""
    text = "principals: []\nunknown_kind: allow\nresources: [{system: dms_permissions, account: 1000@cn, type: TABLE,"
    context = make.context(protections=make.protections(text + " id: r1, reason: ledger}]\n"))
    wedata = {"system": "wedata_privileges", "principal": "700000000002"}
    grants = {
        "itself": make.grant("51002", resource_type="TABLE"),
        "type": make.grant("51002"),
        "account": make.grant("51002", resource_type="TABLE", account="2000@cn"),
        "system": make.grant(resource_type="TABLE", **wedata),
        "name": make.grant("51002", resource_type="TABLE", resource_id="r2"),
    }
    for order in (list(grants), list(reversed(grants))):
        found = {name: one.rule for name, one in zip(order, decide((grants[n] for n in order), context), strict=True)}
        assert found == {name: "kept.protected" if name == "itself" else "leaver" for name in grants}


# Streaming


def test_grants_are_decided_one_by_one_and_in_order(make: SimpleNamespace) -> None:
    taken: list[str] = []

    def grants() -> Iterator[Grant]:
        for principal in ("51001", "51002", "51003"):
            taken.append(principal)
            yield make.grant(principal)

    decisions = decide(grants(), make.context())
    assert taken == []
    assert next(decisions).choice is Choice.KEEP
    assert taken == ["51001"]
    assert [d.choice for d in decisions] == [Choice.REVOKE, Choice.KEEP]


def test_the_same_answer_whatever_came_before(make: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Remembered answers must not depend on order, also when they have been forgotten in between."""
    past, future = (make.NOW + timedelta(days=days) for days in (-1, 1))
    grants = [
        make.grant(p, resource_id=f"r{n % 3}", expires_at=e, system=s)
        for n in range(12)
        for p in ("51001", "51002", "51003", "59000")
        for e in (None, past, future)
        for s in ("dms_permissions", "quickbi_menus")
    ]
    expected = {grant.grant_id + str(grant.expires_at): one(make, grant) for grant in grants[:72]}
    for module, limit in (("rescind.review.policy.rules.REMEMBERED", 2), ("rescind.review.people.REMEMBERED", 2)):
        monkeypatch.setattr(module, limit)
    monkeypatch.setattr(sys.modules["rescind.review.decide"], "_REMEMBERED", 2)
    for order in (grants, grants[::-1]):
        for grant, decision in zip(order, decide(order, make.context()), strict=True):
            assert decision == expected[grant.grant_id + str(grant.expires_at)]


def test_memory_does_not_grow_with_the_grants(make: SimpleNamespace) -> None:
    def grants(count: int) -> Iterator[Grant]:
        for n in range(count):
            yield make.grant(f"51{n % 4:03}", resource_id=f"r{n % 50}", native_id=str(n))

    def peak(count: int) -> int:
        tracemalloc.start()
        for _ in decide(grants(count), make.context()):
            pass
        _, top = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return top

    assert peak(4_000) < peak(1_000) + 200_000


def test_facts_are_plain(make: SimpleNamespace) -> None:
    assert as_fact(timedelta(days=1)) == "1 day, 0:00:00"
    assert as_fact(list(range(25)))[-1] == "and 5 more"
    policy = make.policy(
        make.rule(
            "grant.attributes['level'] == '3' && person.attributes.x == 'y' || principal.groups.exists(g, g == 'g1')"
        )
    )
    roster = make.admitted("P1,active,51001,y", header="person_id,status,dms_user_id,x")
    edges = Memberships.of([Membership("dms_permissions", "1000@cn", "user", "51001", "group", "g1")])
    grant = make.grant("51001", attributes={"level": "3", "secret": "s"})
    decision = one(make, grant, policy, roster=roster, memberships=edges)
    assert decision.choice is Choice.REVOKE
    assert decision.facts["grant.attributes.level"] == "3"
    assert decision.facts["person.attributes.x"] == "y"
    assert decision.facts["principal.groups"] == ["g1"]
    assert "s" not in decision.facts.values()
    canonical(dict(decision.facts))


@pytest.mark.parametrize("principal", ["51001", "51099"])
def test_every_decision_says_how_the_principal_was_matched(make: SimpleNamespace, principal: str) -> None:
    """Also those of rules that looked at no person, of exceptions, and where no rule applies."""
    by_person = {"matched_by": "id:dms_user_id", "person.id": "P1"} if principal == "51001" else {"matched_by": "none"}
    grant = make.grant(principal)
    match = "{id: X, owner: o, reason: r, end: 2099-01-01, match: {resource_id: r1}}"
    waived = load_exceptions(f"format: 1\nexceptions: [{match}]\n", source="exceptions.yaml")
    for context in (
        make.context(make.policy(make.rule("grant.entitlement == 'QUERY'"))),
        make.context(make.policy(make.rule("grant.entitlement == 'EXPORT'"))),
        make.context(make.policy(make.rule("grant.expires_at <= now", "keep"))),
        make.context(exceptions=waived),
    ):
        (decision,) = decide([grant], context)
        assert by_person.items() <= decision.facts.items(), decision


@pytest.mark.parametrize("combine", ["first_match", "most_restrictive"])
def test_a_rule_that_asks_keeps_until_somebody_answers(make: SimpleNamespace, combine: str) -> None:
    asks = make.rule("grant.entitlement == 'QUERY'", "ask", "asks", severity="high")
    (decision,) = decide([make.grant()], make.context(make.policy(asks, combine=combine)))
    assert (decision.choice, decision.rule, decision.severity, decision.ask) == (Choice.KEEP, "asks", "high", True)
    keeps = make.rule("grant.entitlement == 'QUERY'", "keep", "keeps", severity="critical")
    (decision,) = decide([make.grant()], make.context(make.policy(keeps, asks, combine=combine)))
    assert decision.ask == (combine == "most_restrictive")
    goes = make.rule("grant.system != ''", name="goes")
    (decision,) = decide([make.grant()], make.context(make.policy(asks, goes, combine=combine)))
    assert decision.rule == ("asks" if combine == "first_match" else "goes")
    unreadable = make.rule("grant.expires_at <= now", "ask", "asks")
    (decision,) = decide([make.grant()], make.context(make.policy(unreadable, goes)))
    assert (decision.choice, decision.rule, decision.ask) == (Choice.KEEP, "kept.unreadable", False)


@pytest.mark.parametrize(
    ("owner", "rule"),
    [("51001", "active"), ("51002", "gone"), ("51099", "gone"), ("", "kept.otherwise")],
)
def test_the_owner_that_a_platform_names_is_looked_up_in_the_roster(
    make: SimpleNamespace, owner: str, rule: str
) -> None:
    policy = make.policy(
        make.rule("principal.owner in ['left', 'unlisted']", name="gone", absence=True),
        make.rule("principal.owner == 'active' && principal.owner_id == '51001'", name="active", absence=True),
    )
    service = Principal("dms_permissions", "1000@cn", "user", "51900", kind="service", owner=owner)
    context = make.context(policy, principals=index_principals([service]), complete=frozenset({"roster"}))
    (decision,) = decide([make.grant("51900")], context)
    assert decision.rule == rule
    (decision,) = decide([make.grant("51900")], dataclasses.replace(context, complete=frozenset()))
    assert decision.choice is Choice.KEEP
