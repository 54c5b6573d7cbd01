"""Which decisions leave a principal nothing, and what stands in the way."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from rescind.model import GrantKey
from rescind.review import Exceptions, RequestedTargets, Target, Waiver, load_policy
from rescind.review.emptying import Emptying

NOW = datetime(2026, 11, 21, tzinfo=UTC)
KEY = GrantKey("quickbi_menus", "a", "menu", "m1", "user", "u1", "view", "p")
LEAVER = "person.status == 'left' && person.terminated_at <= now"
NONE = Exceptions.none()


def policy(*rules: tuple[str, str, str], combine: str = "first_match") -> str:
    """A policy file with (id, decide, condition) rules."""
    lines = ["format: 1", "policy: p", "description: d", f"combine: {combine}", "otherwise: keep", "rules:"]
    for name, choice, when in rules:
        lines += [f"  - id: {name}", f"    description: {name}", f'    when: "{when}"', f"    decide: {choice}"]
        lines += ["    reason: because", "    severity: high"]
        lines += ["    acts_on_absence: true"] if "!person.known" in when else []
    return "\n".join(lines)


def rules(text: str) -> frozenset[str]:
    return Emptying(load_policy(text, source="p.yaml"), None, NONE, now=NOW).rules


def test_a_rule_about_the_person_empties() -> None:
    assert rules(policy(("leaver", "revoke", LEAVER))) == {"leaver"}
    assert rules(policy(("off", "revoke", "principal.status == 'disabled' && grant.system == 'quickbi_menus'"))) == {
        "off"
    }


@pytest.mark.parametrize(
    "when",
    [
        "grant.has_end && grant.expires_at <= now",
        f"{LEAVER} && resource.type == 'menu'",
        f"{LEAVER} && grant.entitlement == 'view'",
        f"{LEAVER} && 'view' in principal.holds",
        "!person.known",
    ],
)
def test_a_rule_that_looks_at_grants_or_believes_an_absence_does_not(when: str) -> None:
    assert rules(policy(("some", "revoke", when))) == frozenset()


def test_a_rule_before_it_that_could_keep_a_grant_is_in_the_way() -> None:
    keeps = ("public", "keep", "resource.type == 'public'")
    person = ("board", "keep", "person.department == 'board'")
    leaver = ("leaver", "revoke", LEAVER)
    assert rules(policy(keeps, leaver)) == frozenset()
    assert rules(policy(leaver, keeps)) == {"leaver"}
    assert rules(policy(person, leaver)) == {"leaver"}
    assert rules(policy(keeps, leaver, combine="most_restrictive")) == {"leaver"}


def test_a_request_empties_when_it_names_people_and_no_resources() -> None:
    def found(*people: str, resources: tuple[str, ...] = ()) -> frozenset[str]:
        request = RequestedTargets(tuple(Target(p) for p in people), ("quickbi_menus",), resources)
        return Emptying(None, request, NONE, now=NOW).rules

    assert found("u1") == {"requested"}
    assert found("u1", resources=("m1",)) == found(resources=("m1",)) == frozenset()


@pytest.mark.parametrize(
    ("match", "empties"),
    [
        ((("principal_id", "u1"),), False),
        ((("principal_id", "u1"), ("resource_id", "m7")), False),
        ((("principal_id", "u2"),), True),
        ((("principal_id", "u1"), ("system", "dms_permissions")), True),
        ((("resource_id", "m7"),), True),
        ((("entitlement", "edit"), ("resource_id", "m7")), False),
        ((("native_id", "p"),), False),
    ],
)
def test_an_exception_that_could_keep_something_is_in_the_way(
    match: tuple[tuple[str, str], ...], empties: bool
) -> None:
    chosen = load_policy(policy(("leaver", "revoke", LEAVER)), source="p.yaml")
    waiver = Waiver("w", "o", "r", NOW + timedelta(days=1), match, glob=False)
    assert Emptying(chosen, None, Exceptions((waiver,)), now=NOW).empties(KEY, "leaver") is empties
    assert Emptying(chosen, None, Exceptions((waiver,)), now=NOW + timedelta(days=1)).empties(KEY, "leaver")
    assert not Emptying(chosen, None, NONE, now=NOW).empties(KEY, "expired")


def test_patterns_of_resources_may_mean_more_than_one_row() -> None:
    chosen = load_policy(policy(("leaver", "revoke", LEAVER)), source="p.yaml")
    waiver = Waiver("w", "o", "r", NOW + timedelta(days=1), (("resource_id", "menu*"),), glob=True)
    assert not Emptying(chosen, None, Exceptions((waiver,)), now=NOW).empties(KEY, "leaver")
