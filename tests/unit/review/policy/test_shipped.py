"""The policies and examples that ship with the product, each with a case on both sides of every line."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from rescind.errors import InputError
from rescind.model import Grant, Principal
from rescind.review import (
    RosterLimits,
    admit_roster,
    collect_holdings,
    decide,
    index_principals,
    load_exceptions,
    load_policy,
    load_protections,
    read_roster_csv,
)
from rescind.review.policy.schema import VARIABLES

NAMES = ("access_review", "dormant", "everyone", "excess_privileges", "expired", "leavers",
         "leavers_without_dates", "movers", "not_seen",
         "separation_of_duties", "service_accounts", "temporary_without_end")  # fmt: skip


def rule(make: SimpleNamespace, name: str, grant: Grant, **context: Any) -> str:
    (decision,) = decide([grant], make.context(make.shipped(name), **context))
    return decision.rule


def test_every_policy_that_ships_is_tested_here(make: SimpleNamespace) -> None:
    found = sorted(path.stem for path in (make.ROOT / "include" / "policies").glob("*.yaml"))
    assert found == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_policies_name_themselves_and_their_controls(make: SimpleNamespace, name: str) -> None:
    policy = make.shipped(name)
    assert policy.name == name
    assert all(rule.controls and rule.description for rule in policy.rules)
    assert all(rule.effect == ("ask" if name == "not_seen" else "revoke") for rule in policy.rules)


def test_the_default_policy_reads_only_status_date_and_end(make: SimpleNamespace) -> None:
    names = {name for rule in make.shipped("access_review").rules for name in rule.condition.names}
    assert names == {"person.status", "person.terminated_at", "grant.has_end", "grant.expires_at", "now"}
    assert not any(rule.absence for rule in make.shipped("access_review").rules)


@pytest.mark.parametrize("name", ["access_review", "leavers"])
def test_leavers(make: SimpleNamespace, name: str) -> None:
    assert rule(make, name, make.grant("51002")) == "leaver"
    for other in ("51001", "51003", "59000"):
        assert rule(make, name, make.grant(other)) == "kept.otherwise"


def test_expired(make: SimpleNamespace) -> None:
    grant = make.grant("51001", expires_at=make.NOW - timedelta(hours=12))
    assert rule(make, "access_review", grant) == "expired"
    assert rule(make, "expired", grant) == "expired"
    text = (make.ROOT / "include" / "policies" / "expired.yaml").read_text(encoding="utf-8")
    graceful = load_policy(text.replace("grace: {duration: 0d}", "grace: {duration: 1d}"), source="expired.yaml")
    (decision,) = decide([grant], make.context(graceful))
    assert decision.rule == "kept.otherwise"


def test_not_seen_asks_and_never_where_the_use_is_not_known(make: SimpleNamespace) -> None:
    def of(days: int | None, complete: frozenset[str] = frozenset({"last_used"})) -> tuple[str, bool]:
        grant = make.grant("51001", last_used_days=days, last_use="a log")
        (decision,) = decide([grant], make.context(make.shipped("not_seen"), complete=complete))
        assert decision.choice == "keep"
        return decision.rule, decision.ask

    assert of(90) == ("not_seen", True) and of(89) == ("kept.otherwise", False)
    assert of(None) == ("kept.unreadable", False) and of(90, frozenset()) == ("kept.unreadable", False)


@pytest.mark.parametrize("text", ["{}", "{} && grant.has_end", "!({})", "person.status == 'left' || {}"])
def test_no_rule_revokes_by_the_last_use(make: SimpleNamespace, text: str) -> None:
    for condition in ("grant.last_used_days > 9", "grant.last_used_days < 9", "grant.last_used_days in [9]"):
        for combine in ("first_match", "most_restrictive"):
            for absence in (True, False):
                with pytest.raises(InputError, match=r"must not revoke|missing data|no meaning"):
                    make.policy(make.rule(text.format(condition), absence=absence), combine=combine)


@pytest.mark.parametrize("decide_", ["keep", "ask"])
def test_no_rule_behind_one_by_use_revokes(make: SimpleNamespace, decide_: str) -> None:
    """Kept where it was used, and revoked by the next rule where no use was seen: that is revoked by the last use."""
    by_use = make.rule("grant.last_used_days < 90", decide_, "used", absence=True)
    rest, asks = make.rule("grant.has_end"), make.rule("grant.has_end", "ask", "asks")
    with pytest.raises(InputError, match="behind one that looks at the last use must not revoke"):
        make.policy(by_use, asks, rest)
    assert [one.by_use for one in make.policy(rest, by_use, asks).rules] == [False, True, True]
    rule_ = make.rule("grant.last_used_days < 90", decide_, "used", absence=decide_ == "ask")
    restrictive = make.policy(rule_, asks, rest, combine="most_restrictive")
    assert [one.by_use for one in restrictive.rules] == [True, False, False], "no rule is behind another there"


def test_movers(make: SimpleNamespace) -> None:
    def of(principal: str, resource: str) -> str:
        return rule(make, "movers", make.grant(principal, resource_id=resource))

    assert of("51004", "finance_books") == "mover"  # Data
    assert of("51001", "finance_books") == "kept.otherwise"  # Finance
    assert of("51004", "sales_books") == "kept.otherwise"  # no class
    assert of("51004", "hr_salaries") == "mover"
    assert of("59000", "finance_books") == "kept.otherwise"  # not in the roster
    roster = make.admitted("P4,Dan,active,,human,,,,,51004")
    blank = rule(make, "movers", make.grant("51004", resource_id="finance_books"), roster=roster)
    assert blank == "kept.otherwise"  # department unknown


def test_temporary_without_end(make: SimpleNamespace) -> None:
    header = make.HEADER + ",employment"
    roster = make.admitted(
        "P1,Ada,active,,human,,Data,,,51001,contractor", "P2,Bo,active,,human,,Data,,,51002,staff",
        "P3,Chi,active,,human,,Data,,,51003,", header=header,
    )  # fmt: skip

    def of(principal: str, **change: Any) -> str:
        return rule(make, "temporary_without_end", make.grant(principal, **change), roster=roster)

    assert of("51001") == "temporary.no_end"
    assert of("51001", expires_raw="someday") == "kept.otherwise"  # an end that cannot be read
    assert of("51001", expires_at=make.NOW + timedelta(days=10)) == "kept.otherwise"
    assert of("51001", expires_at=make.NOW + timedelta(days=800)) == "temporary.far_end"
    assert of("51001", expires_at=datetime(9999, 12, 31, tzinfo=UTC)) == "temporary.far_end"
    assert of("51002") == "kept.otherwise"
    assert of("51003") == "kept.otherwise"


def test_dormant(make: SimpleNamespace) -> None:
    def of(days: int | None, complete: str = "usage", person: str = "51001") -> str:
        used = None if days is None else make.NOW - timedelta(days=days)
        principal = Principal("dms_permissions", "1000@cn", "user", person, kind="human", last_used_at=used)
        known = {"principals": index_principals([principal]), "complete": frozenset(filter(None, [complete]))}
        return rule(make, "dormant", make.grant(person), **known)

    assert of(91) == "dormant"
    assert of(89) == "kept.otherwise"
    assert of(None) == "kept.otherwise"
    assert of(91, complete="") == "kept.otherwise"
    assert of(91, person="51101") == "kept.otherwise"  # a service


@pytest.mark.parametrize(
    ("manager", "expected"),
    [("P2", "service.owner"), ("", "service.owner"), ("P77", "service.owner"), ("P4", "kept.otherwise")],
)
def test_service_accounts(make: SimpleNamespace, manager: str, expected: str) -> None:
    roster = make.admitted(*make.ROWS[:4], f"S1,etl,active,,service,{manager},Data,700000000101,2046000000000101,51101")
    grant = make.grant("51101")
    assert rule(make, "service_accounts", grant, roster=roster, complete=frozenset({"roster"})) == expected
    assert rule(make, "service_accounts", grant, roster=roster) == "kept.otherwise"
    human = make.grant("51004")
    assert rule(make, "service_accounts", human, roster=roster, complete=frozenset({"roster"})) == "kept.otherwise"


def test_excess_privileges(make: SimpleNamespace) -> None:
    def of(resource: str, entitlement: str, principal: str = "51001", **change: Any) -> str:
        return rule(
            make, "excess_privileges", make.grant(principal, resource_id=resource, entitlement=entitlement, **change)
        )

    assert of("prod_orders", "CORRECT") == "excess"
    assert of("prod_orders", "QUERY") == "kept.otherwise"
    assert of("restricted_x", "QUERY") == "excess"
    assert of("test_orders", "ALL_PRIVILEGES") == "kept.otherwise"
    assert of("prod_orders", "A_NEW_PRIVILEGE") == "kept.otherwise"
    assert of("prod_orders", "CORRECT", "51101") == "kept.otherwise"  # a service
    assert of("prod_orders", "CORRECT", "59000") == "kept.otherwise"  # nobody knows


def test_separation_of_duties(make: SimpleNamespace) -> None:
    power = make.grant("700000000001", system="wedata_privileges", entitlement="GRANT_PRIVILEGES")
    change = make.grant("51001", entitlement="CORRECT")
    both = collect_holdings([power, change])
    assert rule(make, "separation_of_duties", power, holdings=both) == "sod"
    assert rule(make, "separation_of_duties", change, holdings=both) == "kept.otherwise"
    assert rule(make, "separation_of_duties", power, holdings=collect_holdings([power])) == "kept.otherwise"


def test_everyone(make: SimpleNamespace) -> None:
    def of(resource: str, kind: str = "everyone") -> str:
        return rule(make, "everyone", make.grant("ALL", principal_type=kind, resource_id=resource))

    assert of("internal_costs") == "everyone"
    assert of("public_holidays") == "kept.otherwise"
    assert of("something_else") == "kept.otherwise"
    assert of("internal_costs", "group") == "kept.otherwise"
    assert of("internal_costs", "organization") == "kept.unsupported"


def test_the_examples_fit_together(make: SimpleNamespace) -> None:
    folder = make.ROOT / "include" / "examples"
    now = datetime(2026, 2, 15, tzinfo=UTC)
    roster = read_roster_csv((folder / "roster.csv").read_bytes(), source="roster.csv")
    admitted = admit_roster(roster, RosterLimits(5, timedelta(days=1), 25), as_of=now, now=now)
    own = [("alibaba_uid", "2046000000009999")]
    protections = load_protections((folder / "protected.yaml").read_bytes(), source="protected.yaml", own_ids=own)
    exceptions = load_exceptions((folder / "exceptions.yaml").read_bytes(), source="exceptions.yaml")
    context = make.context(roster=admitted, protections=protections, exceptions=exceptions, now=now)
    leaver, owner = make.grant("51002"), make.grant("51004")
    assert [d.rule for d in decide([leaver, owner], context)] == ["kept.exception", "kept.protected"]
    today = make.context(roster=admitted, protections=protections, exceptions=exceptions, now=datetime.now(UTC))
    assert [d.rule for d in decide([leaver, owner], today)] == ["kept.exception", "kept.protected"]
    after = datetime(2099, 4, 1, tzinfo=UTC)
    later = make.context(roster=admitted, protections=protections, exceptions=exceptions, now=after)
    assert [d.rule for d in decide([leaver, owner], later)] == ["leaver", "kept.protected"]


def test_the_table_of_fields_is_complete() -> None:
    assert VARIABLES["person.status"].meaning == "active or left"
    assert all(field.meaning for field in VARIABLES.values())


def test_the_readme_of_the_policies_is_true(make: SimpleNamespace) -> None:
    text = (make.ROOT / "include" / "policies" / "README.md").read_text(encoding="utf-8")
    for field in VARIABLES.values():
        assert f"| `{field.name}` | {field.type.name()} | {field.meaning} |" in text
    example = text.split("```yaml\n")[1].split("```")[0]
    policy = load_policy(example, source="README.md")
    assert policy.name == "leavers"
    assert policy.rules[0].condition.text == make.shipped("leavers").rules[0].condition.text
