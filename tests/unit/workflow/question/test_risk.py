"""What is read first: by what a right allows and who holds it, and never by a hash."""

from __future__ import annotations

from typing import Any

import pytest

from rescind.model import Cell, Choice, Decision, Grant, GrantKey, PrincipalType
from rescind.systems.access_path import AccessPath
from rescind.systems.entitlement_class import EntitlementClass, entitlement_class
from rescind.workflow.question.risk import risk_level, risk_of


def grant(entitlement: str, kind: str = "user", name: str = "", **more: Any) -> Grant:
    key = GrantKey("dms_permissions", "1/central", "table", "T1", kind, "51001", entitlement, "9")
    return Grant(key, Cell("", "T1", "table", (kind, "51001")), resource_name=name, **more)


def decision(**facts: str) -> Decision:
    return Decision("0" * 64, Choice.REVOKE, "leaver", "left", "high", facts=facts)


@pytest.mark.parametrize(
    ("entitlement", "expected"),
    [
        ("owner", EntitlementClass.OWN),
        ("GRANT_PRIVILEGES", EntitlementClass.OWN),
        ("CORRECT", EntitlementClass.CHANGE),
        ("MODIFY_TABLE", EntitlementClass.CHANGE),
        ("CREATE_SCHEMA", EntitlementClass.CHANGE),
        ("edit", EntitlementClass.CHANGE),
        ("data_entry", EntitlementClass.CHANGE),
        ("EXPORT", EntitlementClass.EXPORT),
        ("view_export", EntitlementClass.EXPORT),
        ("QUERY", EntitlementClass.READ),
        ("BROWSE", EntitlementClass.SEE),
        ("LOGIN", EntitlementClass.SEE),
        ("a right of tomorrow", EntitlementClass.UNKNOWN),
    ],
)
def test_entitlements_have_a_class(entitlement: str, expected: EntitlementClass) -> None:
    assert entitlement_class(entitlement) is expected


def test_a_right_that_nobody_knows_here_is_not_ranked_low() -> None:
    assert risk_of(grant("a right of tomorrow"), decision()).order > risk_of(grant("QUERY"), decision()).order


@pytest.mark.parametrize(
    ("entitlement", "facts", "level"),
    [
        ("BROWSE", {}, "low"),
        ("BROWSE", {"person.status": "left"}, "low"),
        ("QUERY", {}, "low"),
        ("QUERY", {"person.status": "left"}, "medium"),
        ("EXPORT", {}, "medium"),
        ("EXPORT", {"person.status": "left"}, "high"),
        ("EXPORT", {"matched_by": "none"}, "high"),
        ("CORRECT", {}, "high"),
        ("owner", {}, "high"),
    ],
)
def test_three_levels_with_reasons(entitlement: str, facts: dict[str, str], level: str) -> None:
    risk = risk_of(grant(entitlement), decision(**facts))
    assert risk.level == level and risk.reasons
    told = (facts.get(name, "") for name in ("person.status", "matched_by"))
    assert risk_level(entitlement, "user", *told) == level
    assert ("the person has left" in risk.reasons) is (facts.get("person.status") == "left")


def test_a_right_that_was_not_seen_for_long_is_one_step_up_and_an_unknown_use_is_none() -> None:
    seen, unseen, unknown = (
        risk_of(grant("QUERY", last_used_days=days, last_use="a log"), decision()) for days in (89, 90, None)
    )
    assert unseen.reasons == ("reads data", "not seen in 90 days") and unseen.order > seen.order
    assert seen == unknown == risk_of(grant("QUERY"), decision())


def test_a_path_names_what_has_a_name_and_what_closes_it() -> None:
    menu = grant("view", "group", name="Margin")
    staff = ("user_group", "0123456789abcdef0123456789abcdef")
    path = AccessPath((staff,), menu, {staff: "Staff"})
    assert path.in_words() == 'user group "Staff": view on table "Margin"'
    assert path.how_to_close() == (
        'take the person out of user group "Staff", or remove view on table "Margin" from it'
    )
    everyone = AccessPath(((PrincipalType.EVERYONE, "everyone"),), menu)
    assert everyone.in_words() == 'all users: view on table "Margin"'
    assert everyone.how_to_close() == 'take view on table "Margin" away from all users'
    owned = grant("owner", name="db", revocable=False, why_not="owns the database")
    assert AccessPath((), owned).how_to_close() == "end it by hand: owns the database"
    other_id = (PrincipalType.USER, "100040000820")
    assert AccessPath((other_id, staff), menu, {staff: "Staff"}).in_words() == path.in_words()
    assert AccessPath((other_id,), menu).in_words() == 'a direct grant: view on table "Margin"'
    assert AccessPath((other_id,), menu).how_to_close() == 'remove view on table "Margin"'
