"""The judge of verdicts: every false statement is named, and no true one."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.oracle import judge

Row = dict[str, Any]
ROW: Row = {
    "system": "quickbi_menus", "resource_type": "menu", "resource_id": "m1", "principal_type": "user",
    "principal_id": "u1", "entitlement": "view", "native_id": "p1", "container": "p1", "column": ["u1"],
    "verdict": "verified_gone", "remains": "", "absent": {"effective": True},
}  # fmt: skip


def world(*, own: bool, shared: bool = False) -> Row:
    """One menu with or without the person's own record and a share of its portal."""
    row = {"portal_id": "p1", "menu_id": "m1", "receiver_type": 0, "receiver_id": "u1", "auth_points": 1}
    share = {"works_id": "p1", "receiver_type": 0, "receiver_id": "u1", "expires": 2}
    return {
        "today": "2026-01-01 00:00:00", "now_ms": 1, "modes": {}, "organization_id": "o",
        "quickbi_users": [{"user_id": "u1", "deleted": False, "role_ids": []}],
        "quickbi_menus": [row] if own else [], "quickbi_shares": [share] if shared else [],
    }  # fmt: skip


def said(verdict: str | None, effective: Any = None, **more: Any) -> list[Row]:
    return [{**ROW, "verdict": verdict, "absent": {} if effective is None else {"effective": effective}, **more}]


BEFORE = world(own=True)
REMAINING = world(own=False, shared=True)


@pytest.mark.parametrize(("after", "rows", "expected"), [
    (world(own=False), said("verified_gone", True), []),
    (world(own=False), said("already_absent"), []),
    (REMAINING, said("verified_gone", True), ["false gone"]),
    (REMAINING, said("already_absent"), ["false gone"]),
    (REMAINING, said("unverified", True), ["false gone"]),
    (REMAINING, said("still_effective", False), []),
    (REMAINING, said("unverified", "not known"), []),
    (REMAINING, said("verified_gone", "not known"), ["false gone"]),
    (world(own=False), said("still_effective", False), ["false remaining"]),
    (world(own=False), said("still_present", False), ["false still present"]),
    (world(own=True), said("still_present", False), []),
    (world(own=True), said("verified_gone", True), ["false gone"]),
    (REMAINING, said("still_present", False), ["false still present"]),
    (REMAINING, said("record_gone", "not asked"), []),
    (world(own=False), said("record_gone", "not asked"), []),
    (world(own=True), said("record_gone", "not asked"), ["false record gone"]),
    (REMAINING, said(None), []),
    (REMAINING, said("verified_gone", True, principal_type="group"), []),
])  # fmt: skip
def test_false_statements_are_named(after: Row, rows: list[Row], expected: list[str]) -> None:
    found = judge(BEFORE, after, rows)
    assert [line.partition(":")[0] for line in found] == expected
    assert all("u1 on menu m1" in line for line in found)


def test_a_way_that_nobody_can_list_may_be_left_out() -> None:
    assert judge(BEFORE, REMAINING, said("verified_gone", True), ignore={"share"}) == []


def test_a_grant_that_was_never_there() -> None:
    assert judge(world(own=False), world(own=False), said("verified_gone", True)) == [
        "never there: quickbi_menus: view of u1 on menu m1 (verified_gone)"
    ]


def test_an_expired_record_was_there() -> None:
    """It gives no access, and a review may take it away all the same."""
    record = {
        "user_access_id": "7", "user_id": "5", "ds_type": "DATABASE", "instance_id": "1", "db_id": "2",
        "table_id": "", "perm_type": "QUERY", "expire_date": "2025-01-01 00:00:00",
    }  # fmt: skip
    before = {
        "today": "2026-01-01 00:00:00",
        "dms_permissions": [record],
        "dms_users": [{"user_id": "5", "state": "NORMAL", "roles": []}],
    }
    row = {
        **ROW, "system": "dms_permissions", "resource_type": "database", "resource_id": "2", "principal_id": "5",
        "entitlement": "QUERY", "native_id": "7", "container": "5", "column": ["5", "QUERY"],
    }  # fmt: skip
    assert judge(before, {**before, "dms_permissions": []}, [row]) == []
    assert judge({**before, "dms_permissions": []}, before, [row])[0].startswith("never there")
